//! Signals reach git as they would without the shim, and the shim ends as git does.

use std::fs::{self, File};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::Command;

use nix::libc::{self, SIGHUP, SIGINT, SIGKILL, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2};

use crate::support::arena::{Arena, REFUSED, for_each_git};
use crate::support::arrangement;
use crate::support::call::only_stderr;
use crate::support::gits::Git;
use crate::support::paused_clone::{PausedClone, START, Stage, Start};
use crate::support::process;
use crate::support::wait;

/// Where a clone waits when the signal comes.
#[derive(Clone, Copy, Debug, PartialEq)]
enum When {
    /// In an attempt whose links are made.
    Checkout,
    /// In an attempt whose first link is going to be refused. A fallback would wait as well, and would never end.
    RefusedLink,
    Fallback,
}

/// Pauses a clone, in a process group of its own, that a bash script starts after `setup`. Its stderr goes to a file.
fn pause(git: &Git, through_shim: bool, when: When, setup: &str) -> PausedClone {
    let mut arena = Arena::new(git);
    if when != When::Checkout {
        arena = arena.with_links_failing(libc::EPERM);
    }
    let stderr = File::create(arena.root().join("stderr")).unwrap();
    let line = if when == When::Fallback && !through_shim { "clone --no-hardlinks \"${@:2}\"" } else { "\"$@\"" };
    let start = Start {
        stage: if when == When::RefusedLink { Stage::Transport } else { Stage::Checkout },
        script: &format!("{setup} exec git {line}"),
        ..START
    };
    let paused = PausedClone::start_in(arena, through_shim, start, |command| {
        // As a shell would start it: in an orphaned process group the kernel stops no process (setpgid(2)).
        only_stderr(command.process_group(0), stderr)
    });
    let is_child = paused.git != paused.pid();
    assert_eq!(is_child, through_shim && when != When::Fallback, "an attempt is a child");
    paused
}

/// What that clone has written to stderr.
fn stderr(paused: &PausedClone) -> String {
    fs::read_to_string(paused.arena.root().join("stderr")).unwrap()
}

/// Sends a signal with kill(1), since nix has no names for real-time signals. A negative pid is a group.
fn send(signal: i32, to: i32) {
    let mut kill = Command::new("kill");
    kill.args([format!("-{signal}"), "--".into(), to.to_string()]);
    assert!(kill.status().unwrap().success());
}

#[test]
fn signal_ends_clone_as_it_ends_git() {
    // timeout(1) and many job schedulers send it to the group: then git gets it from them and from the shim. Who gets a
    // signal that is not forwarded dies of it, and git with the shim. `end` waits until git has ended, too. Its hook still waits after SIGKILL: plain
    // git leaves it behind as well.
    let rows: [(When, &str, &[i32]); 4] = [
        (When::Checkout, "program", &[SIGTERM, SIGINT, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2, libc::SIGRTMIN(), SIGKILL]),
        (When::Checkout, "group", &[SIGTERM, SIGINT, SIGHUP]),
        (When::RefusedLink, "program", &[SIGTERM, SIGINT, SIGHUP, SIGQUIT]),
        (When::Fallback, "program", &[SIGTERM, SIGINT, SIGHUP, SIGQUIT]),
    ];
    for_each_git(|git, _| {
        for (when, to, signals) in rows {
            for &signal in signals {
                let [shim, plain] = [true, false].map(|through_shim| {
                    let paused = pause(git, through_shim, when, "ulimit -c 0;");
                    let pid = paused.pid().as_raw();
                    send(signal, if to == "group" { -pid } else { pid });
                    paused.end()
                });
                let case = format!("{signal} to the {to}, {when:?}");
                assert_eq!((shim.0, plain.0.signal()), (plain.0, Some(signal)), "{case}");
                assert!(shim.1.keys().eq(plain.1.keys()), "{case}");
                assert_eq!(shim.1.is_empty(), when == When::RefusedLink, "{case}");
            }
        }
    });
}

#[test]
fn signal_that_git_survives_changes_nothing() {
    let flood = "kill -STOP $1; for ((i = 0; i < 70000; i++)); do kill -RTMIN $1; done; kill -USR1 $1; kill -CONT $1";
    let rows = [
        ("trap '' HUP INT USR1;", "kill -HUP $1; kill -INT $1; kill -USR1 $1"),
        // git itself ignores this one once it has shown progress.
        ("", "kill -ALRM $1"),
        // As other children's ends do, and a git that is continued and ends at once: one may come after git is reaped.
        ("", "(while kill -CHLD $1; do :; done) &"),
        // Real-time signals queue up, where a process that is stopped blocks them.
        ("trap '' RTMIN USR1; ulimit -i 100000 2>/dev/null;", flood),
    ];
    for_each_git(|git, _| {
        for (setup, signals) in rows {
            for through_shim in [true, false] {
                let paused = pause(git, through_shim, When::Checkout, setup);
                let mut bash = Command::new("bash");
                bash.args(["-ec", signals, "bash", &paused.pid().to_string()]);
                assert!(bash.status().unwrap().success());
                paused.release();
                let (status, tree) = paused.end();
                assert_eq!((status.code(), tree.is_empty()), (Some(0), false), "{setup}");
            }
        }
    });
}

#[test]
fn shim_or_git_that_is_stopped_goes_on() {
    // A signal that stops is not forwarded: a terminal sends it to both. Who continues the process that they started, continues git.
    let of_shim = [libc::SIGSTOP, libc::SIGTSTP, libc::SIGTTIN, libc::SIGTTOU].map(|signal| (signal, [true, false]));
    let of_git = [libc::SIGSTOP, libc::SIGTSTP].map(|signal| (signal, [false, true]));
    let of_both = (libc::SIGSTOP, [true, true]);
    for_each_git(|git, _| {
        for (signal, are_stopped) in of_shim.into_iter().chain(of_git).chain([of_both]) {
            let paused = pause(git, true, When::Checkout, "");
            let both = [paused.pid(), paused.git].into_iter().zip(are_stopped);
            let stopped: Vec<_> = both.filter_map(|(pid, is_stopped)| is_stopped.then_some(pid)).collect();
            for &pid in &stopped {
                send(signal, pid.as_raw());
                wait::until("it to stop", || process::is_stopped(pid));
            }
            paused.release();
            wait::until("git to end", || are_stopped[1] || !process::is_running(paused.git));
            assert!(process::is_stopped(stopped[0]));
            send(libc::SIGCONT, stopped[0].as_raw());
            assert_eq!(paused.end().0.code(), Some(0), "{signal} {are_stopped:?}");
        }
    });
}

#[test]
fn signal_that_the_caller_blocks_stays_pending() {
    // It comes before the attempt, or during it; git alone would not notice it, and a fallback is made.
    let blocked = "exec env --block-signal=TERM bash -c 'test -z $0 || kill -TERM $$; exec git \"$@\"'";
    for_each_git(|git, _| {
        for comes_before in [true, false] {
            let setup = format!("{blocked} '{}' \"$@\";", if comes_before { "yes" } else { "" });
            let mut paused = pause(git, true, When::RefusedLink, &setup);
            if !comes_before {
                send(SIGTERM, paused.pid().as_raw());
            }
            assert!(process::has(paused.pid(), "ShdPnd:", SIGTERM));
            // One line for the attempt, one for the fallback.
            paused.release_to(":\n:");
            assert_eq!(paused.wait().code(), Some(0), "{}", stderr(&paused));
            assert!(!stderr(&paused).contains(REFUSED), "{}", stderr(&paused));
        }
    });
}

#[test]
fn signal_after_gits_exit_prevents_fallback() {
    // The shim is stopped meanwhile, so that it learns of the exit and the signal at once. SIGCONT alone prevents nothing.
    for_each_git(|git, _| {
        for signal in [Some(SIGTERM), None] {
            let mut paused = pause(git, true, When::RefusedLink, "");
            let pid = paused.pid();
            send(libc::SIGSTOP, pid.as_raw());
            wait::until("the shim to stop", || process::is_stopped(pid));
            paused.release_to(":\n:");
            wait::until("git to end", || !process::is_running(paused.git));
            for signal in signal.into_iter().chain([libc::SIGCONT]) {
                send(signal, pid.as_raw());
            }
            let is_cured = signal.is_none();
            assert_eq!(paused.wait().code(), Some(if is_cured { 0 } else { 128 }));
            assert_eq!(stderr(&paused).contains(REFUSED), !is_cured, "{}", stderr(&paused));
            assert_eq!(paused.end().1.is_empty(), !is_cured);
        }
    });
}

#[test]
fn only_git_leaves_a_core_file() {
    // git has left its core file; one of the shim, which dies of the same signal, could overwrite it.
    for_each_git(|git, _| {
        let [shim, plain] = [true, false].map(|through_shim| {
            let mut paused = pause(git, through_shim, When::Checkout, "ulimit -c unlimited;");
            send(SIGQUIT, paused.pid().as_raw());
            paused.wait()
        });
        assert_eq!([shim.signal(), plain.signal()], [Some(SIGQUIT); 2]);
        if plain.core_dumped() {
            assert!(!shim.core_dumped());
        } else {
            arrangement::missing("core files");
        }
    });
}
