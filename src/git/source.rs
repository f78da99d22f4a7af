//! Whether a clone's source is a local repository, as git would take it.

use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::io::Read;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use super::command_line::CloneCommand;

/// What git appends to a source to find its repository, in this order (`get_repo_path` in builtin/clone.c).
const SUFFIXES: [&str; 4] = ["/.git", "", ".git/.git", ".git"];

/// Whether the source of `clone` is an existing local repository, whose objects git hard-links unless told otherwise.
///
/// git looks for a path first, so that even `host:path` is one if it exists. A bundle is none: git reads it like a
/// remote. Nor is a URL, even where `url.<base>.insteadOf` makes a path of it: that would take git's configuration.
#[must_use]
pub fn is_local(clone: &CloneCommand<'_>) -> bool {
    let Some(source) = clone.positionals.first() else {
        return false;
    };
    let source = clone.directory().join(OsStr::from_bytes(source.to_bytes()));
    SUFFIXES.iter().any(|suffix| {
        let mut path = OsString::from(&source);
        path.push(suffix);
        is_repository(Path::new(&path))
    })
}

/// Whether there is a git directory at `path`, or a file that leads to one.
fn is_repository(path: &Path) -> bool {
    match fs::metadata(path) {
        // HEAD may be a symbolic link to a branch that does not exist yet (`validate_headref` in path.c).
        Ok(metadata) if metadata.is_dir() => path.join("HEAD").symlink_metadata().is_ok(),
        Ok(metadata) if metadata.is_file() => {
            let mut signature = [0; 8];
            let read = File::open(path).and_then(|mut file| file.read_exact(&mut signature));
            read.is_ok() && signature == *b"gitdir: "
        }
        _ => false,
    }
}
