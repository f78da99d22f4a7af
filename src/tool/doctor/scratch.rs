//! The one directory that doctor writes in, on each filesystem.
//!
//! Another user who can write to the directory around it could exchange it for one of his own. So it is made, used and removed by
//! its descriptor, and where it can be exchanged git, which works by paths, is not run in it.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use nix::libc;
use nix::sys::stat::{FileStat, Mode, umask};
use nix::unistd::geteuid;

use crate::tool::directory::Directory;
use crate::tool::text;

/// How often another name is tried where one is taken.
const NAMES: u32 = 100;

/// A fresh directory that only we can enter.
pub(super) struct Scratch {
    around: Directory,
    name: OsString,
    directory: Directory,
}

impl Scratch {
    /// Makes one in `around`, an absolute path, and sees to it that only we can enter what this process makes from now on.
    ///
    /// # Errors
    ///
    /// Nothing can be made there, or another user has exchanged what was made.
    pub(super) fn within(around: &Path) -> Result<Self> {
        // Under an odd umask of the caller's, what is made here could not be removed again.
        umask(Mode::S_IRWXG | Mode::S_IRWXO);
        let around = Directory::find(around)?.context("it has gone")?;
        let name = (0..NAMES)
            .map(|number| {
                OsString::from(format!(
                    ".git-clone-shim-doctor-{}-{number}",
                    std::process::id()
                ))
            })
            .find_map(|name| match around.make_private(&name) {
                Ok(false) => None,
                Ok(true) => Some(Ok(name)),
                Err(error) => Some(Err(error)),
            })
            .context("no name is free in it")??;
        let directory = around.subdirectory(&name)?.context("it has gone")?;
        let scratch = Self {
            around,
            name,
            directory,
        };
        let status = scratch.directory.status()?;
        if status.st_uid != geteuid().as_raw() && scratch.exchangeable_in().is_some() {
            // Empty, if it is the one that was made.
            let _ = scratch.around.remove_directory(&scratch.name);
            bail!(
                "what is made in it belongs to another user (uid {})",
                status.st_uid
            );
        }
        Ok(scratch)
    }

    /// The directory itself, for what works by descriptor.
    pub(super) fn directory(&self) -> &Directory {
        &self.directory
    }

    /// Its path, for git; not to be used where [`Scratch::exchangeable_in`] names a directory.
    pub(super) fn path(&self) -> &Path {
        self.directory.path()
    }

    /// The directory of its path in which another user can exchange what leads to it, if there is one.
    ///
    /// For root, also one that a group can write to. For other users the site decides which groups can write where.
    pub(super) fn exchangeable_in(&self) -> Option<PathBuf> {
        let exposed = self.around.exposed().cloned();
        exposed.or_else(|| {
            let for_root = geteuid().is_root();
            let mut above = self.around.path().ancestors();
            above
                .find(|directory| for_root && is_group_writable(directory))
                .map(Path::to_owned)
        })
    }

    /// Removes it and all that is in it, and nothing that another user has put in its place.
    ///
    /// # Errors
    ///
    /// Something of it is still there.
    pub(super) fn remove(self) -> Result<()> {
        self.directory.remove_entries()?;
        let identity = |status: &FileStat| (status.st_dev, status.st_ino);
        // On some filesystems, such as sshfs, the number of a directory changes.
        let is_moved = self.exchangeable_in().is_some() && {
            let found = self.around.entry(&self.name)?;
            found.as_ref().map(identity) != Some(identity(&self.directory.status()?))
        };
        if is_moved {
            bail!("another user moved {}", text::of_path(self.path()));
        }
        match self.around.remove_directory(&self.name)? {
            true => Ok(()),
            false => bail!("{} is not empty", text::of_path(self.path())),
        }
    }
}

/// Whether a group other than root's can exchange what is in `directory`.
fn is_group_writable(directory: &Path) -> bool {
    nix::sys::stat::stat(directory).is_ok_and(|status| {
        let mode = status.st_mode;
        mode & libc::S_IWGRP != 0 && mode & libc::S_ISVTX == 0 && status.st_gid != 0
    })
}
