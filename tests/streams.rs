//! The streams of a supervised clone are the caller's: closed, full, or kept open by somebody else.

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
fn a_background_process_that_keeps_stderr_is_not_waited_for() {
    for_each_git(|_, arena| {
        let source = source::small(&arena, "src");
        let [pid, release, said] = ["pid", "release", "said"].map(|name| arena.root().join(name));
        nix::unistd::mkfifo(&release, nix::sys::stat::Mode::S_IRWXU).unwrap();
        // What it says after git has ended is heard all the same, and it does not die of saying it.
        let late = format!(
            "read -r line <{}; echo late >&2; echo later >&2",
            release.display()
        );
        hook::post_checkout(
            arena.work_dir(),
            &format!("({late}) & echo $! >{}", pid.display()),
        );
        let line = with_source(&source, args(&format!("clone -l {TEMPLATE} SRC dst")));
        // Into a file, since whoever waits for the end of a pipe waits for the background process too.
        let mut command = arena.shim(line).command;
        only_stderr(&mut command, File::create(&said).unwrap());
        let status = command.status().unwrap();
        let background = Pid::from_raw(wait::for_line(&pid).parse().unwrap());
        assert!(
            status.success() && process::is_running(background),
            "{status:?}"
        );
        let expected = "Cloning into 'dst'...\ndone.\n";
        assert_eq!(fs::read_to_string(&said).unwrap(), expected);
        fs::write(&release, "go\n").unwrap();
        let expected = format!("{expected}late\nlater\n");
        wait::until("its last words", || {
            fs::read_to_string(&said).unwrap() == expected
        });
        wait::until("its end", || !process::is_running(background));
    });
}

#[test]
fn nothing_but_standard_error_is_kept_open() {
    // Who reads git's standard output, or another descriptor that git has inherited, to its end waits for git, and not for
    // what a background process of a hook has to say on standard error. Linux has close_range(2) since 5.9.
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
            let said = File::create(arena.root().join("said")).unwrap();
            command
                .stdin(Stdio::null())
                .stdout(Stdio::piped())
                .stderr(said);
            let mut child =
                fault::with_calls_failing(missing, libc::ENOSYS, || command.spawn().unwrap());
            // Ours are the other ends.
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
fn first_words_are_seen_when_the_links_are_made() {
    // Until then what others write to the same file comes before them: here git's upload-pack, to standard output.
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
        // On a machine so busy that git needs a second to come so far, they are seen as they come.
        let paused = "early\nCloning into 'dst'...\ndone.\n";
        let mut runs = (0..5).map(|_| run(arena.shim(line.clone())));
        assert!(runs.any(|said| said == paused));
    });
}

#[test]
fn streams_that_are_closed() {
    for_each_git(|_, arena| {
        let Some(arena) = arena.across_mounts() else {
            return;
        };
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
fn no_process_can_be_had() {
    // Where the shim cannot supervise, it is git: a clone that needs no cure must not fail for want of a pipe.
    let arena = Arena::new(&gits()[0]);
    let source = source::small(&arena, "src");
    let line: Vec<OsString> = with_source(&source, args("clone -l SRC dst"));
    // git needs two or three descriptors; with none at all it cannot run either, so the limit is searched for.
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
fn nobody_reads_standard_error() {
    // git dies of its first word; so does the shim, and leaves the same behind.
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
fn the_reader_of_standard_error_goes_away() {
    // A hook waits until its reader has gone, and then speaks until it dies of it, as it would without the shim.
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
fn the_reader_goes_away_while_the_shim_writes() {
    // What git wrote in time must not kill it because we pass it on too late. strace keeps the shim between poll(2) and
    // write(2) meanwhile; without it, thousands of clones may be needed to see it happen.
    let Some(strace) = arrangement::program("strace") else {
        return;
    };
    let late = format!(
        "exec {} -qo /dev/null -e trace=write -e inject=write:delay_enter=1000000:when=1 git \"$@\"",
        strace.display()
    );
    // git's first words are passed on while its hook runs, and those of a git that fails at once when it has ended.
    let stages = [
        (Stage::Checkout, "while echo gone >&2; do :; done", 141),
        (Stage::Transport, "exit 1", 128),
    ];
    for_each_git(|git, _| {
        for (stage, then, status) in stages {
            let ends = [(true, late.as_str()), (false, "exec git \"$@\"")].map(|(shim, script)| {
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
fn what_has_hung_up_is_not_listened_to() {
    // A terminal, by one who ignores that it hangs up, and a socket, as some callers have it for a pipe: poll(2) does not
    // wait for them any more, and who goes on to ask does nothing else until git ends.
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
fn a_slow_reader() {
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
            let (mut said, mut chunk) = (Vec::new(), [0; 100]);
            while let Ok(count @ 1..) = reader.read(&mut chunk) {
                said.extend_from_slice(&chunk[..count]);
                std::thread::yield_now();
            }
            (child.wait().unwrap(), said)
        };
        let plain = run(arena.real(line.clone()));
        assert!(run(arena.shim(line)) == plain);
        assert!(plain.0.success() && plain.1.ends_with(b"the end\n"));
    });
}

#[test]
fn a_signal_while_nobody_reads() {
    // The pipe is full, and whoever filled it is stuck: a signal of which git says nothing ends it, and so the shim.
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
fn a_file_that_others_write_to_as_well() {
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
