//! Signals reach git as they would without the shim, and the shim ends and stops as git does.

use std::fs::{self, File};
use std::os::unix::process::ExitStatusExt;
use std::process::Command;

use nix::libc;
use nix::sys::signal::{Signal, kill, killpg};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;

use crate::support::arena::{Arena, REFUSED, for_each_git};
use crate::support::arrangement;
use crate::support::call::Call;
use crate::support::gits::Git;
use crate::support::paused_clone::{PausedClone, Stage, Start, in_own_process_group};
use crate::support::process;
use crate::support::source;
use crate::support::tree::Tree;
use crate::support::wait;

fn same_files(left: &Tree, right: &Tree) -> bool {
    left.keys().eq(right.keys())
}

/// A script that execs git and has it leave no core file.
const NO_CORE: &str = "ulimit -c 0; exec git \"$@\"";

/// Sends a signal with kill(1), since nix has no names for real-time signals.
fn send(signal: i32, to: Pid) {
    let mut kill = Command::new("kill");
    kill.arg(format!("-{signal}")).arg(to.to_string());
    assert!(kill.status().unwrap().success());
}

/// Kills a clone that `pause` has paused, through the shim and without it, with `signal`. Asserts that both end the same and
/// leave the same files, and returns these.
#[track_caller]
fn assert_killed_alike(signal: i32, pause: impl Fn(bool) -> PausedClone) -> Tree {
    let [(status, left), (expected, expected_left)] = [true, false].map(|through_shim| {
        let paused = pause(through_shim);
        send(signal, paused.pid());
        paused.end()
    });
    assert_eq!(status, expected);
    assert_eq!(status.signal(), Some(signal), "{status:?}");
    assert!(same_files(&left, &expected_left), "signal {signal}");
    left
}

#[test]
fn signal_to_shim_alone_is_forwarded_to_git() {
    for_each_git(|git, _| {
        for signal in [
            libc::SIGTERM,
            libc::SIGINT,
            libc::SIGHUP,
            libc::SIGQUIT,
            libc::SIGUSR1,
            libc::SIGRTMIN(),
        ] {
            assert_killed_alike(signal, |through_shim| {
                PausedClone::start(git, through_shim, "ulimit -c 0;")
            });
        }
    });
}

#[test]
fn sigkill_of_shim_ends_git() {
    for_each_git(|git, _| {
        let paused = PausedClone::start(git, true, "");
        assert!(process::is_running(paused.git));
        kill(paused.pid(), Signal::SIGKILL).unwrap();
        // `end` waits until git has ended, too. Its hook still waits: plain git leaves it behind as well.
        let (status, _) = paused.end();
        assert_eq!(status.signal(), Some(libc::SIGKILL));
    });
}

#[test]
fn ignored_signals_stay_ignored() {
    for_each_git(|git, _| {
        for through_shim in [true, false] {
            let paused = PausedClone::start(git, through_shim, "trap '' HUP INT;");
            kill(paused.pid(), Signal::SIGHUP).unwrap();
            kill(paused.pid(), Signal::SIGINT).unwrap();
            paused.release();
            let (status, tree) = paused.end();
            assert_eq!(status.code(), Some(0), "{status:?}");
            assert!(!tree.is_empty());
        }
    });
}

#[test]
fn shim_stops_when_git_stops() {
    for_each_git(|git, _| {
        for signal in [Signal::SIGTSTP, Signal::SIGTTIN] {
            let paused = PausedClone::start(git, true, "");
            let shim = paused.pid();
            kill(shim, signal).unwrap();
            let look = WaitPidFlag::WUNTRACED | WaitPidFlag::WNOHANG;
            let stopped = Some(WaitStatus::Stopped(shim, signal));
            wait::until("the shim to stop", || {
                waitpid(shim, Some(look)).ok() == stopped
            });
            wait::until("git to stop", || process::is_stopped(paused.git));
            kill(shim, Signal::SIGCONT).unwrap();
            wait::until("git to go on", || !process::is_stopped(paused.git));
            paused.release();
            let (status, _) = paused.end();
            assert_eq!(status.code(), Some(0), "{status:?}");
        }
    });
}

#[test]
fn clone_succeeds_when_caller_ignores_sigchld() {
    // Where SIGCHLD is ignored, the kernel keeps no status for waitpid(2).
    for_each_git(|_, arena| {
        let source = source::small(&arena, "src");
        let shell = format!("trap '' CHLD; exec git clone -l '{}' dst", source.display());
        let run = |path: std::ffi::OsString| {
            let mut command = arena.command("bash");
            command.args(["-c", &shell]).env("PATH", path);
            arena.run(Call::new(command))
        };
        let plain = run(arena.path_of(false));
        let shim = run(arena.path_of(true));
        assert_eq!(shim.outcome, plain.outcome);
        assert_eq!(shim.tree, plain.tree);
    });
}

#[test]
fn signal_to_process_group_ends_both() {
    // As timeout(1) and many job schedulers send it: git gets it from them and from the shim, and ends as if it came once.
    for_each_git(|git, _| {
        for signal in [Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP] {
            let ends = [true, false].map(|through_shim| {
                let paused = PausedClone::start(git, through_shim, "");
                killpg(paused.pid(), signal).unwrap();
                paused.end()
            });
            assert_eq!(ends[0].0, ends[1].0, "{signal}");
            assert_eq!(ends[0].0.signal(), Some(signal as i32), "{:?}", ends[0].0);
            assert!(same_files(&ends[0].1, &ends[1].1), "{signal}");
        }
    });
}

/// A clone of which a link is going to be refused, paused before that. Its stderr goes to the file `stderr` of the arena.
fn pause_before_refused_link(git: &Git, through_shim: bool, script: &str) -> PausedClone {
    let arena = Arena::new(git).with_links_failing(libc::EPERM);
    let start = Start {
        stage: Stage::Transport,
        script,
        ..Start::default()
    };
    let stderr = File::create(arena.root().join("stderr")).unwrap();
    PausedClone::start_in(arena, through_shim, start, |command| {
        in_own_process_group(command);
        command.stderr(stderr);
    })
}

/// What that clone has written to stderr.
fn stderr(paused: &PausedClone) -> String {
    fs::read_to_string(paused.arena.root().join("stderr")).unwrap()
}

// In the next three tests a fallback would pause as the attempt does, and would never end.

#[test]
fn signal_during_attempt_prevents_fallback() {
    for_each_git(|git, _| {
        for signal in [libc::SIGTERM, libc::SIGINT, libc::SIGHUP, libc::SIGQUIT] {
            let left = assert_killed_alike(signal, |through_shim| {
                pause_before_refused_link(git, through_shim, NO_CORE)
            });
            assert!(left.is_empty());
        }
    });
}

#[test]
fn signal_that_git_blocks_prevents_fallback() {
    // git ends of the refused link, as it would without the shim. A fallback would not get the signal: the shim has taken it.
    for_each_git(|git, _| {
        let [shim, plain] = [true, false].map(|through_shim| {
            let script = "exec env --block-signal=TERM git \"$@\"";
            let mut paused = pause_before_refused_link(git, through_shim, script);
            send(libc::SIGTERM, paused.pid());
            let reached = || process::has_pending(paused.git, libc::SIGTERM);
            wait::until("the signal to reach git", reached);
            paused.release_to(":");
            let status = paused.wait();
            (status, stderr(&paused), paused.end().1)
        });
        assert_eq!(shim.0.code(), Some(128));
        assert!(shim.1.contains(REFUSED), "{}", shim.1);
        assert_eq!(shim, plain);
    });
}

#[test]
fn signal_after_gits_exit_prevents_fallback() {
    // The shim is stopped meanwhile, so that it learns of the exit and the signal at once.
    for_each_git(|git, _| {
        let mut paused = pause_before_refused_link(git, true, Start::default().script);
        send(libc::SIGSTOP, paused.pid());
        wait::until("the shim to stop", || process::is_stopped(paused.pid()));
        paused.release_to(":");
        wait::until("git to end", || !process::is_running(paused.git));
        send(libc::SIGTERM, paused.pid());
        send(libc::SIGCONT, paused.pid());
        let status = paused.wait();
        assert_eq!(status.code(), Some(128), "{status:?}");
        let stderr = stderr(&paused);
        assert!(stderr.contains(REFUSED), "{stderr}");
        assert!(paused.end().1.is_empty());
    });
}

#[test]
fn signal_during_fallback_ends_git() {
    for_each_git(|git, _| {
        for signal in [libc::SIGTERM, libc::SIGINT, libc::SIGHUP, libc::SIGQUIT] {
            let left = assert_killed_alike(signal, |through_shim| {
                let start = Start {
                    options: if through_shim {
                        "-l"
                    } else {
                        "-l --no-hardlinks"
                    },
                    script: NO_CORE,
                    ..Start::default()
                };
                let arena = Arena::new(git).with_links_failing(libc::EPERM);
                let paused =
                    PausedClone::start_in(arena, through_shim, start, in_own_process_group);
                assert_eq!(paused.git, paused.pid(), "the fallback is an exec");
                paused
            });
            assert!(!left.is_empty());
        }
    });
}

#[test]
fn sigstop_stops_shim_but_not_git() {
    // SIGSTOP cannot be caught, so it cannot be forwarded. SIGTTOU stops a process that writes in the background (see
    // `terminal`).
    for_each_git(|git, _| {
        for signal in [libc::SIGSTOP, libc::SIGTTOU] {
            let paused = PausedClone::start(git, true, "");
            send(signal, paused.pid());
            wait::until("the shim to stop", || process::is_stopped(paused.pid()));
            paused.release();
            wait::until("git to end", || !process::is_running(paused.git));
            assert!(process::is_stopped(paused.pid()));
            send(libc::SIGCONT, paused.pid());
            let (status, _) = paused.end();
            assert_eq!(status.code(), Some(0), "{status:?}");
        }
    });
}

#[test]
fn only_git_leaves_a_core_file() {
    // git has left its core file; one of the shim, which dies of the same signal, could overwrite it.
    for_each_git(|git, _| {
        let [shim, plain] = [true, false].map(|through_shim| {
            let mut paused = PausedClone::start(git, through_shim, "ulimit -c unlimited;");
            send(libc::SIGQUIT, paused.pid());
            paused.wait()
        });
        assert_eq!([shim.signal(), plain.signal()], [Some(libc::SIGQUIT); 2]);
        if !plain.core_dumped() {
            arrangement::missing("core files");
            return;
        }
        assert!(!shim.core_dumped());
    });
}
