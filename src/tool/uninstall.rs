//! `git-clone-shim uninstall`: removes a version, or all of them, with their module files.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::Write;
use std::os::fd::AsRawFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use clap::Args;
use nix::sys::memfd::{MFdFlags, memfd_create};

use super::install::print;
use super::tree::{CURRENT, Place, Tree, names_in, remove, temporary};
use crate::NAME;
use crate::process::startup;

/// What to remove.
#[derive(Args)]
#[command(after_help = "The current version is only removed together with all others.")]
pub(super) struct Options {
    /// The version to remove [default: all of them]
    version: Option<OsString>,

    #[command(flatten)]
    place: Place,
}

/// Removes what the options name and returns the exit status.
///
/// # Errors
///
/// It cannot be removed, or standard output cannot be written.
pub(super) fn run(options: &Options) -> Result<i32> {
    let own = fs::canonicalize(startup::own_path()).unwrap_or_default();
    let tree = Tree::new(&options.place)?;
    let root = tree.root.display();
    ensure!(tree.root.exists() || tree.modules.exists(), "nothing is installed in {root}");
    tree.check()?;
    if !options.place.dry_run {
        // It returns only where that is not possible, or not needed.
        let _ = go_on_from_memory(&own, &tree, options);
        tree.remove_stale()?;
    }

    let mut versions = tree.versions();
    if let Some(version) = &options.version {
        let (shown, there) = (version.display(), list(&versions));
        ensure!(versions.contains(version), "{shown} is not installed: there is {there}");
        let current = fs::read_link(tree.root.join(CURRENT)).unwrap_or_default();
        ensure!(
            current != *version,
            "{shown} is the current version: install another one first, or uninstall all of them"
        );
        versions.retain(|name| name == version);
    }
    // Those of versions that are gone, too.
    let is_of_version = |file: &OsString| {
        let name = file.as_bytes().strip_suffix(b".lua").unwrap_or(file.as_bytes());
        let is_number = || name.iter().all(|byte| byte.is_ascii_digit() || *byte == b'.');
        options
            .version
            .as_ref()
            .map_or_else(|| name == b".version" || is_number(), |version| version.as_bytes() == name)
    };
    let mut modules = names_in(&tree.modules);
    modules.retain(is_of_version);
    if options.version.is_none() {
        // The manifest is that of version 0.2.
        versions.extend([CURRENT.into(), "manifest".into()]);
    }

    let mut lines = Vec::new();
    // The module files first: as long as a version is there, the next run knows their names.
    for (directory, mut names) in [(&tree.modules, modules), (&tree.root, versions)] {
        let shown = directory.display();
        names.retain(|name| directory.join(name).symlink_metadata().is_ok());
        for path in names.iter().map(|name| directory.join(name)) {
            if !options.place.dry_run {
                // A run that is killed leaves a whole version or none, and the next run does the rest.
                let renamed = fs::rename(&path, temporary(&path));
                let removed = renamed.and_then(|()| remove(&temporary(&path)));
                removed.with_context(|| format!("cannot remove all in {shown}: run this again later"))?;
            }
        }
        if !names.is_empty() {
            let did = if options.place.dry_run { "Would remove" } else { "Removed" };
            lines.push(format!("{did} {shown}/{{{}}}\n", list(&names)));
        }
    }
    if options.version.is_none() && !options.place.dry_run {
        // These go if they are empty.
        for directory in [&tree.root, &tree.modules, &tree.prefix.join("modulefiles")] {
            let _ = fs::remove_dir(directory);
        }
        ensure!(!lines.is_empty(), "nothing is installed in {root}");
        if tree.root.exists() {
            lines.push(format!("Left {root}: it holds what install did not write\n"));
        }
        lines.push("Remove its line from your shell's start-up file.\n".to_owned());
    }
    if !options.place.dry_run {
        // bash remembers where a program was.
        lines.push("In a running shell: hash -r\n".to_owned());
    }
    print(lines.concat().as_bytes())
}

fn list(names: &[OsString]) -> String {
    let names: Vec<_> = names.iter().map(|name| name.to_string_lossy()).collect();
    names.join(",")
}

/// Goes on as a copy in memory if this program is in the tree: NFS keeps the file of a running program, under another name, and
/// with it the directory.
fn go_on_from_memory(own: &Path, tree: &Tree, options: &Options) -> Result<()> {
    if !own.starts_with(fs::canonicalize(&tree.root)?) {
        return Ok(());
    }
    let mut memory = File::from(memfd_create(NAME, MFdFlags::MFD_CLOEXEC)?);
    memory.write_all(&fs::read(startup::own_path())?)?;
    let mut command = Command::new(format!("/proc/self/fd/{}", memory.as_raw_fd()));
    command.arg0(NAME).arg("uninstall").args(&options.version);
    command.arg("--prefix").arg(&tree.prefix);
    Err(command.arg("--modules").arg(&tree.modulefiles).exec().into())
}
