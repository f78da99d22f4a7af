//! Other users of the machine, and servers, must not gain anything by the fallback: git's own protections stay as they are.

use std::ffi::OsString;
use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use nix::libc;

use crate::support::arena::{Arena, DIFFERENT, REFUSED, for_each_git};
use crate::support::args::{args, with_no_hardlinks, with_source};
use crate::support::arrangement;
use crate::support::call::Call;
use crate::support::executable;
use crate::support::race;
use crate::support::refusing_fs::{self, LinkRule};
use crate::support::source;

/// The user who attacks.
const ATTACKER: u32 = 65534;

/// The user who clones, where it is not root: no capability overrides what the kernel checks.
const VICTIM: u32 = 54321;

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
}

/// Asserts that git fails with a link failure, and that the shim gives no fallback: it ends exactly as git does.
#[track_caller]
fn assert_not_cured(arena: &Arena, line: &[OsString]) {
    let twin = arena.assert_twins(&line.to_vec());
    assert!(twin.outcome.died_of(REFUSED), "{:?}", twin.outcome);
}

/// A process of the attacker's that makes `name` in `directory` as soon as the attempt has made it and git has removed it again.
fn take_name(directory: &Path, name: &str) -> Child {
    let script = format!(
        "until [ -d {name} ]; do :; done; while [ -d {name} ]; do :; done; mkdir -m 777 {name}"
    );
    Command::new("sh")
        .args(["-c", &script])
        .current_dir(directory)
        .uid(ATTACKER)
        .gid(ATTACKER)
        .spawn()
        .unwrap()
}

#[test]
fn fallback_does_not_clone_into_a_directory_that_another_user_made_meanwhile() {
    let (Some(strace), true) = (arrangement::program("strace"), arrangement::is_root()) else {
        return;
    };
    for_each_git(|_, arena| {
        let arena = arena.with_links_failing(libc::EXDEV);
        let source = source::small(&arena, "src");
        set_mode(arena.work_dir(), 0o1777);
        for line in ["clone -l SRC dst", "clone -l --bare SRC dst"] {
            let line = with_source(&source, args(line));
            // The first directory that the shim's own process makes is made late: the attacker is always faster. It is
            // the shim's, or without one that of the git which it execs.
            let mut command = arena.command(&strace);
            command
                .args(["-qq", "-o", "/dev/null", "-e", "trace=mkdir,mkdirat"])
                .args(["-e", "inject=mkdir,mkdirat:delay_enter=500000:when=1"])
                .arg(arena.shim_directory().join("git"))
                .args(&line)
                .env("PATH", arena.path_of(true));
            let mut attacker = take_name(arena.work_dir(), "dst");
            let outcome = arena.under_fault(|| Call::new(command).run());
            assert!(attacker.wait().unwrap().success());
            let taken = arena.work_dir().join("dst");
            assert_eq!(
                fs::metadata(&taken).unwrap().uid(),
                ATTACKER,
                "the attack does not work"
            );
            assert_eq!(
                fs::read_dir(&taken).unwrap().count(),
                0,
                "the clone is in it"
            );
            assert!(outcome.died_of(REFUSED), "{outcome:?}");
            fs::remove_dir(&taken).unwrap();
        }
    });
}

#[test]
fn clone_in_a_directory_that_others_can_write_to_is_cured() {
    for_each_git(|_, arena| {
        let arena = arena.with_links_failing(libc::EXDEV);
        let source = source::small(&arena, "src");
        let empty = |mode: u32| {
            move |place: &Path| {
                fs::create_dir(place.join("dst")).unwrap();
                set_mode(&place.join("dst"), mode);
            }
        };
        for mode in [0o1777, 0o777, 0o2775] {
            set_mode(arena.work_dir(), mode);
            for line in [
                "clone -l SRC dst",
                "clone -l --mirror SRC dst",
                "clone -l SRC a/b/dst",
                "clone -l SRC",
            ] {
                arena.assert_cured(&with_source(&source, args(line)));
            }
            // What the caller prepared stays the destination, even if others can write to it.
            let line = with_source(&source, args("clone -l SRC dst"));
            arena.assert_cured_in(&empty(0o755), &line, REFUSED);
            arena.assert_cured_in(&empty(0o2775), &line, REFUSED);
        }
    });
}

#[test]
fn objects_that_others_can_exchange_are_not_copied_after_git_refused_them() {
    for_each_git(|_, arena| {
        let arena = arena.with_links_failing(libc::EPERM);
        let source = source::small(&arena, "src");
        let line = with_source(&source, args("clone -l SRC dst"));
        arena.assert_cured(&line);
        let objects = source.join(".git/objects");
        for directory in [source.join(".git"), objects.clone()] {
            set_mode(&directory, 0o777);
            assert_not_cured(&arena, &line);
            set_mode(&directory, 0o755);
        }
        arena.assert_cured(&line);
    });
}

#[test]
fn error_of_the_filesystem_is_cured_where_others_can_write_to_the_objects() {
    for errno in [libc::EXDEV, libc::EOPNOTSUPP, libc::ENOSYS, 524] {
        for_each_git(|_, arena| {
            let arena = arena.with_links_failing(errno);
            let source = source::small(&arena, "src");
            set_mode(&source.join(".git/objects"), 0o777);
            arena.assert_cured(&with_source(&source, args("clone -l SRC dst")));
        });
    }
}

#[test]
fn objects_on_a_filesystem_that_is_known_to_refuse_links_are_copied_whoever_can_write_to_them() {
    let rule = LinkRule::SameDirectoryOnly { errno: libc::EPERM };
    let Some((_directory, filesystem)) = refusing_fs::mount(rule) else {
        return;
    };
    for_each_git(|_, arena| {
        let (arena, source) = refusing_fs::arena_on(&filesystem, arena);
        set_mode(&source.join(".git/objects"), 0o777);
        arena.assert_cured(&with_source(&source, args("clone -q -l SRC dst")));
    });
}

#[test]
fn object_that_another_user_put_in_place_of_ours_is_not_copied() {
    // fs.protected_hardlinks refuses the link (EPERM), and by that protects from an object whose owner can change it.
    if !arrangement::is_root() {
        return;
    }
    let protected = fs::read_to_string("/proc/sys/fs/protected_hardlinks").unwrap_or_default();
    if protected.trim() != "1" {
        return arrangement::missing("fs.protected_hardlinks");
    }
    for_each_git(|_, arena| {
        let source = source::small(&arena, "src");
        // The program under test may lie where only root can read it.
        let shim = arena.shim_directory().join("git");
        fs::remove_file(&shim).unwrap();
        executable::copy(executable::shim(), &shim);
        let victim = format!("{VICTIM}:{VICTIM}");
        let done = Command::new("chown")
            .args(["-R", &victim])
            .args([
                arena.root().join("src"),
                arena.root().join("home"),
                arena.work_dir().to_owned(),
            ])
            .status();
        assert!(done.unwrap().success());
        let objects = source.join(".git/objects");
        let subdirectory = fs::read_dir(&objects)
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .find(|path| path.file_name().unwrap().len() == 2)
            .unwrap();
        let object = fs::read_dir(&subdirectory)
            .unwrap()
            .next()
            .unwrap()
            .unwrap()
            .path();
        set_mode(&subdirectory, 0o777);
        let exchange = "cp \"$1\" \"$1.new\" && mv -f \"$1.new\" \"$1\"";
        let done = Command::new("sh")
            .args(["-c", exchange, "sh"])
            .arg(&object)
            .uid(ATTACKER)
            .gid(ATTACKER)
            .status();
        assert!(done.unwrap().success());
        assert_eq!(fs::metadata(&object).unwrap().uid(), ATTACKER);
        let line = with_source(&source, args("clone --local SRC dst"));
        let as_victim = |mut call: Call| {
            call.command.uid(VICTIM).gid(VICTIM);
            arena.run(call)
        };
        let real = as_victim(arena.real(line.clone()));
        assert!(real.outcome.died_of(REFUSED), "{:?}", real.outcome);
        as_victim(arena.shim(line.clone())).assert_equals(&real);
        // When no other user can write to the directory, it is a shared cache like any other.
        set_mode(&subdirectory, 0o755);
        let expected = as_victim(arena.real(with_no_hardlinks(&line)));
        let cured = expected.retried_while_late(|| as_victim(arena.shim(line.clone())));
        cured.assert_equals(&expected);
        assert!(cured.outcome.status.success());
    });
}

/// A user's process that exchanges a file again and again, without a moment in which it is missing. Ended when dropped.
struct Exchange(Child);

impl Exchange {
    fn of(file: &Path) -> Self {
        // Each new file keeps another name: a file without any name cannot be linked.
        let script = "n=0; while :; do n=$((n + 1)); cp -f \"$1\" \"$1.$((n % 64))\" && ln -f \"$1.$((n % 64))\" \"$1.new\" && mv -f \"$1.new\" \"$1\"; done";
        let mut command = Command::new("sh");
        command.args(["-c", script, "sh"]).arg(file);
        let attacker = command.stderr(Stdio::null()).uid(ATTACKER).gid(ATTACKER);
        Self(attacker.spawn().unwrap())
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn object_that_another_user_exchanges_while_git_links_it_is_not_copied() {
    // git dies of a link that is not the file that it has looked at: a fallback would copy what the other user has put there.
    if !arrangement::is_root() || !race::can_delay() {
        return;
    }
    let mut refused = 0;
    for_each_git(|_, arena| {
        let source = source::packed(&arena, "src");
        let packs = source.join(".git/objects/pack");
        set_mode(&packs, 0o777);
        let mut files = fs::read_dir(&packs)
            .unwrap()
            .map(|entry| entry.unwrap().path());
        let pack = files.find(|file| file.extension().is_some_and(|kind| kind == "pack"));
        let _exchange = Exchange::of(&pack.unwrap());
        for line in ["clone -l SRC dst", "clone -q SRC dst"] {
            let line = with_source(&source, args(line));
            let run = |call: Call| arena.run(race::delayed_at_links(&arena, &call)).outcome;
            let dies = |call: &dyn Fn() -> Call| (0..20).any(|_| run(call()).died_of(DIFFERENT));
            // Gits before 2.45.1 and 2.39.4 do not check.
            if dies(&|| arena.real(line.clone())) {
                assert!(dies(&|| arena.shim(line.clone())), "it was copied");
                refused += 1;
            }
        }
    });
    assert!(refused > 0, "no git on this machine checks its links");
}

#[test]
fn server_that_writes_a_link_failure_starts_no_fallback() {
    // What a server writes reaches stderr as it is: here the program that ssh would run.
    for_each_git(|_, arena| {
        let server = arena.root().join("server");
        let message =
            "fatal: failed to create link 'dst/.git/objects/ab/cdef': Invalid cross-device link";
        executable::script(
            &server,
            &format!("#!/bin/sh\necho ran >>\"$RAN\"\necho \"{message}\" >&2\nexit 128\n"),
        );
        let ran = arena.root().join("ran");
        for line in [
            "clone -l host:src dst",
            "clone -l ssh://host/src dst",
            "clone -q -l host:src dst",
        ] {
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
fn configuration_of_the_source_that_imitates_a_link_failure_starts_no_fallback() {
    // upload-pack in the source repeats the value, line break and all, and dies with 128.
    for_each_git(|_, arena| {
        let source = source::small(&arena, "src");
        let value = "x\\nfatal: failed to create link 'elsewhere/.git/objects/ab/cdef': Invalid cross-device link\\nfatal: ";
        let config = format!("[uploadpack]\n\tallowFilter = \"{value}\"\n");
        let file = source.join(".git/config");
        let before = fs::read_to_string(&file).unwrap();
        fs::write(&file, before + &config).unwrap();
        for line in ["clone -l SRC dst", "clone -q -l SRC dst"] {
            let line = with_source(&source, args(line));
            let real = arena.run(arena.real(line.clone()));
            assert!(real.outcome.died_of(REFUSED), "{:?}", real.outcome);
            let trace = arena.root().join("trace");
            let _ = fs::remove_file(&trace);
            let shim = arena.run(arena.shim(line).env("GIT_TRACE", &trace));
            shim.assert_equals(&real);
            let trace = fs::read_to_string(&trace).unwrap();
            assert_eq!(trace.matches("built-in: git clone").count(), 1, "{trace}");
        }
    });
}
