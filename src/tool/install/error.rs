//! The errors of an installation that end it differently from any other error.

use std::fmt;
use std::io;

use anyhow::Result;

use crate::process::interruption;

/// The options make no sense; the exit status is that of wrong usage.
#[derive(Debug)]
pub(super) struct Usage(pub(super) String);

impl fmt::Display for Usage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Usage {}

/// A termination signal arrived before anything was renamed into its place.
#[derive(Debug)]
pub(super) struct Interrupted(pub(super) i32);

impl fmt::Display for Interrupted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "interrupted by signal {}", self.0)
    }
}

impl std::error::Error for Interrupted {}

/// Standard output could not be written.
#[derive(Debug)]
pub(super) struct NotPrinted(pub(super) io::Error);

impl fmt::Display for NotPrinted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cannot write the output: {}", self.0)
    }
}

impl std::error::Error for NotPrinted {}

/// Fails if a termination signal has arrived.
pub(super) fn interrupted() -> Result<()> {
    match interruption::arrived() {
        Some(signal) => Err(Interrupted(signal).into()),
        None => Ok(()),
    }
}
