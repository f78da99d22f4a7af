//! The tree of installed versions: where it is, who may change it, and what is on its way into it.

use std::ffi::OsString;
use std::fs;
use std::io::{self, ErrorKind};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use clap::Args;
use nix::errno::Errno;
use nix::libc;
use nix::sys::signal::kill;
use nix::sys::utsname::uname;
use nix::unistd::{Pid, geteuid, getpid};

use crate::NAME;
use crate::process::startup;

/// The link to the current version.
pub(super) const CURRENT: &str = "current";

/// The beginning of the name of what is on its way to its place, or being removed.
const TEMPORARY: &str = ".git-clone-shim.";

/// When what a process of another machine began is taken for abandoned.
const A_DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// The options of install and uninstall.
#[derive(Args)]
pub(super) struct Place {
    /// Installation prefix [default: its own or ~/.local/opt]
    #[arg(long, value_name = "DIR")]
    prefix: Option<PathBuf>,

    /// Module files' directory [default: PREFIX/modulefiles]
    #[arg(long, value_name = "DIR")]
    modules: Option<PathBuf>,

    /// Print what would be done, and change nothing
    #[arg(long)]
    pub(super) dry_run: bool,
}

/// The directories of one tree.
pub(super) struct Tree {
    /// What the options name.
    pub(super) prefix: PathBuf,
    pub(super) modulefiles: PathBuf,
    /// The directories of all versions and of their module files.
    pub(super) root: PathBuf,
    pub(super) modules: PathBuf,
}

impl Tree {
    /// The tree at this place; without `--prefix` the one that this program is installed in, or else one below the home directory.
    ///
    /// # Errors
    ///
    /// There is no home directory, or a path cannot stand on PATH.
    pub(super) fn new(place: &Place) -> Result<Self> {
        let home = std::env::var_os("HOME").filter(|home| !home.is_empty());
        let below_home = home.map(|home| Path::new(&home).join(".local/opt"));
        let prefix = place.prefix.clone().or_else(own_prefix).or(below_home);
        let prefix = std::path::absolute(prefix.context("HOME is not set: use --prefix DIR")?)?;
        let modules = place.modules.clone();
        let modulefiles = modules.unwrap_or_else(|| prefix.join("modulefiles"));
        let modulefiles = std::path::absolute(modulefiles)?;
        for path in [&prefix, &modulefiles] {
            let is_odd = |byte: &u8| byte.is_ascii_control() || *byte == b':';
            let has_odd = path.as_os_str().as_bytes().iter().any(is_odd);
            let shown = path.display();
            ensure!(!has_odd, "{shown} has a colon or control character: it cannot be on PATH");
            // bash takes the one in --prefix=~/opt as it is.
            let has_tilde = path.components().any(|part| part.as_os_str() == "~");
            ensure!(!has_tilde, "{shown} has a ~ that the shell has not expanded: write --prefix ~/DIR, with a blank");
        }
        let (root, modules) = (prefix.join(NAME), modulefiles.join(NAME));
        Ok(Self { prefix, modulefiles, root, modules })
    }

    /// Whether a module file finds the tree from its own path.
    pub(super) fn has_modules_inside(&self) -> bool {
        self.modulefiles == self.prefix.join("modulefiles")
    }

    /// Refuses a tree that is another user's, or in which other users could exchange what root installs.
    ///
    /// # Errors
    ///
    /// It is such a tree.
    pub(super) fn check(&self) -> Result<()> {
        for directory in [&self.root, &self.modules] {
            let shown = directory.display();
            if let Ok(found) = directory.symlink_metadata() {
                ensure!(!found.is_symlink(), "{shown} is a symbolic link: name where it leads to");
                ensure!(is_trusted(&found), "{shown} belongs to another user");
            }
            if geteuid().is_root() {
                // And where symbolic links lead.
                let real = directory.ancestors().find_map(|path| path.canonicalize().ok()).unwrap_or_default();
                if let Some(here) = exposed(directory, false).or(exposed(&real, false)).map(Path::display) {
                    bail!("other users can replace what is in {here}: run this as its owner, or use another place");
                }
            }
        }
        Ok(())
    }

    /// The names of the installed versions.
    pub(super) fn versions(&self) -> Vec<OsString> {
        let mut names = names_in(&self.root);
        names.retain(|name| {
            let version = self.root.join(name);
            let is_number = name.as_bytes().first().is_some_and(u8::is_ascii_digit);
            // In version 0.2 without a directory for the processor.
            let has_program = |path: &Path| path.join("bin").is_dir();
            let mut machines = names_in(&version).into_iter();
            is_number && (has_program(&version) || machines.any(|name| has_program(&version.join(name))))
        });
        names
    }

    /// Removes what killed runs have left.
    ///
    /// # Errors
    ///
    /// It cannot be removed.
    pub(super) fn remove_stale(&self) -> Result<()> {
        let versions = self.versions().into_iter();
        let mut directories: Vec<_> = versions.map(|name| self.root.join(name)).collect();
        directories.extend([self.root.clone(), self.modules.clone()]);
        directories.iter().try_for_each(|directory| remove_stale_in(directory))
    }
}

/// Removes what killed runs of this user have left in `directory`.
///
/// # Errors
///
/// It cannot be removed.
pub(super) fn remove_stale_in(directory: &Path) -> Result<()> {
    for name in names_in(directory) {
        let path = directory.join(&name);
        let is_ours = path.symlink_metadata().is_ok_and(|found| found.uid() == geteuid().as_raw());
        if name.as_bytes().starts_with(TEMPORARY.as_bytes()) && is_ours && !is_in_use(&path) {
            remove(&path).with_context(|| format!("cannot remove {}", path.display()))?;
        }
    }
    Ok(())
}

/// The prefix of the tree that this program is installed in, as PREFIX/git-clone-shim/VERSION/ARCH/bin/git-clone-shim.
pub(super) fn own_prefix() -> Option<PathBuf> {
    let own = startup::own_path().canonicalize().ok()?;
    let root = own.ancestors().nth(4)?;
    let is_installed = root.ends_with(NAME) && root.join(CURRENT).is_symlink();
    is_installed.then(|| root.parent().map(Path::to_owned))?
}

/// A name beside this one, for what is on its way: it says which process made it, so that the next run sees whether that was killed.
pub(super) fn temporary(place: &Path) -> PathBuf {
    let host = uname().map(|names| names.nodename().to_string_lossy().into_owned());
    let (host, process) = (host.unwrap_or_default(), getpid());
    place.with_file_name(format!("{TEMPORARY}{host}.{process}"))
}

/// Whether the process that made this may still need it.
fn is_in_use(path: &Path) -> bool {
    let process = path.extension().and_then(|end| end.to_str()?.parse().ok());
    let process = process.map(Pid::from_raw);
    if path.file_stem() == temporary(path).file_stem() {
        let other = process.filter(|process| *process != getpid());
        return other.is_some_and(|process| kill(process, None) != Err(Errno::ESRCH));
    }
    let modified = path.symlink_metadata().and_then(|found| found.modified());
    let is_new = modified.is_ok_and(|time| time.elapsed().is_ok_and(|age| age < A_DAY));
    process.is_some() && is_new
}

/// Removes a file, a link or a directory with all that is in it, if it is still there, and follows no link.
///
/// # Errors
///
/// The last error of the system.
pub(super) fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path).or_else(|_| fs::remove_dir_all(path)) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        removed => removed,
    }
}

/// The names in a directory, sorted; none if there is none.
pub(super) fn names_in(directory: &Path) -> Vec<OsString> {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    let mut names: Vec<_> = entries.map(|entry| entry.file_name()).collect();
    names.sort();
    names
}

/// `path`, or the nearest directory above it as it is spelled, if other users can exchange what is in it. A group that may write is
/// the site's own decision (`/usr/local` of Debian belongs to root:staff) unless `groups_too`; in a sticky directory, entries are
/// their owners' own.
pub(super) fn exposed(path: &Path, groups_too: bool) -> Option<&Path> {
    path.ancestors().find(|here| {
        let Ok(found) = here.symlink_metadata() else { return false };
        let group = if groups_too && found.gid() != 0 { libc::S_IWGRP } else { 0 };
        let is_open = found.mode() & (libc::S_IWOTH | group) != 0 && found.mode() & libc::S_ISVTX == 0;
        !is_trusted(&found) || is_open && !found.is_symlink()
    })
}

/// Whether the owner can be relied on: it is the user, root, or the owner of `/`, who could replace everything anyway (root, in a
/// user namespace that has no number for root).
fn is_trusted(found: &fs::Metadata) -> bool {
    let slash = Path::new("/").metadata().map(|slash| slash.uid());
    let owner = found.uid();
    owner == 0 || owner == geteuid().as_raw() || slash.is_ok_and(|slash| slash == owner)
}
