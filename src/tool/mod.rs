//! The tool for people: what the program does when it is called `git-clone-shim`.

mod doctor;
mod explain;
mod gits;
mod install;
mod tree;
mod uninstall;

use std::ffi::{CStr, OsStr};
use std::io::Write;
use std::os::unix::ffi::OsStrExt;

use anyhow::{Context, Result};
use clap::error::ErrorKind;
use clap::{CommandFactory, Parser, Subcommand};

use crate::failure::printable;
use crate::process::descriptors::occupy_closed;
use crate::{NAME, failure};

/// The status of a command line that makes no sense.
const USAGE: i32 = 2;

/// The environment, for `--help`.
const VARIABLES: &str = "\
Environment:
  GIT_CLONE_SHIM         auto (default), always (--no-hardlinks at once), off
  GIT_CLONE_SHIM_GIT     absolute path of the real git, not the next on PATH
  GIT_CLONE_SHIM_LOG     info, debug, …: what the shim decides, on stderr
  GIT_CLONE_SHIM_SYSLOG  1: one line for each fallback in the system log

Run as `git`, it takes git's arguments.";

/// git-clone-shim stands in for git on PATH. When a tool runs `git clone
/// --local` and the filesystem refuses hard links, it runs the clone again with
/// `--no-hardlinks`. Everything else is git, exactly.
#[derive(Parser)]
#[command(name = NAME, version, verbatim_doc_comment, after_help = VARIABLES)]
struct Tool {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Try real clones: does git need the shim here, and does it work?
    Doctor(doctor::Options),
    /// Print the path of the real git
    Which,
    /// Tell what the shim does with `git ARGS…`, without running git
    Explain(explain::Options),
    /// Install this program, beside its other versions
    Install(install::Options),
    /// Remove an installed version, or all of them
    Uninstall(uninstall::Options),
}

/// Runs the tool with `args`, its own name first, and returns the exit status: 0, 1 if the task failed or its answer is no, 2 for
/// args that it does not know, or 125 if it could not do its work, such as start a process or write its output.
#[must_use]
pub fn run(args: &[&CStr]) -> i32 {
    // Else a directory that is opened could become one of them, and another one in a child.
    let _ = occupy_closed();
    let args = args.iter().map(|arg| OsStr::from_bytes(arg.to_bytes()));
    let done = match Tool::try_parse_from(args.clone()) {
        Ok(Tool { task }) => match task {
            Task::Doctor(options) => doctor::run(&options),
            Task::Which => which(),
            Task::Explain(options) => explain::run(&options),
            Task::Install(options) => install::run(&options),
            Task::Uninstall(options) => uninstall::run(&options),
        },
        Err(error) if error.use_stderr() => {
            failure::print(&one_line(&error, args.clone().nth(1)));
            return USAGE;
        }
        Err(asked_for) => print(&asked_for.render().to_string()).map(|()| 0),
    };
    done.unwrap_or_else(|error| {
        failure::print(&format!("{error:#}"));
        failure::OWN
    })
}

/// The exit status, and a line that tells how to call it, if this program is not called git but with a task of the tool.
#[must_use]
pub fn misnamed(args: &[&CStr]) -> Option<i32> {
    let [called, task, ..] = args else {
        return None;
    };
    let name = called.to_bytes().rsplit(|&byte| byte == b'/').next()?;
    let is_task = || Tool::command().find_subcommand(OsStr::from_bytes(task.to_bytes())).is_some();
    (name != b"git" && is_task()).then(|| {
        let name = String::from_utf8_lossy(name);
        failure::print(&format!("this is {NAME} under the name {name}: rename it to {NAME}"));
        USAGE
    })
}

/// Prints the path of the real git, for scripts that look for git's other files beside it.
fn which() -> Result<i32> {
    match gits::real_git() {
        Ok(git) => install::print(&[git.as_os_str().as_bytes(), b"\n"].concat()),
        Err(failure) => Ok(failure.report()),
    }
}

/// What is wrong with the args, in one line like all our errors, with what clap suggests instead.
fn one_line(error: &clap::Error, task: Option<&OsStr>) -> String {
    let text = error.render().to_string();
    let paragraphs = text.split("\n\n").map(|paragraph| paragraph.split_whitespace().collect::<Vec<_>>().join(" "));
    let said = paragraphs.take_while(|said| !said.starts_with("Usage:") && !said.starts_with("For more"));
    let said = said.collect::<Vec<_>>().join("; ");
    let what = match error.kind() {
        ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => "nothing to do",
        _ => said.strip_prefix("error: ").unwrap_or(&said),
    };
    let tool = Tool::command();
    let task = task.and_then(|task| tool.find_subcommand(task));
    let task = task.map_or(String::new(), |task| format!(" {}", task.get_name()));
    format!("{what}; see {NAME}{task} --help")
}

/// Prints `text` on standard output, without its styles where they cannot be seen or are not wanted (`NO_COLOR`).
///
/// # Errors
///
/// It cannot be written.
fn print(text: &str) -> Result<()> {
    let written = anstream::stdout().write_all(text.as_bytes());
    written.context("cannot write the output")
}

/// An arg as a shell (bash, ksh or zsh) reads it, whatever bytes it holds, on one line.
fn quoted(arg: impl AsRef<OsStr>) -> String {
    let arg = arg.as_ref().as_bytes();
    let is_plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"%+,-./:=@^_".contains(byte);
    if !arg.is_empty() && arg.iter().all(is_plain) {
        return String::from_utf8_lossy(arg).into_owned();
    }
    match str::from_utf8(arg) {
        Ok(text) if printable(text) == text => format!("'{}'", text.replace('\'', r"'\''")),
        _ => format!("$'{}'", arg.escape_ascii()),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use clap::CommandFactory;

    use super::Tool;

    /// The manual without fonts.
    fn manual() -> String {
        let manual = include_str!("../../man/git-clone-shim.1");
        ["\\fB", "\\fI", "\\fR", "\\"].iter().fold(manual.to_owned(), |text, font| text.replace(font, ""))
    }

    #[test]
    fn manual_has_this_version() {
        let version = format!("\"git-clone-shim {}\"", env!("CARGO_PKG_VERSION"));
        assert!(manual().lines().nth(1).unwrap().contains(&version));
    }

    #[test]
    fn manual_lists_every_subcommand_and_option_and_no_other() {
        let manual = manual();
        let (synopsis, text) = manual.split_once(".SH DESCRIPTION").unwrap();
        let calls = synopsis.split("\ngit-clone-shim ").skip(2).map(|call| call.split("\n.br").next().unwrap());
        let mut calls: Vec<_> = calls.collect();
        assert_eq!(calls.pop(), Some("--help | --version\n"));
        let tool = Tool::command();
        assert_eq!(calls.len(), tool.get_subcommands().count());
        for (subcommand, call) in tool.get_subcommands().zip(calls) {
            let name = subcommand.get_name();
            assert_eq!(call.split_whitespace().next(), Some(name));
            assert!(text.contains(&format!(".B {name}\n")), "{name}");
            let options: BTreeSet<String> = subcommand
                .get_arguments()
                .filter_map(|option| {
                    let value = option.get_value_names().filter(|_| option.get_action().takes_values());
                    let value = value.map(|names| format!(" {}", names[0].to_lowercase()));
                    Some(format!("--{}{}", option.get_long()?, value.unwrap_or_default()))
                })
                .collect();
            let shown = call.split('[').filter_map(|word| word.split_once(']')).map(|(word, _)| word.to_owned());
            let shown: BTreeSet<String> = shown.filter(|word| word.starts_with("--")).collect();
            assert_eq!(shown, options, "{name}");
            // Each is described below, too.
            for option in options {
                assert!(text.contains(option.split(' ').next().unwrap()), "{option}");
            }
        }
    }
}
