//! Where it takes place: a sealed environment, the programs that are compared, and directories to write to.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use tempfile::TempDir;

use crate::support::arrangement;
use crate::support::executable;
use crate::support::fault;
use crate::support::gits::gits;

/// What a user of a cluster has on PATH behind the real git.
const SYSTEM: [&str; 6] = [
    "/usr/local/sbin",
    "/usr/local/bin",
    "/usr/sbin",
    "/usr/bin",
    "/sbin",
    "/bin",
];

/// The place. It is removed on drop.
pub struct Fixture {
    root: TempDir,
    far: Option<TempDir>,
    shim: PathBuf,
}

impl Fixture {
    /// A fixture for a copy of the shim that is installed in the directory `bin`: its path is to be as long as the others'.
    pub fn new(bin: &Path) -> Self {
        let root = tempfile::tempdir().unwrap();
        let far = fault::another_mount(root.path());
        let shim = root.path().join("shim");
        let fixture = Self { root, far, shim };
        fixture.directory("home");
        executable::copy(&bin.join("git"), &fixture.directory("shim").join("git"));
        fixture
    }

    /// A directory of this name; it may be there already.
    pub fn directory(&self, name: &str) -> PathBuf {
        let directory = self.root.path().join(name);
        fs::create_dir_all(&directory).unwrap();
        directory
    }

    /// A path to which objects in [`Fixture::directory`] cannot be linked; `None`, and it is said, if this machine has none.
    pub fn far(&self, name: &str) -> Option<PathBuf> {
        self.far.as_ref().map(|far| far.path().join(name))
    }

    /// The directory of the shim, which is called `git` there.
    pub fn shim(&self) -> &Path {
        &self.shim
    }

    /// The first real git on this machine.
    pub fn real(&self) -> PathBuf {
        self.links_to("real", &gits()[0].file)
    }

    /// A directory whose `git` is a link to `program`.
    pub fn links_to(&self, name: &str, program: &Path) -> PathBuf {
        let directory = self.directory(name);
        let git = directory.join("git");
        if !git.is_symlink() {
            std::os::unix::fs::symlink(program, &git).unwrap();
        }
        directory
    }

    /// A directory whose `git` is a script of these lines.
    pub fn script(&self, name: &str, text: &str) -> PathBuf {
        let directory = self.directory(name);
        executable::script(&directory.join("git"), text);
        directory
    }

    /// A directory whose `git` is compiled, statically, from `programs/SOURCE.c`, where `GIT` stands for the file `git`. With
    /// musl's compiler, since glibc needs half a millisecond to start; `None`, and it is said, where there is none.
    pub fn compiled(&self, name: &str, source: &str, git: &Path) -> Option<PathBuf> {
        let compiler = arrangement::program("musl-gcc")?;
        let directory = self.directory(name);
        let source = format!(
            "{}/benches/cost/programs/{source}.c",
            env!("CARGO_MANIFEST_DIR")
        );
        let done = Command::new(compiler)
            .args(["-O2", "-static", "-o"])
            .arg(directory.join("git"))
            .arg(format!("-DGIT=\"{}\"", git.display()))
            .arg(source)
            .status()
            .unwrap();
        assert!(done.success());
        Some(directory)
    }

    /// A call of the `git` in the first of the directories `path`, which PATH begins with, in a sealed environment of about
    /// as many variables as a module system leaves. What it says is thrown away.
    pub fn git(&self, path: &[&Path], words: &[&OsStr]) -> Command {
        let mut command = self.program(&path[0].join("git"), path);
        command.arg0("git").args(words);
        command
    }

    /// A call of `program` in the same environment.
    pub fn program(&self, program: &Path, path: &[&Path]) -> Command {
        let entries = path.iter().map(PathBuf::from);
        let entries = entries.chain(SYSTEM.map(PathBuf::from));
        let mut command = Command::new(program);
        command
            .env_clear()
            .envs((0..30).map(|number| (format!("SITE_{number}"), "/opt/site/software")))
            .env("PATH", std::env::join_paths(entries).unwrap())
            .env("HOME", self.root.path().join("home"))
            .env("LC_ALL", "C")
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .current_dir(self.root.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        command
    }
}
