//! `git-clone-shim explain` and `which` tell beforehand what the shim then does.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::symlink;
use std::os::unix::process::CommandExt;
use std::path::Path;

use nix::libc;

use crate::support::arena::{Arena, for_each_git};
use crate::support::args::{Args, args, with_source};
use crate::support::call::{Call, Outcome};
use crate::support::executable;
use crate::support::gits::gits;
use crate::support::refusing_fs::{LinkRule, arena_on, mount};
use crate::support::source;

/// A call of the tool, with the shim first on PATH.
fn tool(arena: &Arena, line: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Call {
    let mut command = arena.command(executable::shim());
    command.args(line).env("PATH", arena.path_of(true));
    Call::new(command)
}

/// The verdict, and the commands that run, without git's directory.
fn explain(arena: &Arena, line: &Args, mode: &str) -> (String, Vec<String>) {
    let call = tool(arena, ["explain"].map(OsString::from).iter().chain(line));
    let outcome = call.cwd(arena.work_dir()).env("GIT_CLONE_SHIM", mode).run();
    let text = String::from_utf8(outcome.succeeded().stdout).unwrap();
    let (verdict, commands) = text.split_once('\n').unwrap();
    let git = format!("  {}/", arena.real_directory().display());
    let commands = commands
        .lines()
        .map(|line| line.strip_prefix(&git).unwrap().to_owned());
    (verdict.to_owned(), commands.collect())
}

/// A call, the mode, and how the verdict begins and ends.
type Announced = (&'static str, &'static str, &'static str, &'static str);

const AS_CALLED: &str = "git runs as it is called: ";
const AT_ONCE: &str = "git runs with --no-hardlinks at once: ";
const AGAIN: &str =
    "git runs as it is called, and again with --no-hardlinks if a hard link fails: ";

/// Where links are refused within one mount.
#[rustfmt::skip]
const WITHIN: [Announced; 10] = [
    ("clone -l SRC dst", "auto", AGAIN, "--local is in effect, by -l."),
    ("git clone -l SRC dst", "auto", AGAIN, "by -l."),
    ("-- git -c a.b=c clone -qnl --origin=main -- SRC dst", "auto", AGAIN, "by -qnl."),
    ("-c a.b=c clone --loc SRC dst", "auto", AGAIN, "by --loc."),
    ("clone -l SRC dst", "always", AT_ONCE, "GIT_CLONE_SHIM=always."),
    ("clone -l SRC dst", "off", AS_CALLED, "GIT_CLONE_SHIM=off."),
    ("clone --no-local SRC dst", "auto", AS_CALLED, "its options say not to hard-link."),
    ("clone -ls SRC dst", "auto", AS_CALLED, "its options say not to hard-link."),
    ("clone SRC dst", "auto", AS_CALLED, "without --local git copies where it cannot link."),
    ("ls-remote SRC", "auto", AS_CALLED, "it is not a `git clone` that git would run."),
];

#[rustfmt::skip]
const ACROSS: [Announced; 3] = [
    ("clone -l SRC dst", "auto", AT_ONCE, "between which the kernel links nothing."),
    ("clone -lq SRC", "always", AT_ONCE, "GIT_CLONE_SHIM=always."),
    // The mounts decide, whatever the filesystems are.
    ("clone SRC dst", "auto", AS_CALLED, "different mounts, where git copies by itself."),
];

const ODD_LINKS: [Announced; 1] = [(
    "clone SRC dst",
    "auto",
    AGAIN,
    "the source is a local repository.",
)];

/// Asserts that each verdict is this one, and that the shim then runs git as often and with the args that were announced.
#[track_caller]
fn assert_announced(arena: &Arena, source: &Path, calls: &[Announced]) {
    for &(line, mode, begins, ends) in calls {
        let line = with_source(source, args(line));
        let (verdict, commands) = explain(arena, &line, mode);
        assert!(
            verdict.starts_with(begins) && verdict.ends_with(ends),
            "{line:?}: {verdict}"
        );
        let git_called = line
            .iter()
            .position(|arg| !["--", "git"].iter().any(|word| arg == word));
        let line = line[git_called.unwrap()..].to_vec();
        let log = arena.root().join("log");
        let _ = fs::remove_file(&log);
        let shim = arena.shim(line).env("GIT_CLONE_SHIM", mode);
        let done = arena.run(shim.env("GIT_TRACE", &log)).outcome;
        let trace = fs::read_to_string(&log).unwrap();
        let ran = trace
            .lines()
            .filter_map(|line| line.split_once("trace: built-in: "));
        let ran: Vec<&str> = ran.map(|(_, ran)| ran.trim_end()).collect();
        let ran = ran
            .iter()
            .filter(|ran| ran.starts_with("git clone ") || ran.starts_with("git ls-remote "));
        // The trace leaves out what comes before the command.
        let announced = commands
            .iter()
            .map(|command| command.replace(" -c a.b=c", ""));
        assert_eq!(
            ran.copied().collect::<Vec<_>>(),
            announced.collect::<Vec<_>>(),
            "{trace}{done:?}"
        );
    }
}

#[test]
fn explain_announces_what_runs() {
    for_each_git(|git, _| {
        let arena = Arena::new(git).with_links_failing(libc::EXDEV);
        assert_announced(&arena, &source::small(&arena, "src"), &WITHIN);
        if let Some(arena) = Arena::new(git).across_mounts() {
            assert_announced(&arena, &source::small(&arena, "src"), &ACROSS);
        }
    });
    let Some((_directory, filesystem)) = mount(LinkRule::InodePerPath) else {
        return;
    };
    let (arena, source) = arena_on(&filesystem, Arena::new(&gits()[0]));
    assert_announced(&arena, &source, &ODD_LINKS);
}

#[test]
fn shell_reads_the_same_args() {
    let arena = Arena::new(&gits()[0]);
    let odd = [
        "",
        "a b",
        "it's",
        "\\",
        "$HOME",
        "~",
        "*",
        "café",
        "\u{1b}[31m\n",
        "\u{202e}",
    ]
    .map(OsString::from);
    let no_text = OsString::from_vec(b"-l\xe9\n".to_vec());
    let line: Args = [vec!["clone".into(), no_text], odd.to_vec()].concat();
    let (_, commands) = explain(&arena, &line, "off");
    let [shown] = &commands[..] else {
        panic!("{commands:?}")
    };
    assert!(!shown.contains(['\u{1b}', '\u{202e}']), "{shown}");
    let mut shell = arena.command("bash");
    shell.args([
        "-c",
        &format!("git() {{ printf '%s\\0' \"$@\"; }}; {shown}"),
    ]);
    let read = Call::new(shell).run().succeeded();
    let expected: Vec<u8> = line
        .into_iter()
        .flat_map(|word| [word.into_vec(), vec![0]].concat())
        .collect();
    assert_eq!(read.stdout, expected, "{shown}");
}

/// The tool's args, its exit status, and what it prints.
#[rustfmt::skip]
const LINES: [(&str, i32, &str); 9] = [
    ("which", 0, "ROOT/real/git"),
    ("which x", 2, "unexpected argument 'x' found; see git-clone-shim which --help"),
    ("", 2, "nothing to do; see git-clone-shim --help"),
    ("doctr", 2, "unrecognized subcommand 'doctr'; tip: a similar subcommand exists: 'doctor'; see git-clone-shim --help"),
    ("doctor --form x", 2, "unexpected argument '--form' found; tip: a similar argument exists: '--from'; see git-clone-shim doctor --help"),
    ("doctor --from", 2, "a value is required for '--from <REPO>' but none was supplied; see git-clone-shim doctor --help"),
    ("explain", 0, "git runs as it is called: it is not a `git clone` that git would run."),
    ("explain git", 0, "git runs as it is called: it is not a `git clone` that git would run."),
    ("--version", 0, concat!("git-clone-shim ", env!("CARGO_PKG_VERSION"))),
];

/// What was printed, on standard output or as an error of our own.
fn first_line(outcome: &Outcome) -> String {
    let error = outcome
        .stderr
        .strip_prefix(b"git-clone-shim: ")
        .unwrap_or(&outcome.stderr);
    let text = if outcome.stdout.is_empty() {
        error
    } else {
        &outcome.stdout
    };
    String::from_utf8_lossy(text)
        .lines()
        .next()
        .unwrap_or_default()
        .to_owned()
}

#[test]
fn tool_answers_in_one_line() {
    let arena = Arena::new(&gits()[0]);
    for (line, status, printed) in LINES {
        let outcome = tool(&arena, args(line)).run();
        assert_eq!(outcome.status.code(), Some(status), "{outcome:?}");
        let root = arena.root().to_str().unwrap();
        assert_eq!(
            first_line(&outcome),
            printed.replace("ROOT", root),
            "{outcome:?}"
        );
    }
    for help in ["--help", "doctor --help", "which --help", "explain --help"] {
        let outcome = tool(&arena, args(help)).run().succeeded();
        let text = String::from_utf8(outcome.stdout).unwrap();
        let longest = text.lines().map(|line| line.chars().count()).max();
        assert!(longest <= Some(79), "{help}: {text}");
    }
    // A path is printed as it is, for scripts.
    let odd = arena.root().join(OsStr::from_bytes(b"\x1b[31m\xff"));
    fs::create_dir(&odd).unwrap();
    symlink(&gits()[0].file, odd.join("git")).unwrap();
    let outcome = tool(&arena, ["which"])
        .env("PATH", Arena::path(&[arena.shim_directory(), odd.clone()]))
        .run();
    assert_eq!(
        outcome.succeeded().stdout,
        [odd.as_os_str().as_bytes(), b"/git\n"].concat()
    );
}

#[test]
fn without_a_real_git_nothing_is_promised() {
    let arena = Arena::new(&gits()[0]);
    for line in ["which", "explain clone -l a b"] {
        let outcome = tool(&arena, args(line))
            .env("PATH", arena.shim_directory())
            .run();
        assert_eq!(outcome.status.code(), Some(127), "{outcome:?}");
        assert!(
            first_line(&outcome).contains("no git found on PATH"),
            "{outcome:?}"
        );
    }
}

#[test]
fn renamed_tool_says_what_it_is_called() {
    let arena = Arena::new(&gits()[0]);
    for (name, task, is_tool) in [
        ("shim-0.3", "doctor", true),
        ("shim-0.3", "install", true),
        ("shim-0.3", "status", false),
        ("git", "doctor", false),
    ] {
        let mut call = tool(&arena, [task]);
        call.command.arg0(format!("/somewhere/{name}"));
        let outcome = call.run();
        let line =
            format!("this is git-clone-shim under the name {name}: rename it to git-clone-shim");
        assert_eq!(first_line(&outcome) == line, is_tool, "{outcome:?}");
        assert!(!is_tool || outcome.is_our_failure(2), "{outcome:?}");
    }
}
