//! install.sh, run as an admin would run it.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::arena::Arena;
use super::arrangement;
use super::call::{Call, Outcome};
use super::executable;
use super::gits::gits;

/// The version under test.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// A shell, as it is called.
pub type Shell = &'static [&'static str];

/// The shells that have to understand install.sh.
const SHELLS: [Shell; 4] = [
    &["dash"],
    &["busybox", "sh"],
    &["mksh"],
    &["bash", "--posix"],
];

/// The shell that install.sh runs in where its own name is the command.
pub const SH: Shell = &["sh"];

/// Those of the shells that this machine has; says which it has not.
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

    /// Runs install.sh in `shell` with these words, for this site's prefix.
    pub fn run<W: AsRef<OsStr>>(&self, shell: Shell, args: impl IntoIterator<Item = W>) -> Outcome {
        Call::new(self.command(shell, args)).run()
    }

    /// The command of [`Site::run`].
    pub fn command<W: AsRef<OsStr>>(
        &self,
        shell: Shell,
        args: impl IntoIterator<Item = W>,
    ) -> Command {
        let mut command = self.installer(shell);
        command.arg("--prefix").arg(&self.prefix).args(args);
        command
    }

    /// install.sh without any word, to be run in `shell`.
    pub fn installer(&self, shell: Shell) -> Command {
        let mut command = self.arena.command(shell[0]);
        command
            .args(&shell[1..])
            .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("install.sh"));
        command
    }

    /// Installs `version` with these further words.
    #[track_caller]
    pub fn install(&self, version: &str, args: &[&str]) -> Outcome {
        self.run(SH, self.args(version, args)).succeeded()
    }

    /// The words by which install.sh installs `version` without building it and without showing that it works, which would
    /// take most of the time; and these further ones.
    pub fn args(&self, version: &str, args: &[&str]) -> Vec<OsString> {
        let mut all = self.binary(version);
        all.push("--destdir=/".into());
        all.extend(args.iter().map(OsString::from));
        all
    }

    /// The words by which install.sh installs `version` without building it.
    pub fn binary(&self, version: &str) -> Vec<OsString> {
        vec!["--binary".into(), self.program(version).into()]
    }

    /// A program of this version: the one under test, or a copy of it that tells another version.
    pub fn program(&self, version: &str) -> PathBuf {
        if version == VERSION {
            return executable::shim().to_owned();
        }
        let directory = self.arena.root().join("programs").join(version);
        let copy = directory.join("git-clone-shim");
        if !directory.exists() {
            fs::create_dir_all(&directory).unwrap();
            let script = format!("s/{}/{version}/g", VERSION.replace('.', "\\."));
            let mut sed = self.arena.command("sed");
            let edited = sed.arg(script).arg(executable::shim()).output().unwrap();
            executable::write(&copy, &edited.stdout);
            // Where there is strip: a sixth of the bytes, which are copied and compared over and over.
            let _ = self.arena.command("strip").arg(&copy).output();
        }
        copy
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
