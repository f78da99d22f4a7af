//! git-clone-shim stands in for `git` on PATH, so that every tool that runs `git clone --local` works on filesystems that
//! refuse hard links. Everything else is git, exactly: same bytes, same exit status, same signals, same terminal.
//!
//! Three rules, in this order:
//!
//! 1. **Never make git worse.** Where the shim is in doubt, or anything inside it fails before git has run, it execs the
//!    real git with the args it was given.
//! 2. **Never guess.** It skips only what the kernel rules out beforehand (a link between two mounts). Otherwise it first runs
//!    what the caller wrote, and only git's own message makes it run git again, once.
//! 3. **Never delete, never write.** git cleans up after itself; the shim keeps no state, no cache and no lock, and makes no
//!    directory for git.
//!
//! ```text
//! argv ── read git's grammar ──> no clone, or one that no link can fail ─────────> exec the real git
//! PATH ── find the real git ───> --local between two mounts: no link can succeed ─> exec it with --no-hardlinks
//! mounts, filesystem ──────────> a link may fail ── attempt, in English, ─┬─ link failure ─> exec it with --no-hardlinks
//!                                                   stderr held           └─ anything else ─> show what was held,
//!                                                                                             exit as git exited
//! an error of our own ──> one line, "git-clone-shim: …", exit 125 / 126 / 127
//! ```
//!
//! [`policy`] is the shim and [`plan`] what it decides beforehand; [`git`] knows git's messages, its grammar and where it is;
//! [`process`] knows pipes, pids and signals, and nothing of git. Called as `git-clone-shim` the program is the tool for
//! people, [`tool`], and nothing of the shim runs.

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test may fail"))]

use std::ffi::{CStr, c_int};

pub mod failure;
pub mod git;
pub mod log;
pub mod plan;
pub mod policy;
pub mod process;
pub mod settings;
pub mod tool;

/// The beginning of the tool's name; by any other name this program is the shim.
pub const NAME: &str = "git-clone-shim";

/// Runs the tool or the shim, as `argv[0]` names it, and returns the exit status.
#[must_use]
pub fn start(args: &[&CStr]) -> c_int {
    let name = args.first().map_or(&b""[..], |arg| arg.to_bytes());
    let name = name.rsplit(|&byte| byte == b'/').next().unwrap_or(name);
    // A program of a release is called git-clone-shim-VERSION-ARCH.
    if name.starts_with(NAME.as_bytes()) {
        return tool::run(args);
    }
    if let Some(status) = tool::misnamed(args) {
        return status;
    }
    match policy::run(args) {
        Ok(never) => match never {},
        Err(failure) => failure.report(),
    }
}
