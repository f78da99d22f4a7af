//! On a terminal a supervised clone reacts as git does: to keys, to a hangup, to job control.

use std::fs;
use std::os::unix::process::ExitStatusExt;

use nix::libc::{self, SIGHUP, SIGINT, SIGQUIT};

use crate::support::arena::{Arena, for_each_git};
use crate::support::arrangement;
use crate::support::executable;
use crate::support::gits::Git;
use crate::support::paused_clone::{PausedClone, START, Start};
use crate::support::process;
use crate::support::source;
use crate::support::terminal::{self, SESSION, Terminal};
use crate::support::wait;

/// A clone, started by a script that leads the session of a new terminal, which waits in its hook.
fn pause(git: &Git, through_shim: bool, script: &str) -> (PausedClone, Terminal) {
    let terminal = Terminal::open(80);
    let start = Start { shell: &SESSION, script, ..START };
    let paused = PausedClone::start_in(Arena::new(git), through_shim, start, |command| terminal.connect(command));
    (paused, terminal)
}

#[test]
fn key_or_hangup_ends_clone_as_git() {
    for_each_git(|git, _| {
        for (event, signal) in [("\x03", SIGINT), ("\x1c", SIGQUIT), ("hangup", SIGHUP)] {
            let [shim, plain] = [true, false].map(|through_shim| {
                let script = "ulimit -c 0; exec git \"$@\"";
                let (paused, terminal) = pause(git, through_shim, script);
                terminal.meet(event);
                paused.end()
            });
            assert_eq!((shim.0, plain.0.signal()), (plain.0, Some(signal)));
            assert!(shim.1.keys().eq(plain.1.keys()));
        }
    });
}

#[test]
fn key_before_git_starts_ends_the_clone() {
    // strace delays the fork, at which the shim has already blocked its signals.
    let Some(strace) = arrangement::program("strace") else {
        return;
    };
    for_each_git(|_, arena| {
        source::small(&arena, "src");
        let terminal = Terminal::open(80);
        // If the key comes too late, it still reaches a git.
        let script = format!(
            "hook 'sleep 60'; calls=clone,?fork,?clone3,?vfork; exec setsid --ctty {} -qo /dev/null -e trace=$calls \
             -e inject=$calls:delay_enter=1000000:when=1 git clone -l --template=template $SRC dst",
            strace.display()
        );
        let mut command = arena.script(true, &script).command;
        terminal.connect(&mut command);
        let mut child = command.spawn().unwrap();
        let (home, shim) = (arena.root().join("home"), executable::shim().canonicalize().unwrap());
        wait::until("the shim to block signals", || {
            let is_shim = |process| fs::read_link(format!("/proc/{process}/exe")).is_ok_and(|file| file == shim);
            let processes = process::with_home(&home);
            processes.into_iter().any(|process| is_shim(process) && process::has(process, "SigBlk:", SIGINT))
        });
        terminal.watch().type_in(b"\x03");
        assert_eq!(child.wait().unwrap().signal(), Some(libc::SIGINT));
    });
}

#[test]
fn shell_stops_and_resumes_the_clone() {
    // With job control the clone is a job of its own, as it is at a prompt.
    let script = "set -m; git \"$@\"; echo \"stopped $?\"; read -r; fg; echo \"ended $?\"; exit 7";
    for_each_git(|git, _| {
        for through_shim in [true, false] {
            let (paused, terminal) = pause(git, through_shim, script);
            let mut terminal = terminal.watch();
            terminal.type_in(b"\x1a");
            wait::until("the shell to go on", || terminal.shows(b"stopped 148"));
            // Both have the signal, but each stops when it runs next.
            wait::until("git to stop", || process::is_stopped(paused.git));
            terminal.type_in(b"\n");
            wait::until("git to go on", || !process::is_stopped(paused.git));
            paused.release();
            let (status, tree) = paused.end();
            assert_eq!((status.code(), tree.is_empty()), (Some(7), false));
            // What has been written to a terminal arrives a moment later.
            wait::until("the last line", || terminal.shows(b"ended 0"));
        }
    });
}

#[test]
fn hook_is_told_of_a_new_window_size() {
    // The kernel tells the foreground group, and the shim is not in the way: a hook asks for the size when it is told.
    for_each_git(|git, _| {
        for through_shim in [true, false] {
            let (paused, terminal) = pause(git, through_shim, START.script);
            let [ready, size, release] = ["ready", "size", "release"].map(|name| paused.arena.root().join(name));
            // The trap is sprung when `read` has read.
            paused.release_to(&format!(
                "trap 'stty size </dev/tty >{}' WINCH; echo >{}; read -r line <{}",
                size.display(),
                ready.display(),
                release.display(),
            ));
            wait::for_line(&ready);
            terminal::resize(&terminal.watch().near, 40);
            paused.release();
            assert_eq!(wait::for_line(&size), "24 40");
            assert_eq!(paused.end().0.code(), Some(0));
        }
    });
}
