//! git's grammar, messages and files, and where the real git is. Nothing in here starts a process.

mod clone_options;
pub mod command_line;
pub mod destination;
pub mod filesystems;
pub mod link_failure;
pub mod marker;
pub mod real_git;
pub mod source;
