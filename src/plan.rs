//! What is to be done with a call, and why: decided from its args and the mode alone, before anything runs.

use std::ffi::CStr;
use std::fmt;

use crate::git::command_line::{self, CloneCommand, Linking};
use crate::git::source;
use crate::settings::Mode;

/// What is to be done with a call.
#[derive(Debug)]
pub enum Plan<'a> {
    /// Become git at once, with the args as they are.
    PassThrough(PassThroughReason),
    /// Become git at once, with `--no-hardlinks`.
    Copy(CloneCommand<'a>),
    /// Let git try, and become git with `--no-hardlinks` if it dies of a link failure.
    Attempt(CloneCommand<'a>),
}

/// Why a call needs no care.
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
            // Not asked with `--local`: git dies then even of a source that is a link, or comes into being meanwhile.
            // A server decides what git writes then: no message of it may start a fallback.
            Linking::Demanded(_) if source::is_url(&clone) => {
                Self::PassThrough(PassThroughReason::Url)
            }
            Linking::IfLocal if !source::is_local(&clone) => {
                Self::PassThrough(PassThroughReason::NotLocal)
            }
            _ if mode == Mode::Always => Self::Copy(clone),
            _ => Self::Attempt(clone),
        }
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
        })
    }
}
