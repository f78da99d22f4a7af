//! `git-clone-shim install | versions | activate VERSION | uninstall [VERSION]`: versions side by side below a prefix, each in
//! a directory that is never changed, and a link that says which one is current.
//!
//! What is new is staged, then renamed into its place; what was written is listed in a manifest, and only what is listed is
//! removed. Only one process at a time changes a tree. Everything that another user could interfere with is done by
//! descriptors of directories.

mod check;
mod from_memory;
mod lock;
mod manifest;
mod payload;
mod places;
mod plan;
mod program;
mod removal;
mod staging;
mod summary;
mod uninstall;
mod versions;

use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::fmt;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use anyhow::{Result, bail};
use clap::Args;

use super::text;
use crate::failure;
use crate::process::exit_reason::ExitReason;
use crate::process::interruption;
use crate::tool::directory::Directory;
use crate::tool::trust;
use lock::Lock;
use manifest::{Manifest, Subject};
use places::Places;
use plan::{Plan, Request};
use staging::{Made, Output, Staging};
use uninstall::Removal;

/// The version that this program is.
const VERSION: &str = env!("CARGO_PKG_VERSION");

/// The link to the current version's directory.
const CURRENT: &str = "current";

/// What to install, and where.
#[derive(Args)]
#[command(after_help = "\
Installs this very program as PREFIX/git-clone-shim/VERSION, with module files for
Lmod and Environment Modules, points PREFIX/git-clone-shim/current at it, prints the
line that puts it on PATH, and shows that it works. It edits no dot file and never
changes a version that is installed: what runs goes on running.")]
pub(super) struct InstallOptions {
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

/// Which installation to list.
#[derive(Args)]
pub(super) struct VersionsOptions {
    #[command(flatten)]
    places: places::Options,
}

/// What to make the current version.
#[derive(Args)]
pub(super) struct ActivateOptions {
    /// A version that `git-clone-shim versions` lists
    version: String,

    #[command(flatten)]
    places: places::Options,

    /// Print what would be written, and change nothing
    #[arg(long)]
    dry_run: bool,
}

/// What to remove.
#[derive(Args)]
#[command(after_help = "\
Removes the files that its manifests list, then the directories that are empty. The
current version is only removed together with all others.")]
pub(super) struct UninstallOptions {
    /// The version to remove [default: all of them]
    version: Option<String>,

    #[command(flatten)]
    places: places::Options,

    /// Print what would be removed, and change nothing
    #[arg(long)]
    dry_run: bool,
}

/// The options make no sense; the exit status is that of wrong usage.
#[derive(Debug)]
struct Usage(String);

impl fmt::Display for Usage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Usage {}

/// A termination signal arrived before anything was renamed into its place.
#[derive(Debug)]
struct Interrupted(i32);

impl fmt::Display for Interrupted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "interrupted by signal {}", self.0)
    }
}

impl std::error::Error for Interrupted {}

/// Standard output could not be written.
#[derive(Debug)]
struct NotPrinted(io::Error);

impl fmt::Display for NotPrinted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cannot write the output: {}", self.0)
    }
}

impl std::error::Error for NotPrinted {}

/// Fails if a termination signal has arrived.
fn interrupted() -> Result<()> {
    match interruption::arrived() {
        Some(signal) => Err(Interrupted(signal).into()),
        None => Ok(()),
    }
}

/// Installs this program and returns the exit status: 0, 1 if it cannot be installed or does not work, 2 for options that make
/// no sense.
///
/// # Errors
///
/// Standard output cannot be written.
pub(super) fn install(options: &InstallOptions) -> Result<i32> {
    finish(install_version(options))
}

/// Lists the installed versions, and returns the exit status as [`install`] does.
///
/// # Errors
///
/// Standard output cannot be written.
pub(super) fn versions(options: &VersionsOptions) -> Result<i32> {
    finish(list_versions(options))
}

/// Makes an installed version the current one, and returns the exit status as [`install`] does.
///
/// # Errors
///
/// Standard output cannot be written.
pub(super) fn activate(options: &ActivateOptions) -> Result<i32> {
    finish(activate_version(options))
}

/// Removes a version or all of them, and returns the exit status as [`install`] does.
///
/// # Errors
///
/// Standard output cannot be written.
pub(super) fn uninstall(options: &UninstallOptions) -> Result<i32> {
    finish(uninstall_versions(options))
}

/// The exit status of what was done. What failed is printed; a termination signal that came in time ends this process.
fn finish(done: Result<i32>) -> Result<i32> {
    let error = match done {
        Ok(status) => return Ok(status),
        Err(error) => error,
    };
    if let Some(Interrupted(signal)) = error.downcast_ref() {
        ExitReason::Killed(*signal).end();
    }
    if error.is::<NotPrinted>() {
        return Err(error);
    }
    failure::print(&text::printable(&format!("{error:#}")));
    Ok(if error.is::<Usage>() { super::USAGE } else { 1 })
}

fn install_version(options: &InstallOptions) -> Result<i32> {
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
            files: payload::version()?,
        })
    };
    let mut targets = vec![places.root(), places.modules().to_owned()];
    targets.extend(profile_d.clone());
    let targets: Vec<_> = targets
        .iter()
        .map(|target| places.on_disk(target))
        .collect();
    for target in &targets {
        check_target(target, &places)?;
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
    let plan = locked(&places, &mut made, |root, made| {
        let plan = Plan::install(Some(root), request)?;
        for target in &targets {
            made.expect(target)?;
        }
        write(root, &places, &plan, made)?;
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

/// Refuses a directory to install in that cannot be written to, or in which other users could exchange what is installed for
/// root.
fn check_target(target: &Path, places: &Places) -> Result<()> {
    let mut ancestors = target.ancestors();
    let found = ancestors.find_map(|path| Directory::find(path).transpose());
    let Some(found) = found.transpose()? else {
        return Ok(());
    };
    if !found.is_writable() {
        bail!(
            "cannot write to {}; use another --prefix, --modules or --profile-d",
            text::printable_path(found.path())
        );
    }
    if places.destdir().is_none() {
        trust::check_exposure(found.exposed())?;
    }
    Ok(())
}

/// Makes the directory of all versions if it is missing, locks it, removes what killed runs have left, and does `work`.
fn locked<T>(
    places: &Places,
    made: &mut Made,
    work: impl FnOnce(&Rc<Directory>, &mut Made) -> Result<T>,
) -> Result<T> {
    let path = places.on_disk(&places.root());
    loop {
        made.expect(&path)?;
        let root = Rc::new(Directory::make(&path)?);
        trust::check(root.path(), &root.status()?)?;
        let Some(_lock) = Lock::take(&root)? else {
            continue;
        };
        interrupted()?;
        staging::recover(&root, places)?;
        return work(&root, made);
    }
}

/// Stages what was planned, then renames it into its place.
fn write(root: &Rc<Directory>, places: &Places, plan: &Plan, made: &Made) -> Result<()> {
    let mut shared = plan.shared.clone();
    made.list(places, false, &mut shared);
    let known = Manifest::read(root, manifest::FILE, Subject::Shared)?;
    let manifest = Output::File(places.root(), manifest::FILE.to_owned(), shared.to_bytes());
    let manifest = (known.as_ref() != Some(&shared)).then_some(&manifest);
    let mut outputs: Vec<_> = manifest.into_iter().collect();
    outputs.extend(plan.all());
    if outputs.is_empty() {
        return Ok(());
    }
    let first = outputs.len() - plan.activation.len();
    let mut staging = Staging::begin(root, places, &outputs, made)?;
    for output in &outputs {
        staging.add(places, output)?;
    }
    interrupted()?;
    staging.commit(first)
}

fn list_versions(options: &VersionsOptions) -> Result<i32> {
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

fn activate_version(options: &ActivateOptions) -> Result<i32> {
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
    let plan = locked(&places, &mut Made::new(), |root, made| {
        let plan = plan(root)?;
        write(root, &places, &plan, made)?;
        Ok(plan)
    })?;
    plan.notes
        .iter()
        .for_each(|note| lines.push(note.as_bytes().to_owned()));
    lines.push([b"Current: ", path.join(version).as_os_str().as_bytes()].concat());
    summary::print(&lines).map(|()| 0)
}

fn uninstall_versions(options: &UninstallOptions) -> Result<i32> {
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
    let lines: Vec<_> = notes.into_iter().map(String::into_bytes).collect();
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
