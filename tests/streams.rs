//! A supervised clone treats the caller's streams as git does: closed ones, full ones, and ones that other processes hold
//! open.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::Read;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::os::unix::process::ExitStatusExt;
use std::process::Stdio;

use nix::libc;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::support::arena::{Arena, for_each_git};
use crate::support::args::{args, with_source};
use crate::support::arrangement;
use crate::support::call::{Call, only_stderr};
use crate::support::executable;
use crate::support::fault;
use crate::support::gits::gits;
use crate::support::hook::{self, TEMPLATE};
use crate::support::paused_clone::{PausedClone, Stage, Start};
use crate::support::process;
use crate::support::source;
use crate::support::terminal::{SESSION, Terminal};
use crate::support::tree;
use crate::support::wait;

#[test]
fn shim_does_not_wait_for_background_process_that_holds_stderr() {
    for_each_git(|_, arena| {
        let source = source::small(&arena, "src");
        let [pid, release, stderr] =
            ["pid", "release", "stderr"].map(|name| arena.root().join(name));
        nix::unistd::mkfifo(&release, nix::sys::stat::Mode::S_IRWXU).unwrap();
        // What it writes after git has exited still arrives, and no SIGPIPE kills it.
        let late = format!(
            "read -r line <{}; echo late >&2; echo later >&2",
            release.display()
        );
        hook::post_checkout(
            arena.work_dir(),
            &format!("({late}) & echo $! >{}", pid.display()),
        );
        let line = with_source(&source, args(&format!("clone -l {TEMPLATE} SRC dst")));
        // Into a file: a reader of a pipe would wait for the background process to close it.
        let mut command = arena.shim(line).command;
        only_stderr(&mut command, File::create(&stderr).unwrap());
        let status = command.status().unwrap();
        let background = Pid::from_raw(wait::for_line(&pid).parse().unwrap());
        assert!(
            status.success() && process::is_running(background),
            "{status:?}"
        );
        let expected = "Cloning into 'dst'...\ndone.\n";
        assert_eq!(fs::read_to_string(&stderr).unwrap(), expected);
        fs::write(&release, "go\n").unwrap();
        let expected = format!("{expected}late\nlater\n");
        wait::until("what it writes", || {
            fs::read_to_string(&stderr).unwrap() == expected
        });
        wait::until("its end", || !process::is_running(background));
    });
}

#[test]
fn only_stderr_is_kept_open() {
    // The shim's process that forwards a background process's stderr must not keep git's stdout, or another inherited
    // descriptor, open: their readers wait for end-of-file. Linux has close_range(2) since 5.9.
    for_each_git(|git, _| {
        for missing in [&[][..], &[libc::SYS_close_range]] {
            let arena = Arena::new(git);
            let source = source::small(&arena, "src");
            let pid = arena.root().join("pid");
            let sleep = format!("sleep 600 >/dev/null 7>&- & echo $! >{}", pid.display());
            hook::post_checkout(arena.work_dir(), &sleep);
            let mut command = arena.command("bash");
            command
                .args(["-c", "exec git \"$@\" 7>&1", "bash"])
                .args(with_source(
                    &source,
                    args(&format!("clone -l {TEMPLATE} SRC dst")),
                ))
                .env("PATH", arena.path_of(true));
            let stderr = File::create(arena.root().join("stderr")).unwrap();
            command
                .stdin(Stdio::null())
                .stdout(Stdio::piped())
                .stderr(stderr);
            let mut child =
                fault::with_calls_failing(missing, libc::ENOSYS, || command.spawn().unwrap());
            // It holds copies of the write ends.
            drop(command);
            let status = child.wait().unwrap();
            let sleeper = Pid::from_raw(wait::for_line(&pid).parse().unwrap());
            let mut stdout = child.stdout.take().unwrap();
            wait::until("the end of its standard output", || {
                let mut polled = [PollFd::new(stdout.as_fd(), PollFlags::POLLIN)];
                poll(&mut polled, PollTimeout::ZERO).unwrap() > 0
            });
            let still_there = process::is_running(sleeper);
            kill(sleeper, Signal::SIGKILL).unwrap();
            assert!(status.success() && still_there, "{status:?}");
            assert_eq!(stdout.read(&mut [0]).unwrap(), 0);
        }
    });
}

#[test]
fn first_lines_appear_when_links_are_made() {
    // Before that, other writers to the same file come first: here git's upload-pack, which writes to stdout.
    for_each_git(|_, arena| {
        let source = source::small(&arena, "src");
        let log = arena.root().join("log");
        let program = executable::script(
            &arena.root().join("upload-pack"),
            &format!(
                "#!/bin/sh\necho early >>{}\nexec git upload-pack \"$@\"\n",
                log.display()
            ),
        );
        let mut line = args("clone -l -u");
        line.extend([program.into(), source.into(), "dst".into()]);
        let run = |call: Call| {
            tree::clear(arena.work_dir());
            fs::write(&log, "").unwrap();
            let file = || File::options().append(true).open(&log).unwrap();
            let mut command = call.command;
            let status = command
                .stdin(Stdio::null())
                .stdout(file())
                .stderr(file())
                .status();
            assert!(status.unwrap().success());
            fs::read_to_string(&log).unwrap()
        };
        let plain = run(arena.real(line.clone()));
        assert_eq!(plain, "Cloning into 'dst'...\nearly\ndone.\n");
        // Where git needs more than a second to link, on a busy machine, its lines are no longer held.
        let held = "early\nCloning into 'dst'...\ndone.\n";
        let mut runs = (0..5).map(|_| run(arena.shim(line.clone())));
        assert!(runs.any(|written| written == held));
    });
}

#[test]
fn closed_streams_stay_closed() {
    for_each_git(|_, arena| {
        let arena = arena.with_links_failing(libc::EPERM);
        let source = source::small(&arena, "src");
        for closed in ["<&-", ">&-", "2>&-", "<&- >&-", "<&- 2>&-", "<&- >&- 2>&-"] {
            let run = |path: OsString, option: &str| {
                let mut command = arena.command("bash");
                let shell = format!(
                    "exec git clone {option} -l '{}' dst {closed}",
                    source.display()
                );
                command.args(["-c", &shell]).env("PATH", path);
                arena.run(Call::new(command))
            };
            let plain = arena.path_of(false);
            let shim = arena.path_of(true);
            assert_eq!(run(plain.clone(), "").outcome.status.code(), Some(128));
            let expected = run(plain, "--no-hardlinks");
            let cured = expected.retried_while_late(|| run(shim.clone(), ""));
            assert_eq!(cured.outcome, expected.outcome.succeeded(), "{closed}");
            assert!(cured.tree == expected.tree, "{closed}");
        }
    });
}

#[test]
fn clone_succeeds_where_no_pipe_can_be_made() {
    // Where the shim cannot get a pipe, it execs git: a clone that needs no fallback must not fail.
    let arena = Arena::new(&gits()[0]);
    let source = source::small(&arena, "src");
    let line: Vec<OsString> = with_source(&source, args("clone -l SRC dst"));
    // With two or three descriptors git itself fails, in the same way.
    let with_limit = |limit: usize, path: OsString| {
        let mut command = arena.command("bash");
        command
            .arg("-c")
            .arg(format!("ulimit -n {limit}; exec git \"$@\""))
            .arg("bash")
            .args(&line)
            .env("PATH", path);
        arena.run(Call::new(command)).outcome
    };
    let plain = arena.path_of(false);
    let shim = arena.path_of(true);
    for limit in [4, 5, 6, 8, 10, 20] {
        let expected = with_limit(limit, plain.clone());
        assert_eq!(
            with_limit(limit, shim.clone()),
            expected,
            "{limit} descriptors"
        );
    }
}

/// A pipe, its reader first.
fn pipe() -> (File, File) {
    let (reader, writer) = nix::unistd::pipe2(nix::fcntl::OFlag::O_CLOEXEC).unwrap();
    (reader.into(), writer.into())
}

#[test]
fn stderr_without_reader_kills_shim_as_git() {
    // SIGPIPE kills git at its first write, and the shim in the same way. Both leave the same files.
    for_each_git(|_, arena| {
        let source = source::small(&arena, "src");
        let line = with_source(&source, args("clone -l SRC dst"));
        let run = |call: Call| {
            tree::clear(arena.work_dir());
            let (reader, writer) = pipe();
            drop(reader);
            let mut command = call.command;
            let status = only_stderr(&mut command, writer).status().unwrap();
            (status, tree::read(arena.work_dir()).len())
        };
        let plain = run(arena.real(line.clone()));
        assert_eq!(plain.0.signal(), Some(libc::SIGPIPE), "{plain:?}");
        assert_eq!(run(arena.shim(line)), plain);
    });
}

#[test]
fn hook_gets_sigpipe_when_reader_of_stderr_goes_away() {
    // A hook writes after the reader has gone, until SIGPIPE kills it, as without the shim.
    for_each_git(|git, _| {
        let ends = [true, false].map(|through_shim| {
            let (reader, writer) = pipe();
            let script = "exec git \"$@\"";
            let paused = PausedClone::start_as(git, through_shim, &["bash"], script, |command| {
                only_stderr(command, writer);
            });
            drop(reader);
            paused.release_to("while echo gone >&2; do :; done");
            paused.end().0
        });
        assert_eq!(ends[0], ends[1]);
    });
}

#[test]
fn reader_that_goes_away_while_shim_writes_does_not_kill_git() {
    // What git wrote while there was a reader must not kill git because the shim forwards it later. strace delays the shim
    // between poll(2) and write(2); without that, the race shows once in thousands of clones.
    let Some(strace) = arrangement::program("strace") else {
        return;
    };
    let delayed = format!(
        "exec {} -qo /dev/null -e trace=write -e inject=write:delay_enter=1000000:when=1 git \"$@\"",
        strace.display()
    );
    // The shim writes git's first line while the hook runs, and what a git that fails at once wrote when it has exited.
    let stages = [
        (Stage::Checkout, "while echo gone >&2; do :; done", 141),
        (Stage::Transport, "exit 1", 128),
    ];
    for_each_git(|git, _| {
        for (stage, then, status) in stages {
            let ends =
                [(true, delayed.as_str()), (false, "exec git \"$@\"")].map(|(shim, script)| {
                    let (reader, writer) = pipe();
                    let start = Start {
                        stage,
                        script,
                        ..Start::default()
                    };
                    let paused = PausedClone::start_in(Arena::new(git), shim, start, |command| {
                        only_stderr(command, writer);
                    });
                    match stage {
                        Stage::Checkout => {
                            drop(reader);
                            paused.release_to(then);
                        }
                        Stage::Transport => {
                            paused.release_to(then);
                            wait::until("git to end", || !process::is_running(paused.git));
                            drop(reader);
                        }
                    }
                    paused.end().0
                });
            assert_eq!(ends[1].code(), Some(status), "{}", ends[1]);
            assert_eq!(ends[0], ends[1]);
        }
    });
}

#[test]
fn shim_sleeps_when_stderr_has_hung_up() {
    // A terminal whose SIGHUP is ignored, and a socket, which some callers use as a pipe. poll(2) returns POLLHUP for them
    // at once, so a loop around it would use a whole processor until git exits.
    for_each_git(|git, _| {
        let script = "trap '' HUP; exec git \"$@\"";
        let terminal = Terminal::open();
        let on_terminal = PausedClone::start_as(git, true, &SESSION, script, |command| {
            terminal.connect(command);
        });
        drop(terminal);
        let (near, far) = UnixStream::pair().unwrap();
        let on_socket = PausedClone::start_as(git, true, &["bash"], script, |command| {
            only_stderr(command, OwnedFd::from(far));
        });
        drop(near);
        for paused in [on_terminal, on_socket] {
            wait::until("the shim to wait", || process::is_asleep(paused.pid()));
            paused.release();
            let (status, _) = paused.end();
            assert_eq!(status.code(), Some(0), "{status:?}");
        }
    });
}

#[test]
fn slow_reader_gets_every_byte() {
    for_each_git(|_, arena| {
        let source = source::small(&arena, "src");
        let line = with_source(&source, args(&format!("clone -l {TEMPLATE} SRC dst")));
        let run = |call: Call| {
            tree::clear(arena.work_dir());
            hook::post_checkout(arena.work_dir(), "seq 1 60000 >&2; echo the end >&2");
            let (mut reader, writer) = pipe();
            let mut command = call.command;
            let mut child = only_stderr(&mut command, writer).spawn().unwrap();
            drop(command);
            let (mut written, mut chunk) = (Vec::new(), [0; 100]);
            while let Ok(count @ 1..) = reader.read(&mut chunk) {
                written.extend_from_slice(&chunk[..count]);
                std::thread::yield_now();
            }
            (child.wait().unwrap(), written)
        };
        let plain = run(arena.real(line.clone()));
        assert_eq!(run(arena.shim(line)), plain);
        assert!(plain.0.success() && plain.1.ends_with(b"the end\n"));
    });
}

#[test]
fn signal_ends_clone_while_stderr_is_full() {
    // The pipe is full, and its writer blocks. The signal kills git, and the shim must end as git did.
    for_each_git(|git, _| {
        let ends = [true, false].map(|through_shim| {
            let (_reader, writer) = pipe();
            let full = writer.try_clone().unwrap();
            let script = "exec git \"$@\"";
            let paused = PausedClone::start_as(git, through_shim, &["bash"], script, |command| {
                only_stderr(command, writer);
            });
            paused.release_to("yes >&2");
            let writable = || {
                let mut polled = [PollFd::new(full.as_fd(), PollFlags::POLLOUT)];
                poll(&mut polled, PollTimeout::ZERO).unwrap() > 0
            };
            wait::until("the pipe to be full", || !writable());
            kill(paused.pid(), Signal::SIGUSR1).unwrap();
            paused.end().0
        });
        assert_eq!(ends[0], ends[1]);
        assert_eq!(ends[0].signal(), Some(libc::SIGUSR1));
    });
}

#[test]
fn stderr_file_that_others_append_to_keeps_their_lines() {
    for_each_git(|_, arena| {
        let source = source::small(&arena, "src");
        let line = with_source(&source, args("clone -l SRC dst"));
        let run = |call: Call| {
            tree::clear(arena.work_dir());
            let log = arena.root().join("log");
            fs::write(&log, "before\n").unwrap();
            let file = File::options().append(true).open(&log).unwrap();
            let mut command = call.command;
            let status = only_stderr(&mut command, file).status().unwrap();
            (status, fs::read_to_string(&log).unwrap())
        };
        let plain = run(arena.real(line.clone()));
        assert_eq!(run(arena.shim(line)), plain);
        assert_eq!(plain.1, "before\nCloning into 'dst'...\ndone.\n");
    });
}
