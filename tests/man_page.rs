//! The manual page, git-clone-shim(1): git opens it, and it names every variable. (Its commands and options: src/tool.)

use std::fs;

use regex::Regex;

use crate::support::arena::{Arena, for_each_git};
use crate::support::args::args;
use crate::support::arrangement;
use crate::support::installer::{Site, VERSION};

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

#[test]
fn git_opens_the_page_beside_the_program() {
    if arrangement::program("man").is_none() {
        return;
    }
    let site = Site::new();
    site.install(VERSION, &[]).succeeded();
    for_each_git(|_, arena| {
        let path = Arena::path(&[site.bin(), arena.real_directory()]);
        let help = || arena.real(args("clone-shim --help")).env("MANPAGER", "cat");
        assert!(!help().run().status.success());
        let page = help().env("PATH", path).run().succeeded();
        assert!(page.stdout.starts_with(b"GIT-CLONE-SHIM(1)"), "{page:?}");
    });
}

#[test]
fn page_names_every_variable() {
    let read = |name: &str| fs::read_to_string(format!("{ROOT}/{name}")).unwrap();
    let (page, settings) = (read("man/git-clone-shim.1"), read("src/settings.rs"));
    let names = Regex::new(r#"c"(_?GIT_CLONE_SHIM[A-Z_]*)""#).unwrap();
    let names: Vec<_> = names.captures_iter(&settings).map(|found| found.extract::<1>().1[0]).collect();
    for name in &names {
        let item = Regex::new(&format!(r"(?m)^\.It Ev {name}(?-u:\b)")).unwrap();
        assert!(item.is_match(&page), "the page does not name {name}");
    }
    assert!(names.len() > 3, "{names:?}");
}
