//! The manual page, git-clone-shim(1): it is found, and it is complete.

use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;

use regex::Regex;

use crate::support::arena::{Arena, for_each_git};
use crate::support::args::args;
use crate::support::arrangement;
use crate::support::call::Call;
use crate::support::executable;
use crate::support::gits::gits;

const PAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/man/git-clone-shim.1");

/// Installs program and page in the arena; returns a PATH that begins with the program's directory.
fn install(arena: &Arena) -> OsString {
    let bin = arena.root().join("installed/bin");
    let pages = arena.root().join("installed/share/man/man1");
    fs::create_dir_all(&bin).unwrap();
    fs::create_dir_all(&pages).unwrap();
    fs::copy(PAGE, pages.join("git-clone-shim.1")).unwrap();
    for name in ["git", "git-clone-shim"] {
        symlink(executable::shim(), bin.join(name)).unwrap();
    }
    Arena::path(&[bin, arena.real_directory()])
}

#[test]
fn git_opens_the_page() {
    if arrangement::program("man").is_none() {
        return;
    }
    for_each_git(|_, arena| {
        let help = || arena.real(args("clone-shim --help")).env("MANPAGER", "cat");
        let without = help().run();
        assert!(!without.status.success(), "{without:?}");
        let page = help().env("PATH", install(&arena)).run().succeeded();
        let page = String::from_utf8(page.stdout).unwrap();
        assert!(page.starts_with("GIT-CLONE-SHIM(1)"), "{page}");
    });
}

#[test]
fn man_finds_the_page_beside_the_program() {
    let Some(man) = arrangement::program("man") else {
        return;
    };
    let arena = Arena::new(&gits()[0]);
    let mut where_is = arena.command(man);
    where_is.args(["-w", "git-clone-shim"]);
    let found = Call::new(where_is).env("PATH", install(&arena)).run();
    let found = found.succeeded().stdout;
    let page = arena
        .root()
        .join("installed/share/man/man1/git-clone-shim.1\n");
    assert_eq!(found, page.as_os_str().as_encoded_bytes());
}

#[test]
fn page_names_every_variable_and_command() {
    let page = fs::read_to_string(PAGE).unwrap();
    let readme = Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md");
    let readme = fs::read_to_string(readme).unwrap();
    let variables = Regex::new(r"(?m)^\| `(_?GIT_CLONE_SHIM\w*)`").unwrap();
    let variables: Vec<_> = variables.captures_iter(&readme).collect();
    assert!(variables.len() > 3);
    for variable in variables {
        let heading = format!("\n.It Ev {}\n", &variable[1]);
        assert!(page.contains(&heading), "{heading}");
    }
    let help = Command::new(executable::shim()).arg("--help").output();
    let help = String::from_utf8(help.unwrap().stdout).unwrap();
    let tasks = Regex::new(r"(?m)^  ([a-z]+)  +[A-Z]").unwrap();
    let tasks: Vec<_> = tasks.captures_iter(&help).collect();
    assert!(!tasks.is_empty(), "{help}");
    for task in tasks.iter().filter(|task| &task[1] != "help") {
        let heading = Regex::new(&format!("\n.It Cm {}[ \n]", &task[1])).unwrap();
        assert!(heading.is_match(&page), "{heading}");
    }
}
