//! Where a clone goes, and whether a failed attempt has left it as it was.

use std::fs;
use std::io::ErrorKind;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Component, Path};

use nix::dir::Dir;
use nix::fcntl::OFlag;
use nix::sys::stat::Mode;
use nix::unistd::geteuid;
use smallvec::SmallVec;

use super::command_line::CloneCommand;
use crate::process::c_string::ShortCString;

/// The directory that `clone` goes to: the one it names, or else the one git derives from its source.
///
/// `None` if the source is missing, or nothing can be derived from it.
#[must_use]
pub fn directory(clone: &CloneCommand<'_>) -> Option<ShortCString> {
    let start = clone.start_directory();
    match clone.positionals.as_slice() {
        [source] => Some(start.join(&derived(source.to_bytes(), clone.bare)?)),
        [_, named, ..] => Some(start.join(named.to_bytes())),
        [] => None,
    }
}

/// The nearest existing directory of the destination of `clone`, in which git makes the rest.
///
/// `None` if the rest leads elsewhere (`..`), is a symbolic link to nothing, or cannot be looked at.
#[must_use]
pub fn place(clone: &CloneCommand<'_>) -> Option<ShortCString> {
    let path = directory(clone)?;
    for ancestor in path.as_path().ancestors() {
        let directory = if ancestor.as_os_str().is_empty() { Path::new(".") } else { ancestor };
        match directory.symlink_metadata() {
            Ok(_) => return directory.is_dir().then(|| ShortCString::of(&[directory.as_os_str().as_bytes()])),
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(_) => return None,
        }
        if directory.components().next_back() == Some(Component::ParentDir) {
            return None;
        }
    }
    None
}

/// The destination of a clone that is attempted, as it was before.
#[derive(Debug)]
pub struct Destination {
    directory: ShortCString,
    /// Device and inode of the directory that was there.
    existing: Option<(u64, u64)>,
}

impl Destination {
    /// Looks at the destination of `clone`; `None` if that cannot be derived.
    #[must_use]
    pub fn before_attempt(clone: &CloneCommand<'_>) -> Option<Self> {
        let directory = directory(clone)?;
        let existing = identity(directory.as_path());
        Some(Self { directory, existing })
    }

    /// Whether the attempt has left it as it was: absent, or an empty directory. git removes what it made for a clone that fails, and
    /// before 2.16.2 a directory that was there too; with `--work-tree` and `--separate-git-dir` it leaves one that it has made.
    ///
    /// In a directory that others can write to it could be another user's by now. So an empty one is ours, or the same as before.
    #[must_use]
    pub fn is_as_before(&self) -> bool {
        let directory = self.directory.as_path();
        match fs::symlink_metadata(directory) {
            Err(error) => error.kind() == ErrorKind::NotFound,
            Ok(found) => {
                let is_same = || self.existing.is_some() && self.existing == identity(directory);
                let is_ours = found.is_dir() && found.uid() == geteuid().as_raw();
                (is_ours || is_same()) && is_empty(directory)
            }
        }
    }
}

/// Device and inode of what `path` leads to.
fn identity(path: &Path) -> Option<(u64, u64)> {
    let found = fs::metadata(path).ok()?;
    Some((found.dev(), found.ino()))
}

/// Whether `path` is a directory without entries. Not by std, which panics where a directory cannot be closed.
fn is_empty(path: &Path) -> bool {
    let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
    let is_entry = |name: &[u8]| name != b"." && name != b"..";
    Dir::open(path, flags, Mode::empty()).is_ok_and(|mut directory| {
        let mut entries = directory.iter();
        !entries.any(|entry| entry.map_or(true, |entry| is_entry(entry.file_name().to_bytes())))
    })
}

/// The directory name that git derives from a source (`git_url_basename` in dir.c). From one with a host in it, git derives another;
/// nothing is there by this name then, before the attempt and after it.
fn derived(source: &[u8], bare: bool) -> Option<SmallVec<[u8; 128]>> {
    let mut name = source.trim_ascii_end();
    while let Some(shorter) = name.strip_suffix(b"/").or_else(|| name.strip_suffix(b"/.git")) {
        name = shorter;
    }
    let name = name.rsplit(|&byte| byte == b'/' || byte == b':').next()?;
    let name = name.strip_suffix(b".git").unwrap_or(name);
    let mut derived = SmallVec::new();
    // git makes one blank of several, and of control characters.
    for word in name.split(|&byte| byte <= b' ').filter(|word| !word.is_empty()) {
        derived.extend_from_slice(if derived.is_empty() { b"" } else { b" " });
        derived.extend_from_slice(word);
    }
    let is_named = !derived.is_empty();
    derived.extend_from_slice(if bare { b".git" } else { b"" });
    is_named.then_some(derived)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::ffi::OsStrExt;
    use std::os::unix::fs::symlink;
    use std::path::Path;

    use super::{Destination, derived, directory, identity};
    use crate::git::command_line::read;
    use crate::process::c_string::ShortCString;

    #[test]
    fn name_is_derived_as_git_does_it() {
        // tests/mounts.rs compares with the real git.
        for (source, bare, expected) in [
            ("/a/src", false, "src"),
            ("/a/src/", false, "src"),
            ("/a/src///", false, "src"),
            ("/a/src.git", false, "src"),
            ("/a/src.git/", false, "src"),
            ("/a/src/.git", false, "src"),
            ("/a/src/.git/", false, "src"),
            ("/a/src", true, "src.git"),
            ("/a/src.git", true, "src.git"),
            ("src", false, "src"),
            ("../x/my repo", false, "my repo"),
            ("../x/a  b\tc", false, "a b c"),
            ("../x/a:b", false, "b"),
            ("file:///a/src.git", false, "src"),
        ] {
            assert_eq!(derived(source.as_bytes(), bare).as_deref(), Some(expected.as_bytes()), "{source}");
        }
        assert_eq!(derived(b"/", false), None);
        assert_eq!(derived(b"", false), None);
        assert_eq!(derived(b"/.git", false), None);
    }

    #[test]
    fn destination_is_relative_to_the_last_directory() {
        let at = |args: &[_]| directory(&read(args).unwrap()).map(|path| path.as_c_str().to_owned());
        assert_eq!(at(&[c"git", c"-C", c"x", c"-C", c"", c"-C", c"y", c"clone", c"s"]), Some(c"x/y/s".to_owned()));
        assert_eq!(at(&[c"git", c"-C", c"x", c"-C", c"/y", c"clone", c"s", c"d"]), Some(c"/y/d".to_owned()));
        assert_eq!(at(&[c"git", c"-C", c"x", c"clone", c"s", c"/d"]), Some(c"/d".to_owned()));
        assert_eq!(at(&[c"git", c"clone", c"--bare", c"s"]), Some(c"s.git".to_owned()));
        assert_eq!(at(&[c"git", c"clone"]), None);
    }

    #[test]
    fn only_an_empty_directory_is_as_before() {
        let place = tempfile::tempdir().unwrap();
        let at = place.path().join("dst");
        let path = |path: &Path| ShortCString::of(&[path.as_os_str().as_bytes()]);
        let before = || Destination { directory: path(&at), existing: identity(&at) };
        let absent = before();
        assert!(absent.is_as_before());
        fs::create_dir(&at).unwrap();
        let empty = before();
        assert!(absent.is_as_before() && empty.is_as_before(), "it is ours");
        let link = Destination { directory: path(&place.path().join("link")), existing: None };
        symlink(&at, link.directory.as_path()).unwrap();
        assert!(!link.is_as_before(), "a symbolic link that was not there");
        fs::write(at.join("file"), "").unwrap();
        assert!(!empty.is_as_before(), "a file in it");
        fs::rename(&at, place.path().join("elsewhere")).unwrap();
        assert!(empty.is_as_before(), "removed");
        assert!(!link.is_as_before(), "a broken symbolic link");
    }
}
