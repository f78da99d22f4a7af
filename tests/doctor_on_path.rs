//! `git-clone-shim doctor` tells which git comes first on PATH, which one the shim becomes, and what is set.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use nix::libc;
use serde_json::Value;

use crate::support::arena::{Arena, REFUSED, for_each_git};
use crate::support::args::args;
use crate::support::call::Call;
use crate::support::doctor::{directories, doctor, links, report};
use crate::support::executable;
use crate::support::gits::gits;
use crate::support::path::{directory, join as path, shim_copy, wrapper};
use crate::support::refusing_fs::{LinkRule, mount};

/// The report of doctor with this PATH.
#[track_caller]
fn with_path(arena: &Arena, entries: &[&Path]) -> Value {
    report(doctor(arena, "--json", &[arena.work_dir()]).env("PATH", path(entries)))
}

/// Asserts what is examined of each git on this PATH, a directory and what it holds, and whether the shim is reached.
#[track_caller]
fn assert_order(arena: &Arena, gits: &[(&Path, &str)], reached: bool) -> Value {
    let entries: Vec<&Path> = gits.iter().map(|(directory, _)| *directory).collect();
    // Behind them, since wrappers need a shell.
    let bin = Path::new("/bin");
    let report = with_path(arena, &[&entries[..], &[bin]].concat());
    let listed = report["path"].as_array().unwrap().iter();
    let found: Vec<(&Path, &str)> = listed
        .map(|git| (Path::new(git["file"].as_str().unwrap()), &git["what"]))
        .map(|(file, what)| (file.parent().unwrap(), what.as_str().unwrap()))
        .filter(|(directory, _)| *directory != bin)
        .collect();
    assert_eq!(found, gits, "{report:#}");
    assert_eq!(report["reached"], reached, "{report:#}");
    report
}

#[test]
fn shim_that_comes_first_is_reached() {
    for_each_git(|git, arena| {
        let (shim, real) = (arena.shim_directory(), arena.real_directory());
        let (copy, link) = (shim_copy(&arena, "copy"), directory(&arena, "link"));
        symlink("../shim/git", link.join("git")).unwrap();
        let report = assert_order(&arena, &[(&shim, "this_shim"), (&real, "git")], true);
        let version = git.version.strip_prefix("git version ").unwrap();
        assert_eq!(report["path"][1]["version"], version);
        assert_eq!(report["git"]["file"], real.join("git").to_str().unwrap());
        assert_eq!(report["git"]["version"], version);
        assert_eq!(report["path_advice"], Value::Null);

        let copies = [
            (copy.as_path(), "another_shim"),
            (&shim, "this_shim"),
            (&real, "git"),
            (&link, "this_shim"),
        ];
        let report = assert_order(&arena, &copies, true);
        assert_eq!(report["path"][0]["version"], env!("CARGO_PKG_VERSION"));
    });
}

#[test]
fn other_git_that_comes_first_is_named() {
    for_each_git(|_, arena| {
        let (shim, real) = (arena.shim_directory(), arena.real_directory());
        let broken = wrapper(&arena, "broken", "echo out of order >&2; exit 3");
        let report = assert_order(&arena, &[(&real, "git"), (&shim, "this_shim")], false);
        let advice = format!("Put {} first on PATH.", shim.display());
        assert_eq!(report["path_advice"], advice);
        let gits = [
            (broken.as_path(), "broken"),
            (&shim, "this_shim"),
            (&real, "git"),
        ];
        let report = assert_order(&arena, &gits, false);
        assert_eq!(report["path"][0]["message"], "out of order");

        // Other programs find it there, but the shim and doctor never run it.
        let relative = Path::new("relative");
        fs::create_dir(arena.work_dir().join(relative)).unwrap();
        let trap = arena.work_dir().join("relative/git");
        executable::script(&trap, "#!/bin/sh\necho >trapped\n");
        let gits = [(relative, "relative"), (&shim, "this_shim"), (&real, "git")];
        assert_order(&arena, &gits, false);
        assert!(!arena.work_dir().join("trapped").exists());
    });
}

#[test]
fn advice_names_the_directory_as_it_was_called() {
    // It names itself as it was called: what is put in a dot file must outlive this version.
    let arena = Arena::new(&gits()[0]);
    let version = shim_copy(&arena, "version");
    fs::rename(version.join("git"), version.join("git-clone-shim")).unwrap();
    symlink("git-clone-shim", version.join("git")).unwrap();
    let current = arena.root().join("current");
    symlink(&version, &current).unwrap();
    let bare = directory(&arena, "bare");
    symlink(version.join("git-clone-shim"), bare.join("git-clone-shim")).unwrap();
    for (called, named) in [
        (&version, &version),
        (&current, &current),
        (&bare, &version),
    ] {
        let mut call = Call::new(arena.command(called.join("git-clone-shim")));
        call.command
            .args(["doctor", "--json"])
            .arg(arena.work_dir());
        let advice = format!("Put {} first on PATH.", named.display());
        assert_eq!(report(call)["path_advice"], advice);
    }
}

#[test]
fn wrapper_that_leads_to_the_shim_is_recognized() {
    for_each_git(|_, arena| {
        let (shim, real) = (arena.shim_directory(), arena.real_directory());
        let site = wrapper(
            &arena,
            "site",
            &format!("exec {}/git \"$@\"", shim.display()),
        );
        assert_order(&arena, &[(&site, "leads_to_shim"), (&real, "git")], true);

        let endless = wrapper(&arena, "endless", "git \"$@\"; exit $?");
        let gits = [
            (shim.as_path(), "this_shim"),
            (&endless, "leads_to_shim"),
            (&real, "git"),
        ];
        let report = assert_order(&arena, &gits, true);
        assert_eq!(report["git"]["what"], "leads_to_shim");
        let examined = report["git"]["message"].as_str().unwrap();
        assert!(examined.contains("without end"), "{report:#}");
        assert_eq!(report["works"], false);
    });
}

#[test]
fn shim_that_is_not_reached_does_not_work() {
    let Some((_directory, filesystem)) = mount(LinkRule::Refuse { errno: libc::EPERM }) else {
        return;
    };
    for_each_git(|git, arena| {
        let arena = arena.in_directory(filesystem.path());
        let (shim, real) = (arena.shim_directory(), arena.real_directory());
        let other = arena.root().join("apps/git/2.45/bin");
        fs::create_dir_all(&other).unwrap();
        symlink(&git.file, other.join("git")).unwrap();
        let report = with_path(&arena, &[&real]);
        assert_eq!(report["reached"], false);
        let examined = &directories(&report)[0];
        assert_eq!(examined["clone_through_shim"]["ok"], true);
        assert_eq!(examined["answer"], "does_not_work");

        // As after `module load git-clone-shim git/2.45`.
        let modulefile = arena.root().join("modulefiles/git/2.45");
        fs::create_dir_all(modulefile.parent().unwrap()).unwrap();
        fs::write(
            &modulefile,
            "#%Module1.0\nset base [file dirname $ModulesCurrentModulefile]\n",
        )
        .unwrap();
        let ours = arena.root().join("modulefiles/git-clone-shim");
        fs::write(&ours, "#%Module1.0\nsetenv GIT_CLONE_SHIM auto\n").unwrap();
        let call = doctor(&arena, "--json", &[arena.work_dir()])
            .env("PATH", path([&other, &shim, &real]))
            .env("GIT_CLONE_SHIM", "auto")
            .env("LOADEDMODULES", "git-clone-shim:git/2.45")
            .env("_LMFILES_", path([&ours, &modulefile]));
        let report = self::report(call);
        assert_eq!(report["path"][0]["module"], "git/2.45", "{report:#}");
        assert_eq!(report["path"][1]["module"], Value::Null);
        assert_eq!(report["settings"][0]["module"], "git-clone-shim");
        let examined = &directories(&report)[0];
        assert!(
            examined["summary"]
                .as_str()
                .unwrap()
                .contains(other.to_str().unwrap()),
            "{examined:#}"
        );
        assert!(
            examined["advice"]
                .as_str()
                .unwrap()
                .contains("after git/2.45"),
            "{examined:#}"
        );
        // And so it is: without the shim the clone fails.
        let line = args("init -q src");
        arena.real(line).run().succeeded();
        let commit = args("-C src commit -q --allow-empty -m one");
        arena.real(commit).run().succeeded();
        let clone = arena
            .real(args("clone -l src dst"))
            .env("PATH", Arena::path(&[other, shim]));
        assert!(clone.run().died_of(REFUSED));
    });
}

#[test]
fn exec_path_of_a_calling_git_is_passed_over() {
    // Then git's own directory is first on PATH, where no user has put it.
    for_each_git(|_, arena| {
        let tool = arena.shim_directory().join("git-clone-shim");
        symlink(executable::shim(), tool).unwrap();
        let report = report(arena.shim(args("clone-shim doctor --json .")));
        assert_eq!(report["path"][0]["what"], "this_shim", "{report:#}");
        assert_eq!(
            report["git"]["file"],
            arena.real_directory().join("git").to_str().unwrap()
        );
    });
}

#[test]
fn missing_real_git_is_named() {
    let arena = Arena::new(&gits()[0]);
    let report = with_path(&arena, &[&arena.shim_directory()]);
    assert_eq!(report["path"].as_array().unwrap().len(), 1);
    assert_eq!(report["git"], Value::Null);
    assert!(
        report["git_error"]
            .as_str()
            .unwrap()
            .contains("no git found on PATH")
    );
    let examined = &directories(&report)[0];
    assert_eq!(examined["answer"], "does_not_work");
    assert_eq!(links(examined), [Some(true); 3]);

    let named =
        doctor(&arena, "--json", &[arena.work_dir()]).env("GIT_CLONE_SHIM_GIT", "/nowhere/git");
    let report = self::report(named);
    assert!(
        report["git_error"]
            .as_str()
            .unwrap()
            .contains("/nowhere/git")
    );
    assert_eq!(report["settings"][1]["value"], "/nowhere/git");
}

#[test]
fn settings_of_the_shim_take_part() {
    let Some((_directory, filesystem)) = mount(LinkRule::Refuse { errno: libc::EPERM }) else {
        return;
    };
    let arena = Arena::new(&gits()[0]).in_directory(filesystem.path());
    for (mode, answer, counts, origin) in [
        ("", "works", "auto", "default"),
        ("auto", "works", "auto", "environment"),
        ("always", "works", "always", "environment"),
        ("off", "does_not_work", "off", "environment"),
        ("of", "works", "auto", "not_understood"),
    ] {
        let report =
            report(doctor(&arena, "--json", &[arena.work_dir()]).env("GIT_CLONE_SHIM", mode));
        let examined = &directories(&report)[0];
        assert_eq!(examined["answer"], answer, "{examined:#}");
        assert_eq!(examined["clone_with_git"]["ok"], false);
        let setting = &report["settings"][0];
        assert_eq!(setting["name"], "GIT_CLONE_SHIM");
        assert_eq!(
            (&setting["value"], &setting["origin"]),
            (&counts.into(), &origin.into())
        );
    }
    for (name, value, origin) in [
        ("GIT_CLONE_SHIM_LOG_FILE", "/log/%h", "environment"),
        ("GIT_CLONE_SHIM_LOG_FILE", "log", "not_understood"),
        ("GIT_CLONE_SHIM_SYSLOG", "1", "environment"),
        ("GIT_CLONE_SHIM_SYSLOG", "0", "environment"),
        ("GIT_CLONE_SHIM_SYSLOG", "on", "not_understood"),
    ] {
        let report = report(doctor(&arena, "--json", &[arena.work_dir()]).env(name, value));
        let mut settings = report["settings"].as_array().unwrap().iter();
        let setting = settings.find(|setting| setting["name"] == name).unwrap();
        assert_eq!(setting["origin"], origin, "{name}={value}");
    }
    let off = doctor(&arena, "", &[arena.work_dir()])
        .env("GIT_CLONE_SHIM", "off")
        .run();
    assert!(
        off.stdout
            .windows(41)
            .any(|part| part == b"Does not work, because GIT_CLONE_SHIM=off"),
        "{off:?}"
    );
    assert!(
        off.stdout
            .windows(REFUSED.len())
            .any(|part| part == REFUSED.as_bytes()),
        "{off:?}"
    );
}

#[test]
fn tilde_on_path_is_a_directory_of_that_name_as_for_execvp() {
    let arena = Arena::new(&gits()[0]);
    executable::script(&arena.root().join("home/git"), "#!/bin/sh\n");
    let call = || {
        let path = path([
            "~".as_ref(),
            arena.shim_directory().as_path(),
            &arena.real_directory(),
        ]);
        doctor(&arena, "--json", &[arena.work_dir()]).env("PATH", path)
    };
    let first = |report: &Value| report["path"][0]["what"].clone();
    assert_eq!(first(&report(call())), "this_shim");
    // In the current directory there is one, but no shim takes a git from there.
    fs::create_dir(arena.work_dir().join("~")).unwrap();
    executable::script(&arena.work_dir().join("~/git"), "#!/bin/sh\n");
    assert_eq!(first(&report(call())), "relative");
}
