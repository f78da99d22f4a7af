//! Where the kernel refuses memory, a call ends as git alone would end, and never with half a clone.

use std::ffi::OsString;
use std::fs;
use std::process::ExitStatus;

use nix::libc;

use crate::support::arena::Arena;
use crate::support::args::{args, with_source};
use crate::support::arrangement;
use crate::support::call::Call;
use crate::support::gits::gits;
use crate::support::source;
use crate::support::tree;

/// The calls by which a process gets memory.
const MEMORY_CALLS: &str = "mmap,brk,mremap";

/// More calls than a process makes before it execs git, the dynamic loader's included.
const MOST_CALLS: u32 = 60;

/// Refuses memory to the shim's own process and to the git that it execs, from each call on in turn: glibc tries mmap where brk is
/// refused, so one refusal would prove little.
fn refuse_at_each_call(line: &str, errno: Option<i32>, execs_git: bool) {
    let Some(strace) = arrangement::program("strace") else {
        return;
    };
    let arena = Arena::new(&gits()[0]);
    arena.use_release();
    let source = source::small(&arena, "src");
    let line: Vec<OsString> = with_source(&source, args(line));
    let log = arena.root().join("strace.log");
    let run = |through_shim: bool, when: Option<u32>| {
        tree::clear(arena.work_dir());
        let mut command = arena.command(&strace);
        command.arg("-qq").arg("-o").arg(&log);
        command
            .arg("-e")
            .arg(format!("trace={MEMORY_CALLS},execve"));
        if let Some(when) = when {
            let inject = format!("inject={MEMORY_CALLS}:error=ENOMEM:when={when}+");
            command.arg("-e").arg(inject);
        }
        command.arg("git").args(&line);
        command.env("PATH", arena.path_of(through_shim));
        let outcome = Call::new(command).links_fail(errno).run();
        let calls = fs::read_to_string(&log).unwrap();
        (outcome, tree::read(arena.work_dir()), calls)
    };
    // What git and its dynamic loader do without memory: the loader may even die of SIGSEGV.
    let ends_of_git: Vec<ExitStatus> = (1..=MOST_CALLS)
        .map(|when| run(false, Some(when)).0.status)
        .collect();
    let (expected, expected_tree, _) = run(true, None);
    assert!(expected.status.success(), "{expected:?}");
    let mut gits_reached = 0;
    for when in 1..=MOST_CALLS {
        let (outcome, tree, calls) = run(true, Some(when));
        let Some(injected) = calls.find("(INJECTED)") else {
            break;
        };
        let fault = format!("{MEMORY_CALLS} number {when}");
        // strace execs the shim, and the shim git: what git makes of the fault is its own affair.
        let execs = calls.get(..injected).unwrap().matches("execve(").count();
        if execs > 1 {
            gits_reached += 1;
            assert!(!outcome.stderr_contains("git-clone-shim"), "{fault}");
        } else if outcome.status.success() {
            assert_eq!(outcome, expected, "{fault}");
            assert!(tree == expected_tree, "{fault}");
        } else {
            assert!(
                ends_of_git.contains(&outcome.status),
                "{fault}: {outcome:?}"
            );
            assert!(tree.is_empty(), "{fault}: something is left behind");
        }
    }
    assert_eq!(gits_reached > 0, execs_git);
}

#[test]
fn pass_through_ends_as_git_where_memory_is_refused() {
    refuse_at_each_call("clone --no-hardlinks SRC dst", None, true);
}

#[test]
fn attempt_leaves_no_half_clone_where_memory_is_refused() {
    refuse_at_each_call("clone --local SRC dst", None, false);
}

#[test]
fn fallback_leaves_no_half_clone_where_memory_is_refused() {
    refuse_at_each_call("clone --local SRC dst", Some(libc::EPERM), true);
}

#[test]
fn address_space_that_is_enough_for_git_is_enough_for_the_shim() {
    let arena = Arena::new(&gits()[0]);
    arena.use_release();
    let source = source::small(&arena, "src");
    let line: Vec<OsString> = with_source(&source, args("clone -q --local SRC dst"));
    let run = |kibibytes: u32, through_shim: bool, errno: Option<i32>| {
        tree::clear(arena.work_dir());
        let mut command = arena.command("bash");
        command
            .arg("-c")
            .arg(format!("ulimit -v {kibibytes}; exec git \"$@\""))
            .arg("bash")
            .args(&line)
            .args(errno.filter(|_| !through_shim).map(|_| "--no-hardlinks"))
            .env("PATH", arena.path_of(through_shim));
        let outcome = Call::new(command).links_fail(errno).run();
        (outcome, tree::read(arena.work_dir()))
    };
    let starts = |kibibytes: u32| {
        let mut command = arena.command("bash");
        command
            .arg("-c")
            .arg(format!("ulimit -v {kibibytes}; exec git --version"))
            .env("PATH", arena.path_of(true))
            .env("GIT_CLONE_SHIM_GIT", "/none");
        Call::new(command).run().is_our_failure(127)
    };
    for errno in [None, Some(libc::EPERM)] {
        let (mut failures, mut successes) = (0, 0);
        for kibibytes in (4096..16 * 1024).step_by(512) {
            let (plain, plain_tree) = run(kibibytes, false, errno);
            let (shim, shim_tree) = run(kibibytes, true, errno);
            let fault = format!("{kibibytes} KiB");
            assert!(!shim.stderr_contains("memory allocation of"), "{fault}");
            if plain.status.success() {
                // A debug build of the shim is larger than git: where the kernel or the loader cannot load it, none of it runs.
                if !starts(kibibytes) {
                    continue;
                }
                successes += 1;
                assert_eq!(shim, plain, "{fault}");
                assert!(shim_tree == plain_tree, "{fault}");
            } else {
                // Where the loader or git gives up depends on a few pages more or less.
                failures += 1;
            }
        }
        assert!(failures > 0 && successes > 0, "{failures}, {successes}");
    }
}
