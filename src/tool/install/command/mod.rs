//! The four commands: their options, and what each does.

pub(super) mod activate;
pub(super) mod install;
pub(super) mod uninstall;
pub(super) mod versions;
