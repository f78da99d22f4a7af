//! The case that this project began with, uv issue 11420: uv adds a git dependency, its cache is on a filesystem that
//! refuses hard links across directories, and the git that it runs dies.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use nix::libc;

use crate::refusing_filesystems::mount;
use crate::support::arena::Arena;
use crate::support::call::{Call, Outcome};
use crate::support::fault;
use crate::support::gits::{Git, gits};
use crate::support::python::{self, Environment};
use crate::support::refusing_fs::LinkRule;
use crate::support::trace;

/// The last uv without a fallback of its own.
pub static UV: Environment = Environment::new("uv-0.5.30", &["uv==0.5.30"]);

/// The newest uv, or what was the newest when the environment was made.
static NEWEST_UV: Environment = Environment::new("uv-newest", &["uv"]);

/// The file in the arena in which the gits that uv runs write down their words.
const TRACE: &str = "trace";

const PROJECT: &str = "[project]\nname = 'project'\nversion = '0.1.0'\nrequires-python = '>=3.8'\n";

/// A git repository with a Python package, and a project that is to depend on it.
pub struct Case {
    pub arena: Arena,
    repository: PathBuf,
}

impl Case {
    pub fn new(git: &Git) -> Self {
        let arena = Arena::new(git);
        let repository = python::package(&arena);
        Self { arena, repository }
    }

    /// Runs `uv add` in a fresh project, with its cache in `cache` and this PATH.
    fn uv_add(&self, uv: &Path, cache: &Path, path: OsString) -> Outcome {
        let prepare = |place: &Path| fs::write(place.join("pyproject.toml"), PROJECT).unwrap();
        let mut command = self.arena.command(uv);
        command
            .args(["add", "--offline"])
            .arg(format!("git+file://{}", self.repository.display()));
        let call = trace::into(&self.arena.root().join(TRACE), Call::new(command))
            .env("PATH", path)
            .env("UV_CACHE_DIR", cache)
            .env("UV_PYTHON_DOWNLOADS", "never")
            .env("UV_NO_CONFIG", "1");
        self.arena.run(&prepare, call).outcome
    }

    /// Asserts that uv fails as in its issue 11420 without the shim, and with the PATH `shim` installs what can be imported.
    #[track_caller]
    pub fn assert_cured(
        &self,
        uv: &Path,
        shim: &OsStr,
        cache: impl Fn(&str) -> PathBuf,
        reason: &str,
    ) {
        let plain = self.arena.path_of(false);
        let failed = self.uv_add(uv, &cache("without"), plain);
        assert!(!failed.status.success(), "{failed:?}");
        assert!(
            failed.says("/git clone --local ") && failed.says("fatal: failed to create link '"),
            "{failed:?}"
        );
        assert!(failed.says(reason), "{failed:?}");
        // Once with a cache of its own, and once with the one in which it has just failed.
        for name in ["with", "without"] {
            let cured = self.uv_add(uv, &cache(name), shim.to_owned());
            self.assert_installed(cured);
        }
    }

    /// Asserts that uv has succeeded, and that what it installed can be imported.
    #[track_caller]
    fn assert_installed(&self, outcome: Outcome) {
        outcome.succeeded();
        let python = self.arena.place().join(".venv/bin/python");
        let answer = self
            .arena
            .command(python)
            .args(["-c", "import tinypkg; print(tinypkg.ANSWER)"])
            .output()
            .unwrap();
        assert_eq!(answer.stdout, b"42\n", "{answer:?}");
    }
}

#[test]
fn on_a_filesystem_with_beegfss_rule() {
    let Some(uv) = UV.program("uv") else {
        return;
    };
    for git in gits() {
        let case = Case::new(git);
        let rule = LinkRule::SameDirectoryOnly { errno: libc::EPERM };
        let Some((_directory, filesystem)) = mount(rule) else {
            return;
        };
        case.assert_cured(
            &uv,
            &case.arena.path_of(true),
            |name| filesystem.path().join(name),
            "Operation not permitted",
        );
    }
}

#[test]
fn with_the_checkouts_on_another_device() {
    // The same without privilege: uv's checkouts are a symbolic link to another device.
    let Some(uv) = UV.program("uv") else {
        return;
    };
    for git in gits() {
        let case = Case::new(git);
        let Some(far) = fault::another_device(case.arena.root()) else {
            return;
        };
        let cache = |name: &str| {
            let cache = case.arena.root().join(name);
            let checkouts = far.path().join(name);
            if !cache.exists() {
                fs::create_dir_all(cache.join("git-v0")).unwrap();
                fs::create_dir(&checkouts).unwrap();
                symlink(&checkouts, cache.join("git-v0/checkouts")).unwrap();
            }
            cache
        };
        case.assert_cured(
            &uv,
            &case.arena.path_of(true),
            cache,
            "Invalid cross-device link",
        );
    }
}

#[test]
fn the_newest_uv_needs_its_own_fallback_no_more() {
    // Since 0.5.31 uv runs a clone that failed, for whatever reason, again with --no-hardlinks.
    let Some(uv) = NEWEST_UV.program("uv") else {
        return;
    };
    let case = Case::new(&gits()[0]);
    let rule = LinkRule::SameDirectoryOnly { errno: libc::EPERM };
    let Some((_directory, filesystem)) = mount(rule) else {
        return;
    };
    let plain = case.arena.path_of(false);
    let shim = case.arena.path_of(true);
    for (name, path, fallback) in [("without", plain, true), ("with", shim, false)] {
        let outcome = case.uv_add(&uv, &filesystem.path().join(name), path);
        let file = case.arena.root().join(TRACE);
        let trace = fs::read_to_string(&file).unwrap();
        fs::remove_file(&file).unwrap();
        assert_eq!(trace::shows_the_shim(&trace), name == "with", "{trace}");
        assert!(trace.contains("git clone --local "), "{trace}");
        // Whose fallback it was, is told by the place of the option: uv's own words come without --local.
        assert_eq!(
            trace.contains("git clone --no-hardlinks "),
            fallback,
            "{trace}"
        );
        case.assert_installed(outcome);
    }
}
