//! A log file on a filesystem that hangs delays no git, and no process waits there for ever.

use std::process::{Command, ExitStatus, Stdio};

use nix::libc;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::support::arena::Arena;
use crate::support::args::{args, with_source};
use crate::support::arrangement;
use crate::support::call::only_stderr;
use crate::support::executable;
use crate::support::fault;
use crate::support::gits::gits;
use crate::support::process;
use crate::support::source;
use crate::support::sshfs::Sshfs;
use crate::support::wait;

/// The system calls that make a link.
const LINKS: [libc::c_long; 2] = [libc::SYS_link, libc::SYS_linkat];

/// The options with which unshare(1) runs a program as process 1.
const UNSHARE: [&str; 4] = ["--user", "--map-root-user", "--pid", "--fork"];

/// Starts `command` where link(2) fails, and `pidfd_open(2)` too if `without_pidfd`, and waits for its exit.
fn exit_status(mut command: Command, without_pidfd: bool) -> ExitStatus {
    only_stderr(&mut command, Stdio::inherit());
    let mut child = fault::with_calls_failing(&LINKS, libc::EPERM, || match without_pidfd {
        // As before Linux 5.3.
        true => fault::with_calls_failing(&[libc::SYS_pidfd_open], libc::ENOSYS, || {
            command.spawn().unwrap()
        }),
        false => command.spawn().unwrap(),
    });
    let mut status = None;
    wait::until("git to exit", || {
        status = child.try_wait().unwrap();
        status.is_some()
    });
    status.unwrap()
}

/// A clone through the shim whose record goes to a file on `sshfs`.
fn clone(arena: &Arena, sshfs: &Sshfs, directory: &str) -> Command {
    let source = arena.root().join("src").into_os_string();
    let mut line = with_source(source, args("clone -q -l SRC"));
    line.push(directory.into());
    let call = arena.shim(line);
    let file = sshfs.mounted.path().join("log");
    call.env("GIT_CLONE_SHIM_LOG_FILE", file).command
}

/// The processes of the shim that are left.
fn observers(arena: &Arena) -> Vec<Pid> {
    process::running(executable::shim(), &arena.root().join("home"))
}

#[test]
fn git_does_not_wait_for_the_log() {
    let Some(sshfs) = Sshfs::mount("") else {
        return;
    };
    let arena = Arena::new(&gits()[0]);
    source::small(&arena, "src");
    sshfs.hang();
    for (directory, without_pidfd) in [("with", false), ("without", true)] {
        let command = clone(&arena, &sshfs, directory);
        assert!(exit_status(command, without_pidfd).success(), "{directory}");
        let log = arena.work_dir().join(directory).join(".git/HEAD");
        assert!(log.exists(), "{directory}");
    }
    sshfs.answer();
    wait::until("the observers to exit", || observers(&arena).is_empty());
}

#[test]
fn process_1_does_not_wait_for_the_log() {
    // When process 1 exits, the kernel waits for all other processes of the namespace, also for one that no signal ends.
    let Some(sshfs) = Sshfs::mount("") else {
        return;
    };
    let arena = Arena::new(&gits()[0]);
    source::small(&arena, "src");
    let mut probe = Command::new("unshare");
    if !probe
        .args(UNSHARE)
        .arg("true")
        .status()
        .is_ok_and(|status| status.success())
    {
        return arrangement::missing("user namespace with processes of its own");
    }
    sshfs.hang();
    let inside = clone(&arena, &sshfs, "dst");
    let mut command = arena.command("unshare");
    command
        .args(UNSHARE)
        .arg(inside.get_program())
        .args(inside.get_args())
        .envs(
            inside
                .get_envs()
                .filter_map(|(name, value)| Some((name, value?))),
        );
    assert!(exit_status(command, false).success());
    assert!(arena.work_dir().join("dst/.git/HEAD").exists());
}

#[test]
fn sigterm_and_time_end_an_observer_that_hangs() {
    let Some(sshfs) = Sshfs::mount("") else {
        return;
    };
    let arena = Arena::new(&gits()[0]);
    source::small(&arena, "src");
    let Some(_stopped) = sshfs.stop() else {
        return arrangement::missing("sshfs process to stop");
    };
    for (directory, without_pidfd) in [("a", false), ("b", true)] {
        let command = clone(&arena, &sshfs, directory);
        assert!(exit_status(command, without_pidfd).success());
        wait::until("the observer to unblock SIGTERM", || {
            let left = observers(&arena);
            left.len() == 1 && !process::blocks(left[0], libc::SIGTERM)
        });
        for observer in observers(&arena) {
            kill(observer, Signal::SIGTERM).unwrap();
        }
        wait::until("the observer to die", || observers(&arena).is_empty());
    }
    // Without a signal, it ends by itself.
    assert!(exit_status(clone(&arena, &sshfs, "c"), false).success());
    wait::until("the observer to die", || observers(&arena).is_empty());
}
