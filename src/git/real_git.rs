//! The real git: found on PATH, and become.

use std::env;
use std::ffi::{CStr, CString, OsStr, OsString};
use std::fmt::Write;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::unistd::{AccessFlags, access};

use super::marker::{self, Marker};
use crate::failure::{self, Failure};
use crate::process::replace::replace;

/// What names the real git instead of PATH.
const OVERRIDE: &str = "GIT_CLONE_SHIM_GIT";

/// Where execvp(3) looks when PATH is not set at all.
const PATH_WHEN_UNSET: &str = "/bin:/usr/bin";

/// The program that the shim stands in for.
#[derive(Debug)]
pub struct RealGit {
    file: PathBuf,
    /// Whether the user named it: then no other will do.
    named: bool,
    search: Search,
}

/// What the search needs to know.
#[derive(Debug)]
struct Search {
    path: OsString,
    /// Device and inode of this very program; `None` without /proc, and then only the marker guards against a loop.
    own: Option<(u64, u64)>,
    marker: Marker,
}

/// `PATH`, as it counts.
#[must_use]
pub fn path() -> OsString {
    env::var_os("PATH").unwrap_or_else(|| PATH_WHEN_UNSET.into())
}

impl RealGit {
    /// Finds the real git: `named` if that is given (the value of `GIT_CLONE_SHIM_GIT`), or else the next one on PATH.
    ///
    /// # Errors
    ///
    /// 127: there is none; 126: what was named cannot be run; 125: a wrapper leads back here without end.
    pub fn find(named: Option<&OsStr>) -> Result<Self, Failure> {
        let search = Search {
            path: path(),
            own: identity(Path::new("/proc/self/exe")),
            marker: Marker::from_environment(),
        };
        if let Some(wrapper) = search.marker.endless() {
            let line = format!(
                "{} leads back to this shim without end; set {OVERRIDE} to the absolute path of the real git",
                show(wrapper)
            );
            return Err(Failure {
                status: failure::OWN,
                line,
            });
        }
        // A named wrapper that has led back here by exec has had its turn.
        let named = named
            .map(Path::new)
            .filter(|file| !search.marker.has_tried(file));
        let file = match named {
            Some(file) => search.check_named(file)?,
            None => search.next()?,
        };
        Ok(Self {
            file,
            named: named.is_some(),
            search,
        })
    }

    /// Its path, as it was found or named: never resolved, since some gits look at their own name.
    #[must_use]
    pub fn file(&self) -> &Path {
        &self.file
    }

    /// Becomes this git, with `words` as the caller wrote them (our own name first). Returns only what prevented it.
    #[must_use]
    pub fn become_with(&mut self, words: &[&CStr]) -> Failure {
        loop {
            self.search.marker.add(&self.file);
            let errno = self.replace_with(words);
            let failure = Failure {
                status: failure::CANNOT_INVOKE,
                line: format!(
                    "cannot run the real git {}: {}; set {OVERRIDE} to the absolute path of one that runs",
                    show(&self.file),
                    errno.desc()
                ),
            };
            // As execvp(3) does: where one cannot be run, a later one may.
            match (self.named, errno) {
                (false, Errno::EACCES | Errno::ENOENT | Errno::ENOTDIR | Errno::ESTALE) => {
                    match self.search.next() {
                        Ok(next) => self.file = next,
                        Err(_) => return failure,
                    }
                }
                _ => return failure,
            }
        }
    }

    fn replace_with(&self, words: &[&CStr]) -> Errno {
        let Ok(file) = CString::new(self.file.as_os_str().as_bytes()) else {
            return Errno::EINVAL;
        };
        let mut words = words.to_vec();
        match words.first_mut() {
            // Called by a path, git would look for its own parts beside that path (`system_prefix` in exec-cmd.c).
            Some(name) if name.to_bytes().contains(&b'/') => *name = &file,
            Some(_) => {}
            None => words.push(c"git"),
        }
        replace(
            &file,
            &words,
            OsStr::new(marker::NAME),
            &self.search.marker.value(),
        )
    }
}

impl Search {
    /// The next git on PATH.
    fn next(&self) -> Result<PathBuf, Failure> {
        let mut anywhere = None;
        let mut behind_us = None;
        for candidate in self.candidates() {
            match identity(&candidate) {
                // (1) Only what comes after the last entry that is this very program. Two different copies of the shim
                // on one PATH would otherwise call each other for ever.
                found if found.is_some() && found == self.own => behind_us = None,
                // (2) Above: this very program by device and inode, so that links of any kind to us are us.
                // (3) What has led back here within this process is passed over, so that the next one gets its turn.
                _ if self.marker.has_tried(&candidate) => {}
                _ => {
                    anywhere.get_or_insert_with(|| candidate.clone());
                    behind_us.get_or_insert(candidate);
                }
            }
        }
        // A PATH that ends with the shim's own directory still has a git in it.
        behind_us.or(anywhere).ok_or_else(|| self.none_found())
    }

    /// Every executable regular file called git in an absolute entry of PATH, in order.
    ///
    /// Relative and empty entries mean the current directory or one below: a repository must not be able to choose the
    /// git that runs.
    fn candidates(&self) -> impl Iterator<Item = PathBuf> {
        let absolute: Vec<PathBuf> = env::split_paths(&self.path)
            .filter(|entry| entry.is_absolute())
            .collect();
        let absolute = env::join_paths(absolute).unwrap_or_default();
        let found = match absolute.is_empty() {
            true => None,
            // The directory is for relative entries, of which there are none.
            false => which::which_in_all("git", Some(absolute), "/").ok(),
        };
        found.into_iter().flatten()
    }

    fn check_named(&self, file: &Path) -> Result<PathBuf, Failure> {
        let (status, why) = match self.refusal(file) {
            _ if !file.is_absolute() => (failure::CANNOT_INVOKE, "not an absolute path"),
            Some(why @ ("not there" | "a broken symbolic link")) => (failure::NOT_FOUND, why),
            Some(why) => (failure::CANNOT_INVOKE, why),
            None => return Ok(file.to_owned()),
        };
        let line = format!(
            "{OVERRIDE}={} is {why}; set it to the absolute path of the real git",
            show(file)
        );
        Err(Failure { status, line })
    }

    fn none_found(&self) -> Failure {
        let mut line = String::from("no git found on PATH besides this shim: looked at");
        for entry in env::split_paths(&self.path) {
            let file = entry.join("git");
            let why = match entry.is_absolute() {
                true => self.refusal(&file).unwrap_or("tried already"),
                false => "skipped: not an absolute path",
            };
            let _ = write!(line, " {} ({why}),", show(&file));
        }
        let _ = write!(
            line,
            " nothing more; put the real git on PATH, or its absolute path in {OVERRIDE}"
        );
        Failure {
            status: failure::NOT_FOUND,
            line,
        }
    }

    /// Why `file` cannot be the real git; `None` if it can.
    fn refusal(&self, file: &Path) -> Option<&'static str> {
        let Ok(metadata) = fs::metadata(file) else {
            return Some(match fs::symlink_metadata(file) {
                Ok(_) => "a broken symbolic link",
                Err(_) => "not there",
            });
        };
        if metadata.is_dir() {
            Some("a directory")
        } else if !metadata.is_file() {
            Some("not a regular file")
        } else if access(file, AccessFlags::X_OK).is_err() {
            Some("not executable")
        } else if self.own == Some((metadata.dev(), metadata.ino())) {
            Some("this shim itself")
        } else if self.marker.has_tried(file) {
            Some("a wrapper that leads back to this shim")
        } else {
            None
        }
    }
}

/// Device and inode of a file, symbolic links resolved.
fn identity(file: &Path) -> Option<(u64, u64)> {
    fs::metadata(file)
        .ok()
        .map(|metadata| (metadata.dev(), metadata.ino()))
}

/// A path on one line, whatever bytes it holds.
fn show(path: &Path) -> impl std::fmt::Display {
    path.as_os_str().as_bytes().escape_ascii()
}
