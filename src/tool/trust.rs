//! Whose files and directories an installation relies on.
//!
//! The danger is another user who can write to a directory above the installation, or to a part of it: a symbolic link in
//! the place of a file would be written through, and a manifest of theirs would have us remove what they choose.

use std::path::{Path, PathBuf};

use anyhow::{Result, bail};
use nix::libc;
use nix::sys::stat::{FileStat, stat};
use nix::unistd::geteuid;

use super::text;

/// Whether what `uid` owns can be relied on: it is ours, root's, or that of the owner of `/`, who could replace everything
/// anyway (root, in a user namespace that has no number for root).
pub(super) fn is_trusted(uid: u32) -> bool {
    let slash = stat("/").map(|slash| slash.st_uid);
    uid == 0 || uid == geteuid().as_raw() || slash == Ok(uid)
}

/// Whether users other than the trusted ones can exchange what is in this directory. A group that may write is the site's own
/// decision (`/usr/local` of Debian belongs to root:staff); in a sticky directory everybody's entries are their own.
pub(super) fn is_exposed(directory: &FileStat) -> bool {
    let mode = directory.st_mode;
    let all_write = mode & libc::S_IWOTH != 0 && mode & libc::S_ISVTX == 0;
    !is_trusted(directory.st_uid) || all_write
}

/// Refuses a directory or manifest that another user could have written.
///
/// # Errors
///
/// It belongs to such a user, or, if it is a file, users other than its owner can write to it.
pub(super) fn check(path: &Path, status: &FileStat) -> Result<()> {
    let shown = text::printable_path(path);
    if !is_trusted(status.st_uid) {
        bail!(
            "{shown} belongs to another user (uid {}): run this as that user, or use another --prefix",
            status.st_uid
        );
    }
    let is_file = status.st_mode & libc::S_IFMT == libc::S_IFREG;
    if is_file && status.st_mode & (libc::S_IWGRP | libc::S_IWOTH) != 0 {
        bail!("{shown} can be written to by other users: check what it lists, then chmod go-w");
    }
    Ok(())
}

/// Refuses to install for root below a directory in which other users can exchange what is installed.
///
/// # Errors
///
/// We are root, and `exposed` is such a directory.
pub(super) fn check_exposure(exposed: Option<&PathBuf>) -> Result<()> {
    match exposed {
        Some(directory) if geteuid().is_root() => bail!(
            "other users can replace what is in {}: run this as its owner, or use another --prefix, --modules or --profile-d",
            text::printable_path(directory)
        ),
        _ => Ok(()),
    }
}
