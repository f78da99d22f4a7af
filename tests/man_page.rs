//! The manual page, git-clone-shim(1): git opens it, and it names every variable. (Its commands and options: src/tool.)

use std::fs;
use std::path::Path;

use crate::support::arena::{Arena, for_each_git};
use crate::support::args::args;
use crate::support::arrangement;
use crate::support::installer::{Site, VERSION};

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
    let [page, settings] = ["man/git-clone-shim.1", "src/settings.rs"]
        .map(|name| fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(name)).unwrap());
    let read: Vec<_> = settings.split("set(c\"").skip(1).map(|rest| rest.split('"').next().unwrap()).collect();
    let named: Vec<_> = page.lines().filter_map(|line| line.strip_prefix(".B ")).collect();
    assert!(read.len() > 3 && read.iter().all(|name| named.contains(name)), "{read:?} {named:?}");
}
