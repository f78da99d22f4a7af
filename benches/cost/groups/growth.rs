//! What makes the shim slower, before a git that takes no time itself.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::affinity;
use crate::fixture::Fixture;
use crate::options::Options;
use crate::pairs::{Contender, Difference, compare};
use crate::report::Report;
use crate::table::Table;

pub(super) fn run(fixture: &Fixture, options: &Options, report: &mut Report) {
    let Some(nothing) = fixture.compiled("nothing", "nothing", Path::new("")) else {
        return;
    };
    let Some(clone) = fixture.compiled("clone", "clone", Path::new("")) else {
        return;
    };
    report.table(Table::of_differences(
        "Added by the entries of PATH before the real git:",
        &path_entries(fixture, options, &nothing),
    ));
    report.table(Table::of_differences(
        "Added by the length of the command line:",
        &command_lines(fixture, options, &nothing),
    ));
    report.table(Table::of_differences(
        "Added by the output of a supervised git, to /dev/null. Without the shim there is no pipe:",
        &output(fixture, options, &clone),
    ));
    report.table(Table::of_differences(
        "Added to calls at the same time, on all cores, for all of them together:",
        &concurrent(fixture, options, &nothing),
    ));
}

/// Compares the same call without and with the shim.
fn against(name: String, pairs: usize, direct: Command, shim: Command) -> Difference {
    let mut contenders = [Contender::new(name, shim)];
    compare(
        &mut Contender::new("git", direct),
        &mut contenders,
        pairs,
        || (),
    )
    .remove(0)
}

fn path_entries(fixture: &Fixture, options: &Options, nothing: &Path) -> Vec<Difference> {
    let row = |count: usize| {
        let before: Vec<PathBuf> = (0..count)
            .map(|number| fixture.directory(&format!("entries/{number}")))
            .collect();
        let call = |first: &Path| {
            let path: Vec<&Path> = [first]
                .into_iter()
                .chain(before.iter().map(PathBuf::as_path))
                .chain([nothing])
                .collect();
            fixture.git(&path, &["--version".as_ref()])
        };
        against(
            format!("{count}"),
            options.pairs(500),
            call(nothing),
            call(fixture.shim()),
        )
    };
    [1, 30, 200].map(row).into()
}

fn command_lines(fixture: &Fixture, options: &Options, nothing: &Path) -> Vec<Difference> {
    let row = |(args, length): (usize, usize)| {
        let arg = "x".repeat(length);
        let line = vec![OsStr::new(&arg); args];
        let call = |first: &Path| fixture.git(&[first, nothing], &line);
        let name = format!("{args} × {length} bytes");
        against(
            name,
            options.pairs(200),
            call(nothing),
            call(fixture.shim()),
        )
    };
    [
        (1, 10),
        (100, 10),
        (1_000, 100),
        (10_000, 100),
        (10, 100_000),
    ]
    .map(row)
    .into()
}

fn output(fixture: &Fixture, options: &Options, clone: &Path) -> Vec<Difference> {
    let sizes: &[(u64, &str, usize)] = match options.quick {
        true => &[(1 << 10, "1 KiB", 3)],
        false => &[
            (1 << 10, "1 KiB", 300),
            (1 << 20, "1 MiB", 50),
            (1 << 26, "64 MiB", 5),
            (1 << 30, "1 GiB", 3),
        ],
    };
    let row = |&(bytes, name, pairs): &(u64, &str, usize)| {
        let call = |first: &Path| {
            let args = ["clone", "--local", "a", "b"].map(OsStr::new);
            let mut command = fixture.git(&[first, clone], &args);
            command.env("NOISE", bytes.to_string());
            command
        };
        against(name.to_owned(), pairs, call(clone), call(fixture.shim()))
    };
    sizes.iter().map(row).collect()
}

fn concurrent(fixture: &Fixture, options: &Options, nothing: &Path) -> Vec<Difference> {
    affinity::allow_all_cores();
    let row = |count: usize| {
        let calls = |first: &Path| {
            let commands =
                (0..count).map(|_| fixture.git(&[first, nothing], &["--version".as_ref()]));
            Contender::concurrent(count.to_string(), commands.collect())
        };
        let mut contenders = [calls(fixture.shim())];
        compare(
            &mut calls(nothing),
            &mut contenders,
            options.pairs(100),
            || (),
        )
        .remove(0)
    };
    let rows = [1, 4, 16, 64].map(row).into();
    affinity::pin_to_one_core();
    rows
}
