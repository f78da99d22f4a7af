//! What git is handed through the shim, and what its children are, is what they would have been handed without it: words,
//! environment, directory, mask, signals, descriptors, limits, priority, session and terminal.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::process::Command;

use nix::libc;

use crate::support::arena::{Arena, REFUSED, for_each_git};
use crate::support::args::{Args, args, with_source};
use crate::support::gits::gits;
use crate::support::hook;
use crate::support::source;
use crate::support::terminal::Terminal;
use crate::support::tree;
use crate::support::witness::{self, ProcessSnapshot};

/// The one variable that the shim adds to the environment.
const MARKER: &str = "_GIT_CLONE_SHIM_SEEN";

/// Shell that makes all that a program inherits unusual, and becomes that program.
const UNUSUAL: &str = "umask 027; ulimit -n 77; ulimit -c 0; exec 7<. 9>>../log; exec setsid --ctty nice -n 5 \
                       env --block-signal=USR1,RTMIN --ignore-signal=PIPE,HUP,USR2 \"$@\"";

/// Names of files, one of them of the directory in which git is run: not UTF-8, or not on one line.
const ODD: [&[u8]; 3] = [b"\xff\xfe", b"two\nlines", b"caf\xe9"];

/// Where a git is run in unusual circumstances, and witnesses report.
struct Court {
    arena: Arena,
    path: OsString,
    /// The real git.
    git: PathBuf,
}

impl Court {
    /// Where git is git, and a witness one of its programs.
    fn of_git(arena: Arena) -> Self {
        let witness = witness::directory(arena.root());
        Self {
            path: Arena::path(&[arena.shim_directory(), arena.real_directory(), witness]),
            git: arena.real_directory().join("git"),
            arena,
        }
    }

    /// Where git itself is a witness.
    fn of_witness(arena: Arena) -> Self {
        let witness = witness::directory(arena.root());
        Self {
            path: Arena::path(&[arena.shim_directory(), witness.clone()]),
            git: witness.join("git"),
            arena,
        }
    }

    /// Where the witness of this name leaves its report.
    fn report(&self, name: &str) -> PathBuf {
        self.arena.root().join(name)
    }

    /// Has `setup` start git, or the shim, on a terminal; what witnesses of these names then have reported.
    #[track_caller]
    fn hear<const N: usize>(
        &self,
        through_shim: bool,
        setup: &str,
        line: &Args,
        names: [&str; N],
    ) -> [ProcessSnapshot; N] {
        tree::clear(self.arena.work_dir());
        let odd = ODD.map(|name| self.arena.work_dir().join(OsStr::from_bytes(name)));
        fs::create_dir(&odd[2]).unwrap();
        for name in names {
            fs::create_dir(self.report(name)).unwrap();
        }
        let shim = self.arena.shim_directory().join("git");
        let terminal = Terminal::open();
        let mut command = self.arena.command("bash");
        command
            .args(["-c", setup, "bash"])
            .arg(if through_shim { &shim } else { &self.git })
            .args(line)
            .current_dir(&odd[2])
            .env("PATH", &self.path)
            .env("EMPTY", "")
            .env(
                OsStr::from_bytes(b"na\xefve"),
                OsStr::from_bytes(b"\xff\n="),
            );
        terminal.connect(&mut command);
        let mut child = command.spawn().unwrap();
        drop(command);
        let screen = terminal.watch().screen();
        child.wait().unwrap();
        names.map(|name| {
            let report = self.report(name);
            assert!(report.join("status").exists(), "{}", screen.escape_ascii());
            let testimony = ProcessSnapshot::read(&report, child.id());
            fs::remove_dir_all(report).unwrap();
            testimony
        })
    }

    /// The words of a clone of `SRC` whose hook has one witness report on itself, as `child`, and one on the `git` of the
    /// clone.
    fn clone(&self, options: &str) -> Args {
        let reports = [("self", "child"), ("$PPID", "git")].map(|(process, name)| {
            let args = witness::args(process, &self.report(name));
            format!("git witness {}", args.join(OsStr::new(" ")).display())
        });
        hook::post_checkout(self.arena.root(), &reports.join("\n"));
        let source = source::small(&self.arena, "src");
        let template = self.arena.root().join("template");
        let line = format!("clone {options} --template={} SRC dst", template.display());
        with_source(source, args(&line))
    }
}

/// Asserts that all that is unusual has been seen.
#[track_caller]
fn assert_unusual(testimony: &ProcessSnapshot) {
    for variable in ["EMPTY=", "na\\xefve=\\xff\\n="] {
        let mut environment = testimony.fact("environment").lines();
        assert!(environment.any(|line| line == variable), "{testimony:?}");
    }
    assert!(testimony.fact("directory").contains("/caf\\xe9"));
    assert_eq!(testimony.fact("Umask"), "0027");
    assert!(testimony.has_signals("SigBlk", &[libc::SIGUSR1, libc::SIGRTMIN()]));
    assert!(testimony.has_signals("SigIgn", &[libc::SIGUSR2]));
    assert!(testimony.fact("descriptor 7").contains("/caf\\xe9, "));
    assert!(testimony.fact("descriptor 9").contains("/log, "));
    let files = testimony.fact("Max open files").split_whitespace();
    assert!(files.eq(["77", "77", "files"]), "{testimony:?}");
    let ours = Command::new("nice").output().unwrap().stdout;
    let ours: i32 = str::from_utf8(&ours).unwrap().trim().parse().unwrap();
    assert_eq!(testimony.fact("nice"), (ours + 5).min(19).to_string());
    for name in ["process group", "session", "foreground group"] {
        assert_eq!(testimony.fact(name), "the program", "{name}");
    }
    assert_eq!(testimony.fact("terminal"), "one");
}

/// Asserts that the shim has added one variable to the environment, and that these facts are all that differs besides.
#[track_caller]
fn assert_differences(
    shim: ProcessSnapshot,
    plain: &ProcessSnapshot,
    expected: &[&str],
) -> ProcessSnapshot {
    let shim = shim.without_variable(MARKER);
    let differences = shim.differences(plain);
    assert!(
        differences.iter().eq(expected),
        "{differences:?}: {shim:?} {plain:?}"
    );
    shim
}

#[test]
fn a_program_that_git_finds() {
    for_each_git(|git, _| {
        let court = Court::of_git(Arena::new(git));
        let mut line = args("witness");
        line.extend(witness::args("self", &court.report("child")));
        line.splice(3..3, ODD.map(|odd| OsStr::from_bytes(odd).to_owned()));
        let [shim, plain] = [true, false].map(|through_shim| {
            let [child] = court.hear(through_shim, UNUSUAL, &line, ["child"]);
            child
        });
        assert_unusual(&plain);
        assert!(plain.has_signals("SigIgn", &[libc::SIGHUP]));
        assert!(
            plain
                .fact("words")
                .contains("\n\\xff\\xfe\ntwo\\nlines\ncaf\\xe9\n")
        );
        assert_differences(shim, &plain, &[]);
    });
}

#[test]
fn git_itself() {
    // What git does about some of this, such as to take SIGPIPE up again, does not hide what it was handed.
    let court = Court::of_witness(Arena::new(&gits()[0]));
    let line = witness::args("self", &court.report("git"));
    let hear = |setup: &str| {
        let [shim, plain] = [true, false].map(|through_shim| {
            let [git] = court.hear(through_shim, setup, &line, ["git"]);
            git
        });
        assert_eq!(plain.fact("parent"), "the test");
        assert_differences(shim, &plain, &[])
    };
    let unusual = hear(UNUSUAL);
    assert_unusual(&unusual);
    assert!(unusual.has_signals("SigIgn", &[libc::SIGPIPE, libc::SIGHUP]));
    let deaf = hear("exec env --ignore-signal=CHLD,INT,RTMIN --block-signal \"$@\"");
    assert!(deaf.has_signals("SigIgn", &[libc::SIGCHLD, libc::SIGINT, libc::SIGRTMIN()]));
    assert!(deaf.has_signals("SigBlk", &[libc::SIGTERM, libc::SIGCHLD, libc::SIGRTMAX()]));
    for closed in [
        "<&-",
        ">&-",
        "2>&-",
        "<&- >&-",
        "<&- 2>&- 5<.",
        "<&- >&- 2>&-",
    ] {
        hear(&format!("exec \"$@\" {closed}"));
    }
}

#[test]
fn in_a_supervised_clone() {
    for_each_git(|git, _| {
        let court = Court::of_git(Arena::new(git));
        let line = court.clone("-l");
        let [shim, plain] = [true, false]
            .map(|through_shim| court.hear(through_shim, UNUSUAL, &line, ["child", "git"]));
        plain.iter().for_each(assert_unusual);
        let ([child, git], [plain_child, plain_git]) = (shim, plain);
        // git hands its standard error to a hook as standard output, too.
        let child = assert_differences(child, &plain_child, &["descriptor 1", "descriptor 2"]);
        let git = assert_differences(git, &plain_git, &["descriptor 2", "parent", "words"]);
        for (shim, plain) in [(&child, &plain_child), (&git, &plain_git)] {
            assert!(shim.fact("descriptor 2").starts_with("a pipe, "));
            assert!(plain.fact("descriptor 2").starts_with("a terminal, "));
        }
        assert_eq!(
            [git.fact("parent"), plain_git.fact("parent")],
            ["the program", "the test"]
        );
        let watched = plain_git
            .fact("words")
            .replace("\nclone\n", "\nclone\n--progress\n");
        assert_eq!(git.fact("words"), watched);
    });
}

#[test]
fn in_the_second_run() {
    for_each_git(|_, arena| {
        let Some(arena) = arena.across_mounts() else {
            return;
        };
        let court = Court::of_git(arena);
        let line = court.clone("-l");
        let failed = court.arena.real(line.clone()).run();
        assert!(failed.died_of(REFUSED), "{failed:?}");
        let with_no_hardlinks = [&line[..], &args("--no-hardlinks")].concat();
        let shim = court.hear(true, UNUSUAL, &line, ["child", "git"]);
        let plain = court.hear(false, UNUSUAL, &with_no_hardlinks, ["child", "git"]);
        plain.iter().for_each(assert_unusual);
        for (shim, plain) in shim.into_iter().zip(plain) {
            assert_differences(shim, &plain, &[]);
        }
    });
}
