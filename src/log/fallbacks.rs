//! The account of second runs, for sites that ask for one. Nothing that fails in here is seen or felt.

use std::path::{self, Path, PathBuf};
use std::time::Duration;

use super::file::Pattern;
use super::record::{Outcome, Record};
use super::syslog;
use crate::git::destination;
use crate::git::link_failure::LinkFailure;
use crate::mountinfo::Filesystem;
use crate::process::observer::observe;

/// Where second runs are accounted for: nowhere, unless asked for.
#[derive(Clone, Debug, Default)]
pub struct Fallbacks {
    /// `GIT_CLONE_SHIM_LOG_FILE`.
    pub file: Option<Pattern>,
    /// `GIT_CLONE_SHIM_SYSLOG`.
    pub syslog: bool,
}

impl Fallbacks {
    /// Sees to it that the second run of a clone to `directory`, which begins now, is accounted for when it has ended.
    /// `failure` is what its attempt died of, after the time `first`.
    ///
    /// We are about to become git, so somebody else has to see the end: an observer. Where it cannot, it writes what is known
    /// now, and not we ourselves, since a write can end in a signal.
    pub fn begin(&self, directory: Option<PathBuf>, failure: &LinkFailure<'_>, first: Duration) {
        if self.file.is_none() && !self.syslog {
            return;
        }
        // The observer is in another directory.
        let directory = directory.and_then(|directory| path::absolute(directory).ok());
        let filesystem = directory.as_deref().and_then(Filesystem::around);
        let kind = filesystem.map(|filesystem| filesystem.kind);
        let started = Record::new(failure, kind, first);
        let _ = observe(|second| match (second, directory) {
            (Some(second), Some(directory)) => self.write(&ended(started, &directory, second)),
            _ => self.write(&started),
        });
    }

    fn write(&self, record: &Record<'_>) {
        if let Some(file) = &self.file {
            let _ = file.append(record);
        }
        if self.syslog {
            let _ = syslog::send(record);
        }
    }
}

/// The record of a second run to `directory` that has just ended, after the time `second`.
///
/// How git ended is known to its parent only. What it leaves behind tells nearly as much: it removes what it could not
/// finish.
fn ended<'a>(started: Record<'a>, directory: &Path, second: Duration) -> Record<'a> {
    let outcome = match destination::is_free(directory) {
        true => Outcome::Failed,
        false => Outcome::Cloned,
    };
    started.ended(outcome, second)
}
