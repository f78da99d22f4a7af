//! On a terminal a supervised clone looks and listens as git does.

use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, ExitStatus};

use nix::libc;

use crate::support::arena::{Arena, REFUSED};
use crate::support::call::Call;
use crate::support::gits::gits;
use crate::support::held::Held;
use crate::support::process;
use crate::support::source;
use crate::support::terminal::Terminal;
use crate::support::tree;
use crate::support::wait;
use crate::support::words::{copying, from, words};

/// Runs a command on a terminal of its own and returns how it ended and what the screen got.
pub fn on_a_terminal(mut command: Command) -> (ExitStatus, Vec<u8>) {
    let terminal = Terminal::open();
    terminal.connect(&mut command);
    let mut child = command.spawn().unwrap();
    // Our copies of the far end must go, so that the screen ends with the child.
    drop(command);
    let screen = terminal.watch().screen();
    (child.wait().unwrap(), screen)
}

#[test]
fn progress_on_a_terminal() {
    for git in gits() {
        let arena = Arena::new(git);
        let source = source::small(&arena, "src");
        for (options, added) in [
            ("-l", true),
            ("-l -v", true),
            ("-l -q", false),
            ("-l --no-progress", false),
        ] {
            let line = from(&source, words(&format!("clone {options} SRC dst")));
            let trace = arena.root().join("trace");
            let _ = fs::remove_file(&trace);
            let run = |call: Call| {
                tree::clear(arena.place());
                on_a_terminal(call.command)
            };
            let plain = run(arena.real(line.clone()));
            let shim = run(arena.shim(line.clone()).env("GIT_TRACE", &trace));
            assert_eq!(
                shim.1.escape_ascii().to_string(),
                plain.1.escape_ascii().to_string()
            );
            assert_eq!((shim.0.code(), plain.0.code()), (Some(0), Some(0)));
            let trace = fs::read_to_string(&trace).unwrap();
            assert_eq!(
                trace.contains("git clone --progress -l"),
                added,
                "{options}: {trace}"
            );
        }
    }
}

#[test]
fn a_fallback_on_a_terminal() {
    for git in gits() {
        let Some(arena) = Arena::across_devices(git) else {
            return;
        };
        let source = source::small(&arena, "src");
        let line = from(&source, words("clone -l SRC dst"));
        let run = |call: Call| {
            tree::clear(arena.place());
            on_a_terminal(call.command)
        };
        let failed = run(arena.real(line.clone()));
        assert!(
            failed.0.code() == Some(128)
                && failed
                    .1
                    .windows(REFUSED.len())
                    .any(|part| part == REFUSED.as_bytes())
        );
        let expected = run(arena.real(copying(&line)));
        let cured = run(arena.shim(line));
        assert_eq!((cured.0.code(), expected.0.code()), (Some(0), Some(0)));
        assert_eq!(
            cured.1.escape_ascii().to_string(),
            expected.1.escape_ascii().to_string()
        );
    }
}

#[test]
fn keys_that_send_signals() {
    for git in gits() {
        for (key, signal) in [(b"\x03", libc::SIGINT), (b"\x1c", libc::SIGQUIT)] {
            let ends = [true, false].map(|through_shim| {
                let terminal = Terminal::open();
                // setsid makes it the controlling terminal of a session of its own.
                let shell = ["setsid", "--ctty", "bash"];
                let held = Held::start_as(
                    git,
                    through_shim,
                    &shell,
                    "ulimit -c 0; exec git \"$@\"",
                    |command| {
                        terminal.connect(command);
                    },
                );
                terminal.watch().type_in(key);
                held.end()
            });
            assert_eq!(ends[0].0, ends[1].0);
            assert_eq!(ends[0].0.signal(), Some(signal), "{:?}", ends[0].0);
            assert!(ends[0].1.keys().eq(ends[1].1.keys()));
        }
    }
}

#[test]
fn hanging_up() {
    for git in gits() {
        let ends = [true, false].map(|through_shim| {
            let terminal = Terminal::open();
            let shell = ["setsid", "--ctty", "bash"];
            let held = Held::start_as(git, through_shim, &shell, "exec git \"$@\"", |command| {
                terminal.connect(command);
            });
            drop(terminal);
            held.end()
        });
        assert_eq!(ends[0].0, ends[1].0);
        assert_eq!(ends[0].0.signal(), Some(libc::SIGHUP), "{:?}", ends[0].0);
        assert!(ends[0].1.keys().eq(ends[1].1.keys()));
    }
}

#[test]
fn stopped_and_taken_up_again_from_a_shell() {
    for git in gits() {
        for through_shim in [true, false] {
            let terminal = Terminal::open();
            // With job control the clone is a job of its own, as it is at a prompt.
            let script =
                "set -m; git \"$@\"; echo \"stopped $?\"; read -r; fg; echo \"ended $?\"; exit 7";
            let shell = ["setsid", "--ctty", "bash"];
            let held = Held::start_as(git, through_shim, &shell, script, |command| {
                terminal.connect(command);
            });
            let mut terminal = terminal.watch();
            terminal.type_in(b"\x1a");
            wait::until("the shell to go on", || terminal.shows(b"stopped 148"));
            assert!(process::is_stopped(held.git));
            terminal.type_in(b"\n");
            wait::until("git to go on", || !process::is_stopped(held.git));
            held.release();
            let (status, tree) = held.end();
            assert_eq!(status.code(), Some(7), "{status:?}");
            assert!(terminal.shows(b"ended 0"));
            assert!(!tree.is_empty());
        }
    }
}
