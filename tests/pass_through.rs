//! For every call that is not a clone which may hard-link, the shim execs git: the same bytes, status and process.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::process::CommandExt;
use std::path::Path;

use crate::support::arena::{Arena, for_each_git};
use crate::support::args::{args, with_source};
use crate::support::call::Call;
use crate::support::executable;
use crate::support::gits::gits;
use crate::support::source;

#[test]
fn output_and_status_are_gits() {
    for_each_git(|_, arena| {
        let source = source::small(&arena, "src");
        for line in [
            "",
            "--version",
            "-v",
            "version --build-options",
            "-h",
            "--help",
            "help -g",
            "--nonsense",
            "nonsense",
            "-c",
            "-C",
            "-C absent status",
            "--exec-path",
            "--html-path",
            "--exec-path=/nowhere --exec-path",
            "--list-cmds=main,others,nohelpers",
            "clone -h",
            "clone --nonsense SRC dst",
            "clone",
            "init new",
            "init --bare",
            "ls-remote SRC",
            "clone --no-local SRC dst",
            "-C SRC log --stat --format=fuller",
            "-C SRC status --porcelain --branch",
            "-C SRC rev-parse absent",
            "-C SRC diff HEAD~2 HEAD",
            "-C SRC grep -n one",
            "-C SRC cat-file -p HEAD",
            "-C SRC -c alias.last=log\\t-1 last",
            "-C SRC merge-base --is-ancestor HEAD HEAD~1",
        ] {
            arena.assert_twins(&with_source(
                &source,
                args(&line.replace("SRC/", &format!("{}/", source.display()))),
            ));
        }
    });
}

#[test]
fn aliases_work() {
    for_each_git(|_, arena| {
        let source = source::small(&arena, "src");
        for alias in [
            "alias.x=log -1 --oneline",
            "alias.x=!echo \"$@\" && pwd && exit 7",
            "alias.x=!git log -1 --oneline",
        ] {
            let line = [
                "-C".into(),
                source.clone().into(),
                "-c".into(),
                alias.into(),
                "x".into(),
                "HEAD".into(),
            ];
            arena.assert_twins(&line.into());
        }
    });
}

#[test]
fn git_finds_its_external_commands() {
    // `git foo` runs git-foo, which calls git again and finds the shim on PATH.
    for_each_git(|_, arena| {
        let tools = arena.root().join("tools");
        fs::create_dir(&tools).unwrap();
        executable::script(
            &tools.join("git-foo"),
            "#!/bin/sh\ngit --version; echo \"$@\"; exit 9\n",
        );
        let run = |first: &[_]| {
            let path = Arena::path(&[first, &[tools.clone(), arena.real_directory()]].concat());
            arena
                .run(arena.real(args("foo bar --local")).env("PATH", path))
                .outcome
        };
        let twin = run(&[arena.shim_directory()]);
        assert_eq!(twin, run(&[]));
        assert_eq!(twin.status.code(), Some(9), "{twin:?}");
    });
}

#[test]
fn stdin_reaches_git() {
    for_each_git(|_, arena| {
        let megabyte: Vec<u8> = (0..1 << 20)
            .map(|byte: u32| byte.to_le_bytes()[1])
            .collect();
        let hash = |call: Call| arena.run(call.stdin(megabyte.clone())).outcome;
        let line = args("hash-object --stdin");
        let twin = hash(arena.shim(line.clone())).succeeded();
        assert_eq!(twin, hash(arena.real(line)));
        assert_eq!(twin.stdout.len(), 41);
    });
}

#[test]
fn args_of_any_bytes_reach_git() {
    for_each_git(|_, arena| {
        for odd in [
            &b"\xff\xfe"[..],
            b"a\nb",
            b"",
            b" ",
            b"caf\xe9",
            b"-\xff",
            b"\xf0\x9f\x90\x99",
        ] {
            for command in [
                args("check-ref-format --branch"),
                args("hash-object --"),
                args("rev-parse --"),
                args("--git-dir"),
            ] {
                let odd = OsStr::from_bytes(odd).to_owned();
                arena.assert_twins(&command.into_iter().chain([odd]).collect());
            }
        }
    });
}

#[test]
fn editor_of_a_commit_runs() {
    for_each_git(|_, arena| {
        let editor = executable::script(
            &arena.root().join("editor"),
            "#!/bin/sh\necho \"from the editor\" >\"$1\"\n",
        );
        let prepare = |place: &Path| {
            arena.real(args("init -q .")).run().succeeded();
            fs::write(place.join("file"), "file\n").unwrap();
            arena.real(args("add file")).run().succeeded();
        };
        let commit = |call: Call| arena.run_in(&prepare, call.env("GIT_EDITOR", &editor));
        let twin = commit(arena.shim(args("commit")));
        let plain = commit(arena.real(args("commit")));
        assert_eq!(twin.outcome, plain.outcome);
        assert_eq!(twin.tree, plain.tree);
        let log = arena.real(args("log --format=%s")).run().succeeded();
        assert_eq!(log.stdout, b"from the editor\n");
    });
}

#[test]
fn name_is_passed_on_unless_it_is_a_path() {
    let arena = Arena::new(&gits()[0]);
    let run = |program: &Path, name: &str| {
        let mut command = arena.command(program);
        command
            .arg0(name)
            .arg("/proc/self/cmdline")
            .env("GIT_CLONE_SHIM_GIT", "/bin/cat");
        command.output().unwrap().stdout
    };
    let shim = arena.shim_directory().join("git");
    assert_eq!(run(&shim, "git"), b"git\0/proc/self/cmdline\0");
    assert_eq!(run(&shim, "anything"), b"anything\0/proc/self/cmdline\0");
    let path = shim.to_str().unwrap();
    assert_eq!(
        run(&shim, path),
        b"/bin/cat\0/proc/self/cmdline\0",
        "a path becomes the real git's"
    );
}

#[test]
fn search_of_path_finds_the_shim() {
    // A search of PATH finds the first entry, which is the shim's.
    let arena = Arena::new(&gits()[0]);
    for (through_shim, directory) in [
        (true, arena.shim_directory()),
        (false, arena.real_directory()),
    ] {
        let mut shell = arena.command("sh");
        shell
            .args(["-c", "command -v git"])
            .env("PATH", arena.path_of(through_shim));
        let found = Call::new(shell).run().succeeded().stdout;
        assert_eq!(found, format!("{}/git\n", directory.display()).as_bytes());
    }
}

#[test]
fn longest_args_and_environment_reach_git() {
    // With a stack limit of 512 KiB execve(2) takes 128 KiB of args and environment, and the marker must fit as well.
    let arena = Arena::new(&gits()[0]);
    let runs = |directory: &Path, size: usize| {
        let mut shell = arena.command("bash");
        let script = "ulimit -s 512 && exec \"$0\" rev-parse --sq-quote \"$1\" \"$2\"";
        shell.args(["-c", script]).arg(directory.join("git"));
        shell.args(["x".repeat(size / 2), "y".repeat(size - size / 2)]);
        let outcome = arena.run(Call::new(shell)).outcome;
        outcome.status.success() && outcome.stdout.len() > size
    };
    let (mut fits, mut too_much) = (0, 1 << 17);
    while too_much - fits > 1 {
        let middle = usize::midpoint(fits, too_much);
        if runs(&arena.real_directory(), middle) {
            fits = middle;
        } else {
            too_much = middle;
        }
    }
    // The two directories have names of the same length, so what fits for git fits for the shim.
    for size in [fits, fits - 10, fits - 50, fits - 100, fits - 200] {
        assert!(runs(&arena.shim_directory(), size), "{size} of {fits}");
    }
    assert!(!runs(&arena.shim_directory(), too_much));
}

#[test]
fn tool_is_not_the_shim() {
    let arena = Arena::new(&gits()[0]);
    let run = |args: &[&str]| {
        let mut command = arena.command(executable::shim());
        command.args(args);
        Call::new(command).run()
    };
    let version = run(&["--version"]);
    let expected = format!("git-clone-shim {}\n", env!("CARGO_PKG_VERSION"));
    assert_eq!(version.stdout, expected.as_bytes());
    let help = run(&["--help"]).succeeded();
    assert!(help.stdout.starts_with(b"git-clone-shim stands in for git"));
    for nonsense in [&["nonsense"][..], &[], &["clone", "--local", "a", "b"]] {
        let refused = run(nonsense);
        assert!(refused.is_our_failure(2), "{refused:?}");
    }
    // git finds git-clone-shim on PATH, so `git clone-shim` works, too.
    std::os::unix::fs::symlink(
        executable::shim(),
        arena.shim_directory().join("git-clone-shim"),
    )
    .unwrap();
    let through = arena.run(arena.shim(["clone-shim", "--version"].map(OsString::from)));
    assert_eq!(through.outcome.succeeded().stdout, version.stdout);
}
