//! What to do with a call, and why: decided before anything runs, from its args, the mode, and what the kernel tells about the
//! source and the destination of a clone.

use std::ffi::CStr;
use std::fmt;

use crate::git::command_line::{self, CloneCommand, Linking};
use crate::git::filesystem_type::HardLinks;
use crate::git::mounts;
use crate::git::source::{self, Repository};
use crate::settings::Mode;

/// What to do with a call.
#[derive(Debug)]
pub enum Plan<'a> {
    /// Exec git at once, with the args as they are.
    PassThrough(PassThroughReason),
    /// Exec git at once, with `--no-hardlinks`.
    Copy(CloneCommand<'a>, CopyReason),
    /// Let git try, and exec it with `--no-hardlinks` if it dies of a link failure.
    Attempt(CloneCommand<'a>, AttemptReason<'a>),
}

/// Why git gets the args as they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PassThroughReason {
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
    /// No option decides, and the kernel refuses every link: git copies by itself.
    DifferentMounts,
    /// No option decides, and a link on this filesystem is the same file: where one is refused, git copies by itself.
    HonestLinks,
}

/// Why git gets `--no-hardlinks` without an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CopyReason {
    /// `GIT_CLONE_SHIM=always`.
    Always,
    /// `--local` is in effect, and the kernel refuses every link.
    DifferentMounts,
}

/// Why git can die of a link failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AttemptReason<'a> {
    /// `--local` is in effect, by this arg: git dies where a link is refused, or is another file.
    Local(&'a CStr),
    /// The source is a local repository: git dies where a link is another file.
    LocalRepository,
}

impl<'a> Plan<'a> {
    /// The plan for `args`, our own name first.
    #[must_use]
    pub fn new(mode: Mode, args: &[&'a CStr]) -> Self {
        if mode == Mode::Off {
            return Self::PassThrough(PassThroughReason::SwitchedOff);
        }
        let Some(clone) = command_line::read(args) else {
            return Self::PassThrough(PassThroughReason::NoClone);
        };
        match clone.linking {
            Linking::Never => Self::PassThrough(PassThroughReason::ToldNotTo),
            Linking::Demanded(by) => {
                let by = args.get(by).copied().unwrap_or_default();
                Self::with_local(mode, clone, by)
            }
            Linking::IfLocal => Self::plain(mode, clone),
        }
    }

    /// With `--local`. Where the source is no repository that we find, git is attempted: it may be made meanwhile.
    fn with_local(mode: Mode, clone: CloneCommand<'a>, by: &'a CStr) -> Self {
        // A server decides what git writes then: no message of it may start a fallback.
        if source::is_url(&clone) {
            return Self::PassThrough(PassThroughReason::Url);
        }
        if mode == Mode::Always {
            return Self::Copy(clone, CopyReason::Always);
        }
        let source = Repository::of(&clone);
        if source.is_some_and(|source| mounts::differ(&clone, &source)) {
            return Self::Copy(clone, CopyReason::DifferentMounts);
        }
        Self::Attempt(clone, AttemptReason::Local(by))
    }

    /// Without an option that decides.
    fn plain(mode: Mode, clone: CloneCommand<'a>) -> Self {
        if !source::is_local(&clone) {
            return Self::PassThrough(PassThroughReason::NotLocal);
        }
        if mode == Mode::Always {
            return Self::Copy(clone, CopyReason::Always);
        }
        if let Some(source) = Repository::of(&clone) {
            if mounts::differ(&clone, &source) {
                return Self::PassThrough(PassThroughReason::DifferentMounts);
            }
            if HardLinks::on(&source.objects) == HardLinks::Honest {
                return Self::PassThrough(PassThroughReason::HonestLinks);
            }
        }
        Self::Attempt(clone, AttemptReason::LocalRepository)
    }
}

impl fmt::Display for PassThroughReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::SwitchedOff => "GIT_CLONE_SHIM=off",
            Self::NoClone => "it is not a `git clone` that git would run",
            Self::ToldNotTo => "its options say not to hard-link",
            Self::NotLocal => "its source is not a local repository",
            Self::Url => "its source is a URL",
            Self::DifferentMounts => {
                "its source and its destination are on different mounts, where git copies by itself"
            }
            Self::HonestLinks => {
                "its source is on a filesystem whose hard links are the same file, and without --local git copies where it cannot link"
            }
        })
    }
}

impl fmt::Display for CopyReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Always => "GIT_CLONE_SHIM=always",
            Self::DifferentMounts => {
                "its source and its destination are on different mounts, between which the kernel links nothing"
            }
        })
    }
}

impl fmt::Display for AttemptReason<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Local(by) => {
                write!(
                    f,
                    "--local is in effect, by {}",
                    by.to_bytes().escape_ascii()
                )
            }
            Self::LocalRepository => f.write_str("the source is a local repository"),
        }
    }
}
