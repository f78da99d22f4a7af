//! Signals reach git as they would without the shim, and the shim ends and stops as git does.

use std::os::unix::process::ExitStatusExt;
use std::process::Command;

use nix::libc;
use nix::sys::signal::{Signal, kill, killpg};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};

use crate::support::arena::Arena;
use crate::support::call::Call;
use crate::support::gits::gits;
use crate::support::held::Held;
use crate::support::process;
use crate::support::source;
use crate::support::tree::Tree;
use crate::support::wait;

fn same_files(left: &Tree, right: &Tree) -> bool {
    left.keys().eq(right.keys())
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
            let ends = [true, false].map(|through_shim| {
                let held = Held::start(git, through_shim, "ulimit -c 0;");
                // By kill(1), since real-time signals have no name in nix.
                let sent = Command::new("kill")
                    .arg(format!("-{signal}"))
                    .arg(held.pid().to_string())
                    .status()
                    .unwrap();
                assert!(sent.success());
                held.end()
            });
            assert_eq!(ends[0].0, ends[1].0, "signal {signal}");
            assert_eq!(ends[0].0.signal(), Some(signal), "{:?}", ends[0].0);
            assert!(same_files(&ends[0].1, &ends[1].1), "signal {signal}");
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
        let plain = run(Arena::path(&[arena.real_directory()]));
        let shim = run(Arena::path(&[
            arena.shim_directory(),
            arena.real_directory(),
        ]));
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
