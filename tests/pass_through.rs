//! Everything that is not a clone that can hard-link is git itself: the same bytes, status and process.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

use crate::support::arena::Arena;
use crate::support::call::Call;
use crate::support::executable;
use crate::support::gits::gits;
use crate::support::source;
use crate::support::words::{from, words};

#[test]
fn the_same_bytes_and_status() {
    for git in gits() {
        let arena = Arena::new(git);
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
            arena.assert_twins(&from(
                &source,
                words(&line.replace("SRC/", &format!("{}/", source.display()))),
            ));
        }
    }
}

#[test]
fn aliases() {
    for git in gits() {
        let arena = Arena::new(git);
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
    }
}

#[test]
fn a_program_of_gits_own_kind() {
    // `git foo` runs git-foo from PATH, which sees the shim's directory there and calls git again.
    for git in gits() {
        let arena = Arena::new(git);
        let tools = arena.root().join("tools");
        fs::create_dir(&tools).unwrap();
        executable::script(
            &tools.join("git-foo"),
            "#!/bin/sh\ngit --version; echo \"$@\"; exit 9\n",
        );
        let run = |first: &[_]| {
            let path = Arena::path(&[first, &[tools.clone(), arena.real_directory()]].concat());
            arena
                .run(
                    &|_| (),
                    arena.real(words("foo bar --local")).env("PATH", path),
                )
                .outcome
        };
        let twin = run(&[arena.shim_directory()]);
        assert_eq!(twin, run(&[]));
        assert_eq!(twin.status.code(), Some(9), "{twin:?}");
    }
}

#[test]
fn standard_input() {
    for git in gits() {
        let arena = Arena::new(git);
        let megabyte: Vec<u8> = (0..1 << 20)
            .map(|byte: u32| byte.to_le_bytes()[1])
            .collect();
        let hash = |call: Call| arena.run(&|_| (), call.stdin(megabyte.clone())).outcome;
        let line = words("hash-object --stdin");
        let twin = hash(arena.shim(line.clone())).succeeded();
        assert_eq!(twin, hash(arena.real(line)));
        assert_eq!(twin.stdout.len(), 41);
    }
}

#[test]
fn words_of_any_bytes() {
    for git in gits() {
        let arena = Arena::new(git);
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
                words("check-ref-format --branch"),
                words("hash-object --"),
                words("rev-parse --"),
                words("--git-dir"),
            ] {
                let odd = OsStr::from_bytes(odd).to_owned();
                arena.assert_twins(&command.into_iter().chain([odd]).collect());
            }
        }
    }
}

#[test]
fn a_commit_with_an_editor() {
    for git in gits() {
        let arena = Arena::new(git);
        let editor = executable::script(
            &arena.root().join("editor"),
            "#!/bin/sh\necho \"from the editor\" >\"$1\"\n",
        );
        let prepare = |place: &Path| {
            arena.real(words("init -q .")).run().succeeded();
            fs::write(place.join("file"), "file\n").unwrap();
            arena.real(words("add file")).run().succeeded();
        };
        let commit = |call: Call| arena.run(&prepare, call.env("GIT_EDITOR", &editor));
        let twin = commit(arena.shim(words("commit")));
        let plain = commit(arena.real(words("commit")));
        assert_eq!(twin.outcome, plain.outcome);
        assert!(twin.tree == plain.tree);
        let log = arena.real(words("log --format=%s")).run().succeeded();
        assert_eq!(log.stdout, b"from the editor\n");
    }
}

/// What a program named as the real git finds: any program can be a witness of what the shim hands on.
fn witness(arena: &Arena, program: &str, shell: &str) -> (Vec<u8>, Vec<u8>) {
    let run = |mut command: Command| {
        let output = command.output().unwrap();
        assert!(output.status.success(), "{output:?}");
        output.stdout
    };
    let mut plain = arena.command("bash");
    plain
        .args(["-c", &shell.replace("GIT", program)])
        .env("GIT_CLONE_SHIM_GIT", program);
    let mut shimmed = arena.command("bash");
    shimmed
        .args(["-c", &shell.replace("GIT", "git")])
        .env("GIT_CLONE_SHIM_GIT", program);
    shimmed.env("PATH", Arena::path(&[arena.shim_directory()]));
    plain.env("PATH", Arena::path(&[arena.shim_directory()]));
    (run(shimmed), run(plain))
}

#[test]
fn the_name_it_was_called_by() {
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
        "a path is the real git's"
    );
}

#[test]
fn the_environment() {
    let arena = Arena::new(&gits()[0]);
    // An entry without `=` and a doubled one cannot be made from a shell; order and odd bytes can.
    let (shimmed, plain) = witness(
        &arena,
        "/usr/bin/env",
        "export B=1 A=$'\\xff\\n' EMPTY=; exec GIT",
    );
    let mut lines: Vec<&[u8]> = shimmed.split(|&byte| byte == b'\n').collect();
    let marker = lines
        .iter()
        .position(|line| line.starts_with(b"_GIT_CLONE_SHIM_SEEN="))
        .expect("the marker");
    lines.remove(marker);
    let differ = |line: &&[u8]| !line.starts_with(b"_=");
    let plain: Vec<&[u8]> = plain.split(|&byte| byte == b'\n').filter(differ).collect();
    lines.retain(differ);
    assert_eq!(lines, plain);
}

#[test]
fn signals_and_descriptors() {
    let arena = Arena::new(&gits()[0]);
    for setup in [
        "",
        "trap '' PIPE HUP INT CHLD USR1 RTMIN;",
        "ulimit -n 77; umask 027; ulimit -c 0;",
    ] {
        for what in [
            "exec GIT ^Sig[PBIC] /proc/self/status",
            "exec GIT -r . /proc/self/limits",
        ] {
            let (shimmed, plain) = witness(&arena, "/bin/grep", &format!("{setup} {what}"));
            assert_eq!(
                shimmed.escape_ascii().to_string(),
                plain.escape_ascii().to_string(),
                "{setup} {what}"
            );
        }
    }
    for setup in [
        "",
        "exec 7</dev/null 9>&1;",
        "exec <&-;",
        "exec 2>&-;",
        "exec <&- 2>&- 5<.;",
    ] {
        let (shimmed, plain) = witness(
            &arena,
            "/bin/ls",
            &format!("{setup} exec GIT /proc/self/fd"),
        );
        assert_eq!(
            shimmed.escape_ascii().to_string(),
            plain.escape_ascii().to_string(),
            "{setup}"
        );
    }
}

#[test]
fn the_same_process() {
    let arena = Arena::new(&gits()[0]);
    let mut child = arena.command(arena.shim_directory().join("git"));
    child
        .arg("-n")
        .arg("s/^PPid:.//p")
        .arg("/proc/self/status")
        .env("GIT_CLONE_SHIM_GIT", "/bin/sed");
    let output = child.output().unwrap();
    assert_eq!(
        output.stdout,
        format!("{}\n", std::process::id()).as_bytes(),
        "our own child, not its child"
    );
}

#[test]
fn the_tool_for_people_is_not_the_shim() {
    let arena = Arena::new(&gits()[0]);
    let run = |words: &[&str]| {
        let mut command = arena.command(executable::shim());
        command.args(words);
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
    // git finds git-clone-shim on PATH, so that `git clone-shim` works too.
    std::os::unix::fs::symlink(
        executable::shim(),
        arena.shim_directory().join("git-clone-shim"),
    )
    .unwrap();
    let through = arena.run(
        &|_| (),
        arena.shim(["clone-shim", "--version"].map(OsString::from)),
    );
    assert_eq!(through.outcome.succeeded().stdout, version.stdout);
}
