//! Which versions are installed.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

use anyhow::Result;

use super::manifest;
use crate::tool::directory::Directory;

/// The link to the current version's directory.
pub(super) const CURRENT: &str = "current";

/// The installed versions below `root`, the oldest first.
///
/// # Errors
///
/// The directory cannot be read.
pub(super) fn installed(root: &Directory) -> Result<Vec<String>> {
    let mut versions = Vec::new();
    for name in root.names()? {
        let Some(version) = name.to_str().filter(|name| is_version(name)) else {
            continue;
        };
        // A file, or a directory that was removed meanwhile.
        let Ok(Some(live)) = root.subdirectory(&name) else {
            continue;
        };
        if live.has(OsStr::new(manifest::FILE))? {
            versions.push(version.to_owned());
        }
    }
    versions.sort_by_key(|version| numbers(version));
    Ok(versions)
}

/// The version that the link `current` names, if there is one.
///
/// # Errors
///
/// It cannot be read.
pub(super) fn current(root: &Directory) -> Result<Option<String>> {
    let link = root.link(OsStr::new(CURRENT))?;
    Ok(link.and_then(|link| link.to_str().map(str::to_owned)))
}

/// Whether this can be the name of a version's directory.
pub(super) fn is_version(name: &str) -> bool {
    let bytes = OsStr::new(name).as_bytes();
    let is_part = |byte: &u8| byte.is_ascii_alphanumeric() || b".+-".contains(byte);
    bytes.first().is_some_and(u8::is_ascii_digit) && bytes.iter().all(is_part)
}

/// What versions are compared by: 0.10 is later than 0.9.
fn numbers(version: &str) -> Vec<(u64, String)> {
    let parts = version.split(['.', '-', '+']);
    parts
        .map(|part| (part.parse().unwrap_or(0), part.to_owned()))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::{is_version, numbers};

    #[test]
    fn versions_are_compared_by_their_numbers() {
        assert!(numbers("0.10.0") > numbers("0.9.1"));
        assert!(numbers("1.0") > numbers("0.9"));
    }

    #[test]
    fn a_version_is_no_path() {
        for name in ["", "current", "..", "1/2", "1\n", "manifest", "-1", ".1"] {
            assert!(!is_version(name), "{name:?}");
        }
        assert!(is_version("0.2.0-rc.1+x"));
    }
}
