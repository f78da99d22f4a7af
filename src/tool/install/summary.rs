//! What a run prints at its end: nothing before, since a reader that has gone would end the run half-way.

use std::io::{self, Write};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use anyhow::Result;

use super::error::NotPrinted;
use super::places::Places;
use super::plan::Plan;
use super::program::VERSION;
use super::staging::Output;
use super::versions::CURRENT;
use super::{manifest, payload};

/// Adds what a dry run prints of a plan.
pub(super) fn add_plan(lines: &mut Vec<Vec<u8>>, plan: &Plan, places: &Places) {
    plan.notes
        .iter()
        .for_each(|note| lines.push(note.as_bytes().to_owned()));
    let manifest = places.on_disk(&places.root()).join(manifest::FILE);
    let is_new = !plan.outputs.is_empty() && manifest.symlink_metadata().is_err();
    let manifest = is_new.then_some(manifest);
    let paths = plan.all().into_iter().map(|output| output.path(places));
    for path in manifest.into_iter().chain(paths) {
        lines.push([b"Would write ", path.as_os_str().as_bytes()].concat());
    }
}

/// Adds what was installed, and how it gets on PATH. Returns the directory to put there.
pub(super) fn add_installed(
    lines: &mut Vec<Vec<u8>>,
    plan: &Plan,
    places: &Places,
    is_default: bool,
    profile_d: Option<&Path>,
) -> PathBuf {
    let live = places.on_disk(&places.root()).join(VERSION);
    let mut add = |what: &str, path: &Path| {
        lines.push([what.as_bytes(), path.as_os_str().as_bytes()].concat());
    };
    let is_version = |output: &Output| matches!(output, Output::Version(..));
    if plan.outputs.iter().any(is_version) {
        add("Installed ", &live);
    }
    let modules = places.modules().parent().unwrap_or(places.modules());
    add("Module files, for `module use`: ", modules);
    if !is_simple(modules) {
        let warning =
            "Lmod fails to read the default version below such a path; --modules can name another";
        add(warning, Path::new(""));
    }
    if let Some(profile_d) = profile_d {
        add(
            "Snippets for login shells: ",
            &profile_d.join("git-clone-shim.sh and .csh"),
        );
    }
    let bin = match is_default {
        false => {
            add(
                "Not made current; that is for git-clone-shim activate ",
                Path::new(VERSION),
            );
            places.root().join(VERSION).join("bin")
        }
        true => places.root().join(CURRENT).join("bin"),
    };
    let line = if is_simple(&bin) {
        [b"\"", bin.as_os_str().as_bytes(), b":$PATH\""].concat()
    } else {
        // Between double quotes an interactive bash takes even an exclamation mark for more than itself.
        let quoted = payload::replaced(bin.as_os_str().as_bytes(), b"'", b"'\\''");
        [b"'", &quoted[..], b"':\"$PATH\""].concat()
    };
    lines.push(b"Put it first on PATH:\n".to_vec());
    lines.push([b"export PATH=", &line[..], b"\n"].concat());
    lines.push(b"Then try it where you clone: git-clone-shim doctor DIRECTORY\n".to_vec());
    bin
}

/// Whether a path has only characters that nothing takes for more than themselves.
fn is_simple(path: &Path) -> bool {
    let is_simple = |byte: &u8| byte.is_ascii_alphanumeric() || b"/._+@%=~,-".contains(byte);
    path.as_os_str().as_bytes().iter().all(is_simple)
}

/// Prints lines. They may hold any byte but control characters: a path that is to be pasted has to be as it is.
///
/// # Errors
///
/// [`NotPrinted`].
pub(super) fn print(lines: &[Vec<u8>]) -> Result<()> {
    let mut text = lines.join(&b'\n');
    if !lines.is_empty() {
        text.push(b'\n');
    }
    io::stdout()
        .write_all(&text)
        .map_err(|error| NotPrinted(error).into())
}
