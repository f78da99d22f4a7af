//! What the shim logs: its decisions, for people, on stderr; and each fallback, in a file or the system log.

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
