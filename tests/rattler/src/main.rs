//! Checks a git repository out as rattler-build and pixi do. Its args are the repository's URL and a directory for the cache.

use rattler_git::git::GitReference;
use rattler_git::source::GitSource;
use rattler_git::{GitUrl, LazyClient};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let url = GitUrl::from_reference(args[0].parse()?, GitReference::DefaultBranch);
    let fetched = GitSource::new(url, LazyClient::default(), &args[1]).fetch()?;
    println!("{}", fetched.path().display());
    Ok(())
}
