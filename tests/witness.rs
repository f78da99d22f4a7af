//! git and its children inherit through the shim what they inherit without it: args, environment, directory, umask, signals,
//! descriptors, limits, priority, session and terminal.

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

/// A shell script that makes everything that a program inherits unusual, and execs that program.
const UNUSUAL: &str = "umask 027; ulimit -n 77; ulimit -c 0; exec 7<. 9>>../log; exec setsid --ctty nice -n 5 \
                       env --block-signal=USR1,RTMIN --ignore-signal=PIPE,HUP,USR2 \"$@\"";

/// File names that are not UTF-8, or have a line break. git runs in a directory with the last one.
const ODD: [&[u8]; 3] = [b"\xff\xfe", b"two\nlines", b"caf\xe9"];

/// Runs git with unusual things to inherit, and reads the reports of witnesses.
struct WitnessRun {
    arena: Arena,
    path: OsString,
    /// The real git.
    git: PathBuf,
}

impl WitnessRun {
    /// `git` is the real git, and `git witness` runs a witness.
    fn of_git(arena: Arena) -> Self {
        let witness = witness::directory(arena.root());
        Self {
            path: Arena::path(&[arena.shim_directory(), arena.real_directory(), witness]),
            git: arena.real_directory().join("git"),
            arena,
        }
    }

    /// `git` itself is a witness.
    fn of_witness(arena: Arena) -> Self {
        let witness = witness::directory(arena.root());
        Self {
            path: Arena::path(&[arena.shim_directory(), witness.clone()]),
            git: witness.join("git"),
            arena,
        }
    }

    /// The directory of the report of the witness with this name.
    fn report(&self, name: &str) -> PathBuf {
        self.arena.root().join(name)
    }

    /// Has the shell script `setup` start git or the shim on a terminal; returns the reports of the witnesses of these names.
    #[track_caller]
    fn snapshots<const N: usize>(
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
        let mut child = self.arena.under_fault(|| command.spawn().unwrap());
        drop(command);
        let screen = terminal.watch().screen();
        child.wait().unwrap();
        names.map(|name| {
            let report = self.report(name);
            assert!(report.join("status").exists(), "{}", screen.escape_ascii());
            let snapshot = ProcessSnapshot::read(&report, child.id());
            fs::remove_dir_all(report).unwrap();
            snapshot
        })
    }

    /// The args of a clone whose hook has one witness report on itself, as `child`, and one on the clone's `git`.
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

/// Asserts that everything unusual was inherited.
#[track_caller]
fn assert_unusual(snapshot: &ProcessSnapshot) {
    for variable in ["EMPTY=", "na\\xefve=\\xff\\n="] {
        let mut environment = snapshot.fact("environment").lines();
        assert!(environment.any(|line| line == variable), "{snapshot:?}");
    }
    assert!(snapshot.fact("directory").contains("/caf\\xe9"));
    assert_eq!(snapshot.fact("Umask"), "0027");
    assert!(snapshot.has_signals("SigBlk", &[libc::SIGUSR1, libc::SIGRTMIN()]));
    assert!(snapshot.has_signals("SigIgn", &[libc::SIGUSR2]));
    assert!(snapshot.fact("descriptor 7").contains("/caf\\xe9, "));
    assert!(snapshot.fact("descriptor 9").contains("/log, "));
    let files = snapshot.fact("Max open files").split_whitespace();
    assert!(files.eq(["77", "77", "files"]), "{snapshot:?}");
    let ours = Command::new("nice").output().unwrap().stdout;
    let ours: i32 = str::from_utf8(&ours).unwrap().trim().parse().unwrap();
    assert_eq!(snapshot.fact("nice"), (ours + 5).min(19).to_string());
    for name in ["process group", "session", "foreground group"] {
        assert_eq!(snapshot.fact(name), "the program", "{name}");
    }
    assert_eq!(snapshot.fact("terminal"), "one");
}

/// Asserts that the shim has added one variable to the environment, and that nothing else differs but these facts.
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
fn external_command_inherits_the_same() {
    for_each_git(|git, _| {
        let run = WitnessRun::of_git(Arena::new(git));
        let mut line = args("witness");
        line.extend(witness::args("self", &run.report("child")));
        line.splice(3..3, ODD.map(|odd| OsStr::from_bytes(odd).to_owned()));
        let [shim, plain] = [true, false].map(|through_shim| {
            let [child] = run.snapshots(through_shim, UNUSUAL, &line, ["child"]);
            child
        });
        assert_unusual(&plain);
        assert!(plain.has_signals("SigIgn", &[libc::SIGHUP]));
        assert!(
            plain
                .fact("args")
                .contains("\n\\xff\\xfe\ntwo\\nlines\ncaf\\xe9\n")
        );
        assert_differences(shim, &plain, &[]);
    });
}

#[test]
fn git_inherits_the_same() {
    // With a witness in git's place: git itself changes some of it, for instance resets SIGPIPE.
    let run = WitnessRun::of_witness(Arena::new(&gits()[0]));
    let line = witness::args("self", &run.report("git"));
    let compare = |setup: &str| {
        let [shim, plain] = [true, false].map(|through_shim| {
            let [git] = run.snapshots(through_shim, setup, &line, ["git"]);
            git
        });
        assert_eq!(plain.fact("parent"), "the test");
        assert_differences(shim, &plain, &[])
    };
    let unusual = compare(UNUSUAL);
    assert_unusual(&unusual);
    assert!(unusual.has_signals("SigIgn", &[libc::SIGPIPE, libc::SIGHUP]));
    let deaf = compare("exec env --ignore-signal=CHLD,INT,RTMIN --block-signal \"$@\"");
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
        compare(&format!("exec \"$@\" {closed}"));
    }
}

#[test]
fn supervised_git_has_another_parent_and_a_pipe_as_stderr() {
    for_each_git(|git, _| {
        let run = WitnessRun::of_git(Arena::new(git));
        let line = run.clone("-l");
        let [shim, plain] = [true, false]
            .map(|through_shim| run.snapshots(through_shim, UNUSUAL, &line, ["child", "git"]));
        plain.iter().for_each(assert_unusual);
        let ([child, git], [plain_child, plain_git]) = (shim, plain);
        // git gives a hook its stderr as stdout, too.
        let child = assert_differences(child, &plain_child, &["descriptor 1", "descriptor 2"]);
        let git = assert_differences(git, &plain_git, &["args", "descriptor 2", "parent"]);
        for (shim, plain) in [(&child, &plain_child), (&git, &plain_git)] {
            assert!(shim.fact("descriptor 2").starts_with("a pipe, "));
            assert!(plain.fact("descriptor 2").starts_with("a terminal, "));
        }
        assert_eq!(
            [git.fact("parent"), plain_git.fact("parent")],
            ["the program", "the test"]
        );
        let expected = plain_git
            .fact("args")
            .replace("\nclone\n", "\nclone\n--progress\n");
        assert_eq!(git.fact("args"), expected);
    });
}

#[test]
fn git_of_a_fallback_inherits_the_same() {
    for_each_git(|_, arena| {
        let arena = arena.with_links_failing(libc::EPERM);
        let run = WitnessRun::of_git(arena);
        let line = run.clone("-l");
        let failed = run.arena.under_fault(|| run.arena.real(line.clone()).run());
        assert!(failed.died_of(REFUSED), "{failed:?}");
        let copying = [&line[..], &args("--no-hardlinks")].concat();
        let shim = run.snapshots(true, UNUSUAL, &line, ["child", "git"]);
        let plain = run.snapshots(false, UNUSUAL, &copying, ["child", "git"]);
        plain.iter().for_each(assert_unusual);
        for (shim, plain) in shim.into_iter().zip(plain) {
            assert_differences(shim, &plain, &[]);
        }
    });
}
