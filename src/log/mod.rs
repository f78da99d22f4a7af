//! What the shim tells about itself: to people on standard error, and of every second run to a file or the system log.

mod fallbacks;
mod file;
mod quote;
pub mod record;
mod stderr;
mod syslog;

pub use fallbacks::Fallbacks;
pub use file::Pattern;
pub use quote::QuotedArgs;
pub use stderr::start;
