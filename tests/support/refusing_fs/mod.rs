//! A FUSE filesystem that hands everything on to a backing directory, except that link(2) follows
//! a rule.
//!
//! The kernel keeps many thousand nodes in mind, too many to hold each open: a node is found again
//! by the names under which it was looked up, or by what a process has open if it has none left.
//! The backing directory must lie on a single filesystem, because its inode numbers are passed on.

mod nodes;
mod passthrough;
mod replies;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc};
use std::thread;
use std::time::Duration;

use fuser::{BackgroundSession, Config, FileHandle, MountOption};
use nix::errno::Errno;
use nix::mount::{MntFlags, umount2};
use nix::sched::{CloneFlags, unshare};
use nix::sys::stat::{Mode, umask};

use tempfile::TempDir;

use super::arena::Arena;
use super::arrangement;
use super::source;
use nodes::{Open, State};

/// Several requests are served at once, though none waits for anything but the backing filesystem.
const THREADS: usize = 4;

/// What link(2) does on a [`RefusingFs`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LinkRule {
    /// Links inside one directory only, as on `BeeGFS` < 7.4.
    SameDirectoryOnly {
        /// The answer when the parent directories differ.
        errno: i32,
    },
    /// No links at all, as with `sshfs -o disable_hardlink`.
    Refuse {
        /// The answer to every link(2).
        errno: i32,
    },
    /// Links succeed, but every path has an inode number of its own, as on sshfs and CIFS.
    InodePerPath,
    /// Links are made as symbolic links, as on `BeeGFS` with `sysCreateHardlinksAsSymlinks`.
    Symlink,
}

/// Mounts a filesystem with this rule on a temporary directory, if this machine can.
#[track_caller]
pub fn mount(rule: LinkRule) -> Option<(TempDir, RefusingFs)> {
    let directory = tempfile::tempdir().unwrap();
    let [backing, mountpoint] = ["backing", "mount"].map(|name| directory.path().join(name));
    fs::create_dir(&backing).unwrap();
    fs::create_dir(&mountpoint).unwrap();
    match RefusingFs::mount(&backing, &mountpoint, rule) {
        // In this order, so that it is unmounted before its directories are removed.
        Ok(filesystem) => Some((directory, filesystem)),
        Err(error) => {
            arrangement::missing(&format!("FUSE filesystem to mount ({error})"));
            None
        }
    }
}

/// Moves the working directory of `arena` to a new directory on `filesystem`, and makes a source beside it.
///
/// Clones there should be quiet (`-q`): on a busy machine an attempt on a FUSE filesystem can take more than the second for
/// which the shim holds git's stderr, and then git's first line is seen twice.
pub fn arena_on(filesystem: &RefusingFs, arena: Arena) -> (Arena, PathBuf) {
    let directory = tempfile::tempdir_in(filesystem.path()).unwrap().keep();
    let work_dir = directory.join("work");
    fs::create_dir(&work_dir).unwrap();
    let made = source::small(&arena, "src");
    let source = directory.join("src");
    let copied = Command::new("cp")
        .arg("-R")
        .arg(&made)
        .arg(&source)
        .status()
        .unwrap();
    assert!(copied.success());
    (arena.in_directory(&work_dir), source)
}

/// A mounted filesystem, unmounted when dropped.
#[derive(Debug)]
pub struct RefusingFs {
    mountpoint: PathBuf,
    session: Option<BackgroundSession>,
}

impl RefusingFs {
    /// Shows `backing` at `mountpoint`, two existing directories, with links following `rule`.
    ///
    /// # Errors
    /// When the errno of `rule` is no errno, a directory cannot be opened, or mounting is not
    /// possible: no `/dev/fuse`, or neither root nor `fusermount3`.
    pub fn mount(backing: &Path, mountpoint: &Path, rule: LinkRule) -> io::Result<Self> {
        if let LinkRule::SameDirectoryOnly { errno } | LinkRule::Refuse { errno } = rule {
            // The kernel rejects any other answer, and the caller would wait for ever.
            if !(1..512).contains(&errno) {
                return Err(Errno::EINVAL.into());
            }
        }
        let mountpoint = mountpoint.canonicalize()?;
        let filesystem = Passthrough(Mutex::new(State::new(backing, rule)?));
        let mut config = Config::default();
        // The kernel then checks permissions itself, for access(2) and exec too.
        config.mount_options = vec![
            MountOption::FSName("refusing-fs".into()),
            MountOption::DefaultPermissions,
        ];
        config.n_threads = Some(THREADS);

        let target = mountpoint.clone();
        let session = thread::Builder::new()
            .spawn(move || {
                // Modes arrive with the caller's umask applied; the serving threads share this one.
                unshare(CloneFlags::CLONE_FS)?;
                umask(Mode::empty());
                fuser::spawn_mount(filesystem, target, &config)
            })?
            .join()
            .map_err(|_| io::Error::other("mounting panicked"))??;
        Ok(Self {
            mountpoint,
            session: Some(session),
        })
    }

    /// The mountpoint, absolute and free of symbolic links.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.mountpoint
    }
}

impl Drop for RefusingFs {
    fn drop(&mut self) {
        let Some(session) = self.session.take() else {
            return;
        };
        let mountpoint = self.mountpoint.clone();
        let (done, finished) = mpsc::channel::<()>();
        let unmount = move || {
            let _done = done;
            // Only for EBUSY: after any other error this could hit an older mount underneath.
            if session
                .umount_and_join()
                .is_err_and(|error| error.raw_os_error() == Some(Errno::EBUSY as i32))
            {
                let _ = umount2(&mountpoint, MntFlags::MNT_DETACH);
            }
        };
        // Not joined, because a copy of the mount in another mount namespace keeps a session alive.
        if thread::Builder::new().spawn(unmount).is_ok() {
            let _ = finished.recv_timeout(Duration::from_secs(5));
        }
    }
}

#[derive(Debug)]
struct Passthrough(Mutex<State>);

impl Passthrough {
    fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.0)
    }

    fn opened(&self, handle: FileHandle) -> io::Result<Arc<Open>> {
        Ok(self
            .state()
            .open
            .get(&handle)
            .cloned()
            .ok_or(Errno::EBADF)?)
    }
}

/// Nothing panics while it holds a lock, and if something did, the data would still be whole.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
