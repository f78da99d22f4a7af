//! What the shim costs, compared with other programs that stand before git: `cargo bench --bench cost`.
//!
//! It measures what packaging/build makes. A full run renews the tables and pictures in `benches/results`; a run of some
//! groups, or with `--quick`, only prints its results.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a benchmark that cannot measure must stop with a message"
)]
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "people read its output")]
#![allow(unreachable_pub, reason = "no other crate uses this one")]

mod clone;
mod counts;
mod fixture;
mod pairs;
mod pass_through;
mod report;
#[path = "../../tests/support/mod.rs"]
#[allow(dead_code, reason = "the tests need more of it")]
mod support;

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use clap::{Parser, ValueEnum};
use nix::sched::{CpuSet, sched_getaffinity, sched_setaffinity};
use nix::unistd::Pid;

use fixture::Fixture;
use report::Report;

/// Measures what the shim costs. Without a group it measures all of them and renews benches/results.
#[derive(Parser)]
#[command(name = "cost")]
struct Options {
    /// Measure these groups only, and write nothing
    #[arg(value_enum, value_name = "GROUP")]
    groups: Vec<Group>,

    /// Run each program three times and write nothing: a check that the benchmark works
    #[arg(long)]
    quick: bool,

    /// Record the counts instead of comparing them with the record
    #[arg(long)]
    renew: bool,

    /// Measure this program instead of building one
    #[arg(long, value_name = "FILE")]
    shim: Option<PathBuf>,

    /// cargo passes this to every benchmark.
    #[arg(long, hide = true)]
    bench: bool,
}

/// A part of the report.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Group {
    /// Calls that the shim passes to git at once
    PassThrough,
    /// Clones that may hard-link
    Clone,
    /// Instructions, system calls, page faults and memory
    Counts,
}

impl Options {
    /// The number of pairs to run: `full`, or three with `--quick`.
    fn pairs(&self, full: usize) -> usize {
        if self.quick { 3 } else { full }
    }
}

fn main() {
    let options = Options::parse();
    let Some(shim) = &options.shim else {
        measure_what_is_built();
        return;
    };
    pin_to_one_core();
    let fixture = Fixture::new(shim);
    let mut report = Report::default();
    for &group in Group::value_variants() {
        if !options.groups.is_empty() && !options.groups.contains(&group) {
            continue;
        }
        match group {
            Group::PassThrough => pass_through::run(&fixture, &options, &mut report),
            Group::Clone => clone::run(&fixture, &options, &mut report),
            Group::Counts => counts::run(&fixture, &options, &mut report),
        }
    }
    if options.groups.is_empty() && !options.quick {
        report.write();
    }
}

/// Runs this program again with the same args for a shim that it builds: with real-time priority where that is permitted, so
/// that other processes on the machine hardly disturb it.
fn measure_what_is_built() {
    let mut build = Command::new(concat!(env!("CARGO_MANIFEST_DIR"), "/packaging/build"));
    let built = build.stderr(Stdio::inherit()).output().unwrap();
    assert!(built.status.success(), "packaging/build failed");
    let priority = ["chrt", "--fifo", "1"];
    let mut trial = Command::new(priority[0]);
    let trial = trial.args(&priority[1..]).arg("true").status();
    let permitted = trial.is_ok_and(|status| status.success());
    let mut again = Command::new(if permitted { "chrt" } else { "env" });
    if permitted {
        again.args(&priority[1..]);
    }
    again.arg(std::env::current_exe().unwrap());
    again.args(std::env::args_os().skip(1)).arg("--shim");
    again.arg(Path::new(String::from_utf8(built.stdout).unwrap().trim_end()));
    assert!(again.status().unwrap().success(), "the benchmark failed: see its output above");
}

/// Pins this process and its children to the last core that it may use: moving a process to another core takes longer than
/// what is measured.
fn pin_to_one_core() {
    let process = Pid::from_raw(0);
    let allowed = sched_getaffinity(process).unwrap();
    let mut cores = (0..CpuSet::count()).rev();
    let last = cores.find(|&core| allowed.is_set(core).unwrap());
    let mut one = CpuSet::new();
    one.set(last.unwrap()).unwrap();
    sched_setaffinity(process, &one).unwrap();
}
