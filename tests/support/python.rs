//! Programs from Python's package index, in virtual environments below target/, and a package in a git repository.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use super::arena::Arena;
use super::args::args;
use super::arrangement;

/// A virtual environment, made by the first test that needs it.
pub struct Environment {
    name: &'static str,
    packages: &'static [&'static str],
    programs: OnceLock<Result<PathBuf, String>>,
}

impl Environment {
    /// An environment with these packages.
    pub const fn new(name: &'static str, packages: &'static [&'static str]) -> Self {
        Self { name, packages, programs: OnceLock::new() }
    }

    /// One of its programs; `python` and `pip` are always there.
    #[track_caller]
    pub fn program(&self, name: &str) -> Option<PathBuf> {
        match self.programs.get_or_init(|| self.make()) {
            Ok(programs) => Some(programs.join(name)),
            Err(why) => {
                let packages = self.packages.join(", ");
                arrangement::missing(&format!("{packages}, and cannot install it: {why}"));
                None
            }
        }
    }

    fn make(&self) -> Result<PathBuf, String> {
        let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join(self.name);
        let programs = directory.join("bin");
        let install = |options: &[&str]| {
            run(Command::new(programs.join("pip"))
                .args(["install", "--quiet", "--disable-pip-version-check"])
                .args(options)
                .args(self.packages))
        };
        // Without an index, pip succeeds if everything is installed already.
        if install(&["--no-index"]).is_err() {
            run(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&directory))?;
            install(&[])?;
        }
        Ok(programs)
    }
}

/// Runs a command; returns its output if it fails.
fn run(command: &mut Command) -> Result<(), String> {
    let output = command.output().map_err(|error| error.to_string())?;
    let written = [output.stdout, output.stderr].concat();
    output.status.success().then_some(()).ok_or_else(|| String::from_utf8_lossy(&written).into_owned())
}

/// A git repository with a package `tinypkg`, whose `ANSWER` is 42.
pub fn package(arena: &Arena) -> PathBuf {
    let repository = arena.root().join("repository");
    let package = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/tinypkg");
    run(Command::new("cp").arg("-R").arg(package).arg(&repository)).unwrap();
    for line in ["init -q .", "add .", "commit -q -m package"] {
        arena.real(args(line)).cwd(&repository).run().succeeded();
    }
    repository
}
