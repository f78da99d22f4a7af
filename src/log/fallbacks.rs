//! Records of fallbacks, for sites that ask for them. Best effort: errors are ignored.

use std::path::{self, Path, PathBuf};
use std::time::Duration;

use super::file::Pattern;
use super::record::{Cause, Outcome, Record};
use super::syslog;
use crate::git::destination;
use crate::mountinfo::Filesystem;
use crate::process::observer::{is_process_1, observe};

/// Where fallbacks are recorded: nowhere by default.
#[derive(Clone, Debug, Default)]
pub struct Fallbacks {
    /// `GIT_CLONE_SHIM_LOG_FILE`.
    pub file: Option<Pattern>,
    /// `GIT_CLONE_SHIM_SYSLOG`.
    pub syslog: bool,
}

impl Fallbacks {
    /// Records the fallback of a clone to `directory`, which begins now, when its git has exited. `cause` is why it
    /// begins, after an attempt that took the time `attempt`.
    ///
    /// We exec git, so an observer waits for the exit. It also writes where it cannot wait: the log's filesystem may hang,
    /// and a write can raise a signal.
    pub fn begin(&self, directory: Option<PathBuf>, cause: Cause<'_>, attempt: Duration) {
        let fallbacks = Self {
            // A process that hangs there would keep process 1 from exiting.
            file: self.file.filter(|_| !is_process_1()),
            ..self.clone()
        };
        if fallbacks.file.is_none() && !fallbacks.syslog {
            return;
        }
        // The observer is in another directory.
        let directory = directory.and_then(|directory| path::absolute(directory).ok());
        let filesystem = directory.as_deref().and_then(Filesystem::around);
        let kind = filesystem.map(|filesystem| filesystem.kind);
        let started = Record::new(cause, kind, attempt);
        let _ = observe(|elapsed| match (elapsed, directory) {
            (Some(elapsed), Some(directory)) => {
                fallbacks.write(&ended(started, &directory, elapsed));
            }
            _ => fallbacks.write(&started),
        });
    }

    fn write(&self, record: &Record<'_>) {
        // First, since it cannot hang.
        if self.syslog {
            let _ = syslog::send(record);
        }
        if let Some(file) = &self.file {
            let _ = file.append(record);
        }
    }
}

/// The record of a fallback to `directory` that has just ended, after the time `elapsed`.
///
/// Only git's parent knows its exit status. What git leaves behind tells nearly as much: it removes what it could not
/// finish.
fn ended<'a>(started: Record<'a>, directory: &Path, elapsed: Duration) -> Record<'a> {
    let outcome = match destination::is_free(directory) {
        true => Outcome::Failed,
        false => Outcome::Cloned,
    };
    started.ended(outcome, elapsed)
}
