//! The marker in the environment by which the shim notices that somebody's wrapper leads back to it.
//!
//! `_GIT_CLONE_SHIM_SEEN=<pid>[+<depth>]:<file>:<file>…`: the process that became the last of these files, how many shims
//! are waiting above it, and which files it has become so far. `exec` keeps the pid, so our own pid in the marker means
//! that we came back in a loop; another's is ordinary nesting, such as a hook that runs git.

use std::ffi::{CStr, OsStr};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use smallvec::SmallVec;

use crate::process::c_string::ShortCString;
use crate::process::{environment, liveness};

/// The variable's name. The underscore keeps it out of every list of `GIT_*`: git's own t0001 compares one, and pre-commit and
/// others remove what is on theirs, with which a loop would go unnoticed.
const NAME: &CStr = c"_GIT_CLONE_SHIM_SEEN";

/// So many shims, each waiting for the next, are a wrapper that forks and not a person's work.
const DEEPEST: u32 = 50;

/// What the environment says of the shims before this one.
#[derive(Debug, Default)]
pub struct Marker<'a> {
    depth: u32,
    /// What this process has become before, and what led back here each time: `:<file>:<file>…`.
    tried: SmallVec<[u8; 256]>,
    /// What the process above has become.
    above: Option<&'a Path>,
}

impl Marker<'static> {
    /// Reads the marker. One that makes no sense is none: it is not for people, but people can set it.
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
            // It has ended and left its environment to us: an agent that a hook restarts is no deeper for it.
            Self::default()
        })
    }

    /// How often this process has been `file` before.
    #[must_use]
    pub fn times_tried(&self, file: &Path) -> usize {
        let file = file.as_os_str().as_bytes();
        let ends = |rest: &[u8]| rest.is_empty() || rest.starts_with(b":");
        // Not split at colons: the name of a git that was named, not found on PATH, may hold some.
        let listed = (0..self.tried.len()).filter(|&at| {
            let rest = self.tried.get(at..);
            rest.and_then(|rest| rest.strip_prefix(b":")?.strip_prefix(file))
                .is_some_and(ends)
        });
        listed.count()
    }

    /// Notes that this process becomes `file`.
    pub fn add(&mut self, file: &Path) {
        self.tried.push(b':');
        self.tried.extend_from_slice(file.as_os_str().as_bytes());
    }

    /// The program that leads back here by forking, if so many are waiting already that it cannot be anything else.
    #[must_use]
    pub fn endless(&self) -> Option<&Path> {
        (self.depth >= DEEPEST).then(|| self.above.unwrap_or(Path::new("git")))
    }

    /// The marker for the process that is about to become what was added last, as an entry of its environment; asked in
    /// that very process.
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

/// The digits of a number. Those who format one for display lie in pages of their own, which take 2 µs each to load.
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
    fn our_own_pid_is_a_loop() {
        let marker = marker(std::process::id(), ":/a/git:/b/git:/a/git");
        for (file, times) in [("/a/git", 2), ("/b/git", 1), ("/c/git", 0)] {
            assert_eq!(marker.times_tried(Path::new(file)), times, "{file}");
        }
        assert_entry(&marker, ":/a/git:/b/git:/a/git");
    }

    #[test]
    fn names_with_colons() {
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
    fn another_living_pid_is_nesting() {
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
    fn what_the_dead_left_counts_for_nothing() {
        // The largest pid that Linux can be told to use is 4194304.
        assert_eq!(marker(4_194_305, "+60:/a/git").endless(), None);
    }

    #[test]
    fn nonsense_is_no_marker() {
        for nonsense in ["", ":", "x:/a", "1x:/a", "-1:/a", "1+x:/a", "+:/a"] {
            assert!(Marker::parse(nonsense.as_bytes()).is_none(), "{nonsense}");
        }
    }
}
