//! Signals reach git as they would without the shim, and the shim ends and stops as git does.

use std::fs::{self, File};
use std::os::unix::process::ExitStatusExt;
use std::process::Command;

use nix::libc;
use nix::sys::signal::{Signal, kill, killpg};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;

use crate::support::arena::{Arena, REFUSED};
use crate::support::arrangement;
use crate::support::call::Call;
use crate::support::gits::gits;
use crate::support::held::{Held, Stage, Start, apart};
use crate::support::process;
use crate::support::source;
use crate::support::tree::Tree;
use crate::support::wait;

fn same_files(left: &Tree, right: &Tree) -> bool {
    left.keys().eq(right.keys())
}

/// A script that becomes git, which is to leave no core file.
const NO_CORE: &str = "ulimit -c 0; exec git \"$@\"";

/// Sends a signal by kill(1), since real-time signals have no names in nix.
fn send(signal: i32, to: Pid) {
    let mut kill = Command::new("kill");
    kill.arg(format!("-{signal}")).arg(to.to_string());
    assert!(kill.status().unwrap().success());
}

/// Ends a clone that `hold` holds, through the shim or not, by `signal`; what is left of it. Both come to the same.
#[track_caller]
fn ended_alike(signal: i32, hold: impl Fn(bool) -> Option<Held>) -> Option<Tree> {
    let [shim, plain] = [true, false].map(|through_shim| {
        let held = hold(through_shim)?;
        send(signal, held.pid());
        Some(held.end())
    });
    let ((status, left), (expected, expected_left)) = (shim?, plain?);
    assert_eq!(status, expected);
    assert_eq!(status.signal(), Some(signal), "{status:?}");
    assert!(same_files(&left, &expected_left), "signal {signal}");
    Some(left)
}

#[test]
fn a_signal_to_the_shim_alone_reaches_git() {
    for git in gits() {
        for signal in [
            libc::SIGTERM,
            libc::SIGINT,
            libc::SIGHUP,
            libc::SIGQUIT,
            libc::SIGUSR1,
            libc::SIGRTMIN(),
        ] {
            let hold = |through_shim| Some(Held::start(git, through_shim, "ulimit -c 0;"));
            ended_alike(signal, hold);
        }
    }
}

#[test]
fn killed_outright_it_leaves_no_git_behind() {
    for git in gits() {
        let held = Held::start(git, true, "");
        assert!(process::is_running(held.git));
        kill(held.pid(), Signal::SIGKILL).unwrap();
        // `end` waits until git has gone too; its hook, which plain git would leave behind as well, still waits.
        let (status, _) = held.end();
        assert_eq!(status.signal(), Some(libc::SIGKILL));
    }
}

#[test]
fn ignored_signals_stay_ignored() {
    for git in gits() {
        for through_shim in [true, false] {
            let held = Held::start(git, through_shim, "trap '' HUP INT;");
            kill(held.pid(), Signal::SIGHUP).unwrap();
            kill(held.pid(), Signal::SIGINT).unwrap();
            held.release();
            let (status, tree) = held.end();
            assert_eq!(status.code(), Some(0), "{status:?}");
            assert!(!tree.is_empty());
        }
    }
}

#[test]
fn if_git_stops_so_do_we() {
    for git in gits() {
        for signal in [Signal::SIGTSTP, Signal::SIGTTIN] {
            let held = Held::start(git, true, "");
            let shim = held.pid();
            kill(shim, signal).unwrap();
            let look = WaitPidFlag::WUNTRACED | WaitPidFlag::WNOHANG;
            let stopped = Some(WaitStatus::Stopped(shim, signal));
            wait::until("the shim to stop", || {
                waitpid(shim, Some(look)).ok() == stopped
            });
            wait::until("git to stop", || process::is_stopped(held.git));
            kill(shim, Signal::SIGCONT).unwrap();
            wait::until("git to go on", || !process::is_stopped(held.git));
            held.release();
            let (status, _) = held.end();
            assert_eq!(status.code(), Some(0), "{status:?}");
        }
    }
}

#[test]
fn sigchld_ignored_by_the_caller() {
    // Some callers ignore SIGCHLD, and then the kernel keeps no status for waitpid(2).
    for git in gits() {
        let arena = Arena::new(git);
        let source = source::small(&arena, "src");
        let shell = format!("trap '' CHLD; exec git clone -l '{}' dst", source.display());
        let run = |path: std::ffi::OsString| {
            let mut command = arena.command("bash");
            command.args(["-c", &shell]).env("PATH", path);
            arena.run(&|_| (), Call::new(command))
        };
        let plain = run(arena.path_of(false));
        let shim = run(arena.path_of(true));
        assert_eq!(shim.outcome, plain.outcome);
        assert!(shim.tree == plain.tree);
    }
}

#[test]
fn a_signal_to_the_group() {
    // As timeout(1) and many job schedulers send it: git gets it twice, and ends as if it had come once.
    for git in gits() {
        for signal in [Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP] {
            let ends = [true, false].map(|through_shim| {
                let held = Held::start(git, through_shim, "");
                killpg(held.pid(), signal).unwrap();
                held.end()
            });
            assert_eq!(ends[0].0, ends[1].0, "{signal}");
            assert_eq!(ends[0].0.signal(), Some(signal as i32), "{:?}", ends[0].0);
            assert!(same_files(&ends[0].1, &ends[1].1), "{signal}");
        }
    }
}

/// A clone through the shim, on whose first run git is going to be refused a link, held before it is.
fn held_before_a_refused_link(arena: Arena, through_shim: bool, script: &str) -> Held {
    let start = Start {
        stage: Stage::Transport,
        script,
        ..Start::default()
    };
    let said = File::create(arena.root().join("said")).unwrap();
    Held::start_in(arena, through_shim, start, |command| {
        apart(command);
        command.stderr(said);
    })
}

// In the three tests that follow a second run would be held as the first one is, and would never end.

#[test]
fn a_signal_in_the_first_run_prevents_the_second() {
    for git in gits() {
        for signal in [libc::SIGTERM, libc::SIGINT, libc::SIGHUP, libc::SIGQUIT] {
            let left = ended_alike(signal, |through_shim| {
                let arena = Arena::across_devices(git)?;
                Some(held_before_a_refused_link(arena, through_shim, NO_CORE))
            });
            assert!(left.is_none_or(|left| left.is_empty()));
        }
    }
}

#[test]
fn a_signal_that_git_blocks_prevents_the_second_run_too() {
    // git ends of the refused link, as it would have. Run again it would have lost the signal, which we have taken.
    for git in gits() {
        let [shim, plain] = [true, false].map(|through_shim| {
            let arena = Arena::across_devices(git)?;
            let script = "exec env --block-signal=TERM git \"$@\"";
            let mut held = held_before_a_refused_link(arena, through_shim, script);
            send(libc::SIGTERM, held.pid());
            let reached = || process::has_pending(held.git, libc::SIGTERM);
            wait::until("the signal to reach git", reached);
            held.release_to(":");
            let status = held.wait();
            let said = fs::read_to_string(held.arena.root().join("said")).unwrap();
            Some((status, said, held.end().1))
        });
        let (Some(shim), Some(plain)) = (shim, plain) else {
            return;
        };
        assert_eq!(shim.0.code(), Some(128));
        assert!(shim.1.contains(REFUSED), "{}", shim.1);
        assert_eq!(shim, plain);
    }
}

#[test]
fn a_signal_that_comes_after_gits_end_prevents_the_second_run_too() {
    // The shim is stopped, so that it learns of both at once.
    for git in gits() {
        let Some(arena) = Arena::across_devices(git) else {
            return;
        };
        let mut held = held_before_a_refused_link(arena, true, Start::default().script);
        send(libc::SIGSTOP, held.pid());
        wait::until("the shim to stop", || process::is_stopped(held.pid()));
        held.release_to(":");
        wait::until("git to end", || !process::is_running(held.git));
        send(libc::SIGTERM, held.pid());
        send(libc::SIGCONT, held.pid());
        let status = held.wait();
        assert_eq!(status.code(), Some(128), "{status:?}");
        let said = fs::read_to_string(held.arena.root().join("said")).unwrap();
        assert!(said.contains(REFUSED), "{said}");
        assert!(held.end().1.is_empty());
    }
}

#[test]
fn a_signal_in_the_second_run() {
    for git in gits() {
        for signal in [libc::SIGTERM, libc::SIGINT, libc::SIGHUP, libc::SIGQUIT] {
            let left = ended_alike(signal, |through_shim| {
                let arena = Arena::across_devices(git)?;
                let start = Start {
                    options: if through_shim {
                        "-l"
                    } else {
                        "-l --no-hardlinks"
                    },
                    script: NO_CORE,
                    ..Start::default()
                };
                let held = Held::start_in(arena, through_shim, start, apart);
                assert_eq!(held.git, held.pid(), "the second run is git itself");
                Some(held)
            });
            assert!(left.is_none_or(|left| !left.is_empty()));
        }
    }
}

#[test]
fn sigstop_stops_the_shim_and_not_git() {
    // No process can pass it on; and SIGTTOU is left to stop whoever writes in the background (`terminal`).
    for git in gits() {
        for signal in [libc::SIGSTOP, libc::SIGTTOU] {
            let held = Held::start(git, true, "");
            send(signal, held.pid());
            wait::until("the shim to stop", || process::is_stopped(held.pid()));
            held.release();
            wait::until("git to end", || !process::is_running(held.git));
            assert!(process::is_stopped(held.pid()));
            send(libc::SIGCONT, held.pid());
            let (status, _) = held.end();
            assert_eq!(status.code(), Some(0), "{status:?}");
        }
    }
}

#[test]
fn the_core_file_is_gits() {
    // Where git leaves one the shim, which dies of the same signal, does not leave a second one.
    for git in gits() {
        let [shim, plain] = [true, false].map(|through_shim| {
            let mut held = Held::start(git, through_shim, "ulimit -c unlimited;");
            send(libc::SIGQUIT, held.pid());
            held.wait()
        });
        assert_eq!([shim.signal(), plain.signal()], [Some(libc::SIGQUIT); 2]);
        if !plain.core_dumped() {
            arrangement::missing("core files");
            return;
        }
        assert!(!shim.core_dumped());
    }
}
