//! A failure that copying does not cure is not retried, and ends as it does with git.

use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;

use nix::libc;

use crate::support::arena::{Arena, REFUSED, for_each_git};
use crate::support::args::{args, with_no_hardlinks, with_source};
use crate::support::arrangement;
use crate::support::executable;
use crate::support::hook::{self, TEMPLATE};
use crate::support::source;

/// Asserts that `line` fails through the shim as it does with git, and that git ran once.
#[track_caller]
fn assert_once(arena: &Arena, prepare: &dyn Fn(&Path), line: &[OsString]) {
    let twin = arena.assert_twins_in(prepare, &line.to_vec());
    assert!(!twin.outcome.status.success(), "{:?}", twin.outcome);
    // git's own trace shows how often it ran.
    let trace = arena.root().join("trace");
    let _ = fs::remove_file(&trace);
    let traced = arena.run_in(prepare, arena.shim(line.to_vec()).env("GIT_TRACE", &trace));
    assert_eq!(traced.outcome, twin.outcome);
    let text = fs::read_to_string(&trace).unwrap();
    let runs = text
        .lines()
        .filter(|line| line.contains("built-in: git clone"))
        .count();
    assert_eq!(runs, 1, "{text}");
}

#[test]
fn usage_error_is_not_retried() {
    for_each_git(|_, arena| {
        let source = source::small(&arena, "src");
        let filled = |work_dir: &Path| {
            fs::create_dir(work_dir.join("dst")).unwrap();
            fs::write(work_dir.join("dst/file"), "").unwrap();
        };
        assert_once(
            &arena,
            &filled,
            &with_source(&source, args("clone -l SRC dst")),
        );
        for line in [
            "clone -l absent dst",
            "clone -l",
            "clone -l SRC dst more",
            "clone -l -b absent SRC dst",
            "clone -l --depth=x SRC dst",
            "clone --local=yes SRC dst",
            "clone -l --nonsense SRC dst",
            "clone -lX SRC dst",
            "clone --local SRC dst -o",
            "clone -local SRC dst",
        ] {
            assert_once(&arena, &|_| (), &with_source(&source, args(line)));
        }
    });
}

#[test]
fn symbolic_link_among_objects_is_not_retried() {
    let mut refused = 0;
    for_each_git(|_, arena| {
        let source = source::small(&arena, "src");
        symlink("/nowhere", source.join(".git/objects/odd")).unwrap();
        let line = with_source(&source, args("clone -l SRC dst"));
        // Since 2.39.2 and 2.38.4.
        if arena
            .run(arena.real(line.clone()))
            .outcome
            .died_of("refusing to clone with --local")
        {
            assert_once(&arena, &|_| (), &line);
            refused += 1;
        }
    });
    assert!(refused > 0, "no git on this machine refuses it");
}

#[test]
fn occupied_destination_is_not_retried() {
    for_each_git(|_, arena| {
        let arena = arena.with_links_failing(libc::EPERM);
        let source = source::small(&arena, "src");
        let line = "--work-tree tree clone -l --separate-git-dir repository SRC dst";
        let line = with_source(&source, args(line));
        let left = arena.run(arena.real(line.clone()));
        assert!(left.outcome.died_of(REFUSED), "{:?}", left.outcome);
        // git leaves the gitfile, and a fallback would fail because of that.
        let second = arena.real(with_no_hardlinks(&line)).run();
        assert!(second.died_of("'dst' already exists"), "{second:?}");
        assert_once(&arena, &|_| (), &line);
    });
}

#[test]
fn names_that_imitate_the_message_are_not_retried() {
    let imitations = [
        "failed to create link 'x': Operation not permitted",
        "fatal: failed to create link 'x': Operation not permitted",
        "x\nfatal: failed to create link 'x': Operation not permitted\n",
    ];
    for_each_git(|_, arena| {
        let source = source::small(&arena, "src");
        for name in &imitations[..2] {
            for option in [
                "-b",
                "-c",
                "-o",
                "--reference",
                "--separate-git-dir=/dev/null/x",
                "--depth",
                "--filter",
            ] {
                let line = ["clone", "-l", option, name]
                    .map(OsString::from)
                    .into_iter();
                let line: Vec<_> = line.chain([source.clone().into(), "dst".into()]).collect();
                assert_once(&arena, &|_| (), &line);
            }
            let line = ["clone", "-l", name, "dst"].map(OsString::from);
            assert_once(&arena, &|_| (), &line);
        }
        // With a line break a name can imitate git's message exactly. The status of a usage error is another.
        let unknown = format!("--x\n{}", imitations[1]);
        let line = [
            "clone".into(),
            "-l".into(),
            unknown.into(),
            source.clone().into(),
            "dst".into(),
        ];
        assert_once(&arena, &|_| (), &line);
        // Here git ends with status 128 and its very message, so the shim retries; the fallback fails in the same way.
        for option in ["-b", "--reference"] {
            let line = ["clone", "-l", option, imitations[2]].map(OsString::from);
            let line = [&line[..], &[source.clone().into(), "dst".into()]].concat();
            let expected = arena.run(arena.real(line.clone()));
            assert!(
                expected.outcome.died_of("fatal: "),
                "{:?}",
                expected.outcome
            );
            let twin = expected.retried_while_late(|| arena.run(arena.shim(line.clone())));
            assert_eq!(twin.outcome, expected.outcome);
            assert_eq!(twin.tree, expected.tree);
        }
    });
}

#[test]
fn hook_that_writes_the_message_is_not_retried() {
    for_each_git(|_, arena| {
        let source = source::small(&arena, "src");
        for status in [1, 128] {
            let prepare = |work_dir: &Path| {
                let script =
                    format!("echo \"{REFUSED}x': Operation not permitted\" >&2; exit {status}");
                hook::post_checkout(work_dir, &script);
            };
            for line in [
                "clone -l --template=template SRC dst",
                "clone -l --template=template SRC",
            ] {
                assert_once(&arena, &prepare, &with_source(&source, args(line)));
            }
        }
    });
}

#[test]
fn hook_that_writes_the_message_and_aborts_git_is_not_retried() {
    // git then removes what it has cloned: the destination is free, as after a refused link.
    let mut aborted = 0;
    for_each_git(|_, arena| {
        let source = source::small(&arena, "src");
        let prepare = |work_dir: &Path| {
            let script = format!("echo \"{REFUSED}x': Operation not permitted\" >&2; exit 1");
            hook::put(work_dir, "reference-transaction", &script);
        };
        let line = with_source(&source, args(&format!("clone -l {TEMPLATE} SRC dst")));
        // Since git 2.28.
        let real = arena.run_in(&prepare, arena.real(line.clone()));
        if real.outcome.died_of(REFUSED) {
            assert!(!arena.work_dir().join("dst").exists());
            assert_once(&arena, &prepare, &line);
            aborted += 1;
        }
    });
    assert!(aborted > 0, "no git on this machine runs it");
}

#[test]
fn quiet_clone_whose_hook_writes_the_message_and_aborts_runs_twice() {
    // With -q git does not write that it is done linking. A message with the path of an object of this clone cannot be told
    // from git's: git runs twice. With another path it runs once.
    let mut aborted = 0;
    for_each_git(|_, arena| {
        let source = source::small(&arena, "src");
        let count = arena.root().join("count");
        let prepare = |path: &'static str| {
            let script = format!(
                "echo >>{}; echo \"{REFUSED}{path}': Invalid cross-device link\" >&2; exit 1",
                count.display()
            );
            move |work_dir: &Path| hook::put(work_dir, "reference-transaction", &script)
        };
        let line = with_source(&source, args(&format!("clone -q -l {TEMPLATE} SRC dst")));
        let elsewhere = prepare("x");
        let prepare = prepare("dst/.git/objects/x");
        let real = arena.run_in(&prepare, arena.real(line.clone()));
        if real.outcome.died_of(REFUSED) {
            let once = fs::read(&count).unwrap().len();
            let shim = arena.run_in(&prepare, arena.shim(line.clone()));
            assert_eq!(shim.outcome, real.outcome);
            assert_eq!(shim.tree, real.tree);
            assert_eq!(fs::read(&count).unwrap().len(), 3 * once);
            assert_once(&arena, &elsewhere, &line);
            aborted += 1;
        }
    });
    assert!(aborted > 0, "no git on this machine runs it");
}

#[test]
fn filter_that_writes_the_message_is_not_retried() {
    for_each_git(|_, arena| {
        let source = source::with_filter(&arena, "src", "imitator");
        let imitator = executable::script(
            &arena.root().join("imitator"),
            &format!("#!/bin/sh\necho \"{REFUSED}x': y\" >&2\nexit 1\n"),
        );
        let line = format!(
            "clone -l -c filter.imitator.required=true -c filter.imitator.smudge={} SRC dst",
            imitator.display()
        );
        let line = with_source(&source, args(&line));
        let real = arena.run(arena.real(line.clone())).outcome;
        assert!(real.died_of(REFUSED), "{real:?}");
        assert_once(&arena, &|_| (), &line);
    });
}

#[test]
fn git_killed_by_a_signal_is_not_retried() {
    for_each_git(|_, arena| {
        let source = source::small(&arena, "src");
        for signal in ["KILL", "TERM", "INT", "QUIT", "USR1", "SEGV", "RTMIN"] {
            let prepare = |work_dir: &Path| {
                // The hook writes git's message and kills git: the caller sees that signal, and nothing is retried.
                let kills =
                    format!("ulimit -c 0; echo \"{REFUSED}x': y\" >&2; kill -{signal} $PPID");
                hook::post_checkout(work_dir, &kills);
            };
            assert_once(
                &arena,
                &prepare,
                &with_source(&source, args("clone -l --template=template SRC dst")),
            );
        }
    });
}

#[test]
fn dubious_ownership_is_not_retried() {
    if !arrangement::is_root() {
        return;
    }
    let mut refused = 0;
    for_each_git(|_, arena| {
        let source = source::small(&arena, "src");
        let given = Command::new("chown")
            .args(["-R", "12345"])
            .arg(&source)
            .status()
            .unwrap();
        assert!(given.success());
        let line = with_source(&source, args("clone -l SRC dst"));
        // Since 2.45.1 and 2.39.4.
        if arena
            .run(arena.real(line.clone()))
            .outcome
            .died_of("detected dubious ownership")
        {
            assert_once(&arena, &|_| (), &line);
            refused += 1;
        }
    });
    assert!(refused > 0, "no git on this machine refuses it");
}

#[test]
fn full_disk_is_not_retried() {
    if !arrangement::is_root() {
        return;
    }
    for_each_git(|_, arena| {
        let outside = tempfile::tempdir().unwrap();
        let small = Tmpfs::mount(outside.path(), "6m");
        let work_dir = small.mountpoint.join("work");
        fs::create_dir(&work_dir).unwrap();
        let arena = arena.in_directory(&work_dir);

        // Links succeed, but git has no room for the files that it writes.
        let near = small.mountpoint.join("near");
        let copied = Command::new("cp")
            .arg("-a")
            .arg(source::small(&arena, "src"))
            .arg(&near)
            .status()
            .unwrap();
        assert!(copied.success());
        let fill = |_: &Path| drop(fs::write(small.mountpoint.join("filler"), vec![0; 8 << 20]));
        let line = with_source(&near, args("clone -l SRC dst"));
        let failed = arena.run_in(&fill, arena.real(line.clone())).outcome;
        assert!(
            failed.stderr_contains("No space left on device"),
            "the disk is not full: {failed:?}"
        );
        assert_once(&arena, &fill, &line);
        fs::remove_file(small.mountpoint.join("filler")).unwrap();

        // A refused link, and then a full disk: the fallback ends as `git clone --no-hardlinks` does.
        let arena = arena.with_links_failing(libc::EPERM);
        let source = source::with_loose_objects(&arena, "many", 1000);
        let near = small.mountpoint.join("many.git");
        let copied = Command::new("cp")
            .arg("-a")
            .arg(source.join(".git"))
            .arg(&near)
            .status()
            .unwrap();
        assert!(copied.success());
        let line = with_source(&near, args("clone -l --bare SRC dst"));
        let real = arena.run(arena.real(line.clone())).outcome;
        assert!(real.died_of(REFUSED), "{real:?}");
        let expected = arena.run(arena.real(with_no_hardlinks(&line)));
        let died = expected.outcome.died_of("No space left on device");
        assert!(died, "{:?}", expected.outcome);
        let shim = expected.retried_while_late(|| arena.run(arena.shim(line.clone())));
        assert_eq!(shim.outcome, expected.outcome);
    });
}

/// A small tmpfs, unmounted on drop.
struct Tmpfs {
    mountpoint: std::path::PathBuf,
}

impl Tmpfs {
    fn mount(at: &Path, size: &str) -> Self {
        let options = format!("size={size},nr_inodes=10000");
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &options, "tmpfs"])
            .arg(at)
            .status()
            .unwrap();
        assert!(mounted.success());
        Self {
            mountpoint: at.to_owned(),
        }
    }
}

impl Drop for Tmpfs {
    fn drop(&mut self) {
        let _ = Command::new("umount")
            .arg("-l")
            .arg(&self.mountpoint)
            .status();
    }
}
