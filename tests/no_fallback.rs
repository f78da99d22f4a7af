//! A failure that copying does not cure is not retried, and ends as it does with git.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use nix::libc;

use crate::support::arena::{Arena, DIFFERENT, REFUSED, for_each_git};
use crate::support::args::{args, rows, with_no_hardlinks, with_source};
use crate::support::arrangement;
use crate::support::call::Outcome;
use crate::support::mounted::Mounted;
use crate::support::refusing_fs::{LinkRule, arena_on, mount};
use crate::support::scratch;
use crate::support::source;
use crate::support::trace;

/// What a bash script prepares, a line that fails, and a part of git's message. `SRC` is the source, also called `../src`, and
/// `IMITATE` writes the message of a link failure.
const ONCE: &str = r"
# Usage errors, sources that are none, and destinations that are not free.
mkdir dst; touch dst/file | clone -l SRC dst | already exists and is not an empty directory
| clone -l absent dst | does not exist
| clone -l | You must specify a repository
| clone -l SRC dst more | Too many arguments
| clone -l --depth=x SRC dst | positive number
| clone -l --nonsense SRC dst | unknown option
| clone --local SRC dst -o | requires a value
| clone -local SRC dst | did you mean `--local`
mkdir directory | clone directory dst | fatal:
echo gitdir is not what this begins with >file | clone file dst | fatal:
printf gitdir >short | clone short dst | fatal:
# What git refuses for its users' safety.
rm -rf ../odd; cp -R SRC ../odd; ln -s /nowhere ../odd/.git/objects/odd | clone -l ../odd dst | refusing to clone with --local
rm -rf ../odd; cp -R SRC ../odd; chown -R 12345 ../odd | clone -l ../odd dst | detected dubious ownership
# A hook or a filter writes the message.
hook post-checkout 'IMITATE; exit 128' | clone -l --template=template SRC dst | fatal: failed to create link
hook post-checkout 'IMITATE; exit 128' | clone -l --template=template SRC | fatal: failed to create link
# git then removes what it has cloned: the destination is free, as after a refused link. Since git 2.28.
hook reference-transaction 'IMITATE; exit 1' | clone -l --template=template SRC dst | fatal: failed to create link
hook smudge 'IMITATE; exit 1' | clone -l -c filter.x.required=true -c filter.x.smudge=SRC/../work/template/hooks/smudge SRC dst | fatal: failed to create link
# It writes the message and kills git: the caller sees that signal.
hook post-checkout 'IMITATE; kill -KILL $PPID' | clone -l --template=template SRC dst | fatal: failed to create link
hook post-checkout 'IMITATE; kill -TERM $PPID' | clone -l --template=template SRC dst | fatal: failed to create link
hook post-checkout 'IMITATE; kill -RTMIN $PPID' | clone -l --template=template SRC dst | fatal: failed to create link
";

/// A bash function that writes a hook of this name, with this script.
const HOOK: &str = "hook() {
    mkdir -p template/hooks
    printf '#!/bin/bash\nulimit -c 0\n%s\n' \"$2\" >\"template/hooks/$1\"
    chmod +x \"template/hooks/$1\"
}
";

/// Writes [`REFUSED`] and what else belongs to git's message.
const IMITATE: &str =
    "echo -e \"fatal: failed to create link \\x27dst/.git/objects/x\\x27: Invalid cross-device link\" >&2";

/// Asserts that `line` comes to the same through the shim as with git, and that git ran once.
#[track_caller]
fn assert_same(arena: &Arena, prepare: &dyn Fn(&Path), line: &[OsString]) -> Outcome {
    let real = arena.run_in(prepare, arena.real(line.to_vec()));
    let (twin, runs) = trace::clones(arena, prepare, &line.to_vec());
    twin.assert_equals(&real);
    assert_eq!(runs, 1, "{:?}", real.outcome);
    real.outcome
}

/// Asserts in addition that it fails.
#[track_caller]
fn assert_once(arena: &Arena, prepare: &dyn Fn(&Path), line: &[OsString]) -> Outcome {
    let outcome = assert_same(arena, prepare, line);
    assert!(!outcome.status.success(), "{outcome:?}");
    outcome
}

#[test]
fn failure_that_copying_does_not_cure_is_not_retried() {
    let mut seen = BTreeSet::new();
    for_each_git(|_, arena| {
        let arena = arena.with_variable("GIT_TEMPLATE_DIR", "");
        let source = source::small(&arena, "src");
        let attributes = arena.root().join("home/.config/git/attributes");
        fs::create_dir_all(attributes.parent().unwrap()).unwrap();
        fs::write(attributes, "* filter=x\n").unwrap();
        for [script, line, message] in rows(ONCE) {
            if script.contains("chown") && !arrangement::is_root() {
                seen.insert((script, line));
                continue;
            }
            let [script_text, line_text] = [script, line].map(|text| text.replace("SRC", source.to_str().unwrap()));
            let script_text = format!("{HOOK}{}", script_text.replace("IMITATE", IMITATE));
            let prepare = arena.prepare(&script_text);
            let outcome = assert_same(&arena, &prepare, &args(&line_text));
            // Not every git has each of these messages.
            if !outcome.status.success() && outcome.stderr_contains(message) {
                seen.insert((script, line));
            }
        }
    });
    for [script, line, message] in rows(ONCE) {
        assert!(seen.contains(&(script, line)), "no git on this machine says {message:?}: {script}; git {line}");
    }
}

#[test]
fn names_that_imitate_the_message_are_not_retried() {
    const NAME: &str = "failed to create link 'x': Operation not permitted";
    let (fatal, broken) = (format!("fatal: {NAME}"), format!("x\nfatal: {NAME}\n"));
    for_each_git(|_, arena| {
        let source = source::small(&arena, "src");
        let clone = |rest: &[&str]| -> Vec<OsString> {
            let line = ["clone", "-l"].iter().chain(rest).map(OsString::from);
            line.chain([source.clone().into(), "dst".into()]).collect()
        };
        for name in [NAME, &fatal] {
            for option in ["-b", "-c", "-o", "--reference", "--separate-git-dir=/dev/null/x", "--depth", "--filter"] {
                assert_once(&arena, &|_| (), &clone(&[option, name]));
            }
            assert_once(&arena, &|_| (), &["clone", "-l", name, "dst"].map(OsString::from));
        }
        // With a line break a name can imitate git's message exactly. The status of a usage error is another.
        assert_once(&arena, &|_| (), &clone(&[&format!("--x\n{fatal}")]));
        // Here git ends with status 128 and its very message, so the shim retries; the fallback fails in the same way.
        for option in ["-b", "--reference"] {
            let line = clone(&[option, &broken]);
            let expected = arena.run(arena.real(line.clone()));
            assert!(expected.outcome.died_of("fatal: "), "{:?}", expected.outcome);
            arena.run(arena.shim(line)).assert_equals(&expected);
        }
    });
}

#[test]
fn quiet_clone_whose_hook_writes_the_message_and_aborts_runs_twice() {
    // With -q git does not write that it is done linking: the message cannot be told from git's.
    let mut aborted = 0;
    for_each_git(|_, arena| {
        let source = source::small(&arena, "src");
        let script = format!("{HOOK}hook reference-transaction '{IMITATE}; exit 1'");
        let prepare = arena.prepare(&script);
        let line = with_source(&source, args("clone -q -l --template=template SRC dst"));
        let real = arena.run_in(&prepare, arena.real(line.clone()));
        if real.outcome.died_of(REFUSED) {
            let (twin, runs) = trace::clones(&arena, &prepare, &line);
            twin.assert_equals(&real);
            assert_eq!(runs, 2);
            aborted += 1;
        }
    });
    assert!(aborted > 0, "no git on this machine runs it");
}

#[test]
fn destination_that_git_does_not_clean_up_is_not_retried() {
    for_each_git(|_, arena| {
        let arena = arena.with_links_failing(libc::EPERM);
        let source = source::small(&arena, "src");
        let line = with_source(&source, args("--work-tree tree clone -l --separate-git-dir repository SRC dst"));
        assert!(assert_once(&arena, &|_| (), &line).died_of(REFUSED));
        // git leaves the gitfile, and a fallback would fail because of that.
        let second = arena.real(with_no_hardlinks(&line)).run();
        assert!(second.died_of("'dst' already exists"), "{second:?}");
    });
}

#[test]
fn full_disk_is_not_retried() {
    if !arrangement::is_root() {
        return;
    }
    for_each_git(|_, arena| {
        let mount = "mount -t tmpfs -o size=6m,nr_inodes=10000 tmpfs mount; mkdir mount/work";
        let Some(disk) = Mounted::by(mount, scratch::directory(), "tmpfs") else {
            return;
        };
        // Links succeed, but git has no room for the files that it writes.
        let (arena, source) = source::beside_work_dir(&disk.path(), arena);
        let filler = disk.path().join("filler");
        let fill = |_: &Path| drop(fs::write(&filler, vec![0; 8 << 20]));
        let full = assert_once(&arena, &fill, &with_source(&source, args("clone -l SRC dst")));
        assert!(full.stderr_contains("No space left on device"), "the disk is not full: {full:?}");
        fs::remove_file(&filler).unwrap();

        // A refused link, and then a full disk: the fallback ends as `git clone --no-hardlinks` does.
        let arena = arena.with_links_failing(libc::EPERM);
        source::with_loose_objects(&arena, source.join("many").to_str().unwrap(), 500);
        let line = args("clone -l --bare ../src/many dst");
        for mode in [0o755, 0o775, 0o1777] {
            fs::set_permissions(arena.work_dir(), Permissions::from_mode(mode)).unwrap();
            assert!(arena.run(arena.real(line.clone())).outcome.died_of(REFUSED));
            let expected = arena.run(arena.real(with_no_hardlinks(&line)));
            assert!(expected.outcome.died_of("No space left on device"), "{:?}", expected.outcome);
            arena.run(arena.shim(line.clone())).assert_equals(&expected);
        }
    });
}

#[test]
fn clone_that_git_starts_itself_is_not_cured() {
    // By design: the command is not `clone`, or not of a path, and reading the configuration would take a second process for
    // every call of git. The git that an alias or a submodule starts is the real one, since git puts its own programs first
    // on PATH.
    let Some((_directory, filesystem)) = mount(LinkRule::InodePerPath) else {
        return;
    };
    let mut refused = 0;
    for_each_git(|_, arena| {
        let (arena, source) = arena_on(&filesystem, arena);
        let path = source.display();
        for (config, line) in [
            ("protocol.file.allow=always".to_owned(), format!("-C outer submodule add {path} inner")),
            (format!("url.{path}.insteadOf=far:src"), "clone far:src dst".to_owned()),
            ("alias.copy=clone --local".to_owned(), format!("copy {path} dst")),
            ("alias.copy=!git clone --local".to_owned(), format!("copy {path} dst")),
        ] {
            let line = [vec!["-c".into(), config.into()], args(&line)].concat();
            let twin = arena.assert_twins_in(&arena.prepare("git init -q outer"), &line).outcome;
            // Gits before 2.45.1 and 2.39.4 do not check.
            assert_ne!(twin.died_of(DIFFERENT), twin.status.success(), "{twin:?}");
            refused += usize::from(twin.died_of(DIFFERENT));
        }
    });
    assert!(refused > 0, "no git on this machine checks");
}

#[test]
fn clone_that_cannot_link_is_git_itself() {
    for_each_git(|_, arena| {
        let source = source::small(&arena, "src");
        let bundle = arena.real(args("bundle create ../src.bundle --all"));
        bundle.cwd(&source).run().succeeded();
        let url = format!("file://{}", source.display());
        for line in [
            "clone URL dst",
            "clone URL/.git dst",
            "clone --no-local SRC dst",
            "clone --no-hardlinks SRC dst",
            "clone --local --no-hardlinks SRC dst",
            "clone --shared SRC dst",
            "clone -l -s SRC dst",
            "clone -l --no-local SRC dst",
            "clone ../src.bundle dst",
        ] {
            let line = with_source(&source, args(&line.replace("URL", &url)));
            arena.assert_twins(&line);
            assert!(!trace::is_attempted(&arena, &line), "{line:?}");
        }
        let ignored = arena.assert_twins(&with_source(url, args("clone --local SRC dst")));
        assert!(ignored.outcome.stderr_contains("warning: --local is ignored"));
    });
}
