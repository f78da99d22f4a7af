//! A clone of a local repository without `--local`: git copies by itself where a link is refused, and fails where a link is
//! another file.

use std::ffi::OsString;
use std::fs;
use std::path::Path;
use std::process::Command;

use nix::libc;

use crate::support::arena::{Arena, DIFFERENT, for_each_git};
use crate::support::args::{args, with_source};
use crate::support::arrangement;
use crate::support::refusing_fs::{LinkRule, arena_on, mount};
use crate::support::source;

/// Whether the shim supervises this call, according to its log.
#[track_caller]
fn is_supervised(arena: &Arena, line: Vec<OsString>) -> bool {
    let call = arena.shim(line).env("GIT_CLONE_SHIM_LOG", "info");
    let outcome = arena.run(call).outcome;
    let supervised = outcome
        .stderr_contains("this call can hard-link reason=\"the source is a local repository\"");
    assert_ne!(
        supervised,
        outcome.stderr_contains("exec git with these args"),
        "{outcome:?}"
    );
    supervised
}

#[test]
fn different_link_is_cured() {
    let Some((_directory, filesystem)) = mount(LinkRule::InodePerPath) else {
        return;
    };
    for_each_git(|_, arena| {
        let (arena, source) = arena_on(&filesystem, arena);
        for line in [
            "clone -q SRC dst",
            "clone -q --bare SRC",
            "clone -q --mirror SRC dst",
            "clone -q ../src",
            "-C .. clone -q src work/dst",
            "-C .. -C work clone -q ../src/.git/ dst",
            "clone -q --no-checkout -- SRC dst",
            "clone -q --depth 1 SRC dst",
        ] {
            let line = with_source(&source, args(line));
            let real = arena.run(arena.real(line.clone())).outcome;
            if real.status.success() {
                // Gits before 2.45.1 and 2.39.4 do not check.
                arena.assert_twins(&line);
            } else {
                arena.assert_cured_in(&|_| (), &line, DIFFERENT);
            }
        }
    });
}

#[test]
fn clone_that_git_starts_itself_is_not_cured() {
    // A clone that git starts for a submodule, and one of a URL that only git's configuration maps to a path.
    let Some((_directory, filesystem)) = mount(LinkRule::InodePerPath) else {
        return;
    };
    let mut refused = 0;
    for_each_git(|_, arena| {
        let (arena, source) = arena_on(&filesystem, arena);
        let prepare = |_: &Path| drop(arena.real(args("init -q outer")).run().succeeded());
        let path = source.display();
        for line in [
            format!("-C outer -c protocol.file.allow=always submodule add {path} inner"),
            format!("-c url.{path}.insteadOf=far:src clone far:src dst"),
        ] {
            let twin = arena.assert_twins_in(&prepare, &args(&line));
            // Gits before 2.45.1 and 2.39.4 do not check.
            assert_ne!(
                twin.outcome.died_of(DIFFERENT),
                twin.outcome.status.success(),
                "{:?}",
                twin.outcome
            );
            refused += usize::from(twin.outcome.died_of(DIFFERENT));
        }
    });
    assert!(refused > 0, "no git on this machine checks");
}

#[test]
fn git_copies_by_itself_where_links_are_refused() {
    for_each_git(|_, arena| {
        let arena = arena.with_links_failing(libc::EPERM);
        let source = source::small(&arena, "src");
        for line in [
            "clone SRC dst",
            "clone --bare SRC dst",
            "clone --progress SRC dst",
            "clone -v SRC",
        ] {
            let line = with_source(&source, args(line));
            let trace = arena.root().join("trace");
            let _ = fs::remove_file(&trace);
            let twin = arena.assert_twins(&line).outcome.succeeded();
            let traced = arena.run(arena.shim(line).env("GIT_TRACE", &trace)).outcome;
            assert_eq!(traced, twin);
            let runs = fs::read_to_string(&trace)
                .unwrap()
                .matches("built-in: git clone")
                .count();
            assert_eq!(runs, 1);
        }
    });
}

#[test]
fn every_kind_of_local_source_is_supervised() {
    let rule = LinkRule::SameDirectoryOnly { errno: libc::EPERM };
    let Some((_directory, filesystem)) = mount(rule) else {
        return;
    };
    for_each_git(|_, arena| {
        let (arena, source) = arena_on(&filesystem, arena);
        let root = arena.work_dir().parent().unwrap();
        let real = |line: &str| drop(arena.real(args(line)).cwd(root).run().succeeded());
        real("clone -q --bare src bare.git");
        real("clone -q --separate-git-dir separate src pointer");
        real("clone -q --bare src odd.git/.git");
        fs::rename(root.join("odd.git"), root.join("odd.git.git")).unwrap();
        fs::rename(root.join("odd.git.git/.git"), root.join("odd")).unwrap();
        fs::rename(root.join("odd"), root.join("odd.git")).unwrap();
        real("clone -q --bare src host:path");
        real("init -q unborn");
        let copied = Command::new("cp")
            .args(["-a", "bare.git", "with space"])
            .current_dir(root)
            .status()
            .unwrap();
        assert!(copied.success());
        for name in [
            "../src",
            "../src/",
            "../src//",
            "../src/.git",
            "../src/.git/",
            "../bare.git",
            "../bare",
            "../bare.git/",
            "../pointer",
            "../pointer/.git",
            "../separate",
            "../odd",
            "../host:path",
            "../unborn",
            "../with space",
        ] {
            // Without the template's files, which take a third of the time there.
            let line = ["clone", "--template=", name, "dst"]
                .map(OsString::from)
                .to_vec();
            let plain = arena.assert_twins(&line).outcome;
            // git fails at once for a URL or a path that does not exist.
            assert!(plain.status.success(), "{plain:?}");
            assert!(is_supervised(&arena, line), "{name}");
        }
        // An existing path is preferred to `host:path`, and is relative to the last -C.
        assert!(is_supervised(
            &arena,
            args("-C .. clone host:path work/dst")
        ));
        assert!(is_supervised(
            &arena,
            args("-C ../src -C .. clone src work/dst")
        ));
        assert!(is_supervised(
            &arena,
            with_source(&source, args("clone SRC"))
        ));
        // The work tree of a linked repository has a file with the path of the git directory.
        arena
            .real(args("worktree add ../tree side"))
            .cwd(&source)
            .run()
            .succeeded();
        assert!(is_supervised(&arena, args("clone ../tree dst")));
    });
}

#[test]
fn plain_clone_on_a_filesystem_with_honest_links_is_passed_through() {
    // On tmpfs, a link is the same file: git can only copy where one is refused.
    let Ok(place) = tempfile::tempdir_in("/dev/shm") else {
        return arrangement::missing("tmpfs at /dev/shm");
    };
    for_each_git(|git, arena| {
        let made = source::small(&arena, "src");
        let place = place.path().join(git.version.replace(' ', "-"));
        let work_dir = place.join("work");
        fs::create_dir_all(&work_dir).unwrap();
        let mut copy = Command::new("cp");
        copy.arg("-R").arg(&made).arg(place.join("src"));
        assert!(copy.status().unwrap().success());
        let arena = arena
            .in_directory(&work_dir)
            .with_links_failing(libc::EPERM);
        for line in [
            "clone ../src dst",
            "clone --bare ../src",
            "-C .. clone src work/dst",
        ] {
            arena.assert_twins(&args(line));
            assert!(!is_supervised(&arena, args(line)), "{line}");
        }
        // With --local git dies where a link is refused.
        arena.assert_cured(&args("clone -l ../src dst"));
    });
}

#[test]
fn other_sources_are_not_supervised() {
    for_each_git(|_, arena| {
        let source = source::small(&arena, "src");
        arena
            .real(args("bundle create -q ../src.bundle --all"))
            .cwd(&source)
            .run();
        arena
            .real(args("bundle create ../src.bundle --all"))
            .cwd(&source)
            .run()
            .succeeded();
        fs::create_dir(arena.root().join("directory")).unwrap();
        fs::write(
            arena.root().join("file"),
            "gitdir is not what this begins with\n",
        )
        .unwrap();
        fs::write(arena.root().join("short"), "gitdir").unwrap();
        let url = format!("file://{}", source.display());
        for line in [
            format!("clone {url} dst"),
            format!("clone {url}/.git dst"),
            "clone --no-local SRC dst".to_owned(),
            "clone --no-hardlinks SRC dst".to_owned(),
            "clone --shared SRC dst".to_owned(),
            "clone -s SRC dst".to_owned(),
            "clone ../src.bundle dst".to_owned(),
            "clone ../src dst -o".to_owned(),
            "clone ../directory dst".to_owned(),
            "clone ../file dst".to_owned(),
            "clone ../short dst".to_owned(),
            "clone ../absent dst".to_owned(),
            "clone ~/src dst".to_owned(),
            "clone".to_owned(),
            "-C .. clone ../src dst".to_owned(),
        ] {
            let line = with_source(&source, args(&line));
            arena.assert_twins(&line);
            assert!(!is_supervised(&arena, line.clone()), "{line:?}");
        }
        // git would use the network for these, so only the args that the shim execs are compared: with `always`, it adds
        // one to a clone that may hard-link.
        for remote in [
            "host:path",
            "me@host:path",
            "ssh://host/path",
            "https://host/path",
            "git://host/src",
        ] {
            let mut command = arena.command(arena.shim_directory().join("git"));
            command
                .args(["clone", remote, "dst"])
                .env("GIT_CLONE_SHIM", "always");
            let answer = command
                .env("GIT_CLONE_SHIM_GIT", "/bin/echo")
                .output()
                .unwrap();
            assert_eq!(answer.stdout, format!("clone {remote} dst\n").as_bytes());
        }
    });
}

#[test]
fn always_copies_local_repositories() {
    for_each_git(|_, arena| {
        let source = source::small(&arena, "src");
        let always = |line: &str| {
            let call = arena
                .shim(with_source(&source, args(line)))
                .env("GIT_CLONE_SHIM", "always");
            arena.run(call).outcome.succeeded();
            crate::support::tree::object_links(arena.work_dir())
        };
        assert!(always("clone SRC dst").iter().all(|&links| links == 1));
        assert!(always("clone -q SRC").iter().all(|&links| links == 1));
    });
}
