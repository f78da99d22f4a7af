//! The marker in the environment by which the shim notices that somebody's wrapper leads back to it.
//!
//! `_GIT_CLONE_SHIM_SEEN=<pid>[+<depth>]:<file>:<file>…`: the process that became the last of these files, how many shims
//! are waiting above it, and which files it has become so far. `exec` keeps the pid, so our own pid in the marker means
//! that we came back in a loop; another's is ordinary nesting, such as a hook that runs git.

use std::env;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use crate::process::liveness;

/// The variable's name. The underscore keeps it out of every list of `GIT_*`: git's own t0001 compares one, and pre-commit and
/// others remove what is on theirs, with which a loop would go unnoticed.
pub const NAME: &str = "_GIT_CLONE_SHIM_SEEN";

/// So many shims, each waiting for the next, are a wrapper that forks and not a person's work.
const DEEPEST: u32 = 50;

/// What the environment says of the shims before this one.
#[derive(Debug, Default)]
pub struct Marker {
    depth: u32,
    /// What this process has become before, and what led back here each time.
    tried: Vec<PathBuf>,
    /// What the process above has become.
    above: Option<PathBuf>,
}

impl Marker {
    /// Reads the marker. One that makes no sense is none: it is not for people, but people can set it.
    #[must_use]
    pub fn from_environment() -> Self {
        env::var_os(NAME)
            .and_then(|marker| Self::parse(marker.as_bytes()))
            .unwrap_or_default()
    }

    fn parse(marker: &[u8]) -> Option<Self> {
        let mut parts = marker.split(|&byte| byte == b':');
        let process = str::from_utf8(parts.next()?).ok()?;
        let (pid, depth) = match process.split_once('+') {
            Some((pid, depth)) => (pid, depth.parse().ok()?),
            None => (process, 0),
        };
        let pid: u32 = pid.parse().ok()?;
        let mut files = parts.map(|file| PathBuf::from(OsStr::from_bytes(file)));
        Some(if pid == std::process::id() {
            Self {
                depth,
                tried: files.collect(),
                above: None,
            }
        } else if liveness::is_alive(pid) {
            Self {
                depth: depth + 1,
                tried: Vec::new(),
                above: files.next_back(),
            }
        } else {
            // It has ended and left its environment to us: an agent that a hook restarts is no deeper for it.
            Self::default()
        })
    }

    /// Whether this process has been `file` before.
    #[must_use]
    pub fn has_tried(&self, file: &Path) -> bool {
        self.tried.iter().any(|tried| tried == file)
    }

    /// Notes that this process becomes `file`.
    pub fn add(&mut self, file: &Path) {
        self.tried.push(file.to_owned());
    }

    /// The program that leads back here by forking, if so many are waiting already that it cannot be anything else.
    #[must_use]
    pub fn endless(&self) -> Option<&Path> {
        (self.depth >= DEEPEST).then(|| self.above.as_deref().unwrap_or(Path::new("git")))
    }

    /// The marker for the process that is about to become what was added last; asked in that very process.
    #[must_use]
    pub fn value(&self) -> OsString {
        let mut value = OsString::from(std::process::id().to_string());
        if self.depth > 0 {
            value.push(format!("+{}", self.depth));
        }
        for file in &self.tried {
            value.push(":");
            value.push(file);
        }
        value
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::Marker;

    fn marker(process: u32, rest: &str) -> Marker {
        Marker::parse(format!("{process}{rest}").as_bytes()).unwrap()
    }

    #[test]
    fn our_own_pid_is_a_loop() {
        let marker = marker(std::process::id(), ":/a/git:/b/git");
        assert!(marker.has_tried(Path::new("/a/git")) && marker.has_tried(Path::new("/b/git")));
        assert!(!marker.has_tried(Path::new("/c/git")));
        assert_eq!(
            marker.value(),
            *format!("{}:/a/git:/b/git", std::process::id())
        );
    }

    #[test]
    fn another_living_pid_is_nesting() {
        let parent = std::os::unix::process::parent_id();
        let mut nested = marker(parent, "+3:/a/git");
        assert!(!nested.has_tried(Path::new("/a/git")));
        nested.add(Path::new("/b/git"));
        assert_eq!(nested.value(), *format!("{}+4:/b/git", std::process::id()));
        assert_eq!(marker(parent, "+20:/a/git").endless(), None);
        assert_eq!(
            marker(parent, "+60:/x/git:/a/git").endless(),
            Some(Path::new("/a/git"))
        );
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
