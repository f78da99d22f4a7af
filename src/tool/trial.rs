//! One local clone, tried where it may fail, by git alone and by the program that has been installed.

use std::ffi::OsStr;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};

use crate::git::real_git::RealGit;

/// Tries a local clone from the directory for temporary files to another filesystem, by git alone and by the installed `shim`, and says
/// in one line how it went.
pub(super) fn trial(shim: &Path) -> String {
    match try_clones(shim) {
        Ok(line) => line,
        Err(error) => format!("Not tried: {error:#}."),
    }
}

fn try_clones(shim: &Path) -> Result<String> {
    let from = std::env::temp_dir();
    let directory_in = |place: &Path| {
        tempfile::Builder::new()
            .prefix(".git-clone-shim-")
            .tempdir_in(place)
    };
    let source = directory_in(&from)
        .with_context(|| format!("no temporary directory in {}", from.display()))?;
    let is_elsewhere = |place: &PathBuf| {
        let device = |path: &Path| path.metadata().map(|found| found.dev()).ok();
        device(place) != device(&from)
    };
    let home = std::env::var_os("HOME").map(PathBuf::from);
    let places = ["/dev/shm", "/tmp", "/var/tmp"]
        .map(PathBuf::from)
        .into_iter()
        .chain(home);
    let mut others = places
        .filter(is_elsewhere)
        .filter_map(|to| Some((directory_in(&to).ok()?, to)));
    let (destination, to) = match others.next() {
        Some(other) => other,
        None => (directory_in(&from)?, from.clone()),
    };
    let git = RealGit::find(None)?;
    let succeeds = |program: &Path, args: &[&OsStr]| -> Result<bool> {
        let mut command = Command::new(program);
        command
            .args(["-c", "core.hooksPath=/dev/null"])
            .args(args)
            .current_dir("/");
        for variable in [
            "GIT_DIR",
            "GIT_WORK_TREE",
            "GIT_OBJECT_DIRECTORY",
            "GIT_TEMPLATE_DIR",
        ] {
            command.env_remove(variable);
        }
        command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        Ok(command.status()?.success())
    };
    let clone = |program: &Path, name: &str| {
        let to = destination.path().join(name);
        let options = ["clone", "--local", "--no-checkout", "--template="].map(OsStr::new);
        succeeds(
            program,
            &[&options[..], &[source.path().as_os_str(), to.as_os_str()]].concat(),
        )
    };
    let path = source.path().as_os_str();
    let init = ["init", "--template=", "--bare"].map(OsStr::new);
    let is_made = succeeds(git.file(), &[&init[..], &[path]].concat())?
        && succeeds(
            git.file(),
            &[
                "-C".as_ref(),
                path,
                "hash-object".as_ref(),
                "-w".as_ref(),
                "--stdin".as_ref(),
            ],
        )?;
    ensure!(
        is_made,
        "git cannot make a repository in {}",
        from.display()
    );
    let says = |works| if works { "works" } else { "fails" };
    let (alone, through) = (says(clone(git.file(), "git")?), says(clone(shim, "shim")?));
    let (from, to) = (from.display(), to.display());
    Ok(format!(
        "Tried a clone from {from} to {to}: git alone {alone}, through the shim it {through}."
    ))
}
