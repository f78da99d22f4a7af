//! The marker in the environment by which the shim notices that a wrapper on PATH leads back to it.
//!
//! `_GIT_CLONE_SHIM_SEEN=<pid>[+<depth>]:<file>:<file>…`: the process that has exec'd these files, one after the other, and
//! how many shims among its parents wait for it. exec keeps the pid, so our own pid in the marker means that we were
//! exec'd again in a loop; another pid is ordinary nesting, such as a hook that runs git.

use std::ffi::{CStr, OsStr};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use smallvec::SmallVec;

use crate::process::c_string::ShortCString;
use crate::process::{environment, liveness};

/// The variable's name. It does not begin with `GIT_`: git's own t0001 compares the list of those, and pre-commit and others
/// remove them, and then a loop would not be noticed.
const NAME: &CStr = c"_GIT_CLONE_SHIM_SEEN";

/// More shims that wait for each other mean a wrapper that forks in a loop, not nesting that a user has made.
const DEEPEST: u32 = 50;

/// What the environment tells about the shims before this one.
#[derive(Clone, Debug, Default)]
pub struct Marker<'a> {
    depth: u32,
    /// The files that this process has exec'd, each of which exec'd the shim again: `:<file>:<file>…`.
    tried: SmallVec<[u8; 256]>,
    /// The file that the nearest parent shim has exec'd.
    above: Option<&'a Path>,
}

impl Marker<'static> {
    /// Reads the marker. An invalid one is ignored: users should not set it, but can.
    #[must_use]
    pub fn from_environment() -> Self {
        environment::variable(NAME)
            .and_then(|marker| Self::parse(marker.as_bytes()))
            .unwrap_or_default()
    }
}

impl<'a> Marker<'a> {
    fn parse(marker: &'a [u8]) -> Option<Self> {
        let colon = marker.iter().position(|&byte| byte == b':');
        let (process, files) = marker.split_at(colon.unwrap_or(marker.len()));
        let process = str::from_utf8(process).ok()?;
        let (pid, depth) = match process.split_once('+') {
            Some((pid, depth)) => (pid, depth.parse().ok()?),
            None => (process, 0),
        };
        let pid: u32 = pid.parse().ok()?;
        Some(if pid == std::process::id() {
            Self {
                depth,
                tried: SmallVec::from_slice(files),
                above: None,
            }
        } else if liveness::is_alive(pid) {
            Self {
                depth: depth.saturating_add(1),
                tried: SmallVec::new(),
                above: split(files).next_back(),
            }
        } else {
            // That process has exited: an agent that a hook starts, for example, outlives it and keeps its environment.
            Self::default()
        })
    }

    /// How often this process has exec'd `file`.
    #[must_use]
    pub fn times_tried(&self, file: &Path) -> usize {
        let file = file.as_os_str().as_bytes();
        let ends = |rest: &[u8]| rest.is_empty() || rest.starts_with(b":");
        // Not split at colons: the path in GIT_CLONE_SHIM_GIT may contain some.
        let listed = (0..self.tried.len()).filter(|&at| {
            let rest = self.tried.get(at..);
            rest.and_then(|rest| rest.strip_prefix(b":")?.strip_prefix(file))
                .is_some_and(ends)
        });
        listed.count()
    }

    /// Notes that this process is about to exec `file`.
    pub fn add(&mut self, file: &Path) {
        self.tried.push(b':');
        self.tried.extend_from_slice(file.as_os_str().as_bytes());
    }

    /// The program that forks and leads back here, if so many shims wait already that it is a loop.
    #[must_use]
    pub fn endless(&self) -> Option<&Path> {
        (self.depth >= DEEPEST).then(|| self.above.unwrap_or(Path::new("git")))
    }

    /// The marker as an entry of the environment, for the file that was added last. It holds the pid of the caller, so it has
    /// to be called in the process that execs.
    #[must_use]
    pub fn entry(&self) -> ShortCString {
        let mut entry = ShortCString::of(&[NAME.to_bytes(), b"="]);
        entry.push(&decimal(std::process::id()));
        if self.depth > 0 {
            entry.push(b"+");
            entry.push(&decimal(self.depth));
        }
        entry.push(&self.tried);
        entry
    }
}

/// The digits of a number. The formatting functions of the standard library lie in other pages, which cost 2 µs each to load.
fn decimal(number: u32) -> SmallVec<[u8; 10]> {
    let mut digits = match number / 10 {
        0 => SmallVec::new(),
        more => decimal(more),
    };
    let [last, ..] = (number % 10).to_le_bytes();
    digits.push(b'0' + last);
    digits
}

/// The files of `:<file>:<file>…`.
fn split(files: &[u8]) -> impl DoubleEndedIterator<Item = &Path> {
    let listed = files.strip_prefix(b":").into_iter();
    listed
        .flat_map(|files| files.split(|&byte| byte == b':'))
        .map(|file| Path::new(OsStr::from_bytes(file)))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::Marker;

    fn marker(process: u32, rest: &str) -> Marker<'static> {
        Marker::parse(format!("{process}{rest}").leak().as_bytes()).unwrap()
    }

    fn assert_entry(marker: &Marker<'_>, rest: &str) {
        let expected = format!("_GIT_CLONE_SHIM_SEEN={}{rest}", std::process::id());
        assert_eq!(marker.entry().as_c_str().to_bytes(), expected.as_bytes());
    }

    #[test]
    fn own_pid_in_the_marker_is_a_loop() {
        let marker = marker(std::process::id(), ":/a/git:/b/git:/a/git");
        for (file, times) in [("/a/git", 2), ("/b/git", 1), ("/c/git", 0)] {
            assert_eq!(marker.times_tried(Path::new(file)), times, "{file}");
        }
        assert_entry(&marker, ":/a/git:/b/git:/a/git");
    }

    #[test]
    fn paths_with_colons_are_found() {
        let mut marker = marker(std::process::id(), ":/a/git");
        marker.add(Path::new("/b:c/git"));
        for tried in ["/a/git", "/b:c/git"] {
            assert_eq!(marker.times_tried(Path::new(tried)), 1, "{tried}");
        }
        for untried in ["/a", "/a/gi", "/b:c", "/a/git:", "/x", "git"] {
            assert_eq!(marker.times_tried(Path::new(untried)), 0, "{untried}");
        }
    }

    #[test]
    fn living_parent_in_the_marker_is_nesting() {
        let parent = std::os::unix::process::parent_id();
        let mut nested = marker(parent, "+3:/a/git");
        assert_eq!(nested.times_tried(Path::new("/a/git")), 0);
        nested.add(Path::new("/b/git"));
        assert_entry(&nested, "+4:/b/git");
        assert_eq!(marker(parent, "+20:/a/git").endless(), None);
        assert_eq!(
            marker(parent, "+60:/x/git:/a/git").endless(),
            Some(Path::new("/a/git"))
        );
        let deepest = marker(parent, &format!("+{}:/a/git", u32::MAX));
        assert_eq!(deepest.endless(), Some(Path::new("/a/git")));
    }

    #[test]
    fn marker_of_an_exited_process_is_ignored() {
        // The largest pid that Linux can be told to use is 4194304.
        assert_eq!(marker(4_194_305, "+60:/a/git").endless(), None);
    }

    #[test]
    fn invalid_marker_is_ignored() {
        for invalid in ["", ":", "x:/a", "1x:/a", "-1:/a", "1+x:/a", "+:/a"] {
            assert!(Marker::parse(invalid.as_bytes()).is_none(), "{invalid}");
        }
    }
}
