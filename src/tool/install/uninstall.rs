//! Removes a version, or all of them: what the manifests list, and directories that are empty then.
//!
//! A manifest goes last, so that a removal that was interrupted can be done again.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use anyhow::{Result, bail};

use super::manifest::{self, Manifest, Subject};
use super::places::Places;
use super::versions::{self, CURRENT};
use super::{payload, removal};
use crate::NAME;
use crate::tool::directory::Directory;
use crate::tool::text;

/// What is going to be removed.
pub(super) struct Removal<'a> {
    root: &'a Directory,
    versions: Vec<(String, Manifest)>,
    /// What goes with the last version, if that goes too.
    shared: Option<Manifest>,
}

impl<'a> Removal<'a> {
    /// Plans the removal of `version`, or of all of them.
    ///
    /// # Errors
    ///
    /// It is not installed, or is the current one of several; or a manifest cannot be trusted.
    pub(super) fn plan(root: &'a Directory, version: Option<&str>) -> Result<Self> {
        let shown = text::printable_path(root.path());
        let Some(shared) = Manifest::read(root, manifest::FILE, Subject::Shared)? else {
            bail!("nothing is installed in {shown}");
        };
        let installed = versions::installed(root)?;
        let all = version.is_none_or(|version| installed == [version]);
        if let Some(version) = version {
            check_installed(root, version)?;
            if !all && versions::current(root)?.as_deref() == Some(version) {
                bail!(
                    "{version} is the current version: activate another one first, or uninstall all of them"
                );
            }
        }
        let mut removal = Self {
            root,
            versions: Vec::new(),
            shared: all.then_some(shared),
        };
        for installed in installed {
            if all || version == Some(&installed) {
                let manifest = manifest_of(root, &installed)?;
                removal.versions.push((installed, manifest));
            }
        }
        Ok(removal)
    }

    /// The paths that are going to be removed, as they are on disk, directories with a slash at their end.
    pub(super) fn paths(&self, places: &Places) -> Result<Vec<String>> {
        let current = versions::current(self.root)?;
        let mut paths = Vec::new();
        let mut add = |path: PathBuf, end: &str| {
            let is_there = path.symlink_metadata().is_ok();
            if is_there {
                paths.push(text::printable_path(&path) + end);
            }
        };
        let root = places.on_disk(&places.root());
        for (version, manifest) in &self.versions {
            if current.as_deref() == Some(version) {
                add(root.join(CURRENT), "");
            }
            for file in default_modules(places, version, manifest)? {
                add(file, "");
            }
            manifest
                .files()
                .for_each(|file| add(places.of_listed(file), ""));
            manifest
                .directories()
                .for_each(|path| add(places.of_listed(path), "/"));
            add(root.join(version).join(manifest::FILE), "");
            add(root.join(version), "/");
        }
        if let Some(shared) = &self.shared {
            shared
                .files()
                .for_each(|file| add(places.of_listed(file), ""));
            add(root.join(manifest::FILE), "");
            shared
                .directories()
                .for_each(|path| add(places.of_listed(path), "/"));
        }
        Ok(paths)
    }

    /// Removes it. Returns notes for the user. `unlock` is called before the directory of all versions goes.
    ///
    /// # Errors
    ///
    /// Something cannot be removed, or a version's directory holds what is not listed.
    pub(super) fn run(self, places: &Places, unlock: impl FnOnce()) -> Result<Vec<String>> {
        let root = self.root;
        for (version, manifest) in &self.versions {
            if versions::current(root)?.as_deref() == Some(version) {
                root.remove(OsStr::new(CURRENT))?;
            }
            for file in default_modules(places, version, manifest)? {
                if let (Some(parent), Some(name)) = (file.parent(), file.file_name())
                    && let Some(directory) = Directory::find(parent)?
                {
                    directory.remove(name)?;
                }
            }
            removal::files(root, places, manifest)?;
            let left = removal::directories(root, places, manifest)?;
            let Some(live) = root.subdirectory(OsStr::new(version))? else {
                continue;
            };
            let is_only_manifest = live.names()? == [manifest::FILE];
            if let Some(left) = left.or_else(|| (!is_only_manifest).then(|| live.path().into())) {
                bail!(
                    "{}/ is not empty, perhaps because a program there still runs: run this again later",
                    text::printable_path(&left)
                );
            }
            live.sync()?;
            live.remove(OsStr::new(manifest::FILE))?;
            root.remove_directory(OsStr::new(version))?;
            root.sync()?;
        }
        let mut notes = Vec::new();
        if let Some(shared) = &self.shared {
            removal::files(root, places, shared)?;
            // Between the last two steps the tree is no more than an empty directory.
            let left = removal::directories_and_root(root, places, shared, || {
                root.remove(OsStr::new(manifest::FILE))?;
                unlock();
                Ok(())
            })?;
            if let Some(left) = left {
                let left = text::printable_path(&left);
                notes.push(format!("Left, since not all in it is listed: {left}/"));
            }
        }
        Ok(notes)
    }
}

/// Removes the directory of all versions, if it is empty: a removal that was killed can have left it.
///
/// # Errors
///
/// The directory above it cannot be written to.
pub(super) fn remove_empty_root(path: &Path) -> Result<()> {
    if let (Some(parent), Some(name)) = (path.parent(), path.file_name())
        && let Some(parent) = Directory::find(parent)?
    {
        parent.remove_directory(name)?;
    }
    Ok(())
}

/// The manifest of an installed version.
///
/// # Errors
///
/// It is not installed, or the manifest cannot be trusted.
pub(super) fn manifest_of(root: &Directory, version: &str) -> Result<Manifest> {
    let live = root.subdirectory(OsStr::new(version))?;
    let subject = Subject::Version(version);
    let manifest = live.map(|live| Manifest::read(&live, manifest::FILE, subject));
    match manifest.transpose()?.flatten() {
        Some(manifest) => Ok(manifest),
        None => bail!(
            "{version} is not installed in {}",
            text::printable_path(root.path())
        ),
    }
}

/// Asserts that a version is installed.
///
/// # Errors
///
/// It is not.
pub(super) fn check_installed(root: &Directory, version: &str) -> Result<()> {
    if versions::installed(root)?
        .iter()
        .any(|installed| installed == version)
    {
        return Ok(());
    }
    bail!(
        "{} is not installed in {}; see `git-clone-shim versions`",
        text::printable(version),
        text::printable_path(root.path())
    )
}

/// The directories of a version's module files, as they will be.
pub(super) fn module_directories(places: &Places, manifest: &Manifest) -> BTreeSet<PathBuf> {
    let modules = manifest.files().filter(|file| !file.starts_with(NAME));
    let directories = modules.filter_map(|file| file.parent());
    directories
        .map(|directory| places.prefix().join(directory))
        .collect()
}

/// The files, as they are on disk, that make `version` the default module.
fn default_modules(places: &Places, version: &str, manifest: &Manifest) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for path in module_directories(places, manifest) {
        let path = places.on_disk(&path);
        let found = Directory::find(&path)?.map(|found| found.read(OsStr::new(".version")));
        if let Some((text, _)) = found.transpose()?.flatten()
            && payload::version_in_default_module(&text) == Some(version)
        {
            files.push(path.join(".version"));
        }
    }
    Ok(files)
}
