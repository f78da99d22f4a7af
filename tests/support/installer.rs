//! A place to install versions of the program in.

use std::fs;
use std::path::{Path, PathBuf};

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
    let version = format!("{number}.{}", VERSION.split_once('.').unwrap().1);
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

    /// `program` with this task, for this site's prefix and with these args.
    pub fn call(&self, program: &Path, task: &str, args: &[&str]) -> Call {
        let mut command = self.arena.command(program);
        command.arg(task).arg("--prefix").arg(&self.prefix).args(args);
        Call::new(command)
    }

    /// The call that installs `version`, on a PATH without git: then it tries no clone, which would take most of the time.
    pub fn install_call(&self, version: &str, args: &[&str]) -> Call {
        self.call(&self.program(version), "install", args).env("PATH", "/nowhere")
    }

    pub fn install(&self, version: &str, args: &[&str]) -> Outcome {
        self.install_call(version, args).run()
    }

    pub fn uninstall(&self, args: &[&str]) -> Outcome {
        self.call(&self.program(VERSION), "uninstall", args).run()
    }

    /// A program of this version: the one under test, or one that is told to be another version. Where there is strip, it has
    /// a sixth of the bytes, which are copied and compared over and over.
    pub fn program(&self, version: &str) -> PathBuf {
        let directory = self.arena.root().join("programs").join(version);
        let copy = directory.join("git-clone-shim");
        if !directory.exists() {
            fs::create_dir_all(&directory).unwrap();
            let script = format!("s/{}/{version}/g", VERSION.replace('.', "\\."));
            let edited = self.arena.command("sed").arg(script).arg(executable::shim()).output().unwrap();
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

    /// All below the prefix.
    pub fn tree(&self) -> Tree {
        if self.prefix.exists() { tree::read(&self.prefix) } else { Tree::new() }
    }

    /// Asserts that `git` in this directory is the shim, of this version.
    #[track_caller]
    pub fn assert_works(&self, bin: &Path, version: &str) {
        for (name, expected) in [("git-clone-shim", &*format!("git-clone-shim {version}")), ("git", &gits()[0].version)]
        {
            let told = self.arena.command(bin.join(name)).arg("--version").output().unwrap();
            assert_eq!(told.stdout.trim_ascii_end(), expected.as_bytes(), "{told:?}");
        }
    }
}
