//! What git says and understands, and where it is. Nothing in here runs a second time.

mod charset;
mod clone_options;
pub mod command_line;
pub mod destination;
pub mod filesystem_type;
pub mod link_failure;
pub mod marker;
mod messages;
pub mod mounts;
pub mod real_git;
pub mod source;
pub mod strerror;
