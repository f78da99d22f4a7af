//! What every measurement uses: a sealed environment, the programs to compare, and directories to write to.

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

/// What a user of a cluster has on PATH after the real git.
const SYSTEM: [&str; 6] = [
    "/usr/local/sbin",
    "/usr/local/bin",
    "/usr/sbin",
    "/usr/bin",
    "/sbin",
    "/bin",
];

/// Programs and directories, removed on drop.
pub struct Fixture {
    root: TempDir,
    far: Option<TempDir>,
    shim: PathBuf,
}

impl Fixture {
    /// A fixture with a copy of the shim that is installed in the directory `bin`, so that its path is as long as those of
    /// the other programs.
    pub fn new(bin: &Path) -> Self {
        let root = tempfile::tempdir().unwrap();
        let far = fault::another_mount(root.path());
        let shim = root.path().join("shim");
        let fixture = Self { root, far, shim };
        fixture.directory("home");
        executable::copy(&bin.join("git"), &fixture.directory("shim").join("git"));
        fixture
    }

    /// The directory of this name, which is made if it is missing.
    pub fn directory(&self, name: &str) -> PathBuf {
        let directory = self.root.path().join(name);
        fs::create_dir_all(&directory).unwrap();
        directory
    }

    /// A path on another mount than [`Fixture::directory`], in memory if possible; `None`, with a message, if this machine has
    /// only one mount to write to.
    pub fn far(&self, name: &str) -> Option<PathBuf> {
        self.far.as_ref().map(|far| far.path().join(name))
    }

    /// The directory that holds the shim as `git`.
    pub fn shim(&self) -> &Path {
        &self.shim
    }

    /// The directory that holds the first real git on this machine.
    pub fn real(&self) -> PathBuf {
        self.links_to("real", &gits()[0].file)
    }

    /// A directory in which `git` is a symbolic link to `program`.
    pub fn links_to(&self, name: &str, program: &Path) -> PathBuf {
        let directory = self.directory(name);
        let git = directory.join("git");
        if !git.is_symlink() {
            std::os::unix::fs::symlink(program, &git).unwrap();
        }
        directory
    }

    /// A directory in which `git` is the script `text`.
    pub fn script(&self, name: &str, text: &str) -> PathBuf {
        let directory = self.directory(name);
        executable::script(&directory.join("git"), text);
        directory
    }

    /// A directory in which `git` is a static build of `programs/SOURCE.c`, where the macro `GIT` is the path `git`. It is built
    /// for musl, since glibc takes half a millisecond to start; `None`, with a message, if musl-gcc is missing.
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

    /// A call of the `git` in the first directory of `path`. PATH begins with `path`; the environment is sealed and has about
    /// as many variables as a module system sets. All output is discarded.
    pub fn git(&self, path: &[&Path], args: &[&OsStr]) -> Command {
        let mut command = self.program(&path[0].join("git"), path);
        command.arg0("git").args(args);
        command
    }

    /// The same call under `programs/usage.c`; `None`, with a message, if musl-gcc is missing.
    pub fn usage(&self, path: &[&Path], args: &[&str]) -> Option<Usage> {
        let usage = self.compiled("usage", "usage", Path::new(""))?;
        let mut command = self.program(&usage.join("git"), path);
        command.arg(path[0].join("git")).arg("git").args(args);
        Some(Usage { command })
    }

    /// A call of `program` in the same environment as [`Fixture::git`].
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

/// A call under `programs/usage.c`.
pub struct Usage {
    /// The call.
    pub command: Command,
}

/// What `programs/usage.c` prints.
pub struct Used {
    /// The peak resident size in KiB.
    pub peak_kib: u64,
    /// The number of page faults.
    pub page_faults: u64,
}

impl Usage {
    /// Runs the call, which must succeed.
    pub fn run(mut self) -> Used {
        let output = self.command.stdout(Stdio::piped()).output().unwrap();
        assert!(output.status.success(), "{:?}: {output:?}", self.command);
        let text = String::from_utf8(output.stdout).unwrap();
        let (peak, faults) = text.trim().split_once(' ').unwrap();
        Used {
            peak_kib: peak.parse().unwrap(),
            page_faults: faults.parse().unwrap(),
        }
    }
}
