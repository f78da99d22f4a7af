//! The files and directories that the kernel or a process knows, and how each is found again.

use std::collections::HashMap;
use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::{DirEntryExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use fuser::{FileAttr, FileHandle, FileType, INodeNo as Ino, RenameFlags, Request};
use nix::errno::Errno;
use nix::fcntl::{OFlag, open, openat};
use nix::sys::stat::Mode;
use nix::unistd::{UnlinkatFlags, unlinkat};

use super::LinkRule;
use super::replies::{attributes, kind};

/// How a node is opened for a moment, to work on it whatever happens to its names.
const NODE_FLAGS: OFlag = OFlag::O_PATH
    .union(OFlag::O_NOFOLLOW)
    .union(OFlag::O_CLOEXEC);

/// A name and the node of the directory it is in.
pub(super) type Name = (Ino, OsString);

/// A file or directory known to the kernel.
#[derive(Debug)]
struct Node {
    /// The inode number on the backing filesystem.
    backing: u64,
    /// The inode number to show.
    number: u64,
    /// Where it was looked up or moved to, the latest name last.
    names: Vec<Name>,
    /// How many lookups the kernel has yet to forget.
    lookups: u64,
}

impl Node {
    fn new(backing: u64, number: u64) -> Self {
        Self {
            backing,
            number,
            names: Vec::new(),
            lookups: 0,
        }
    }

    fn add(&mut self, name: Name) {
        self.names.retain(|known| *known != name);
        self.names.push(name);
    }
}

/// A file or directory that a process has open.
#[derive(Debug)]
pub(super) struct Open {
    ino: Ino,
    pub(super) file: File,
    /// Of a directory, taken once, so that offsets stay right while entries come and go.
    pub(super) listing: Mutex<Vec<(Ino, FileType, OsString)>>,
}

/// Locked during everything but reading and writing, so that names and disk never disagree.
#[derive(Debug)]
pub(super) struct State {
    pub(super) rule: LinkRule,
    root: File,
    nodes: HashMap<Ino, Node>,
    /// The nodes that have a name, by the inode numbers they show.
    ids: HashMap<u64, Ino>,
    /// The newest node: unlike inode numbers, ids are not used twice.
    last: Ino,
    /// What each thread looked up last, and where: LINK names only the node of its source, but
    /// comes from the thread that has just looked it up.
    last_lookups: HashMap<u32, (Ino, Ino)>,
    /// The open files, by their descriptors here, which serve as handles.
    pub(super) open: HashMap<FileHandle, Arc<Open>>,
}

impl State {
    pub(super) fn new(backing: &Path, rule: LinkRule) -> io::Result<Self> {
        let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
        let root = File::from(open(backing, flags, Mode::empty())?);
        let number = root.metadata()?.ino();
        Ok(Self {
            rule,
            root,
            nodes: HashMap::from([(Ino::ROOT, Node::new(number, number))]),
            ids: HashMap::from([(number, Ino::ROOT)]),
            last: Ino::ROOT,
            last_lookups: HashMap::new(),
            open: HashMap::new(),
        })
    }

    fn node(&self, ino: Ino) -> io::Result<&Node> {
        Ok(self.nodes.get(&ino).ok_or(Errno::ESTALE)?)
    }

    /// Opens a node for a moment.
    pub(super) fn find(&self, ino: Ino) -> io::Result<File> {
        let node = self.node(ino)?;
        if ino == Ino::ROOT {
            return self.root.try_clone();
        }
        let named = node.names.iter().rev().find_map(|name| {
            let file = openat(&self.root, &self.path(name)?, NODE_FLAGS, Mode::empty());
            let file = File::from(file.ok()?);
            (file.metadata().ok()?.ino() == node.backing).then_some(file)
        });
        let opened = || {
            let open = self
                .open
                .values()
                .find(|open| open.ino == ino)
                .ok_or(Errno::ESTALE)?;
            reopen(&open.file, OFlag::O_PATH)
        };
        named.map_or_else(opened, Ok)
    }

    /// The path of a name, relative to the backing directory.
    fn path<'a>(&'a self, mut name: &'a Name) -> Option<PathBuf> {
        let mut names = vec![&name.1];
        while name.0 != Ino::ROOT {
            name = self.nodes.get(&name.0)?.names.last()?;
            names.push(&name.1);
            // No path is this deep, unless directories were moved on the backing filesystem.
            (names.len() < 4096).then_some(())?;
        }
        Some(names.into_iter().rev().collect())
    }

    /// The name of a node, and the relative path that leads to it from `directory`.
    pub(super) fn way(&self, ino: Ino, directory: Ino) -> io::Result<(Name, PathBuf)> {
        let path = |node: &Node| Some((node.names.last()?.clone(), self.path(node.names.last()?)?));
        let (name, target) = path(self.node(ino)?).ok_or(Errno::ESTALE)?;
        let up = path(self.node(directory)?).map_or(0, |(_, path)| path.iter().count());
        Ok((name, Path::new(&"../".repeat(up)).join(target)))
    }

    pub(super) fn attributes(&self, ino: Ino) -> io::Result<FileAttr> {
        Ok(attributes(
            Ino(self.node(ino)?.number),
            &self.find(ino)?.metadata()?,
        ))
    }

    /// The inode number to show for an entry.
    fn number(&self, (parent, name): &Name, backing: u64, kind: FileType) -> io::Result<u64> {
        if self.rule != LinkRule::InodePerPath || kind == FileType::Directory {
            return Ok(backing);
        }
        // The backing number is part of it: a file that replaces another one is a new file.
        let mut hasher = DefaultHasher::new();
        (self.node(*parent)?.number, name, backing).hash(&mut hasher);
        // The second highest bit keeps clear of real inode numbers, and of negative ones.
        Ok(hasher.finish() >> 2 | 1 << 62)
    }

    /// Counts one lookup of `file`, which is called `name`.
    pub(super) fn enter(&mut self, req: &Request, name: Name, file: &File) -> io::Result<FileAttr> {
        let metadata = file.metadata()?;
        let number = self.number(&name, metadata.ino(), kind(metadata.file_type()))?;
        let ino = *self.ids.entry(number).or_insert_with(|| {
            self.last.0 += 1;
            self.last
        });
        // Directories on the way to a link's new name must not displace its source.
        if !metadata.is_dir() {
            self.last_lookups.insert(req.pid(), (ino, name.0));
        }
        let new = || Node::new(metadata.ino(), number);
        let node = self.nodes.entry(ino).or_insert_with(new);
        node.lookups += 1;
        node.add(name);
        Ok(attributes(ino, &metadata))
    }

    /// Enters the entry `name` of `parent`, once `make` has made it.
    pub(super) fn entry(
        &mut self,
        req: &Request,
        parent: Ino,
        name: &OsStr,
        make: impl FnOnce(&File) -> io::Result<()>,
    ) -> io::Result<FileAttr> {
        let directory = self.find(parent)?;
        make(&directory)?;
        let file = openat(directory, name, NODE_FLAGS, Mode::empty())?;
        self.enter(req, (parent, name.into()), &file.into())
    }

    /// The node that has this name, if the kernel knows one.
    fn known(&self, name: &Name) -> Option<Ino> {
        let file = openat(self.find(name.0).ok()?, &*name.1, NODE_FLAGS, Mode::empty());
        let metadata = File::from(file.ok()?).metadata().ok()?;
        let number = self.number(name, metadata.ino(), kind(metadata.file_type()));
        self.ids.get(&number.ok()?).copied()
    }

    pub(super) fn forget(&mut self, ino: Ino, lookups: u64) {
        let Some(node) = self.nodes.get_mut(&ino) else {
            return;
        };
        node.lookups = node.lookups.saturating_sub(lookups);
        if node.lookups == 0 && ino != Ino::ROOT {
            let number = node.number;
            self.nodes.remove(&ino);
            if self.ids.get(&number) == Some(&ino) {
                self.ids.remove(&number);
            }
        }
    }

    fn add_name(&mut self, ino: Option<Ino>, name: Name) {
        if let Some(node) = ino.and_then(|ino| self.nodes.get_mut(&ino)) {
            node.add(name);
        }
    }

    fn remove_name(&mut self, ino: Option<Ino>, name: &Name) {
        if let Some(node) = ino.and_then(|ino| self.nodes.get_mut(&ino)) {
            node.names.retain(|known| known != name);
            // The next file may get the same number, and be another one.
            if node.names.is_empty() {
                self.ids.remove(&node.number);
            }
        }
    }

    pub(super) fn remove(&mut self, name: &Name, flags: UnlinkatFlags) -> io::Result<()> {
        let removed = self.known(name);
        unlinkat(self.find(name.0)?, &*name.1, flags)?;
        self.remove_name(removed, name);
        Ok(())
    }

    pub(super) fn rename(&mut self, from: &Name, to: &Name, flags: RenameFlags) -> io::Result<()> {
        let (moved, replaced) = (self.known(from), self.known(to));
        let (source, target) = (self.find(from.0)?, self.find(to.0)?);
        rename(&source, &from.1, &target, &to.1, flags)?;
        if flags.contains(RenameFlags::RENAME_EXCHANGE) {
            self.add_name(replaced, from.clone());
        }
        self.remove_name(replaced, to);
        self.add_name(moved, to.clone());
        self.remove_name(moved, from);
        Ok(())
    }

    /// The answer to a link of `ino` into `directory`, if the rule forbids it.
    pub(super) fn refusal(&self, req: &Request, ino: Ino, directory: Ino) -> io::Result<()> {
        let refused = match self.rule {
            LinkRule::SameDirectoryOnly { errno } => {
                let source = match self.last_lookups.get(&req.pid()) {
                    Some((found, parent)) if *found == ino => Some(parent),
                    // The source was given as a descriptor.
                    _ => self
                        .nodes
                        .get(&ino)
                        .and_then(|node| Some(&node.names.last()?.0)),
                };
                (source != Some(&directory)).then_some(errno)
            }
            LinkRule::Refuse { errno } => Some(errno),
            LinkRule::InodePerPath | LinkRule::Symlink => None,
        };
        refused.map_or(Ok(()), |errno| Err(io::Error::from_raw_os_error(errno)))
    }

    pub(super) fn list(
        &self,
        ino: Ino,
        directory: &File,
    ) -> io::Result<Vec<(Ino, FileType, OsString)>> {
        let here = self.node(ino)?;
        let above = here
            .names
            .last()
            .map_or(Ok(here), |name| self.node(name.0))?;
        let dots = [(here, "."), (above, "..")]
            .map(|(node, name)| Ok((Ino(node.number), FileType::Directory, name.into())));
        let entries = fs::read_dir(magic_link(directory))?.map(|entry| {
            let entry = entry?;
            let (name, kind) = ((ino, entry.file_name()), kind(entry.file_type()?));
            Ok((Ino(self.number(&name, entry.ino(), kind)?), kind, name.1))
        });
        dots.into_iter().chain(entries).collect()
    }

    pub(super) fn open(&mut self, ino: Ino, file: File) -> FileHandle {
        let handle = FileHandle(file.as_raw_fd().unsigned_abs().into());
        let open = Open {
            ino,
            file,
            listing: Mutex::default(),
        };
        self.open.insert(handle, Arc::new(open));
        handle
    }
}

/// The path that leads to an open file whatever its name is now, even if it has none.
pub(super) fn magic_link(file: &impl AsRawFd) -> PathBuf {
    PathBuf::from(format!("/proc/self/fd/{}", file.as_raw_fd()))
}

/// `nix` has renameat2(2) for glibc only; EINVAL is what filesystems without flags answer.
fn rename(
    from: &File,
    name: &OsStr,
    to: &File,
    new_name: &OsStr,
    flags: RenameFlags,
) -> io::Result<()> {
    #[cfg(target_env = "gnu")]
    {
        let flags = nix::fcntl::RenameFlags::from_bits_retain(flags.bits());
        Ok(nix::fcntl::renameat2(from, name, to, new_name, flags)?)
    }
    #[cfg(not(target_env = "gnu"))]
    {
        let plain = flags.is_empty().then_some(()).ok_or(Errno::EINVAL);
        Ok(plain.and_then(|()| nix::fcntl::renameat(from, name, to, new_name))?)
    }
}

pub(super) fn reopen(file: &File, flags: OFlag) -> io::Result<File> {
    Ok(open(&magic_link(file), flags | OFlag::O_CLOEXEC, Mode::empty())?.into())
}
