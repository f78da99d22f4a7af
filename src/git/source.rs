//! The source of a clone, as git would look for it: is it a local repository, or a URL?

use std::ffi::{OsStr, OsString};
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use super::command_line::CloneCommand;
use crate::process::c_string::ShortCString;
use crate::process::exec::begins_with;

/// What git appends to a source to find its repository, in this order (`get_repo_path` in builtin/clone.c).
const SUFFIXES: [&str; 4] = ["/.git", "", ".git/.git", ".git"];

/// What git then appends to it to find a bundle.
const BUNDLE_SUFFIXES: [&str; 2] = [".bundle", ""];

/// A local repository that is cloned.
#[derive(Debug, PartialEq, Eq)]
pub enum Repository {
    /// Its directory, in which its objects are.
    Directory(PathBuf),
    /// A worktree or a submodule: its objects are elsewhere.
    Elsewhere,
}

/// The local repository that is the source of `clone`, whose objects git hard-links unless an option forbids it.
///
/// git looks for a path first, so that even `host:path` is one if it exists. A bundle is none: git reads it like a
/// remote. Nor is a URL, even where `url.<base>.insteadOf` makes a path of it: that would take git's configuration.
#[must_use]
pub fn repository(clone: &CloneCommand<'_>) -> Option<Repository> {
    candidates(clone, &SUFFIXES).find_map(|path| {
        let metadata = fs::metadata(&path).ok()?;
        if metadata.is_dir() {
            if path.join("commondir").exists() {
                return Some(Repository::Elsewhere);
            }
            return is_git_directory(&path).then_some(Repository::Directory(path));
        }
        // It names a directory (`read_gitfile_gently` in setup.c).
        let file = ShortCString::of(&[path.as_os_str().as_bytes()]);
        let is_git_file = metadata.is_file() && begins_with(file.as_c_str(), b"gitdir: ");
        is_git_file.then_some(Repository::Elsewhere)
    })
}

/// Whether git takes the source of `clone` for a URL: it holds a colon, and there is no repository or bundle of that name
/// (`cmd_clone` in builtin/clone.c).
#[must_use]
pub fn is_url(clone: &CloneCommand<'_>) -> bool {
    let Some(source) = clone.positionals.first() else {
        return false;
    };
    source.to_bytes().contains(&b':')
        && repository(clone).is_none()
        && !candidates(clone, &BUNDLE_SUFFIXES).any(|path| path.is_file())
}

/// As `is_git_directory` in setup.c. HEAD may be a symbolic link to a branch that does not exist yet.
fn is_git_directory(path: &Path) -> bool {
    path.join("HEAD").symlink_metadata().is_ok() && path.join("objects").is_dir() && path.join("refs").is_dir()
}

/// The source of `clone` as a path of this machine, with each of `suffixes`.
fn candidates<'a>(clone: &CloneCommand<'_>, suffixes: &'a [&str]) -> impl Iterator<Item = PathBuf> + use<'a> {
    let source = clone.positionals.first();
    let source = source.map(|source| clone.directory().join(OsStr::from_bytes(source.to_bytes())));
    source.into_iter().flat_map(|source| {
        suffixes.iter().map(move |suffix| {
            let mut path = OsString::from(&source);
            path.push(suffix);
            path.into()
        })
    })
}
