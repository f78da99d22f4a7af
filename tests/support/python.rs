//! Programs from Python's package index, in virtual environments below target/, and a package in a git repository.

use std::fs;
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
        Self {
            name,
            packages,
            programs: OnceLock::new(),
        }
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
            run(Command::new("python3")
                .args(["-m", "venv", "--clear"])
                .arg(&directory))?;
            install(&[])?;
        }
        Ok(programs)
    }
}

/// Runs a command; returns its output if it fails.
fn run(command: &mut Command) -> Result<(), String> {
    let output = command.output().map_err(|error| error.to_string())?;
    let written = [output.stdout, output.stderr].concat();
    output
        .status
        .success()
        .then_some(())
        .ok_or_else(|| String::from_utf8_lossy(&written).into_owned())
}

const PACKAGE: &str = "\
[project]
name = 'tinypkg'
version = '0.1.0'
requires-python = '>=3.8'

[build-system]
requires = []
build-backend = 'backend'
backend-path = ['.']
";

/// A build backend that needs nothing to be downloaded.
const BACKEND: &str = r#"
import zipfile

INFO = "tinypkg-0.1.0.dist-info"

def build_wheel(wheel_directory, config_settings=None, metadata_directory=None):
    wheel = "tinypkg-0.1.0-py3-none-any.whl"
    with open("tinypkg/__init__.py") as module:
        files = {"tinypkg/__init__.py": module.read()}
    files[f"{INFO}/METADATA"] = "Metadata-Version: 2.1\nName: tinypkg\nVersion: 0.1.0\nRequires-Python: >=3.8\n"
    files[f"{INFO}/WHEEL"] = "Wheel-Version: 1.0\nGenerator: backend\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
    files[f"{INFO}/RECORD"] = "".join(f"{name},,\n" for name in files)
    with zipfile.ZipFile(f"{wheel_directory}/{wheel}", "w") as archive:
        for name, text in files.items():
            archive.writestr(name, text)
    return wheel
"#;

/// A git repository with a package `tinypkg`, whose `ANSWER` is 42.
pub fn package(arena: &Arena) -> PathBuf {
    let repository = arena.root().join("repository");
    fs::create_dir_all(repository.join("tinypkg")).unwrap();
    fs::write(repository.join("pyproject.toml"), PACKAGE).unwrap();
    fs::write(repository.join("backend.py"), BACKEND).unwrap();
    fs::write(repository.join("tinypkg/__init__.py"), "ANSWER = 42\n").unwrap();
    for line in ["init -q .", "add .", "commit -q -m package"] {
        arena.real(args(line)).cwd(&repository).run().succeeded();
    }
    repository
}
