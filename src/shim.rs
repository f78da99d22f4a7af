//! The policy, in one screen: find the real git, plan, attempt, and fall back where a link failed.

use std::convert::Infallible;
use std::ffi::CStr;
use std::io::{IsTerminal, stderr};
use std::time::Duration;

use tracing::info;

use crate::failure::Failure;
use crate::git::command_line::CloneCommand;
use crate::git::destination::{self, Destination};
use crate::git::real_git::RealGit;
use crate::git::{cure, link_failure};
use crate::log::record::Cause;
use crate::log::{self, QuotedArgs};
use crate::plan::{CopyReason, Plan};
use crate::process::clock;
use crate::process::exit_reason::ExitReason;
use crate::process::relay::Lines;
use crate::process::supervise::supervise;
use crate::settings::{self, Settings};

/// How a git exits that has died (`die` in usage.c).
const DIED: ExitReason = ExitReason::Exited(128);

/// Which stderr lines end the hold, and which are withheld until git exits.
const LINES: Lines = Lines {
    end_the_hold: link_failure::is_ruled_out_by,
    are_withheld: link_failure::begins,
};

/// Does what git would do with `args`, our own name first, and does not return unless git could not be run at all.
///
/// # Errors
///
/// No real git was found, or it cannot be run.
pub fn run(args: &[&CStr]) -> Result<Infallible, Failure> {
    let settings = Settings::from_environment();
    if let Some(filter) = settings.log {
        log::start(filter);
    }
    let mut git = RealGit::find(settings.git)?;
    info!(file = %git.file().as_os_str().as_encoded_bytes().escape_ascii(), "the real git");
    match Plan::new(settings.mode, args) {
        Plan::PassThrough(reason) => {
            info!(%reason, "exec git with these args");
            Err(git.exec(args))
        }
        Plan::Copy(clone, reason) => {
            info!(%reason, "no attempt");
            if reason == CopyReason::DifferentMounts {
                let directory = destination::directory(&clone);
                settings::fallbacks().begin(directory, Cause::DifferentMounts, Duration::ZERO);
            }
            Err(exec_copying(&mut git, &clone, args))
        }
        Plan::Attempt(clone, reason) => {
            info!(reason = reason.to_string(), "this call can hard-link");
            attempt(&mut git, &clone, args)
        }
    }
}

/// Lets git try, and then execs the fallback or exits as git has exited.
fn attempt(
    git: &mut RealGit,
    clone: &CloneCommand<'_>,
    args: &[&CStr],
) -> Result<Infallible, Failure> {
    let destination = Destination::before_attempt(clone);
    let shows_progress = stderr().is_terminal() && !clone.progress_decided;
    let attempted = match shows_progress {
        true => clone.with_progress(args),
        false => args.to_vec(),
    };
    // The child shares our memory until it execs.
    let in_child = || git.clone().exec(&attempted).report();
    let begun = clock::monotonic();
    let finished = match supervise(in_child, LINES) {
        Ok(finished) => finished,
        Err(error) => {
            info!(%error, "git cannot be supervised: exec git");
            return Err(git.exec(args));
        }
    };
    info!(exit_reason = %finished.exit_reason, "the attempt");
    // A termination signal that arrived meanwhile prevents the fallback.
    let failed = finished.exit_reason == DIED && !finished.signalled;
    let failure = failed.then(|| cure::find(finished.stderr(), clone, &destination));
    let Some(failure) = failure.flatten() else {
        finished.end()
    };
    let directory = destination::directory(clone);
    let cause = Cause::LinkFailure(&failure);
    settings::fallbacks().begin(directory, cause, clock::monotonic().saturating_sub(begun));
    Err(exec_copying(git, clone, args))
}

/// Execs git with `--no-hardlinks`; returns only why it cannot.
fn exec_copying(git: &mut RealGit, clone: &CloneCommand<'_>, args: &[&CStr]) -> Failure {
    let copying = clone.without_hard_links(args);
    info!(args = %QuotedArgs(&copying), "exec git");
    git.exec(&copying)
}
