//! What git says and understands, and where it is. Nothing in here runs a second time.

mod charset;
mod clone_options;
pub mod command_line;
pub mod destination;
pub mod link_failure;
pub mod marker;
pub mod real_git;
mod sentences;
pub mod source;
