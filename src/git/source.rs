//! The source of a clone, as git would look for it: is it a local repository, or a URL?

use std::fs;

use super::command_line::CloneCommand;
use crate::process::c_string::ShortCString;
use crate::process::exec::begins_with;

/// What git appends to a source to find its repository, in this order (`get_repo_path` in builtin/clone.c).
const SUFFIXES: [&str; 4] = ["/.git", "", ".git/.git", ".git"];

/// What git then appends to it to find a bundle.
const BUNDLE_SUFFIXES: [&str; 2] = [".bundle", ""];

/// Where the objects of a local repository are.
#[derive(Debug)]
pub enum Objects {
    /// In this directory.
    Here(ShortCString),
    /// Not in the repository itself: it is a worktree or a submodule.
    Elsewhere,
}

/// The objects of the local repository that is the source of `clone`, which git hard-links unless an option forbids it.
///
/// git looks for a path first, so that even `host:path` is one if it exists. A bundle is none: git reads it like a
/// remote. Nor is a URL, even where `url.<base>.insteadOf` makes a path of it: that would take git's configuration.
#[must_use]
pub fn objects(clone: &CloneCommand<'_>) -> Option<Objects> {
    candidates(clone, &SUFFIXES).find_map(|path| {
        let metadata = fs::metadata(path.as_path()).ok()?;
        if metadata.is_dir() {
            if path.join(b"commondir").as_path().exists() {
                return Some(Objects::Elsewhere);
            }
            // As `is_git_directory` in setup.c. HEAD may be a symbolic link to a branch that does not exist yet.
            let objects = path.join(b"objects");
            let is_repository = path.join(b"HEAD").as_path().symlink_metadata().is_ok()
                && objects.as_path().is_dir()
                && path.join(b"refs").as_path().is_dir();
            return is_repository.then_some(Objects::Here(objects));
        }
        // It names a directory (`read_gitfile_gently` in setup.c).
        let is_git_file = metadata.is_file() && begins_with(path.as_c_str(), b"gitdir: ");
        is_git_file.then_some(Objects::Elsewhere)
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
        && objects(clone).is_none()
        && !candidates(clone, &BUNDLE_SUFFIXES).any(|path| path.as_path().is_file())
}

/// The source of `clone` as a path of this machine, with each of `suffixes`.
fn candidates<'a>(clone: &CloneCommand<'_>, suffixes: &'a [&str]) -> impl Iterator<Item = ShortCString> + use<'a> {
    let source = clone.positionals.first().map(|source| clone.start_directory().join(source.to_bytes()));
    suffixes.iter().filter_map(move |suffix| {
        let source = source.as_ref()?.as_c_str().to_bytes();
        Some(ShortCString::of(&[source, suffix.as_bytes()]))
    })
}
