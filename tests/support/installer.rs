//! The program's own installer, run as an admin would run it.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::arena::Arena;
use super::arrangement;
use super::call::{Call, Outcome};
use super::executable;
use super::gits::gits;
use super::tree;

/// The version under test.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// A shell, as it is called.
pub type Shell = &'static [&'static str];

/// The shells that have to understand install.sh, the snippets and the printed line.
const SHELLS: [Shell; 4] = [
    &["dash"],
    &["busybox", "sh"],
    &["mksh"],
    &["bash", "--posix"],
];

/// Those of the shells that this machine has; prints which it has not.
#[track_caller]
pub fn shells() -> Vec<Shell> {
    let mut shells = Vec::new();
    for shell in SHELLS {
        if arrangement::program(shell[0]).is_some() {
            shells.push(shell);
        }
    }
    shells
}

/// Another version, newer the greater the number is.
pub fn version(number: usize) -> String {
    let (_, rest) = VERSION.split_once('.').unwrap();
    let version = format!("{number}.{rest}");
    assert!(version.len() == VERSION.len() && version != VERSION);
    version
}

/// Asserts that the program ended with this status and printed why in one line.
#[track_caller]
pub fn assert_refused(outcome: &Outcome, status: i32) {
    assert!(outcome.is_our_failure(status), "{outcome:?}");
}

/// What the lines of standard output that begin with `start` go on with.
pub fn lines_after(start: &str, outcome: &Outcome) -> Vec<String> {
    let text = String::from_utf8(outcome.stdout.clone()).unwrap();
    let lines = text.lines().filter_map(|line| line.strip_prefix(start));
    lines.map(str::to_owned).collect()
}

/// A machine with a directory in which versions of the shim are installed.
pub struct Site {
    pub arena: Arena,
    pub prefix: PathBuf,
}

impl Site {
    /// A site whose prefix is not there yet.
    pub fn new() -> Self {
        let arena = Arena::new(&gits()[0]);
        let prefix = arena.root().join("prefix");
        Self { arena, prefix }
    }

    /// Runs a task of the program under test with these arguments, for this site's prefix.
    pub fn run<A: AsRef<OsStr>>(&self, task: &str, args: impl IntoIterator<Item = A>) -> Outcome {
        Call::new(self.command(task, args)).run()
    }

    /// The command of [`Site::run`].
    pub fn command<A: AsRef<OsStr>>(
        &self,
        task: &str,
        args: impl IntoIterator<Item = A>,
    ) -> Command {
        let mut command = self.arena.command(self.program(VERSION));
        command
            .arg(task)
            .arg("--prefix")
            .arg(&self.prefix)
            .args(args);
        command
    }

    /// Installs `version` with these further arguments, without showing that it works, which would take most of the time.
    #[track_caller]
    pub fn install(&self, version: &str, args: &[&str]) -> Outcome {
        self.try_install(version, args).succeeded()
    }

    /// As [`Site::install`], where that may fail.
    pub fn try_install(&self, version: &str, args: &[&str]) -> Outcome {
        Call::new(self.install_command(version, args)).run()
    }

    /// The command of [`Site::install`].
    pub fn install_command(&self, version: &str, args: &[&str]) -> Command {
        let mut command = self.arena.command(self.program(version));
        command.arg("install").arg("--prefix").arg(&self.prefix);
        command.arg("--destdir=/").args(args);
        command
    }

    /// A program of this version: the one under test, or one that is told to be another version. Where there is strip, it has
    /// a sixth of the bytes, which are copied and compared over and over.
    pub fn program(&self, version: &str) -> PathBuf {
        let directory = self.arena.root().join("programs").join(version);
        let copy = directory.join("git-clone-shim");
        if !directory.exists() {
            fs::create_dir_all(&directory).unwrap();
            let script = format!("s/{}/{version}/g", VERSION.replace('.', "\\."));
            let mut sed = self.arena.command("sed");
            let edited = sed.arg(script).arg(executable::shim()).output().unwrap();
            executable::write(&copy, &edited.stdout);
            let _ = self.arena.command("strip").arg(&copy).output();
        }
        copy
    }

    /// The versions that are listed, in lines.
    #[track_caller]
    pub fn list(&self) -> String {
        let listed = self.run("versions", [""; 0]).succeeded();
        String::from_utf8(listed.stdout).unwrap()
    }

    /// Every path below the prefix.
    pub fn paths(&self) -> BTreeSet<PathBuf> {
        tree::read(&self.prefix).into_keys().collect()
    }

    /// The version that Environment Modules and Lmod load where none is named.
    #[track_caller]
    pub fn default_module(&self) -> String {
        let file = self.prefix.join("modulefiles/git-clone-shim/.version");
        let text = fs::read_to_string(file).unwrap();
        let named = text.strip_prefix("#%Module1.0\nset ModulesVersion \"");
        named.unwrap().trim_end_matches("\"\n").to_owned()
    }

    /// What a script that `shell` runs with this PATH prints.
    #[track_caller]
    pub fn answer(&self, shell: &[&str], script: &str, path: &OsStr) -> String {
        let mut command = self.arena.command(shell[0]);
        command
            .args(&shell[1..])
            .args(["-c", script])
            .env("PATH", path);
        let outcome = Call::new(command).run().succeeded();
        assert!(outcome.stderr.is_empty(), "{outcome:?}");
        let text = String::from_utf8(outcome.stdout).unwrap();
        text.trim_end().to_owned()
    }

    /// The directory of this version.
    pub fn live(&self, version: &str) -> PathBuf {
        self.root().join(version)
    }

    /// The directory that holds the versions.
    pub fn root(&self) -> PathBuf {
        self.prefix.join("git-clone-shim")
    }

    /// The directory that goes first on PATH.
    pub fn bin(&self) -> PathBuf {
        self.root().join("current/bin")
    }

    /// Where the current version's link leads; `None` if there is none.
    pub fn current(&self) -> Option<PathBuf> {
        fs::read_link(self.root().join("current")).ok()
    }

    /// Asserts that `git` in this directory is the shim, of this version.
    #[track_caller]
    pub fn assert_works(&self, bin: &Path, version: &str) {
        let told = self
            .arena
            .command(bin.join("git-clone-shim"))
            .arg("--version")
            .output()
            .unwrap();
        assert_eq!(
            told.stdout,
            format!("git-clone-shim {version}\n").as_bytes()
        );
        let git = self
            .arena
            .command(bin.join("git"))
            .arg("--version")
            .output()
            .unwrap();
        assert_eq!(git.stdout, format!("{}\n", gits()[0].version).as_bytes());
    }
}
