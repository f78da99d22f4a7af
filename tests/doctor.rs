//! `git-clone-shim doctor` tells the truth about a directory, leaves nothing behind, and its exit status agrees.
//! (About PATH: `doctor_on_path`; how it prints it: `doctor_output`; where it is ended: `doctor_interrupted`; against another user:
//! `doctor_hostile`.)

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use nix::libc;
use serde_json::Value;

use crate::support::arena::{Arena, REFUSED, for_each_git};
use crate::support::args::{args, with_source};
use crate::support::arrangement;
use crate::support::call::Call;
use crate::support::doctor::{directories, doctor, examine, links, report, traces};
use crate::support::executable;
use crate::support::fault;
use crate::support::gits::gits;
use crate::support::mounted::Mounted;
use crate::support::path::shim_copy;
use crate::support::refusing_fs::{LinkRule, arena_on, mount};
use crate::support::source;
use crate::support::sshfs::Sshfs;

/// Asserts that doctor reports of the arena's working directory what happens there when the real git and the shim clone
/// `source`, and returns its report.
#[track_caller]
fn assert_agrees_with_clones(arena: &Arena, source: &Path) -> Value {
    let examined = examine(arena, arena.work_dir());
    let line = with_source(source, args("clone -q --local SRC dst"));
    let real = arena.run(arena.real(line.clone())).outcome;
    let shim = arena.run(arena.shim(line)).outcome;
    assert_eq!(
        examined["clone_with_git"]["ok"],
        real.status.success(),
        "{examined:#}{real:?}"
    );
    assert_eq!(
        examined["clone_through_shim"]["ok"],
        shim.status.success(),
        "{examined:#}{shim:?}"
    );
    let args = examined["clone_with_git"]["message"].as_str().unwrap();
    // The paths differ, the message and the reason do not.
    let told = |text: &str| {
        let (message, rest) = text.trim_end().split_once('\'')?;
        Some((message.to_owned(), rest.rsplit_once('\'')?.1.to_owned()))
    };
    assert_eq!(told(args), told(str::from_utf8(&real.stderr).unwrap()));
    examined
}

#[test]
fn doctor_agrees_with_clones_where_links_are_refused() {
    let across = LinkRule::SameDirectoryOnly { errno: libc::EPERM };
    let none = LinkRule::Refuse { errno: libc::EPERM };
    for (rule, expected) in [
        (across, [Some(true), Some(false), Some(true)]),
        (none, [Some(false), Some(false), None]),
        (
            LinkRule::InodePerPath,
            [Some(true), Some(true), Some(false)],
        ),
        (LinkRule::Symlink, [Some(true), Some(true), Some(false)]),
    ] {
        let Some((_directory, filesystem)) = mount(rule) else {
            return;
        };
        for_each_git(|_, arena| {
            let (arena, source) = arena_on(&filesystem, arena);
            let examined = assert_agrees_with_clones(&arena, &source);
            assert_eq!(links(&examined), expected, "{examined:#}");
            assert_eq!(
                examined["filesystem"]["mount_point"],
                filesystem.path().to_str().unwrap()
            );
            assert!(
                examined["filesystem"]["type"]
                    .as_str()
                    .unwrap()
                    .starts_with("fuse")
            );
            // Gits before 2.45.1 and 2.39.4 do not look whether a link is the same file.
            let fails = examined["clone_with_git"]["ok"] == false;
            assert_eq!(examined["died_of_link"], fails);
            assert_eq!(
                examined["answer"],
                if fails { "works" } else { "not_needed" }
            );
            assert!(fails || expected[1] == Some(true), "{examined:#}");
            // Its links may be other files.
            assert_eq!(examined["plan_of_clone"]["action"], "attempt");
        });
    }
}

#[test]
fn doctor_agrees_with_clones_on_sshfs() {
    for (options, expected) in [
        ("", [Some(true), Some(true), Some(false)]),
        ("-o disable_hardlink", [Some(false), Some(false), None]),
        // All files seem to be another user's, who could exchange them: nothing is tried.
        ("-o uid=1234", [None; 3]),
    ] {
        let Some(sshfs) = Sshfs::mount(options) else {
            return;
        };
        for (number, git) in gits().iter().enumerate() {
            let place = sshfs.mounted.path().join(number.to_string());
            fs::create_dir(&place).unwrap();
            let examined = examine(&Arena::new(git), &place);
            assert_eq!(links(&examined), expected, "{examined:#}");
            assert_eq!(examined["filesystem"]["type"], "fuse.sshfs");
            match expected[0] {
                Some(_) => assert_eq!(examined["clone_through_shim"]["ok"], true, "{examined:#}"),
                None => assert_eq!(examined["answer"], "does_not_work", "{examined:#}"),
            }
        }
    }
}

#[test]
fn doctor_needs_no_shim_where_links_work() {
    for_each_git(|_, arena| {
        let source = source::small(&arena, "src");
        let examined = assert_agrees_with_clones(&arena, &source);
        assert_eq!(links(&examined), [Some(true); 3]);
        assert_eq!(examined["answer"], "not_needed");
    });
}

/// What doctor reports of a clone from the directory in which `arena` works to another mount.
fn to_other_mount(arena: &Arena) -> (Value, Value) {
    let examined = examine(arena, arena.work_dir());
    // The arena's directory for temporary files comes first.
    assert_eq!(traces(&arena.root().join("tmp")), [""; 0]);
    (examined["to_other_mount"].clone(), examined)
}

#[test]
fn doctor_clones_from_one_mount_to_another() {
    for_each_git(|_, arena| {
        let Some(arena) = arena.across_mounts() else {
            return;
        };
        let source = source::small(&arena, "src");
        let line = with_source(&source, args("clone -q --local SRC dst"));
        assert!(arena.real(line).run().died_of(REFUSED));
        let (other, examined) = to_other_mount(&arena);
        let directory = arena.root().join("tmp");
        assert_eq!(other["directory"], directory.to_str().unwrap());
        assert_ne!(
            other["filesystem"]["mount_point"], examined["filesystem"]["mount_point"],
            "{examined:#}"
        );
        let plans = |clones: &Value| {
            ["plan_of_clone", "plan_of_local_clone"].map(|plan| clones[plan]["action"].clone())
        };
        assert_eq!(
            plans(&examined),
            ["pass_through", "attempt"],
            "{examined:#}"
        );
        assert_eq!(plans(&other), ["pass_through", "copy"], "{examined:#}");
        let reason = other["plan_of_local_clone"]["reason"].as_str().unwrap();
        assert!(reason.contains("different mounts"), "{reason}");
        assert_eq!(other["clone_with_git"]["ok"], false, "{examined:#}");
        let message = other["clone_with_git"]["message"].as_str().unwrap();
        assert!(message.contains(REFUSED), "{message}");
        assert_eq!(other["died_of_link"], true);
        assert_eq!(other["clone_through_shim"]["ok"], true, "{examined:#}");
        assert_eq!(examined["answer"], "not_needed");
        let summary = examined["summary"].as_str().unwrap();
        let works = format!("Works from here to {}: ", directory.display());
        assert!(summary.contains(&works), "{summary}");
    });
}

#[test]
fn clone_to_another_mount_takes_part_in_the_answer() {
    let Some(arena) = Arena::new(&gits()[0]).across_mounts() else {
        return;
    };
    let elsewhere = format!(
        "Does not work from here to {}, because ",
        arena.root().join("tmp").display()
    );
    let real = Arena::path(&[arena.real_directory()]);
    for (variable, value, command) in [
        ("GIT_CLONE_SHIM", "off".into(), "unset GIT_CLONE_SHIM"),
        ("PATH", real, "export PATH="),
    ] {
        let call = doctor(&arena, "--json", &[arena.work_dir()]).env(variable, value);
        let report = report(call);
        let examined = &directories(&report)[0];
        assert_eq!(examined["clone_with_git"]["ok"], true, "{examined:#}");
        assert_eq!(examined["answer"], "does_not_work", "{examined:#}");
        let summary = examined["summary"].as_str().unwrap();
        assert!(summary.starts_with(&elsewhere), "{summary}");
        let given = examined["command"].as_str();
        match variable {
            // The shim is not on PATH, and its own file stands beside no git.
            "PATH" => assert_eq!(given, report["path_command"].as_str()),
            _ => assert_eq!(given, Some(command)),
        }
    }
}

#[test]
fn mount_that_cannot_be_used_is_passed_over() {
    if !arrangement::is_root() {
        return;
    }
    let full = "mount -t tmpfs -o size=64k tmpfs mount; dd if=/dev/zero of=mount/big 2>dd || :";
    let shared = "mount -t tmpfs -o mode=777 tmpfs mount";
    for script in [full, shared] {
        let Some(mounted) = Mounted::by(script, tempfile::tempdir().unwrap(), "tmpfs") else {
            return;
        };
        let arena = Arena::new(&gits()[0]);
        let call = doctor(&arena, "--json", &[arena.work_dir()]).env("TMPDIR", mounted.path());
        let report = report(call);
        let examined = &directories(&report)[0];
        assert_eq!(examined["answer"], "not_needed", "{examined:#}");
        let other = &examined["to_other_mount"]["directory"];
        assert_ne!(*other, mounted.path().to_str().unwrap(), "{examined:#}");
        assert_eq!(traces(&mounted.path()), [""; 0]);
    }
}

#[test]
fn doctor_works_in_a_sandbox_without_links_across_directories() {
    fault::without_links_across_directories(|| {
        for_each_git(|_, arena| {
            let source = source::small(&arena, "src");
            let examined = assert_agrees_with_clones(&arena, &source);
            assert_eq!(links(&examined), [Some(true), Some(false), Some(true)]);
            assert_eq!(examined["answer"], "works");
        });
    });
}

#[test]
fn doctor_names_a_failure_that_copying_does_not_cure() {
    if !arrangement::is_root() {
        return;
    }
    let small = |options| format!("mount -t tmpfs -o size=64k{options} tmpfs mount");
    for (script, reason) in [
        (
            small("") + "; mount -o remount,ro mount",
            "Read-only file system",
        ),
        (
            small("") + "; dd if=/dev/zero of=mount/big 2>dd || :",
            "No space left on device",
        ),
        // Only so many files: git itself comes to its limit.
        (small(",nr_inodes=20"), "No space left on device"),
    ] {
        let Some(mounted) = Mounted::by(&script, tempfile::tempdir().unwrap(), "tmpfs") else {
            return;
        };
        for_each_git(|_, arena| {
            let examined = examine(&arena, &mounted.path());
            assert_eq!(examined["answer"], "does_not_work", "{examined:#}");
            let summary = examined["summary"].as_str().unwrap();
            assert!(summary.contains(reason), "{examined:#}");
            let source = source::small(&arena, "src");
            for call in [Arena::real, Arena::shim] {
                let line = with_source(&source, args("clone -q --local SRC dst"));
                let failed = call(&arena, line).cwd(mounted.path()).run();
                assert!(failed.died_of(reason), "{failed:?}");
            }
        });
    }
}

#[test]
fn doctor_names_a_directory_that_is_missing_or_closed() {
    let arena = Arena::new(&gits()[0]);
    fs::write(arena.work_dir().join("file"), "").unwrap();
    for (name, exists) in [("absent", false), ("file/below", false), ("file", true)] {
        let examined = examine(&arena, &arena.work_dir().join(name));
        assert_eq!(examined["answer"], "does_not_work");
        assert_eq!(examined["exists"], exists, "{examined:#}");
    }
    let problem = problem_without_write_permission(&arena).unwrap();
    assert!(problem.ends_with(": Permission denied"), "{problem}");
}

/// The problem with a directory in which the user may not write.
fn problem_without_write_permission(arena: &Arena) -> Option<String> {
    let directory = arena.root().join("closed");
    fs::create_dir(&directory).unwrap();
    fs::set_permissions(&directory, fs::Permissions::from_mode(0o555)).unwrap();
    let report = report(unprivileged_doctor(arena, "022", &directory));
    directories(&report)[0]["problem"]
        .as_str()
        .map(str::to_owned)
}

#[test]
fn disk_that_is_nearly_full_fails_no_clone_of_the_shim_alone() {
    if !arrangement::is_root() {
        return;
    }
    // At some of these numbers of files there is space for one clone and not for two.
    for files in (44..80).step_by(3) {
        let script = format!("mount -t tmpfs -o size=1m,nr_inodes={files} tmpfs mount");
        let Some(mounted) = Mounted::by(&script, tempfile::tempdir().unwrap(), "tmpfs") else {
            return;
        };
        let examined = examine(&Arena::new(&gits()[0]), &mounted.path());
        let [git, shim] =
            ["clone_with_git", "clone_through_shim"].map(|clone| &examined[clone]["ok"]);
        assert!(*git == false || *shim == true, "{examined:#}");
    }
}

/// doctor run by a user who is not root, with this umask.
fn unprivileged_doctor(arena: &Arena, umask: &str, directory: &Path) -> Call {
    // The program under test may lie where only root can read it.
    let copy = shim_copy(arena, "copy");
    symlink("git", copy.join("git-clone-shim")).unwrap();
    let script = format!("umask {umask}; exec \"$0\" doctor --json \"$1\"");
    let mut command = arena.command("sh");
    command
        .args(["-c", &script])
        .args([&copy.join("git-clone-shim"), directory])
        .env("PATH", Arena::path(&[copy.clone(), arena.real_directory()]));
    if nix::unistd::geteuid().is_root() {
        command.uid(65534).gid(65534);
    }
    Call::new(command)
}

#[test]
fn doctor_cleans_up_under_any_umask() {
    let arena = Arena::new(&gits()[0]);
    let directory = arena.root().join("open");
    fs::create_dir(&directory).unwrap();
    fs::set_permissions(&directory, fs::Permissions::from_mode(0o1777)).unwrap();
    let report = report(unprivileged_doctor(&arena, "777", &directory));
    assert_eq!(directories(&report)[0]["answer"], "not_needed");
    assert_eq!(traces(&directory), [""; 0]);
}

#[test]
fn doctor_examines_the_caches_of_the_tools() {
    let arena = Arena::new(&gits()[0]);
    let home = arena.root().join("home");
    let examined = |variables: &[(&str, &Path)]| {
        let mut call = doctor(&arena, "--json", &[]);
        for (name, value) in variables {
            call = call.env(name, value);
        }
        let report = report(call);
        let path = |directory: &Value| PathBuf::from(directory["path"].as_str().unwrap());
        directories(&report).iter().map(path).collect::<Vec<_>>()
    };
    let here = arena.work_dir().to_owned();
    assert_eq!(examined(&[]), std::slice::from_ref(&here));
    let [uv, pixi, rattler] =
        [".cache/uv", ".cache/pixi", ".cache/rattler/cache"].map(|name| home.join(name));
    for cache in [&uv, &pixi, &rattler] {
        fs::create_dir_all(cache).unwrap();
    }
    assert_eq!(
        examined(&[]),
        [&here, &uv, &pixi, &rattler].map(Clone::clone)
    );
    let other = arena.root().join("other");
    fs::create_dir_all(other.join("uv")).unwrap();
    assert_eq!(
        examined(&[("XDG_CACHE_HOME", &other)]),
        [here.clone(), other.join("uv")]
    );
    assert_eq!(
        examined(&[
            ("UV_CACHE_DIR", &other),
            ("PIXI_CACHE_DIR", &home),
            ("RATTLER_CACHE_DIR", &uv)
        ]),
        [&here, &other, &home, &uv].map(Clone::clone)
    );
    // pixi's is rattler's then.
    assert_eq!(
        examined(&[
            ("UV_CACHE_DIR", Path::new("/nowhere")),
            ("RATTLER_CACHE_DIR", &other)
        ]),
        [here, other]
    );
}

#[test]
fn configuration_hooks_and_templates_of_the_user_take_no_part() {
    for_each_git(|_, arena| {
        let Some(arena) = arena.across_mounts() else {
            return;
        };
        let witness = arena.root().join("witness");
        let template = arena.root().join("template/hooks");
        fs::create_dir_all(&template).unwrap();
        let hook = format!("#!/bin/sh\necho \"$0\" >>{}\nexit 1\n", witness.display());
        for name in ["post-checkout", "pre-commit", "reference-transaction"] {
            executable::script(&template.join(name), &hook);
        }
        let line = args("init -q probe");
        arena.real(line).run().succeeded();
        let configuration = format!(
            "[init]\n\ttemplateDir = {}\n[core]\n\thooksPath = {}\n[alias]\n\tclone = !false\n[protocol]\n\tallow = never\n",
            template.parent().unwrap().display(),
            template.display()
        );
        fs::write(arena.root().join("home/.gitconfig"), configuration).unwrap();
        let probe = arena.work_dir().join("probe");
        let commit = args("commit -q --allow-empty -m probe");
        assert!(
            !arena.real(commit).cwd(&probe).run().status.success(),
            "the hooks do not work"
        );
        assert!(witness.exists());
        fs::remove_file(&witness).unwrap();

        let log = arena.root().join("log");
        let call = doctor(&arena, "--json", &[arena.work_dir()])
            .env("GIT_TEMPLATE_DIR", template.parent().unwrap())
            .env("GIT_DIR", &probe)
            .env("GIT_TRACE", &log)
            .env("GIT_CLONE_SHIM_LOG_FILE", &log)
            .env("GIT_CLONE_SHIM_LOG", "info");
        let report = report(call);
        assert_eq!(
            directories(&report)[0]["answer"],
            "not_needed",
            "{report:#}"
        );
        assert!(!witness.exists());
        assert!(!log.exists(), "{}", fs::read_to_string(&log).unwrap());
    });
}

#[test]
fn doctor_tells_how_the_program_is_linked() {
    let arena = Arena::new(&gits()[0]);
    let report = report(doctor(&arena, "--json", &[arena.work_dir()]));
    let file = Command::new("readelf")
        .args(["--program-headers", "--dynamic"])
        .arg(executable::shim())
        .output();
    let Ok(file) = file else {
        arrangement::missing("readelf, of binutils");
        return;
    };
    let headers = String::from_utf8(file.stdout).unwrap();
    let is_dynamic = headers.contains("NEEDED");
    assert_eq!(report["build"] == "dynamic", is_dynamic, "{headers}");
}
