//! The peak memory of the shim itself. Small programs take the place of git, which is larger by far.

use std::path::Path;

use crate::fixture::Fixture;
use crate::options::Options;
use crate::report::Report;
use crate::table::Table;

pub(super) fn run(fixture: &Fixture, options: &Options, report: &mut Report) {
    let Some(clone) = fixture.compiled("clone", "clone", Path::new("")) else {
        return;
    };
    let shim = fixture.shim();
    let (much, name_of_much): (u64, _) = match options.quick {
        true => (1 << 20, "1 MiB"),
        false => (1 << 30, "1 GiB"),
    };
    let peak = |first: &Path, args: &[&str], noise: u64, refused: bool| {
        let mut usage = fixture.usage(&[first, &clone], args)?;
        usage.command.env("NOISE", noise.to_string());
        if refused {
            usage.command.env("REFUSED", "1");
        }
        Some(format!("{} KiB", usage.run().peak_kib))
    };
    let local = ["clone", "--local", "a", "b"];
    let rows = [
        (
            "the program that takes the place of git".to_owned(),
            peak(&clone, &local, 0, false),
        ),
        (
            "a pass-through".to_owned(),
            peak(shim, &["--version"], 0, false),
        ),
        (
            "a supervised clone".to_owned(),
            peak(shim, &local, 0, false),
        ),
        (
            format!("… that writes {name_of_much}"),
            peak(shim, &local, much, false),
        ),
        ("a fallback".to_owned(), peak(shim, &local, 0, true)),
        (
            format!("… after git wrote {name_of_much}"),
            peak(shim, &local, much, true),
        ),
    ];
    report.table(Table {
        title: "Peak memory of the shim itself, from wait4(2), give or take 256 KiB:".to_owned(),
        columns: vec!["", "resident"],
        rows: rows
            .into_iter()
            .filter_map(|(name, resident)| Some(vec![name, resident?]))
            .collect(),
    });
}
