//! The marker in the environment by which the shim notices that a wrapper on PATH leads back to it.
//!
//! Two wrappers that each run the next git would call each other for ever. So the shim leaves behind which files it has exec'd,
//! and does not run them again where they led back to it: `_GIT_CLONE_SHIM_SEEN=<pid>:<ticks>:<file>:<file>…`, the process that
//! has exec'd the last file, when it did (in clock ticks since boot), and the files. Everything else is ordinary nesting, such as
//! a hook that runs git.

use std::ffi::{CStr, OsStr};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use smallvec::SmallVec;

use super::real_git::path;
use crate::process::ancestors::{has_started_by, is_ancestor_without, ticks_since_boot};
use crate::process::c_string::ShortCString;
use crate::process::environment;
use crate::process::exec::begins_with;

/// The variable's name. It does not begin with `GIT_`: git's own t0001 compares the list of those, and pre-commit and others
/// remove them, and then a loop would not be noticed.
const NAME: &CStr = c"_GIT_CLONE_SHIM_SEEN";

/// Whether a file leads back to the shim.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LeadsBack {
    /// It has not yet.
    #[default]
    No,
    /// It may be a wrapper, or else a git that has run something which changed PATH and became us.
    Perhaps,
    /// It is a wrapper that has exec'd or forked us.
    Surely,
}

/// What the environment tells about the shims before this one.
#[derive(Clone, Debug, Default)]
pub struct Marker {
    /// The files that led back here, and then those that this process could not exec: `:<file>:<file>…`.
    files: SmallVec<[u8; 256]>,
    /// How many bytes of them are from the environment.
    inherited: usize,
    /// Whether those lead back.
    lead_back: LeadsBack,
}

impl Marker {
    /// Reads the marker. An invalid one is ignored: users should not set it, but can.
    #[must_use]
    pub fn from_environment() -> Self {
        let marker = environment::variable(NAME).map(OsStr::as_bytes);
        marker.and_then(Self::parse).unwrap_or_default()
    }

    fn parse(marker: &[u8]) -> Option<Self> {
        let mut parts = marker.splitn(3, |&byte| byte == b':');
        let mut number = || str::from_utf8(parts.next()?).ok()?.parse::<u64>().ok();
        let (pid, ticks) = (u32::try_from(number()?).ok()?, number()?);
        let files = parts.next().filter(|files| files.starts_with(b"/"))?;
        let lead_back = leads_back(pid, ticks, files);
        let mut marker = Self { lead_back, ..Self::default() };
        if lead_back != LeadsBack::No {
            marker.add(Path::new(OsStr::from_bytes(files)));
            marker.inherited = marker.files.len();
        }
        Some(marker)
    }

    /// Whether `file` leads back here.
    #[must_use]
    pub fn leads_back(&self, file: &Path) -> LeadsBack {
        let file = file.as_os_str().as_bytes();
        let ends = |rest: &[u8]| rest.is_empty() || rest.starts_with(b":");
        // Not split at colons: the path in GIT_CLONE_SHIM_GIT may contain some.
        let listed = (0..self.files.len()).rposition(|at| {
            let rest = self.files.get(at..);
            rest.and_then(|rest| rest.strip_prefix(b":")?.strip_prefix(file)).is_some_and(ends)
        });
        match listed {
            None => LeadsBack::No,
            Some(at) if at < self.inherited => self.lead_back,
            Some(_) => LeadsBack::Surely,
        }
    }

    /// Notes that this process is about to exec `file`. If it comes back here, the file is not to be run again.
    pub fn add(&mut self, file: &Path) {
        self.files.push(b':');
        self.files.extend_from_slice(file.as_os_str().as_bytes());
    }

    /// The marker as an entry of the environment. It holds the pid of the caller, so it has to be called in the process that execs.
    #[must_use]
    pub fn entry(&self) -> ShortCString {
        // The formatting functions of std lie in other pages, which cost 2 µs each to load.
        let (mut pid, mut ticks) = (itoa::Buffer::new(), itoa::Buffer::new());
        let pid = pid.format(std::process::id()).as_bytes();
        let ticks = ticks.format(ticks_since_boot()).as_bytes();
        // C strings lie beside the code (packaging/layout.ld).
        ShortCString::of(&[NAME.to_bytes(), c"=".to_bytes(), pid, c":".to_bytes(), ticks, &self.files])
    }
}

/// Whether the files of a marker lead back here: `pid` has exec'd the last one when so many ticks had passed since boot.
fn leads_back(pid: u32, ticks: u64, files: &[u8]) -> LeadsBack {
    if pid == std::process::id() {
        // exec keeps the pid. A process that started later only has the same number.
        return if has_started_by(ticks) { LeadsBack::Surely } else { LeadsBack::No };
    }
    // git puts its exec-path first on PATH for all that it runs; a wrapper leaves PATH as it is.
    let first = path().as_bytes().split(|&byte| byte == b':').next().unwrap_or_default();
    let exec_path = environment::variable(c"GIT_EXEC_PATH").map(OsStr::as_bytes);
    if first.ends_with(b"/git-core") || exec_path == Some(first) {
        return LeadsBack::No;
    }
    let last = files.windows(2).rposition(|two| two == b":/").map_or(0, |at| at + 1);
    let last = ShortCString::of(&[files.get(last..).unwrap_or_default()]);
    if begins_with(last.as_c_str(), b"#!") {
        // A shell forks more often than once for what stands in a pipeline or in parentheses. With a git in between, the wrapper
        // has led there, and that git has run a hook or an alias.
        if is_ancestor_without("git", pid) { LeadsBack::Surely } else { LeadsBack::No }
    } else if pid == std::os::unix::process::parent_id() {
        LeadsBack::Perhaps
    } else {
        LeadsBack::No
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::{LeadsBack, Marker};
    use crate::process::ancestors::ticks_since_boot;

    fn read(pid: u32, ticks: u64, files: &str) -> Option<Marker> {
        Marker::parse(format!("{pid}:{ticks}{files}").as_bytes())
    }

    #[test]
    fn what_this_process_has_run_leads_back() {
        let ours = std::process::id();
        let mut marker = read(ours, ticks_since_boot(), ":/a/git:/b/git").unwrap();
        marker.add(Path::new("/b:c/git"));
        for tried in ["/a/git", "/b/git", "/b:c/git"] {
            assert_eq!(marker.leads_back(Path::new(tried)), LeadsBack::Surely, "{tried}");
        }
        for untried in ["/a", "/a/gi", "/b:c", "/a/git:", "/x", "git"] {
            assert_eq!(marker.leads_back(Path::new(untried)), LeadsBack::No, "{untried}");
        }
        let entry = marker.entry();
        let entry = str::from_utf8(entry.as_c_str().to_bytes()).unwrap();
        assert!(entry.starts_with(&format!("_GIT_CLONE_SHIM_SEEN={ours}:")), "{entry}");
        assert!(entry.ends_with(":/a/git:/b/git:/b:c/git"), "{entry}");
        let reused = read(ours, 0, ":/a/git").unwrap();
        assert_eq!(reused.leads_back(Path::new("/a/git")), LeadsBack::No);
    }

    #[test]
    fn file_of_another_process_does_not_lead_back_unless_that_is_our_parent() {
        let parent = std::os::unix::process::parent_id();
        for (pid, expected) in [(parent, LeadsBack::Perhaps), (4_194_305, LeadsBack::No)] {
            let marker = read(pid, 0, ":/bin/sh").unwrap();
            assert_eq!(marker.leads_back(Path::new("/bin/sh")), expected, "{pid}");
        }
    }

    #[test]
    fn invalid_marker_is_ignored() {
        for invalid in ["", ":", "x:1:/a", "1:/a", "1x:1:/a", "-1:1:/a", "1:1", "1:1:", "1:1:a"] {
            assert!(Marker::parse(invalid.as_bytes()).is_none(), "{invalid}");
        }
    }
}
