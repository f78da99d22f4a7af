//! Where a clone goes, and whether git would accept that place now.

use std::ffi::OsStr;
use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use super::command_line::CloneCommand;

/// The directory that `clone` goes to: the one it names, or else the one git derives from its source.
///
/// `None` if the source is missing, or nothing can be derived from it.
#[must_use]
pub fn directory(clone: &CloneCommand<'_>) -> Option<PathBuf> {
    let name = match clone.positionals.as_slice() {
        [source] => OsStr::from_bytes(&derived(source.to_bytes(), clone.bare)?).to_owned(),
        [_, named, ..] => OsStr::from_bytes(named.to_bytes()).to_owned(),
        [] => return None,
    };
    Some(clone.directory().join(name))
}

/// Whether git would clone to `path`: it does not exist, or is an empty directory (`dest_exists` in builtin/clone.c).
///
/// After a refused link that is so, since git has removed what it made. Where it is not so, git had finished the clone and
/// somebody else, a hook or a filter, said what git says of a refused link; and a second run could not succeed anyway.
#[must_use]
pub fn is_free(path: &Path) -> bool {
    match fs::symlink_metadata(path) {
        Ok(_) => fs::read_dir(path).is_ok_and(|mut entries| entries.next().is_none()),
        Err(error) => error.kind() == io::ErrorKind::NotFound,
    }
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
    use std::path::PathBuf;

    use super::{derived, directory, is_free};
    use crate::git::command_line::read;

    #[test]
    fn derived_names() {
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
    fn directories_add_up() {
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
    fn free_places() {
        let place = tempfile::tempdir().unwrap();
        assert!(is_free(place.path()), "an empty directory");
        assert!(is_free(&place.path().join("absent")));
        std::fs::write(place.path().join("file"), "").unwrap();
        assert!(!is_free(place.path()), "a directory that is not empty");
        assert!(!is_free(&place.path().join("file")));
    }
}
