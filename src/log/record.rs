//! The record of one fallback: what the shim writes.
//!
//! No argument is in it, no URL and no path: a repository's address can hold a password.

use std::borrow::Cow;
use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};

use crate::git::link_failure::LinkFailure;

/// The version of the record. In a higher version a field has another meaning. Unknown fields can appear in any version.
pub const SCHEMA: u32 = 1;

/// One fallback.
///
/// In JSON an empty string or an unknown time is left out.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Serialize)]
pub struct Record<'a> {
    /// [`SCHEMA`].
    pub schema: u32,
    /// When the fallback began: RFC 3339, UTC, to the second.
    #[serde(borrow)]
    pub time: Cow<'a, str>,
    /// The kernel's name of the machine.
    #[serde(borrow)]
    pub host: Cow<'a, str>,
    /// The number of the user.
    pub uid: u32,
    /// The process that the caller started: the shim, and then the git of the fallback.
    pub pid: u32,
    /// The shim's version.
    #[serde(borrow)]
    pub version: Cow<'a, str>,
    /// Which of git's messages it was ([`crate::git::link_failure::Message::name`]), or `different mounts`.
    #[serde(borrow)]
    pub cause: Cow<'a, str>,
    /// The name of the error that link(2) gave, such as `EPERM`; empty where git wrote none that we know.
    #[serde(borrow, default, skip_serializing_if = "str::is_empty")]
    pub error: Cow<'a, str>,
    /// The type of the destination's filesystem, as mount(8) shows it; empty if it is not known.
    #[serde(borrow, default, skip_serializing_if = "str::is_empty")]
    pub filesystem: Cow<'a, str>,
    /// How many milliseconds the failed attempt took; 0 if there was none.
    pub attempt_ms: u64,
    /// How many milliseconds the fallback took; `None` if its end was not observed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fallback_ms: Option<u64>,
    /// How the fallback ended.
    pub outcome: Outcome,
}

/// How a fallback ended.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// It has ended, and there is something at the destination.
    Cloned,
    /// It has ended, and there is nothing at the destination.
    Failed,
    /// It has begun; its end was not observed.
    Started,
}

/// Why git was run with `--no-hardlinks`.
#[derive(Clone, Copy, Debug)]
pub enum Cause<'a> {
    /// An attempt died of this.
    LinkFailure(&'a LinkFailure<'a>),
    /// The source and the destination are on different mounts: there was no attempt.
    DifferentMounts,
}

impl Cause<'_> {
    fn name(self) -> &'static str {
        match self {
            Self::LinkFailure(failure) => failure.message.name,
            Self::DifferentMounts => "different mounts",
        }
    }

    fn errno(self) -> &'static str {
        match self {
            Self::LinkFailure(failure) => failure.errno.unwrap_or_default(),
            Self::DifferentMounts => "",
        }
    }
}

impl Record<'_> {
    /// The record of a fallback for `cause` that begins now, on this machine and for this user, after an attempt that took
    /// `attempt`.
    #[must_use]
    pub fn new(cause: Cause<'_>, filesystem: Option<String>, attempt: Duration) -> Self {
        let host = nix::unistd::gethostname().unwrap_or_default();
        Self {
            schema: SCHEMA,
            time: humantime::format_rfc3339_seconds(SystemTime::now())
                .to_string()
                .into(),
            host: host.to_string_lossy().into_owned().into(),
            uid: nix::unistd::getuid().as_raw(),
            pid: std::process::id(),
            version: env!("CARGO_PKG_VERSION").into(),
            cause: cause.name().into(),
            error: cause.errno().into(),
            filesystem: filesystem.unwrap_or_default().into(),
            attempt_ms: milliseconds(attempt),
            fallback_ms: None,
            outcome: Outcome::Started,
        }
    }

    /// The day of the fallback in UTC, such as `2026-11-21`.
    #[must_use]
    pub fn day(&self) -> &str {
        self.time.get(.."2026-11-21".len()).unwrap_or_default()
    }

    /// The same record when the fallback has ended, after `fallback`.
    #[must_use]
    pub fn ended(self, outcome: Outcome, fallback: Duration) -> Self {
        Self {
            outcome,
            fallback_ms: Some(milliseconds(fallback)),
            ..self
        }
    }
}

fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
