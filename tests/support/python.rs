//! Programs from Python's package index, in virtual environments below target/, and a package in a git repository.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use super::arena::Arena;
use super::args::args;
use super::arrangement;
use super::call::Call;

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
                arrangement::missing(&format!("{:?}, and cannot install it: {why}", self.packages));
                None
            }
        }
    }

    fn make(&self) -> Result<PathBuf, String> {
        let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join(self.name);
        let mut shell = Command::new("sh");
        shell.args(["-ec", MAKE]).arg(&directory).args(self.packages).env("PIP_DISABLE_PIP_VERSION_CHECK", "1");
        let outcome = Call::new(shell).run();
        if outcome.status.success() { Ok(directory.join("bin")) } else { Err(format!("{outcome:?}")) }
    }
}

/// Without an index, pip succeeds if everything is installed already.
const MAKE: &str = r#"
    "$0/bin/pip" install --quiet --no-index "$@" && exit
    python3 -m venv --clear "$0"
    "$0/bin/pip" install --quiet "$@"
"#;

/// A git repository with a package `tinypkg`, whose `ANSWER` is 42.
pub fn package(arena: &Arena) -> PathBuf {
    let repository = arena.root().join("repository");
    let package = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/tinypkg");
    assert!(Command::new("cp").arg("-R").arg(package).arg(&repository).status().unwrap().success());
    for line in ["init -q .", "add .", "commit -q -m package"] {
        arena.real(args(line)).cwd(&repository).run().succeeded();
    }
    repository
}
