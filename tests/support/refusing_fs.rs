//! A FUSE filesystem that hands everything on to a backing directory, except that link(2) follows a rule.
//!
//! Each path is a node of its own, as in every FUSE filesystem that is written in terms of paths. What is missing here (extended
//! attributes, locks, special files) is answered with ENOSYS, and the kernel does without.

use std::collections::HashMap;
use std::ffi::{OsStr, OsString};
use std::fs::{self, File, Metadata, OpenOptions, Permissions};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt, PermissionsExt, lchown, symlink};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use fuser::{
    BackgroundSession, BsdFileFlags, Config, FileAttr, FileHandle, FileType, Filesystem, FopenFlags, Generation,
    INodeNo as Ino, LockOwner, MountOption, OpenFlags, RenameFlags, ReplyAttr, ReplyCreate, ReplyData, ReplyDirectory,
    ReplyEmpty, ReplyEntry, ReplyOpen, ReplyWrite, Request, TimeOrNow, WriteFlags,
};
use nix::errno::Errno;
use nix::fcntl::AT_FDCWD;
use nix::libc;
use nix::mount::{MntFlags, umount2};
use nix::sched::{CloneFlags, unshare};
use nix::sys::stat::{Mode, UtimensatFlags, umask, utimensat};
use nix::sys::time::TimeSpec;
use tempfile::TempDir;

use super::arena::Arena;
use super::arrangement;
use super::source;

/// What link(2) does on a [`RefusingFs`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LinkRule {
    /// Links inside one directory only, as on `BeeGFS` < 7.4; else this error.
    SameDirectoryOnly { errno: i32 },
    /// No links at all, as with `sshfs -o disable_hardlink`, but this error.
    Refuse { errno: i32 },
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
    source::beside_work_dir(filesystem.path(), arena)
}

/// A mounted filesystem, unmounted when dropped.
#[derive(Debug)]
pub struct RefusingFs {
    mountpoint: PathBuf,
    _session: BackgroundSession,
}

impl RefusingFs {
    /// Shows `backing` at `mountpoint`, two existing directories, with links following `rule`.
    pub fn mount(backing: &Path, mountpoint: &Path, rule: LinkRule) -> io::Result<Self> {
        let mut state = State {
            rule,
            backing: backing.canonicalize()?,
            paths: HashMap::new(),
            nodes: HashMap::new(),
            open: HashMap::new(),
            last: 0,
        };
        state.node(Path::new(""));
        let filesystem = Passthrough(Mutex::new(state));
        let mountpoint = mountpoint.canonicalize()?;
        let target = mountpoint.clone();
        let mounting = thread::spawn(move || {
            // Modes arrive with the caller's umask applied; the serving threads share this one.
            unshare(CloneFlags::CLONE_FS)?;
            umask(Mode::empty());
            let mut config = Config::default();
            // The kernel then checks permissions itself, for access(2) and exec too.
            config.mount_options = vec![MountOption::FSName("refusing-fs".into()), MountOption::DefaultPermissions];
            fuser::spawn_mount(filesystem, target, &config)
        });
        let session = mounting.join().map_err(|_| Errno::EIO)??;
        Ok(Self { mountpoint, _session: session })
    }

    /// The mountpoint, absolute and free of symbolic links.
    pub fn path(&self) -> &Path {
        &self.mountpoint
    }
}

impl Drop for RefusingFs {
    fn drop(&mut self) {
        // At once, even if another mount namespace has a copy. Without root the session does it.
        let _ = umount2(&self.mountpoint, MntFlags::MNT_DETACH);
    }
}

struct Passthrough(Mutex<State>);

/// The nodes that the kernel knows. None is forgotten: a filesystem lives as long as a test.
struct State {
    rule: LinkRule,
    backing: PathBuf,
    /// Where each node is, relative to the backing directory. A removed one is nowhere.
    paths: HashMap<Ino, PathBuf>,
    nodes: HashMap<PathBuf, Ino>,
    open: HashMap<u64, Open>,
    /// The number that was given last, to a node or to what was opened.
    last: u64,
}

/// What a process has opened: a file, or the entries of a directory as they were then.
struct Open {
    node: Ino,
    file: Arc<File>,
    listing: Vec<(FileType, OsString)>,
}

/// Node numbers are not used twice, so generations are not needed.
const GENERATION: Generation = Generation(0);

/// How long the kernel may keep an entry and its attributes. A file is looked up each time.
fn ttl(attributes: &FileAttr) -> Duration {
    Duration::from_secs((attributes.kind == FileType::Directory).into())
}

impl State {
    fn next(&mut self) -> u64 {
        self.last += 1;
        self.last
    }

    fn node(&mut self, path: &Path) -> Ino {
        if let Some(&node) = self.nodes.get(path) {
            return node;
        }
        let node = Ino(self.next());
        self.nodes.insert(path.to_owned(), node);
        self.paths.insert(node, path.to_owned());
        node
    }

    fn path(&self, node: Ino) -> io::Result<PathBuf> {
        let path = self.paths.get(&node).ok_or(Errno::ESTALE)?;
        Ok(self.backing.join(path))
    }

    fn metadata(&self, node: Ino) -> io::Result<Metadata> {
        let Ok(path) = self.path(node) else {
            // Removed, but still open.
            let mut open = self.open.values();
            let open = open.find(|open| open.node == node).ok_or(Errno::ESTALE)?;
            return open.file.metadata();
        };
        fs::symlink_metadata(path)
    }

    /// What stat(2) shows of a node.
    fn attributes(&self, node: Ino) -> io::Result<FileAttr> {
        let metadata = self.metadata(node)?;
        let mut attributes = attributes(node, &metadata);
        if self.rule != LinkRule::InodePerPath && !metadata.is_dir() {
            // Far from the nodes' own numbers.
            attributes.ino = Ino(metadata.ino() | 1 << 62);
        }
        Ok(attributes)
    }

    /// The entry `name` of `directory`, once `make` has made it.
    fn entry(
        &mut self,
        directory: Ino,
        name: &OsStr,
        make: impl FnOnce(&Path) -> io::Result<()>,
    ) -> io::Result<FileAttr> {
        make(&self.path(directory)?.join(name))?;
        let path = self.paths[&directory].join(name);
        let metadata = fs::symlink_metadata(self.backing.join(&path))?;
        // Here the number is that of the node.
        Ok(attributes(self.node(&path), &metadata))
    }

    fn link(&mut self, node: Ino, directory: Ino, name: &OsStr) -> io::Result<FileAttr> {
        let (old, new) = (self.path(node)?, self.path(directory)?.join(name));
        match self.rule {
            LinkRule::SameDirectoryOnly { errno } if old.parent() != new.parent() => {
                Err(io::Error::from_raw_os_error(errno))
            }
            LinkRule::Refuse { errno } => Err(io::Error::from_raw_os_error(errno)),
            LinkRule::Symlink => {
                let up = "../".repeat(self.paths[&directory].iter().count());
                symlink(Path::new(&up).join(&self.paths[&node]), new)?;
                // The kernel wants a file of the same kind; that it is another one, it finds at its next lookup.
                Ok(attributes(node, &fs::symlink_metadata(old)?))
            }
            _ => self.entry(directory, name, |new| fs::hard_link(old, new)),
        }
    }

    /// Forgets where the node at `path` was.
    fn leave(&mut self, path: &Path) {
        if let Some(node) = self.nodes.remove(path) {
            self.paths.remove(&node);
        }
    }

    fn remove(&mut self, directory: Ino, name: &OsStr, call: fn(PathBuf) -> io::Result<()>) -> io::Result<()> {
        call(self.path(directory)?.join(name))?;
        let path = self.paths[&directory].join(name);
        self.leave(&path);
        Ok(())
    }

    fn rename(&mut self, from: (Ino, &OsStr), to: (Ino, &OsStr), flags: RenameFlags) -> io::Result<()> {
        if !flags.is_empty() {
            return Err(Errno::EINVAL.into());
        }
        fs::rename(self.path(from.0)?.join(from.1), self.path(to.0)?.join(to.1))?;
        let [from, to] = [from, to].map(|(directory, name)| self.paths[&directory].join(name));
        self.leave(&to);
        let below = self.nodes.keys().filter(|path| path.starts_with(&from));
        for old in below.cloned().collect::<Vec<_>>() {
            let rest = old.strip_prefix(&from).unwrap();
            let new: PathBuf = to.iter().chain(rest).collect();
            let node = self.nodes.remove(&old).unwrap();
            self.paths.insert(node, new.clone());
            self.nodes.insert(new, node);
        }
        Ok(())
    }

    fn set_times(&self, node: Ino, times: [Option<TimeOrNow>; 2]) -> io::Result<()> {
        let [accessed, modified] = times.map(|time| match time {
            None => TimeSpec::UTIME_OMIT,
            Some(TimeOrNow::Now) => TimeSpec::UTIME_NOW,
            Some(TimeOrNow::SpecificTime(time)) => {
                TimeSpec::from_duration(time.duration_since(UNIX_EPOCH).unwrap_or_default())
            }
        });
        let follow = UtimensatFlags::NoFollowSymlink;
        Ok(utimensat(AT_FDCWD, &self.path(node)?, &accessed, &modified, follow)?)
    }

    fn open(&mut self, node: Ino, file: File) -> FileHandle {
        let handle = self.next();
        let open = Open { node, file: Arc::new(file), listing: Vec::new() };
        self.open.insert(handle, open);
        FileHandle(handle)
    }

    fn opened(&mut self, handle: FileHandle) -> io::Result<&mut Open> {
        Ok(self.open.get_mut(&handle.0).ok_or(Errno::EBADF)?)
    }

    /// Reads the entries of an open directory: once, so that offsets stay right while entries come and go.
    fn list(&mut self, node: Ino, handle: FileHandle) -> io::Result<()> {
        let entries = fs::read_dir(self.path(node)?)?.map(|entry| {
            let entry = entry?;
            Ok((kind(entry.file_type()?), entry.file_name()))
        });
        let dots = [".", ".."].map(|name| Ok((FileType::Directory, name.into())));
        let listing = dots.into_iter().chain(entries);
        self.opened(handle)?.listing = listing.collect::<io::Result<_>>()?;
        Ok(())
    }
}

fn kind(kind: fs::FileType) -> FileType {
    FileType::from_std(kind).unwrap_or(FileType::RegularFile)
}

fn attributes(ino: Ino, metadata: &Metadata) -> FileAttr {
    let time = |seconds: i64, nanoseconds: i64| {
        let whole = Duration::from_secs(seconds.unsigned_abs());
        UNIX_EPOCH + whole + Duration::from_nanos(nanoseconds.unsigned_abs())
    };
    FileAttr {
        ino,
        size: metadata.size(),
        blocks: metadata.blocks(),
        atime: time(metadata.atime(), metadata.atime_nsec()),
        mtime: time(metadata.mtime(), metadata.mtime_nsec()),
        ctime: time(metadata.ctime(), metadata.ctime_nsec()),
        crtime: UNIX_EPOCH,
        kind: kind(metadata.file_type()),
        perm: u16::try_from(metadata.mode() & 0o7777).unwrap(),
        nlink: u32::try_from(metadata.nlink()).unwrap(),
        uid: metadata.uid(),
        gid: metadata.gid(),
        rdev: 0,
        blksize: 4096,
        flags: 0,
    }
}

/// Sends the value of a result, or its errno: the reply types have no trait in common.
macro_rules! answer {
    ($reply:ident, $result:expr, $value:pat => $send:expr) => {
        match $result {
            Ok($value) => $send,
            Err(error) => $reply.error(fuser::Errno::from(error)),
        }
    };
}

/// The requests of the kernel.
#[rustfmt::skip]
impl Filesystem for Passthrough {
    fn lookup(&self, _: &Request, dir: Ino, name: &OsStr, reply: ReplyEntry) {
        let found = self.0.lock().unwrap().entry(dir, name, |_| Ok(()));
        answer!(reply, found, attr => reply.entry(&ttl(&attr), &attr, GENERATION));
    }

    fn getattr(&self, _: &Request, ino: Ino, _: Option<FileHandle>, reply: ReplyAttr) {
        answer!(reply, self.0.lock().unwrap().attributes(ino), attr => reply.attr(&ttl(&attr), &attr));
    }

    fn setattr(
        &self, _: &Request, ino: Ino, mode: Option<u32>, uid: Option<u32>, gid: Option<u32>, size: Option<u64>,
        atime: Option<TimeOrNow>, mtime: Option<TimeOrNow>, _: Option<SystemTime>, fh: Option<FileHandle>, _: Option<SystemTime>,
        _: Option<SystemTime>, _: Option<SystemTime>, _: Option<BsdFileFlags>, reply: ReplyAttr,
    ) {
        let set = || -> io::Result<_> {
            let mut state = self.0.lock().unwrap();
            if uid.is_some() || gid.is_some() {
                lchown(state.path(ino)?, uid, gid)?;
            }
            // After the owner, because changing that clears the set-user-id bit.
            if let Some(mode) = mode {
                fs::set_permissions(state.path(ino)?, Permissions::from_mode(mode & 0o7777))?;
            }
            match (size, fh) {
                (Some(size), Some(fh)) => state.opened(fh)?.file.set_len(size)?,
                (Some(size), None) => OpenOptions::new().write(true).open(state.path(ino)?)?.set_len(size)?,
                (None, _) => {}
            }
            if atime.is_some() || mtime.is_some() {
                state.set_times(ino, [atime, mtime])?;
            }
            state.attributes(ino)
        };
        answer!(reply, set(), attr => reply.attr(&ttl(&attr), &attr));
    }

    fn readlink(&self, _: &Request, ino: Ino, reply: ReplyData) {
        let target = self.0.lock().unwrap().path(ino).and_then(fs::read_link);
        answer!(reply, target, target => reply.data(target.as_os_str().as_bytes()));
    }

    fn mkdir(&self, _: &Request, dir: Ino, name: &OsStr, mode: u32, _: u32, reply: ReplyEntry) {
        let make = |path: &Path| Ok(nix::unistd::mkdir(path, Mode::from_bits_truncate(mode))?);
        let made = self.0.lock().unwrap().entry(dir, name, make);
        answer!(reply, made, attr => reply.entry(&ttl(&attr), &attr, GENERATION));
    }

    fn symlink(&self, _: &Request, dir: Ino, name: &OsStr, target: &Path, reply: ReplyEntry) {
        let made = self.0.lock().unwrap().entry(dir, name, |path| symlink(target, path));
        answer!(reply, made, attr => reply.entry(&ttl(&attr), &attr, GENERATION));
    }

    fn link(&self, _: &Request, ino: Ino, dir: Ino, name: &OsStr, reply: ReplyEntry) {
        answer!(reply, self.0.lock().unwrap().link(ino, dir, name), attr => reply.entry(&ttl(&attr), &attr, GENERATION));
    }

    fn unlink(&self, _: &Request, dir: Ino, name: &OsStr, reply: ReplyEmpty) {
        answer!(reply, self.0.lock().unwrap().remove(dir, name, fs::remove_file), () => reply.ok());
    }

    fn rmdir(&self, _: &Request, dir: Ino, name: &OsStr, reply: ReplyEmpty) {
        answer!(reply, self.0.lock().unwrap().remove(dir, name, fs::remove_dir), () => reply.ok());
    }

    fn rename(&self, _: &Request, dir: Ino, name: &OsStr, new_dir: Ino, new_name: &OsStr, flags: RenameFlags, reply: ReplyEmpty) {
        answer!(reply, self.0.lock().unwrap().rename((dir, name), (new_dir, new_name), flags), () => reply.ok());
    }

    fn create(&self, _: &Request, dir: Ino, name: &OsStr, mode: u32, _: u32, flags: i32, reply: ReplyCreate) {
        let create = || -> io::Result<_> {
            let mut state = self.0.lock().unwrap();
            let mut options = OpenOptions::new();
            let options = options.read(true).write(true).create(true).mode(mode);
            let file = options.custom_flags(flags & (libc::O_EXCL | libc::O_TRUNC)).open(state.path(dir)?.join(name))?;
            let attr = state.entry(dir, name, |_| Ok(()))?;
            Ok((attr, state.open(attr.ino, file)))
        };
        answer!(reply, create(), (attr, fh) => reply.created(&ttl(&attr), &attr, GENERATION, fh, FopenFlags::empty()));
    }

    fn open(&self, _: &Request, ino: Ino, flags: OpenFlags, reply: ReplyOpen) {
        let open = || -> io::Result<_> {
            let mut state = self.0.lock().unwrap();
            let access = flags.0 & libc::O_ACCMODE;
            let mut options = OpenOptions::new();
            let options = options.read(access != libc::O_WRONLY).write(access != libc::O_RDONLY);
            let file = options.custom_flags(flags.0 & libc::O_TRUNC).open(state.path(ino)?)?;
            Ok(state.open(ino, file))
        };
        answer!(reply, open(), fh => reply.opened(fh, FopenFlags::empty()));
    }

    fn read(&self, _: &Request, _: Ino, fh: FileHandle, offset: u64, size: u32, _: OpenFlags, _: Option<LockOwner>, reply: ReplyData) {
        let mut bytes = vec![0; usize::try_from(size).unwrap()];
        let file = self.0.lock().unwrap().opened(fh).map(|open| Arc::clone(&open.file));
        answer!(reply, file.and_then(|file| file.read_at(&mut bytes, offset)), read => reply.data(&bytes[..read]));
    }

    fn write(
        &self, _: &Request, _: Ino, fh: FileHandle, offset: u64, bytes: &[u8], _: WriteFlags, _: OpenFlags, _: Option<LockOwner>,
        reply: ReplyWrite,
    ) {
        let file = self.0.lock().unwrap().opened(fh).map(|open| Arc::clone(&open.file));
        let written = file.and_then(|file| file.write_at(bytes, offset));
        answer!(reply, written, written => reply.written(u32::try_from(written).unwrap()));
    }

    fn flush(&self, _: &Request, _: Ino, _: FileHandle, _: LockOwner, reply: ReplyEmpty) {
        // Not a mere success, because the kernel then stops asking: a process that exits with files open on its own mount
        // would wait for serving threads that are gone.
        reply.error(fuser::Errno::ENOSYS);
    }

    fn release(&self, _: &Request, _: Ino, fh: FileHandle, _: OpenFlags, _: Option<LockOwner>, _: bool, reply: ReplyEmpty) {
        self.0.lock().unwrap().open.remove(&fh.0);
        reply.ok();
    }

    fn opendir(&self, req: &Request, ino: Ino, flags: OpenFlags, reply: ReplyOpen) {
        self.open(req, ino, flags, reply);
    }

    fn readdir(&self, _: &Request, ino: Ino, fh: FileHandle, offset: u64, mut reply: ReplyDirectory) {
        let mut fill = || -> io::Result<()> {
            let mut state = self.0.lock().unwrap();
            // At the first call, and after rewinddir(3).
            if offset == 0 {
                state.list(ino, fh)?;
            }
            let skipped = usize::try_from(offset).unwrap();
            for ((kind, name), next) in state.opened(fh)?.listing.iter().zip(1..).skip(skipped) {
                // Any number but 0, which means none.
                if reply.add(Ino(next), next, *kind, name) {
                    break;
                }
            }
            Ok(())
        };
        answer!(reply, fill(), () => reply.ok());
    }

    fn releasedir(&self, _: &Request, _: Ino, fh: FileHandle, _: OpenFlags, reply: ReplyEmpty) {
        self.0.lock().unwrap().open.remove(&fh.0);
        reply.ok();
    }
}
