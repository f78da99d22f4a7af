//! A supervised clone treats the caller's streams as git does: closed ones, full ones, and ones that other processes hold
//! open.

use std::fs::{self, File};
use std::io::{Write, pipe};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::os::unix::process::ExitStatusExt;
use std::process::Stdio;

use nix::libc;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use regex::Regex;

use crate::support::arena::{Arena, for_each_git};
use crate::support::arrangement;
use crate::support::call::only_stderr;
use crate::support::fault;
use crate::support::gits::{Git, gits};
use crate::support::paused_clone::{PausedClone, START, Stage, Start};
use crate::support::process;
use crate::support::source;
use crate::support::terminal::{SESSION, Terminal};
use crate::support::tree;
use crate::support::wait;

/// Redirections of a clone that succeeds.
const STREAMS: [&str; 8] =
    ["<&-", ">&-", "2>&-", "<&- >&-", "<&- 2>&-", "<&- >&- 2>&-", "<. >/dev/full 2>/dev/full", ">&2 2</dev/null"];

/// Scripts that clone with unusual streams, and the status of each: 0, or a signal's number.
const SCRIPTS: [(&str, i32); 5] = [
    // Where SIGCHLD is ignored, the kernel keeps no status for waitpid(2).
    ("trap '' CHLD; exec git clone $COPY -l $SRC dst", 0),
    ("echo before >log; git clone $COPY -l $SRC dst 2>>log; cat log", 0),
    // A slow reader gets every byte.
    (
        "hook 'seq 1 60000 >&2; echo the end >&2'
         git clone $COPY -l --template=template $SRC dst 2>&1 | dd bs=100 status=none",
        0,
    ),
    // Nothing reads: SIGPIPE kills git at its first write.
    ("mkfifo f; exec 3<>f 2>f 3<&-; exec git clone $COPY -l $SRC dst", libc::SIGPIPE),
    (
        "exec perl -MSocket -e 'socketpair(A, B, AF_UNIX, SOCK_STREAM, 0); close B; open STDERR, \">&A\"; exec @ARGV' \
         git clone $COPY -l $SRC dst",
        libc::SIGPIPE,
    ),
];

#[test]
fn unusual_streams_are_used_as_by_git() {
    for_each_git(|git, _| {
        for arena in Arena::linking_and_refusing(git) {
            let redirected = STREAMS.map(|streams| (format!("exec git clone $COPY -l $SRC dst {streams}"), 0));
            for (script, status) in
                redirected.into_iter().chain(SCRIPTS.map(|(script, status)| (script.into(), status)))
            {
                let plain = arena.assert_script_twins(&script).outcome;
                assert_eq!(plain.status.into_raw(), status, "{script}: {plain:?}");
            }
        }
    });
}

#[test]
fn first_lines_appear_when_links_are_made() {
    // Before that, other writers to the same file come first: here git's upload-pack, which writes to stdout.
    let script = "printf '#!/bin/sh\necho early >>log\nexec git upload-pack \"$@\"\n' >up; chmod +x up
                  git clone -l -u \"$PWD/up\" $SRC dst >>log 2>>log; cat log";
    for_each_git(|git, arena| {
        source::small(&arena, "src");
        let [plain, shim] = [false, true].map(|through_shim| arena.run(arena.script(through_shim, script)).outcome);
        assert_eq!(plain.stdout, b"Cloning into 'dst'...\nearly\ndone.\n", "{}", git.version);
        assert_eq!(shim.stdout, b"early\nCloning into 'dst'...\ndone.\n");
    });
}

#[test]
fn background_process_keeps_only_stderr() {
    // The shim does not wait for it, and what it writes later still arrives. No other descriptor is kept open, also without
    // close_range(2) (before Linux 5.9): the readers of git's stdout and of descriptor 7 wait for end-of-file.
    let script = "mkfifo release; exec 7>&1
         hook '(read -r line <../release; echo late >&2; echo later >&2) >/dev/null 7>&- & echo $! >pid'
         exec git clone -l --template=template $SRC dst 2>stderr";
    let shown = "Cloning into 'dst'...\ndone.\n";
    for_each_git(|_, arena| {
        source::small(&arena, "src");
        for missing in [&[][..], &[libc::SYS_close_range]] {
            let run = || arena.run(arena.script(true, script)).outcome;
            fault::with_calls_failing(missing, libc::ENOSYS, run).succeeded();
            let [pid, release, stderr] = ["dst/pid", "release", "stderr"].map(|name| arena.work_dir().join(name));
            let background = Pid::from_raw(wait::for_line(&pid).parse().unwrap());
            assert!(process::is_running(background));
            assert_eq!(fs::read_to_string(&stderr).unwrap(), shown);
            fs::write(release, "go\n").unwrap();
            let all = format!("{shown}late\nlater\n");
            wait::until("what it writes", || fs::read_to_string(&stderr).unwrap() == all);
            wait::until("its end", || !process::is_running(background));
        }
    });
}

#[test]
fn background_process_lives_where_its_stderr_fails() {
    // As with git. It ignores the hangup, as nohup(1) does; so does the hook, since it may come before the process has begun.
    let clone = "mkfifo release; hook 'trap \"\" HUP INT; (read -r line <../release; echo late >&2; echo >../alive) &'
         git clone -l --template=template $SRC dst; echo $? >cloned; read -r line";
    for_each_git(|_, arena| {
        source::small(&arena, "src");
        for (event, stderr) in [("hangup", ""), ("\x03", ""), ("\n", "2>/dev/full")] {
            for through_shim in [false, true] {
                tree::clear(arena.work_dir());
                let [release, cloned, alive] = ["release", "cloned", "alive"].map(|name| arena.work_dir().join(name));
                let terminal = Terminal::open(80);
                let script = format!("exec setsid --ctty bash -c \"$SCRIPT\" {stderr}");
                let mut command = arena.script(through_shim, &script).env("SCRIPT", clone).command;
                terminal.connect(&mut command);
                let mut session = command.spawn().unwrap();
                drop(command);
                assert_eq!(wait::for_line(&cloned), "0");
                terminal.meet(event);
                session.wait().unwrap();
                // Open for reading too, so that this does not wait for a process that has died.
                let mut release = File::options().read(true).write(true).open(&release).unwrap();
                writeln!(release).unwrap();
                wait::until("what the background process writes", || alive.exists());
            }
        }
    });
}

#[test]
fn hold_ends_when_the_documents_say() {
    // After one second on a terminal and ten seconds elsewhere: that is for how long the shim waits first.
    let Some(strace) = arrangement::program("strace") else {
        return;
    };
    let arena = Arena::new(&gits()[0]);
    source::small(&arena, "src");
    let trace = arena.root().join("trace");
    let traced = format!("-qq -e trace=poll,ppoll -o {} git clone -l $SRC dst", trace.display());
    let script = format!("exec {} {traced}", strace.display());
    let timeout =
        Regex::new(r"(?m)^poll\(.*, ([1-9][0-9]*)\) |^ppoll\(.*\{tv_sec=([0-9]+), tv_nsec=([0-9]+)\}").unwrap();
    for (seconds, on_terminal) in [(1, true), (10, false)] {
        tree::clear(arena.work_dir());
        let mut command = arena.script(true, &script).command;
        let terminal = Terminal::open(80);
        if on_terminal {
            terminal.connect(&mut command);
        }
        command.output().unwrap();
        let traced = fs::read_to_string(&trace).unwrap();
        let found = timeout.captures(&traced).unwrap();
        let number = |group| found.get(group).map_or(0, |number| number.as_str().parse::<u64>().unwrap());
        let milliseconds = number(1) + number(2) * 1000 + number(3) / 1_000_000;
        assert!((seconds * 1000 - 500..=seconds * 1000).contains(&milliseconds), "{traced}");
    }
}

#[test]
fn hold_ends_after_64_kibibytes() {
    // With one byte more, what an attempt has written is seen while it goes on.
    let script = r#"printf '#!/bin/sh\nhead -c $((SIZE - 1)) /dev/zero >&2; echo >&2; $WAIT\nexec git upload-pack "$@"\n' >up
         printf '#!/bin/sh\nuntil [ -s err ]; do :; done\n' >seen
         chmod +x up seen
         git clone $COPY -q -l -u "$PWD/up" $SRC dst 2>err; status=$?; cat err >&2; rm err; exit $status"#;
    let [_, arena] = Arena::linking_and_refusing(&gits()[0]);
    // The message of the refused link comes after that, too.
    for (size, is_seen) in [((64 << 10) - 500, false), ((64 << 10) + 1, true)] {
        let run = |through_shim| {
            let wait = if is_seen { "timeout 5 ./seen" } else { "" };
            let call = arena.script(through_shim, script).env("SIZE", size.to_string()).env("WAIT", wait);
            arena.run(call).outcome.succeeded().stderr
        };
        let (shim, copy) = (run(true), run(false));
        assert!(copy.len() >= size && shim.ends_with(&copy), "{size}");
        assert_eq!(shim.len() > copy.len(), is_seen, "{size}: {} {}", shim.len(), copy.len());
    }
}

/// A clone that writes to `stderr` and waits at `stage`, through the shim or not.
fn pause(git: &Git, through_shim: bool, start: Start<'_>, stderr: impl Into<Stdio>) -> PausedClone {
    PausedClone::start_in(Arena::new(git), through_shim, start, |command| only_stderr(command, stderr))
}

#[test]
fn reader_that_goes_away_while_shim_writes_does_not_kill_git() {
    // What git wrote while there was a reader must not kill git because the shim forwards it later. strace delays the shim
    // between poll(2) and write(2); without that, the race shows once in thousands of clones.
    let Some(strace) = arrangement::program("strace") else {
        return;
    };
    let inject = "-e trace=write -e inject=write:delay_enter=1000000:when=1";
    let delayed = format!("exec {} -qo /dev/null {inject} git \"$@\"", strace.display());
    // The shim writes git's first line while the hook runs, and what a git that fails at once wrote when it has exited.
    let stages = [(Stage::Checkout, "while echo gone >&2; do :; done", 141), (Stage::Transport, "exit 1", 128)];
    for_each_git(|git, _| {
        for (stage, then, status) in stages {
            let ends = [true, false].map(|through_shim| {
                let script = if through_shim { &delayed } else { START.script };
                let (reader, writer) = pipe().unwrap();
                let paused = pause(git, through_shim, Start { stage, script, ..START }, writer);
                let reader = matches!(stage, Stage::Transport).then_some(reader);
                paused.release_to(then);
                wait::until("git to end", || reader.is_none() || !process::is_running(paused.git));
                drop(reader);
                paused.end().0
            });
            assert_eq!((ends[0], ends[1].code()), (ends[1], Some(status)));
        }
    });
}

#[test]
fn shim_sleeps_when_stderr_has_hung_up() {
    // A terminal whose SIGHUP is ignored, and a socket, which some callers use as a pipe. poll(2) returns POLLHUP for them
    // at once, so a loop around it would use a whole processor until git exits.
    for_each_git(|git, _| {
        let (terminal, start) =
            (Terminal::open(80), Start { shell: &SESSION, script: "trap '' HUP; exec git \"$@\"", ..START });
        let on_terminal = PausedClone::start_in(Arena::new(git), true, start, |command| terminal.connect(command));
        drop(terminal);
        let (near, far) = UnixStream::pair().unwrap();
        let on_socket = pause(git, true, START, OwnedFd::from(far));
        drop(near);
        for paused in [on_terminal, on_socket] {
            wait::until("the shim to wait", || process::state(paused.pid()) == Some('S'));
            paused.release();
            assert_eq!(paused.end().0.code(), Some(0));
        }
    });
}

#[test]
fn signal_ends_clone_while_stderr_is_full() {
    // The pipe is full, and its writer blocks. The signal kills git, and the shim must end as git did.
    for_each_git(|git, _| {
        let ends = [true, false].map(|through_shim| {
            let (_reader, writer) = pipe().unwrap();
            let full = writer.try_clone().unwrap();
            let paused = pause(git, through_shim, START, writer);
            paused.release_to("yes >&2");
            wait::until("the pipe to be full", || {
                let mut polled = [PollFd::new(full.as_fd(), PollFlags::POLLOUT)];
                poll(&mut polled, PollTimeout::ZERO).unwrap() == 0
            });
            kill(paused.pid(), Signal::SIGUSR1).unwrap();
            paused.end().0
        });
        assert_eq!((ends[0], ends[1].signal()), (ends[1], Some(libc::SIGUSR1)));
    });
}
