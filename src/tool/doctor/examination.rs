//! What is tried in one directory, step by step.

use std::fs;
use std::io::ErrorKind;
use std::path::Path;

use super::report::Examination;
use super::scratch::Scratch;
use super::text;
use super::trial::{Links, Trial};
use super::watchdog::{Notes, Stopped};
use crate::mountinfo::Filesystem;
use crate::tool::directory::Directory;

impl Examination {
    /// What can be known of `directory`, an absolute path, without touching it.
    pub(super) fn from_afar(directory: &Path) -> Self {
        let mountinfo = fs::read("/proc/self/mountinfo").unwrap_or_default();
        Self {
            filesystem: Filesystem::of(directory, &mountinfo),
            ..Self::default()
        }
    }
}

/// Examines `directory`, with the real git in the file `git` if there is one.
pub(super) fn examine(
    directory: &Path,
    git: Option<&Path>,
    notes: &mut Notes<Examination>,
) -> Result<(), Stopped> {
    notes.begin("looking at it")?;
    let resolved = match fs::canonicalize(directory) {
        Ok(resolved) => resolved,
        Err(error) => {
            let gone = matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory);
            notes.known.exists = Some(!gone);
            notes.known.problem = Some(text::why(&error));
            return Ok(());
        }
    };
    notes.known = Examination::from_afar(&resolved);
    notes.known.exists = Some(true);

    notes.begin("making a directory")?;
    let scratch = match Scratch::within(directory) {
        Ok(scratch) => scratch,
        Err(error) => {
            notes.known.problem = Some(format!("{error:#}"));
            return Ok(());
        }
    };
    notes.known.left_behind = Some(text::of_path(scratch.path()));
    let done = try_all(&scratch, git, notes);
    if scratch.remove().is_ok() {
        notes.known.left_behind = None;
    }
    done
}

fn try_all(
    scratch: &Scratch,
    git: Option<&Path>,
    notes: &mut Notes<Examination>,
) -> Result<(), Stopped> {
    try_links(scratch.directory(), notes)?;
    let exchangeable = scratch.exchangeable_in();
    notes.known.exchangeable_in = exchangeable.as_deref().map(text::of_path);
    if let (Some(git), None) = (git, exchangeable) {
        try_clones(&Trial::new(scratch, git), notes)?;
    }
    notes.begin("removing what was made")
}

fn try_links(scratch: &Directory, notes: &mut Notes<Examination>) -> Result<(), Stopped> {
    notes.begin("writing a file")?;
    let links = match Links::prepare(scratch) {
        Ok(links) => links,
        Err(error) => {
            notes.known.problem = Some(format!("{error:#}"));
            return Ok(());
        }
    };
    notes.begin("hard link inside a directory")?;
    let (inside, inside_is_same) = links.inside();
    notes.known.link_inside = Some(inside);
    notes.begin("hard link across directories")?;
    let (across, across_is_same) = links.across();
    notes.known.link_across = Some(across);
    notes.known.link_is_same_file = across_is_same.or(inside_is_same);
    Ok(())
}

fn try_clones(trial: &Trial<'_>, notes: &mut Notes<Examination>) -> Result<(), Stopped> {
    notes.begin("making a repository")?;
    let repository = trial.make_repository();
    let made = repository.ok;
    notes.known.repository = Some(repository);
    if !made {
        return Ok(());
    }
    notes.begin("git clone --local")?;
    let (clone, died_of_link) = trial.clone_with_git();
    notes.known.clone_with_git = Some(clone);
    notes.known.died_of_link = died_of_link;
    notes.begin("git clone --local through the shim")?;
    notes.known.clone_through_shim = Some(trial.clone_through_shim());
    Ok(())
}
