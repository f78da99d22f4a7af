//! What a command left on disk.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::wait;

/// Every file, directory and symbolic link below a directory, with what it holds.
pub type Tree = BTreeMap<PathBuf, Entry>;

/// What is compared of an entry.
#[derive(Clone, PartialEq, Eq)]
pub struct Entry {
    mode: u32,
    /// The link count of a file; 1 for everything else.
    links: u64,
    /// The bytes of a file, or the target of a symbolic link.
    content: Vec<u8>,
}

impl std::fmt::Debug for Entry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let content = &self.content[..self.content.len().min(60)];
        write!(f, "{:o} links {} {}", self.mode, self.links, content.escape_ascii())
    }
}

/// Reads the tree below `root`. Without the bytes of an index, which contains inode numbers and times.
pub fn read(root: &Path) -> Tree {
    let mut tree = Tree::new();
    let mut directories = vec![root.to_owned()];
    while let Some(directory) = directories.pop() {
        for entry in fs::read_dir(&directory).unwrap() {
            let path = entry.unwrap().path();
            let metadata = fs::symlink_metadata(&path).unwrap();
            let content = if metadata.is_symlink() {
                fs::read_link(&path).unwrap().as_os_str().as_bytes().to_owned()
            } else if metadata.is_file() && !path.ends_with("index") {
                fs::read(&path).unwrap()
            } else {
                Vec::new()
            };
            let links = if metadata.is_file() { metadata.nlink() } else { 1 };
            if metadata.is_dir() {
                directories.push(path.clone());
            }
            tree.insert(path.strip_prefix(root).unwrap().to_owned(), Entry { mode: metadata.mode(), links, content });
        }
    }
    tree
}

/// The object files, loose or packed, below `root`, in the order of their paths, and their link counts.
pub fn objects(root: &Path) -> Vec<(PathBuf, u64)> {
    let has = |path: &Path, name: &str| path.parent().is_some_and(|parent| parent.iter().any(|part| part == name));
    let files = read(root).into_iter().filter(|(_, entry)| entry.mode & 0o170_000 == 0o100_000);
    let objects = files.filter(|(path, _)| has(path, "objects") && !has(path, "info"));
    objects.map(|(path, entry)| (root.join(path), entry.links)).collect()
}

/// The link counts of [`objects`].
pub fn object_links(root: &Path) -> Vec<u64> {
    objects(root).into_iter().map(|(_, links)| links).collect()
}

/// Removes everything below `root`, but not `root`.
pub fn clear(root: &Path) {
    for entry in fs::read_dir(root).unwrap() {
        let path = entry.unwrap().path();
        // Retried: sshfs caches directory listings for a while, and a hook may still be writing.
        wait::until("the removal of files", || {
            let removed =
                if path.is_dir() && !path.is_symlink() { fs::remove_dir_all(&path) } else { fs::remove_file(&path) };
            removed.is_ok() || path.symlink_metadata().is_err()
        });
    }
}

/// The entries in which two trees differ, for a message that can be read.
pub fn differences(left: &Tree, right: &Tree) -> Vec<String> {
    let paths: std::collections::BTreeSet<_> = left.keys().chain(right.keys()).collect();
    let differing = paths.into_iter().filter(|path| left.get(*path) != right.get(*path));
    differing.map(|path| format!("{}: {:?} / {:?}", path.display(), left.get(path), right.get(path))).collect()
}
