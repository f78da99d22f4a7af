//! What the shim tells about itself: to people on standard error, and of every second run to a file or the system log.

mod file;
mod lines;
mod second_runs;
mod stderr;
mod syslog;

pub use file::Pattern;
pub use second_runs::SecondRuns;
pub use stderr::{QuotedArgs, start};
