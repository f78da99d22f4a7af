//! `git-clone-shim explain` tells beforehand what the shim then does.

use std::ffi::OsString;
use std::fs;

use nix::libc;

use crate::support::arena::{Arena, for_each_git};
use crate::support::args::{Args, args, with_source};
use crate::support::call::{Call, Outcome};
use crate::support::executable;
use crate::support::gits::gits;
use crate::support::source;

fn explain(arena: &Arena, line: &Args, mode: &str) -> Outcome {
    let mut command = arena.command(executable::shim());
    command.args(["explain", "--"]).args(line);
    arena
        .run(Call::new(command).env("GIT_CLONE_SHIM", mode))
        .outcome
        .succeeded()
}

/// The lines that begin with `git `: the call itself first, and what the shim becomes last.
fn lines_of_git(outcome: &Outcome) -> Vec<String> {
    let text = String::from_utf8(outcome.stdout.clone()).unwrap();
    let lines = text.lines().map(str::trim);
    lines
        .filter(|line| line.starts_with("git "))
        .map(str::to_owned)
        .collect()
}

/// A call, the mode, how many gits run, and whether the last one is given `--no-hardlinks`.
type Announced = (&'static str, &'static str, usize, bool);

/// Where links are refused within one mount.
const CALLS: [Announced; 8] = [
    ("clone -l SRC dst", "auto", 2, true),
    (
        "-c a.b=c clone -qnl --origin=main -- SRC dst",
        "auto",
        2,
        true,
    ),
    ("clone -l SRC dst", "always", 1, true),
    ("clone -l SRC dst", "off", 1, false),
    ("clone --no-local SRC dst", "auto", 1, false),
    ("clone -ls SRC dst", "auto", 1, false),
    ("clone SRC dst", "auto", 1, false),
    ("ls-remote SRC", "auto", 1, false),
];

/// Asserts that as many gits run, and the last of them with the args that `explain` has announced.
#[track_caller]
fn assert_announced(arena: &Arena, calls: &[Announced]) {
    let source = source::small(arena, "src");
    for &(line, mode, runs, copies) in calls {
        let line = with_source(&source, args(line));
        let announced = lines_of_git(&explain(arena, &line, mode));
        let log = arena.root().join("log");
        let _ = fs::remove_file(&log);
        let shim = arena.shim(line.clone()).env("GIT_CLONE_SHIM", mode);
        let done = arena.run(shim.env("GIT_TRACE", &log)).outcome;
        let trace = fs::read_to_string(&log).unwrap();
        let ran: Vec<&str> = trace
            .lines()
            .filter_map(|line| Some(line.split_once("trace: built-in: ")?.1.trim_end()))
            .filter(|line| line.starts_with("git clone ") || line.starts_with("git ls-remote "))
            .collect();
        assert_eq!(ran.len(), runs, "{trace}{done:?}");
        let last = match copies {
            true => announced.last(),
            false => announced.first(),
        };
        // The trace leaves out what comes before the command.
        let args = &ran[runs - 1]["git ".len()..];
        assert!(last.unwrap().ends_with(args), "{announced:?}");
        assert_eq!(
            args.ends_with(" --no-hardlinks") || args.contains(" --no-hardlinks -- "),
            copies
        );
    }
}

#[test]
fn explain_announces_what_runs() {
    for_each_git(|git, _| {
        let arena = Arena::new(git).with_links_failing(libc::EXDEV);
        assert_announced(&arena, &CALLS);
        if let Some(arena) = Arena::new(git).across_mounts() {
            assert_announced(
                &arena,
                &[
                    ("clone -l SRC dst", "auto", 1, true),
                    ("clone -lq SRC", "always", 1, true),
                    ("clone SRC dst", "auto", 1, false),
                ],
            );
        }
    });
}

#[test]
fn explain_lists_every_argument() {
    let arena = Arena::new(&gits()[0]);
    let line = args("-C here clone -ql --loc -o name --hardlinks --nonsense -- a b c");
    let outcome = explain(&arena, &line, "auto");
    let text = String::from_utf8(outcome.stdout).unwrap();
    let read: Vec<(&str, &str)> = text
        .lines()
        .filter_map(|line| line.strip_prefix("  ")?.split_once("  "))
        .map(|(word, reading)| (word, reading.trim_start()))
        .collect();
    assert_eq!(
        read,
        [
            ("-C", "an option before the command"),
            ("here", "its value"),
            ("clone", "the command"),
            ("-ql", "--quiet, --local"),
            ("--loc", "--local (asks for hard links)"),
            ("-o", "--origin"),
            ("name", "its value"),
            ("--hardlinks", "an option"),
            ("--nonsense", "no option that this shim knows; git decides"),
            ("--", "the end of the options"),
            ("a", "the source"),
            ("b", "the destination"),
            ("c", "one too many"),
        ]
    );
    let real = arena.real_directory().join("git");
    assert!(
        text.contains(&format!("real git        {}\n", real.display())),
        "{text}"
    );
}

#[test]
fn explain_gives_the_reason_of_a_pass_through() {
    let arena = Arena::new(&gits()[0]);
    for (line, mode, why) in [
        ("clone -l a", "off", "GIT_CLONE_SHIM=off"),
        ("c a", "auto", "it is not a `git clone` that git would run"),
        (
            "clone --no-hardlinks a",
            "auto",
            "its options say not to hard-link",
        ),
        (
            "clone https://host/a",
            "auto",
            "its source is not a local repository",
        ),
    ] {
        let outcome = explain(&arena, &args(line), mode);
        let text = String::from_utf8(outcome.stdout).unwrap();
        let expected = format!("The shim execs git at once, with these args: {why}.");
        assert!(text.contains(&expected), "{text}");
    }
}

#[test]
fn explain_and_the_log_hide_secrets() {
    let arena = Arena::new(&gits()[0]);
    for option in [
        "-chttp.extraHeader=Authorization: Basic hunter2",
        "--config=http.https://host/.extraHeader=A: hunter2",
        "--config=http.proxy=me:hunter2@proxy:3128",
        "--server-option=token=hunter2",
        "https://me:hunter2@host/a",
        "https://hunter2@host/a",
        "https://me:x%40hunter2@host/a",
        "https://host/a?private_token=hunter2",
        "me:hunter2@host:a",
    ] {
        let mut line = args("-c http.extraHeader=hunter2 clone -l");
        line.extend([option.into(), "nowhere".into()]);
        let explained = explain(&arena, &line, "always");
        let call = arena.shim(line).env("GIT_CLONE_SHIM", "always");
        let logged = arena.run(call.env("GIT_CLONE_SHIM_LOG", "trace")).outcome;
        let log: Vec<&[u8]> = logged.stderr.split(|&byte| byte == b'\n').collect();
        let log: Vec<&&[u8]> = log
            .iter()
            .filter(|line| line.windows(14).any(|part| part == b"git_clone_shim"))
            .collect();
        assert!(!log.is_empty(), "{logged:?}");
        for text in log.into_iter().copied().chain([&explained.stdout[..]]) {
            let shown = text.escape_ascii().to_string();
            assert!(!shown.contains("hunter2"), "{option}: {shown}");
        }
        assert!(explained.stdout.windows(3).any(|part| part == b"***"));
    }
}

#[test]
fn shell_reads_the_same_args() {
    use std::os::unix::ffi::OsStringExt;
    let arena = Arena::new(&gits()[0]);
    let odd = ["", "a b", "it's", "\\", "$HOME", "~", "*", "café\n"].map(OsString::from);
    let no_text = OsString::from_vec(b"-l\xe9\n".to_vec());
    let line: Args = [vec!["clone".into(), no_text], odd.to_vec()].concat();
    let outcome = explain(&arena, &line, "auto");
    let end = outcome
        .stdout
        .iter()
        .position(|&byte| byte == b'\n')
        .unwrap();
    let shown = str::from_utf8(&outcome.stdout[..end]).unwrap();
    let mut shell = arena.command("bash");
    shell.args([
        "-c",
        &format!("git() {{ printf '%s\\0' \"$@\"; }}; {shown}"),
    ]);
    let read = arena.run(Call::new(shell)).outcome.succeeded();
    let mut expected = Vec::new();
    for word in line {
        expected.extend(word.into_vec());
        expected.push(0);
    }
    assert_eq!(read.stdout, expected, "{shown}");
}
