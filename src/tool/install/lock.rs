//! One installation, activation or removal at a time.

use std::ffi::OsStr;
use std::fs::File;
use std::mem;
use std::os::unix::fs::MetadataExt;
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, anyhow};
use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};

use super::error::interrupted;
use crate::failure;
use crate::tool::directory::Directory;
use crate::tool::text;

/// The file that is locked. NFS locks no directory: there an exclusive lock needs a descriptor that can be written to.
const NAME: &str = ".git-clone-shim.lock";

/// How long to wait before a lock that is held is tried again.
const RETRY_AFTER: Duration = Duration::from_millis(50);

/// A lock on a tree of versions. Dropped, it is released and its file removed.
pub(super) struct Lock<'a> {
    root: &'a Directory,
    /// `None` where the filesystem has no locks.
    held: Option<Held>,
}

/// A locked file. It is closed at the end of this process at the latest, which releases the lock.
struct Held(Option<Flock<File>>);

impl Drop for Held {
    fn drop(&mut self) {
        // Dropped, a lock of nix's panics where it cannot be released.
        if let Some(Err((locked, _))) = self.0.take().map(Flock::unlock) {
            mem::forget(locked);
        }
    }
}

impl<'a> Lock<'a> {
    /// Locks the tree in `root`, waiting for another process that has locked it. `None` if the tree was removed meanwhile.
    ///
    /// # Errors
    ///
    /// The tree cannot be written to, or a termination signal arrived.
    pub(super) fn take(root: &'a Directory) -> Result<Option<Self>> {
        loop {
            let file = match root.open_private(OsStr::new(NAME)) {
                Ok(file) => file,
                Err(Errno::ENOENT) => return Ok(None),
                Err(errno) => {
                    let root = text::printable_path(root.path());
                    return Err(anyhow!("cannot write to {root}: {}", errno.desc()));
                }
            };
            let held = lock(file, root)?;
            let Some(locked) = held.as_ref().and_then(|held| held.0.as_ref()) else {
                return Ok(Some(Self { root, held }));
            };
            // Its last holder may have removed the file after we opened it: then the lock is on nothing.
            let ours = locked.metadata().context("cannot examine the lock")?;
            let entry = root.entry(OsStr::new(NAME))?;
            if entry.is_some_and(|entry| (entry.st_dev, entry.st_ino) == (ours.dev(), ours.ino())) {
                return Ok(Some(Self { root, held }));
            }
        }
    }
}

impl Drop for Lock<'_> {
    fn drop(&mut self) {
        // While it is still locked: another process that waits for it sees that it is gone, and makes one anew.
        let _ = self.root.remove(OsStr::new(NAME));
        self.held = None;
    }
}

/// Tries again and again instead of waiting in `flock(2)`: a termination signal that came just before would not end that.
fn lock(mut file: File, root: &Directory) -> Result<Option<Held>> {
    let mut waits = false;
    loop {
        let errno;
        (file, errno) = match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
            Ok(locked) => return Ok(Some(Held(Some(locked)))),
            Err(refused) => refused,
        };
        let root = || text::printable_path(root.path());
        if !matches!(errno, Errno::EWOULDBLOCK | Errno::EINTR) {
            failure::print(&format!(
                "{} cannot be locked ({}): let nothing else install there meanwhile",
                root(),
                errno.desc()
            ));
            return Ok(None);
        }
        if !waits {
            failure::print(&format!(
                "waiting for another process that changes {} …",
                root()
            ));
            waits = true;
        }
        interrupted()?;
        thread::sleep(RETRY_AFTER);
    }
}
