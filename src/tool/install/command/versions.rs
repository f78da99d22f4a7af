//! `git-clone-shim versions`: lists what is installed.

use anyhow::Result;
use clap::Args;

use crate::tool::directory::Directory;
use crate::tool::install::places::{self, Places};
use crate::tool::install::{summary, versions};

/// Which installation to list.
#[derive(Args)]
pub(crate) struct VersionsOptions {
    #[command(flatten)]
    places: places::Options,
}

pub(crate) fn run(options: &VersionsOptions) -> Result<i32> {
    let places = Places::new(&options.places, true)?;
    let mut lines = Vec::new();
    if let Some(root) = Directory::find(&places.on_disk(&places.root()))? {
        let current = versions::current(&root)?;
        for version in versions::installed(&root)? {
            let is_current = current.as_deref() == Some(&version);
            lines.push(format!("{version}{}", if is_current { " (current)" } else { "" }).into());
        }
    }
    summary::print(&lines).map(|()| 0)
}
