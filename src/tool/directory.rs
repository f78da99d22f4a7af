//! A directory held open, in which everything is done by its descriptor: another user who exchanges a directory above it, or
//! puts a symbolic link into it, cannot lead us elsewhere.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};

use anyhow::{Error, Result, anyhow, bail};
use nix::dir::Dir;
use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag, openat, readlinkat, renameat};
use nix::libc;
use nix::sys::stat::{FileStat, Mode, fchmod, fstat, fstatat, mkdirat};
use nix::unistd::{AccessFlags, UnlinkatFlags, faccessat, fsync, linkat, symlinkat, unlinkat};

use super::text;
use super::trust;

/// As many symbolic links as the kernel follows in one path.
const LINKS: usize = 40;

/// The modes of what everybody can read.
const DIRECTORY: u32 = 0o755;

/// An open directory.
pub(super) struct Directory {
    descriptor: OwnedFd,
    path: PathBuf,
    /// The topmost directory of its path in which other users can exchange what is in it.
    exposed: Option<PathBuf>,
}

/// An error of the system, with what was tried on which file.
fn failed(what: &str, path: &Path, errno: Errno) -> Error {
    anyhow!(
        "cannot {what} {}: {}",
        text::printable_path(path),
        errno.desc()
    )
}

impl Directory {
    /// Opens the directory at this absolute path; `None` if it is not there.
    ///
    /// # Errors
    ///
    /// It cannot be entered, something on the way is no directory, or a symbolic link on the way is another user's.
    pub(super) fn find(path: &Path) -> Result<Option<Self>> {
        Self::walk(path, &mut |_, _| Ok(false))
    }

    /// Opens the directory at this absolute path, and makes it and those above it that are missing, for everybody to read
    /// whatever the umask.
    ///
    /// # Errors
    ///
    /// As of [`Directory::find`], or it cannot be made.
    pub(super) fn make(path: &Path) -> Result<Self> {
        let directory = Self::walk(path, &mut |parent, name| {
            parent.make_directory(name).map(|()| true)
        })?;
        directory.ok_or_else(|| failed("make", path, Errno::ENOENT))
    }

    /// Goes from `/` to `path` one component at a time. Where one is missing, `missing` makes it, or returns `false`.
    fn walk(
        path: &Path,
        missing: &mut dyn FnMut(&Self, &OsStr) -> Result<bool>,
    ) -> Result<Option<Self>> {
        let slash = || -> Result<Self> {
            let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
            let descriptor = nix::fcntl::open("/", flags, Mode::empty())
                .map_err(|errno| failed("open", Path::new("/"), errno))?;
            Ok(Self {
                descriptor,
                path: "/".into(),
                exposed: None,
            })
        };
        let mut here = slash()?;
        let mut ahead = components(path);
        let mut links = 0;
        while let Some(name) = ahead.pop() {
            let status = here.status()?;
            if here.exposed.is_none() && trust::is_exposed(&status) {
                here.exposed = Some(here.path.clone());
            }
            let below = here.path.join(&name);
            let flags = OFlag::O_PATH | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
            let descriptor = match openat(&here.descriptor, name.as_os_str(), flags, Mode::empty())
            {
                Ok(descriptor) => descriptor,
                Err(Errno::ENOENT) => {
                    if !missing(&here, &name)? {
                        return Ok(None);
                    }
                    ahead.push(name);
                    continue;
                }
                Err(errno) => return Err(failed("enter", &below, errno)),
            };
            let found = fstat(&descriptor).map_err(|errno| failed("examine", &below, errno))?;
            match found.st_mode & libc::S_IFMT {
                libc::S_IFDIR => {
                    let exposed = here.exposed.take();
                    here = Self {
                        descriptor,
                        path: match name == ".." {
                            true => here.path.parent().unwrap_or(Path::new("/")).to_owned(),
                            false => below,
                        },
                        exposed,
                    };
                }
                libc::S_IFLNK => {
                    links += 1;
                    if links > LINKS {
                        return Err(failed("enter", path, Errno::ELOOP));
                    }
                    if !trust::is_trusted(found.st_uid) {
                        bail!(
                            "{} is a symbolic link of another user's (uid {}), which is not followed: name the directory itself",
                            text::printable_path(&below),
                            found.st_uid
                        );
                    }
                    let target = readlinkat(&descriptor, "")
                        .map_err(|errno| failed("read the link", &below, errno))?;
                    let target = Path::new(&target);
                    if target.is_absolute() {
                        let exposed = here.exposed.take();
                        here = Self {
                            exposed,
                            ..slash()?
                        };
                    }
                    ahead.extend(components(target));
                }
                _ => bail!("{} is no directory", text::printable_path(&below)),
            }
        }
        let status = here.status()?;
        if here.exposed.is_none() && trust::is_exposed(&status) {
            here.exposed = Some(here.path.clone());
        }
        Ok(Some(here))
    }

    /// Its path, with all symbolic links resolved.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// The topmost directory of its path in which other users can exchange what is in it, itself included.
    pub(super) fn exposed(&self) -> Option<&PathBuf> {
        self.exposed.as_ref()
    }

    /// Its own status.
    ///
    /// # Errors
    ///
    /// The error of `fstat(2)`.
    pub(super) fn status(&self) -> Result<FileStat> {
        fstat(&self.descriptor).map_err(|errno| failed("examine", &self.path, errno))
    }

    /// The status of an entry, links not followed; `None` if there is none.
    ///
    /// # Errors
    ///
    /// It cannot be looked at.
    pub(super) fn entry(&self, name: &OsStr) -> Result<Option<FileStat>> {
        match fstatat(&self.descriptor, name, AtFlags::AT_SYMLINK_NOFOLLOW) {
            Ok(status) => Ok(Some(status)),
            Err(Errno::ENOENT) => Ok(None),
            Err(errno) => Err(failed("examine", &self.path.join(name), errno)),
        }
    }

    /// Whether there is an entry of this name, of whatever kind.
    ///
    /// # Errors
    ///
    /// As of [`Directory::entry`].
    pub(super) fn has(&self, name: &OsStr) -> Result<bool> {
        self.entry(name).map(|entry| entry.is_some())
    }

    /// The directory of this name in here; `None` if there is none. A symbolic link is not followed.
    ///
    /// # Errors
    ///
    /// It is something else, or cannot be opened.
    pub(super) fn subdirectory(&self, name: &OsStr) -> Result<Option<Self>> {
        let path = self.path.join(name);
        let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        match openat(&self.descriptor, name, flags, Mode::empty()) {
            Ok(descriptor) => Ok(Some(Self {
                descriptor,
                path,
                exposed: self.exposed.clone(),
            })),
            Err(Errno::ENOENT) => Ok(None),
            Err(Errno::ENOTDIR | Errno::ELOOP) => {
                bail!("{} is no directory", text::printable_path(&path))
            }
            Err(errno) => Err(failed("enter", &path, errno)),
        }
    }

    /// The directory at this relative path, as by [`Directory::subdirectory`] for each component.
    ///
    /// # Errors
    ///
    /// As of [`Directory::subdirectory`].
    pub(super) fn descend(&self, path: &Path) -> Result<Option<Self>> {
        let mut here = self.again()?;
        for component in path {
            match here.subdirectory(component)? {
                Some(below) => here = below,
                None => return Ok(None),
            }
        }
        Ok(Some(here))
    }

    fn again(&self) -> Result<Self> {
        let descriptor = self.descriptor.try_clone();
        Ok(Self {
            descriptor: descriptor.map_err(|error| anyhow!(error))?,
            path: self.path.clone(),
            exposed: self.exposed.clone(),
        })
    }

    /// Makes a directory that everybody can read. One that is there already is left as it is.
    ///
    /// # Errors
    ///
    /// The error of `mkdir(2)`, or its mode cannot be set.
    pub(super) fn make_directory(&self, name: &OsStr) -> Result<()> {
        let path = self.path.join(name);
        match mkdirat(&self.descriptor, name, Mode::from_bits_truncate(DIRECTORY)) {
            Ok(()) => {}
            Err(Errno::EEXIST) => return Ok(()),
            Err(errno) => return Err(failed("make", &path, errno)),
        }
        let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        let opened = openat(&self.descriptor, name, flags, Mode::empty());
        let opened = opened.map_err(|errno| failed("open", &path, errno))?;
        let status = fstat(&opened).map_err(|errno| failed("examine", &path, errno))?;
        // The set-group-ID bit, which a shared tree hands down, stays.
        let mode = (status.st_mode & libc::S_ISGID) | DIRECTORY;
        if status.st_mode & 0o7777 != mode {
            fchmod(&opened, Mode::from_bits_truncate(mode))
                .map_err(|errno| failed("set the mode of", &path, errno))?;
        }
        Ok(())
    }

    /// Makes a directory that only we can enter; returns whether the name was free.
    ///
    /// # Errors
    ///
    /// The error of `mkdir(2)`, but for that the name is taken.
    pub(super) fn make_private(&self, name: &OsStr) -> Result<bool> {
        match mkdirat(&self.descriptor, name, Mode::S_IRWXU) {
            Ok(()) => Ok(true),
            Err(Errno::EEXIST) => Ok(false),
            Err(errno) => Err(failed("make", &self.path.join(name), errno)),
        }
    }

    /// Makes the hard link `new` in the directory `into` of the file `name`, by the errno of link(2) if it is refused.
    ///
    /// # Errors
    ///
    /// The error of `linkat(2)`.
    pub(super) fn hard_link(&self, name: &OsStr, into: &Self, new: &OsStr) -> nix::Result<()> {
        linkat(
            &self.descriptor,
            name,
            &into.descriptor,
            new,
            AtFlags::empty(),
        )
    }

    /// Writes a new file with this mode, whatever the umask, and sees it on disk.
    ///
    /// # Errors
    ///
    /// There is an entry of this name, or it cannot be written.
    pub(super) fn write(&self, name: &OsStr, bytes: &[u8], mode: u32) -> Result<()> {
        let path = self.path.join(name);
        let flags =
            OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_EXCL | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        let descriptor = openat(&self.descriptor, name, flags, Mode::S_IRUSR | Mode::S_IWUSR)
            .map_err(|errno| failed("write", &path, errno))?;
        let mut file = File::from(descriptor);
        let written = file.write_all(bytes).and_then(|()| {
            fchmod(&file, Mode::from_bits_truncate(mode))?;
            file.sync_all()
        });
        written.map_err(|error| {
            // What there is of it is in no list of what is to be removed.
            let _ = self.remove(name);
            anyhow!(
                "cannot write {}: {}",
                text::printable_path(&path),
                text::why(&error)
            )
        })
    }

    /// Makes a symbolic link.
    ///
    /// # Errors
    ///
    /// The error of `symlink(2)`.
    pub(super) fn symlink(&self, target: &OsStr, name: &OsStr) -> Result<()> {
        symlinkat(target, &self.descriptor, name)
            .map_err(|errno| failed("make the link", &self.path.join(name), errno))
    }

    /// Where a symbolic link leads; `None` if there is no symbolic link of this name.
    ///
    /// # Errors
    ///
    /// It cannot be read.
    pub(super) fn link(&self, name: &OsStr) -> Result<Option<OsString>> {
        match readlinkat(&self.descriptor, name) {
            Ok(target) => Ok(Some(target)),
            Err(Errno::ENOENT | Errno::EINVAL) => Ok(None),
            Err(errno) => Err(failed("read the link", &self.path.join(name), errno)),
        }
    }

    /// What a regular file holds, and its status; `None` if there is no entry of this name.
    ///
    /// # Errors
    ///
    /// It is no regular file, or cannot be read.
    pub(super) fn read(&self, name: &OsStr) -> Result<Option<(Vec<u8>, FileStat)>> {
        let path = self.path.join(name);
        // Without O_NONBLOCK a FIFO in its place would keep us waiting.
        let flags = OFlag::O_RDONLY | OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK | OFlag::O_CLOEXEC;
        let descriptor = match openat(&self.descriptor, name, flags, Mode::empty()) {
            Ok(descriptor) => descriptor,
            Err(Errno::ENOENT) => return Ok(None),
            Err(Errno::ELOOP) => bail!("{} is no regular file", text::printable_path(&path)),
            Err(errno) => return Err(failed("read", &path, errno)),
        };
        let status = fstat(&descriptor).map_err(|errno| failed("examine", &path, errno))?;
        if status.st_mode & libc::S_IFMT != libc::S_IFREG {
            bail!("{} is no regular file", text::printable_path(&path));
        }
        let mut bytes = Vec::new();
        match File::from(descriptor).read_to_end(&mut bytes) {
            Ok(_) => Ok(Some((bytes, status))),
            Err(error) => bail!(
                "cannot read {}: {}",
                text::printable_path(&path),
                text::why(&error)
            ),
        }
    }

    /// Moves an entry to `to` in the directory `into`, in the place of a file that is there.
    ///
    /// # Errors
    ///
    /// The error of `rename(2)`.
    pub(super) fn rename(&self, from: &OsStr, into: &Self, to: &OsStr) -> Result<()> {
        renameat(&self.descriptor, from, &into.descriptor, to)
            .map_err(|errno| failed("write", &into.path.join(to), errno))
    }

    /// Removes a file or a symbolic link; returns whether there was one.
    ///
    /// # Errors
    ///
    /// The error of `unlink(2)`.
    pub(super) fn remove(&self, name: &OsStr) -> Result<bool> {
        match unlinkat(&self.descriptor, name, UnlinkatFlags::NoRemoveDir) {
            Ok(()) => Ok(true),
            Err(Errno::ENOENT) => Ok(false),
            Err(errno) => Err(failed("remove", &self.path.join(name), errno)),
        }
    }

    /// Removes an empty directory; returns whether none of this name is left.
    ///
    /// # Errors
    ///
    /// The error of `rmdir(2)`, but for that it is not empty.
    pub(super) fn remove_directory(&self, name: &OsStr) -> Result<bool> {
        match unlinkat(&self.descriptor, name, UnlinkatFlags::RemoveDir) {
            Ok(()) | Err(Errno::ENOENT) => Ok(true),
            Err(Errno::ENOTEMPTY | Errno::EEXIST | Errno::EBUSY | Errno::ENOTDIR) => Ok(false),
            Err(errno) => Err(failed("remove", &self.path.join(name), errno)),
        }
    }

    /// Removes a directory of this name and all that is in it, if there is one.
    ///
    /// # Errors
    ///
    /// Something in it cannot be removed.
    pub(super) fn remove_tree(&self, name: &OsStr) -> Result<()> {
        let Some(tree) = self.subdirectory(name)? else {
            return Ok(());
        };
        tree.remove_entries()?;
        match self.remove_directory(name)? {
            true => Ok(()),
            false => bail!("{} is not empty", text::printable_path(tree.path())),
        }
    }

    /// Removes all that is in it.
    ///
    /// # Errors
    ///
    /// Something in it cannot be removed.
    pub(super) fn remove_entries(&self) -> Result<()> {
        for name in self.names()? {
            match self.entry(&name)? {
                Some(entry) if entry.st_mode & libc::S_IFMT == libc::S_IFDIR => {
                    self.remove_tree(&name)?;
                }
                _ => {
                    self.remove(&name)?;
                }
            }
        }
        Ok(())
    }

    /// The names of all entries, sorted.
    ///
    /// # Errors
    ///
    /// It cannot be read.
    pub(super) fn names(&self) -> Result<Vec<OsString>> {
        let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
        let mut names = Vec::new();
        let mut opened = Dir::openat(&self.descriptor, ".", flags, Mode::empty())
            .map_err(|errno| failed("read", &self.path, errno))?;
        for entry in opened.iter() {
            let entry = entry.map_err(|errno| failed("read", &self.path, errno))?;
            let name = OsStr::from_bytes(entry.file_name().to_bytes());
            if name != "." && name != ".." {
                names.push(name.to_owned());
            }
        }
        names.sort();
        Ok(names)
    }

    /// Whether we may make and remove entries.
    pub(super) fn is_writable(&self) -> bool {
        let access = AccessFlags::W_OK | AccessFlags::X_OK;
        faccessat(&self.descriptor, ".", access, AtFlags::AT_EACCESS).is_ok()
    }

    /// Sees on disk which entries it has, so that what is done next cannot get there before.
    ///
    /// # Errors
    ///
    /// The error of `fsync(2)`, but for that this filesystem has no such thing for directories.
    pub(super) fn sync(&self) -> Result<()> {
        let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
        let synced = openat(&self.descriptor, ".", flags, Mode::empty()).and_then(fsync);
        match synced {
            Ok(()) | Err(Errno::EINVAL | Errno::ENOSYS | Errno::EACCES | Errno::EBADF) => Ok(()),
            Err(errno) => Err(failed("write", &self.path, errno)),
        }
    }

    /// A file that only we can read, for a lock; it is made if it is not there.
    ///
    /// # Errors
    ///
    /// It cannot be opened, or made.
    pub(super) fn open_private(&self, name: &OsStr) -> nix::Result<File> {
        let flags = OFlag::O_RDWR | OFlag::O_CREAT | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        let mode = Mode::S_IRUSR | Mode::S_IWUSR;
        openat(&self.descriptor, name, flags, mode).map(File::from)
    }
}

/// The components of a path, the last one first; `..` stays, and the kernel resolves it.
fn components(path: &Path) -> Vec<OsString> {
    let components = path.components().filter_map(|component| match component {
        Component::Normal(name) => Some(name.to_owned()),
        Component::ParentDir => Some("..".into()),
        Component::RootDir | Component::CurDir | Component::Prefix(_) => None,
    });
    let mut components: Vec<_> = components.collect();
    components.reverse();
    components
}
