//! The manual page, git-clone-shim(1): git opens it, and it names every variable and command.

use std::fs;
use std::os::unix::fs::symlink;
use std::process::Command;

use regex::Regex;

use crate::support::arena::{Arena, for_each_git};
use crate::support::args::args;
use crate::support::arrangement;
use crate::support::executable;

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

#[test]
fn git_opens_the_page_beside_the_program() {
    if arrangement::program("man").is_none() {
        return;
    }
    for_each_git(|_, arena| {
        let installed = arena.root().join("installed");
        let pages = installed.join("share/man/man1");
        fs::create_dir_all(installed.join("bin")).unwrap();
        fs::create_dir_all(&pages).unwrap();
        fs::copy(format!("{ROOT}/man/git-clone-shim.1"), pages.join("git-clone-shim.1")).unwrap();
        for name in ["git", "git-clone-shim"] {
            symlink(executable::shim(), installed.join("bin").join(name)).unwrap();
        }
        let path = Arena::path(&[installed.join("bin"), arena.real_directory()]);
        let help = || arena.real(args("clone-shim --help")).env("MANPAGER", "cat");
        let without = help().run();
        assert!(!without.status.success(), "{without:?}");
        let page = help().env("PATH", path).run().succeeded();
        assert!(page.stdout.starts_with(b"GIT-CLONE-SHIM(1)"), "{page:?}");
    });
}

#[test]
fn page_names_every_variable_and_command() {
    let read = |name: &str| fs::read_to_string(format!("{ROOT}/{name}")).unwrap();
    let page = read("man/git-clone-shim.1");
    let help = Command::new(executable::shim()).arg("--help").output();
    let help = String::from_utf8(help.unwrap().stdout).unwrap();
    let mut named = 0;
    for (pattern, text, macro_name) in
        [(r#"c"(_?GIT_CLONE_SHIM[A-Z_]*)""#, read("src/settings.rs"), "Ev"), (r"(?m)^  ([a-z]+)  +[A-Z]", help, "Cm")]
    {
        let names = Regex::new(pattern).unwrap();
        for [name] in names.captures_iter(&text).map(|found| found.extract().1) {
            let item = Regex::new(&format!(r"(?m)^\.It {macro_name} {name}(?-u:\b)")).unwrap();
            assert!(name == "help" || item.is_match(&page), "the page does not name {name}");
            named += 1;
        }
    }
    assert!(named > 6);
}
