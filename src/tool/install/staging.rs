//! What is new is written beside its place first, and seen on disk, then renamed into it. A run that fails or is interrupted
//! before the first rename leaves everything as it was; what a killed one leaves, the next one removes.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use anyhow::Result;
use nix::libc;

use super::error::interrupted;
use super::manifest::{self, Manifest, Subject, TEMPORARY};
use super::payload::Content;
use super::places::Places;
use super::removal;
use crate::tool::directory::Directory;
use crate::tool::trust;

/// The directory below that of all versions in which everything is staged that goes there.
const STAGE: &str = ".git-clone-shim.staging";

/// In it, the manifest of what is staged or made elsewhere. It is written before that.
const JOURNAL: &str = "journal";

/// Modes.
const READABLE: u32 = 0o644;
const RUNNABLE: u32 = 0o755;

/// Something to write.
pub(super) enum Output {
    /// The directory of a version in that of all versions: its files, and its manifest.
    Version(String, Vec<(&'static str, Content)>, Manifest),
    /// A file that everybody can read, in the directory at this absolute path.
    File(PathBuf, String, Vec<u8>),
    /// A symbolic link, in the directory at this absolute path.
    Link(PathBuf, String, String),
}

impl Output {
    /// Where it goes, as it is on disk.
    pub(super) fn path(&self, places: &Places) -> PathBuf {
        match self {
            Self::Version(name, ..) => places.on_disk(&places.root()).join(name),
            Self::File(directory, name, _) | Self::Link(directory, name, _) => {
                places.on_disk(directory).join(name)
            }
        }
    }
}

/// Directories that this run makes; removed again when dropped, if they are empty and not kept.
pub(super) struct Made(Vec<PathBuf>);

impl Made {
    /// None so far.
    pub(super) fn new() -> Self {
        Self(Vec::new())
    }

    /// Notes which of this directory and those above it are missing, the topmost first, so that it can be made.
    ///
    /// # Errors
    ///
    /// What is there is no directory, or cannot be entered.
    pub(super) fn expect(&mut self, path: &Path) -> Result<()> {
        let mut missing = Vec::new();
        for ancestor in path.ancestors() {
            if Directory::find(ancestor)?.is_some() {
                break;
            }
            missing.push(ancestor.to_owned());
        }
        missing.reverse();
        missing.retain(|path| !self.0.contains(path));
        self.0.extend(missing);
        Ok(())
    }

    /// Leaves them where they are.
    pub(super) fn keep(&mut self) {
        self.0.clear();
    }

    /// Adds them to a manifest. Above the prefix, a package is made without directories that its users have.
    pub(super) fn list(&self, places: &Places, all: bool, manifest: &mut Manifest) {
        for path in self.0.iter().filter_map(|path| places.of_on_disk(path)) {
            let listed = places.listed(&path);
            if all || listed.is_relative() || places.destdir().is_none() {
                manifest.add_directory(listed);
            }
        }
    }
}

impl Drop for Made {
    fn drop(&mut self) {
        for path in self.0.iter().rev() {
            if let (Some(parent), Some(name)) = (path.parent(), path.file_name())
                && let Ok(Some(parent)) = Directory::find(parent)
            {
                let _ = parent.remove_directory(name);
            }
        }
    }
}

/// What is staged. Dropped, it is removed.
pub(super) struct Staging<'a> {
    root: &'a Rc<Directory>,
    stage: Rc<Directory>,
    renames: Vec<Rename>,
}

/// Something that is staged as one name in one directory and goes to another.
struct Rename {
    from: (Rc<Directory>, OsString),
    to: (Rc<Directory>, OsString),
}

impl<'a> Staging<'a> {
    /// Makes ready to stage these, below directories of which some are still to be made.
    ///
    /// # Errors
    ///
    /// The directory of all versions cannot be written to.
    pub(super) fn begin(
        root: &'a Rc<Directory>,
        places: &Places,
        outputs: &[&Output],
        made: &Made,
    ) -> Result<Self> {
        root.make_directory(OsStr::new(STAGE))?;
        let stage = root.subdirectory(OsStr::new(STAGE))?;
        let stage = Rc::new(stage.ok_or_else(|| anyhow::anyhow!("{STAGE} was removed"))?);
        let staging = Self {
            root,
            stage,
            renames: Vec::new(),
        };
        let mut journal = Manifest::default();
        made.list(places, true, &mut journal);
        for output in outputs {
            if let Output::File(directory, name, _) | Output::Link(directory, name, _) = output
                && !directory.starts_with(places.root())
            {
                journal.add_file(places.listed(&directory.join(staging.temporary(name)?)));
            }
        }
        let name = OsStr::new(JOURNAL);
        staging.stage.write(name, &journal.to_bytes(), READABLE)?;
        staging.stage.sync()?;
        root.sync()?;
        Ok(staging)
    }

    /// Stages one of these.
    ///
    /// # Errors
    ///
    /// It cannot be written, or a termination signal arrived.
    pub(super) fn add(&mut self, places: &Places, output: &Output) -> Result<()> {
        interrupted()?;
        match output {
            Output::Version(name, files, manifest) => self.add_version(name, files, manifest),
            Output::File(directory, name, bytes) => {
                let (from, temporary, into) = self.prepare(places, directory, name)?;
                from.write(&temporary, bytes, READABLE)?;
                self.rename_later((from, temporary), (into, name.into()));
                Ok(())
            }
            Output::Link(directory, name, target) => {
                let (from, temporary, into) = self.prepare(places, directory, name)?;
                from.symlink(OsStr::new(target), &temporary)?;
                self.rename_later((from, temporary), (into, name.into()));
                Ok(())
            }
        }
    }

    /// Renames all into their places, in the order in which they were added: the first ones, which see themselves on disk, and
    /// then the others, which name them.
    ///
    /// # Errors
    ///
    /// One of them cannot be renamed. What is there then is known to the manifests.
    pub(super) fn commit(&mut self, first: usize) -> Result<()> {
        let (first, last) = self.renames.split_at(first.min(self.renames.len()));
        for renames in [first, last] {
            for Rename { from, to } in renames {
                from.0.rename(&from.1, &to.0, &to.1)?;
            }
            for Rename { to, .. } in renames {
                to.0.sync()?;
            }
        }
        self.renames.clear();
        Ok(())
    }

    /// Where to write what is to be renamed to `name` in `directory`, and that directory.
    fn prepare(
        &self,
        places: &Places,
        directory: &Path,
        name: &str,
    ) -> Result<(Rc<Directory>, OsString, Rc<Directory>)> {
        if let Ok(below) = directory.strip_prefix(places.root()) {
            let into = self.root.descend(below)?;
            let into = into.ok_or_else(|| anyhow::anyhow!("{} was removed", below.display()))?;
            // Two directories can have a file of the same name.
            let temporary = format!("{}-{name}", self.renames.len());
            return Ok((Rc::clone(&self.stage), temporary.into(), Rc::new(into)));
        }
        let into = Rc::new(Directory::make(&places.on_disk(directory))?);
        Ok((Rc::clone(&into), self.temporary(name)?.into(), into))
    }

    /// A name for what is staged in a directory that another tree of versions may share.
    fn temporary(&self, name: &str) -> Result<String> {
        Ok(format!(
            "{TEMPORARY}{:x}.{name}",
            self.root.status()?.st_ino
        ))
    }

    fn rename_later(&mut self, from: (Rc<Directory>, OsString), to: (Rc<Directory>, OsString)) {
        self.renames.push(Rename { from, to });
    }

    /// A version is there whole or not at all: its directory is renamed into its place.
    fn add_version(
        &mut self,
        version: &str,
        files: &[(&'static str, Content)],
        manifest: &Manifest,
    ) -> Result<()> {
        let name = OsStr::new("version");
        self.stage.make_directory(name)?;
        let directory = |path: &Path| -> Result<Directory> {
            let made = self.stage.subdirectory(name)?;
            let mut made = made.ok_or_else(|| anyhow::anyhow!("{STAGE} was removed"))?;
            for component in path {
                made.make_directory(component)?;
                let below = made.subdirectory(component)?;
                made = below.ok_or_else(|| anyhow::anyhow!("{STAGE} was removed"))?;
            }
            Ok(made)
        };
        for (path, content) in files {
            interrupted()?;
            let path = Path::new(path);
            let parent = directory(path.parent().unwrap_or(Path::new("")))?;
            let file = path.file_name().unwrap_or_default();
            match content {
                Content::File(bytes) => parent.write(file, bytes, READABLE)?,
                Content::Program(bytes) => parent.write(file, bytes, RUNNABLE)?,
                Content::Link(target) => parent.symlink(OsStr::new(target), file)?,
            }
        }
        let top = directory(Path::new(""))?;
        top.write(OsStr::new(manifest::FILE), &manifest.to_bytes(), READABLE)?;
        for path in directories_of(files) {
            directory(path)?.sync()?;
        }
        top.sync()?;
        self.rename_later(
            (Rc::clone(&self.stage), name.to_owned()),
            (Rc::clone(self.root), version.into()),
        );
        Ok(())
    }
}

impl Drop for Staging<'_> {
    fn drop(&mut self) {
        for Rename { from, .. } in &self.renames {
            let _ = from.0.remove(&from.1);
        }
        let _ = self.root.remove_tree(OsStr::new(STAGE));
    }
}

/// The directories of these files, each before those in it.
pub(super) fn directories_of<'a>(
    files: &'a [(&'static str, Content)],
) -> std::collections::BTreeSet<&'a Path> {
    let ancestors = |(path, _): &'a (&'static str, Content)| Path::new(*path).ancestors().skip(1);
    let directories = files.iter().flat_map(ancestors);
    directories
        .filter(|path| !path.as_os_str().is_empty())
        .collect()
}

/// Removes what runs that were killed have left in a tree that is locked.
///
/// # Errors
///
/// It cannot be removed, or another user could have written of it.
pub(super) fn recover(root: &Directory, places: &Places) -> Result<()> {
    if let Some(stage) = root.subdirectory(OsStr::new(STAGE))? {
        trust::check(stage.path(), &stage.status()?)?;
        let journal = Manifest::read(&stage, JOURNAL, Subject::Staged)?;
        if let Some(journal) = journal {
            removal::files(root, places, &journal)?;
            removal::directories(root, places, &journal)?;
        }
        root.remove_tree(OsStr::new(STAGE))?;
    }
    // A removal ends with the manifest and the then empty directory of the version.
    for name in root.names()? {
        let is_version = name.as_bytes().first().is_some_and(u8::is_ascii_digit);
        let entry = root.entry(&name)?.map(|entry| entry.st_mode & libc::S_IFMT);
        if is_version && entry == Some(libc::S_IFDIR) {
            root.remove_directory(&name)?;
        }
    }
    Ok(())
}
