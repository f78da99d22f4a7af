//! The file that `GIT_CLONE_SHIM_LOG_FILE` names: one JSON object a line.

use std::ffi::{OsStr, OsString};
use std::fs::OpenOptions;
use std::io;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use nix::libc;

use super::record::Record;
use crate::printable::json;

/// What an escape stands for: the host, the number of the user, the day in UTC, and a percent sign.
///
/// A number, since a static program cannot ask a directory service for names, and `USER` can say anything.
const ESCAPES: &[u8] = b"hud%";

/// An absolute path in which each of `%h %u %d %%` stands for something of the record.
#[derive(Clone, Copy, Debug)]
pub struct Pattern(&'static OsStr);

impl Pattern {
    /// What is accepted, for people.
    pub const ACCEPTED: &str = "an absolute path with no other % than %h, %u, %d and %%";

    /// Reads the value of the variable; `None` if it is relative, which would be another file in every directory, or holds
    /// an unknown escape. Allocates nothing: most calls of git write no record.
    #[must_use]
    pub fn new(value: &'static OsStr) -> Option<Self> {
        let mut bytes = value.as_bytes().iter();
        let known = |escape| ESCAPES.contains(escape);
        while let Some(byte) = bytes.next() {
            if *byte == b'%' && !bytes.next().is_some_and(known) {
                return None;
            }
        }
        Path::new(value).is_absolute().then_some(Self(value))
    }

    /// Appends `record` as one line, by one write, so that what others append at the same time is neither lost nor mixed up.
    ///
    /// The file is made, for its user alone, if there is none. A symbolic link in its place is not followed: another user may have
    /// made it. A FIFO without a reader is not waited for.
    ///
    /// # Errors
    ///
    /// The file cannot be opened, or takes nothing.
    pub fn append(self, record: &Record<'_>) -> io::Result<()> {
        let line = json(record, false)? + "\n";
        let path = self.path(record);
        let mut options = OpenOptions::new();
        options
            .append(true)
            .mode(0o600)
            .custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK | libc::O_NOCTTY);
        // Not with O_CREAT if it is there: in a directory such as /tmp the kernel refuses that for another user's file
        // (protected_regular in proc(5)), however its mode invites all.
        let file = match options.open(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                options.create(true).open(&path)?
            }
            opened => opened?,
        };
        nix::unistd::write(&file, line.as_bytes())?;
        Ok(())
    }

    fn path(self, record: &Record<'_>) -> PathBuf {
        let mut path = Vec::new();
        let mut bytes = self.0.as_bytes().iter();
        while let Some(&byte) = bytes.next() {
            match byte {
                b'%' => match bytes.next() {
                    Some(b'h') => path.extend(record.host.bytes()),
                    Some(b'u') => path.extend(record.uid.to_string().bytes()),
                    Some(b'd') => path.extend(record.day().bytes()),
                    _ => path.push(b'%'),
                },
                _ => path.push(byte),
            }
        }
        OsString::from_vec(path).into()
    }
}

#[cfg(test)]
mod tests {
    use std::borrow::Cow;
    use std::ffi::OsStr;
    use std::thread;
    use std::time::Duration;

    use super::Pattern;
    use crate::git::link_failure;
    use crate::log::record::{Cause, Record};

    #[test]
    fn lines_are_not_mixed_up() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("log");
        let pattern =
            Pattern::new(Box::leak(file.clone().into_os_string().into_boxed_os_str())).unwrap();
        let failure = link_failure::find(b"fatal: failed to create link 'x': y\n").unwrap();
        let record = Record::new(Cause::LinkFailure(&failure), None, Duration::ZERO);
        thread::scope(|scope| {
            for writer in 0..200 {
                let record = record.clone();
                scope.spawn(move || {
                    // Of different lengths, so that one over another would show.
                    let host = Cow::Owned("x".repeat(writer));
                    let record = Record { host, ..record };
                    for _ in 0..20 {
                        pattern.append(&record).unwrap();
                    }
                });
            }
        });
        let log = std::fs::read_to_string(&file).unwrap();
        let read = |line| serde_json::from_str::<Record<'_>>(line).unwrap().host.len();
        let mut writers: Vec<usize> = log.lines().map(read).collect();
        writers.sort_unstable();
        let expected: Vec<usize> = (0..200).flat_map(|writer| [writer; 20]).collect();
        assert_eq!(writers, expected);
    }

    #[test]
    fn names_that_are_not_accepted() {
        for name in ["log", "", "~/log", "/%", "/%x", "/%%%"] {
            assert!(Pattern::new(OsStr::new(name)).is_none(), "{name}");
        }
    }
}
