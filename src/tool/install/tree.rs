//! The tree of all versions: who may write to it, its lock, and how what was planned gets into it.

use std::path::Path;
use std::rc::Rc;

use anyhow::{Result, bail};

use super::error::interrupted;
use super::lock::Lock;
use super::manifest::{self, Manifest, Subject};
use super::places::Places;
use super::plan::Plan;
use super::staging::{self, Made, Output, Staging};
use crate::tool::directory::Directory;
use crate::tool::{text, trust};

/// Refuses a directory to install in that cannot be written to, or in which other users could exchange what is installed for
/// root.
pub(super) fn check_target(target: &Path, places: &Places) -> Result<()> {
    let mut ancestors = target.ancestors();
    let found = ancestors.find_map(|path| Directory::find(path).transpose());
    let Some(found) = found.transpose()? else {
        return Ok(());
    };
    if !found.is_writable() {
        bail!(
            "cannot write to {}; use another --prefix, --modules or --profile-d",
            text::printable_path(found.path())
        );
    }
    if places.destdir().is_none() {
        trust::check_exposure(found.exposed())?;
    }
    Ok(())
}

/// Makes the directory of all versions if it is missing, locks it, removes what killed runs have left, and does `work`.
pub(super) fn locked<T>(
    places: &Places,
    made: &mut Made,
    work: impl FnOnce(&Rc<Directory>, &mut Made) -> Result<T>,
) -> Result<T> {
    let path = places.on_disk(&places.root());
    loop {
        made.expect(&path)?;
        let root = Rc::new(Directory::make(&path)?);
        trust::check(root.path(), &root.status()?)?;
        let Some(_lock) = Lock::take(&root)? else {
            continue;
        };
        interrupted()?;
        staging::recover(&root, places)?;
        return work(&root, made);
    }
}

/// Stages what was planned, then renames it into its place.
pub(super) fn write(root: &Rc<Directory>, places: &Places, plan: &Plan, made: &Made) -> Result<()> {
    let mut shared = plan.shared.clone();
    made.list(places, false, &mut shared);
    let known = Manifest::read(root, manifest::FILE, Subject::Shared)?;
    let manifest = Output::File(places.root(), manifest::FILE.to_owned(), shared.to_bytes());
    let manifest = (known.as_ref() != Some(&shared)).then_some(&manifest);
    let mut outputs: Vec<_> = manifest.into_iter().collect();
    outputs.extend(plan.all());
    if outputs.is_empty() {
        return Ok(());
    }
    let first = outputs.len() - plan.activation.len();
    let mut staging = Staging::begin(root, places, &outputs, made)?;
    for output in &outputs {
        staging.add(places, output)?;
    }
    interrupted()?;
    staging.commit(first)
}
