//! What a pass-through does, counted: the same on a busy machine, so that a regression can be seen there.

use std::fs;
use std::path::Path;

use crate::fixture::Fixture;
use crate::options::Options;
use crate::report::Report;
use crate::support::arrangement;
use crate::table::Table;

/// The counts of the last time that somebody looked.
const RECORD: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/results/counts.txt");

/// How many times what is recorded may be reached: compilers differ.
const GENEROUS: u64 = 2;

pub(super) fn run(fixture: &Fixture, options: &Options, report: &mut Report) {
    let Some(nothing) = fixture.compiled("nothing", "nothing", Path::new("")) else {
        return;
    };
    let Some(instructions) = instructions(fixture, &nothing) else {
        return;
    };
    let Some(calls) = system_calls(fixture, &nothing) else {
        return;
    };
    let counted = [
        ("instructions", instructions),
        ("system calls", calls.len() as u64),
    ];
    if options.renew {
        let lines = counted.map(|(name, count)| format!("{name}: {count}\n"));
        fs::write(RECORD, lines.concat()).unwrap();
    }
    let recorded = fs::read_to_string(RECORD).unwrap();
    for (name, count) in counted {
        let line = recorded
            .lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
        let before: u64 = line.unwrap().parse().unwrap();
        assert!(
            count <= GENEROUS * before,
            "{count} {name} where there were {before}: see what has come in, or renew the record with \
             `cargo bench --bench cost -- counts --renew`"
        );
    }
    report.further(Table {
        title: format!(
            "A pass-through up to the `execve` of git, counted by callgrind and strace ({}):",
            calls.join(", ")
        ),
        columns: vec!["", "count"],
        rows: counted
            .map(|(name, count)| vec![name.to_owned(), count.to_string()])
            .to_vec(),
    });
}

/// How many instructions the shim executes before it becomes git.
fn instructions(fixture: &Fixture, nothing: &Path) -> Option<u64> {
    let dump = fixture.directory("counts").join("callgrind");
    let to = format!("--callgrind-out-file={}", dump.display());
    let options = ["--tool=callgrind", "--dump-before=execve", &to];
    watch("valgrind", &options, fixture, nothing)?;
    // The first of the dumps; valgrind itself is gone with the exec.
    let text = fs::read_to_string(dump.with_extension("1")).unwrap();
    let total = text.lines().find_map(|line| line.strip_prefix("totals: "));
    Some(total.unwrap().parse().unwrap())
}

/// The names of the system calls that the shim makes before it becomes git.
fn system_calls(fixture: &Fixture, nothing: &Path) -> Option<Vec<String>> {
    let trace = fixture.directory("counts").join("strace");
    watch("strace", &["-o", trace.to_str().unwrap()], fixture, nothing)?;
    let text = fs::read_to_string(trace).unwrap();
    let calls = text
        .lines()
        .filter_map(|line| line.split_once('('))
        .map(|(name, _)| name.to_owned());
    // The first execve is strace's own.
    Some(calls.skip(1).take_while(|call| call != "execve").collect())
}

/// Runs a pass-through under a tool that watches it; `None`, and it is said, where this machine has not got the tool.
fn watch(tool: &str, options: &[&str], fixture: &Fixture, nothing: &Path) -> Option<()> {
    let mut command = fixture.program(&arrangement::program(tool)?, &[fixture.shim(), nothing]);
    command
        .args(options)
        .arg(fixture.shim().join("git"))
        .arg("--version");
    assert!(command.status().unwrap().success(), "{command:?}");
    Some(())
}
