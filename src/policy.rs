//! The policy, in one screen: find the real git, plan, attempt (in English), and fall back where a link failed. Owners and modes of
//! the source play no part.

use std::convert::Infallible;
use std::ffi::CStr;
use std::time::Duration;

use tracing::info;

use crate::failure::Failure;
use crate::git::command_line::CloneCommand;
use crate::git::destination::{self, Destination};
use crate::git::filesystems;
use crate::git::link_failure::{self, LinkFailure};
use crate::git::real_git::RealGit;
use crate::log;
use crate::plan::{self, Plan, Reason};
use crate::process::ancestors::since_boot;
use crate::process::attempt::Attempt;
use crate::process::environment;
use crate::process::exit_reason::ExitReason;
use crate::settings::Settings;

/// How a git exits that has died (`die` in usage.c).
const DIED: ExitReason = ExitReason::Exited(128);

/// Does what git would do with `args`, our own name first, and does not return unless git could not be run at all.
///
/// # Errors
///
/// No real git was found, or it cannot be run.
pub fn run(args: &[&CStr]) -> Result<Infallible, Failure> {
    let mut settings = Settings::from_environment();
    if let Some(filter) = settings.log.take() {
        log::start(filter);
    }
    let mut git = RealGit::find(settings.git)?;
    info!(file = %git.file().as_os_str().as_encoded_bytes().escape_ascii(), "the real git");
    let plan = Plan::new(settings.mode, args);
    if plan.is_for_a_clone() {
        settings.print_complaints();
    }
    match plan {
        Plan::PassThrough(reason) => {
            info!(reason = reason.to_string(), "exec git with these args");
            Err(git.exec(args, None))
        }
        Plan::Copy(clone, reason) => {
            info!(reason = reason.to_string(), "no attempt");
            if reason == Reason::DifferentMounts {
                let place = destination::place(&clone);
                log::fallback("different-mounts", place.as_ref(), Duration::ZERO, settings.syslog);
            }
            Err(git.exec(&clone.without_hard_links(args), None))
        }
        Plan::Attempt(clone, reason) => {
            info!(reason = reason.to_string(), "this call can hard-link");
            attempt(&mut git, &clone, args, &settings)
        }
    }
}

/// Lets git try, and then execs the fallback or exits as git has exited. Apart, so that a pass-through does not load its code.
#[inline(never)]
fn attempt(
    git: &mut RealGit,
    clone: &CloneCommand<'_>,
    args: &[&CStr],
    settings: &Settings,
) -> Result<Infallible, Failure> {
    let destination = Destination::before_attempt(clone);
    let attempted = plan::attempted(clone, args);
    let begun = since_boot();
    let in_child = || git.clone().exec(&attempted, Some(environment::ENGLISH)).report();
    let attempt = match Attempt::run(in_child, link_failure::is_ruled_out_by) {
        Ok(attempt) => attempt,
        Err(error) => {
            info!(%error, "no attempt can be made: exec git with these args");
            return Err(git.exec(args, None));
        }
    };
    info!(exit_reason = ?attempt.exit_reason(), "the attempt");
    // A signal that ends processes prevents the fallback.
    let has_died = attempt.exit_reason() == DIED && !attempt.signalled;
    let failure = if has_died { link_failure::find(attempt.stderr()) } else { None };
    let Some(failure) = failure.filter(|_| destination.is_some_and(|it| it.is_as_before())) else { attempt.end() };
    drop(attempt);
    // A refused link is always cured: without --local git itself copies these very objects. But where links are honest, one that
    // differs from its source tells of an object that another process has exchanged, and git is to check again.
    let place = destination::place(clone);
    if failure != LinkFailure::Refused && place.as_ref().is_some_and(|place| filesystems::is_honest(place.as_path())) {
        info!(reason = failure.name(), "exec git with these args again");
        return Err(git.exec(args, None));
    }
    log::fallback(failure.name(), place.as_ref(), since_boot().saturating_sub(begun), settings.syslog);
    Err(git.exec(&clone.without_hard_links(args), None))
}
