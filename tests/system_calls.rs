//! Each system call of the shim's own process fails once, and is delayed once. The call then ends as without the fault, as git
//! alone would end, or with one line of the shim's own that leaves nothing.
//!
//! strace(1) injects the errors. It follows the shim up to the exec of git; git, and what the shim starts, run without faults.
//! Calls before `main` are the C library's own: what comes of an error there is the same in every program.
//!
//! In `cargo test` the first call of each name gets one of its errors. `GIT_CLONE_SHIM_TEST_SYSTEM_CALLS=1` tries all of them on
//! every call, with delays, and `--nocapture` shows the table.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::process::Command;

use nix::libc::SIGABRT;

use crate::support::arena::{Arena, RunResult};
use crate::support::args::{args, with_no_hardlinks, with_source};
use crate::support::arrangement;
use crate::support::call::{Call, Outcome};
use crate::support::executable;
use crate::support::gits::gits;
use crate::support::process;
use crate::support::tree;

/// How long a call is delayed, in microseconds: longer than a clone takes.
const DELAY: u32 = 100_000;

/// The calls that change files.
const CHANGES: &str = "mkdir mkdirat rename renameat renameat2 unlink unlinkat rmdir symlink symlinkat link linkat chmod fchmod \
                       fchmodat ftruncate utimensat fchown copy_file_range sendfile";

/// The errors of each call: those of limits (EMFILE, ENFILE, ENOMEM, EAGAIN), of sandboxes and old kernels (ENOSYS, EPERM,
/// EACCES), of sick filesystems (EIO, ESTALE, ENOSPC), and of signals (EINTR). A call without an error is one that cannot fail:
/// it is only delayed.
const ERRORS: [(&str, &str); 15] = [
    ("stat lstat newfstatat fstat statx readlink readlinkat getcwd", "EACCES EIO ENOENT ESTALE ENOSYS EPERM ENOMEM"),
    ("access faccessat faccessat2", "EACCES EIO ENOSYS EPERM EROFS"),
    ("open openat", "EMFILE ENFILE EACCES EIO EINTR ENOENT ESTALE ENOMEM"),
    ("read getdents64 pread64 lseek", "EIO EINTR ESTALE"),
    ("write writev sendto sendmsg", "EIO ENOSPC EINTR EAGAIN EDQUOT"),
    ("close close_range fsync", "EIO EINTR ENOSPC"),
    ("pipe2 signalfd4 dup2 dup3 socket fcntl pidfd_open connect", "EMFILE ENFILE ENOSYS EPERM ENOMEM"),
    ("poll ppoll", "EINTR ENOMEM"),
    ("clone clone3 fork vfork", "EAGAIN ENOMEM ENOSYS EPERM"),
    ("wait4 waitid", "ENOSYS EPERM"),
    ("execve", "ENOMEM E2BIG ETXTBSY EACCES EIO ENOENT"),
    ("mmap brk mremap munmap mprotect madvise", "ENOMEM"),
    (CHANGES, "EACCES EIO ENOSPC EDQUOT EROFS ENOSYS EPERM"),
    ("flock ioctl statfs", "EACCES EIO ENOSYS EPERM"),
    (
        "rt_sigaction rt_sigprocmask getpid getppid gettid geteuid getuid getegid getgid getgroups clock_gettime prctl kill \
         tkill tgkill setpgid getrandom uname umask sched_getaffinity prlimit64 sigaltstack exit_group futex \
         restart_syscall getpgrp pause rt_sigsuspend rt_sigtimedwait chdir setsid",
        "",
    ),
];

/// The errors of this call. A pipe and a signalfd never fail as a file does, and with FIONBIO not at all.
fn errors_of(call: &Traced) -> Vec<&'static str> {
    let has_name = |calls: &str| calls.split_whitespace().any(|name| name == call.name);
    let known = ERRORS.iter().find(|(calls, _)| has_name(calls));
    let (_, errors) = known.unwrap_or_else(|| panic!("no errors are listed for {}", call.name));
    match call.name.as_str() {
        "read" | "write" if call.is_on_a_pipe => vec!["EINTR", "EAGAIN"],
        "ioctl" if call.is_on_a_pipe => vec![],
        // A sandbox that permits the first one, which asks for this, permits the next.
        "wait4" if call.at > 1 => vec![],
        _ => errors.split_whitespace().collect(),
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
    /// A clone is planned, and there is no memory for that: std ends the shim before git begins.
    OutOfMemory,
}

/// A program whose system calls fail, each in a run of its own.
struct Case<'a> {
    name: &'a str,
    /// What runs; strace is put in front of it.
    command: Command,
    arena: &'a Arena,
    /// Whether it is the tool: only its calls that change files fail, with one error each. std panics at others.
    is_tool: bool,
}

impl Case<'_> {
    /// Runs it under strace with this injection; returns what came of it and the trace.
    fn run(&self, injection: Option<&str>) -> (RunResult, String) {
        let log = self.arena.root().join("strace.log");
        let mut strace = self.arena.command("timeout");
        strace.args(["--signal=KILL", "60", "strace", "-qq", "-y", "-o"]).arg(&log);
        strace.args(injection.map(|injection| format!("--inject={injection}")));
        strace.arg(self.command.get_program()).args(self.command.get_args());
        strace.envs(self.command.get_envs().filter_map(|(name, value)| Some((name, value?))));
        tree::clear(self.arena.work_dir());
        let outcome = self.arena.under_fault(|| Call::new(strace).run());
        process::wait_for_all_of(self.arena);
        let tree = tree::read(self.arena.work_dir());
        (RunResult { outcome, tree }, fs::read_to_string(log).unwrap())
    }

    /// Injects errors and delays into each call of the program's own process, has `judge` tell what came of each run, and
    /// prints one line of the table.
    #[track_caller]
    fn inject(&self, judge: &dyn Fn(&RunResult, &str) -> Came) {
        let all = std::env::var_os("GIT_CLONE_SHIM_TEST_SYSTEM_CALLS").is_some();
        let (_, trace) = self.run(None);
        let calls = own_calls(&trace);
        assert!(!calls.is_empty(), "{trace}");
        let mut tally = BTreeMap::<Came, usize>::new();
        let mut missed = 0;
        for (number, call) in calls.iter().enumerate() {
            let is_first = calls[..number].iter().all(|earlier| earlier.name != call.name);
            let is_change = CHANGES.split(' ').any(|name| name == call.name);
            if !all && !is_first || self.is_tool && !is_change {
                continue;
            }
            let errors = errors_of(call);
            // brk(2) has no errors: the kernel returns the old end.
            let error = |error| {
                if call.name == "brk" { "retval=0".to_owned() } else { format!("error={error}") }
            };
            let mut injections: Vec<_> = errors.into_iter().map(error).collect();
            if all || injections.is_empty() {
                injections.push(format!("delay_enter={DELAY}"));
            }
            if !all || self.is_tool {
                injections = vec![injections.swap_remove(number % injections.len())];
            }
            for injection in injections {
                let fault = format!("{}:{injection}:when={}", call.name, call.at);
                let (result, trace) = self.run(Some(&fault));
                // The shim may make a call less than before; then git has got the fault.
                let injected = ["(INJECTED)", "(DELAYED)"].iter().find_map(|mark| trace.find(mark));
                let execs = |end| trace[..end].lines().filter(|line| is_exec(line)).count();
                if injected.is_none_or(|end| execs(end) > 1) {
                    missed += 1;
                    continue;
                }
                let fault = format!("{}: {fault}", self.name);
                assert!(!result.outcome.stderr_contains("panicked"), "{fault}: {:?}", result.outcome);
                let came = judge(&result, &fault);
                // What passes by itself must change nothing.
                let passes = injection.contains("EINTR") || injection.contains("delay");
                let changes_nothing = self.is_tool || !passes || came == Came::AsWithoutFault;
                assert!(changes_nothing, "{fault}: {came:?}: {:?}", result.outcome);
                *tally.entry(came).or_default() += 1;
            }
        }
        let with_a_fault = tally.values().sum::<usize>();
        eprintln!("{}: {} calls, {with_a_fault} faults, {tally:?}", self.name, calls.len());
        // Two runs differ by a few calls, where a wake-up comes earlier or later.
        assert!(missed <= 1 + with_a_fault / 10, "{missed} runs missed the call, {with_a_fault} met it");
        assert!(self.is_tool || tally.contains_key(&Came::AsWithoutFault));
    }
}

/// Whether this line of a trace is an exec that succeeded.
fn is_exec(line: &str) -> bool {
    line.starts_with("execve(") && line.ends_with(" = 0")
}

/// The calls that the shim's own process makes in this trace, from `main` to the exec of git or to its end.
fn own_calls(trace: &str) -> Vec<Traced> {
    // What a C library calls last before `main`, in this order; the first of them is called once.
    const LAST_BEFORE_MAIN: [&str; 6] =
        ["set_tid_address", "set_robust_list", "rseq", "mprotect", "prlimit64", "munmap"];
    let mut counts = BTreeMap::<&str, usize>::new();
    let mut calls = Vec::new();
    let (mut is_starting, mut is_started) = (false, false);
    // The first line is the exec by strace itself, for which it injects nothing.
    for line in trace.lines().skip(1) {
        let is_name = |name: &str| name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
        let Some((name, rest)) = line.split_once('(').filter(|(name, _)| is_name(name)) else { continue };
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

/// Has each call of the shim fail, run with `line`, which comes to what it comes to with git, or `copies`.
#[track_caller]
fn inject_into_shim(name: &str, arena: &Arena, line: &str, copies: bool) {
    if arrangement::program("strace").is_none() {
        return;
    }
    arena.use_release();
    let line = with_source(arena.root().join("src"), args(line));
    let real = arena.run(arena.real(line.clone()));
    let expected = if copies { arena.run(arena.real(with_no_hardlinks(&line))) } else { real.clone() };
    expected.outcome.clone().succeeded();
    let mut command = arena.command("git");
    command.args(&line).env("PATH", arena.path_of(true));
    let case = Case { name, command, arena, is_tool: false };
    case.run(None).0.assert_equals(&expected);
    case.inject(&|result, fault| {
        if *result == expected {
            return Came::AsWithoutFault;
        }
        if *result == real {
            return Came::AsGit;
        }
        let is_abort = result.outcome.status.signal() == Some(SIGABRT) && name != "pass-through";
        let is_short = fault.contains(": mmap:error=ENOMEM") && result.outcome.stderr_contains("memory allocation of ");
        if is_abort && is_short && result.tree.is_empty() {
            return Came::OutOfMemory;
        }
        let is_own = [125, 126, 127].iter().any(|&status| result.outcome.is_our_failure(status));
        let differences = tree::differences(&result.tree, &expected.tree);
        assert!(is_own && result.tree.is_empty(), "{fault}: {:?}\n{differences:?}", result.outcome);
        Came::OwnError
    });
}

#[test]
fn pass_through_and_plain_clone_survive_each_failed_call() {
    let [arena, _] = Arena::linking_and_refusing(&gits()[0]);
    inject_into_shim("pass-through", &arena, "-C SRC log --oneline", false);
    inject_into_shim("plain clone", &arena, "clone SRC dst", false);
    if let Some(arena) = arena.across_mounts() {
        inject_into_shim("copy across mounts", &arena, "clone -l SRC dst", true);
    }
}

#[test]
fn attempt_and_fallback_survive_each_failed_call() {
    let [linking, refusing] = Arena::linking_and_refusing(&gits()[0]);
    inject_into_shim("attempt that links", &linking, "clone -l SRC dst", false);
    inject_into_shim("fallback", &refusing, "clone -l SRC dst", true);
}

#[test]
fn clone_where_a_call_always_fails_is_gits() {
    // As in a sandbox: strace fails them in the shim and in git.
    if arrangement::program("strace").is_none() {
        return;
    }
    let [arena, _] = Arena::linking_and_refusing(&gits()[0]);
    let forks = "clone,?clone3,?fork,?vfork";
    let calls = ["rt_sigprocmask", "poll,ppoll", "wait4,waitid", "signalfd4", "pipe2,?pipe", forks];
    let refused = calls.iter().flat_map(|calls| ["EPERM", "ENOSYS"].map(|error| (*calls, error)));
    // A user who has too many processes gets EAGAIN.
    for (calls, error) in refused.chain([(forks, "EAGAIN")]) {
        let strace = format!("strace -f -qq -o /dev/null --inject={calls}:error={error}");
        arena.assert_script_twins(&format!("exec timeout -s KILL 60 {strace} git clone -l $SRC dst"));
    }
}

/// Without digits: doctor prints how long its trials took.
fn without_numbers(outcome: &Outcome) -> (Option<i32>, Vec<u8>, &[u8]) {
    let text = outcome.stdout.iter().filter(|byte| !byte.is_ascii_digit());
    (outcome.status.code(), text.copied().collect(), &outcome.stderr)
}

#[test]
fn tool_survives_each_failed_call() {
    if arrangement::program("strace").is_none() {
        return;
    }
    let [arena, _] = Arena::linking_and_refusing(&gits()[0]);
    arena.use_release();
    let tool = arena.root().join("git-clone-shim");
    std::os::unix::fs::symlink(executable::release(), &tool).unwrap();
    for line in ["doctor .", "install --prefix ."] {
        let start = |line: &str| {
            let mut command = arena.command(&tool);
            command.args(with_source(arena.root().join("src"), args(line)));
            command.env("PATH", arena.path_of(true));
            command
        };
        let case = Case { name: line, command: start(line), arena: &arena, is_tool: true };
        let (expected, _) = case.run(None);
        expected.outcome.clone().succeeded();
        case.inject(&|result, fault| {
            let (outcome, tree) = (&result.outcome, &result.tree);
            if tree == &expected.tree && without_numbers(outcome) == without_numbers(&expected.outcome) {
                return Came::AsWithoutFault;
            }
            let stderr = String::from_utf8_lossy(&outcome.stderr);
            let is_one_line = stderr.starts_with("git-clone-shim: ") && stderr.trim_end().lines().count() == 1;
            let is_error = is_one_line && matches!(outcome.status.code(), Some(1 | 125));
            let reports = !outcome.stdout.is_empty() && matches!(outcome.status.code(), Some(0 | 1));
            assert!(is_error || reports, "{fault}: {outcome:?}");
            if line.starts_with("install") {
                // Whatever a run leaves, the next one completes.
                let again = Call::new(start(line)).run();
                let differences = tree::differences(&tree::read(arena.work_dir()), &expected.tree);
                assert!(again.status.success() && differences.is_empty(), "{fault}: {again:?} {differences:?}");
            } else {
                let removes = fault.contains("rmdir:") || fault.contains("unlink");
                assert!(removes || tree.is_empty(), "{fault}: {tree:?}");
            }
            Came::OwnError
        });
    }
}
