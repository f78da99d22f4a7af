//! A program that removes its own file goes on from a copy in memory: NFS keeps the file of a running program, under another
//! name, and with it the directory, until that program has ended.

use std::env;
use std::ffi::{CString, OsStr, OsString};
use std::fs::File;
use std::io::Write;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::Path;

use nix::fcntl::AtFlags;
use nix::sys::memfd::{MFdFlags, memfd_create};
use nix::unistd::execveat;

use super::{program, versions};
use crate::NAME;
use crate::process::startup;
use crate::tool::directory::Directory;

/// If this program is one of the versions in `root`, runs a copy in memory with these arguments instead. Where that is not
/// possible, or not needed, it returns.
pub(super) fn run(root: &Directory, arguments: &[OsString]) {
    if is_installed_in(root) {
        let _ = exec(arguments);
    }
}

fn is_installed_in(root: &Directory) -> bool {
    let Ok(own) = startup::own_file() else {
        return false;
    };
    let installed = versions::installed(root).unwrap_or_default();
    installed.iter().any(|version| {
        let bin = root.descend(&Path::new(version).join("bin"));
        let program = bin.map(|bin| bin.map(|bin| bin.entry(OsStr::new(NAME))));
        let program = program.ok().flatten().and_then(Result::ok).flatten();
        program.is_some_and(|file| (file.st_dev, file.st_ino) == (own.st_dev, own.st_ino))
    })
}

fn exec(arguments: &[OsString]) -> anyhow::Result<std::convert::Infallible> {
    let memory = memfd_create(NAME, MFdFlags::MFD_CLOEXEC)?;
    let mut file = File::from(memory);
    file.write_all(&program::own_bytes()?)?;
    let args = [OsStr::new(NAME)]
        .into_iter()
        .chain(arguments.iter().map(OsString::as_os_str));
    let args: Vec<_> = args
        .map(|word| CString::new(word.as_bytes()))
        .collect::<Result<_, _>>()?;
    let variables = env::vars_os().map(|(name, value)| {
        let mut variable = name.into_vec();
        variable.push(b'=');
        variable.extend(value.as_bytes());
        CString::new(variable)
    });
    let variables: Vec<_> = variables.collect::<Result<_, _>>()?;
    match execveat(&file, c"", &args, &variables, AtFlags::AT_EMPTY_PATH) {
        Ok(never) => match never {},
        Err(errno) => Err(errno.into()),
    }
}
