//! Removes what a manifest lists, and nothing else.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use anyhow::Result;

use super::manifest::Manifest;
use super::places::Places;
use crate::NAME;
use crate::tool::directory::Directory;

/// The directory that holds a listed path, and its name there; `None` if that directory is not there.
///
/// In the tree of versions no symbolic link is followed; elsewhere, none of another user's.
fn find(root: &Directory, places: &Places, listed: &Path) -> Result<Option<(Directory, OsString)>> {
    let name = listed.file_name().unwrap_or_default().to_owned();
    let parent = listed.parent().unwrap_or(Path::new(""));
    let directory = match parent.strip_prefix(NAME) {
        Ok(below) => root.descend(below)?,
        Err(_) => Directory::find(&places.of_listed(parent))?,
    };
    Ok(directory.map(|directory| (directory, name)))
}

/// Removes the files that are listed.
///
/// # Errors
///
/// One of them is behind a symbolic link of another user's: then nothing is removed. Or one cannot be removed.
pub(super) fn files(root: &Directory, places: &Places, manifest: &Manifest) -> Result<()> {
    let found = manifest.files().map(|file| find(root, places, file));
    for (directory, name) in found.collect::<Result<Vec<_>>>()?.into_iter().flatten() {
        directory.remove(&name)?;
    }
    Ok(())
}

/// Removes the directories that are listed and empty. Returns the deepest of those that are not.
///
/// # Errors
///
/// One of them cannot be removed for another reason.
pub(super) fn directories(
    root: &Directory,
    places: &Places,
    manifest: &Manifest,
) -> Result<Option<PathBuf>> {
    some_directories(root, places, manifest.directories())
}

/// As [`directories`], of those in which the directory of all versions is not, and then, after `between`, the others.
///
/// # Errors
///
/// As of [`directories`], or of `between`.
pub(super) fn directories_and_root(
    root: &Directory,
    places: &Places,
    manifest: &Manifest,
    between: impl FnOnce() -> Result<()>,
) -> Result<Option<PathBuf>> {
    let path = places.root();
    let holds_root = |listed: &&Path| path.starts_with(places.prefix().join(listed));
    let others = manifest.directories().filter(|listed| !holds_root(listed));
    let left = some_directories(root, places, others)?;
    between()?;
    let last = manifest.directories().filter(holds_root);
    Ok(left.or(some_directories(root, places, last)?))
}

fn some_directories<'a>(
    root: &Directory,
    places: &Places,
    directories: impl Iterator<Item = &'a Path>,
) -> Result<Option<PathBuf>> {
    let mut left = None;
    for listed in directories {
        if let Some((directory, name)) = find(root, places, listed)?
            && !directory.remove_directory(&name)?
        {
            left = left.or_else(|| Some(directory.path().join(&name)));
        }
    }
    Ok(left)
}
