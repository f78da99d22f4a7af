//! Instructions, system calls and page faults: they are the same on a busy machine, so CI can compare them.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use crate::fixture::Fixture;
use crate::options::Options;
use crate::report::Report;
use crate::repository;
use crate::support::arrangement;
use crate::table::Table;

/// The counts of a pass-through when they were last recorded.
const RECORD: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/results/counts.txt");

/// A count may be this many times the recorded one, since compilers differ.
const TOLERANCE: u64 = 2;

/// What a process does before it execs git or exits.
struct Counts {
    instructions: u64,
    system_calls: Vec<String>,
    /// Unknown if the process has children, since wait4(2) adds theirs.
    page_faults: Option<u64>,
}

impl Counts {
    fn row(&self, name: impl Into<String>) -> Vec<String> {
        let faults = self
            .page_faults
            .map_or(String::new(), |count| count.to_string());
        let calls = self.system_calls.len().to_string();
        vec![name.into(), self.instructions.to_string(), calls, faults]
    }
}

pub(super) fn run(fixture: &Fixture, options: &Options, report: &mut Report) {
    let Some(rows) = rows(fixture, options) else {
        return;
    };
    report.table(Table {
        title: "Until git is exec'd or the shim exits, counted by callgrind, strace and wait4(2):"
            .to_owned(),
        columns: vec!["", "instructions", "system calls", "page faults"],
        rows,
    });
}

/// The rows of the table; `None`, with a message, if a tool is missing.
fn rows(fixture: &Fixture, options: &Options) -> Option<Vec<Vec<String>>> {
    let nothing = fixture.compiled("nothing", "nothing", Path::new(""))?;
    let walk = fixture.compiled("walk", "walk", Path::new(""))?;
    let version = ["--version"];
    let least = before_exec(fixture, &[&walk, &nothing], &nothing, &version)?;
    let ours = before_exec(fixture, &[fixture.shim(), &nothing], &nothing, &version)?;
    println!(
        "A pass-through makes these system calls: {}\n",
        ours.system_calls.join(", ")
    );
    compare_with_record(&ours, options.renew);

    let mut rows = vec![least.row("C, which searches PATH"), ours.row("`--version`")];
    let place = fixture.directory("counts");
    let source = repository::of_loose_objects(fixture, &place, 10);
    let path = [fixture.shim(), &nothing];
    let here = place.join("clone");
    let args = ["clone", text(&source), text(&here)];
    rows.push(before_exec(fixture, &path, &nothing, &args)?.row("`clone` in one mount"));
    if let Some(far) = fixture.far("clone") {
        let args = ["clone", "--local", text(&source), text(&far)];
        let counts = before_exec(fixture, &path, &nothing, &args)?;
        rows.push(counts.row("`clone --local` across mounts"));
    }
    let sizes: &[usize] = match options.quick {
        true => &[1, 1_000],
        false => &[1, 1_000, 20_000],
    };
    let mut smallest = None;
    for &objects in sizes {
        let source = repository::of_loose_objects(fixture, &place, objects);
        let counts = of_supervised_clone(fixture, &source, &here)?;
        let instructions = counts.instructions;
        let limit = TOLERANCE * *smallest.get_or_insert(instructions);
        assert!(
            instructions <= limit,
            "the shim's work grows with the repository: {instructions} instructions for {objects} objects, limit {limit}"
        );
        let plural = if objects == 1 { "" } else { "s" };
        rows.push(counts.row(format!(
            "`clone --local` in one mount, {objects} object{plural}"
        )));
    }
    Some(rows)
}

/// Fails if a pass-through does more than recorded; with `renew`, records what it does.
fn compare_with_record(counts: &Counts, renew: bool) {
    let counted = [
        ("instructions", counts.instructions),
        ("system calls", counts.system_calls.len() as u64),
        ("page faults", counts.page_faults.unwrap()),
    ];
    if renew {
        let lines = counted.map(|(name, count)| format!("{name}: {count}\n"));
        fs::write(RECORD, lines.concat()).unwrap();
    }
    let text = fs::read_to_string(RECORD).unwrap();
    let recorded: BTreeMap<&str, &str> = text
        .lines()
        .filter_map(|line| line.split_once(": "))
        .collect();
    for (name, count) in counted {
        let before: u64 = recorded[name].parse().unwrap();
        assert!(
            count <= TOLERANCE * before,
            "{count} {name}, recorded are {before}: find out what was added, or renew the record with \
             `cargo bench --bench cost -- counts --renew`"
        );
    }
}

/// Counts what the first git of `path` does before it execs the one in `nothing`.
fn before_exec(fixture: &Fixture, path: &[&Path], nothing: &Path, args: &[&str]) -> Option<Counts> {
    let instructions = callgrind(fixture, path, args, "1")?;
    let mut system_calls = strace(fixture, path, args)?;
    let exec = system_calls.iter().position(|call| call == "execve");
    system_calls.truncate(exec.unwrap());
    // The first run fills the page cache, and the kernel adds a fault now and then: take the fewest.
    let page_faults = |path: &[&Path]| {
        let runs = (0..5).map(|_| Some(fixture.usage(path, args)?.run().page_faults));
        runs.collect::<Option<Vec<u64>>>()?.into_iter().min()
    };
    Some(Counts {
        instructions,
        system_calls,
        page_faults: Some(page_faults(path)? - page_faults(&[nothing])?),
    })
}

/// Counts what the shim itself does in a clone that links, where git is its child.
fn of_supervised_clone(fixture: &Fixture, source: &Path, destination: &Path) -> Option<Counts> {
    let real = fixture.real();
    let path = [fixture.shim(), &real];
    let args = ["clone", "--local", "-n", text(source), text(destination)];
    let instructions = callgrind(fixture, &path, &args, "")?;
    fs::remove_dir_all(destination).unwrap();
    let system_calls = strace(fixture, &path, &args)?;
    fs::remove_dir_all(destination).unwrap();
    Some(Counts {
        instructions,
        system_calls,
        page_faults: None,
    })
}

/// The instructions that the first git of `path` executes. `part` is `1` for those before its first exec, and empty for those
/// of a process that never execs.
fn callgrind(fixture: &Fixture, path: &[&Path], args: &[&str], part: &str) -> Option<u64> {
    let directory = fixture.directory("callgrind");
    let output = format!("--callgrind-out-file={}/%p", directory.display());
    let options = ["--tool=callgrind", "--dump-before=execve", &output];
    let process = run_under("valgrind", &options, fixture, path, args)?;
    let dump = directory.join(process.to_string()).with_extension(part);
    let text = fs::read_to_string(dump).unwrap();
    let total = text.lines().find_map(|line| line.strip_prefix("totals: "));
    Some(total.unwrap().parse().unwrap())
}

/// The names of the system calls of the first git of `path`, from its start to its end.
fn strace(fixture: &Fixture, path: &[&Path], args: &[&str]) -> Option<Vec<String>> {
    let trace = fixture.directory("strace").join("trace");
    run_under("strace", &["-o", text(&trace)], fixture, path, args)?;
    let text = fs::read_to_string(trace).unwrap();
    let calls = text.lines().filter_map(|line| line.split_once('('));
    // The first one is strace's own execve.
    Some(calls.skip(1).map(|(name, _)| name.to_owned()).collect())
}

/// Runs the first git of `path` under `tool` and returns its process ID; `None`, with a message, if the tool is missing.
fn run_under(
    tool: &str,
    options: &[&str],
    fixture: &Fixture,
    path: &[&Path],
    args: &[&str],
) -> Option<u32> {
    let mut command = fixture.program(&arrangement::program(tool)?, path);
    command.args(options).arg(path[0].join("git")).args(args);
    let mut child = command.spawn().unwrap();
    let process = child.id();
    assert!(child.wait().unwrap().success(), "{command:?}");
    Some(process)
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}
