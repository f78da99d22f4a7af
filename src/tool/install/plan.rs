//! What an installation or activation is going to write. To find that out, nothing is changed.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use anyhow::{Result, bail};

use super::manifest::{self, Manifest, Subject};
use super::payload::{self, Content};
use super::places::Places;
use super::program::VERSION;
use super::staging::{Output, directories_of};
use super::versions::CURRENT;
use crate::NAME;
use crate::tool::directory::Directory;
use crate::tool::text;
use crate::tool::trust;

/// What is going to be written, and notes for the user.
#[derive(Default)]
pub(super) struct Plan {
    /// In the order in which it is renamed into its place: what names something comes after what is named.
    pub outputs: Vec<Output>,
    /// What makes a version the current one, after all else is seen on disk.
    pub activation: Vec<Output>,
    /// What goes with the last version, but for directories that are still to be made.
    pub shared: Manifest,
    /// Lines for the user.
    pub notes: Vec<String>,
}

/// The version under installation, and where else than below the prefix something of it goes.
pub(super) struct Request<'a> {
    pub places: &'a Places,
    pub profile_d: Option<&'a Path>,
    pub is_default: bool,
    pub files: Vec<(&'static str, Content)>,
}

impl Plan {
    /// Plans an installation below `root`, the directory of all versions, if that is there.
    ///
    /// # Errors
    ///
    /// Something else is in one of the places, or another user could have written it.
    pub(super) fn install(root: Option<&Directory>, request: Request<'_>) -> Result<Self> {
        let places = request.places;
        let mut plan = Self::default();
        if let Some(root) = root {
            plan.shared =
                Manifest::read(root, manifest::FILE, Subject::Shared)?.unwrap_or_default();
        }
        let before = plan.shared.clone();
        let modules = plan.module_files(places)?;
        plan.version(root, places, modules, request.files)?;
        if let Some(profile_d) = request.profile_d {
            plan.snippets(places, profile_d, &before)?;
        }
        if request.is_default {
            plan.activate(
                root,
                places,
                VERSION,
                &BTreeSet::from([places.modules().to_owned()]),
            )?;
        }
        Ok(plan)
    }

    /// Module files that are still to be written, and a list of those that belong to this version. One that an admin has
    /// changed is not ours to remove.
    fn module_files(&mut self, places: &Places) -> Result<Manifest> {
        let mut listed = Manifest::default();
        let directory = Directory::find(&places.on_disk(places.modules()))?;
        for (name, text) in payload::module_files(places) {
            let found = directory
                .as_ref()
                .map(|directory| directory.read(OsStr::new(&name)));
            match found.transpose()?.flatten() {
                Some((found, _)) if found != text => {
                    self.leave(&places.on_disk(places.modules()).join(&name));
                    continue;
                }
                Some(_) => {}
                None => {
                    let directory = places.modules().to_owned();
                    self.outputs
                        .push(Output::File(directory, name.clone(), text));
                }
            }
            listed.add_file(places.listed(&places.modules().join(name)));
        }
        Ok(listed)
    }

    /// The directory of this version, or what its manifest is to be if that is there.
    fn version(
        &mut self,
        root: Option<&Directory>,
        places: &Places,
        mut listed: Manifest,
        files: Vec<(&'static str, Content)>,
    ) -> Result<()> {
        let tree = Path::new(NAME).join(VERSION);
        for (path, _) in &files {
            listed.add_file(tree.join(path));
        }
        for path in directories_of(&files) {
            listed.add_directory(tree.join(path));
        }
        let live = root.map(|root| root.subdirectory(OsStr::new(VERSION)));
        let Some(live) = live.transpose()?.flatten() else {
            self.outputs
                .insert(0, Output::Version(VERSION.to_owned(), files, listed));
            return Ok(());
        };
        let shown = text::printable_path(&places.on_disk(&places.root()).join(VERSION));
        trust::check(live.path(), &live.status()?)?;
        if !is_installed(&live, &files)? {
            bail!(
                "{shown} differs from this program and may be in use: remove it first with \
                 `git-clone-shim uninstall {VERSION}`"
            );
        }
        self.notes
            .push(format!("Already installed, and identical: {shown}"));
        let known = Manifest::read(&live, manifest::FILE, Subject::Version(VERSION))?;
        let before = known.clone().unwrap_or_default();
        listed.merge(before);
        if known.as_ref() != Some(&listed) {
            let manifest = Output::File(
                places.root().join(VERSION),
                manifest::FILE.to_owned(),
                listed.to_bytes(),
            );
            self.outputs.insert(0, manifest);
        }
        Ok(())
    }

    /// Snippets for login shells. Those of a package, or of an admin, stay.
    fn snippets(&mut self, places: &Places, profile_d: &Path, before: &Manifest) -> Result<()> {
        let directory = Directory::find(&places.on_disk(profile_d))?;
        for (name, text) in payload::snippets(places) {
            let path = profile_d.join(name);
            let listed = places.listed(&path);
            let found = directory
                .as_ref()
                .map(|directory| directory.read(OsStr::new(name)));
            if let Some((found, _)) = found.transpose()?.flatten() {
                if found == text {
                    self.shared.add_file(listed);
                    continue;
                }
                if !before.files().any(|file| file == listed) {
                    self.leave(&places.on_disk(&path));
                    continue;
                }
            }
            self.shared.add_file(listed);
            self.outputs
                .push(Output::File(profile_d.to_owned(), name.to_owned(), text));
        }
        Ok(())
    }

    /// Makes `version` the current one and, in these directories of module files, the default. The link comes last: one
    /// rename, so that there is no moment without a current version.
    ///
    /// # Errors
    ///
    /// What is in the place of the link is none.
    pub(super) fn activate(
        &mut self,
        root: Option<&Directory>,
        places: &Places,
        version: &str,
        directories: &BTreeSet<PathBuf>,
    ) -> Result<()> {
        let name = ".version";
        for path in directories {
            let text = payload::default_module(version);
            let directory = Directory::find(&places.on_disk(path))?;
            let found = directory.map(|directory| directory.read(OsStr::new(name)));
            match found.transpose()?.flatten() {
                Some((found, _)) if found == text => continue,
                Some((found, _)) if payload::version_in_default_module(&found).is_none() => {
                    self.leave(&places.on_disk(path).join(name));
                    continue;
                }
                _ => {}
            }
            self.activation
                .push(Output::File(path.clone(), name.to_owned(), text));
        }
        if let Some(root) = root {
            let current = root.link(OsStr::new(CURRENT))?;
            if current.as_deref() == Some(OsStr::new(version)) {
                return Ok(());
            }
            if current.is_none() && root.has(OsStr::new(CURRENT))? {
                bail!(
                    "{} is no symbolic link",
                    text::printable_path(&root.path().join(CURRENT))
                );
            }
        }
        let link = Output::Link(places.root(), CURRENT.to_owned(), version.to_owned());
        self.activation.push(link);
        Ok(())
    }

    /// All outputs, in their order.
    pub(super) fn all(&self) -> Vec<&Output> {
        self.outputs.iter().chain(&self.activation).collect()
    }

    fn leave(&mut self, path: &Path) {
        self.notes.push(format!(
            "Left as it is, since it is not ours: {}",
            text::printable_path(path)
        ));
    }
}

/// Whether every one of these files is in the live version, with the same bytes.
fn is_installed(live: &Directory, files: &[(&'static str, Content)]) -> Result<bool> {
    for (path, content) in files {
        let path = Path::new(path);
        let parent = live.descend(path.parent().unwrap_or(Path::new("")))?;
        let Some(parent) = parent else {
            return Ok(false);
        };
        let name = path.file_name().unwrap_or_default();
        let is_there = match content {
            Content::Link(target) => parent.link(name)?.as_deref() == Some(OsStr::new(target)),
            Content::File(bytes) | Content::Program(bytes) => {
                parent.read(name)?.is_some_and(|(found, _)| found == *bytes)
            }
        };
        if !is_there {
            return Ok(false);
        }
    }
    Ok(true)
}
