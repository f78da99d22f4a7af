//! `git-clone-shim stats FILE…`: what the files say that `GIT_CLONE_SHIM_LOG_FILE` names: how many second runs there were,
//! where, why, and how much time their first attempts have cost.

mod lines;
mod report;
mod table;
mod tally;

use std::fs::File;
use std::io::{self, IsTerminal, stdin, stdout};
use std::path::{Path, PathBuf};

use clap::Args;

use self::report::Report;
use self::tally::Tally;
use crate::failure;
use crate::tool::text;

/// What to count.
#[derive(Args)]
pub(super) struct Options {
    /// Files that `GIT_CLONE_SHIM_LOG_FILE` has named; `-` is standard input
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Print one JSON object: all that was counted, and times in milliseconds
    #[arg(long)]
    json: bool,
    /// How many rows to show of each kind: the latest days, and the busiest of all else
    #[arg(long, value_name = "N", default_value_t = 20)]
    rows: usize,
}

/// Prints what the files say and returns 0, or 1 if one of them cannot be read: then it says so, and counts the others.
/// Damaged lines are counted and named, and no failure.
///
/// # Errors
///
/// Standard output cannot be written.
pub(super) fn run(options: &Options) -> io::Result<i32> {
    let mut tally = Tally::default();
    let mut status = 0;
    for file in &options.files {
        if let Err(error) = read(file, &mut tally) {
            let file = file.as_os_str().as_encoded_bytes().escape_ascii();
            failure::print(&format!("cannot read {file}: {}", text::why(&error)));
            status = 1;
        }
    }
    let report = Report::new(&tally);
    let text = match options.json {
        true => serde_json::to_string_pretty(&report)? + "\n",
        false => table::render(&report, options.rows, stdout().is_terminal()),
    };
    super::print(&text).map(|()| status)
}

fn read(file: &Path, tally: &mut Tally) -> io::Result<()> {
    let name = file.to_string_lossy();
    let mut count = |number, line: Option<&[u8]>| tally.count(&name, number, line);
    match name == "-" {
        true => lines::each(stdin().lock(), &mut count),
        false => lines::each(File::open(file)?, &mut count),
    }
}
