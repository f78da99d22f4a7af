//! What is tried in one directory, step by step.

use std::ffi::OsStr;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use super::directories;
use super::report::{Clones, Examination, OtherMount};
use super::scratch::Scratch;
use super::trial::{Links, Trial};
use super::watchdog::{Notes, Stopped};
use crate::mountinfo::Filesystem;
use crate::settings::Mode;
use crate::tool::directory::Directory;
use crate::tool::text;

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

/// Examines `directory`, with the real git in the file `git` if there is one, and with the shim in this mode.
pub(super) fn examine(
    directory: &Path,
    git: Option<&Path>,
    mode: Mode,
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
    use_and_remove(scratch, notes, |scratch, notes| {
        try_all(scratch, git, mode, notes)
    })
}

/// Lets `work` use a scratch directory, and removes that, even if the work is stopped.
fn use_and_remove(
    scratch: Scratch,
    notes: &mut Notes<Examination>,
    work: impl FnOnce(&Scratch, &mut Notes<Examination>) -> Result<(), Stopped>,
) -> Result<(), Stopped> {
    let path = text::of_path(scratch.path());
    notes.known.left_behind.push(path.clone());
    let done = work(&scratch, notes);
    if scratch.remove().is_ok() {
        notes.known.left_behind.retain(|left| *left != path);
    }
    done
}

fn try_all(
    scratch: &Scratch,
    git: Option<&Path>,
    mode: Mode,
    notes: &mut Notes<Examination>,
) -> Result<(), Stopped> {
    try_links(scratch.directory(), notes)?;
    let exchangeable = scratch.exchangeable_in();
    notes.known.exchangeable_in = exchangeable.as_deref().map(text::of_path);
    if let (Some(git), None) = (git, exchangeable) {
        let trial = Trial::new(scratch, git, mode);
        if make_repository(&trial, notes)? {
            clone_within(&trial, scratch, notes)?;
            clone_to_other_mount(&trial, notes)?;
        }
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

fn make_repository(trial: &Trial<'_>, notes: &mut Notes<Examination>) -> Result<bool, Stopped> {
    notes.begin("making a repository")?;
    let repository = trial.make_repository();
    let made = repository.ok;
    notes.known.repository = Some(repository);
    Ok(made)
}

fn clone_within(
    trial: &Trial<'_>,
    scratch: &Scratch,
    notes: &mut Notes<Examination>,
) -> Result<(), Stopped> {
    notes.known.clones = plans(trial, scratch);
    notes.begin("git clone --local")?;
    let (clone, died_of_link) = trial.clone_with_git(scratch);
    notes.known.clones.clone_with_git = Some(clone);
    notes.known.clones.died_of_link = died_of_link;
    notes.begin("git clone --local through the shim")?;
    notes.known.clones.clone_through_shim = Some(trial.clone_through_shim(scratch));
    Ok(())
}

/// What the shim does with clones to there, before any is tried.
fn plans(trial: &Trial<'_>, to: &Scratch) -> Clones {
    Clones {
        plan_of_clone: trial.plan(None, to),
        plan_of_local_clone: trial.plan(Some(c"--local"), to),
        ..Clones::default()
    }
}

/// The kernel makes no hard link from one mount to another, so there git fails wherever the shim works.
fn clone_to_other_mount(trial: &Trial<'_>, notes: &mut Notes<Examination>) -> Result<(), Stopped> {
    let Some(here) = notes.known.filesystem.clone() else {
        return Ok(());
    };
    notes.begin("looking for another mount")?;
    let usable = |place: PathBuf| {
        let scratch = Scratch::within(&place).ok()?;
        // A filesystem that is full says nothing about links.
        let is_usable = scratch.exchangeable_in().is_none()
            && scratch
                .directory()
                .write(OsStr::new("probe"), b"probe\n", 0o600)
                .is_ok();
        if !is_usable {
            let _ = scratch.remove();
            return None;
        }
        Some((place, scratch))
    };
    let Some((place, there)) = directories::on_other_mounts(&here).find_map(usable) else {
        return Ok(());
    };
    use_and_remove(there, notes, |there, notes| {
        let directory = text::of_path(&place);
        notes.begin(&format!("git clone --local to {directory}"))?;
        let plans = plans(trial, there);
        let (clone, died_of_link) = trial.clone_with_git(there);
        notes.known.to_other_mount = Some(OtherMount {
            filesystem: Filesystem::around(&place),
            clones: Clones {
                clone_with_git: Some(clone),
                died_of_link,
                ..plans
            },
            directory: directory.clone(),
        });
        notes.begin(&format!(
            "git clone --local to {directory} through the shim"
        ))?;
        let clone = trial.clone_through_shim(there);
        if let Some(other) = &mut notes.known.to_other_mount {
            other.clones.clone_through_shim = Some(clone);
        }
        Ok(())
    })
}
