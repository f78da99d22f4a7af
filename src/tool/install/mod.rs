//! `git-clone-shim install | versions | activate VERSION | uninstall [VERSION]`: versions side by side below a prefix, each in
//! a directory that is never changed, and a link to the current one.
//!
//! What is new is staged, then renamed into its place; what was written is listed in a manifest, and only what is listed is
//! removed. Only one process at a time changes a tree. Everything that another user could interfere with is done by
//! descriptors of directories.

mod check;
mod command;
mod error;
mod from_memory;
mod lock;
mod manifest;
mod payload;
mod places;
mod plan;
mod program;
mod removal;
mod staging;
mod summary;
mod tree;
mod uninstall;
mod versions;

use anyhow::Result;

use crate::failure;
use crate::process::exit_reason::ExitReason;
use crate::tool::text;
use error::{Interrupted, NotPrinted, Usage};

pub(super) use command::activate::ActivateOptions;
pub(super) use command::install::InstallOptions;
pub(super) use command::uninstall::UninstallOptions;
pub(super) use command::versions::VersionsOptions;

/// Installs this program, whose args are read by `tool`, and returns the exit status: 0, 1 if it cannot be installed or does not
/// work, 2 for options that make no sense.
///
/// # Errors
///
/// Standard output cannot be written.
pub(super) fn install(options: &InstallOptions, tool: &clap::Command) -> Result<i32> {
    finish(command::install::run(options, tool))
}

/// Lists the installed versions, and returns the exit status as [`install`] does.
///
/// # Errors
///
/// Standard output cannot be written.
pub(super) fn versions(options: &VersionsOptions) -> Result<i32> {
    finish(command::versions::run(options))
}

/// Makes an installed version the current one, and returns the exit status as [`install`] does.
///
/// # Errors
///
/// Standard output cannot be written.
pub(super) fn activate(options: &ActivateOptions) -> Result<i32> {
    finish(command::activate::run(options))
}

/// Removes a version or all of them, and returns the exit status as [`install`] does.
///
/// # Errors
///
/// Standard output cannot be written.
pub(super) fn uninstall(options: &UninstallOptions) -> Result<i32> {
    finish(command::uninstall::run(options))
}

/// The exit status of what was done. What failed is printed; a termination signal that came in time ends this process.
fn finish(done: Result<i32>) -> Result<i32> {
    let error = match done {
        Ok(status) => return Ok(status),
        Err(error) => error,
    };
    if let Some(Interrupted(signal)) = error.downcast_ref() {
        ExitReason::Killed(*signal).end();
    }
    if error.is::<NotPrinted>() {
        return Err(error);
    }
    failure::print(&text::printable(&format!("{error:#}")));
    Ok(if error.is::<Usage>() { super::USAGE } else { 1 })
}
