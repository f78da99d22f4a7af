//! On a terminal a supervised clone reacts as git does: to keys, to a hangup, to job control.

use std::ffi::OsString;
use std::os::unix::process::ExitStatusExt;

use nix::libc;

use crate::support::arena::for_each_git;
use crate::support::args::{args, with_source};
use crate::support::arrangement;
use crate::support::executable;
use crate::support::hook::{self, TEMPLATE};
use crate::support::paused_clone::PausedClone;
use crate::support::process;
use crate::support::source;
use crate::support::terminal::{self, SESSION, Terminal};
use crate::support::tree;
use crate::support::wait;

#[test]
fn keys_that_send_signals_end_clone_as_git() {
    for_each_git(|git, _| {
        for (key, signal) in [(b"\x03", libc::SIGINT), (b"\x1c", libc::SIGQUIT)] {
            let ends = [true, false].map(|through_shim| {
                let terminal = Terminal::open();
                let paused = PausedClone::start_as(
                    git,
                    through_shim,
                    &SESSION,
                    "ulimit -c 0; exec git \"$@\"",
                    |command| {
                        terminal.connect(command);
                    },
                );
                terminal.watch().type_in(key);
                paused.end()
            });
            assert_eq!(ends[0].0, ends[1].0);
            assert_eq!(ends[0].0.signal(), Some(signal), "{:?}", ends[0].0);
            assert!(ends[0].1.keys().eq(ends[1].1.keys()));
        }
    });
}

#[test]
fn key_before_git_starts_ends_the_clone() {
    // strace delays the fork, at which the shim has already blocked its signals.
    let Some(strace) = arrangement::program("strace") else {
        return;
    };
    let calls = "clone,?fork,?clone3";
    for_each_git(|_, arena| {
        let source = source::small(&arena, "src");
        let terminal = Terminal::open();
        // If the key comes too late, it still reaches a git.
        hook::post_checkout(arena.work_dir(), "sleep 60");
        let mut command = arena.command("setsid");
        command
            .arg("--ctty")
            .arg(&strace)
            .args(["-qo", "/dev/null", "-e", &format!("trace={calls}")])
            .args(["-e", &format!("inject={calls}:delay_enter=1000000:when=1")])
            .args(with_source(
                &source,
                args(&format!("git clone -l {TEMPLATE} SRC dst")),
            ))
            .env("PATH", arena.path_of(true));
        terminal.connect(&mut command);
        let mut child = command.spawn().unwrap();
        let home = arena.root().join("home");
        wait::until("the shim to block signals", || {
            let shims = process::running(executable::shim(), &home);
            shims
                .iter()
                .any(|&shim| process::blocks(shim, libc::SIGINT))
        });
        terminal.watch().type_in(b"\x03");
        let status = child.wait().unwrap();
        assert_eq!(status.signal(), Some(libc::SIGINT), "{status:?}");
    });
}

#[test]
fn hangup_ends_clone_as_git() {
    for_each_git(|git, _| {
        let ends = [true, false].map(|through_shim| {
            let terminal = Terminal::open();
            let paused =
                PausedClone::start_as(git, through_shim, &SESSION, "exec git \"$@\"", |command| {
                    terminal.connect(command);
                });
            drop(terminal);
            paused.end()
        });
        assert_eq!(ends[0].0, ends[1].0);
        assert_eq!(ends[0].0.signal(), Some(libc::SIGHUP), "{:?}", ends[0].0);
        assert!(ends[0].1.keys().eq(ends[1].1.keys()));
    });
}

#[test]
fn shell_stops_and_resumes_the_clone() {
    for_each_git(|git, _| {
        for through_shim in [true, false] {
            let terminal = Terminal::open();
            // With job control the clone is a job of its own, as it is at a prompt.
            let script =
                "set -m; git \"$@\"; echo \"stopped $?\"; read -r; fg; echo \"ended $?\"; exit 7";
            let paused = PausedClone::start_as(git, through_shim, &SESSION, script, |command| {
                terminal.connect(command);
            });
            let mut terminal = terminal.watch();
            terminal.type_in(b"\x1a");
            wait::until("the shell to go on", || terminal.shows(b"stopped 148"));
            assert!(process::is_stopped(paused.git));
            terminal.type_in(b"\n");
            wait::until("git to go on", || !process::is_stopped(paused.git));
            paused.release();
            let (status, tree) = paused.end();
            assert_eq!(status.code(), Some(7), "{status:?}");
            // What has been written to a terminal arrives a moment later.
            wait::until("the last line", || terminal.shows(b"ended 0"));
            assert!(!tree.is_empty());
        }
    });
}

#[test]
fn hook_is_told_of_a_new_window_size() {
    // The kernel tells the foreground group, and the shim is not in the way: a hook asks for the size when it is told.
    for_each_git(|git, _| {
        for through_shim in [true, false] {
            let terminal = Terminal::open();
            let paused =
                PausedClone::start_as(git, through_shim, &SESSION, "exec git \"$@\"", |command| {
                    terminal.connect(command);
                });
            let terminal = terminal.watch();
            let [ready, size] = ["ready", "size"].map(|name| paused.arena.root().join(name));
            // The trap is sprung when `read` has read.
            paused.release_to(&format!(
                "trap 'stty size </dev/tty >{}' WINCH; echo >{}; read -r line <{}",
                size.display(),
                ready.display(),
                paused.arena.root().join("release").display(),
            ));
            wait::for_line(&ready);
            terminal.resize(40);
            paused.release();
            assert_eq!(wait::for_line(&size), "24 40");
            let (status, _) = paused.end();
            assert_eq!(status.code(), Some(0), "{status:?}");
        }
    });
}

#[test]
fn background_clone_stops_on_terminal_with_tostop() {
    for_each_git(|_, arena| {
        let source = source::small(&arena, "src");
        let line = with_source(&source, args("git clone -l SRC dst"));
        let script =
            "set -m; stty tostop; \"$@\" & wait $!; echo \"stopped $?\"; fg; echo \"ended $?\"";
        let script = ["bash", "-c", script, "bash"].map(OsString::from);
        let line = [&script, &line[..]].concat();
        let [shim, plain] = [true, false].map(|through_shim| {
            let mut setsid = arena.command("setsid");
            setsid.env("PATH", arena.path_of(through_shim));
            tree::clear(arena.work_dir());
            terminal::run_session(setsid, &line, 80, &[])
        });
        assert_eq!(shim, plain);
        let stopped = format!("stopped {}\r\n", 128 + libc::SIGTTOU);
        assert!(
            plain.shows(&stopped) && plain.shows("ended 0\r\n"),
            "{plain:?}"
        );
    });
}
