//! `git-clone-shim uninstall`: removes a version, or all of them.

use std::ffi::{OsStr, OsString};

use anyhow::{Result, bail};
use clap::Args;

use crate::process::interruption;
use crate::tool::directory::Directory;
use crate::tool::install::error::interrupted;
use crate::tool::install::lock::Lock;
use crate::tool::install::places::{self, Places};
use crate::tool::install::uninstall::{self, Removal};
use crate::tool::install::{from_memory, manifest, staging, summary};
use crate::tool::{text, trust};

/// What to remove.
#[derive(Args)]
#[command(after_help = "\
Removes the files that its manifests list, then the directories that are empty. The
current version is only removed together with all others.")]
pub(crate) struct UninstallOptions {
    /// The version to remove [default: all of them]
    version: Option<String>,

    #[command(flatten)]
    places: places::Options,

    /// Print what would be removed, and change nothing
    #[arg(long)]
    dry_run: bool,
}

pub(crate) fn run(options: &UninstallOptions) -> Result<i32> {
    interruption::note()?;
    let places = Places::new(&options.places, true)?;
    let path = places.on_disk(&places.root());
    let version = options.version.as_deref();
    let Some(root) = Directory::find(&path)? else {
        bail!("nothing is installed in {}", text::printable_path(&path));
    };
    if options.dry_run {
        let removal = Removal::plan(&root, version)?;
        let paths = removal.paths(&places)?;
        let lines: Vec<_> = paths
            .iter()
            .map(|path| format!("Would remove {path}").into())
            .collect();
        return summary::print(&lines).map(|()| 0);
    }
    from_memory::run(&root, &arguments(options, &places));
    trust::check(root.path(), &root.status()?)?;
    let Some(lock) = Lock::take(&root)? else {
        bail!("nothing is installed in {}", text::printable_path(&path));
    };
    interrupted()?;
    staging::recover(&root, &places)?;
    if !root.has(OsStr::new(manifest::FILE))? {
        drop(lock);
        uninstall::remove_empty_root(&path)?;
        bail!("nothing is installed in {}", text::printable_path(&path));
    }
    let notes = Removal::plan(&root, version)?.run(&places, || drop(lock))?;
    let mut lines: Vec<_> = notes.into_iter().map(String::into_bytes).collect();
    let removed = version.map_or_else(|| path.clone(), |version| path.join(version));
    lines.push(format!("Removed {}", text::printable_path(&removed)).into());
    lines.push(b"If a shell still looks for git there, run in it: hash -r".to_vec());
    summary::print(&lines).map(|()| 0)
}

/// The arguments by which the same is removed from another place.
fn arguments(options: &UninstallOptions, places: &Places) -> Vec<OsString> {
    let mut arguments = vec![
        "uninstall".into(),
        "--prefix".into(),
        places.prefix().into(),
    ];
    if let Some(destdir) = places.destdir() {
        arguments.extend(["--destdir".into(), destdir.into()]);
    }
    arguments.extend(options.version.as_ref().map(OsString::from));
    arguments
}
