//! The policy, in one screen: find the real git, plan, attempt, judge, become.

use std::convert::Infallible;
use std::ffi::CStr;
use std::io::{IsTerminal, stderr};
use std::time::Instant;

use anyhow::Result;
use tracing::info;

use crate::git::command_line::{CloneCommand, Linking};
use crate::git::destination;
use crate::git::link_failure::{self, LinkFailure};
use crate::git::real_git::RealGit;
use crate::log::{self, QuotedArgs};
use crate::plan::Plan;
use crate::process::exit_reason::ExitReason;
use crate::process::relay::Lines;
use crate::process::supervise::{Finished, attempt};
use crate::settings::{self, Settings};

/// The status of a git that has died (`die` in usage.c).
const DIED: ExitReason = ExitReason::Exited(128);

/// What git says of its links.
const LINES: Lines = Lines {
    end_the_hold: link_failure::is_ruled_out_by,
    are_last_words: link_failure::begins,
};

/// Does what git would do with `args`, our own name first, and does not return unless git could not be run at all.
///
/// # Errors
///
/// A [`crate::failure::Failure`]: no real git was found, or it cannot be run.
pub fn run(args: &[&CStr]) -> Result<Infallible> {
    let settings = Settings::from_environment();
    if let Some(filter) = settings.log {
        log::start(filter);
    }
    let mut git = RealGit::find(settings.git)?;
    info!(file = %git.file().as_os_str().as_encoded_bytes().escape_ascii(), "the real git");

    let clone = match Plan::new(settings.mode, args) {
        Plan::PassThrough(why) => {
            info!(%why, "this call cannot hard-link: exec git");
            return Err(git.exec(args).into());
        }
        Plan::Copy(clone) => {
            let copying = clone.without_hard_links(args);
            info!(args = %QuotedArgs(&copying), "GIT_CLONE_SHIM=always: exec git");
            return Err(git.exec(&copying).into());
        }
        Plan::Attempt(clone) => clone,
    };
    info!(reason = why(&clone, args), "this call can hard-link");

    let watched = stderr().is_terminal() && !clone.progress_decided;
    let first = if watched {
        clone.with_progress(args)
    } else {
        args.to_vec()
    };
    let becoming = || crate::failure::report(&git.exec(&first).into());
    let begun = Instant::now();
    let finished = match attempt(becoming, LINES) {
        Ok(finished) => finished,
        Err(error) => {
            info!(%error, "git cannot be supervised: exec git");
            return Err(git.exec(args).into());
        }
    };
    if let Some(failure) = judge(&finished, &clone) {
        let copying = clone.without_hard_links(args);
        info!(ending = %finished.ending, sentence = failure.message.name, said = %failure.line.escape_ascii(), "the attempt");
        info!(args = %QuotedArgs(&copying), "exec git");
        settings::fallbacks().begin(destination::directory(&clone), &failure, begun.elapsed());
        return Err(git.exec(&copying).into());
    }
    info!(ending = %finished.ending, "the attempt");
    finished.end()
}

fn why(clone: &CloneCommand<'_>, args: &[&CStr]) -> String {
    match clone.linking {
        Linking::Demanded(by) => format!(
            "--local is in effect, by {}",
            QuotedArgs(args.get(by..=by).unwrap_or_default())
        ),
        Linking::IfLocal | Linking::Never => "the source is a local repository".to_owned(),
    }
}

/// The link failure that git died of, if a second run can cure it.
fn judge<'a>(finished: &'a Finished, clone: &CloneCommand<'_>) -> Option<LinkFailure<'a>> {
    if finished.ending != DIED || finished.signalled {
        return None;
    }
    let failure = link_failure::find(finished.said())?;
    let free =
        destination::directory(clone).is_none_or(|directory| destination::is_free(&directory));
    free.then_some(failure)
}
