//! Whether a clone's hard links would lead from one mount to another, where the kernel refuses them all: link(2) is EXDEV
//! whenever the two mounts differ (`do_linkat` in the kernel's fs/namei.c), even if both show the same filesystem.
//!
//! Only what is certain counts: in doubt, the answer is that they need not differ.

use std::ffi::OsStr;
use std::fs;
use std::io::ErrorKind;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Component, Path, PathBuf};

use super::command_line::CloneCommand;
use super::destination;
use super::source::Repository;
use crate::process::c_string::ShortCString;
use crate::process::environment;
use crate::process::mount_id::mount_id;

/// What git would hard-link in a clone: one file, and the directory below which its new name would be.
#[derive(Debug)]
pub struct Link {
    file: PathBuf,
    directory: PathBuf,
}

impl Link {
    /// A link of `clone` from `source` that git cannot leave out. `None` if git may make none, or refuse the destination.
    #[must_use]
    pub fn of(clone: &CloneCommand<'_>, source: &Repository) -> Option<Self> {
        // It would take the place of the destination's own directory (`get_common_dir` in path.c).
        if environment::variable(c"GIT_COMMON_DIR").is_some() || source.is_shallow() {
            return None;
        }
        let destination = destination::directory(clone)?;
        if !destination::is_free(&destination) {
            return None;
        }
        let repository = match clone.separate_git_dir {
            Some(separate) => clone.directory().join(OsStr::from_bytes(separate)),
            None => destination,
        };
        Some(Self {
            file: first_object(&source.objects)?,
            directory: nearest_directory(&repository)?,
        })
    }

    /// Whether the kernel refuses this link because its two sides are on different mounts.
    #[must_use]
    pub fn leads_to_another_mount(&self) -> bool {
        let mount =
            |path: &Path| mount_id(ShortCString::of(&[path.as_os_str().as_bytes()]).as_c_str());
        if let (Some(one), Some(other)) = (mount(&self.file), mount(&self.directory)) {
            return one != other;
        }
        // An older kernel. A file can have another number than its directory (overlayfs), so directories are compared: on one
        // mount only those of different subvolumes differ, between which the kernel links nothing either (btrfs).
        let device = |directory: &Path| fs::metadata(directory).map(|found| found.dev());
        match (self.file.parent().map(device), device(&self.directory)) {
            (Some(Ok(one)), Ok(other)) => one != other,
            _ => false,
        }
    }
}

/// A file that git has to link: the first one in a pack directory or in one of the directories of loose objects.
fn first_object(objects: &Path) -> Option<PathBuf> {
    let directories = fs::read_dir(objects).ok()?.flatten().filter(|entry| {
        let name = entry.file_name();
        name == "pack" || (name.len() == 2 && name.as_bytes().iter().all(u8::is_ascii_hexdigit))
    });
    let mut files = directories.flat_map(|directory| {
        fs::read_dir(directory.path())
            .into_iter()
            .flatten()
            .flatten()
    });
    // git refuses symbolic links.
    let file = files.find(|file| file.file_type().is_ok_and(|kind| kind.is_file()))?;
    Some(file.path())
}

/// The nearest existing directory of `path`, in which git makes the rest.
///
/// `None` if the rest leads elsewhere (`..`), is a symbolic link to nothing, or cannot be looked at.
fn nearest_directory(path: &Path) -> Option<PathBuf> {
    for ancestor in path.ancestors() {
        let directory = match ancestor.as_os_str().is_empty() {
            true => Path::new("."),
            false => ancestor,
        };
        match fs::metadata(directory) {
            Ok(found) => return found.is_dir().then(|| directory.to_owned()),
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(_) => return None,
        }
        if directory.symlink_metadata().is_ok()
            || directory.components().next_back() == Some(Component::ParentDir)
        {
            return None;
        }
    }
    None
}
