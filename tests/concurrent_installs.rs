//! Several runs of `install`, `activate` and `uninstall` at once: each waits for the one before, and all succeed.

use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::process::{Child, Stdio};
use std::thread;

use nix::fcntl::{Flock, FlockArg};

use crate::support::arrangement;
use crate::support::call::{Call, Outcome};
use crate::support::installer::{Site, version};
use crate::support::tree;

/// How many runs there are at once.
const CROWD: usize = 8;

/// Runs these at once.
fn at_once(calls: Vec<Call>) -> Vec<Outcome> {
    thread::scope(|scope| {
        let running: Vec<_> = calls
            .into_iter()
            .map(|call| scope.spawn(|| call.run()))
            .collect();
        running
            .into_iter()
            .map(|call| call.join().unwrap())
            .collect()
    })
}

fn prints(outcome: &Outcome, start: &str) -> bool {
    let text = String::from_utf8_lossy(&outcome.stdout);
    text.lines().any(|line| line.starts_with(start))
}

#[test]
fn one_of_eight_installs_writes_and_the_others_report_it() {
    let site = Site::new();
    let version = version(1);
    let profile_d = site.prefix.join("profile.d");
    let options = ["--profile-d", profile_d.to_str().unwrap()];
    site.install(&version, &options);
    let alone = tree::read(&site.prefix);
    for _ in 0..5 {
        site.run("uninstall", [""; 0]).succeeded();
        assert!(!site.prefix.exists());
        let install = || Call::new(site.install_command(&version, &options));
        let outcomes = at_once((0..CROWD).map(|_| install()).collect());
        let succeeded = outcomes.iter().filter(|outcome| outcome.status.success());
        assert_eq!(succeeded.count(), CROWD, "{outcomes:?}");
        let installed = outcomes
            .iter()
            .filter(|outcome| prints(outcome, "Installed "));
        assert_eq!(installed.count(), 1, "{outcomes:?}");
        let already = outcomes
            .iter()
            .filter(|outcome| prints(outcome, "Already installed"));
        assert_eq!(already.count(), CROWD - 1, "{outcomes:?}");
        assert_eq!(
            tree::differences(&tree::read(&site.prefix), &alone),
            [""; 0]
        );
    }
}

#[test]
fn eight_different_versions_are_installed_at_once() {
    let site = Site::new();
    let versions: Vec<_> = (1..=CROWD).map(version).collect();
    for version in &versions {
        site.program(version);
    }
    let install = |version| Call::new(site.install_command(version, &[]));
    for outcome in at_once(versions.iter().map(|version| install(version)).collect()) {
        outcome.succeeded();
    }
    let listed = site.list();
    assert_eq!(listed.lines().count(), CROWD, "{listed}");
    let current = site.current().unwrap();
    site.assert_works(&site.bin(), current.to_str().unwrap());

    // And all that can be done with them at once: the last one is made current, the others are removed.
    let last = &versions[CROWD - 1];
    site.run("activate", [last]).succeeded();
    let mut calls: Vec<_> = versions[..CROWD - 1]
        .iter()
        .map(|version| Call::new(site.command("uninstall", [version])))
        .collect();
    calls.push(Call::new(site.command("activate", [last])));
    for outcome in at_once(calls) {
        outcome.succeeded();
    }
    assert_eq!(site.list(), format!("{last} (current)\n"));
    site.run("uninstall", [""; 0]).succeeded();
    assert!(!site.prefix.exists());
}

#[test]
fn installs_and_removals_at_once_leave_one_version_or_none() {
    let site = Site::new();
    let version = version(1);
    site.install(&version, &[]);
    for _ in 0..5 {
        let install = || Call::new(site.install_command(&version, &[]));
        let uninstall = || Call::new(site.command("uninstall", [""; 0]));
        let calls = (0..CROWD / 2)
            .flat_map(|_| [install(), uninstall()])
            .collect();
        for outcome in at_once(calls) {
            // One that comes after a removal has nothing to remove.
            let is_late = outcome.stderr_contains("nothing is installed");
            assert!(outcome.status.success() || is_late, "{outcome:?}");
        }
        match site.prefix.exists() && site.root().exists() {
            true => {
                let complete = tree::read(&site.prefix);
                site.install(&version, &[]);
                assert_eq!(
                    tree::differences(&tree::read(&site.prefix), &complete),
                    [""; 0]
                );
            }
            false => drop(site.install(&version, &[])),
        }
        site.assert_works(&site.bin(), &version);
    }
}

/// Starts an installation, and reads the line by which it says that it waits.
fn start_waiting(site: &Site, version: &str) -> Child {
    let mut command = site.install_command(version, &[]);
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut line = String::new();
    let mut stderr = BufReader::new(child.stderr.take().unwrap());
    stderr.read_line(&mut line).unwrap();
    let expected = "git-clone-shim: waiting for another process that changes ";
    assert!(line.starts_with(expected), "{line}");
    child
}

#[test]
fn waiting_run_prints_so_and_ends_by_a_signal() {
    let site = Site::new();
    let [old, new] = [1, 2].map(version);
    site.install(&old, &[]);
    let before = tree::read(&site.prefix);
    let file = File::create(site.root().join(".git-clone-shim.lock")).unwrap();
    let held = Flock::lock(file, FlockArg::LockExclusive).unwrap();
    let mut interrupted = start_waiting(&site, &new);
    let pid = nix::unistd::Pid::from_raw(interrupted.id().try_into().unwrap());
    nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGTERM).unwrap();
    assert!(!interrupted.wait().unwrap().success());
    let mut waiting = start_waiting(&site, &new);
    assert_eq!(site.list(), format!("{old} (current)\n"));
    // As the program does it: the file goes while it is still locked.
    fs::remove_file(site.root().join(".git-clone-shim.lock")).unwrap();
    assert_eq!(
        tree::differences(&tree::read(&site.prefix), &before),
        [""; 0]
    );
    drop(held);
    assert!(waiting.wait().unwrap().success());
    site.assert_works(&site.bin(), &new);
}

#[test]
fn install_without_locks_warns_and_works() {
    if arrangement::program("strace").is_none() {
        return;
    }
    for errno in ["ENOLCK", "ENOSYS", "EOPNOTSUPP"] {
        let site = Site::new();
        let install = site.install_command(&version(1), &[]);
        let mut strace = site.arena.command("strace");
        strace
            .args(["-o", "/dev/null", "-e", "trace=flock", "-e"])
            .arg(format!("inject=flock:error={errno}"))
            .arg(install.get_program())
            .args(install.get_args());
        let outcome = Call::new(strace).run().succeeded();
        assert!(outcome.stderr_contains("cannot be locked"), "{outcome:?}");
        site.assert_works(&site.bin(), &version(1));
        assert!(!site.root().join(".git-clone-shim.lock").exists());
    }
}
