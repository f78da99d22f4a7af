//! A place to install versions of the program in.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::arena::Arena;
use super::call::{Call, Outcome};
use super::executable;
use super::gits::gits;
use super::tree::{self, Tree};

/// The version under test.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// This machine's processor, as `uname -m` names it.
pub const MACHINE: &str = std::env::consts::ARCH;

/// Another version, newer the greater the number is.
pub fn version(number: usize) -> String {
    let (_, rest) = VERSION.split_once('.').unwrap();
    let version = format!("{number}.{rest}");
    assert!(version.len() == VERSION.len() && version != VERSION);
    version
}

/// A machine with a prefix, which is not there yet.
pub struct Site {
    pub arena: Arena,
    pub prefix: PathBuf,
}

impl Site {
    pub fn new() -> Self {
        let arena = Arena::new(&gits()[0]);
        let prefix = arena.root().join("prefix");
        Self { arena, prefix }
    }

    /// `program` with this subcommand, for this site's prefix and with these args.
    pub fn command<A: AsRef<OsStr>>(
        &self,
        program: &Path,
        subcommand: &str,
        args: impl IntoIterator<Item = A>,
    ) -> Command {
        let mut command = self.arena.command(program);
        command.arg(subcommand).arg("--prefix").arg(&self.prefix);
        command.args(args);
        command
    }

    /// The command that installs `version`, on a PATH without git: then it tries no clone, which would take most of the time.
    pub fn install_command(&self, version: &str, args: &[&str]) -> Command {
        let mut command = self.command(&self.program(version), "install", args);
        command.env("PATH", "/nowhere");
        command
    }

    /// Installs `version`.
    pub fn install(&self, version: &str, args: &[&str]) -> Outcome {
        Call::new(self.install_command(version, args)).run()
    }

    /// Uninstalls with these args.
    pub fn uninstall(&self, args: &[&str]) -> Outcome {
        Call::new(self.command(&self.program(VERSION), "uninstall", args)).run()
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

    /// The directory that holds the versions.
    pub fn root(&self) -> PathBuf {
        self.prefix.join("git-clone-shim")
    }

    /// The directory that goes first on PATH.
    pub fn bin(&self) -> PathBuf {
        self.root().join("current").join(MACHINE).join("bin")
    }

    /// The version that is current.
    #[track_caller]
    pub fn current(&self) -> String {
        let link = fs::read_link(self.root().join("current")).unwrap();
        link.into_os_string().into_string().unwrap()
    }

    /// All below the prefix.
    pub fn tree(&self) -> Tree {
        if self.prefix.exists() { tree::read(&self.prefix) } else { Tree::new() }
    }

    /// Asserts that `git` in this directory is the shim, of this version.
    #[track_caller]
    pub fn assert_works(&self, bin: &Path, version: &str) {
        let expected = [format!("git-clone-shim {version}\n"), format!("{}\n", gits()[0].version)];
        for (name, expected) in ["git-clone-shim", "git"].into_iter().zip(expected) {
            let mut command = self.arena.command(bin.join(name));
            let told = Call::new({
                command.arg("--version");
                command
            })
            .run();
            assert_eq!(told.stdout, expected.as_bytes(), "{told:?}");
        }
    }

    /// PATH after `shell` has run this script.
    #[track_caller]
    pub fn path_after(&self, shell: &[&str], script: &OsStr) -> OsString {
        use std::os::unix::ffi::OsStringExt;
        let mut command = self.arena.command(shell[0]);
        let mut line = script.to_owned();
        line.push("\nprintenv PATH\n");
        let file = self.arena.root().join("script");
        fs::write(&file, line.as_encoded_bytes()).unwrap();
        command.args(&shell[1..]).arg(file);
        let mut told = Call::new(command).run().succeeded().stdout;
        assert_eq!(told.pop(), Some(b'\n'));
        OsString::from_vec(told)
    }
}
