//! What the shim decided and why, on standard error, for those who ask with `GIT_CLONE_SHIM_LOG`.

use std::ffi::CStr;
use std::fmt;

use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

/// Starts logging what `filter` lets through. Not called unless asked for: without it a log line costs one comparison.
pub fn start(filter: Targets) {
    let lines = tracing_subscriber::fmt::layer()
        .with_writer(std::io::stderr)
        .with_ansi(false)
        // It would report a failed write with eprintln!, which panics when standard error is closed.
        .log_internal_errors(false)
        .without_time();
    let _ = tracing_subscriber::registry()
        .with(filter)
        .with(lines)
        .try_init();
}

/// Words of a command line, readable and on one line whatever bytes they hold.
pub struct Words<'a>(pub &'a [&'a CStr]);

impl fmt::Display for Words<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, word) in self.0.iter().enumerate() {
            let space = if at == 0 { "" } else { " " };
            write!(f, "{space}{}", word.to_bytes().escape_ascii())?;
        }
        Ok(())
    }
}
