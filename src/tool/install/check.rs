//! The last check: does what was installed work here, and does a call of git reach it?

use std::env;
use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, anyhow};
use nix::errno::Errno;

use super::error::interrupted;
use super::places::Places;
use super::summary;
use crate::tool::directory::Directory;
use crate::tool::text;
use crate::{NAME, failure};

/// Says what comes before the shim on the caller's own PATH, and lets the installed program examine whether it works here.
/// Returns whether it does.
///
/// # Errors
///
/// There is no directory to try it in, or the installed program cannot be run.
pub(super) fn run(places: &Places, bin: &Path) -> Result<bool> {
    let path = env::var_os("PATH").unwrap_or_default();
    if let Some(git) = shadowing(&path, &places.root()) {
        failure::print(&format!(
            "on your PATH, {} comes before it",
            text::printable_path(&git)
        ));
    }
    let private = Private::new()?;
    let directories = [bin.to_owned()].into_iter().chain(env::split_paths(&path));
    let program = bin.join(NAME);
    let place = text::printable_path(private.parent.path());
    summary::print(&[format!("To see that it runs, it is tried in {place}:\n").into()])?;
    let status = Command::new(&program)
        .arg("doctor")
        .arg(&private.path)
        // The caller's current directory may be one that other users can write to.
        .current_dir("/")
        .env("PATH", env::join_paths(directories).unwrap_or_default())
        .status();
    let status =
        status.with_context(|| format!("cannot run {}", text::printable_path(&program)))?;
    interrupted()?;
    if !status.success() {
        failure::print("it is installed, but does not work everywhere (see above)");
    }
    Ok(status.success())
}

/// The git that a call reaches although the shim is on PATH, too.
fn shadowing(path: &OsString, root: &Path) -> Option<PathBuf> {
    let mut directories = env::split_paths(path);
    directories
        .any(|directory| directory.starts_with(root))
        .then_some(())?;
    let is_program = |file: &PathBuf| {
        let metadata = fs::metadata(file);
        metadata.is_ok_and(|found| found.is_file() && found.permissions().mode() & 0o111 != 0)
    };
    let mut gits = env::split_paths(path).map(|directory| directory.join("git"));
    gits.find(is_program).filter(|git| !git.starts_with(root))
}

/// A fresh directory that only we can enter, removed when dropped.
struct Private {
    parent: Directory,
    path: PathBuf,
}

impl Private {
    fn new() -> Result<Self> {
        let parent = env::temp_dir();
        let refused = |why: &str| {
            anyhow!(
                "it is installed, but cannot be tried in {}: {why}; set TMPDIR to another directory",
                text::printable_path(&parent)
            )
        };
        let found = Directory::find(&std::path::absolute(&parent)?)?;
        let found = found.ok_or_else(|| refused(Errno::ENOENT.desc()))?;
        if found.exposed().is_some() {
            return Err(refused("other users can replace what is in it"));
        }
        let made = nix::unistd::mkdtemp(&found.path().join(".git-clone-shim-XXXXXX"));
        Ok(Self {
            path: made.map_err(|errno| refused(errno.desc()))?,
            parent: found,
        })
    }
}

impl Drop for Private {
    fn drop(&mut self) {
        let _ = self
            .parent
            .remove_tree(self.path.file_name().unwrap_or_default());
    }
}
