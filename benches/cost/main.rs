//! What the shim costs, compared with other programs that stand before git: `cargo bench --bench cost`.
//!
//! It measures the program that install.sh installs, and runs whole processes alternately (see [`pairs`]). A full run renews
//! `benches/results` and a section of the README. A run of some groups, or with `--quick`, only prints its results.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a benchmark that cannot measure must stop with a message"
)]
#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "people read its output"
)]
#![allow(unreachable_pub, reason = "no other crate uses this one")]

mod affinity;
mod fixture;
mod groups;
mod installed;
mod machine;
mod options;
mod pairs;
mod plot;
mod realtime;
mod report;
mod repository;
mod statistics;
#[path = "../../tests/support/mod.rs"]
#[allow(dead_code, reason = "the tests need more of it")]
mod support;
mod table;

use std::path::Path;

use clap::Parser;
use fixture::Fixture;
use options::Options;
use report::Report;

fn main() {
    let options = Options::parse();
    if let Some(shim) = &options.shim {
        measure(shim, &options);
        return;
    }
    let installed = installed::by_install_sh();
    match realtime::rerun(&installed.bin()) {
        Some(succeeded) => assert!(succeeded, "the benchmark failed: see its output above"),
        None => measure(&installed.bin(), &options),
    }
}

fn measure(shim: &Path, options: &Options) {
    affinity::pin_to_one_core();
    let fixture = Fixture::new(shim);
    let mut report = Report::default();
    for group in options.selected() {
        println!("## {}\n", group.name());
        groups::run(group, &fixture, options, &mut report);
    }
    if options.is_full() {
        report.write(&machine::description());
    }
}
