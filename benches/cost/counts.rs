//! Instructions, system calls, page faults and memory: they are the same on a busy machine, so CI can compare them.

use std::fs;
use std::path::Path;
use std::process::Stdio;

use crate::Options;
use crate::fixture::Fixture;
use crate::report::Report;
use crate::support::arrangement;

/// The counts of a pass-through when they were last recorded.
const RECORD: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/results/counts.txt");

/// By how many percent instructions and page faults may exceed those recorded: compilers and linkers differ. System calls do not.
const TOLERANCE: u64 = 50;

/// What a process does before it execs git or exits.
struct Counts {
    instructions: u64,
    system_calls: Vec<String>,
    /// Unknown if the process has children, since wait4(2) adds theirs.
    page_faults: Option<u64>,
}

impl Counts {
    fn row(&self, name: &str) -> Vec<String> {
        let faults = self.page_faults.map_or(String::new(), |count| count.to_string());
        let calls = self.system_calls.len().to_string();
        vec![name.into(), self.instructions.to_string(), calls, faults]
    }
}

/// Counts, and fails if a pass-through does more than recorded, or a supervised clone more in a large repository.
pub fn run(fixture: &Fixture, options: &Options, report: &mut Report) {
    if let Some(rows) = counts(fixture, options) {
        let title = "Until git is exec'd or the shim exits, counted by callgrind, strace and wait4(2)";
        report.table(title, &rows);
    }
    if let Some(rows) = memory(fixture, options) {
        let title = "Peak memory of the shim itself, from wait4(2), give or take 256 KiB";
        report.table(title, &rows);
    }
}

/// The rows of the table; `None`, with a message, if a tool is missing.
fn counts(fixture: &Fixture, options: &Options) -> Option<Vec<Vec<String>>> {
    let nothing = fixture.compiled("nothing", Path::new(""))?;
    let walk = fixture.compiled("walk", Path::new(""))?;
    let shim = fixture.shim();
    let before_exec = |first: &Path, args: &[&str]| before_exec(fixture, &[first, &nothing], args);
    let least = before_exec(&walk, &["--version"])?;
    let ours = before_exec(&shim, &["--version"])?;
    let calls = ours.system_calls.join(", ");
    println!("A pass-through makes these system calls: {calls}\n");
    compare_with_record(&ours, options.renew);

    let headings = ["", "instructions", "system calls", "page faults"];
    let mut rows = vec![headings.map(str::to_owned).to_vec()];
    rows.push(least.row("C, which searches PATH"));
    rows.push(ours.row("`--version`"));
    let place = fixture.directory("counts");
    let here = place.join("clone");
    let source = fixture.repository(&place, 10);
    let args = ["clone", text(&source), text(&here)];
    rows.push(before_exec(&shim, &args)?.row("`clone` in one mount"));
    if let Some(far) = fixture.far("clone") {
        let args = ["clone", "--local", text(&source), text(&far)];
        rows.push(before_exec(&shim, &args)?.row("`clone --local` across mounts"));
    }
    let mut limit = None;
    for objects in [1, 1_000, 20_000] {
        if options.quick && objects > 1_000 {
            break;
        }
        let source = fixture.repository(&place, objects);
        let counts = of_supervised_clone(fixture, &source, &here)?;
        let limit = *limit.get_or_insert(counts.instructions + counts.instructions * TOLERANCE / 100);
        assert!(
            counts.instructions <= limit,
            "the shim's work grows with the repository: {} instructions for {objects} objects, limit {limit}",
            counts.instructions
        );
        rows.push(counts.row(&format!("`clone --local` in one mount, objects: {objects}")));
    }
    Some(rows)
}

/// Fails if a pass-through does more than recorded; with `renew`, records what it does.
fn compare_with_record(counts: &Counts, renew: bool) {
    let counted = [
        ("instructions", counts.instructions, TOLERANCE),
        ("system calls", counts.system_calls.len() as u64, 0),
        ("page faults", counts.page_faults.unwrap(), TOLERANCE),
    ];
    if renew {
        let lines = counted.map(|(name, count, _)| format!("{name}: {count}\n"));
        fs::write(RECORD, lines.concat()).unwrap();
    }
    let record = fs::read_to_string(RECORD).unwrap();
    for (name, count, tolerance) in counted {
        let mut lines = record.lines().filter_map(|line| line.split_once(": "));
        let (_, before) = lines.find(|(recorded, _)| *recorded == name).unwrap();
        let before: u64 = before.parse().unwrap();
        assert!(
            count <= before + before * tolerance / 100,
            "{count} {name}, recorded are {before}: find out what was added, or renew the record with \
             `cargo bench --bench cost -- counts --renew`"
        );
    }
}

/// Counts what the first git of `path` does before it execs the second.
fn before_exec(fixture: &Fixture, path: &[&Path; 2], args: &[&str]) -> Option<Counts> {
    let instructions = callgrind(fixture, path, args, "1")?;
    let mut system_calls = strace(fixture, path, args)?;
    let exec = system_calls.iter().position(|call| call == "execve");
    system_calls.truncate(exec.unwrap());
    // The first run fills the page cache, and the kernel adds a fault now and then: take the fewest.
    let page_faults = |path: &[&Path]| {
        let runs = (0..5).map(|_| Some(usage(fixture, path, args, &[])?.1));
        runs.collect::<Option<Vec<u64>>>()?.into_iter().min()
    };
    Some(Counts { instructions, system_calls, page_faults: Some(page_faults(path)? - page_faults(&path[1..])?) })
}

/// Counts what the shim itself does in a clone that links, where git is its child.
fn of_supervised_clone(fixture: &Fixture, source: &Path, destination: &Path) -> Option<Counts> {
    let path = [fixture.shim(), fixture.real()];
    let path = [path[0].as_path(), &path[1]];
    let args = ["clone", "--local", "-n", text(source), text(destination)];
    let instructions = callgrind(fixture, &path, &args, "")?;
    fs::remove_dir_all(destination).unwrap();
    let system_calls = strace(fixture, &path, &args)?;
    fs::remove_dir_all(destination).unwrap();
    Some(Counts { instructions, system_calls, page_faults: None })
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
fn run_under(tool: &str, options: &[&str], fixture: &Fixture, path: &[&Path], args: &[&str]) -> Option<u32> {
    let mut command = fixture.program(&arrangement::program(tool)?, path);
    command.args(options).arg(path[0].join("git")).args(args);
    let mut child = command.spawn().unwrap();
    let process = child.id();
    assert!(child.wait().unwrap().success(), "{command:?}");
    Some(process)
}

/// Peak memory. A small program takes the place of git, which is larger by far.
fn memory(fixture: &Fixture, options: &Options) -> Option<Vec<Vec<String>>> {
    let clone = fixture.compiled("clone", Path::new(""))?;
    let shim = fixture.shim();
    let (much, name) = if options.quick { ("1048576", "1 MiB") } else { ("1073741824", "1 GiB") };
    let local = ["clone", "--local", "a", "b"];
    let mut rows = vec![vec![String::new(), "resident".to_owned()]];
    for (what, first, args, noise, refused) in [
        ("the program that takes the place of git", &clone, &local[..], "0", "0"),
        ("a pass-through", &shim, &["--version"], "0", "0"),
        ("a supervised clone", &shim, &local, "0", "0"),
        (&format!("… that writes {name}"), &shim, &local, much, "0"),
        ("a fallback", &shim, &local, "0", "1"),
        (&format!("… after git wrote {name}"), &shim, &local, much, "1"),
    ] {
        let variables = [("NOISE", noise), ("REFUSED", refused)];
        let (peak, _) = usage(fixture, &[first, &clone], args, &variables)?;
        rows.push(vec![what.to_owned(), format!("{peak} KiB")]);
    }
    Some(rows)
}

/// The peak resident size in KiB and the number of page faults of a call that must succeed, as `programs/usage.c` prints them;
/// `None`, with a message, if musl-gcc is missing.
fn usage(fixture: &Fixture, path: &[&Path], args: &[&str], variables: &[(&str, &str)]) -> Option<(u64, u64)> {
    let usage = fixture.compiled("usage", Path::new(""))?;
    let mut command = fixture.program(&usage.join("git"), path);
    command.arg(path[0].join("git")).arg("git").args(args);
    let output = command.envs(variables.iter().copied()).stdout(Stdio::piped()).output().unwrap();
    assert!(output.status.success(), "{command:?}: {output:?}");
    let text = String::from_utf8(output.stdout).unwrap();
    let (peak, faults) = text.trim().split_once(' ').unwrap();
    Some((peak.parse().unwrap(), faults.parse().unwrap()))
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}
