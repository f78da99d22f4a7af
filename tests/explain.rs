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

/// The verdict, and the args with which git runs.
fn explain(arena: &Arena, line: &Args, mode: &str) -> (String, Vec<String>) {
    let call = tool(arena, [&["explain".into()], &line[..]].concat()).env("GIT_CLONE_SHIM", mode);
    let text = String::from_utf8(call.run().succeeded().stdout).unwrap();
    let git = format!("  {}/git ", arena.real_directory().display());
    let mut lines = text.lines().map(|line| line.trim_start_matches(&git).to_owned());
    (lines.next().unwrap(), lines.collect())
}

/// A call, the mode, and how the verdict begins and ends.
type Announced = (&'static str, &'static str, &'static str, &'static str);

const AS_CALLED: &str = "git runs as it is called: ";
const AT_ONCE: &str = "git runs with --no-hardlinks at once: ";
const AGAIN: &str = "git runs as it is called, and again with --no-hardlinks if a hard link fails: ";

/// Where links are refused within one mount.
#[rustfmt::skip]
const WITHIN: [Announced; 10] = [
    ("clone -l SRC dst", "auto", AGAIN, "--local is in effect."),
    ("git clone -l SRC dst", "auto", AGAIN, "--local is in effect."),
    ("-- git -c a.b=c clone -qnl --origin=main -- SRC dst", "auto", AGAIN, "--local is in effect."),
    ("-c a.b=c clone --loc SRC dst", "auto", AGAIN, "--local is in effect."),
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
    ("clone SRC dst", "auto", AS_CALLED, "between which the kernel links nothing."),
];

/// Asserts that each verdict is this one, and that the shim then runs git as often and with the args that were announced.
#[track_caller]
fn assert_announced(arena: &Arena, source: &Path, calls: &[Announced]) {
    for &(line, mode, begins, ends) in calls {
        let (verdict, announced) = explain(arena, &with_source(source, args(line)), mode);
        assert!(verdict.starts_with(begins) && verdict.ends_with(ends), "{line}: {verdict}");
        let log = arena.root().join("log");
        let _ = fs::remove_file(&log);
        let line = line.trim_start_matches("-- ").trim_start_matches("git ");
        let shim = arena.shim(with_source(source, args(line))).env("GIT_CLONE_SHIM", mode);
        let done = arena.run(shim.env("GIT_TRACE", &log)).outcome;
        let trace = fs::read_to_string(&log).unwrap();
        let ran = trace.lines().filter_map(|line| Some(line.split_once("trace: built-in: git ")?.1));
        let is_ours = |ran: &&str| ran.starts_with("clone ") || ran.starts_with("ls-remote ");
        // The trace leaves out what comes before the command.
        let announced = announced.iter().map(|args| args.trim_start_matches("-c a.b=c "));
        assert!(announced.eq(ran.filter(is_ours)), "{trace}{done:?}");
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
    assert_announced(&arena, &source, &[("clone SRC dst", "auto", AGAIN, "source is a local repository.")]);
}

#[test]
fn shell_reads_the_same_args() {
    let arena = Arena::new(&gits()[0]);
    let mut line = args("clone a'b \\ $HOME ~ * café \u{1b}[31m\n \u{202e}");
    line.extend(["".into(), "a b".into(), OsString::from_vec(b"-l\xe9\n".to_vec())]);
    let shown = explain(&arena, &line, "off").1.concat();
    assert!(!shown.contains(['\u{1b}', '\u{202e}']), "{shown}");
    let mut shell = arena.command("bash");
    shell.args(["-c", &format!("printf '%s\\0' {shown}")]);
    let read = Call::new(shell).run().succeeded();
    let words = line.into_iter().map(|word| [word.as_bytes(), b"\0"].concat());
    assert_eq!(read.stdout, words.collect::<Vec<_>>().concat(), "{shown}");
}

/// The tool's args, its exit status, and what it prints.
#[rustfmt::skip]
const LINES: [(&str, i32, &str); 12] = [
    ("which", 0, "ROOT/real/git"),
    ("which x", 2, "unexpected argument 'x' found; see git-clone-shim which --help"),
    ("", 2, "nothing to do; see git-clone-shim --help"),
    ("doctr", 2, "unrecognized subcommand 'doctr'; tip: a similar subcommand exists: 'doctor'; see git-clone-shim --help"),
    ("doctor --form x", 2, "unexpected argument '--form' found; tip: a similar argument exists: '--from'; see git-clone-shim doctor --help"),
    ("doctor --from", 2, "a value is required for '--from <REPO>' but none was supplied; see git-clone-shim doctor --help"),
    ("which", 127, "no git found on PATH"),
    ("explain clone -l a b", 127, "no git found on PATH"),
    ("explain", 0, "git runs as it is called: it is not a `git clone` that git would run."),
    ("explain git", 0, "git runs as it is called: it is not a `git clone` that git would run."),
    ("explain /usr/bin/git clone --no-local a b", 0, "git runs as it is called: its options say not to hard-link."),
    ("--version", 0, concat!("git-clone-shim ", env!("CARGO_PKG_VERSION"))),
];

/// What was printed first, on standard output or as an error of our own.
fn first_line(outcome: &Outcome) -> String {
    let text = String::from_utf8([&outcome.stdout[..], &outcome.stderr].concat()).unwrap();
    text.lines().next().unwrap_or_default().trim_start_matches("git-clone-shim: ").to_owned()
}

#[test]
fn tool_answers_in_one_line() {
    let arena = Arena::new(&gits()[0]);
    for (line, status, printed) in LINES {
        let path = if status == 127 { arena.shim_directory().into() } else { arena.path_of(true) };
        let outcome = tool(&arena, args(line)).env("PATH", path).run();
        let printed = printed.replace("ROOT", arena.root().to_str().unwrap());
        let is_printed = first_line(&outcome).starts_with(&printed);
        assert!(is_printed && outcome.status.code() == Some(status), "{outcome:?}");
    }
    for help in ["--help", "doctor --help", "which --help", "explain --help", "install --help", "uninstall --help"] {
        let outcome = tool(&arena, args(help)).run().succeeded();
        let text = String::from_utf8(outcome.stdout).unwrap();
        let longest = text.lines().map(|line| line.chars().count()).max();
        assert!(longest <= Some(79), "{help}: {text}");
    }
}

/// PATH, and the directory of the git that `which` prints. `copy` is another copy of the shim, as it is installed; in `wheel`, the
/// tool lies beside a git; `.` has one, too. `bin` is relative, and not /bin.
const REAL: [(&str, &str); 7] = [
    ("shim:odd", "odd"),
    ("copy:shim:odd:real", "odd"),
    ("odd:copy:real", "real"),
    (".::copy:.::real", "real"),
    ("copy:bin:real", "real"),
    ("wheel:real", "wheel"),
    ("copy:wheel:real", "wheel"),
];

#[test]
fn which_prints_the_real_git_as_it_is() {
    let arena = Arena::new(&gits()[0]);
    let odd = OsStr::from_bytes(b"\x1b[31m\xff");
    let directory = |name: &str| if name == "odd" { arena.root().join(odd) } else { arena.root().join(name) };
    for name in ["odd", "copy", "wheel"] {
        fs::create_dir(directory(name)).unwrap();
    }
    for git in [directory("odd"), directory("wheel"), arena.work_dir().to_owned()] {
        symlink(&gits()[0].file, git.join("git")).unwrap();
    }
    let tools = ["copy", "wheel"].map(|name| directory(name).join("git-clone-shim"));
    for tool in &tools {
        executable::copy(executable::shim(), tool);
    }
    symlink("git-clone-shim", directory("copy").join("git")).unwrap();
    for (names, expected) in REAL {
        let path =
            names.split(':').map(|name| if ["", ".", "bin"].contains(&name) { name.into() } else { directory(name) });
        let mut which = arena.command(&tools[1]);
        which.arg("which").env("PATH", std::env::join_paths(path).unwrap()).current_dir(arena.work_dir());
        let outcome = Call::new(which).run();
        let printed = [directory(expected).join("git").as_os_str().as_bytes(), b"\n"].concat();
        assert_eq!(outcome.stdout, printed, "{names}: {outcome:?}");
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
        let line = format!("this is git-clone-shim under the name {name}: rename it to git-clone-shim");
        assert_eq!(first_line(&outcome) == line, is_tool, "{outcome:?}");
        assert!(!is_tool || outcome.is_our_failure(2), "{outcome:?}");
    }
}
