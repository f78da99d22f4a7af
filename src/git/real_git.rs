//! The real git: the search on PATH, its exec, and the next one where that cannot be run.

use std::ffi::{CStr, OsStr};
use std::fmt::Write;
use std::iter;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use nix::errno::Errno;
use nix::libc::{S_IFMT, S_IFREG, dev_t, ino_t};
use nix::sys::stat::{FileStat, stat};
use nix::unistd::{AccessFlags, access};
use tracing::debug;

use super::marker::{LeadsBack, Marker};
use crate::failure::{self, Failure};
use crate::process::c_string::ShortCString;
use crate::process::exec::exec;
use crate::process::{environment, startup};

/// The variable that names the real git; then PATH is not searched.
const OVERRIDE: &str = "GIT_CLONE_SHIM_GIT";

/// Where execvp(3) looks when PATH is not set at all.
const PATH_WHEN_UNSET: &str = "/bin:/usr/bin";

/// The program that the shim stands in for.
#[derive(Clone, Debug)]
pub struct RealGit {
    file: ShortCString,
    /// Whether the user named it: then no other git is tried.
    named: bool,
    search: Search,
}

/// Device and inode: what identifies a file.
type Identity = (dev_t, ino_t);

/// What the search needs to know.
#[derive(Clone, Debug)]
struct Search {
    path: &'static OsStr,
    /// This program's own file; `None` if it has been removed, and then only the marker prevents a loop.
    own: Option<Identity>,
    marker: Marker,
}

/// The value of `PATH`, or what execvp(3) uses without it.
#[must_use]
pub fn path() -> &'static OsStr {
    environment::variable(c"PATH").unwrap_or(OsStr::new(PATH_WHEN_UNSET))
}

impl RealGit {
    /// Finds the real git: `named` if that is given (the value of `GIT_CLONE_SHIM_GIT`), or else the next one on PATH.
    ///
    /// # Errors
    ///
    /// 127: there is none; 126: what was named cannot be run.
    pub fn find(named: Option<&OsStr>) -> Result<Self, Failure> {
        let search = Search {
            path: path(),
            own: startup::own_file().ok().as_ref().map(identity),
            marker: Marker::from_environment(),
        };
        // A wrapper that is named and leads back here is passed over, as one on PATH is.
        let named = named.map(Path::new).filter(|file| search.marker.leads_back(file) != LeadsBack::Surely);
        let file = match named {
            Some(file) => search.check_named(file)?,
            None => search.next().ok_or_else(|| search.none_found())?,
        };
        Ok(Self { file, named: named.is_some(), search })
    }

    /// Its path, as it was found or named: never resolved, since some gits look at their own name.
    #[must_use]
    pub fn file(&self) -> &Path {
        self.file.as_path()
    }

    /// Execs this git with `args`, `argv[0]` first, and with `variable`, an entry `NAME=value`, in its environment. Returns only
    /// why that failed.
    #[must_use]
    pub fn exec(&mut self, args: &[&CStr], variable: Option<&CStr>) -> Failure {
        loop {
            self.search.marker.add(self.file.as_path());
            let errno = self.exec_file(args, variable);
            let failure = Failure {
                status: failure::CANNOT_INVOKE,
                line: format!(
                    "cannot run the real git {}: {}; set {OVERRIDE} to the absolute path of one that runs",
                    show(self.file()),
                    errno.desc()
                ),
            };
            // As execvp(3): after these errors the next entry of PATH is tried. ENOEXEC: it is for another processor.
            let may_go_on =
                matches!(errno, Errno::EACCES | Errno::ENOENT | Errno::ENOTDIR | Errno::ESTALE | Errno::ENOEXEC);
            match self.search.next() {
                Some(next) if may_go_on && !self.named => self.file = next,
                _ => return failure,
            }
        }
    }

    fn exec_file(&self, args: &[&CStr], variable: Option<&CStr>) -> Errno {
        let file = self.file.as_c_str();
        let name = match args.first() {
            // With a path as argv[0], git looks for its own parts beside that path (`system_prefix` in exec-cmd.c).
            Some(name) if name.to_bytes().contains(&b'/') => file,
            Some(name) => name,
            None => c"git",
        };
        let args = iter::once(name).chain(args.iter().skip(1).copied());
        let marker = self.search.marker.entry();
        match variable {
            Some(variable) => exec(file, args, &[marker.as_c_str(), variable]),
            None => exec(file, args, &[marker.as_c_str()]),
        }
    }
}

impl Search {
    /// The next git on PATH. Behind it nothing is looked at: a directory there may be on a filesystem that does not answer.
    fn next(&self) -> Option<ShortCString> {
        let mut again = None;
        for entry in self.entries_to_search().filter(is_absolute) {
            let candidate = ShortCString::of(&[entry.as_bytes(), b"/git"]);
            let leads_back = self.marker.leads_back(candidate.as_path());
            match self.refusal(&candidate) {
                None if leads_back == LeadsBack::No => return Some(candidate),
                // Where there is no other git, it may be one after all.
                None => again = again.or(Some(candidate)),
                Some(reason) => debug!(file = %show(candidate.as_path()), reason, "skipped"),
            }
        }
        again
    }

    /// The entries of PATH. Those behind the one where PATH has found us come first: otherwise two copies of the shim on one PATH
    /// would call each other for ever.
    fn entries_to_search(&self) -> impl Iterator<Item = &OsStr> {
        let called = startup::path_as_called().map_or(&b""[..], CStr::to_bytes);
        let name = called.rsplit(|&byte| byte == b'/').next().map_or(0, <[u8]>::len);
        let directory = trimmed(called.get(..called.len() - name).unwrap_or_default());
        let is_ours = |entry: &OsStr| is_absolute(&entry) && trimmed(entry.as_bytes()) == directory;
        let behind = self.entries().position(is_ours);
        let behind = behind.map_or(0, |ours| ours + 1);
        self.entries().skip(behind).chain(self.entries().take(behind))
    }

    /// The entries of PATH, in order.
    fn entries(&self) -> impl Iterator<Item = &OsStr> {
        self.path.as_bytes().split(|&byte| byte == b':').map(OsStr::from_bytes)
    }

    fn check_named(&self, file: &Path) -> Result<ShortCString, Failure> {
        let named = ShortCString::of(&[file.as_os_str().as_bytes()]);
        let (status, why) = match self.refusal(&named) {
            _ if !file.is_absolute() => (failure::CANNOT_INVOKE, "not an absolute path"),
            Some(why @ "not there") => (failure::NOT_FOUND, why),
            Some(why) => (failure::CANNOT_INVOKE, why),
            None => return Ok(named),
        };
        let line = format!("{OVERRIDE}={} is {why}; set it to the absolute path of the real git", show(file));
        Err(Failure { status, line })
    }

    fn none_found(&self) -> Failure {
        let mut line = String::from("no git found on PATH besides this shim: looked at");
        for entry in self.entries() {
            let file = ShortCString::of(&[entry.as_bytes(), b"/git"]);
            let why = if is_absolute(&entry) {
                self.refusal(&file).unwrap_or("tried already")
            } else {
                "skipped: not an absolute path"
            };
            let _ = write!(line, " {} ({why}),", show(file.as_path()));
        }
        line += " nothing more; put the real git on PATH, or its absolute path in ";
        line += OVERRIDE;
        Failure { status: failure::NOT_FOUND, line }
    }

    /// Why `file` cannot be the real git; `None` if it can.
    fn refusal(&self, file: &ShortCString) -> Option<&'static str> {
        let Ok(status) = stat(file.as_c_str()) else {
            return Some("not there");
        };
        // By device and inode, so that hard and symbolic links to our own file are recognised too.
        if self.own == Some(identity(&status)) {
            return Some("this shim itself");
        }
        // As execvp(3), which passes over what cannot be executed.
        let is_file = status.st_mode & S_IFMT == S_IFREG;
        if !is_file || access(file.as_c_str(), AccessFlags::X_OK).is_err() {
            return Some("not an executable file");
        }
        let leads_back = self.marker.leads_back(file.as_path()) == LeadsBack::Surely;
        leads_back.then_some("a wrapper that leads back to this shim")
    }
}

/// Other entries depend on the current directory, and a repository must not be able to choose the git that runs.
fn is_absolute(entry: &&OsStr) -> bool {
    entry.as_bytes().starts_with(b"/")
}

/// A directory's path without slashes at its end.
fn trimmed(mut directory: &[u8]) -> &[u8] {
    while let [rest @ .., b'/'] = directory {
        directory = rest;
    }
    directory
}

fn identity(status: &FileStat) -> Identity {
    (status.st_dev, status.st_ino)
}

/// A path with any bytes, on one line.
fn show(path: &Path) -> impl std::fmt::Display {
    path.as_os_str().as_bytes().escape_ascii()
}
