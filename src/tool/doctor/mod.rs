//! `git-clone-shim doctor [DIR…]`: does it work here, and if not, why?
//!
//! Everything that touches a filesystem is done by a child, which can be left alone when the filesystem does not answer; and
//! everything that is written is in fresh directories of the child's, which removes them at its end, however late.

mod directories;
mod examination;
mod modules;
mod path;
mod report;
mod scratch;
mod sealed;
mod surroundings;
mod table;
mod trial;
mod verdict;
mod watchdog;

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};
use clap::Args;

use crate::git::real_git::RealGit;
use crate::printable::json;
use crate::process::interruption;
use crate::settings::{Mode, Settings};
use crate::tool::text;
use directories::Place;
use report::{Answer, Build, Directory, Examination, Report, Surroundings, What};

/// What to examine, and how to tell of it.
#[derive(Args)]
#[command(after_help = "\
Exit status:
  0  local clones work in every directory, and from there to another mount,
     through the shim where git needs it
  1  one of them does not, or that could not be found out
  2  usage")]
pub(super) struct Options {
    /// Directories in which repositories are cloned [default: the current one, and
    /// the caches of uv, pixi and rattler that exist]
    #[arg(value_name = "DIR", verbatim_doc_comment)]
    directories: Vec<PathBuf>,

    /// How long to wait for each directory, and for PATH
    #[arg(long, value_name = "SECONDS", default_value_t = 30, value_parser = clap::value_parser!(u64).range(1..=86400))]
    timeout: u64,

    /// Print one JSON object instead of a table
    #[arg(long)]
    json: bool,
}

/// Examines the directories and returns 0, or 1 if a clone through the shim does not work in one of them.
///
/// # Errors
///
/// Standard output cannot be written, or no child could be started.
pub(super) fn run(options: &Options) -> Result<i32> {
    interruption::note().context("cannot note termination signals")?;
    let settings = Settings::from_environment();
    let timeout = Duration::from_secs(options.timeout);
    let surroundings = survey(&settings, timeout)?;
    // A child has done the same before, so no directory of PATH hangs.
    let git = surroundings
        .git
        .as_ref()
        // One that others could have put there is not run.
        .filter(|git| git.what != What::NotRun)
        .and_then(|_| RealGit::find(settings.git).ok());
    let mut directories = Vec::new();
    for place in directories::to_examine(&options.directories) {
        let git = git.as_ref().map(RealGit::file);
        let (examination, unfinished) = examine(&place, git, settings.mode, timeout)?;
        if place.optional && examination.exists == Some(false) {
            continue;
        }
        let verdict = verdict::judge(
            &place.directory,
            &examination,
            unfinished.as_ref(),
            &surroundings,
            settings.mode,
        );
        directories.push(Directory {
            path: text::of_path(&place.directory),
            whose: place.whose,
            examination,
            unfinished,
            verdict,
        });
    }
    let failed = |directory: &Directory| directory.verdict.answer == Answer::DoesNotWork;
    let report = Report {
        schema: report::SCHEMA,
        version: env!("CARGO_PKG_VERSION"),
        build: Build::THIS,
        works: !directories.iter().any(failed),
        surroundings: &surroundings,
        directories: &directories,
    };
    let shown = match options.json {
        true => json(&report, true)? + "\n",
        false => table::of(&report),
    };
    super::print(&shown)?;
    Ok(i32::from(!report.works))
}

fn survey(settings: &Settings, timeout: Duration) -> Result<Surroundings> {
    let work = |notes: &mut _| surroundings::look_around(settings, notes);
    let (mut surroundings, unfinished) =
        watchdog::watch("PATH", timeout, &Surroundings::default(), work)?;
    surroundings.unfinished = unfinished;
    Ok(surroundings)
}

fn examine(
    place: &Place,
    git: Option<&Path>,
    mode: Mode,
    timeout: Duration,
) -> Result<(Examination, Option<report::Unfinished>)> {
    let directory = &place.directory;
    let known = Examination::from_afar(directory);
    let work = |notes: &mut _| examination::examine(directory, git, mode, notes);
    watchdog::watch(&text::of_path(directory), timeout, &known, work)
}
