//! The one directory that doctor writes in, on each filesystem.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use nix::sys::stat::{Mode, umask};

/// A fresh directory that only we can enter.
pub(super) struct Scratch(PathBuf);

impl Scratch {
    /// Makes one in `directory`, and sees to it that only we can enter what this process makes from now on.
    ///
    /// # Errors
    ///
    /// Nothing can be made there.
    pub(super) fn within(directory: &Path) -> io::Result<Self> {
        // Under an odd umask of the caller's, what is made here could not be removed again.
        umask(Mode::S_IRWXG | Mode::S_IRWXO);
        let template = directory.join(".git-clone-shim-doctor-XXXXXX");
        Ok(Self(nix::unistd::mkdtemp(&template)?))
    }

    pub(super) fn path(&self) -> &Path {
        &self.0
    }

    /// Removes it and all that is in it.
    ///
    /// # Errors
    ///
    /// Something of it is still there.
    pub(super) fn remove(self) -> io::Result<()> {
        fs::remove_dir_all(&self.0)
    }
}
