//! git's grammar, messages and files, and where the real git is. Nothing in here starts a process.

mod charset;
mod clone_options;
pub mod command_line;
pub mod cure;
pub mod destination;
pub mod filesystem_type;
pub mod link_failure;
pub mod marker;
mod messages;
pub mod mounts;
pub mod real_git;
pub mod source;
pub mod strerror;
