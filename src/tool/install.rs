//! `git-clone-shim install`: puts this program into PREFIX/git-clone-shim/VERSION/ARCH, and module files beside it.
//!
//! What is new is written beside its place and renamed into it: nothing is ever half there, and runs at the same time need no lock.

use std::env;
use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, symlink};
use std::path::{Path, PathBuf};

use anyhow::{Context, Error, Result, anyhow, ensure};
use clap::Args;
use nix::libc;
use nix::sys::stat::{Mode, umask};
use nix::sys::utsname::uname;
use nix::unistd::{AccessFlags, access};

use super::doctor::{Trial, exposed};
use super::tree::{CURRENT, Place, Tree, remove, remove_stale_in, temporary};
use crate::NAME;
use crate::process::startup;

const VERSION: &str = env!("CARGO_PKG_VERSION");
const MANUAL: &[u8] = include_bytes!("../../man/git-clone-shim.1");
const LICENSE: &[u8] = include_bytes!("../../LICENSE");
const README: &[u8] = include_bytes!("../../README.md");
const MODULE_LUA: &str = include_str!("../../packaging/modulefiles/git-clone-shim.lua");
const MODULE_TCL: &str = include_str!("../../packaging/modulefiles/git-clone-shim.tcl");

/// What to install, and where.
#[derive(Args)]
#[command(after_help = "\
Installs this very program as PREFIX/git-clone-shim/VERSION/ARCH, with module
files for Lmod and Environment Modules, points PREFIX/git-clone-shim/current at
VERSION, tries a clone, and prints the line that puts it on PATH. It edits no
dot file and never changes an installed program. Run again, an older program
makes its own version the current one.")]
pub(super) struct Options {
    #[command(flatten)]
    place: Place,

    /// Leave the current version and default module as they are
    #[arg(long)]
    no_default: bool,
}

/// Installs this program and returns the exit status.
///
/// # Errors
///
/// It cannot be installed, or standard output cannot be written.
pub(super) fn run(options: &Options) -> Result<i32> {
    let tree = Tree::new(&options.place)?;
    tree.check()?;
    ensure!(
        tree.has_modules_inside() || is_simple(&tree.root),
        "with --modules, the prefix must have no blanks or quotes"
    );
    let version = tree.root.join(VERSION);
    let place = version.join(uname()?.machine());
    let on_path = if options.no_default { version } else { tree.root.join(CURRENT) };
    if options.place.dry_run {
        let (shown, modules, link) = (place.display(), tree.modules.display(), on_path.display());
        let mut text = format!("Would write {shown} and {modules}/{VERSION}{{,.lua}}\n");
        if !options.no_default {
            text = format!("{text}Would point {link} and {modules}/.version at {VERSION}\n");
        }
        return print(text.as_bytes());
    }

    // All can read a tree, whatever mask its installer has. Directories hand down their set-group-ID bit.
    let mask = umask(Mode::S_IWGRP | Mode::S_IWOTH);
    let written = write(&tree, &place).and_then(|()| switch(&tree, options.no_default));
    umask(mask);
    written?;
    let mut text = try_clone().into_bytes();
    text.extend(b"\nModule files, for `module use`: ");
    text.extend(tree.modulefiles.as_os_str().as_bytes());
    text.extend(b"\nInstalled in ");
    text.extend(place.as_os_str().as_bytes());
    text.extend(b"; put it on PATH, now and in your shell's start-up file:\n");
    text.extend(path_line(&on_path));
    text.extend(b"Then try it where you clone: git-clone-shim doctor DIR\n");
    print(&text)
}

/// Prints all there is to say in one write, so that a reader that takes only the first line disturbs nothing.
///
/// # Errors
///
/// It cannot be written.
pub(super) fn print(text: &[u8]) -> Result<i32> {
    let written = io::stdout().write_all(text);
    written.context("cannot write the output").map(|()| 0)
}

/// Writes this version, unless it is there.
fn write(tree: &Tree, place: &Path) -> Result<()> {
    for directory in [&tree.root, &tree.modules] {
        fs::create_dir_all(directory).map_err(failed(directory))?;
    }
    // Again, since another user may have made one of them first.
    tree.check()?;
    tree.remove_stale()?;
    let program = fs::read(startup::own_path()).context("cannot read this program")?;
    let is_there = || fs::read(place.join("bin/git")).is_ok_and(|found| found == program);
    // Looked at first, since another run may write it meanwhile.
    let is_free = !place.exists();
    if is_there() {
        return Ok(());
    }
    ensure!(is_free, "another build of {VERSION}, or a damaged one, is in {}: uninstall it first", place.display());
    let version = tree.root.join(VERSION);
    if !version.exists() {
        // Another run may be first, for this processor or for another one.
        let _ = put(&version, |new| {
            let machine = Path::new(place.file_name().unwrap_or_default());
            write_all(&new.join(machine), &program)?;
            // Version 0.2 had no directory for the processor: the PATH line that it printed goes on to work.
            if tree.root.join(CURRENT).join("bin").exists() {
                symlink(machine.join("bin"), new.join("bin"))?;
            }
            sync(new)
        });
    }
    if is_there() {
        return Ok(());
    }
    let written = put(place, |new| write_all(new, &program));
    if is_there() { Ok(()) } else { written }
}

/// Writes the files of a version into `directory`.
fn write_all(directory: &Path, program: &[u8]) -> io::Result<()> {
    fs::create_dir_all(directory.join("bin"))?;
    symlink(NAME, directory.join("bin/git"))?;
    for (path, bytes, mode) in [
        ("bin/git-clone-shim", program, 0o755),
        ("share/man/man1/git-clone-shim.1", MANUAL, 0o644),
        ("share/doc/git-clone-shim/LICENSE", LICENSE, 0o644),
        ("share/doc/git-clone-shim/README.md", README, 0o644),
    ] {
        let file = directory.join(path);
        fs::create_dir_all(file.parent().unwrap_or(directory))?;
        write_file(&file, bytes, mode)?;
        let mut above = Path::new(path).ancestors().skip(1);
        above.try_for_each(|above| sync(&directory.join(above)))?;
    }
    Ok(())
}

/// Writes the module files, and makes this version the current one.
fn switch(tree: &Tree, no_default: bool) -> Result<()> {
    let (mut lua, mut tcl) = (MODULE_LUA.to_owned(), MODULE_TCL.to_owned());
    if !tree.has_modules_inside() {
        // They do not find the tree from their own path.
        let root = tree.root.display();
        lua = lua.replace("\nlocal root = ", &format!("\nlocal root = \"{root}\" --"));
        tcl = tcl.replace("\nset root ", &format!("\nset root {root} ;# "));
    }
    let default = format!("#%Module1.0\nset ModulesVersion \"{VERSION}\"\n");
    let put_module = |name: &str, text: &str| {
        let write = |new: &Path| write_file(new, text.as_bytes(), 0o644);
        put(&tree.modules.join(name), write)
    };
    put_module(VERSION, &tcl)?;
    put_module(&format!("{VERSION}.lua"), &lua)?;
    if no_default {
        return Ok(());
    }
    put(&tree.root.join(CURRENT), |new| symlink(VERSION, new))?;
    put_module(".version", &default)
}

/// Has `make` make something beside its place, and renames it.
fn put(place: &Path, make: impl FnOnce(&Path) -> io::Result<()>) -> Result<()> {
    let new = temporary(place);
    let made = make(&new).and_then(|()| fs::rename(&new, place));
    let _ = remove(&new);
    let synced = made.and_then(|()| sync(place.parent().unwrap_or(place)));
    synced.map_err(failed(place))
}

fn failed(path: &Path) -> impl FnOnce(io::Error) -> Error {
    move |error| match error.kind() {
        ErrorKind::PermissionDenied => {
            let directory = path.ancestors().skip(1).find(|above| above.exists()).unwrap_or(path).display();
            anyhow!("you cannot write to {directory}; try a directory of yours, with --prefix DIR")
        }
        _ => Error::new(error).context(format!("cannot write {}", path.display())),
    }
}

fn write_file(path: &Path, bytes: &[u8], mode: u32) -> io::Result<()> {
    let mut new = OpenOptions::new();
    let mut file = new.write(true).create_new(true).mode(mode).open(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

/// Sees on disk which names a directory has, where the filesystem can do that.
fn sync(directory: &Path) -> io::Result<()> {
    match File::open(directory)?.sync_all() {
        Err(error) if error.raw_os_error() == Some(libc::EINVAL) => Ok(()),
        synced => synced,
    }
}

/// Tries clones from the directory for temporary files to another filesystem, if one can be written to, and says how they went.
fn try_clone() -> String {
    let real = match super::gits::real_git() {
        Ok(real) => real,
        Err(failure) => return format!("No clone was tried: {failure}"),
    };
    let from = env::temp_dir();
    let device = |path: &Path| path.metadata().map_or(0, |found| found.dev());
    let places = ["/dev/shm", "/tmp", "/var/tmp"].map(PathBuf::from);
    let places = places.into_iter().chain(env::home_dir());
    let is_writable = |place: &Path| access(place, AccessFlags::W_OK).is_ok();
    let mut others = places.filter(|to| device(to) != device(&from) && is_writable(to));
    let to = others.next().unwrap_or_else(|| from.clone());
    for place in [&from, &to] {
        // Where others can exchange names, one does not tell that a directory is ours.
        if exposed(place).is_none() {
            let _ = remove_stale_in(place);
        }
    }
    let words = Trial::between(&from, false, &to, &real).words;
    let words = words.lines().next().unwrap_or_default();
    let (from, to) = (from.display(), to.display());
    format!("Tried clones from {from} to {to}: {words}")
}

/// The line that puts `version` on PATH, in the user's shell and whatever the machine's processor.
fn path_line(version: &Path) -> Vec<u8> {
    let shell = env::var_os("SHELL").unwrap_or_default();
    let shell = Path::new(&shell).file_name().unwrap_or_default();
    let (set, rest) = match shell.as_bytes() {
        b"csh" | b"tcsh" => ("setenv PATH ", "/`uname -m`/bin:$PATH\"\n"),
        b"fish" => ("set -gx PATH ", "/\"(uname -m)/bin $PATH\n"),
        _ => ("export PATH=", "/$(uname -m)/bin:$PATH\"\n"),
    };
    // Between single quotes, all three shells take all but these as it is.
    let version_bytes = version.as_os_str().as_bytes();
    let parts: Vec<_> = version_bytes.split(|byte| *byte == b'\'').collect();
    let directory = if is_simple(version) {
        [b"\"", version_bytes].concat()
    } else {
        [b"'", &parts.join(&b"'\\''"[..])[..], b"'\""].concat()
    };
    [set.as_bytes(), &directory, rest.as_bytes()].concat()
}

/// Whether no shell takes a character of this path for more than itself.
fn is_simple(path: &Path) -> bool {
    let is_simple = |byte: &u8| byte.is_ascii_alphanumeric() || b"/._+@%=~,-".contains(byte);
    path.as_os_str().as_bytes().iter().all(is_simple)
}
