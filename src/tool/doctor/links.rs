//! Whether hard links can be made, and are what they should be.

use std::ffi::OsStr;

use anyhow::{Context, Result};
use nix::libc;
use nix::sys::stat::FileStat;

use super::report::Check;
use crate::tool::directory::Directory;

/// The name of the file that is linked.
const FILE: &str = "file";

/// The file that is linked, and the two directories in which links to it are made.
pub(super) struct Links {
    here: Directory,
    there: Directory,
}

impl Links {
    /// Makes a file in one directory of `scratch` and an empty directory beside that one.
    ///
    /// # Errors
    ///
    /// The filesystem's.
    pub(super) fn prepare(scratch: &Directory) -> Result<Self> {
        let make = |name: &str| {
            scratch.make_private(OsStr::new(name))?;
            scratch
                .subdirectory(OsStr::new(name))?
                .context("it has gone")
        };
        let (here, there) = (make("here")?, make("there")?);
        here.write(OsStr::new(FILE), b"git-clone-shim doctor\n", 0o600)?;
        Ok(Self { here, there })
    }

    /// Links the file to a name in its own directory: whether that could be done, and if so, whether the link is the same file.
    pub(super) fn inside(&self) -> (Check, Option<Check>) {
        self.link(&self.here)
    }

    /// The same from one directory to the other.
    pub(super) fn across(&self) -> (Check, Option<Check>) {
        self.link(&self.there)
    }

    fn link(&self, into: &Directory) -> (Check, Option<Check>) {
        let (file, link) = (OsStr::new(FILE), OsStr::new("link"));
        let before = self.here.entry(file);
        if let Err(errno) = self.here.hard_link(file, into, link) {
            return (Check::failed(errno.desc().to_owned()), None);
        }
        // As git does it after each link (`copy_or_link_directory` in builtin/clone.c): what the file was before is what the
        // link has to be.
        let same = match (before, into.entry(link)) {
            (Ok(Some(before)), Ok(Some(link))) => match difference(&before, &link) {
                None => Check::passed(),
                Some(difference) => Check::failed(difference),
            },
            (Err(error), _) | (_, Err(error)) => Check::failed(format!("{error:#}")),
            _ => Check::failed("it has gone".to_owned()),
        };
        (Check::passed(), Some(same))
    }
}

fn difference(file: &FileStat, link: &FileStat) -> Option<String> {
    Some(if link.st_mode & libc::S_IFMT == libc::S_IFLNK {
        "a symbolic link".to_owned()
    } else if file.st_ino != link.st_ino {
        format!(
            "another inode number, {} and not {}",
            link.st_ino, file.st_ino
        )
    } else if file.st_dev != link.st_dev {
        "another device".to_owned()
    } else if file.st_mode != link.st_mode {
        format!(
            "another mode, {:o} and not {:o}",
            link.st_mode, file.st_mode
        )
    } else if (file.st_uid, file.st_gid) != (link.st_uid, link.st_gid) {
        "another owner".to_owned()
    } else if file.st_size != link.st_size {
        "another size".to_owned()
    } else {
        return None;
    })
}
