//! When a hard link is refused, the clone is run again with `--no-hardlinks`, and its outcome is that of a
//! `git clone --no-hardlinks`, whatever the form of the command line. For what refuses links see `filesystems.rs`.

use std::ffi::OsStr;
use std::fs::{self, Permissions};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};

use nix::libc;

use crate::support::arena::{Arena, REFUSED, for_each_git};
use crate::support::args::{Args, args, rows, with_no_hardlinks, with_source};
use crate::support::hook;
use crate::support::source;

/// What a bash script prepares, and a line that dies of a refused link. `SRC` is the source.
const CURED: &str = "
# Spellings of `--local`, and where it can stand; for all see `command_line_against_git.rs`.
clone --local SRC dst
clone --l SRC dst
clone -l SRC dst
clone -ql SRC dst
clone -lo name SRC dst
clone SRC --local dst
clone SRC dst --local
clone --no-local --local SRC dst
clone -l --origin --local SRC dst
clone --recurse-submodules -l SRC dst
# The end of the options, before which `--no-hardlinks` must stand.
clone --local -- SRC dst
clone --local SRC -- dst
clone --local --end-of-options SRC dst
# Other options, some with values that look like something else.
clone -l --bare SRC dst
clone -l --mirror SRC dst
clone -l --separate-git-dir=sep SRC dst
clone -l -b side --single-branch SRC dst
clone -l -c core.x=--local --config core.y=-- SRC dst
clone -l --progress SRC dst
clone -l --reference SRC SRC dst
-p -c protocol.allow=never -c protocol.file.allow=always clone --local --no-checkout -- SRC dst
--no-pager --literal-pathspecs --git-dir=ignored clone -l SRC dst
# The destination, given or derived from the source, and relative to the last -C.
clone -l SRC ./dst/
clone -l SRC lead/ing/dst
clone -l SRC
clone -l --bare SRC/
clone -l ../src
-C .. clone -l src work/dst
mkdir -p one/two | -C one -C two clone -l SRC dst
mkdir -p one/two | -C one/two clone -l SRC ../dst
mkdir dst | clone -l SRC dst
mkdir -m 2775 dst | clone -l --bare SRC dst
mkdir dst | -C dst clone -l SRC .
# git spells the path in its message as it likes.
clone -l --bare SRC ./d
clone -l --mirror SRC ./d
clone -l --separate-git-dir=./sep SRC dst
clone -l SRC ././d
--work-tree=wt clone -l SRC ./d
# A directory that is no repository beside the repository.
rm -rf ../conf ../conf.git; mkdir ../conf; touch ../conf/HEAD; cp -R ../src/.git ../conf.git | clone -l ../conf dst
";

/// Names of sources and destinations.
const NAMES: [&[u8]; 9] = [
    b"with space", b"it's", b"say \"so\"", b"two\nlines", b"caf\xe9", b"\xff\xfe", b"tab\there", b" led and trailed ",
    b"a\x01\x1fb",
];

/// An arena in which links are refused, and a source there.
fn refusing(arena: Arena) -> (Arena, PathBuf) {
    // Without the sample hooks a clone takes half the time.
    let arena = arena.with_links_failing(libc::EPERM).with_variable("GIT_TEMPLATE_DIR", "");
    let source = source::small(&arena, "src");
    (arena, source)
}

#[test]
fn every_form_of_the_command_line_is_cured() {
    for_each_git(|_, arena| {
        let (arena, source) = refusing(arena);
        for [script, line] in rows(CURED) {
            let line = line.replace("SRC", source.to_str().unwrap());
            // Since git 2.24.
            let unknown = line.contains("--end-of-options")
                && arena.run(arena.real(args(&line))).outcome.stderr_contains("unknown option");
            if unknown {
                arena.assert_twins(&args(&line));
            } else {
                arena.assert_cured_in(&arena.prepare(script), &args(&line), REFUSED);
            }
        }
    });
}

#[test]
fn names_of_any_bytes_are_cured() {
    for_each_git(|_, arena| {
        let (arena, source) = refusing(arena);
        for name in NAMES.map(OsStr::from_bytes) {
            let clone = |source: &Path, destination: Option<&OsStr>| -> Args {
                let destination = destination.map(OsStr::to_owned);
                with_source(source, args("clone -l SRC")).into_iter().chain(destination).collect()
            };
            arena.assert_cured(&clone(&source, Some(name)));
            let odd = arena.root().join(name);
            fs::rename(&source, &odd).unwrap();
            arena.assert_cured(&clone(&odd, Some("dst".as_ref())));
            arena.assert_cured(&clone(&odd, None));
            fs::rename(&odd, &source).unwrap();
        }
    });
}

#[test]
fn work_tree_elsewhere_and_long_paths_are_cured() {
    for_each_git(|_, arena| {
        let (arena, source) = refusing(arena);
        // Longer than git's message can be, with the names of objects.
        let long = "d".repeat(250) + "/";
        arena.assert_cured(&with_source(
            &source,
            args(&format!("clone -l --bare SRC {}", long.repeat(15) + &"e".repeat(135))),
        ));
        let arena = arena.with_variable("GIT_WORK_TREE", "wt");
        // What others can write to is a destination, too.
        for mode in [0o755, 0o775, 0o1777] {
            fs::set_permissions(arena.work_dir(), Permissions::from_mode(mode)).unwrap();
            for line in ["clone -l SRC ./d", "clone -l --mirror SRC d", "clone -l SRC a/b/d"] {
                arena.assert_cured(&with_source(&source, args(line)));
            }
        }
    });
}

#[test]
fn failed_fallback_leaves_what_git_leaves() {
    // A hook, which only the fallback reaches, kills git: git removes what it has made, and nothing of the shim's is left.
    for_each_git(|_, arena| {
        let (arena, source) = refusing(arena);
        let prepare = |work_dir: &Path| hook::put(work_dir, "reference-transaction", "kill -TERM $PPID");
        for mode in [0o755, 0o775, 0o1777] {
            fs::set_permissions(arena.work_dir(), Permissions::from_mode(mode)).unwrap();
            for line in ["clone -l --template=template SRC dst", "clone -l --template=template SRC a/dst"] {
                let line = with_source(&source, args(line));
                assert!(arena.run_in(&prepare, arena.real(line.clone())).outcome.died_of(REFUSED));
                let expected = arena.run_in(&prepare, arena.real(with_no_hardlinks(&line)));
                // Since git 2.28.
                if !expected.outcome.status.success() {
                    assert_eq!(expected.outcome.status.signal(), Some(libc::SIGTERM));
                    arena.run_in(&prepare, arena.shim(line)).assert_equals(&expected);
                }
            }
        }
    });
}

#[test]
fn sources_of_every_size_and_shape_are_cured() {
    for_each_git(|_, arena| {
        let (arena, _) = refusing(arena);
        source::with_loose_objects(&arena, "many", 1000);
        source::packed(&arena, "packed");
        // uv, pixi and rattler clone a bare database that has only remote-tracking references.
        arena.prepare(
            "git -C ../src worktree add -q ../worktree side
             git init -q --bare ../database
             git -C ../database fetch -q ../src '+refs/heads/*:refs/remotes/origin/*' +HEAD:refs/remotes/origin/HEAD",
        )(arena.work_dir());
        for name in ["many", "packed", "worktree", "database"] {
            let mut line = args(&format!("clone --local ../{name}"));
            line.push(arena.work_dir().join("checkouts/0123456789abcdef/abcdef0").into());
            let cured = arena.assert_cured(&line);
            assert_eq!(
                cured.outcome.stderr_contains("warning: "),
                name == "database",
                "git warns of a repository without branches"
            );
            let check = args("-C checkouts/0123456789abcdef/abcdef0 fsck --strict --full");
            let check = arena.real(check).run().succeeded();
            assert!(!check.stderr_contains("error") && !check.stderr_contains("missing"), "{check:?}");
        }
    });
}

#[test]
fn trace_file_shows_attempt_and_fallback() {
    // Attempt and fallback each write a trace. That of the attempt is withheld with its stderr, unless it goes to a file.
    for_each_git(|_, arena| {
        let (arena, source) = refusing(arena);
        let file = arena.root().join("trace");
        for (trace, runs) in [(Path::new("1"), 1), (&file, 2)] {
            let call = arena.shim(with_source(&source, args("clone -l SRC dst")));
            let cured = arena.run(call.env("GIT_TRACE", trace)).outcome;
            let stderr = String::from_utf8(cured.succeeded().stderr).unwrap();
            let text = fs::read_to_string(trace).unwrap_or(stderr);
            assert_eq!(text.matches("built-in: git clone").count(), runs, "{text}");
            assert!(text.contains("--no-hardlinks"), "{text}");
        }
    });
}
