//! The command line: `cargo bench --bench cost -- …`.

use std::path::PathBuf;

use clap::{Parser, ValueEnum};

/// Measures what the shim costs. Without a group it measures all of them and renews benches/results and the README.
#[derive(Parser)]
#[command(name = "cost")]
pub struct Options {
    /// Measure these groups only, and write nothing
    #[arg(value_enum, value_name = "GROUP")]
    pub groups: Vec<Group>,

    /// Run each program three times and write nothing: a check that the benchmark works
    #[arg(long)]
    pub quick: bool,

    /// Record the counts instead of comparing them with the record
    #[arg(long)]
    pub renew: bool,

    /// Measure the `git` in DIR instead of one that install.sh installs
    #[arg(long, value_name = "DIR")]
    pub shim: Option<PathBuf>,

    /// cargo passes this to every benchmark.
    #[arg(long, hide = true)]
    bench: bool,
}

/// A part of the report.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Group {
    /// Calls that the shim passes to git at once
    PassThrough,
    /// Clones that may hard-link
    Clone,
    /// Peak memory
    Memory,
    /// Long PATHs and command lines, much output, many calls at once
    Growth,
    /// Instructions, system calls and page faults
    Counts,
}

impl Group {
    /// Its name on the command line.
    pub fn name(self) -> String {
        let value = self.to_possible_value().unwrap();
        value.get_name().to_owned()
    }
}

impl Options {
    /// The groups to measure, in the order of the report.
    pub fn selected(&self) -> impl Iterator<Item = Group> {
        let all = Group::value_variants().iter().copied();
        all.filter(|group| self.groups.is_empty() || self.groups.contains(group))
    }

    /// Whether this run measures everything, so that its results are written to files.
    pub fn is_full(&self) -> bool {
        !self.quick && self.groups.is_empty()
    }

    /// The number of pairs to run: `full`, or three with `--quick`.
    pub fn pairs(&self, full: usize) -> usize {
        if self.quick { 3 } else { full }
    }
}
