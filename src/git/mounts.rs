//! Whether a clone's hard links would lead from one mount to another, where the kernel refuses them all: link(2) is EXDEV
//! whenever the two mounts differ (`do_linkat` in the kernel's fs/namei.c), even if both show the same filesystem.
//!
//! Only what is certain counts: in doubt, the answer is that they need not differ.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::io::ErrorKind;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Component, Path, PathBuf};

use super::command_line::CloneCommand;
use super::destination;
use super::source::Repository;
use crate::process::c_string::ShortCString;
use crate::process::entries::Entries;
use crate::process::environment;
use crate::process::mount_id::mount_id;

/// Whether the kernel refuses every link that git would make for `clone` from `source`, because source and destination are on
/// different mounts. `false` too where git may make no link, or refuse the destination.
#[must_use]
pub fn differ(clone: &CloneCommand<'_>, source: &Repository) -> bool {
    // GIT_COMMON_DIR would take the place of the destination's own directory (`get_common_dir` in path.c).
    if environment::variable(c"GIT_COMMON_DIR").is_some() || source.is_shallow() {
        return false;
    }
    let Some(destination) = destination::directory(clone).filter(|path| destination::is_free(path))
    else {
        return false;
    };
    let repository = match clone.separate_git_dir {
        Some(separate) => clone.directory().join(OsStr::from_bytes(separate)),
        None => destination,
    };
    let Some(directory) = nearest_directory(&repository) else {
        return false;
    };
    // Most clones stay on one mount: then no directory is read.
    let here = mount(&directory);
    let packs = source.objects.join("pack");
    if here.is_some() && here == mount(&source.objects) && here == mount(&packs) {
        return false;
    }
    first_object(&source.objects).is_some_and(|file| are_on_different_mounts(&file, &directory))
}

/// The number of the mount that `path` leads to, if the kernel tells it.
fn mount(path: &Path) -> Option<u64> {
    mount_id(ShortCString::of(&[path.as_os_str().as_bytes()]).as_c_str())
}

fn are_on_different_mounts(file: &Path, directory: &Path) -> bool {
    if let (Some(one), Some(other)) = (mount(file), mount(directory)) {
        return one != other;
    }
    // An older kernel. A file can have another number than its directory (overlayfs), so directories are compared: on one
    // mount only those of different subvolumes differ, between which the kernel links nothing either (btrfs).
    let device = |directory: &Path| fs::metadata(directory).map(|found| found.dev());
    match (file.parent().map(device), device(directory)) {
        (Some(Ok(one)), Ok(other)) => one != other,
        _ => false,
    }
}

/// A file that git has to link: the first one in a pack directory or in one of the directories of loose objects.
// Seldom called, and it needs three pages of stack.
#[cold]
fn first_object(objects: &Path) -> Option<PathBuf> {
    let is_of_objects = |name: &OsString| {
        name == "pack" || (name.len() == 2 && name.as_bytes().iter().all(u8::is_ascii_hexdigit))
    };
    let names = |directory: &Path| Entries::of(directory).into_iter().flatten().flatten();
    let mut files = names(objects).filter(is_of_objects).flat_map(|name| {
        let directory = objects.join(name);
        names(&directory).map(move |name| directory.join(name))
    });
    // git refuses symbolic links.
    files.find(|file| fs::symlink_metadata(file).is_ok_and(|found| found.is_file()))
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
