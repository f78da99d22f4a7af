//! install.sh, interrupted wherever it changes something: the previous version works, and nothing is half-installed.

use std::ffi::OsString;
use std::fs;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::Command;

use nix::libc;

use crate::support::arena::Arena;
use crate::support::call::{Call, Outcome};
use crate::support::executable;
use crate::support::installer::{SH, Shell, Site, shells, version};
use crate::support::tree::{self, Tree};

/// The programs by which install.sh changes what is on disk.
const PROGRAMS: [&str; 7] = ["mktemp", "install", "ln", "chmod", "mv", "rm", "rmdir"];

/// Runs the program of its own name. At the `$AT`-th call of any of them, it sends a signal to the whole process group, as
/// a terminal does.
const INTERRUPTER: &str = r#"#!/bin/sh
set -C
call=1
until true >"$CALLS/$call"; do call=$((call + 1)); done 2>/dev/null
PATH=${PATH#*:}
status=0
"${0##*/}" "$@" || status=$?
[ "$call" != "$AT" ] || kill -s "$SIGNAL" 0
exit $status
"#;

/// An installation that is staged below a directory, since then install.sh ends with what is tested here.
struct Staged {
    site: Site,
    shell: Shell,
    /// All that is there.
    directory: PathBuf,
    /// What it is set back to.
    before: PathBuf,
}

impl Staged {
    /// With these versions installed, the last of them current.
    fn new(shell: Shell, versions: &[String]) -> Self {
        let site = Site::new();
        let directory = site.arena.root().join("staged");
        let before = site.arena.root().join("before");
        let programs = site.arena.root().join("interrupters");
        fs::create_dir(&directory).unwrap();
        fs::create_dir(&programs).unwrap();
        for program in PROGRAMS {
            executable::script(&programs.join(program), INTERRUPTER);
        }
        let staged = Self {
            site,
            shell,
            directory,
            before,
        };
        for version in versions {
            staged.run(&staged.site.args(version, &[])).succeeded();
        }
        copy(&staged.directory, &staged.before);
        staged
    }

    fn command(&self, args: &[OsString]) -> Command {
        let mut command = self.site.command(self.shell, args);
        command.arg("--destdir").arg(&self.directory);
        command
    }

    fn run(&self, args: &[OsString]) -> Outcome {
        Call::new(self.command(args)).run()
    }

    /// Runs install.sh and sends `signal` after the `at`-th program; and whether there were as many.
    fn interrupt(&self, args: &[OsString], signal: &str, at: usize) -> (Outcome, bool) {
        let calls = self.site.arena.root().join("calls");
        let _ = fs::remove_dir_all(&calls);
        fs::create_dir(&calls).unwrap();
        let path = [
            self.site.arena.root().join("interrupters"),
            self.site.arena.real_directory(),
        ];
        let mut command = self.command(args);
        command.process_group(0);
        let call = Call::new(command)
            .env("PATH", Arena::path(&path))
            .env("CALLS", &calls)
            .env("SIGNAL", signal)
            .env("AT", at.to_string());
        let outcome = call.run();
        (outcome, calls.join(at.to_string()).exists())
    }

    /// This path below the prefix, where it is staged.
    fn below(&self, path: &str) -> PathBuf {
        self.directory
            .join(self.site.prefix.strip_prefix("/").unwrap())
            .join(path)
    }

    fn tree(&self) -> Tree {
        tree::read(&self.directory)
    }

    /// Makes all as it was at first.
    fn reset(&self) {
        fs::remove_dir_all(&self.directory).unwrap();
        copy(&self.before, &self.directory);
    }
}

fn copy(from: &Path, to: &Path) {
    let done = Command::new("cp").arg("-a").args([from, to]).status();
    assert!(done.unwrap().success());
}

/// Asserts that an installation beside these versions is complete or has not taken place, if it is interrupted after
/// any of `calls`.
fn assert_all_or_nothing(shell: Shell, versions: &[String], calls: impl Iterator<Item = usize>) {
    let staged = Staged::new(shell, versions);
    let args = staged
        .site
        .args(&version(2), &["--profile-d", "/etc/profile.d"]);
    let before = staged.tree();
    staged.run(&args).succeeded();
    let complete = staged.tree();
    staged.reset();
    let mut undone = 0;
    for at in calls {
        let (outcome, sent) = staged.interrupt(&args, "INT", at);
        // mksh, too, has ended by the signal: that is how it tells.
        let died = outcome.status.signal() == Some(libc::SIGINT)
            || outcome.status.code() == Some(128 + libc::SIGINT);
        assert!(died || outcome.status.success(), "{outcome:?}");
        let tree = staged.tree();
        let is_undone = tree == before;
        assert!(
            is_undone && died || tree == complete,
            "call {at}: {outcome:?}"
        );
        if !sent {
            break;
        }
        match is_undone {
            true => undone += 1,
            false => staged.reset(),
        }
    }
    // Signals wait only where a temporary file is made, and at the end.
    assert!(undone > 1, "{undone}");
}

#[test]
fn an_upgrade() {
    // By turns, so that each step is interrupted in one of them.
    let shells = shells();
    for (turn, shell) in shells.iter().enumerate() {
        let calls = (1 + turn..).step_by(shells.len());
        assert_all_or_nothing(shell, &[version(1)], calls);
    }
}

#[test]
fn the_first_installation() {
    assert_all_or_nothing(SH, &[], 1..);
}

#[test]
fn killed_outright() {
    let [old, new] = [1, 2].map(version);
    let staged = Staged::new(SH, std::slice::from_ref(&old));
    let args = staged.site.args(&new, &[]);
    let current = staged.below("git-clone-shim/current/bin");
    staged.run(&args).succeeded();
    let complete = staged.tree();
    for at in (1..).step_by(2) {
        staged.reset();
        let (outcome, sent) = staged.interrupt(&args, "KILL", at);
        if !sent {
            break;
        }
        assert_eq!(outcome.status.signal(), Some(libc::SIGKILL));
        let listed = staged.run(&["--list".into()]).succeeded().stdout;
        let switched = listed == format!("{old}\n{new} (current)\n").as_bytes();
        staged
            .site
            .assert_works(&current, if switched { &new } else { &old });
        // The next run makes it complete, but for what it cannot know to be nobody's.
        staged.run(&args).succeeded();
        let mut tree = staged.tree();
        tree.retain(|path, _| !path.to_string_lossy().contains("/.git-clone-shim."));
        assert_eq!(tree::differences(&tree, &complete), [""; 0], "call {at}");
    }
}

#[test]
fn a_switch() {
    let versions = [1, 2].map(version);
    let staged = Staged::new(SH, &versions);
    let args = ["--activate".into(), versions[0].clone().into()];
    let current = staged.below("git-clone-shim/current/bin");
    for at in 1.. {
        let (outcome, sent) = staged.interrupt(&args, "INT", at);
        let now = usize::from(!outcome.status.success());
        staged.site.assert_works(&current, &versions[now]);
        if !sent {
            break;
        }
        staged.reset();
    }
}

#[test]
fn a_removal() {
    let [old, new] = [1, 2].map(version);
    let staged = Staged::new(SH, &[old.clone(), new.clone()]);
    let args = ["--uninstall".into(), old.into()];
    staged.run(&args).succeeded();
    let complete = staged.tree();
    let current = staged.below("git-clone-shim/current/bin");
    for at in 1.. {
        staged.reset();
        // It is so short that a signal has no effect.
        let (outcome, sent) = staged.interrupt(&args, "INT", at);
        outcome.succeeded();
        staged.site.assert_works(&current, &new);
        assert_eq!(tree::differences(&staged.tree(), &complete), [""; 0]);
        if !sent {
            break;
        }
    }
}
