//! The requests of the kernel, carried out in the backing directory.

use std::ffi::OsStr;
use std::fs::{self, File, Permissions};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileExt, PermissionsExt};
use std::path::Path;
use std::time::SystemTime;

use fuser::{
    BsdFileFlags, FileHandle, Filesystem, FopenFlags, INodeNo as Ino, LockOwner, OpenFlags,
    RenameFlags, ReplyAttr, ReplyCreate, ReplyData, ReplyDirectory, ReplyEmpty, ReplyEntry,
    ReplyOpen, ReplyStatfs, ReplyWrite, Request, TimeOrNow, WriteFlags,
};
use nix::fcntl::{AT_FDCWD, AtFlags, OFlag, openat, readlinkat};
use nix::sys::stat::{Mode, SFlag, UtimensatFlags, mkdirat, mknodat, utimensat};
use nix::sys::statvfs::fstatvfs;
use nix::unistd::{Gid, Uid, UnlinkatFlags, fchownat, linkat, symlinkat};

use super::nodes::{magic_link, reopen};
use super::replies::{GENERATION, answer, timespec, ttl};
use super::{LinkRule, Passthrough, lock};

/// The flags of open(2) for the backing file; the kernel sees to `O_APPEND` and the like itself.
const OPEN_FLAGS: OFlag = OFlag::O_ACCMODE.union(OFlag::O_TRUNC);

/// What is missing here (extended attributes, locks, ranges) is answered with ENOSYS, and the
/// kernel does without.
impl Filesystem for Passthrough {
    fn lookup(&self, req: &Request, dir: Ino, name: &OsStr, reply: ReplyEntry) {
        let found = self.state().entry(req, dir, name, |_| Ok(()));
        answer!(reply, found, attr => reply.entry(&ttl(&attr), &attr, GENERATION));
    }

    fn forget(&self, _: &Request, ino: Ino, lookups: u64) {
        self.state().forget(ino, lookups);
    }

    fn getattr(&self, _: &Request, ino: Ino, _: Option<FileHandle>, reply: ReplyAttr) {
        answer!(reply, self.state().attributes(ino), attr => reply.attr(&ttl(&attr), &attr));
    }

    fn setattr(
        &self,
        _: &Request,
        ino: Ino,
        mode: Option<u32>,
        uid: Option<u32>,
        gid: Option<u32>,
        size: Option<u64>,
        atime: Option<TimeOrNow>,
        mtime: Option<TimeOrNow>,
        _: Option<SystemTime>,
        fh: Option<FileHandle>,
        _: Option<SystemTime>,
        _: Option<SystemTime>,
        _: Option<SystemTime>,
        _: Option<BsdFileFlags>,
        reply: ReplyAttr,
    ) {
        let set = || {
            let node = self.state().find(ino)?;
            if uid.is_some() || gid.is_some() {
                let (uid, gid) = (uid.map(Uid::from_raw), gid.map(Gid::from_raw));
                fchownat(&node, "", uid, gid, AtFlags::AT_EMPTY_PATH)?;
            }
            // After the owner, because changing that clears the set-user-id bit.
            if let Some(mode) = mode {
                fs::set_permissions(magic_link(&node), Permissions::from_mode(mode & 0o7777))?;
            }
            match (size, fh) {
                (Some(size), Some(fh)) => self.opened(fh)?.file.set_len(size)?,
                (Some(size), None) => reopen(&node, OFlag::O_WRONLY)?.set_len(size)?,
                (None, _) => {}
            }
            if atime.is_some() || mtime.is_some() {
                // The path leads to a symbolic link itself, not on to its target.
                let (path, follow) = (magic_link(&node), UtimensatFlags::FollowSymlink);
                utimensat(AT_FDCWD, &path, &timespec(atime), &timespec(mtime), follow)?;
            }
            self.state().attributes(ino)
        };
        answer!(reply, set(), attr => reply.attr(&ttl(&attr), &attr));
    }

    fn readlink(&self, _: &Request, ino: Ino, reply: ReplyData) {
        let target = self
            .state()
            .find(ino)
            .and_then(|node| Ok(readlinkat(node, "")?));
        answer!(reply, target, target => reply.data(target.as_bytes()));
    }

    fn mknod(
        &self,
        req: &Request,
        dir: Ino,
        name: &OsStr,
        mode: u32,
        _: u32,
        device: u32,
        reply: ReplyEntry,
    ) {
        let (kind, mode) = (
            SFlag::from_bits_truncate(mode),
            Mode::from_bits_truncate(mode),
        );
        let make = |at: &File| Ok(mknodat(at, name, kind, mode, device.into())?);
        let attr = self.state().entry(req, dir, name, make);
        answer!(reply, attr, attr => reply.entry(&ttl(&attr), &attr, GENERATION));
    }

    fn mkdir(&self, req: &Request, dir: Ino, name: &OsStr, mode: u32, _: u32, reply: ReplyEntry) {
        let make = |at: &File| Ok(mkdirat(at, name, Mode::from_bits_truncate(mode))?);
        let attr = self.state().entry(req, dir, name, make);
        answer!(reply, attr, attr => reply.entry(&ttl(&attr), &attr, GENERATION));
    }

    fn symlink(&self, req: &Request, dir: Ino, name: &OsStr, target: &Path, reply: ReplyEntry) {
        let make = |at: &File| Ok(symlinkat(target, at, name)?);
        let attr = self.state().entry(req, dir, name, make);
        answer!(reply, attr, attr => reply.entry(&ttl(&attr), &attr, GENERATION));
    }

    fn link(&self, req: &Request, ino: Ino, dir: Ino, name: &OsStr, reply: ReplyEntry) {
        let link = || {
            let mut state = self.state();
            state.refusal(req, ino, dir)?;
            if state.rule == LinkRule::Symlink {
                let ((parent, old), target) = state.way(ino, dir)?;
                symlinkat(&target, state.find(dir)?, name)?;
                // The kernel wants a file of the same kind; that it is another one, it finds at its next lookup.
                return state.entry(req, parent, &old, |_| Ok(()));
            }
            let (node, follow) = (state.find(ino)?, AtFlags::AT_SYMLINK_FOLLOW);
            state.entry(req, dir, name, |at| {
                Ok(linkat(AT_FDCWD, &magic_link(&node), at, name, follow)?)
            })
        };
        answer!(reply, link(), attr => reply.entry(&ttl(&attr), &attr, GENERATION));
    }

    fn unlink(&self, _: &Request, dir: Ino, name: &OsStr, reply: ReplyEmpty) {
        let file = UnlinkatFlags::NoRemoveDir;
        answer!(reply, self.state().remove(&(dir, name.into()), file), () => reply.ok());
    }

    fn rmdir(&self, _: &Request, dir: Ino, name: &OsStr, reply: ReplyEmpty) {
        let directory = UnlinkatFlags::RemoveDir;
        answer!(reply, self.state().remove(&(dir, name.into()), directory), () => reply.ok());
    }

    fn rename(
        &self,
        _: &Request,
        dir: Ino,
        name: &OsStr,
        new_dir: Ino,
        new_name: &OsStr,
        flags: RenameFlags,
        reply: ReplyEmpty,
    ) {
        let (from, to) = ((dir, name.into()), (new_dir, new_name.into()));
        answer!(reply, self.state().rename(&from, &to, flags), () => reply.ok());
    }

    fn create(
        &self,
        req: &Request,
        dir: Ino,
        name: &OsStr,
        mode: u32,
        _: u32,
        flags: i32,
        reply: ReplyCreate,
    ) {
        let create = || -> io::Result<_> {
            let flags = OFlag::from_bits_truncate(flags) & (OPEN_FLAGS | OFlag::O_EXCL);
            let flags = flags | OFlag::O_CREAT | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
            let mode = Mode::from_bits_truncate(mode);
            let mut state = self.state();
            let file = File::from(openat(state.find(dir)?, name, flags, mode)?);
            let attr = state.enter(req, (dir, name.into()), &file)?;
            Ok((attr, state.open(attr.ino, file)))
        };
        answer!(reply, create(), (attr, fh) => {
            reply.created(&ttl(&attr), &attr, GENERATION, fh, FopenFlags::empty());
        });
    }

    fn open(&self, _: &Request, ino: Ino, flags: OpenFlags, reply: ReplyOpen) {
        let flags = OFlag::from_bits_truncate(flags.0) & OPEN_FLAGS;
        let open = || -> io::Result<_> {
            let mut state = self.state();
            let file = reopen(&state.find(ino)?, flags)?;
            Ok(state.open(ino, file))
        };
        answer!(reply, open(), fh => reply.opened(fh, FopenFlags::empty()));
    }

    fn read(
        &self,
        _: &Request,
        _: Ino,
        fh: FileHandle,
        offset: u64,
        size: u32,
        _: OpenFlags,
        _: Option<LockOwner>,
        reply: ReplyData,
    ) {
        let mut data = vec![0; usize::try_from(size).unwrap_or_default()];
        let read = self
            .opened(fh)
            .and_then(|open| open.file.read_at(&mut data, offset));
        answer!(reply, read, read => {
            data.truncate(read);
            reply.data(&data);
        });
    }

    fn write(
        &self,
        _: &Request,
        _: Ino,
        fh: FileHandle,
        offset: u64,
        data: &[u8],
        _: WriteFlags,
        _: OpenFlags,
        _: Option<LockOwner>,
        reply: ReplyWrite,
    ) {
        let written = self
            .opened(fh)
            .and_then(|open| open.file.write_at(data, offset));
        answer!(reply, written, written => {
            reply.written(u32::try_from(written).unwrap_or(u32::MAX));
        });
    }

    fn flush(&self, _: &Request, _: Ino, _: FileHandle, _: LockOwner, reply: ReplyEmpty) {
        // Not a mere success, because the kernel then stops asking: a process that exits with files
        // open on its own mount would wait for serving threads that are gone.
        reply.error(fuser::Errno::ENOSYS);
    }

    fn fsync(&self, _: &Request, _: Ino, fh: FileHandle, data: bool, reply: ReplyEmpty) {
        let sync = if data {
            File::sync_data
        } else {
            File::sync_all
        };
        let synced = self.opened(fh).and_then(|open| sync(&open.file));
        answer!(reply, synced, () => reply.ok());
    }

    fn release(
        &self,
        _: &Request,
        _: Ino,
        fh: FileHandle,
        _: OpenFlags,
        _: Option<LockOwner>,
        _: bool,
        reply: ReplyEmpty,
    ) {
        self.state().open.remove(&fh);
        reply.ok();
    }

    fn opendir(&self, req: &Request, ino: Ino, flags: OpenFlags, reply: ReplyOpen) {
        self.open(req, ino, flags, reply);
    }

    fn readdir(
        &self,
        _: &Request,
        ino: Ino,
        fh: FileHandle,
        offset: u64,
        mut reply: ReplyDirectory,
    ) {
        let mut fill = || -> io::Result<()> {
            let open = self.opened(fh)?;
            // At the first call, and after rewinddir(3).
            if offset == 0 {
                *lock(&open.listing) = self.state().list(ino, &open.file)?;
            }
            let listing = lock(&open.listing);
            let skipped = usize::try_from(offset).unwrap_or(usize::MAX);
            for ((ino, kind, name), next) in listing.iter().zip(1..).skip(skipped) {
                if reply.add(*ino, next, *kind, name) {
                    break;
                }
            }
            Ok(())
        };
        answer!(reply, fill(), () => reply.ok());
    }

    fn releasedir(&self, _: &Request, _: Ino, fh: FileHandle, _: OpenFlags, reply: ReplyEmpty) {
        self.state().open.remove(&fh);
        reply.ok();
    }

    fn statfs(&self, _: &Request, ino: Ino, reply: ReplyStatfs) {
        let narrow = |value| u32::try_from(value).unwrap_or(u32::MAX);
        let space = self.state().find(ino).and_then(|node| Ok(fstatvfs(node)?));
        answer!(reply, space, space => reply.statfs(
            space.blocks(),
            space.blocks_free(),
            space.blocks_available(),
            space.files(),
            space.files_free(),
            narrow(space.block_size()),
            narrow(space.name_max()),
            narrow(space.fragment_size()),
        ));
    }
}
