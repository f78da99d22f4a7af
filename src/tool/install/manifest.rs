//! What an installation has written, one path a line, directories with a slash at their end. Only what is listed is ever
//! removed.
//!
//! A manifest is believed only if its owner is trusted, and not even then does it lead anywhere else: every line must be one
//! that an installation writes.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};

use anyhow::{Result, bail};

use crate::NAME;
use crate::tool::directory::Directory;
use crate::tool::text;
use crate::tool::trust;

/// The name of a manifest, in the directory of a version and in that of all versions.
pub(super) const FILE: &str = "manifest";

/// What the names of temporary files begin with, outside of the directory for them.
pub(super) const TEMPORARY: &str = ".git-clone-shim.";

/// What a manifest is about.
#[derive(Clone, Copy)]
pub(super) enum Subject<'a> {
    /// A version: its directory's contents and its module files.
    Version(&'a str),
    /// What goes with the last version: the snippets for login shells, and directories that an installation made.
    Shared,
    /// What a run has staged outside of the directory for that.
    Staged,
}

/// Paths relative to the prefix, or absolute.
#[derive(Clone, Default, PartialEq, Eq)]
pub(super) struct Manifest {
    files: BTreeSet<PathBuf>,
    directories: BTreeSet<PathBuf>,
}

impl Manifest {
    /// Reads the manifest of this name; `None` if there is none.
    ///
    /// # Errors
    ///
    /// It cannot be read, another user could have written it, or it lists what no installation writes.
    pub(super) fn read(
        directory: &Directory,
        name: &str,
        subject: Subject<'_>,
    ) -> Result<Option<Self>> {
        let Some((bytes, status)) = directory.read(OsStr::new(name))? else {
            return Ok(None);
        };
        let path = directory.path().join(name);
        trust::check(&path, &status)?;
        match Self::parse(&bytes, subject) {
            Ok(manifest) => Ok(Some(manifest)),
            Err(line) => bail!(
                "{} lists {:?}, which no installation writes: nothing was changed",
                text::printable_path(&path),
                text::printable(&text::of(&line))
            ),
        }
    }

    /// Parses a manifest; the first line that does not belong in it is the error.
    fn parse(bytes: &[u8], subject: Subject<'_>) -> std::result::Result<Self, Vec<u8>> {
        let mut manifest = Self::default();
        for line in bytes
            .split(|&byte| byte == b'\n')
            .filter(|line| !line.is_empty())
        {
            let (name, is_directory) = match line.strip_suffix(b"/") {
                Some(name) => (name, true),
                None => (line, false),
            };
            let path = Path::new(OsStr::from_bytes(name));
            if !is_plain(path) || !subject.covers(path, is_directory) {
                return Err(line.to_owned());
            }
            match is_directory {
                true => manifest.directories.insert(path.to_owned()),
                false => manifest.files.insert(path.to_owned()),
            };
        }
        Ok(manifest)
    }

    /// Adds a file.
    pub(super) fn add_file(&mut self, path: PathBuf) {
        self.files.insert(path);
    }

    /// Adds a directory.
    pub(super) fn add_directory(&mut self, path: PathBuf) {
        self.directories.insert(path);
    }

    /// Adds all that another one lists.
    pub(super) fn merge(&mut self, other: Self) {
        self.files.extend(other.files);
        self.directories.extend(other.directories);
    }

    /// The files.
    pub(super) fn files(&self) -> impl Iterator<Item = &Path> {
        self.files.iter().map(PathBuf::as_path)
    }

    /// The directories, each before the one that it is in.
    pub(super) fn directories(&self) -> impl Iterator<Item = &Path> {
        self.directories.iter().rev().map(PathBuf::as_path)
    }

    /// Its lines, sorted by their bytes.
    pub(super) fn to_bytes(&self) -> Vec<u8> {
        let file = |path: &PathBuf| [path.as_os_str().as_bytes(), b"\n"].concat();
        let directory = |path: &PathBuf| [path.as_os_str().as_bytes(), b"/\n"].concat();
        let files = self.files.iter().map(file);
        let lines: BTreeSet<_> = files
            .chain(self.directories.iter().map(directory))
            .collect();
        lines.into_iter().flatten().collect()
    }
}

impl Subject<'_> {
    /// Whether an installation writes this path into a manifest of this subject.
    fn covers(self, path: &Path, is_directory: bool) -> bool {
        let name = path.file_name().map_or(&b""[..], OsStrExt::as_bytes);
        match self {
            Self::Version(version) => {
                let is_module = name == version.as_bytes()
                    || name.strip_suffix(b".lua") == Some(version.as_bytes());
                let is_module =
                    is_module && path.parent().is_some_and(|parent| parent.ends_with(NAME));
                path.starts_with(Path::new(NAME).join(version)) || (is_module && !is_directory)
            }
            Self::Shared => {
                is_directory || matches!(name, b"git-clone-shim.sh" | b"git-clone-shim.csh")
            }
            Self::Staged => is_directory || name.starts_with(TEMPORARY.as_bytes()),
        }
    }
}

/// Whether a path has neither `.` nor `..` nor an empty component, so that it leads where it seems to lead.
fn is_plain(path: &Path) -> bool {
    let rebuilt: PathBuf = path.components().collect();
    let is_name = |part: Component<'_>| matches!(part, Component::Normal(_) | Component::RootDir);
    // `components` leaves out dots and doubled slashes.
    rebuilt.as_os_str() == path.as_os_str()
        && path.components().all(is_name)
        && path.file_name().is_some()
}

#[cfg(test)]
mod tests {
    use super::{Manifest, Subject};

    #[test]
    fn lines_are_sorted_as_sort_does_without_a_locale() {
        let lines = b"git-clone-shim/1/bin/\ngit-clone-shim/1/bin/git\ngit-clone-shim/1/bin0\n";
        let manifest = Manifest::parse(lines, Subject::Version("1")).unwrap();
        assert_eq!(manifest.to_bytes(), lines);
    }

    #[test]
    fn lines_that_lead_elsewhere_are_refused() {
        let version = Subject::Version("1.0");
        for line in [
            "/etc/passwd",
            "etc/passwd",
            "../etc/passwd",
            "git-clone-shim/1.0/../../../etc/passwd",
            "git-clone-shim/1.0/./x",
            "git-clone-shim//1.0/x",
            "git-clone-shim/2.0/bin/git",
            "/etc/1.0",
            "/modules/git-clone-shim/2.0",
            "/modules/git-clone-shim/1.0/",
            "..",
            "/",
            ".",
        ] {
            assert!(Manifest::parse(line.as_bytes(), version).is_err(), "{line}");
        }
        for line in [
            "/etc/shadow",
            "/etc/../x/",
            "git-clone-shim/1.0/bin/git",
            "/",
        ] {
            assert!(
                Manifest::parse(line.as_bytes(), Subject::Shared).is_err(),
                "{line}"
            );
        }
        for line in [
            "/modules/git-clone-shim/1.0",
            "modulefiles/git-clone-shim/1.0.lua",
        ] {
            assert!(Manifest::parse(line.as_bytes(), version).is_ok(), "{line}");
        }
        for line in ["/etc/profile.d/git-clone-shim.csh", "/opt/site/"] {
            assert!(
                Manifest::parse(line.as_bytes(), Subject::Shared).is_ok(),
                "{line}"
            );
        }
    }
}
