//! `git-clone-shim uninstall`: it removes all that is listed in a manifest, and nothing else.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;

use crate::support::arrangement;
use crate::support::call::Call;
use crate::support::installer::{Site, VERSION, assert_refused, lines_after, version};
use crate::support::tree;

#[test]
fn uninstall_leaves_no_trace() {
    let site = Site::new();
    site.program(VERSION);
    let [old, new] = [1, 2].map(version);
    for version in [&old, &new] {
        site.program(version);
    }
    let profile_d = site.arena.root().join("etc/profile.d");
    let before = tree::read(site.arena.root());
    assert_refused(&site.run("uninstall", [""; 0]), 1);
    site.install(&old, &["--profile-d", profile_d.to_str().unwrap()]);
    site.install(&new, &[]);
    // A user who has the current one on PATH would lose it without notice.
    assert_refused(&site.run("uninstall", [&new]), 1);
    let printed = site.run("uninstall", [&old]).succeeded().stdout;
    let removed = site.root().join(&old);
    let expected = format!("Removed {}\nIf a shell still", removed.display());
    assert!(
        printed.starts_with(expected.as_bytes()),
        "{}",
        printed.escape_ascii()
    );
    assert_eq!(site.list(), format!("{new} (current)\n"));
    let is_old = |path: &PathBuf| path.to_string_lossy().contains(&old);
    assert!(!site.paths().iter().any(is_old));
    assert!(profile_d.join("git-clone-shim.sh").exists());
    site.assert_works(&site.bin(), &new);

    site.install(&old, &[]);
    site.run("uninstall", [""; 0]).succeeded();
    assert_eq!(
        tree::differences(&before, &tree::read(site.arena.root())),
        [""; 0]
    );
}

#[test]
fn uninstall_does_not_run_from_the_file_that_it_removes() {
    if arrangement::program("strace").is_none() {
        return;
    }
    let site = Site::new();
    site.install(VERSION, &[]);
    let log = site.arena.root().join("trace");
    let mut strace = site.arena.command("strace");
    strace
        .args(["-e", "trace=execveat,unlinkat", "-o"])
        .arg(&log);
    strace
        .arg(site.bin().join("git-clone-shim"))
        .arg("uninstall");
    Call::new(strace).run().succeeded();
    let log = fs::read_to_string(log).unwrap();
    let position = |call: &str| log.find(call).unwrap_or(usize::MAX);
    assert!(position("execveat(") < position("unlinkat("), "{log}");
    assert!(!site.prefix.exists());
}

#[test]
fn uninstall_keeps_what_no_manifest_lists() {
    let site = Site::new();
    fs::create_dir_all(site.prefix.join("modulefiles")).unwrap();
    site.install(VERSION, &[]);
    let other = site.prefix.join("modulefiles/other");
    fs::write(&other, "").unwrap();
    // As NFS keeps a program that still runs.
    let busy = site.live(VERSION).join("bin/.nfs0001");
    fs::write(&busy, "").unwrap();
    assert_refused(&site.run("uninstall", [""; 0]), 1);
    assert!(busy.exists() && site.list() == format!("{VERSION}\n"));
    fs::remove_file(&busy).unwrap();
    // Beside the listed directories.
    let note = site.live(VERSION).join("note");
    fs::write(&note, "").unwrap();
    assert_refused(&site.run("uninstall", [""; 0]), 1);
    fs::remove_file(&note).unwrap();
    site.run("uninstall", [""; 0]).succeeded();
    assert!(other.exists() && !site.root().exists());
    assert_eq!(site.paths().len(), 2);
}

#[test]
fn uninstall_names_what_it_leaves() {
    let site = Site::new();
    site.install(VERSION, &[]);
    fs::write(site.root().join("note"), "").unwrap();
    let outcome = site.run("uninstall", [""; 0]).succeeded();
    let left = lines_after("Left, since not all in it is listed: ", &outcome);
    assert_eq!(left, [format!("{}/", site.root().display())]);
}

#[test]
fn files_of_other_origin_are_never_touched() {
    let site = Site::new();
    let modules = site.prefix.join("modulefiles/git-clone-shim");
    let profile_d = site.prefix.join("profile.d");
    fs::create_dir_all(&modules).unwrap();
    fs::create_dir_all(&profile_d).unwrap();
    let foreign = [
        modules.join(".version"),
        modules.join(VERSION),
        profile_d.join("git-clone-shim.sh"),
    ];
    for file in &foreign {
        fs::write(file, "an admin's\n").unwrap();
    }
    let options = ["--profile-d", profile_d.to_str().unwrap()];
    let outcome = site.install(VERSION, &options);
    let left = lines_after("Left as it is, since it is not ours: ", &outcome);
    assert_eq!(left.len(), foreign.len(), "{left:?}");
    assert!(profile_d.join("git-clone-shim.csh").exists());
    site.install(&version(2), &options);
    site.run("activate", [VERSION]).succeeded();
    site.run("uninstall", [""; 0]).succeeded();
    let left: BTreeSet<_> = site.paths();
    let files = foreign
        .iter()
        .map(|file| file.strip_prefix(&site.prefix).unwrap().to_owned());
    let directories = ["modulefiles", "modulefiles/git-clone-shim", "profile.d"];
    let expected: BTreeSet<_> = files.chain(directories.map(PathBuf::from)).collect();
    assert_eq!(left, expected);
    for file in foreign {
        assert_eq!(fs::read(file).unwrap(), b"an admin's\n");
    }
}
