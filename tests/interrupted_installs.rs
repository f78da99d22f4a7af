//! `install`, `activate` and `uninstall`, interrupted or killed at every system call that changes something: the version that
//! was current works, nothing is half-installed, and the next run removes what the dead one left.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use nix::libc;

use crate::support::arrangement;
use crate::support::call::{Call, Outcome};
use crate::support::installer::{Site, version};
use crate::support::tree::{self, Tree};

/// The system calls by which the program changes what is on disk. A signal comes as one begins: so the state after each change
/// is met when the next one begins.
const CALLS: [&str; 7] = [
    "mkdirat",
    "write",
    "fchmod",
    "fsync",
    "symlinkat",
    "?renameat,?renameat2",
    "unlinkat",
];

/// An installation, and a copy of what it was before.
struct Trial {
    site: Site,
    before: PathBuf,
}

impl Trial {
    /// With these versions installed, the last of them current. `None` where there is no strace.
    #[track_caller]
    fn new(versions: &[String]) -> Option<Self> {
        arrangement::program("strace")?;
        let site = Site::new();
        for version in versions {
            site.install(version, &[]);
        }
        let before = site.arena.root().join("before");
        if site.prefix.exists() {
            copy(&site.prefix, &before);
        }
        Some(Self { site, before })
    }

    /// Makes all as it was at first.
    fn reset(&self) {
        if self.site.prefix.exists() {
            fs::remove_dir_all(&self.site.prefix).unwrap();
        }
        if self.before.exists() {
            copy(&self.before, &self.site.prefix);
        }
    }

    fn tree(&self) -> Tree {
        match self.site.prefix.exists() {
            true => tree::read(&self.site.prefix),
            false => Tree::new(),
        }
    }

    /// Runs `command`, which gets this signal at the `at`-th of these system calls; `None` if there are not as many.
    fn interrupt(&self, command: &Command, signal: &str, call: &str, at: usize) -> Option<Outcome> {
        let trace = self.site.arena.root().join("trace");
        let mut strace = self.site.arena.command("strace");
        strace
            .arg("-o")
            .arg(&trace)
            .args(["-e", &format!("trace={call}"), "-e"])
            .arg(format!("inject={call}:signal={signal}:when={at}"))
            .arg(command.get_program())
            .args(command.get_args());
        let outcome = Call::new(strace).run();
        let is_injected = fs::read_to_string(trace)
            .unwrap()
            .contains(&format!("--- SIG{signal}"));
        (is_injected || outcome.status.signal().is_some()).then_some(outcome)
    }

    /// Runs `command` once for each of its calls, with these signals by turns, from the same state each time; then does `check`.
    fn for_each_call(
        &self,
        command: &Command,
        signals: &[&str],
        mut check: impl FnMut(&str, &Outcome),
    ) {
        let mut all = 0;
        for call in CALLS {
            for at in 1.. {
                self.reset();
                let signal = signals[all % signals.len()];
                let Some(outcome) = self.interrupt(command, signal, call, at) else {
                    break;
                };
                check(&format!("{call} {at}: {outcome:?}"), &outcome);
                all += 1;
            }
        }
        assert!(all > 5, "{all}");
    }
}

fn copy(from: &Path, to: &Path) {
    let done = Command::new("cp").arg("-a").args([from, to]).status();
    assert!(done.unwrap().success());
}

/// Asserts that an installation beside these versions is complete or has not taken place if it is interrupted.
fn assert_all_or_nothing(versions: &[String]) {
    let Some(trial) = Trial::new(versions) else {
        return;
    };
    let before = trial.tree();
    let profile_d = trial.site.prefix.join("profile.d");
    let options = ["--profile-d", profile_d.to_str().unwrap()];
    let install = trial.site.install_command(&version(2), &options);
    trial.site.install(&version(2), &options);
    let complete = trial.tree();
    let mut undone = 0;
    trial.for_each_call(&install, &["INT", "TERM", "HUP"], |at, outcome| {
        let tree = trial.tree();
        if outcome.status.signal().is_some() {
            assert_eq!(tree::differences(&tree, &before), [""; 0], "{at}");
            undone += 1;
        } else {
            assert!(outcome.status.success(), "{at}");
            assert_eq!(tree::differences(&tree, &complete), [""; 0], "{at}");
        }
    });
    assert!(undone > 5, "{undone}");
}

#[test]
fn interrupted_upgrade_is_complete_or_undone() {
    assert_all_or_nothing(&[version(1)]);
}

#[test]
fn interrupted_first_installation_is_complete_or_undone() {
    assert_all_or_nothing(&[]);
}

/// Whether a path is what an installation leaves for a moment only.
fn is_temporary(path: &Path) -> bool {
    path.to_string_lossy().contains(".git-clone-shim.")
}

#[track_caller]
fn assert_nothing_is_left(trial: &Trial, at: &str) {
    let left: Vec<_> = trial
        .tree()
        .into_keys()
        .filter(|path| is_temporary(path))
        .collect();
    assert!(left.is_empty(), "{at}: {left:?}");
}

/// Asserts that what comes after a killed run works: another installation, an activation and a removal, by turns.
fn assert_next_run_mends(trial: &Trial, command: &Command, old: &str, new: &str) {
    let site = &trial.site;
    site.install(new, &[]);
    let complete = trial.tree();
    let mut turn = 0;
    trial.for_each_call(command, &["KILL"], |at, outcome| {
        assert_eq!(outcome.status.signal(), Some(libc::SIGKILL), "{at}");
        // Whatever it was doing, one of the two is current and works.
        let current = site.current().unwrap_or_else(|| panic!("{at}"));
        site.assert_works(&site.bin(), current.to_str().unwrap());
        match turn % 3 {
            0 => {
                site.install(new, &[]);
                assert_eq!(tree::differences(&trial.tree(), &complete), [""; 0], "{at}");
            }
            1 => {
                site.run("activate", [old]).succeeded();
                site.assert_works(&site.bin(), old);
                assert_nothing_is_left(trial, at);
            }
            _ => {
                site.run("uninstall", [""; 0]).succeeded();
                assert_eq!(trial.tree().len(), 0, "{at}");
            }
        }
        turn += 1;
    });
}

#[test]
fn next_run_completes_a_killed_upgrade() {
    let [old, new] = [1, 2].map(version);
    let Some(trial) = Trial::new(std::slice::from_ref(&old)) else {
        return;
    };
    let install = trial.site.install_command(&new, &[]);
    assert_next_run_mends(&trial, &install, &old, &new);
}

#[test]
fn next_run_completes_a_killed_activation() {
    let [old, new] = [1, 2].map(version);
    let Some(trial) = Trial::new(&[old.clone(), new.clone()]) else {
        return;
    };
    let activate = trial.site.command("activate", [&old]);
    assert_next_run_mends(&trial, &activate, &old, &new);
}

#[test]
fn next_run_completes_a_killed_first_installation() {
    let Some(trial) = Trial::new(&[]) else {
        return;
    };
    let new = version(2);
    trial.site.install(&new, &[]);
    let complete = trial.tree();
    let install = trial.site.install_command(&new, &[]);
    let mut turn = 0;
    trial.for_each_call(&install, &["KILL"], |at, _| {
        if turn % 2 == 0 {
            trial.site.install(&new, &[]);
            let mut tree = trial.tree();
            // Which directories it has made is only known once there is a place to list them.
            let manifest = Path::new("git-clone-shim/manifest");
            tree.insert(manifest.to_owned(), complete[manifest].clone());
            assert_eq!(tree::differences(&tree, &complete), [""; 0], "{at}");
        } else {
            // Perhaps there is nothing to remove.
            trial.site.run("uninstall", [""; 0]);
            let is_file = |path: &PathBuf| !trial.site.prefix.join(path).is_dir();
            let left: Vec<_> = trial.tree().into_keys().filter(is_file).collect();
            assert!(left.is_empty(), "{at}: {left:?}");
        }
        turn += 1;
    });
}

#[test]
fn next_run_completes_a_killed_removal() {
    let [old, new] = [1, 2].map(version);
    let Some(trial) = Trial::new(&[old.clone(), new.clone()]) else {
        return;
    };
    trial.site.run("uninstall", [&old]).succeeded();
    let removed = trial.tree();
    trial.reset();
    let complete = trial.tree();
    let mut turn = 0;
    let uninstall = trial.site.command("uninstall", [&old]);
    trial.for_each_call(&uninstall, &["KILL"], |at, _| {
        let site = &trial.site;
        site.assert_works(&site.bin(), &new);
        match turn % 3 {
            0 => {
                // It has been removed, or is now.
                if site.list().contains(&old) {
                    site.run("uninstall", [&old]).succeeded();
                } else {
                    site.run("activate", [&new]).succeeded();
                }
                assert_eq!(tree::differences(&trial.tree(), &removed), [""; 0], "{at}");
            }
            1 => {
                site.run("uninstall", [""; 0]).succeeded();
                assert_eq!(trial.tree().len(), 0, "{at}");
            }
            _ => {
                // A version of which something is missing differs, and is removed before it is installed again.
                if !site.try_install(&old, &["--no-default"]).status.success() {
                    site.run("uninstall", [&old]).succeeded();
                    site.install(&old, &["--no-default"]);
                }
                assert_eq!(tree::differences(&trial.tree(), &complete), [""; 0], "{at}");
            }
        }
        turn += 1;
    });
}

#[test]
fn next_run_completes_a_killed_removal_of_all() {
    let new = version(2);
    let Some(trial) = Trial::new(std::slice::from_ref(&new)) else {
        return;
    };
    let uninstall = trial.site.command("uninstall", [OsStr::new("--destdir=/")]);
    trial.for_each_call(&uninstall, &["KILL"], |at, _| {
        let site = &trial.site;
        site.run("uninstall", [""; 0]);
        let left = trial.tree();
        assert!(left.is_empty(), "{at}: {left:?}", left = left.keys());
    });
}

#[test]
fn interrupted_activation_is_complete_or_undone() {
    let versions = [1, 2].map(version);
    let Some(trial) = Trial::new(&versions) else {
        return;
    };
    let activate = trial.site.command("activate", [&versions[0]]);
    let before = trial.tree();
    trial.site.run("activate", [&versions[0]]).succeeded();
    let complete = trial.tree();
    trial.for_each_call(&activate, &["INT"], |at, outcome| {
        let expected = match outcome.status.success() {
            true => &complete,
            false => &before,
        };
        assert_eq!(tree::differences(&trial.tree(), expected), [""; 0], "{at}");
    });
}

#[test]
fn removal_is_finished_although_it_is_interrupted() {
    let [old, new] = [1, 2].map(version);
    let Some(trial) = Trial::new(&[old.clone(), new.clone()]) else {
        return;
    };
    trial.site.run("uninstall", [&old]).succeeded();
    let complete = trial.tree();
    trial.reset();
    let before = trial.tree();
    let uninstall = trial.site.command("uninstall", [&old]);
    trial.for_each_call(&uninstall, &["INT"], |at, outcome| {
        trial.site.assert_works(&trial.site.bin(), &new);
        let expected = match outcome.status.success() {
            true => &complete,
            // It had not begun.
            false => &before,
        };
        assert_eq!(tree::differences(&trial.tree(), expected), [""; 0], "{at}");
    });
}
