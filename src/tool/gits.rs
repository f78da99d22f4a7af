//! The gits on PATH: which of them is the shim, and which is the real git.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};

use crate::NAME;
use crate::failure::{self, Failure};
use crate::git::real_git::RealGit;
use crate::process::startup;
use crate::settings::Settings;

/// The real git: the next one on PATH behind the shim, whichever copy of it that is.
pub(super) fn real_git() -> Result<PathBuf, Failure> {
    let named = Settings::from_environment().git;
    let mut gits: Vec<PathBuf> = gits_on_path().collect();
    let shim = gits.iter().position(|git| is_shim(git));
    gits.rotate_left(shim.unwrap_or(0));
    if let (None, Some(git)) = (named, gits.into_iter().find(|git| !is_shim(git))) {
        return Ok(git);
    }
    let found = RealGit::find(named)?.file().to_owned();
    if is_shim(&found) {
        let line = format!("no real git found: {} is the shim", found.display());
        return Err(Failure { status: failure::NOT_FOUND, line });
    }
    Ok(found)
}

/// The gits on PATH that the shim would find, but the one of git's own directory, which git puts there for what it runs, as in
/// `git clone-shim doctor`.
pub(super) fn gits_on_path() -> impl Iterator<Item = PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    let absolute = env::join_paths(env::split_paths(&path).filter(|entry| entry.is_absolute())).unwrap_or_default();
    let gits = which::which_in_all("git", Some(absolute), "/").into_iter().flatten();
    gits.filter(|git| !git.with_file_name("git-sh-setup").exists())
}

/// Whether this git is the shim: a link to a tool, or a copy of this one or of one beside it.
pub(super) fn is_shim(git: &Path) -> bool {
    let bytes = |path: &Path| path.is_file().then(|| fs::read(path).ok())?;
    let is_copy = |tool: &Path| bytes(tool).is_some() && bytes(tool) == bytes(git);
    git.canonicalize().is_ok_and(|file| file.ends_with(NAME)) || is_copy(&own()) || is_copy(&git.with_file_name(NAME))
}

/// This program.
pub(super) fn own() -> PathBuf {
    fs::read_link(startup::own_path()).unwrap_or_else(|_| startup::own_path())
}
