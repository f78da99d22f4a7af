//! What doctor has found out, as `--json` prints it.
//!
//! One object, of which `schema` is 1. Members are added without a new number; it changes when one is removed or means
//! something else. All of them are always there. Paths and messages are text: bytes that are no UTF-8 are U+FFFD.

use serde::{Deserialize, Serialize};

use crate::mountinfo::Filesystem;

/// The number of this layout.
pub(super) const SCHEMA: u32 = 1;

/// The whole report.
#[derive(Serialize)]
pub(super) struct Report<'a> {
    /// [`SCHEMA`].
    pub schema: u32,
    /// The version of this program.
    pub version: &'a str,
    /// How this program is linked.
    pub build: Build,
    /// Whether no directory's answer is `does_not_work`; the exit status is 0 then, and otherwise 1.
    pub works: bool,
    #[serde(flatten)]
    pub surroundings: &'a Surroundings,
    /// In the order of the command line, or the default ones that exist.
    pub directories: &'a [Directory],
}

/// How a program is linked with its C library, which decides how fast it starts.
#[derive(Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Build {
    /// `static_musl`: the fastest one.
    StaticMusl,
    /// `static_glibc`: glibc executes cpuid when it starts, which a virtual machine has to emulate.
    StaticGlibc,
    /// `dynamic`: libraries are looked for and loaded at each start.
    Dynamic,
}

impl Build {
    /// That of this program.
    pub(super) const THIS: Self = match (
        cfg!(target_feature = "crt-static"),
        cfg!(target_env = "musl"),
    ) {
        (true, true) => Self::StaticMusl,
        (true, false) => Self::StaticGlibc,
        (false, _) => Self::Dynamic,
    };
}

/// What is the same for every directory.
#[derive(Clone, Default, Serialize, Deserialize)]
pub(super) struct Surroundings {
    /// This program's file.
    pub program: String,
    /// Every git on PATH, in its order; one file under several names is listed once, unless it is this shim.
    pub path: Vec<GitOnPath>,
    /// Whether the first git on PATH is this shim, another one, or a wrapper that leads to one.
    pub reached: bool,
    /// What to do if it is not.
    pub path_advice: Option<String>,
    /// The shell command that does it; null if none does.
    pub path_command: Option<String>,
    /// The git that the shim execs; null if there is none.
    pub git: Option<ExecutedGit>,
    /// Why there is none.
    pub git_error: Option<String>,
    /// Which other users could exchange the git that calls reach; null if none could.
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
    /// What it wrote to stderr instead of a version, or why it was not run; empty otherwise.
    pub message: String,
    /// The environment module that put its directory on PATH; null if that is not known.
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
    /// `leads_to_shim`: a wrapper that runs a shim. One that the shim execs is a loop.
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

/// The git that the shim execs.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct ExecutedGit {
    pub file: String,
    /// As in `path`; anything but `git` deserves a look.
    pub what: What,
    pub version: Option<String>,
    pub message: String,
}

/// An environment variable.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct Setting {
    pub name: String,
    /// The value in force, as text.
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

/// What is known of one directory. What has not been tried is null.
#[derive(Clone, Default, Serialize, Deserialize)]
pub(super) struct Examination {
    /// Whether it is there; null if that is not known.
    pub exists: Option<bool>,
    /// Its filesystem.
    pub filesystem: Option<Filesystem>,
    /// What kept everything else from being tried.
    pub problem: Option<String>,
    /// The fresh directories in which everything was tried, as far as something of them may still be there.
    pub left_behind: Vec<String>,
    /// The directory in which another user could exchange what the trial clones make, so that none was tried; null if there is
    /// none.
    pub exchangeable_in: Option<String>,
    /// A hard link within one directory.
    pub link_inside: Option<Check>,
    /// A hard link from one directory to another.
    pub link_across: Option<Check>,
    /// Whether a hard link is the same file, as git wants it to be; null if none could be made.
    pub link_is_same_file: Option<Check>,
    /// Whether the real git could make the repository that was then cloned.
    pub repository: Option<Check>,
    /// Clones within this directory.
    #[serde(flatten)]
    pub clones: Clones,
    /// Clones from this directory to one on another mount; null if there is none that could be written to.
    pub to_other_mount: Option<OtherMount>,
}

/// The same clone, with git and through the shim.
#[derive(Clone, Default, Serialize, Deserialize)]
pub(super) struct Clones {
    /// What the shim does with a `git clone` without `--local`.
    pub plan_of_clone: Option<PlannedCall>,
    /// What the shim does with `git clone --local`.
    pub plan_of_local_clone: Option<PlannedCall>,
    /// `git clone --local` with the real git.
    pub clone_with_git: Option<Check>,
    /// Whether that clone died of what the shim cures.
    pub died_of_link: bool,
    /// `git clone --local` through the shim.
    pub clone_through_shim: Option<Check>,
}

/// What the shim does with a call of git.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct PlannedCall {
    pub action: Action,
    /// Why, as `explain` and the log say it.
    pub reason: String,
}

/// How the shim execs git first.
#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Action {
    /// `pass_through`: with the args as they are, and for good.
    PassThrough,
    /// `copy`: with `--no-hardlinks`.
    Copy,
    /// `attempt`: with the args as they are, and again with `--no-hardlinks` if a link fails.
    Attempt,
}

/// A directory on another mount, and the clones that were made there.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct OtherMount {
    pub directory: String,
    pub filesystem: Option<Filesystem>,
    #[serde(flatten)]
    pub clones: Clones,
}

/// The answer for one directory.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub(super) struct Verdict {
    pub answer: Answer,
    /// The same in one sentence, with the reason.
    pub summary: String,
    /// What to do; null if nothing.
    pub advice: Option<String>,
    /// The shell command that does it; null if none does.
    pub command: Option<String>,
}

/// Whether local clones work in a directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Answer {
    /// `works`: git alone fails, and the shim cures it.
    Works,
    /// `not_needed`: within the directory git alone does it, and so does the shim; to another mount the shim cures it, if
    /// that could be tried.
    NotNeeded,
    /// `does_not_work`: a clone through the shim fails or could not be tried, or git alone fails and the shim is not reached.
    DoesNotWork,
}

/// How something that was tried has ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Check {
    pub ok: bool,
    /// What git wrote to stderr, or the text of the system's error, if it failed; empty otherwise.
    pub message: String,
}

impl Check {
    pub(super) fn passed() -> Self {
        let message = String::new();
        Self { ok: true, message }
    }

    pub(super) fn failed(message: String) -> Self {
        Self { ok: false, message }
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
