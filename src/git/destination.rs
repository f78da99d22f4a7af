//! Where a clone goes, and whether the fallback may go there.

use std::ffi::OsStr;
use std::fs;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{OFlag, open};
use nix::sys::stat::{FileStat, Mode, fstat, stat};
use nix::unistd::mkdir;

use super::command_line::CloneCommand;
use super::source;
use crate::process::entries::Entries;

/// The directory that `clone` goes to: the one it names, or else the one git derives from its source.
///
/// `None` if the source is missing, or nothing can be derived from it.
#[must_use]
pub fn directory(clone: &CloneCommand<'_>) -> Option<PathBuf> {
    let name = name(clone)?;
    Some(clone.directory().join(OsStr::from_bytes(&name)))
}

/// The same, relative to the directory to which `-C` leads: as git spells it in its messages.
fn name(clone: &CloneCommand<'_>) -> Option<Vec<u8>> {
    match clone.positionals.as_slice() {
        [source] => derived(source.to_bytes(), clone.bare),
        [_, named, ..] => Some(named.to_bytes().to_owned()),
        [] => None,
    }
}

/// The destination of a clone that is attempted, as it was before the attempt.
///
/// The attempt frees the name when it fails, and the fallback uses it again: between the two it must not become the
/// directory of another user, who could then exchange what git writes there, hooks included.
pub struct Destination<'a> {
    clone: &'a CloneCommand<'a>,
    /// `None` if it cannot be derived; then there is no fallback.
    directory: Option<PathBuf>,
    /// The directory that was there. As long as it is open, no other directory can get its inode number.
    existing: Option<OwnedFd>,
}

impl<'a> Destination<'a> {
    /// Looks at the destination of `clone` before its attempt.
    #[must_use]
    pub fn before_attempt(clone: &'a CloneCommand<'a>) -> Self {
        let directory = directory(clone);
        let existing = directory.as_ref().and_then(|directory| {
            let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
            open(directory, flags, Mode::empty()).ok()
        });
        Self {
            clone,
            directory,
            existing,
        }
    }

    /// The name of an object below the clone's directory of objects, such as `ab/cdef…`, from the path in a message of git's,
    /// which may be followed by more; `None` if it is not there.
    #[must_use]
    pub fn object<'p>(&self, path: &'p [u8]) -> Option<&'p [u8]> {
        let directory = match self.clone.separate_git_dir {
            Some(separate) => separate.to_owned(),
            None => name(self.clone)?,
        };
        let from_root = self.clone.directory().join(OsStr::from_bytes(&directory));
        let from_root = std::path::absolute(from_root).ok()?;
        let directories = [directory.as_slice(), from_root.as_os_str().as_bytes()];
        // With GIT_WORK_TREE in the environment, and without a work tree, the repository is the directory itself.
        let mut places = directories.iter().flat_map(|directory| {
            [&b"/.git/objects/"[..], b"/objects/"].map(|objects| spelled(directory, objects))
        });
        places.find_map(|place| below(&place, path))
    }

    /// Whether the fallback may clone to the destination; where another user could make its name first, makes it.
    ///
    /// After a link failure git has removed what it made: the destination is gone, or as empty as it was. Where it is not, git
    /// had finished the clone and a hook or a filter wrote what looks like a link failure.
    #[must_use]
    pub fn claim(&self) -> bool {
        let Some(directory) = &self.directory else {
            return false;
        };
        if let Some(separate) = self.clone.separate_git_dir {
            // git refuses one that exists, so it cannot be made for it.
            let separate = self.clone.directory().join(OsStr::from_bytes(separate));
            if !is_free(&separate) || is_shared(&separate) {
                return false;
            }
        }
        if self
            .existing
            .as_ref()
            .is_some_and(|existing| is_same(existing, directory))
        {
            return is_free(directory);
        }
        if !is_shared(directory) {
            return is_free(directory);
        }
        match mkdir(directory, Mode::from_bits_truncate(0o777)) {
            Ok(()) => true,
            Err(Errno::EEXIST) => is_ours_alone(directory) && is_free(directory),
            Err(_) => false,
        }
    }
}

/// Whether `path` leads to the directory that is open as `existing`.
fn is_same(existing: &OwnedFd, path: &Path) -> bool {
    let identity = |found: nix::Result<FileStat>| found.map(|found| (found.st_dev, found.st_ino));
    let (open, found) = (identity(fstat(existing)), identity(stat(path)));
    open.is_ok() && open == found
}

/// Whether another user can make `path`, since he can write to the directory that it is in. `false` where that is not there:
/// then git makes it, as it does without us.
fn is_shared(path: &Path) -> bool {
    let parent = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        Some(_) => Path::new("."),
        None => return false,
    };
    fs::metadata(parent).is_ok_and(|parent| source::is_writable_by_others(&parent, None))
}

/// Whether `path` is a directory, and no symbolic link to one, that is ours and that no other user can write to.
fn is_ours_alone(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok_and(|found| {
        found.is_dir()
            && found.uid() == nix::unistd::geteuid().as_raw()
            && !source::is_writable_by_others(&found, None)
    })
}

/// Whether git would clone to `path`: it does not exist, or is an empty directory (`dest_exists` in builtin/clone.c).
#[must_use]
pub fn is_free(path: &Path) -> bool {
    match fs::symlink_metadata(path) {
        Ok(_) => Entries::of(path).is_ok_and(|mut entries| entries.next().is_none()),
        Err(error) => error.kind() == io::ErrorKind::NotFound,
    }
}

/// A path below `directory` as git spells it in its messages: without `./` at the beginning (`cleanup_path` in path.c) and
/// slashes at the directory's end.
fn spelled(mut directory: &[u8], below: &[u8]) -> Vec<u8> {
    while let [rest @ .., b'/'] = directory {
        directory = rest;
    }
    let path = [directory, below].concat();
    let mut cleaned = path.as_slice();
    while let Some(rest) = cleaned.strip_prefix(b"./") {
        let slashes = rest.iter().take_while(|&&byte| byte == b'/').count();
        cleaned = rest.get(slashes..).unwrap_or_default();
    }
    cleaned.to_owned()
}

/// What follows `directory` in `path`, in which git writes a question mark for a control character (`vreportf` in usage.c).
///
/// git cuts a message at 4096 bytes: what is as long as that and has not reached the end of `directory` is below it.
fn below<'p>(directory: &[u8], path: &'p [u8]) -> Option<&'p [u8]> {
    const SHOWN_AT_LEAST: usize = 3800;
    let directory = directory.get(..SHOWN_AT_LEAST).unwrap_or(directory);
    let (shown, rest) = path.split_at_checked(directory.len())?;
    let mut pairs = directory.iter().zip(shown);
    let same =
        |(&own, &shown): (&u8, &u8)| own == shown || (own.is_ascii_control() && shown == b'?');
    pairs.all(same).then_some(rest)
}

/// The directory name that git derives from a source (`git_url_basename` in dir.c).
fn derived(source: &[u8], bare: bool) -> Option<Vec<u8>> {
    let is_space = |byte: &u8| byte.is_ascii_whitespace() || *byte == 0x0b;
    let slashes_off = |mut name: &[u8]| -> usize {
        while let [rest @ .., b'/'] = name {
            name = rest;
        }
        name.len()
    };
    let mut name = match source.windows(3).position(|three| three == b"://") {
        Some(scheme) => source.get(scheme + 3..)?,
        None => source,
    };
    // user:password@ before the first slash.
    let host = name.split(|&byte| byte == b'/').next().unwrap_or_default();
    if let Some(at) = host.iter().rposition(|&byte| byte == b'@') {
        name = name.get(at + 1..)?;
    }
    while let [rest @ .., last] = name
        && (*last == b'/' || is_space(last))
    {
        name = rest;
    }
    if let Some(rest) = name.strip_suffix(b"/.git")
        && !rest.is_empty()
    {
        name = rest.get(..slashes_off(rest))?;
    }
    // A host alone: its port is no name.
    if !name.contains(&b'/')
        && let Some(colon) = name.iter().rposition(|&byte| byte == b':')
        && name.get(colon + 1..)?.iter().all(u8::is_ascii_digit)
    {
        name = name.get(..colon)?;
    }
    let name = name.rsplit(|&byte| byte == b'/' || byte == b':').next()?;
    let name = name.strip_suffix(b".git").unwrap_or(name);
    if name.is_empty() {
        return None;
    }
    let suffix: &[u8] = if bare { b".git" } else { b"" };
    let spaced: Vec<u8> = [name, suffix]
        .concat()
        .iter()
        .map(|&byte| if byte < b' ' { b' ' } else { byte })
        .collect();
    let parts: Vec<&[u8]> = spaced
        .split(is_space)
        .filter(|part| !part.is_empty())
        .collect();
    Some(parts.join(&b' ')).filter(|name| !name.is_empty())
}

#[cfg(test)]
mod tests {
    use std::ffi::CString;
    use std::fs::{self, Permissions};
    use std::os::unix::fs::{PermissionsExt, symlink};
    use std::path::PathBuf;

    use super::{Destination, derived, directory, is_free};
    use crate::git::command_line::read;

    #[test]
    fn name_is_derived_as_git_does_it() {
        // tests/destination.rs compares with the real git.
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
            ("../x/a \n b", false, "a b"),
            ("../x/a:b", false, "b"),
            ("user@host", false, "host"),
            ("dir/user@host", false, "user@host"),
            ("file:///a/src.git", false, "src"),
        ] {
            assert_eq!(
                derived(source.as_bytes(), bare).as_deref(),
                Some(expected.as_bytes()),
                "{source}"
            );
        }
        assert_eq!(derived(b"/", false), None);
        assert_eq!(derived(b"", false), None);
        assert_eq!(derived(b"/.git", false), None);
    }

    #[test]
    fn destination_is_relative_to_the_last_directory() {
        let at = |args: &[_]| directory(&read(args).unwrap());
        assert_eq!(
            at(&[c"git", c"-C", c"x", c"-C", c"", c"-C", c"y", c"clone", c"s"]),
            Some(PathBuf::from("x/y/s"))
        );
        assert_eq!(
            at(&[c"git", c"-C", c"x", c"-C", c"/y", c"clone", c"s", c"d"]),
            Some(PathBuf::from("/y/d"))
        );
        assert_eq!(
            at(&[c"git", c"-C", c"x", c"clone", c"s", c"/d"]),
            Some(PathBuf::from("/d"))
        );
        assert_eq!(
            at(&[c"git", c"clone", c"--bare", c"s"]),
            Some(PathBuf::from("s.git"))
        );
        assert_eq!(at(&[c"git", c"clone"]), None);
    }

    #[test]
    fn object_lies_below_the_destination_as_git_spells_it() {
        for (args, path, expected) in [
            (
                &[c"git", c"clone", c"s", c"dst"][..],
                "dst/.git/objects/ab/cd': x",
                Some("ab/cd': x"),
            ),
            (
                &[c"git", c"clone", c"s", c".//dst//"],
                "dst/.git/objects/ab/cd",
                Some("ab/cd"),
            ),
            (
                &[c"git", c"clone", c"s", c"./"],
                ".git/objects/ab/cd",
                Some("ab/cd"),
            ),
            (
                &[c"git", c"-C", c"x", c"clone", c"s", c"../dst"],
                "../dst/.git/objects/ab/cd",
                Some("ab/cd"),
            ),
            (
                &[c"git", c"clone", c"--bare", c"/a/s"],
                "s.git/objects/ab/cd",
                Some("ab/cd"),
            ),
            (
                &[c"git", c"clone", c"--separate-git-dir=sep", c"s", c"d"],
                "sep/objects/ab/cd",
                Some("ab/cd"),
            ),
            (
                &[c"git", c"clone", c"--separate-git-dir", c"sep/", c"s", c"d"],
                "sep/objects/ab/cd",
                Some("ab/cd"),
            ),
            (
                &[c"git", c"clone", c"s", c"/d\te"],
                "/d?e/.git/objects/ab/cd",
                Some("ab/cd"),
            ),
            (
                &[c"git", c"clone", c"s", c"dst"],
                "dst2/.git/objects/ab/cd",
                None,
            ),
            (
                &[c"git", c"clone", c"s", c"dst"],
                "/elsewhere/dst/.git/objects/ab/cd",
                None,
            ),
            (&[c"git", c"clone", c"s", c"dst"], "dst/.git/hooks/ab", None),
            (&[c"git", c"clone", c"s", c"dst"], "x", None),
        ] {
            let clone = read(args).unwrap();
            let object = Destination::before_attempt(&clone).object(path.as_bytes());
            assert_eq!(object, expected.map(str::as_bytes), "{path}");
        }
    }

    #[test]
    fn directory_that_took_the_place_of_the_prepared_one_is_not_claimed() {
        let place = tempfile::tempdir().unwrap();
        fs::set_permissions(place.path(), Permissions::from_mode(0o777)).unwrap();
        let prepared = place.path().join("dst");
        let make = |mode| {
            fs::create_dir(&prepared).unwrap();
            fs::set_permissions(&prepared, Permissions::from_mode(mode)).unwrap();
        };
        make(0o777);
        let path = CString::new(prepared.to_str().unwrap()).unwrap();
        let args = [c"git", c"clone", c"-l", c"src", path.as_c_str()];
        let clone = read(&args).unwrap();
        let destination = Destination::before_attempt(&clone);
        assert!(
            destination.claim(),
            "it is the same, even if others can write to it"
        );
        fs::remove_dir(&prepared).unwrap();
        make(0o777);
        assert!(!destination.claim(), "another, to which others can write");
        fs::remove_dir(&prepared).unwrap();
        symlink(place.path().join("elsewhere"), &prepared).unwrap();
        fs::create_dir(place.path().join("elsewhere")).unwrap();
        assert!(!destination.claim(), "a symbolic link");
        fs::remove_file(&prepared).unwrap();
        assert!(destination.claim(), "it is made");
        assert!(prepared.is_dir());
        fs::write(prepared.join("file"), "").unwrap();
        assert!(!destination.claim(), "it is not empty");
    }

    #[test]
    fn only_what_is_absent_or_empty_is_free() {
        let place = tempfile::tempdir().unwrap();
        assert!(is_free(place.path()), "an empty directory");
        assert!(is_free(&place.path().join("absent")));
        std::fs::write(place.path().join("file"), "").unwrap();
        assert!(!is_free(place.path()), "a directory that is not empty");
        assert!(!is_free(&place.path().join("file")));
    }
}
