//! `git-clone-shim versions` and `activate`: versions side by side, which one is current, and that none is ever changed.
//! (Under running clones: `upgrades`.)

use std::fs;

use crate::support::call::Call;
use crate::support::executable;
use crate::support::installer::{Site, VERSION, assert_refused, lines_after, version};
use crate::support::tree;

#[test]
fn versions_are_listed_and_switched() {
    let site = Site::new();
    let [old, new] = [1, 2].map(version);
    assert_refused(&site.run("activate", [&old]), 1);
    assert_eq!(site.list(), "");
    site.install(&old, &[]);
    assert_eq!(site.list(), format!("{old} (current)\n"));
    let outcome = site.install(&new, &["--no-default"]);
    assert_eq!(site.list(), format!("{old} (current)\n{new}\n"));
    // The line that is printed is for trying the version.
    let line = &lines_after("export PATH=", &outcome)[0];
    assert!(
        line.contains(&format!("/git-clone-shim/{new}/bin:")),
        "{line}"
    );
    assert_eq!(site.default_module(), old);
    site.run("activate", [&new]).succeeded();
    assert_eq!(site.list(), format!("{old}\n{new} (current)\n"));
    assert_eq!(site.default_module(), new);
    site.assert_works(&site.bin(), &new);
    site.run("activate", [&old]).succeeded();
    assert_eq!(site.default_module(), old);
    site.assert_works(&site.bin(), &old);
    for nowhere in ["9.9.9", "current", "../prefix", ".", "1\n2"] {
        assert_refused(&site.run("activate", [nowhere]), 1);
        assert_refused(&site.run("uninstall", [nowhere]), 1);
    }
    site.assert_works(&site.bin(), &old);
}

#[test]
fn installed_program_finds_its_own_tree() {
    let site = Site::new();
    let [old, new] = [1, 2].map(version);
    site.install(&old, &[]);
    site.install(&new, &[]);
    let run = |args: &[&str]| {
        let mut command = site.arena.command(site.bin().join("git-clone-shim"));
        command.args(args);
        Call::new(command).run().succeeded()
    };
    let listed = run(&["versions"]).stdout;
    assert_eq!(listed, format!("{old}\n{new} (current)\n").as_bytes());
    run(&["activate", &old]);
    assert_eq!(site.default_module(), old);
    // It removes the file that it runs from, too.
    run(&["uninstall"]);
    assert!(!site.prefix.exists());
}

#[test]
fn installed_version_is_never_changed() {
    let site = Site::new();
    site.install(VERSION, &[]);
    let before = tree::read(&site.prefix);
    let again = site.install(VERSION, &[]);
    assert_eq!(
        lines_after("Already installed, and identical: ", &again),
        [site.live(VERSION).to_str().unwrap()]
    );
    assert_eq!(
        tree::differences(&before, &tree::read(&site.prefix)),
        [""; 0]
    );

    // Another program that calls itself by the same version.
    let program = site.arena.root().join("git-clone-shim");
    let bytes = fs::read(site.program(VERSION)).unwrap();
    executable::write(&program, &[&bytes[..], b"\n"].concat());
    let mut other = site.arena.command(program);
    other.arg("install").arg("--prefix").arg(&site.prefix);
    assert_refused(&Call::new(other).run(), 1);
    assert_eq!(
        tree::differences(&before, &tree::read(&site.prefix)),
        [""; 0]
    );
    // What an admin has changed in a module file stays.
    let module = site
        .prefix
        .join("modulefiles/git-clone-shim")
        .join(format!("{VERSION}.lua"));
    fs::write(&module, "-- ours\n").unwrap();
    site.install(VERSION, &[]);
    assert_eq!(fs::read(&module).unwrap(), b"-- ours\n");
}

#[test]
fn module_files_that_were_there_before_are_kept() {
    let [old, new] = [1, 2].map(version);
    for is_changed in [false, true] {
        let site = Site::new();
        site.install(&new, &[]);
        site.install(&old, &[]);
        // As an admin does who does not know of `uninstall`.
        fs::remove_dir_all(site.live(&new)).unwrap();
        let modules = site.prefix.join("modulefiles/git-clone-shim");
        let files = [modules.join(format!("{new}.lua")), modules.join(&new)];
        if is_changed {
            for file in &files {
                fs::write(file, "ours\n").unwrap();
            }
        }
        site.install(&new, &["--no-default"]);
        site.run("activate", [&new]).succeeded();
        assert_eq!(site.default_module(), new);
        site.run("activate", [&old]).succeeded();
        site.run("uninstall", [&new]).succeeded();
        assert_eq!(site.default_module(), old);
        assert_eq!(files.map(|file| file.exists()), [is_changed; 2]);
    }
}
