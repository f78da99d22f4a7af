//! What to do with a call, and why: decided before anything runs, from its args, the mode, and what the kernel tells about the
//! source and the destination of a clone.

use std::ffi::CStr;
use std::fmt;
use std::io::{IsTerminal, stderr};

use crate::git::command_line::{self, Args, CloneCommand, Linking};
use crate::git::filesystems;
use crate::git::source::{self, Objects};
use crate::settings::Mode;

/// What to do with a call.
#[derive(Debug)]
pub enum Plan<'a> {
    /// Exec git at once, with the args as they are.
    PassThrough(Reason),
    /// Exec git at once, with `--no-hardlinks`.
    Copy(CloneCommand<'a>, Reason),
    /// Let git try, and exec it with `--no-hardlinks` if it dies of a link failure.
    Attempt(CloneCommand<'a>, Reason),
}

/// Why a plan is what it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// `GIT_CLONE_SHIM=off`.
    SwitchedOff,
    /// It is not a `git clone`, or one that git will refuse.
    NoClone,
    /// `--no-local`, `--no-hardlinks` or `--shared` is in effect.
    ToldNotTo,
    /// No option decides, and the source is not a local repository.
    NotLocal,
    /// The source is a URL, whose objects git never links, with `--local` or without.
    Url,
    /// The kernel refuses every link. Without `--local` git copies by itself then.
    DifferentMounts,
    /// No option decides, and a link on this filesystem is the same file: where one is refused, git copies by itself.
    HonestLinks,
    /// `GIT_CLONE_SHIM=always`.
    Always,
    /// `--local` is in effect: git dies where a link is refused, or is another file.
    Local,
    /// The source is a local repository: git dies where a link is another file.
    LocalRepository,
}

impl<'a> Plan<'a> {
    /// The plan for `args`, our own name first.
    #[must_use]
    pub fn new(mode: Mode, args: &[&'a CStr]) -> Self {
        if mode == Mode::Off {
            return Self::PassThrough(Reason::SwitchedOff);
        }
        let Some(clone) = command_line::read(args) else {
            return Self::PassThrough(Reason::NoClone);
        };
        match clone.linking {
            Linking::Never => Self::PassThrough(Reason::ToldNotTo),
            Linking::Demanded => Self::with_local(mode, clone),
            Linking::IfLocal => Self::plain(mode, clone),
        }
    }

    /// With `--local`. Where the source is no repository that we find, git is attempted: it may be made meanwhile.
    fn with_local(mode: Mode, clone: CloneCommand<'a>) -> Self {
        // A server decides what git writes then: no message of it may start a fallback.
        if source::is_url(&clone) {
            return Self::PassThrough(Reason::Url);
        }
        if mode == Mode::Always {
            return Self::Copy(clone, Reason::Always);
        }
        if let Some(Objects::Here(objects)) = source::objects(&clone)
            && filesystems::are_on_different_mounts(&clone, &objects)
        {
            return Self::Copy(clone, Reason::DifferentMounts);
        }
        Self::Attempt(clone, Reason::Local)
    }

    /// Without an option that decides.
    fn plain(mode: Mode, clone: CloneCommand<'a>) -> Self {
        let Some(objects) = source::objects(&clone) else {
            return Self::PassThrough(Reason::NotLocal);
        };
        if mode == Mode::Always {
            return Self::Copy(clone, Reason::Always);
        }
        if let Objects::Here(objects) = objects {
            if filesystems::are_on_different_mounts(&clone, &objects) {
                return Self::PassThrough(Reason::DifferentMounts);
            }
            if filesystems::is_honest(objects.as_path()) {
                return Self::PassThrough(Reason::HonestLinks);
            }
        }
        Self::Attempt(clone, Reason::LocalRepository)
    }

    /// Whether it is for a `git clone` that is not switched off.
    #[must_use]
    pub fn is_for_a_clone(&self) -> bool {
        !matches!(self, Self::PassThrough(Reason::NoClone | Reason::SwitchedOff))
    }
}

/// The args of an attempt. git does not see our terminal, so it is told to show its progress, unless the caller has decided that.
#[must_use]
pub fn attempted<'w>(clone: &CloneCommand<'_>, args: &[&'w CStr]) -> Args<'w> {
    let is_shown = stderr().is_terminal() && !clone.progress_decided;
    if is_shown { clone.with_progress(args) } else { Args::from_slice(args) }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::SwitchedOff => "GIT_CLONE_SHIM=off",
            Self::NoClone => "it is not a `git clone` that git would run",
            Self::ToldNotTo => "its options say not to hard-link",
            Self::NotLocal => "its source is not a local repository",
            Self::Url => "its source is a URL",
            Self::DifferentMounts => {
                "its source and its destination are on different mounts, between which the kernel links nothing"
            }
            Self::HonestLinks => {
                "its source is on a filesystem whose hard links are the same file, and without --local git copies where it cannot link"
            }
            Self::Always => "GIT_CLONE_SHIM=always",
            Self::Local => "--local is in effect",
            Self::LocalRepository => "the source is a local repository",
        })
    }
}
