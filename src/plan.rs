//! What is to be done with a call, and why: decided from its words and the mode alone, before anything runs.

use std::ffi::CStr;
use std::fmt;

use crate::git::command_line::{self, Clone, Linking};
use crate::git::source;
use crate::settings::Mode;

/// What is to be done with a call.
#[derive(Debug)]
pub enum Plan<'a> {
    /// Become git at once, with the words as they are.
    PassThrough(Harmless),
    /// Become git at once, with `--no-hardlinks`.
    Copy(Clone<'a>),
    /// Let git try, and become git with `--no-hardlinks` if it dies of a link failure.
    Attempt(Clone<'a>),
}

/// Why a call needs no care.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Harmless {
    /// `GIT_CLONE_SHIM=off`.
    SwitchedOff,
    /// It is not a `git clone`, or one that git will refuse.
    NoClone,
    /// `--no-local`, `--no-hardlinks` or `--shared` is in effect.
    ToldNotTo,
    /// Nothing was said, and the source is not a local repository.
    NotLocal,
}

impl<'a> Plan<'a> {
    /// The plan for `words`, our own name first.
    #[must_use]
    pub fn new(mode: Mode, words: &[&'a CStr]) -> Self {
        if mode == Mode::Off {
            return Self::PassThrough(Harmless::SwitchedOff);
        }
        let Some(clone) = command_line::read(words) else {
            return Self::PassThrough(Harmless::NoClone);
        };
        match clone.linking {
            Linking::Never => Self::PassThrough(Harmless::ToldNotTo),
            // Not asked with `--local`: git dies then even of a source that is a link, or comes into being meanwhile.
            Linking::IfLocal if !source::is_local(&clone) => Self::PassThrough(Harmless::NotLocal),
            _ if mode == Mode::Always => Self::Copy(clone),
            _ => Self::Attempt(clone),
        }
    }
}

impl fmt::Display for Harmless {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::SwitchedOff => "GIT_CLONE_SHIM=off",
            Self::NoClone => "it is not a `git clone` that git would run",
            Self::ToldNotTo => "its options say not to hard-link",
            Self::NotLocal => "its source is not a local repository",
        })
    }
}
