//! `git-clone-shim stats FILE…` counts the records in log files of the shim (`GIT_CLONE_SHIM_LOG_FILE`): how many fallbacks there
//! were, where, why, and how much time the failed attempts took.

mod lines;
mod prometheus;
mod report;
mod table;
mod tally;

use std::fs::{self, File};
use std::io::{IsTerminal, stdin, stdout};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use anyhow::Result;
use clap::Args;
use nix::libc;

use self::report::Report;
use self::tally::Tally;
use crate::failure;
use crate::printable::json;
use crate::tool::text;

/// What to count.
#[derive(Args)]
pub(super) struct Options {
    /// Regular files that `GIT_CLONE_SHIM_LOG_FILE` has named; `-` is standard input
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Print one JSON object: all that was counted, and times in milliseconds
    #[arg(long)]
    json: bool,
    /// Print metrics for the textfile collector of a Prometheus node exporter
    #[arg(long, conflicts_with = "json")]
    prometheus: bool,
    /// How many rows to show of each kind: the latest days, and the busiest of all else
    #[arg(long, value_name = "NUMBER", default_value_t = 20)]
    rows: usize,
}

/// Prints the counts of these files and returns 0, or 1 if one of them cannot be read: then it prints why, and counts the others.
/// Damaged lines are counted and named, and no failure.
///
/// # Errors
///
/// Standard output cannot be written.
pub(super) fn run(options: &Options) -> Result<i32> {
    let mut tally = Tally::default();
    let mut status = 0;
    for file in &options.files {
        if let Err(error) = read(file, &mut tally) {
            let file = file.as_os_str().as_encoded_bytes().escape_ascii();
            failure::print(&format!("cannot read {file}: {error}"));
            status = 1;
        }
    }
    let report = Report::new(&tally);
    let text = match (options.json, options.prometheus) {
        (true, _) => json(&report, true)? + "\n",
        (false, true) => prometheus::render(&report),
        (false, false) => table::render(&report, options.rows, stdout().is_terminal()),
    };
    super::print(&text).map(|()| status)
}

fn read(file: &Path, tally: &mut Tally) -> Result<(), String> {
    let name = file.to_string_lossy();
    let mut count = |number, line: Option<&[u8]>| tally.count(&name, number, line);
    let done = match name == "-" {
        true => lines::each(stdin().lock(), &mut count),
        false => lines::each(open(file)?, &mut count),
    };
    done.map_err(|error| text::why(&error))
}

/// Opens a regular file. To read a FIFO, a device or what a symbolic link leads to, the caller redirects standard input:
/// in a directory that others can write to, any of them may lie in the place of a log.
fn open(file: &Path) -> Result<File, String> {
    let irregular = "it is not a regular file; to read it nevertheless, use - and standard input";
    let why = |error| text::why(&error);
    // Before open(2), since to open a device can already do something.
    if !fs::symlink_metadata(file).map_err(why)?.is_file() {
        return Err(irregular.to_owned());
    }
    let mut options = File::options();
    options
        .read(true)
        .custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK | libc::O_NOCTTY);
    let opened = options.open(file).map_err(why)?;
    // Another file may have taken its place meanwhile.
    match opened.metadata().map_err(why)?.is_file() {
        true => Ok(opened),
        false => Err(irregular.to_owned()),
    }
}
