//! doctor is safe to run, for root as well, in a directory and with a PATH that other users can write to.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::support::arena::{Arena, for_each_git};
use crate::support::arrangement;
use crate::support::call::Call;
use crate::support::doctor::{directories, doctor, examine, report};
use crate::support::executable;
use crate::support::gits::gits;
use crate::support::path;

/// The user who attacks.
const ATTACKER: u32 = 65534;

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
}

/// Takes the place of doctor's directory as soon as it is there, with a tree of the attacker's own, and writes its name to a file.
const EXCHANGE: &str = "
    until set -- .git-clone-shim-doctor-* && [ -d \"$1\" ]; do :; done
    mv \"$1\" taken && mkdir -p \"$1/source/.git/hooks\" && touch \"$1/precious\" && chmod 777 \"$1\" && echo \"$1\" >exchanged";

#[test]
fn directory_that_another_user_exchanges_is_neither_used_nor_removed() {
    let (Some(strace), true) = (arrangement::program("strace"), arrangement::is_root()) else {
        return;
    };
    for_each_git(|_, arena| {
        let place = arena.work_dir();
        set_mode(place, 0o777);
        let mut attacker = Command::new("sh")
            .args(["-c", EXCHANGE])
            .current_dir(place)
            .uid(ATTACKER)
            .gid(ATTACKER)
            .spawn()
            .unwrap();
        // Long enough for the attacker, who is faster than that.
        let mut command = arena.command(&strace);
        command
            .args(["-f", "-qq", "-o", "/dev/null", "-e", "trace=link,linkat"])
            .args(["-e", "inject=link,linkat:delay_enter=1000000:when=1"])
            .arg(executable::shim())
            .args(["doctor", "--json"])
            .arg(place)
            .env("PATH", arena.path_of(true));
        let outcome = Call::new(command).run();
        assert!(attacker.wait().unwrap().success());
        let name = fs::read_to_string(place.join("exchanged")).unwrap();
        let exchanged = place.join(name.trim_end());
        assert!(
            exchanged.join("precious").exists(),
            "it was removed: {outcome:?}"
        );
        let left: Vec<_> = fs::read_dir(exchanged.join("source")).unwrap().collect();
        assert_eq!(left.len(), 1, "git was run in it: {outcome:?}");
        let report: Value = serde_json::from_slice(&outcome.stdout).unwrap();
        let examined = &directories(&report)[0];
        if let Some(problem) = examined["problem"].as_str() {
            // The attacker came before doctor had opened what it made: the name is free, or taken already.
            let reasons = ["it has gone", "belongs to another user"];
            assert!(
                reasons.iter().any(|reason| problem.contains(reason)),
                "{problem}"
            );
        } else {
            assert_eq!(examined["exchangeable_in"], place.to_str().unwrap());
            // It reports as left behind what was moved, by its former name.
            assert!(examined["left_behind"][0].is_string(), "{examined:#}");
        }
        assert_eq!(examined["clone_with_git"], Value::Null);
        assert_eq!(outcome.status.code(), Some(1), "{outcome:?}");
        assert_eq!(fs::read_dir(place.join("taken")).unwrap().count(), 0);
    });
}

#[test]
fn clones_are_tried_only_where_no_other_user_can_exchange_them() {
    let arena = Arena::new(&gits()[0]);
    let place = arena.work_dir();
    let is_root = nix::unistd::geteuid().is_root();
    let group = std::os::unix::fs::MetadataExt::gid(&fs::metadata(place).unwrap());
    if is_root {
        // Of a group that is not root's.
        std::os::unix::fs::chown(place, None, Some(ATTACKER)).unwrap();
    }
    for (mode, tried) in [
        (0o755, true),
        (0o1777, true),
        (0o777, false),
        // Whom else the site lets write there is its own decision, but not for root.
        (0o775, !is_root),
    ] {
        set_mode(place, mode);
        let below = place.join("below");
        fs::create_dir(&below).unwrap();
        for directory in [place, &below] {
            let examined = report(doctor(&arena, "--json", &[directory]));
            let examined = &directories(&examined)[0];
            assert_eq!(
                examined["clone_with_git"].is_object(),
                tried,
                "{mode:o} {examined:#}"
            );
            assert_eq!(
                examined["exchangeable_in"].is_null(),
                tried,
                "{mode:o} {examined:#}"
            );
            assert!(examined["link_across"].is_object(), "{mode:o} {examined:#}");
            let answer = if tried { "not_needed" } else { "does_not_work" };
            assert_eq!(examined["answer"], answer, "{mode:o} {examined:#}");
        }
        fs::remove_dir(&below).unwrap();
    }
    std::os::unix::fs::chown(place, None, Some(group)).unwrap();
}

#[test]
fn link_that_another_user_made_is_not_followed() {
    if !arrangement::is_root() {
        return;
    }
    let arena = Arena::new(&gits()[0]);
    let trap = arena.work_dir().join("trap");
    std::os::unix::fs::symlink(arena.root().join("home"), &trap).unwrap();
    std::os::unix::fs::lchown(&trap, Some(ATTACKER), Some(ATTACKER)).unwrap();
    let before = fs::metadata(arena.root().join("home"))
        .unwrap()
        .modified()
        .unwrap();
    let examined = report(doctor(&arena, "--json", &[&trap.join("."), &trap]));
    for examined in directories(&examined) {
        assert_eq!(examined["answer"], "does_not_work", "{examined:#}");
    }
    let after = fs::metadata(arena.root().join("home"))
        .unwrap()
        .modified()
        .unwrap();
    assert_eq!(before, after, "something was made where it leads");
}

#[test]
fn git_that_no_call_reaches_is_not_run() {
    for_each_git(|_, arena| {
        let ran = arena.root().join("ran");
        let behind = path::wrapper(&arena, "behind", &format!("touch {}", ran.display()));
        let directories = [
            arena.shim_directory(),
            arena.real_directory(),
            behind.clone(),
        ];
        let call =
            doctor(&arena, "--json", &[arena.work_dir()]).env("PATH", Arena::path(&directories));
        let report = report(call);
        assert!(!ran.exists(), "{report:#}");
        let gits = report["path"].as_array().unwrap();
        let file = behind.join("git");
        let found = gits
            .iter()
            .find(|git| git["file"] == file.to_str().unwrap())
            .unwrap();
        assert_eq!(found["what"], "not_run", "{found:#}");
    });
}

#[test]
fn git_that_others_can_exchange_is_not_run() {
    for_each_git(|_, arena| {
        let ran = arena.root().join("ran");
        let shared = path::wrapper(
            &arena,
            "shared",
            &format!("touch {}; exec git \"$@\"", ran.display()),
        );
        set_mode(&shared, 0o777);
        for directories in [
            // Before the shim, and as the real git.
            [
                shared.clone(),
                arena.shim_directory(),
                arena.real_directory(),
            ],
            [
                arena.shim_directory(),
                shared.clone(),
                arena.real_directory(),
            ],
        ] {
            let path = Arena::path(&directories);
            let call = doctor(&arena, "--json", &[arena.work_dir()]).env("PATH", &path);
            let outcome = call.run();
            assert!(!ran.exists(), "{outcome:?}");
            let report: Value = serde_json::from_slice(&outcome.stdout).unwrap();
            let gits = report["path"].as_array().unwrap();
            let file = shared.join("git");
            let found = gits
                .iter()
                .find(|git| git["file"] == file.to_str().unwrap())
                .unwrap();
            assert_eq!(found["what"], "not_run", "{found:#}");
            assert!(
                found["message"].as_str().unwrap().contains("other users"),
                "{found:#}"
            );
        }
        assert!(
            fs::read_dir(arena.work_dir()).unwrap().next().is_none(),
            "something was left behind"
        );
        // The table warns of it, and tells that git is not run.
        let path = Arena::path(&[
            arena.shim_directory(),
            shared.clone(),
            arena.real_directory(),
        ]);
        let shown = doctor(&arena, "", &[arena.work_dir()])
            .env("PATH", &path)
            .run();
        let shown = String::from_utf8(shown.stdout).unwrap();
        assert!(
            shown.contains("other users can exchange what is in"),
            "{shown}"
        );
        set_mode(&shared, 0o755);
        assert_eq!(examine(&arena, arena.work_dir())["answer"], "not_needed");
    });
}
