//! `git-clone-shim explain ARGS…`: what the shim does with `git ARGS…`, and why. git is not run.

use std::ffi::{CStr, CString, OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::Path;

use anyhow::Result;
use clap::Args;

use crate::plan::Plan;
use crate::settings::Settings;
use crate::tool::quoted;

/// What to explain.
#[derive(Args)]
pub(super) struct Options {
    /// The args that git is called with; `git` itself may come first
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "ARGS")]
    args: Vec<OsString>,
}

/// Explains the call and returns 0, or the status with which the shim ends if there is no real git.
///
/// # Errors
///
/// Standard output cannot be written.
pub(super) fn run(options: &Options) -> Result<i32> {
    let git = match super::gits::real_git() {
        Ok(git) => git,
        Err(failure) => return Ok(failure.report()),
    };
    let is_git = |(first, _): &(&OsString, _)| Path::new(first).ends_with("git");
    let given = options.args.split_first().filter(is_git).map_or(&options.args[..], |(_, rest)| rest);
    let given = given.iter().cloned().map(OsString::into_vec);
    let owned: Vec<CString> = [b"git".to_vec()]
        .into_iter()
        .chain(given)
        // An arg of a command line holds no NUL byte.
        .filter_map(|arg| CString::new(arg).ok())
        .collect();
    let args: Vec<&CStr> = owned.iter().map(CString::as_c_str).collect();
    let command = |args: &[&CStr]| {
        let words = args.iter().skip(1).map(|arg| quoted(OsStr::from_bytes(arg.to_bytes())));
        let words: Vec<String> = [quoted(&git)].into_iter().chain(words).collect();
        format!("  {}\n", words.join(" "))
    };
    super::print(&match Plan::new(Settings::from_environment().mode, &args) {
        Plan::PassThrough(why) => format!("git runs as it is called: {why}.\n{}", command(&args)),
        Plan::Copy(clone, why) => {
            let copying = command(&clone.without_hard_links(&args));
            format!("git runs with --no-hardlinks at once: {why}.\n{copying}")
        }
        Plan::Attempt(clone, why) => format!(
            "git runs as it is called, and again with --no-hardlinks if a hard link fails: {why}.\n{}{}",
            command(&args),
            command(&clone.without_hard_links(&args))
        ),
    })?;
    Ok(0)
}
