//! The real gits with which tests run.

use std::collections::BTreeSet;
use std::env;
use std::fs::{self, Metadata};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;

/// A real git.
#[derive(Clone, Debug)]
pub struct Git {
    pub file: PathBuf,
    /// The output of `git --version`.
    pub version: String,
}

impl Git {
    /// The numbers in its version.
    fn numbers(&self) -> Vec<u32> {
        let parts = self.version.split(|sign: char| !sign.is_ascii_digit());
        parts.filter_map(|part| part.parse().ok()).collect()
    }
}

/// The oldest and the newest real git on PATH and in the usual places; each of them once, in the order of PATH.
///
/// Every one where `GIT_CLONE_SHIM_TEST_GITS` is set, which can name more, separated by colons. A shim that is installed on
/// this machine does not count.
pub fn gits() -> &'static [Git] {
    static GITS: LazyLock<Vec<Git>> = LazyLock::new(|| {
        let every = env::var_os("GIT_CLONE_SHIM_TEST_GITS");
        let [named, path] = [every.clone(), env::var_os("PATH")].map(Option::unwrap_or_default);
        let usual = ["/usr/local/bin".into(), "/usr/bin".into()];
        let on_path = env::split_paths(&path).chain(usual).map(|directory| directory.join("git"));
        let mut seen = BTreeSet::new();
        let mut is_new = |file: &Path| {
            let metadata = fs::metadata(file).ok().filter(Metadata::is_file);
            file.is_absolute() && metadata.is_some_and(|file| seen.insert((file.dev(), file.ino())))
        };
        let files = on_path.chain(env::split_paths(&named)).filter(|file| is_new(file));
        let mut gits: Vec<_> = files.filter_map(|file| real(&file)).collect();
        let versions = gits.iter().map(Git::numbers);
        let (oldest, newest) = (versions.clone().min(), versions.max());
        assert!(newest.is_some(), "no real git on this machine");
        if every.is_none() {
            gits.retain(|git| [&oldest, &newest].contains(&&Some(git.numbers())));
        }
        gits
    });
    &GITS
}

/// The git at `file`, unless it is a shim of ours, which writes a log to stderr when asked to.
fn real(file: &Path) -> Option<Git> {
    let answer = Command::new(file).arg("--version").env("GIT_CLONE_SHIM_LOG", "info").output().ok()?;
    let version = String::from_utf8_lossy(&answer.stdout).trim().to_owned();
    (answer.status.success() && answer.stderr.is_empty() && version.starts_with("git version"))
        .then(|| Git { file: file.to_owned(), version })
}
