//! The largest resident size of the shim itself. The gits are small programs of our own: a real one is larger by far.

use std::path::Path;
use std::process::{Command, Stdio};

use crate::fixture::Fixture;
use crate::options::Options;
use crate::report::Report;
use crate::table::Table;

pub(super) fn run(fixture: &Fixture, options: &Options, report: &mut Report) {
    let Some(peak) = fixture.compiled("peak", "peak", Path::new("")) else {
        return;
    };
    let Some(clone) = fixture.compiled("clone", "clone", Path::new("")) else {
        return;
    };
    let shim = fixture.shim();
    let (much, much_said): (u64, _) = match options.quick {
        true => (1 << 20, "1 MiB"),
        false => (1 << 30, "1 GiB"),
    };
    let call = |first: &Path, words: &[&str], noise: u64, refused: bool| {
        let mut command = fixture.program(&peak.join("git"), &[first, &clone]);
        command.arg(first.join("git")).arg("git").args(words);
        command
            .env("NOISE", noise.to_string())
            .stdout(Stdio::piped());
        if refused {
            command.env("REFUSED", "1");
        }
        resident(command)
    };
    let clones = ["clone", "--local", "a", "b"];
    let rows = [
        (
            "the program that stands for git".to_owned(),
            call(&clone, &clones, 0, false),
        ),
        (
            "a pass-through".to_owned(),
            call(shim, &["--version"], 0, false),
        ),
        (
            "a supervised clone".to_owned(),
            call(shim, &clones, 0, false),
        ),
        (
            format!("… that says {much_said}"),
            call(shim, &clones, much, false),
        ),
        ("a fallback".to_owned(), call(shim, &clones, 0, true)),
        (
            format!("… of a git that has said {much_said}"),
            call(shim, &clones, much, true),
        ),
    ];
    report.further(Table {
        title: "Peak memory of the shim itself, as wait4(2) tells it, give or take 256 KiB:"
            .to_owned(),
        columns: vec!["", "resident"],
        rows: rows
            .map(|(name, resident)| vec![name, format!("{resident} KiB")])
            .to_vec(),
    });
}

/// What `programs/peak.c` says of the call, in KiB.
fn resident(mut command: Command) -> u64 {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}: {output:?}");
    String::from_utf8(output.stdout)
        .unwrap()
        .trim()
        .parse()
        .unwrap()
}
