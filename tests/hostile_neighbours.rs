//! Other users of the machine, and servers, must not gain anything by the fallback: git's own protections stay as they are.

use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use nix::libc;

use crate::support::arena::{Arena, DIFFERENT, REFUSED, RunResult, for_each_git};
use crate::support::args::{args, with_source};
use crate::support::arrangement;
use crate::support::call::Call;
use crate::support::executable;
use crate::support::source;
use crate::support::trace;
use crate::support::tree;

/// The user who attacks.
const ATTACKER: u32 = 65534;

/// The user who clones, where it is not root: no capability overrides what the kernel checks.
const VICTIM: u32 = 54321;

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
}

/// The pack of a packed source.
fn pack(source: &Path) -> PathBuf {
    let mut files = tree::objects(source).into_iter().map(|(file, _)| file);
    files.find(|file| file.extension().is_some_and(|end| end == "pack")).unwrap()
}

/// Whether strace can delay calls here; reports it if not.
#[track_caller]
fn can_delay() -> bool {
    let traced = Command::new("strace").args(["-o", "/dev/null", "true"]).output();
    let can = traced.is_ok_and(|output| output.status.success());
    if !can {
        arrangement::missing("strace");
    }
    can
}

/// Runs a call of git under strace, which delays each link after git has looked at the file.
fn run_delayed(arena: &Arena, call: &Call) -> RunResult {
    let mut command = arena.command("strace");
    command.args(["-f", "--seccomp-bpf", "-qqq", "-o", "/dev/null", "-e", "trace=?link,linkat"]);
    command.args(["-e", "inject=?link,linkat:delay_enter=20000", "git"]).args(call.command.get_args());
    command.envs(call.command.get_envs().map(|(name, value)| (name, value.unwrap())));
    arena.run(Call::new(command))
}

/// Runs `test` while `file` is exchanged for others of the same content again and again, without a moment in which it is
/// missing, until `is_enough`.
fn while_exchanging<T>(
    file: &Path,
    owner: Option<u32>,
    is_enough: impl Fn() -> bool + Sync,
    test: impl FnOnce() -> T,
) -> T {
    let spares = tempfile::tempdir_in(file.ancestors().nth(5).unwrap()).unwrap();
    // Files that keep another name: a file without any name cannot be linked, and git would copy.
    let names: Vec<PathBuf> = (0..64).map(|name| spares.path().join(name.to_string())).collect();
    for name in &names {
        fs::copy(file, name).unwrap();
        chown(name, owner, owner).unwrap();
    }
    let next = spares.path().join("next");
    let is_over = AtomicBool::new(false);
    let result = thread::scope(|scope| {
        scope.spawn(|| {
            for name in names.iter().cycle().take_while(|_| !is_over.load(Ordering::Relaxed)) {
                if is_enough() {
                    thread::yield_now();
                    continue;
                }
                fs::hard_link(name, &next).unwrap();
                fs::rename(&next, file).unwrap();
            }
        });
        let result = catch_unwind(AssertUnwindSafe(test));
        is_over.store(true, Ordering::Relaxed);
        result
    });
    result.unwrap_or_else(|panic| resume_unwind(panic))
}

#[test]
fn destination_that_another_user_has_made_meanwhile_is_not_used() {
    let (Some(strace), true) = (arrangement::program("strace"), arrangement::is_root()) else {
        return;
    };
    for_each_git(|_, arena| {
        let arena = arena.with_links_failing(libc::EXDEV);
        let source = source::small(&arena, "src");
        set_mode(arena.work_dir(), 0o1777);
        for line in ["clone -l SRC dst", "clone -l --bare SRC dst"] {
            // The attacker makes the directory as soon as git has removed it. What the shim's own process does to look at it, or
            // to make it, is delayed: the attacker is always faster.
            let script = "until [ -d dst ]; do :; done; while [ -d dst ]; do :; done; mkdir -m 777 dst";
            let mut attacker = Command::new("sh");
            attacker.args(["-c", script]).current_dir(arena.work_dir());
            let mut attacker = attacker.uid(ATTACKER).gid(ATTACKER).spawn().unwrap();
            let mut command = arena.command(&strace);
            command
                .args(["-qq", "-o", "/dev/null", "-e", "trace=?mkdir,mkdirat,?stat,?lstat,statx,?newfstatat"])
                .args(["-e", "inject=?mkdir,mkdirat,?stat,?lstat,statx,?newfstatat:delay_enter=30000"])
                .arg(arena.shim_directory().join("git"))
                .args(with_source(&source, args(line)))
                .env("PATH", arena.path_of(true));
            let outcome = arena.under_fault(|| Call::new(command).run());
            assert!(attacker.wait().unwrap().success());
            let taken = arena.work_dir().join("dst");
            let owner = fs::metadata(&taken).unwrap().uid();
            assert_eq!(owner, ATTACKER, "the attack does not work");
            // Fails if the clone is in it.
            fs::remove_dir(&taken).unwrap();
            assert!(outcome.died_of(REFUSED), "{outcome:?}");
        }
    });
}

#[test]
fn object_that_another_user_put_in_place_of_ours_is_copied_as_git_copies_it() {
    // fs.protected_hardlinks refuses the link (EPERM), and by that protects from an object whose owner can change it later. A
    // copy is ours, and without --local git makes the same one.
    if !arrangement::is_root() {
        return;
    }
    let protected = fs::read_to_string("/proc/sys/fs/protected_hardlinks").unwrap_or_default();
    if protected.trim() != "1" {
        return arrangement::missing("fs.protected_hardlinks");
    }
    for_each_git(|_, arena| {
        let source = source::small(&arena, "src");
        let done = Command::new("chown").args(["-R", &format!("{VICTIM}:{VICTIM}")]).arg(&source).status();
        assert!(done.unwrap().success());
        let arena = arena.run_by(VICTIM);
        for (object, _) in tree::objects(&source) {
            set_mode(object.parent().unwrap(), 0o777);
            chown(object, Some(ATTACKER), Some(ATTACKER)).unwrap();
        }
        let cured = arena.assert_cured(&with_source(&source, args("clone --local SRC dst")));
        cured.assert_equals(&arena.run(arena.real(with_source(&source, args("clone SRC dst")))));
    });
}

#[test]
fn object_that_another_user_exchanges_while_git_links_it_is_not_copied() {
    // git dies of a link that is not the file that it has looked at: a fallback would copy what the other user has put there.
    if !arrangement::is_root() || !can_delay() {
        return;
    }
    let mut refused = 0;
    for_each_git(|_, arena| {
        let source = source::packed(&arena, "src");
        let pack = pack(&source);
        set_mode(pack.parent().unwrap(), 0o777);
        while_exchanging(
            &pack,
            Some(ATTACKER),
            || false,
            || {
                for line in ["clone -l SRC dst", "clone -q SRC dst"] {
                    let line = with_source(&source, args(line));
                    let run = |call: Call| run_delayed(&arena, &call).outcome;
                    let dies = |call: &dyn Fn() -> Call| (0..20).any(|_| run(call()).died_of(DIFFERENT));
                    // Gits before 2.45.1 and 2.39.4 do not check.
                    if dies(&|| arena.real(line.clone())) {
                        let trace = arena.root().join("trace");
                        assert!(dies(&|| arena.shim(line.clone()).env("GIT_TRACE", &trace)));
                        assert!(!fs::read_to_string(trace).unwrap().contains("--no-hardlinks"));
                        refused += 1;
                    }
                }
            },
        );
    });
    assert!(refused > 0, "no git on this machine checks its links");
}

#[test]
fn object_that_is_exchanged_once_is_linked_when_git_looks_again() {
    // As in a race with `git maintenance` in the source: links are honest here, so the same line runs once more.
    if !can_delay() {
        return;
    }
    let mut refused = 0;
    for_each_git(|_, arena| {
        let source = source::packed(&arena, "src");
        let pack = pack(&source);
        let trace = arena.root().join("trace");
        let line = with_source(&source, args("clone -q -l SRC dst"));
        let run = |call: Call| run_delayed(&arena, &call.env("GIT_TRACE", &trace));
        let runs = || fs::read_to_string(&trace).unwrap_or_default().matches("built-in: git clone").count();
        let died = |limit| {
            let _ = fs::remove_file(&trace);
            while_exchanging(
                &pack,
                None,
                || runs() >= limit,
                || (0..5).any(|_| run(arena.real(line.clone())).outcome.died_of(DIFFERENT)),
            )
        };
        // Gits before 2.45.1 and 2.39.4 do not check.
        if died(usize::MAX) {
            let linked_again = (0..5).any(|_| {
                let _ = fs::remove_file(&trace);
                let shim = while_exchanging(&pack, None, || runs() >= 2, || run(arena.shim(line.clone())));
                shim.outcome.succeeded();
                runs() == 2
            });
            assert!(linked_again, "the fault does not work");
            assert!(!fs::read_to_string(&trace).unwrap().contains("--no-hardlinks"));
            let links = tree::object_links(arena.work_dir());
            assert!(!links.is_empty() && links.iter().all(|&links| links > 1), "{links:?}");
            refused += 1;
        }
    });
    assert!(refused > 0, "no git on this machine checks its links");
}

#[test]
fn server_that_writes_a_link_failure_starts_no_fallback() {
    // What a server writes reaches stderr as it is: here the program that ssh would run.
    for_each_git(|_, arena| {
        let message = "fatal: failed to create link 'dst/.git/objects/ab/cdef': Invalid cross-device link";
        let script = format!("#!/bin/sh\necho ran >>\"$RAN\"\necho \"{message}\" >&2\nexit 128\n");
        let server = executable::script(&arena.root().join("server"), &script);
        let ran = arena.root().join("ran");
        for line in ["clone -l host:src dst", "clone -l ssh://host/src dst", "clone -q -l host:src dst"] {
            let _ = fs::remove_file(&ran);
            let call = |call: Call| call.env("GIT_SSH", &server).env("RAN", &ran);
            let real = arena.run(call(arena.real(args(line))));
            assert!(real.outcome.died_of(REFUSED), "{:?}", real.outcome);
            let with_git = fs::read_to_string(&ran).unwrap();
            arena.run(call(arena.shim(args(line)))).assert_equals(&real);
            let with_both = fs::read_to_string(&ran).unwrap();
            assert_eq!(with_both, with_git.repeat(2), "git ran twice");
        }
    });
}

#[test]
fn configuration_of_the_source_that_imitates_a_link_failure_gains_nothing() {
    // upload-pack in the source repeats the value, line break and all, and dies with 128: git runs again, and dies again.
    for_each_git(|_, arena| {
        let source = source::small(&arena, "src");
        let value =
            "x\\nfatal: failed to create link 'elsewhere/.git/objects/ab/cdef': Invalid cross-device link\\nfatal: ";
        let config = format!("[uploadpack]\n\tallowFilter = \"{value}\"\n");
        let file = source.join(".git/config");
        let before = fs::read_to_string(&file).unwrap();
        fs::write(&file, before + &config).unwrap();
        for line in ["clone -l SRC dst", "clone -q -l SRC dst"] {
            let line = with_source(&source, args(line));
            let real = arena.run(arena.real(line.clone()));
            assert!(real.outcome.died_of(REFUSED), "{:?}", real.outcome);
            let (twin, runs) = trace::clones(&arena, &|_| (), &line);
            twin.assert_equals(&real);
            assert_eq!(runs, 2);
        }
    });
}
