//! Where things are: the prefix and what is below it, as users will see it and as it is on disk now.

use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};

use anyhow::{Result, anyhow};
use clap::Args;

use super::error::Usage;
use crate::NAME;
use crate::process::startup;
use crate::tool::text;

/// The options that say where an installation is.
#[derive(Args)]
pub(super) struct Options {
    /// Where it is to be used [default: ~/.local/opt, or the tree that this program is installed in]
    #[arg(long, value_name = "DIR")]
    prefix: Option<PathBuf>,

    /// Where its module files are [default: PREFIX/modulefiles]
    #[arg(long, value_name = "DIR")]
    modules: Option<PathBuf>,

    /// Find all of it below DIR, as packagers do; DIR is written into no file
    #[arg(long, value_name = "DIR")]
    destdir: Option<PathBuf>,
}

/// The places of one installation. All are absolute and those of the final place; [`Places::on_disk`] adds the destdir.
pub(super) struct Places {
    prefix: PathBuf,
    modules: PathBuf,
    /// `None` where it is `/`, too.
    destdir: Option<PathBuf>,
    is_package: bool,
}

impl Places {
    /// The places that the options name. Where no prefix is named, it is that of the tree in which this program is installed
    /// if `own_tree` is set, and else below the user's home directory.
    ///
    /// # Errors
    ///
    /// [`Usage`]: there is no home directory, or a path cannot be one of these places.
    pub(super) fn new(options: &Options, own_tree: bool) -> Result<Self> {
        let own = own_tree
            .then(|| own_prefix(options.destdir.is_some()))
            .flatten();
        let home = || std::env::var_os("HOME").filter(|home| !home.is_empty());
        let default = || own.or_else(|| home().map(|home| Path::new(&home).join(".local/opt")));
        let prefix = options.prefix.clone().or_else(default);
        let prefix = prefix
            .ok_or_else(|| Usage("nowhere to install: HOME is not set; use --prefix".to_owned()))?;
        let prefix = absolute(&prefix)?;
        if prefix.as_os_str().as_bytes().contains(&b':') {
            let shown = text::printable_path(&prefix);
            return Err(Usage(format!(
                "a directory with a colon cannot be on PATH: {shown}"
            ))
            .into());
        }
        let modules = match &options.modules {
            Some(modules) => absolute(modules)?,
            None => prefix.join("modulefiles"),
        };
        let destdir = options.destdir.as_deref().map(absolute).transpose()?;
        Ok(Self {
            prefix,
            modules: modules.join(NAME),
            destdir: destdir.filter(|destdir| destdir != Path::new("/")),
            is_package: options.destdir.is_some(),
        })
    }

    /// The prefix.
    pub(super) fn prefix(&self) -> &Path {
        &self.prefix
    }

    /// The directory below which it is staged for a package.
    pub(super) fn destdir(&self) -> Option<&Path> {
        self.destdir.as_deref()
    }

    /// The directory that holds the versions.
    pub(super) fn root(&self) -> PathBuf {
        self.prefix.join(NAME)
    }

    /// The directory of the module files, which is named like the module.
    pub(super) fn modules(&self) -> &Path {
        &self.modules
    }

    /// Whether a module file finds the versions from its own place.
    pub(super) fn are_modules_beside_the_root(&self) -> bool {
        self.modules == self.prefix.join("modulefiles").join(NAME)
    }

    /// Whether a package is made: then nothing is tried.
    pub(super) fn is_package(&self) -> bool {
        self.is_package
    }

    /// Where a path of the final place is now.
    pub(super) fn on_disk(&self, path: &Path) -> PathBuf {
        match &self.destdir {
            Some(destdir) => destdir.join(path.strip_prefix("/").unwrap_or(path)),
            None => path.to_owned(),
        }
    }

    /// The path of the final place that is at this path now; `None` if that is not below the destdir.
    pub(super) fn of_on_disk(&self, path: &Path) -> Option<PathBuf> {
        match &self.destdir {
            Some(destdir) => {
                let below = path.strip_prefix(destdir).ok()?;
                (!below.as_os_str().is_empty()).then(|| Path::new("/").join(below))
            }
            None => Some(path.to_owned()),
        }
    }

    /// How a manifest names a path: relative to the prefix if it is below it, so that the whole of it can be moved.
    pub(super) fn listed(&self, path: &Path) -> PathBuf {
        let below = path.strip_prefix(&self.prefix).ok();
        let below = below.filter(|below| !below.as_os_str().is_empty());
        below.unwrap_or(path).to_owned()
    }

    /// Where a path that a manifest names is now.
    pub(super) fn of_listed(&self, listed: &Path) -> PathBuf {
        self.on_disk(&self.prefix.join(listed))
    }
}

/// The path, made absolute. `..` is resolved, since a manifest must not have it.
pub(super) fn absolute(path: &Path) -> Result<PathBuf> {
    let shown = || text::printable_path(path);
    if path.as_os_str().as_bytes().iter().any(u8::is_ascii_control) {
        let shown = shown();
        return Err(Usage(format!(
            "a path with a line break or control character: {shown}"
        ))
        .into());
    }
    let not_found = |error| anyhow!("cannot find {}: {}", shown(), text::why(&error));
    let absolute = std::path::absolute(path).map_err(not_found)?;
    let components: Vec<_> = absolute.components().collect();
    let Some(last) = components
        .iter()
        .rposition(|part| *part == Component::ParentDir)
    else {
        // Without doubled slashes and dots.
        return Ok(components.iter().collect());
    };
    let (head, tail) = components.split_at(last + 1);
    let head = fs::canonicalize(head.iter().collect::<PathBuf>()).map_err(not_found)?;
    Ok(head.join(tail.iter().collect::<PathBuf>()))
}

/// The prefix of the tree in which this program is installed, if it is: PREFIX/git-clone-shim/VERSION/bin/git-clone-shim.
fn own_prefix(is_staged: bool) -> Option<PathBuf> {
    let program = fs::canonicalize(startup::own_path()).ok()?;
    let live = program.parent()?.parent()?;
    let root = live.parent()?;
    let is_installed = !is_staged && root.ends_with(NAME) && live.join("manifest").is_file();
    is_installed
        .then(|| root.parent().map(Path::to_owned))
        .flatten()
}
