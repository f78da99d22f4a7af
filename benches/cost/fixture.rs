//! What every measurement uses: a sealed environment, the programs to compare, and repositories to clone.

use std::ffi::OsStr;
use std::fmt::Write;
use std::fs;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use tempfile::TempDir;

use crate::support::arrangement;
use crate::support::executable;
use crate::support::fault;
use crate::support::gits::gits;

/// Programs and directories, removed on drop.
pub struct Fixture {
    root: TempDir,
    far: Option<TempDir>,
}

impl Fixture {
    /// A fixture with a copy of `shim`, so that its path is as long as those of the other programs.
    pub fn new(shim: &Path) -> Self {
        let root = tempfile::tempdir().unwrap();
        let far = fault::another_mount(root.path());
        let fixture = Self { root, far };
        fixture.directory("home");
        executable::copy(shim, &fixture.shim().join("git"));
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
    pub fn shim(&self) -> PathBuf {
        self.directory("shim")
    }

    /// The directory that holds the first real git on this machine.
    pub fn real(&self) -> PathBuf {
        let directory = self.directory("real");
        // It is there already from the second call on.
        let _ = std::os::unix::fs::symlink(&gits()[0].file, directory.join("git"));
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
    pub fn compiled(&self, source: &str, git: &Path) -> Option<PathBuf> {
        let compiler = arrangement::program("musl-gcc")?;
        let directory = self.directory(&format!("{source}{}", git.display()).replace('/', "-"));
        if directory.join("git").exists() {
            return Some(directory);
        }
        let programs = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/cost/programs");
        let mut compile = Command::new(compiler);
        compile.args(["-O2", "-static", "-o"]);
        compile.arg(directory.join("git"));
        compile.arg(format!("-DGIT=\"{}\"", git.display()));
        succeed(compile.arg(programs.join(source).with_extension("c")));
        Some(directory)
    }

    /// A call of the `git` in the first directory of `path`. PATH begins with `path`; the environment is sealed and has about
    /// as many variables as a module system sets. All output is discarded.
    pub fn git(&self, path: &[&Path], args: &[&OsStr]) -> Command {
        let mut command = self.program(&path[0].join("git"), path);
        command.arg0("git").args(args);
        command
    }

    /// A call of `program` in the same environment as [`Fixture::git`].
    pub fn program(&self, program: &Path, path: &[&Path]) -> Command {
        // What a user of a cluster has on PATH after the real git.
        let system = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
        let path: Vec<_> = path.iter().map(|entry| entry.to_str().unwrap()).collect();
        let mut command = Command::new(program);
        command
            .env_clear()
            .envs((0..30).map(|number| (format!("SITE_{number}"), "/opt/site/software")))
            .env("PATH", format!("{}:{system}", path.join(":")))
            .env("HOME", self.root.path().join("home"))
            .env("LC_ALL", "C")
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .current_dir(self.root.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        command
    }

    /// A new repository below the directory `place`, with this many loose objects.
    pub fn repository(&self, place: &Path, objects: usize) -> PathBuf {
        let repository = place.join(format!("{objects}-objects"));
        fs::create_dir_all(&repository).unwrap();
        let git = |args: &str| {
            let args: Vec<_> = args.split(' ').map(OsStr::new).collect();
            let mut command = self.git(&[&self.real()], &args);
            command.current_dir(&repository).stderr(Stdio::inherit());
            command
        };
        succeed(&mut git("init -q ."));
        let contents = self.directory(&format!("contents-{objects}"));
        let mut files = String::new();
        // The commit of the empty tree is one of them.
        for number in 1..objects {
            let file = contents.join(number.to_string());
            fs::write(&file, format!("{number}\n")).unwrap();
            let _ = writeln!(files, "{}", file.display());
        }
        let list = contents.join("list");
        fs::write(&list, files).unwrap();
        let mut hash = git("-c core.fsync=none hash-object -w --stdin-paths");
        succeed(hash.stdin(fs::File::open(list).unwrap()));
        succeed(&mut git("-c user.name=A -c user.email=a@a -c gc.auto=0 commit -q --allow-empty -m x"));
        repository
    }
}

fn succeed(command: &mut Command) {
    assert!(command.status().unwrap().success(), "{command:?}");
}
