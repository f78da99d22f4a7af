//! `git-clone-shim install`: adds the version that this program is.

use std::path::PathBuf;

use anyhow::Result;
use clap::Args;

use crate::process::interruption;
use crate::tool::directory::Directory;
use crate::tool::install::places::{self, Places};
use crate::tool::install::plan::{Plan, Request};
use crate::tool::install::staging::Made;
use crate::tool::install::{check, payload, summary, tree};

/// What to install, and where.
#[derive(Args)]
#[command(after_help = "\
Installs this very program as PREFIX/git-clone-shim/VERSION, with module files for
Lmod and Environment Modules, points PREFIX/git-clone-shim/current at it, prints the
line that puts it on PATH, and shows that it works. It edits no dot file and never
changes a version that is installed: what runs goes on running.")]
pub(crate) struct InstallOptions {
    #[command(flatten)]
    places: places::Options,

    /// Write snippets for login shells too, for instance to /etc/profile.d
    #[arg(long, value_name = "DIR")]
    profile_d: Option<PathBuf>,

    /// Leave the current version and the default module as they are
    #[arg(long)]
    no_default: bool,

    /// Print what would be written, and change nothing
    #[arg(long)]
    dry_run: bool,
}

pub(crate) fn run(options: &InstallOptions, tool: &clap::Command) -> Result<i32> {
    interruption::note()?;
    let places = Places::new(&options.places, false)?;
    let profile_d = options
        .profile_d
        .as_deref()
        .map(places::absolute)
        .transpose()?;
    let request = || -> Result<Request<'_>> {
        Ok(Request {
            places: &places,
            profile_d: profile_d.as_deref(),
            is_default: !options.no_default,
            files: payload::version(tool)?,
        })
    };
    let mut targets = vec![places.root(), places.modules().to_owned()];
    targets.extend(profile_d.clone());
    let targets: Vec<_> = targets
        .iter()
        .map(|target| places.on_disk(target))
        .collect();
    for target in &targets {
        tree::check_target(target, &places)?;
    }
    let mut lines = Vec::new();
    if options.dry_run {
        let root = Directory::find(&places.on_disk(&places.root()))?;
        let plan = Plan::install(root.as_ref(), request()?)?;
        summary::add_plan(&mut lines, &plan, &places);
        return summary::print(&lines).map(|()| 0);
    }
    let request = request()?;
    let mut made = Made::new();
    let plan = tree::locked(&places, &mut made, |root, made| {
        let plan = Plan::install(Some(root), request)?;
        for target in &targets {
            made.expect(target)?;
        }
        tree::write(root, &places, &plan, made)?;
        Ok(plan)
    })?;
    made.keep();
    plan.notes
        .iter()
        .for_each(|note| lines.push(note.as_bytes().to_owned()));
    let bin = summary::add_installed(
        &mut lines,
        &plan,
        &places,
        !options.no_default,
        profile_d.as_deref(),
    );
    summary::print(&lines)?;
    if places.is_package() {
        return Ok(0);
    }
    check::run(&places, &bin).map(|works| i32::from(!works))
}
