//! What the shim costs, side by side with what else could stand before git: `cargo bench --bench cost`.
//!
//! It measures the program that install.sh installs, and spawns whole processes in turn (see [`pairs`]). A full run renews
//! `benches/results` and the section of the README; one of named groups, or with `--quick`, is only printed.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a bench that cannot measure has to say so and stop"
)]
#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "it talks to people"
)]
#![allow(unreachable_pub, reason = "there is nobody outside")]

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

use fixture::Fixture;
use options::Options;
use report::Report;

/// The program's name, as in the tables.
const NAME: &str = "git-clone-shim";

fn main() {
    let options = match Options::read(std::env::args().skip(1)) {
        Ok(options) => options,
        Err(line) => {
            eprintln!("cost: {line}");
            std::process::exit(2);
        }
    };
    if let Some(shim) = &options.shim {
        measure(shim, &options);
        return;
    }
    let installed = installed::by_install_sh();
    match realtime::rerun(&installed.bin()) {
        Some(succeeded) => assert!(succeeded, "see above"),
        None => measure(&installed.bin(), &options),
    }
}

fn measure(shim: &Path, options: &Options) {
    affinity::pin_to_one_core();
    let fixture = Fixture::new(shim);
    let mut report = Report::default();
    for (name, group) in groups::ALL {
        if options.groups.is_empty() || options.groups.iter().any(|wanted| wanted == name) {
            println!("## {name}\n");
            group(&fixture, options, &mut report);
        }
    }
    if options.is_full() {
        report.write(&machine::description());
    }
}
