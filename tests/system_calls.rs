//! Each system call of the shim's own process fails once, and is delayed once. The call then ends as without the fault, as git
//! alone would end, or with one line of the shim's own that leaves nothing.
//!
//! strace(1) injects the errors. It follows the shim up to the exec of git; git, and what the shim starts, run without faults.
//! Calls before `main` are the C library's own: what comes of an error there is the same in every program.
//!
//! In `cargo test` each call gets one of its errors. `GIT_CLONE_SHIM_TEST_SYSTEM_CALLS=1` tries all of them, with delays, and
//! `--nocapture` shows the table.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use nix::libc;

use crate::support::arena::{Arena, REFUSED, RunResult};
use crate::support::args::{Args, args, with_no_hardlinks, with_source};
use crate::support::arrangement;
use crate::support::call::Call;
use crate::support::executable;
use crate::support::gits::gits;
use crate::support::process;
use crate::support::source;
use crate::support::tree::{self, Tree};
use crate::support::wait;

/// How long a call is delayed, in microseconds: longer than a clone takes.
const DELAY: u32 = 100_000;

/// The errors of each call: those of limits (EMFILE, ENFILE, ENOMEM, EAGAIN), of sandboxes and old kernels (ENOSYS, EPERM,
/// EACCES), of sick filesystems (EIO, ESTALE, ENOSPC), and of signals (EINTR). A call without an error is one that cannot fail:
/// it is only delayed.
const ERRORS: [(&[&str], &[&str]); 14] = [
    (
        &[
            "stat",
            "lstat",
            "newfstatat",
            "fstat",
            "statx",
            "readlink",
            "readlinkat",
            "getcwd",
        ],
        &[
            "EACCES", "EIO", "ENOENT", "ESTALE", "ENOSYS", "EPERM", "ENOMEM",
        ],
    ),
    (
        &["access", "faccessat", "faccessat2"],
        &["EACCES", "EIO", "ENOSYS", "EPERM", "EROFS"],
    ),
    (
        &["open", "openat"],
        &[
            "EMFILE", "ENFILE", "EACCES", "EIO", "EINTR", "ENOENT", "ESTALE", "ENOMEM",
        ],
    ),
    (
        &["read", "getdents64", "pread64", "lseek"],
        &["EIO", "EINTR", "ESTALE"],
    ),
    (
        &["write", "writev", "sendto", "sendmsg"],
        &["EIO", "ENOSPC", "EINTR", "EAGAIN", "EDQUOT"],
    ),
    (&["close", "fsync"], &["EIO", "EINTR", "ENOSPC"]),
    (
        &[
            "pipe2",
            "signalfd4",
            "dup2",
            "dup3",
            "socket",
            "fcntl",
            "pidfd_open",
            "connect",
        ],
        &["EMFILE", "ENFILE", "ENOSYS", "EPERM", "ENOMEM"],
    ),
    (&["poll", "ppoll"], &["EINTR", "ENOMEM"]),
    (
        &["clone", "clone3", "fork", "vfork"],
        &["EAGAIN", "ENOMEM", "ENOSYS", "EPERM"],
    ),
    (&["wait4", "waitid"], &["EINTR"]),
    (
        &["execve"],
        &["ENOMEM", "E2BIG", "ETXTBSY", "EACCES", "EIO", "ENOENT"],
    ),
    (
        &["mmap", "brk", "mremap", "munmap", "mprotect", "madvise"],
        &["ENOMEM"],
    ),
    (
        &[
            "mkdir",
            "mkdirat",
            "rename",
            "renameat",
            "renameat2",
            "unlink",
            "unlinkat",
            "rmdir",
            "symlinkat",
            "fchmod",
            "fchmodat",
            "ftruncate",
            "flock",
            "ioctl",
            "statfs",
            "utimensat",
            "fchown",
        ],
        &[
            "EACCES", "EIO", "ENOSPC", "EDQUOT", "EROFS", "ENOSYS", "EPERM",
        ],
    ),
    (
        &[
            "rt_sigaction",
            "rt_sigprocmask",
            "getpid",
            "getppid",
            "gettid",
            "geteuid",
            "getuid",
            "getegid",
            "getgid",
            "getgroups",
            "clock_gettime",
            "prctl",
            "kill",
            "tkill",
            "tgkill",
            "setpgid",
            "getrandom",
            "uname",
            "umask",
            "sched_getaffinity",
            "prlimit64",
            "sigaltstack",
            "exit_group",
            "futex",
            "restart_syscall",
            "getpgrp",
        ],
        &[],
    ),
];

/// The errors of this call. A pipe and a signalfd never fail as a file does.
fn errors_of(call: &Traced) -> &'static [&'static str] {
    let known = ERRORS
        .iter()
        .find(|(calls, _)| calls.contains(&call.name.as_str()));
    let (_, errors) = known.unwrap_or_else(|| panic!("no errors are listed for {}", call.name));
    match call.name.as_str() {
        "read" | "write" if call.is_on_a_pipe => &["EINTR", "EAGAIN"],
        _ => errors,
    }
}

/// A system call of the shim's own process.
struct Traced {
    name: String,
    /// The how manieth of its name.
    at: usize,
    is_on_a_pipe: bool,
}

/// What comes of a fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Came {
    AsWithoutFault,
    AsGit,
    OwnError,
}

/// A program whose system calls fail.
struct Case<'a> {
    name: &'a str,
    /// What runs; strace is put in front of it.
    command: Command,
    arena: &'a Arena,
    /// The directory that a run changes; it is emptied before each run.
    place: PathBuf,
    /// Whether each call gets one error even in the long form, and in `cargo test` only the first call of each name: the tool
    /// makes many, and takes a while.
    is_long: bool,
    /// What comes of a run with a fault; fails if that must not come of it.
    judge: &'a dyn Fn(&RunResult, &str) -> Came,
}

impl Case<'_> {
    /// Runs it under strace with this injection; returns what came of it and the trace.
    fn run(&self, injection: Option<&str>) -> (RunResult, String) {
        let log = self.arena.root().join("strace.log");
        let mut strace = self.arena.command("timeout");
        strace
            .args(["--signal=KILL", "60", "strace", "-qq", "-y", "-o"])
            .arg(&log);
        if let Some(injection) = injection {
            strace.arg("-e").arg(format!("inject={injection}"));
        }
        strace
            .arg(self.command.get_program())
            .args(self.command.get_args());
        for (name, value) in self.command.get_envs() {
            strace.env(name, value.unwrap_or_default());
        }
        if self.place.exists() {
            tree::clear(&self.place);
        }
        let outcome = self.arena.under_fault(|| Call::new(strace).run());
        let home = self.arena.root().join("home");
        wait::until("the processes to end", || {
            process::with_home(&home).is_empty()
        });
        let tree = match self.place.exists() {
            true => tree::read(&self.place),
            false => Tree::new(),
        };
        (
            RunResult { outcome, tree },
            fs::read_to_string(log).unwrap(),
        )
    }

    /// Injects errors and delays into each call of the shim's own process, and prints one line of the table.
    #[track_caller]
    fn inject(&self) {
        let all = std::env::var_os("GIT_CLONE_SHIM_TEST_SYSTEM_CALLS").is_some();
        let (_, trace) = self.run(None);
        let calls = own_calls(&trace);
        assert!(!calls.is_empty(), "{trace}");
        let mut tally = BTreeMap::<Came, usize>::new();
        let mut missed = 0;
        for (number, call) in calls.iter().enumerate() {
            let is_first = calls
                .iter()
                .take(number)
                .all(|earlier| earlier.name != call.name);
            if self.is_long && !all && !is_first {
                continue;
            }
            let errors = errors_of(call);
            let mut injections: Vec<_> = errors
                .iter()
                .map(|error| match call.name.as_str() {
                    // brk(2) has no errors: the kernel returns the old end.
                    "brk" => "retval=0".to_owned(),
                    _ => format!("error={error}"),
                })
                .collect();
            if all || errors.is_empty() {
                injections.push(format!("delay_enter={DELAY}"));
            }
            if !all || self.is_long {
                injections = vec![injections.swap_remove(number % injections.len())];
            }
            for injection in injections {
                let fault = format!("{}:{injection}:when={}", call.name, call.at);
                let (result, trace) = self.run(Some(&fault));
                // The shim may make a call less than before; then git has got the fault.
                let injected = ["(INJECTED)", "(DELAYED)"]
                    .iter()
                    .find_map(|mark| trace.find(mark));
                let execs = |end| trace[..end].lines().filter(|line| is_exec(line)).count();
                if injected.is_none_or(|end| execs(end) > 1) {
                    missed += 1;
                    continue;
                }
                // What passes by itself must change nothing.
                let passes = injection.contains("EINTR") || injection.contains("delay");
                let fault = format!("{}: {fault}", self.name);
                assert!(
                    !result.outcome.stderr_contains("panicked"),
                    "{fault}: {:?}",
                    result.outcome
                );
                let came = (self.judge)(&result, &fault);
                assert!(
                    self.is_long || !passes || came == Came::AsWithoutFault,
                    "{fault}: {came:?}: {:?}",
                    result.outcome
                );
                *tally.entry(came).or_default() += 1;
            }
        }
        let of = |came| tally.get(&came).copied().unwrap_or(0);
        let with_a_fault = tally.values().sum::<usize>();
        eprintln!(
            "| {} | {} | {} | {} | {} | {} |",
            self.name,
            calls.len(),
            with_a_fault,
            of(Came::AsWithoutFault),
            of(Came::AsGit),
            of(Came::OwnError),
        );
        // Two runs differ by a few calls, where a wake-up comes earlier or later.
        assert!(
            missed * 10 <= with_a_fault,
            "in {missed} runs the call was not made again, and in {with_a_fault} it was"
        );
        assert!(self.is_long || of(Came::AsWithoutFault) > 0);
    }
}

/// Whether this line of a trace is an exec that succeeded.
fn is_exec(line: &str) -> bool {
    line.starts_with("execve(") && line.ends_with(" = 0")
}

/// The calls that the shim's own process makes in this trace, from `main` to the exec of git or to its end.
fn own_calls(trace: &str) -> Vec<Traced> {
    // What a C library calls last before `main`, in this order; the first of them is called once.
    const LAST_BEFORE_MAIN: [&str; 6] = [
        "set_tid_address",
        "set_robust_list",
        "rseq",
        "mprotect",
        "prlimit64",
        "munmap",
    ];
    let mut counts = BTreeMap::<&str, usize>::new();
    let mut calls = Vec::new();
    let (mut is_starting, mut is_started) = (false, false);
    // The first line is the exec by strace itself, for which it injects nothing.
    for line in trace.lines().skip(1) {
        let Some((name, rest)) = line.split_once('(') else {
            continue;
        };
        if !name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
        {
            continue;
        }
        let at = counts.entry(name).or_default();
        *at += 1;
        is_starting |= name == LAST_BEFORE_MAIN[0];
        is_started |= is_starting && !LAST_BEFORE_MAIN.contains(&name);
        if !is_started {
            continue;
        }
        calls.push(Traced {
            name: name.to_owned(),
            at: *at,
            is_on_a_pipe: rest.contains("<pipe:") || rest.contains("signalfd]>"),
        });
        if is_exec(line) {
            break;
        }
    }
    calls
}

/// Has each call of the shim fail in `arena`, run with `line` and these variables. `copies` tells what the line comes to.
#[track_caller]
fn inject_into_shim(
    name: &str,
    arena: &Arena,
    line: &Args,
    variables: &[(&str, &Path)],
    copies: bool,
) {
    if arrangement::program("strace").is_none() {
        return;
    }
    arena.use_release();
    let real = arena.run(arena.real(line.clone()));
    let expected = match copies {
        true => arena.run(arena.real(with_no_hardlinks(line))),
        false => arena.run(arena.real(line.clone())),
    };
    expected.outcome.clone().succeeded();
    let mut command = arena.command("git");
    command
        .args(line)
        .env("PATH", arena.path_of(true))
        .envs(variables.iter().copied());
    let judge = |result: &RunResult, fault: &str| {
        if *result == expected {
            return Came::AsWithoutFault;
        }
        if *result == real {
            return Came::AsGit;
        }
        let is_own = [125, 126, 127]
            .iter()
            .any(|&status| result.outcome.is_our_failure(status));
        assert!(
            is_own && result.tree.is_empty(),
            "{fault}: {:?}\n{:?}",
            result.outcome,
            tree::differences(&result.tree, &expected.tree)
        );
        Came::OwnError
    };
    let case = Case {
        name,
        command,
        arena,
        place: arena.work_dir().to_owned(),
        is_long: false,
        judge: &judge,
    };
    let (without_fault, _) = case.run(None);
    without_fault.assert_equals(&expected);
    case.inject();
}

fn arena() -> (Arena, PathBuf) {
    let arena = Arena::new(&gits()[0]);
    let source = source::small(&arena, "src");
    (arena, source)
}

#[test]
fn pass_through_survives_each_failed_call() {
    let (arena, source) = arena();
    let line = with_source(&source, args("-C SRC log --oneline"));
    inject_into_shim("pass-through", &arena, &line, &[], false);
}

#[test]
fn attempt_that_links_survives_each_failed_call() {
    let (arena, source) = arena();
    let line = with_source(&source, args("clone -l SRC dst"));
    inject_into_shim("attempt that links", &arena, &line, &[], false);
}

#[test]
fn fallback_survives_each_failed_call() {
    let (arena, source) = arena();
    let arena = arena.with_links_failing(libc::EPERM);
    let line = with_source(&source, args("clone -l SRC dst"));
    assert!(arena.run(arena.real(line.clone())).outcome.died_of(REFUSED));
    inject_into_shim("fallback", &arena, &line, &[], true);
}

#[test]
fn fallback_with_a_log_survives_each_failed_call() {
    let (arena, source) = arena();
    let arena = arena.with_links_failing(libc::EPERM);
    let line = with_source(&source, args("clone -l SRC dst"));
    let log = arena.root().join("log");
    let variables = [("GIT_CLONE_SHIM_LOG_FILE", log.as_path())];
    inject_into_shim("fallback with a log file", &arena, &line, &variables, true);
}

#[test]
fn copy_across_mounts_survives_each_failed_call() {
    let (arena, source) = arena();
    let Some(arena) = arena.across_mounts() else {
        return;
    };
    let line = with_source(&source, args("clone -l SRC dst"));
    inject_into_shim("copy across mounts", &arena, &line, &[], true);
}

#[test]
fn plain_clone_survives_each_failed_call() {
    let (arena, source) = arena();
    let line = with_source(&source, args("clone SRC dst"));
    inject_into_shim("plain clone", &arena, &line, &[], false);
}

/// Whether the tool ended with one line of its own on stderr, and a status that tells that something failed.
fn is_error_of_the_tool(result: &RunResult) -> bool {
    let stderr = String::from_utf8_lossy(&result.outcome.stderr);
    let is_one_line =
        stderr.starts_with("git-clone-shim: ") && stderr.trim_end().lines().count() == 1;
    is_one_line && matches!(result.outcome.status.code(), Some(1 | 125))
}

/// Without digits: doctor prints how long its trials took.
fn without_numbers(text: &[u8]) -> Vec<u8> {
    let mut text = text.to_owned();
    text.retain(|byte| !byte.is_ascii_digit());
    text
}

/// Has each call of the tool fail. `accepts` tells which other results are correct.
#[track_caller]
fn inject_into_tool(
    name: &str,
    arena: &Arena,
    args: &[&OsStr],
    place: &Path,
    accepts: &dyn Fn(&RunResult, &RunResult) -> bool,
) {
    if arrangement::program("strace").is_none() {
        return;
    }
    let tool = arena.root().join("git-clone-shim");
    std::os::unix::fs::symlink(executable::release(), &tool).unwrap();
    let mut command = arena.command(tool);
    command.args(args).env("PATH", arena.path_of(true));
    let mut case = Case {
        name,
        command,
        arena,
        place: place.to_owned(),
        is_long: true,
        judge: &|_, _| Came::AsWithoutFault,
    };
    let (expected, _) = case.run(None);
    expected.outcome.clone().succeeded();
    let judge = |result: &RunResult, fault: &str| {
        let is_same = result.tree == expected.tree
            && result.outcome.status == expected.outcome.status
            && result.outcome.stderr == expected.outcome.stderr
            && without_numbers(&result.outcome.stdout) == without_numbers(&expected.outcome.stdout);
        if is_same {
            return Came::AsWithoutFault;
        }
        assert!(
            accepts(result, &expected),
            "{fault}: {:?}\n{:?}",
            result.outcome,
            tree::differences(&result.tree, &expected.tree)
        );
        Came::OwnError
    };
    case.judge = &judge;
    case.inject();
}

#[test]
fn doctor_survives_each_failed_call() {
    let (arena, _) = arena();
    let place = arena.work_dir().to_owned();
    let args = [OsStr::new("doctor"), place.as_os_str()];
    inject_into_tool("doctor", &arena, &args, &place, &|result, _| {
        // A report that tells that something does not work or was not tried is correct, too.
        let reports = !result.outcome.stdout.is_empty()
            && matches!(result.outcome.status.code(), Some(0 | 1));
        result.tree.is_empty() && (reports || is_error_of_the_tool(result))
    });
}

#[test]
fn explain_survives_each_failed_call() {
    let (arena, source) = arena();
    let args = ["explain", "--", "clone", "-l"].map(OsStr::new);
    let args = [&args[..], &[source.as_os_str(), OsStr::new("dst")]].concat();
    inject_into_tool(
        "explain",
        &arena,
        &args,
        arena.work_dir(),
        &|result, expected| {
            // Where this git cannot be looked at, the next one on PATH is explained.
            let explains =
                result.outcome.status.success() && result.outcome.stdout.starts_with(b"git runs ");
            result.tree == expected.tree && (explains || is_error_of_the_tool(result))
        },
    );
}

#[test]
fn install_survives_each_failed_call() {
    let (arena, _) = arena();
    let prefix = arena.root().join("prefix");
    fs::create_dir(&prefix).unwrap();
    let args = ["install", "--destdir=/", "--prefix"].map(OsStr::new);
    let args = [&args[..], &[prefix.as_os_str()]].concat();
    let again = || {
        let mut command = arena.command(arena.root().join("git-clone-shim"));
        command.args(&args);
        Call::new(command).run().succeeded();
        tree::read(&prefix)
    };
    inject_into_tool("install", &arena, &args, &prefix, &|result, expected| {
        // Without a lock it prints a warning and goes on. Whatever a run leaves, the next one completes. A directory that the
        // first one had made is not the second one's, though: its manifest does not list it.
        let (mut mended, mut whole) = (again(), expected.tree.clone());
        for tree in [&mut mended, &mut whole] {
            tree.remove(Path::new("git-clone-shim/manifest")).unwrap();
        }
        let ended = result.outcome.status.success() || is_error_of_the_tool(result);
        ended && mended == whole
    });
}
