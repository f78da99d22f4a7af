//! `git-clone-shim activate`: makes an installed version the current one.

use std::collections::BTreeSet;
use std::os::unix::ffi::OsStrExt;

use anyhow::{Result, bail};
use clap::Args;

use crate::process::interruption;
use crate::tool::directory::Directory;
use crate::tool::install::manifest::{self, Manifest, Subject};
use crate::tool::install::places::{self, Places};
use crate::tool::install::plan::Plan;
use crate::tool::install::staging::Made;
use crate::tool::install::{summary, tree, uninstall};
use crate::tool::text;

/// What to make the current version.
#[derive(Args)]
pub(crate) struct ActivateOptions {
    /// A version that `git-clone-shim versions` lists
    version: String,

    #[command(flatten)]
    places: places::Options,

    /// Print what would be written, and change nothing
    #[arg(long)]
    dry_run: bool,
}

pub(crate) fn run(options: &ActivateOptions) -> Result<i32> {
    interruption::note()?;
    let places = Places::new(&options.places, true)?;
    let path = places.on_disk(&places.root());
    let version = options.version.as_str();
    let plan = |root: &Directory| -> Result<Plan> {
        uninstall::check_installed(root, version)?;
        let manifest = uninstall::manifest_of(root, version)?;
        let mut directories = uninstall::module_directories(&places, &manifest);
        // Where its module files are an admin's own, none is listed.
        if directories.is_empty() && Directory::find(&places.on_disk(places.modules()))?.is_some() {
            directories = BTreeSet::from([places.modules().to_owned()]);
        }
        let shared = Manifest::read(root, manifest::FILE, Subject::Shared)?;
        let mut plan = Plan {
            shared: shared.unwrap_or_default(),
            ..Plan::default()
        };
        plan.activate(Some(root), &places, version, &directories)?;
        Ok(plan)
    };
    let Some(root) = Directory::find(&path)? else {
        bail!(
            "{version} is not installed in {}",
            text::printable_path(&path)
        );
    };
    let mut lines = Vec::new();
    if options.dry_run {
        summary::add_plan(&mut lines, &plan(&root)?, &places);
        return summary::print(&lines).map(|()| 0);
    }
    // Before it is locked, so that a tree that cannot be written to is not the first error.
    uninstall::check_installed(&root, version)?;
    let plan = tree::locked(&places, &mut Made::new(), |root, made| {
        let plan = plan(root)?;
        tree::write(root, &places, &plan, made)?;
        Ok(plan)
    })?;
    plan.notes
        .iter()
        .for_each(|note| lines.push(note.as_bytes().to_owned()));
    lines.push([b"Current: ", path.join(version).as_os_str().as_bytes()].concat());
    summary::print(&lines).map(|()| 0)
}
