//! `git-clone-shim explain -- ARGS…`: what the shim would do with `git ARGS…`, argument by argument. git is not run.

use std::ffi::{CStr, CString, OsString};
use std::fmt::Write;
use std::iter;
use std::os::unix::ffi::OsStringExt;

use anyhow::Result;
use clap::Args;

use crate::git::command_line::{self, CloneCommand, Linking, Role};
use crate::git::real_git::RealGit;
use crate::log::QuotedArgs;
use crate::plan::{AttemptReason, PassThroughReason, Plan};
use crate::settings::Settings;

/// What to explain.
#[derive(Args)]
pub(super) struct Options {
    /// The args that git would be called with
    #[arg(last = true, value_name = "ARGS")]
    args: Vec<OsString>,
}

/// Explains the call and returns 0.
///
/// # Errors
///
/// Standard output cannot be written.
pub(super) fn run(options: &Options) -> Result<i32> {
    let given = options.args.iter().cloned().map(OsString::into_vec);
    let owned: Vec<CString> = iter::once(b"git".to_vec())
        .chain(given)
        // An arg of a command line holds no NUL byte.
        .filter_map(|arg| CString::new(arg).ok())
        .collect();
    let args: Vec<&CStr> = owned.iter().map(CString::as_c_str).collect();
    super::print(&explanation(&args)).map(|()| 0)
}

fn explanation(args: &[&CStr]) -> String {
    let settings = Settings::from_environment();
    let git = match RealGit::find(settings.git) {
        Ok(git) => git
            .file()
            .as_os_str()
            .as_encoded_bytes()
            .escape_ascii()
            .to_string(),
        Err(failure) => format!("none: {failure}"),
    };
    let plan = Plan::new(settings.mode, args);
    format!(
        "{}\n\n{}\nreal git        {git}\nGIT_CLONE_SHIM  {}\n\n{}",
        QuotedArgs(args),
        readings(args),
        settings.mode,
        verdict(&plan, args),
    )
}

/// Every arg that git reads, and what it is to git, in two columns.
fn readings(args: &[&CStr]) -> String {
    let mut readings: Vec<(usize, String)> = Vec::new();
    let mut places = ["the source", "the destination"].into_iter();
    let clone = command_line::read_noting(args, |at, role| {
        let reading = match role {
            Role::Global => "an option before the command".to_owned(),
            Role::Command => "the command".to_owned(),
            Role::Option(name, on) => full_name(name, on),
            Role::UnknownGlobal | Role::UnknownOption => {
                "no option that this shim knows; git decides".to_owned()
            }
            Role::Value => "its value".to_owned(),
            Role::EndOfOptions => "the end of the options".to_owned(),
            Role::Positional => places.next().unwrap_or("one too many").to_owned(),
        };
        match readings.last_mut().filter(|(last, _)| *last == at) {
            // An arg of several short options.
            Some((_, so_far)) => _ = write!(so_far, ", {reading}"),
            None => readings.push((at, reading)),
        }
    });
    let rows: Vec<(String, String)> = readings
        .into_iter()
        .filter_map(|(at, reading)| {
            let decides = |clone: &CloneCommand<'_>| clone.linking == Linking::Demanded(at);
            let arg = QuotedArgs(args.get(at..=at)?).to_string();
            let reading = match reading == arg {
                true => "an option".to_owned(),
                false => reading,
            };
            let because = match clone.as_ref().is_some_and(decides) {
                true => " (asks for hard links)",
                false => "",
            };
            Some((arg, reading + because))
        })
        .collect();
    let width = rows.iter().map(|(arg, _)| arg.len()).max().unwrap_or(0);
    rows.iter().fold(String::new(), |mut text, (arg, reading)| {
        let _ = writeln!(text, "  {arg:width$}  {reading}");
        text
    })
}

fn full_name(name: &str, on: bool) -> String {
    match (on, name.strip_prefix("no-")) {
        (true, _) => format!("--{name}"),
        (false, Some(positive)) => format!("--{positive}"),
        (false, None) => format!("--no-{name}"),
    }
}

/// What would be done, and why.
fn verdict(plan: &Plan<'_>, args: &[&CStr]) -> String {
    match plan {
        Plan::PassThrough(why) => {
            let alias = match why {
                PassThroughReason::NoClone => {
                    "\nIf it is an alias for one, git runs that itself, and no shim sees it."
                }
                _ => "",
            };
            format!("The shim execs git at once, with these args: {why}.{alias}\n")
        }
        Plan::Copy(clone, why) => format!(
            "The shim execs git at once, with --no-hardlinks: {why}.\n  {}\n",
            QuotedArgs(&clone.without_hard_links(args))
        ),
        Plan::Attempt(clone, why) => {
            let cures = match why {
                AttemptReason::Local(_) => "a refused hard link, or of one that is another file",
                AttemptReason::LocalRepository => "a hard link that is another file",
            };
            let progress = match clone.progress_decided {
                true => String::new(),
                false => format!(
                    "On a terminal the attempt is given --progress, since it does not see the terminal itself:\n  {}\n",
                    QuotedArgs(&clone.with_progress(args))
                ),
            };
            format!(
                "The shim runs git with these args, since {why}, and reads its stderr.\n{progress}\
                 If git dies of {cures}, the shim execs\n  {}\n",
                QuotedArgs(&clone.without_hard_links(args))
            )
        }
    }
}
