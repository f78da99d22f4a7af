//! uv adding a git dependency, as in its issue 11420: its cache is on a filesystem that refuses hard links across
//! directories, and the git that it runs fails.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::path::{Path, PathBuf};

use super::arena::{Arena, REFUSED};
use super::call::{Call, Outcome};
use super::gits::Git;
use super::python::{self, Environment};
use super::trace;

/// The last uv without a fallback of its own.
pub static UV: Environment = Environment::new("uv-0.5.30", &["uv==0.5.30"]);

/// The newest uv, or the one that was the newest when the environment was made.
pub static NEWEST_UV: Environment = Environment::new("uv-newest", &["uv"]);

/// The trace2 file, in the arena, of the gits that uv runs.
pub const TRACE: &str = "trace";

const PROJECT: &str = "[project]\nname = 'project'\nversion = '0.1.0'\nrequires-python = '>=3.8'\n";

/// A git repository with a Python package, and a project that is to depend on it.
pub struct UvCase {
    pub arena: Arena,
    repository: PathBuf,
}

impl UvCase {
    pub fn new(git: &Git) -> Self {
        let arena = Arena::new(git);
        let repository = python::package(&arena);
        Self { arena, repository }
    }

    /// Runs `uv add` in a fresh project, with its cache in `cache` and this PATH.
    pub fn uv_add(&self, uv: &Path, cache: &Path, path: OsString) -> Outcome {
        let prepare = |work_dir: &Path| fs::write(work_dir.join("pyproject.toml"), PROJECT).unwrap();
        let mut command = self.arena.command(uv);
        command.args(["add", "--offline"]).arg(format!("git+file://{}", self.repository.display()));
        let call = trace::into(&self.arena.root().join(TRACE), Call::new(command))
            .env("PATH", path)
            .env("UV_CACHE_DIR", cache)
            .env("UV_PYTHON_DOWNLOADS", "never")
            .env("UV_NO_CONFIG", "1");
        self.arena.run_in(&prepare, call).outcome
    }

    /// Asserts that uv fails as in its issue 11420 without the shim, and with the PATH `shim` installs what can be imported.
    #[track_caller]
    pub fn assert_cured(&self, uv: &Path, shim: &OsStr, cache: impl Fn(&str) -> PathBuf, reason: &str) {
        let plain = self.arena.path_of(false);
        let failed = self.uv_add(uv, &cache("without"), plain);
        assert!(!failed.status.success(), "{failed:?}");
        assert!(failed.stderr_contains("/git clone --local ") && failed.stderr_contains(REFUSED), "{failed:?}");
        assert!(failed.stderr_contains(reason), "{failed:?}");
        // Once with a cache of its own, and once with the one in which it has just failed.
        for name in ["with", "without"] {
            let cured = self.uv_add(uv, &cache(name), shim.to_owned());
            self.assert_installed(cured);
        }
    }

    /// Asserts that uv has succeeded, and that what it installed can be imported.
    #[track_caller]
    pub fn assert_installed(&self, outcome: Outcome) {
        outcome.succeeded();
        let python = self.arena.work_dir().join(".venv/bin/python");
        let answer = self.arena.command(python).args(["-c", "import tinypkg; print(tinypkg.ANSWER)"]).output().unwrap();
        assert_eq!(answer.stdout, b"42\n", "{answer:?}");
    }
}
