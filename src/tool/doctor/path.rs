//! The gits on PATH, in its order, and what each of them is.

use std::env;
use std::ffi::OsStr;
use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Output;

use nix::libc;

use super::modules::Modules;
use super::report::{ExecutedGit, GitOnPath, What};
use super::sealed;
use crate::NAME;
use crate::failure;
use crate::git::real_git;
use crate::process::startup;
use crate::tool::directory::Directory;
use crate::tool::text;
use crate::tool::trust;

/// Every git on PATH that a search for `git` could find.
///
/// `exec_path` is git's own directory, which git puts first on PATH for what it runs, such as `git clone-shim doctor`: there
/// it is passed over, since no other program has it there.
///
/// Behind `real`, the git that the shim execs, no call reaches a git: none is run there, since another user may have put it there.
pub(super) fn gits(
    exec_path: Option<&Path>,
    real: Option<&Path>,
    modules: &Modules,
) -> Vec<GitOnPath> {
    let path = real_git::path();
    let mut entries: Vec<PathBuf> = env::split_paths(&path).collect();
    if entries.first().map(PathBuf::as_path) == exec_path {
        entries.drain(..1);
    }
    let own = identity(&startup::own_path());
    let real = real.and_then(identity);
    let mut seen = Vec::new();
    let mut gits = Vec::new();
    let (mut passed_real, mut is_behind) = (false, false);
    for entry in entries {
        let file = entry.join("git");
        let Some(found) = executable_in(&entry).and_then(|file| identity(&file)) else {
            continue;
        };
        if seen.contains(&found) {
            continue;
        }
        let asked = if Some(found) == own {
            Identification::of(What::ThisShim)
        } else {
            seen.push(found);
            match entry.is_absolute() {
                true if is_behind => Identification::not_run("no call of git reaches it"),
                true => ask(&file),
                // A repository must not be able to choose the git that runs.
                false => Identification::of(What::Relative),
            }
        };
        passed_real |= Some(found) == real;
        // A wrapper that leads back to the shim leads it to the next git.
        is_behind |= passed_real && !asked.what.is_shim();
        gits.push(GitOnPath {
            file: text::of_path(&file),
            what: asked.what,
            version: asked.version,
            message: asked.message,
            module: modules.that_brought(&entry),
        });
    }
    gits
}

/// The real git in `file`, asked what it is.
pub(super) fn real(file: &Path) -> ExecutedGit {
    let asked = ask(file);
    ExecutedGit {
        file: text::of_path(file),
        what: asked.what,
        version: asked.version,
        message: asked.message,
    }
}

/// The directory that the git in `file` puts first on PATH for what it runs.
pub(super) fn exec_path(file: &Path) -> Option<PathBuf> {
    if exchangeable(file).is_some() {
        return None;
    }
    let output = run(file, "git", "--exec-path").ok()?;
    Some(OsStr::from_bytes(output.stdout.trim_ascii_end()).into())
}

/// The git in an entry of PATH. Made absolute before, since `which` takes `~` at its beginning for the home directory, and execvp(3)
/// for a directory of that name; an empty one is the current directory.
fn executable_in(entry: &Path) -> Option<PathBuf> {
    let entry = std::path::absolute(Path::new(".").join(entry)).ok()?;
    which::which_in("git", Some(entry), "/").ok()
}

/// Device and inode of a regular file, symbolic links resolved.
fn identity(file: &Path) -> Option<(u64, u64)> {
    let metadata = fs::metadata(file).ok().filter(fs::Metadata::is_file)?;
    Some((metadata.dev(), metadata.ino()))
}

/// What is known of a program called git.
struct Identification {
    what: What,
    version: Option<String>,
    message: String,
}

impl Identification {
    fn not_run(why: &str) -> Self {
        Self {
            message: why.to_owned(),
            ..Self::of(What::NotRun)
        }
    }

    fn of(what: What) -> Self {
        Self {
            what,
            version: None,
            message: String::new(),
        }
    }
}

/// Why another user could have put `file` there: by its directory, or as its owner. `None` if only those could who can replace
/// any program.
pub(super) fn exchangeable(file: &Path) -> Option<String> {
    let directory = file.parent()?;
    let found = match Directory::find(directory) {
        Ok(Some(found)) => found,
        Ok(None) => return None,
        Err(error) => return Some(format!("{error:#}")),
    };
    if let Some(exposed) = found.exposed() {
        let exposed = text::of_path(exposed);
        return Some(format!("other users can exchange what is in {exposed}"));
    }
    let status = nix::sys::stat::stat(file).ok()?;
    let others_write = status.st_mode & libc::S_IWOTH != 0;
    (others_write || !trust::is_trusted(status.st_uid))
        .then(|| "another user can write to it".to_owned())
}

fn ask(file: &Path) -> Identification {
    if let Some(why) = exchangeable(file) {
        return Identification::not_run(&why);
    }
    // Called by this name a copy of the shim is the tool, and git itself knows no such command.
    let as_tool = run(file, NAME, "--version").ok();
    if let Some(version) = as_tool.and_then(|output| version(&output, NAME)) {
        return Identification {
            version: Some(version),
            ..Identification::of(What::AnotherShim)
        };
    }
    let output = match run(file, "git", "--version") {
        Ok(output) => output,
        Err(error) => {
            return Identification {
                message: text::why(&error),
                ..Identification::of(What::Broken)
            };
        }
    };
    // `run` asks for our log, and only a shim writes it.
    let stderr = text::of(&output.stderr);
    let leads_to_shim =
        stderr.contains(" git_clone_shim::") || output.status.code() == Some(failure::OWN);
    let version = version(&output, "git version");
    Identification {
        what: match (leads_to_shim, &version) {
            (true, _) => What::LeadsToShim,
            (false, Some(_)) => What::Git,
            (false, None) => What::Broken,
        },
        message: match version {
            Some(_) => String::new(),
            None => stderr.lines().last().unwrap_or_default().to_owned(),
        },
        version,
    }
}

/// What stands behind `prefix` in the first line of the output.
fn version(output: &Output, prefix: &str) -> Option<String> {
    let message = text::of(&output.stdout);
    let version = message
        .lines()
        .next()?
        .strip_prefix(prefix)?
        .strip_prefix(' ')?;
    Some(version.to_owned())
}

fn run(file: &Path, name: &str, arg: &str) -> io::Result<Output> {
    let mut command = sealed::command(file);
    command.arg0(name).arg(arg);
    command.env("GIT_CLONE_SHIM_LOG", "info").output()
}
