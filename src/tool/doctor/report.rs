//! What doctor has found out, as `--json` prints it.
//!
//! One object, of which `schema` is 1. Members are added without a new number; it changes when one is removed or means
//! something else. All of them are always there. Paths and git's words are text: bytes that are no UTF-8 are U+FFFD.

use serde::{Deserialize, Serialize};

use super::examination::Examination;
use super::verdict::Verdict;

/// The number of this layout.
pub(super) const SCHEMA: u32 = 1;

/// The whole report.
#[derive(Serialize)]
pub(super) struct Report<'a> {
    /// [`SCHEMA`].
    pub schema: u32,
    /// The version of this program.
    pub version: &'a str,
    /// Whether no directory's answer is `does_not_work`; the exit status is 0 then, and otherwise 1.
    pub works: bool,
    #[serde(flatten)]
    pub surroundings: &'a Surroundings,
    /// In the order of the command line, or the default ones that exist.
    pub directories: &'a [Directory],
}

/// What is the same for every directory.
#[derive(Clone, Default, Serialize, Deserialize)]
pub(super) struct Surroundings {
    /// This program's file.
    pub program: String,
    /// Every git on PATH, in its order; one file under several names is listed once, unless it is this shim.
    pub path: Vec<GitOnPath>,
    /// Whether whoever looks for git on PATH finds this shim, another one, or a wrapper that leads to one.
    pub reached: bool,
    /// What to do if it is not.
    pub path_advice: Option<String>,
    /// The git that the shim becomes; null if there is none.
    pub git: Option<RealGit>,
    /// Why there is none.
    pub git_error: Option<String>,
    /// Who else could put another program in the place of the git that calls reach; null if nobody could.
    pub path_warning: Option<String>,
    /// The environment variables, in the order of the manual.
    pub settings: Vec<Setting>,
    /// What of this could not be found out, because a directory of PATH does not answer.
    pub unfinished: Option<Unfinished>,
}

/// A git on PATH.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct GitOnPath {
    pub file: String,
    /// What it is.
    pub what: What,
    /// The version that it gives; null if it was not asked, or did not answer.
    pub version: Option<String>,
    /// What it said instead of a version; empty otherwise.
    pub said: String,
    /// The environment module that put its directory on PATH, as far as can be told.
    pub module: Option<String>,
}

/// What a git on PATH is.
#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum What {
    /// `this_shim`: this very program, by whatever name or link.
    ThisShim,
    /// `another_shim`: another copy of it.
    AnotherShim,
    /// `leads_to_shim`: somebody's wrapper that runs a shim. One that the shim becomes is a loop.
    LeadsToShim,
    /// `git`: any other git.
    Git,
    /// `broken`: it does not answer `--version`.
    Broken,
    /// `not_run`: it was not run, since no call of git reaches it, or since other users could have put it there.
    NotRun,
    /// `relative`: in an entry of PATH that is not an absolute path; never run by the shim, nor by doctor.
    Relative,
}

/// The git that the shim becomes.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct RealGit {
    pub file: String,
    /// As in `path`; anything but `git` deserves a look.
    pub what: What,
    pub version: Option<String>,
    pub said: String,
}

/// An environment variable.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct Setting {
    pub name: String,
    /// What counts, in words.
    pub value: String,
    pub origin: Origin,
    /// The environment module that names the variable.
    pub module: Option<String>,
}

/// Where a setting comes from.
#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Origin {
    /// `default`: it is not set, or empty.
    Default,
    /// `environment`.
    Environment,
    /// `not_understood`: it is set to something else, and the default counts.
    NotUnderstood,
}

/// A directory, what was tried there, and the answer.
#[derive(Serialize)]
pub(super) struct Directory {
    /// Its absolute path.
    pub path: String,
    /// Why it was looked at: it was `named`, or whose it is.
    pub whose: &'static str,
    #[serde(flatten)]
    pub examination: Examination,
    /// Where the examination ended early.
    pub unfinished: Option<Unfinished>,
    #[serde(flatten)]
    pub verdict: Verdict,
}

/// How something that was tried has ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Check {
    pub ok: bool,
    /// The system's or git's own words if it failed; empty otherwise.
    pub said: String,
}

impl Check {
    pub(super) fn passed() -> Self {
        let said = String::new();
        Self { ok: true, said }
    }

    pub(super) fn failed(said: String) -> Self {
        Self { ok: false, said }
    }
}

/// Where an examination ended early.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Unfinished {
    /// What it was doing.
    pub step: String,
    /// Whether its time was up; otherwise something has ended it.
    pub timed_out: bool,
    /// Whether it is still there, because no signal ends it: it will remove what it made when the filesystem answers.
    pub lingers: bool,
}
