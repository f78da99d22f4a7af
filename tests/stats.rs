//! `git-clone-shim stats` counts what the shim has recorded, and gets over all that it has not.

use std::ffi::OsStr;
use std::fs;
use std::io::{Seek, Write};
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use nix::libc;

use crate::support::arena::Arena;
use crate::support::args::{args, with_source};
use crate::support::call::Call;
use crate::support::executable;
use crate::support::gits::gits;
use crate::support::python;
use crate::support::records;
use crate::support::source;
use crate::support::terminal;

/// The tool, called for `stats` with these args.
fn stats(arena: &Arena, args: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Call {
    let mut command = arena.command(executable::shim());
    command.arg("stats").args(args);
    Call::new(command)
}

/// What `--json` prints of these files.
#[track_caller]
fn json_of(arena: &Arena, files: &[&Path]) -> Value {
    let args = [OsStr::new("--json")].into_iter();
    let args = args.chain(files.iter().map(|file| file.as_os_str()));
    let done = stats(arena, args).run().succeeded();
    assert!(done.stderr.is_empty(), "{done:?}");
    serde_json::from_slice(&done.stdout).unwrap()
}

fn record(time: &str, host: &str, filesystem: &str, first: u64, outcome: &str) -> String {
    let record = json!({
        "schema": 1, "time": time, "host": host, "uid": 1000, "pid": 4711, "version": "0.1.0",
        "cause": "link refused", "error": "Operation not permitted", "filesystem": filesystem,
        "attempt_ms": first, "fallback_ms": 100, "outcome": outcome, "added_later": [1],
    });
    format!("{record}\n")
}

/// A log of four fallbacks on two days, two hosts and two filesystems.
fn log_of_four(arena: &Arena) -> PathBuf {
    let file = arena.root().join("four");
    let records = [
        record("2026-11-21T00:00:00Z", "b", "lustre", 100, "cloned"),
        record("2026-11-20T23:59:59Z", "a", "beegfs", 2000, "cloned"),
        record("2026-11-20T00:00:00Z", "a", "beegfs", 30000, "failed"),
        record("2026-11-21T00:00:00Z", "a", "", 1, "started"),
    ];
    fs::write(&file, records.concat()).unwrap();
    file
}

fn arena() -> Arena {
    Arena::new(&gits()[0])
}

#[test]
fn stats_reads_what_the_shim_wrote() {
    let arena = Arena::new(&gits()[0]).with_links_failing(libc::EXDEV);
    let source = source::small(&arena, "src");
    let file = arena.root().join("log");
    for runs in 1..=2 {
        let line = with_source(&source, args("clone -l SRC dst"));
        let call = arena.shim(line).env("GIT_CLONE_SHIM_LOG_FILE", &file);
        arena.run(call).outcome.succeeded();
        records::wait_for(&file, runs);
    }
    let records = records::wait_for(&file, 2);
    let sum = |field: &str| -> u64 {
        records
            .iter()
            .map(|record| record[field].as_u64().unwrap())
            .sum()
    };
    let counts = json!({
        "fallbacks": 2, "cloned": 2, "failed": 0, "started": 0,
        "attempt_ms": sum("attempt_ms"), "fallback_ms": sum("fallback_ms"),
    });
    let report = json_of(&arena, &[&file]);
    assert_eq!(report["all"], counts);
    for (rows, name) in [
        ("hosts", records[0]["host"].clone()),
        ("filesystems", records[0]["filesystem"].clone()),
        ("causes", "link refused".into()),
    ] {
        let mut row = counts.clone();
        row["name"] = name;
        assert_eq!(report[rows], json!([row]), "{rows}");
    }
    assert_eq!(report["damaged"]["lines"], 0);
}

#[test]
fn stats_counts_by_day_host_filesystem_and_cause() {
    let arena = arena();
    let file = log_of_four(&arena);
    let row = |name: &str, counts: [u64; 6]| {
        let [runs, cloned, failed, started, attempt_ms, fallback_ms] = counts;
        json!({
            "name": name, "fallbacks": runs, "cloned": cloned, "failed": failed, "started": started,
            "attempt_ms": attempt_ms, "fallback_ms": fallback_ms,
        })
    };
    let mut all = row("", [4, 2, 1, 1, 32101, 400]);
    all.as_object_mut().unwrap().remove("name");
    let advice = |filesystem, saves_ms| json!({"filesystem": filesystem, "setting": "GIT_CLONE_SHIM=always", "saves_ms": saves_ms});
    let expected = json!({
        "schema": 1,
        "all": all,
        "days": [
            row("2026-11-20", [2, 1, 1, 0, 32000, 200]),
            row("2026-11-21", [2, 1, 0, 1, 101, 200]),
        ],
        "hosts": [row("a", [3, 1, 1, 1, 32001, 300]), row("b", [1, 1, 0, 0, 100, 100])],
        "filesystems": [
            row("beegfs", [2, 1, 1, 0, 32000, 200]),
            row("", [1, 0, 0, 1, 1, 100]),
            row("lustre", [1, 1, 0, 0, 100, 100]),
        ],
        "causes": [row("link refused", [4, 2, 1, 1, 32101, 400])],
        "advice": [advice("beegfs", 32000), advice("lustre", 100)],
        "damaged": {"lines": 0, "first": []},
        "later": 0,
    });
    assert_eq!(json_of(&arena, &[&file]), expected);
}

#[test]
fn nothing_is_advised_where_no_attempt_was_made() {
    let arena = arena();
    let file = arena.root().join("across-mounts");
    fs::write(
        &file,
        record("2026-11-21T00:00:00Z", "a", "lustre", 0, "cloned"),
    )
    .unwrap();
    let report = json_of(&arena, &[&file]);
    assert_eq!(report["all"]["fallbacks"], 1);
    assert_eq!(report["advice"], json!([]));
}

#[test]
fn table_shows_the_counts() {
    let arena = arena();
    let file = log_of_four(&arena);
    let outcome = stats(&arena, [&file]).run().succeeded();
    let expected = "\
fallbacks       4: 2 cloned, 1 failed, 1 not seen to their end
time            32.1 s lost to attempts, 0.4 s taken by fallbacks

day         fallbacks     failed    lost (s)
2026-11-20          2          1        32.0
2026-11-21          2          0         0.1

host  fallbacks     failed    lost (s)
a             3          1        32.0
b             1          0         0.1

filesystem  fallbacks     failed    lost (s)
beegfs              2          1        32.0
(unknown)           1          0         0.0
lustre              1          0         0.1

cause         fallbacks     failed    lost (s)
link refused          4          1        32.1

GIT_CLONE_SHIM=always where clones go to beegfs would have saved 32.0 s.
GIT_CLONE_SHIM=always where clones go to lustre would have saved 0.1 s.
It copies what could have been hard-linked there, too.
";
    assert_eq!(String::from_utf8(outcome.stdout).unwrap(), expected);
    let few = stats(&arena, ["--rows=1".as_ref(), file.as_os_str()])
        .run()
        .succeeded();
    let few = String::from_utf8(few.stdout).unwrap();
    for lines in [
        "2026-11-21          2          0         0.1\n1 more              2          1        32.0\n\n",
        "a               3          1        32.0\n1 more          1          0         0.1\n\n",
        "beegfs              2          1        32.0\n2 more              2          0         0.1\n\n",
        "cause         fallbacks     failed    lost (s)\nlink refused          4          1        32.1\n\n",
    ] {
        assert!(few.contains(lines), "{lines}in {few}");
    }
}

#[test]
fn terminal_gets_bars() {
    let arena = arena();
    let file = log_of_four(&arena);
    let screen = |no_color: &str| {
        let call = stats(&arena, [&file]).env("NO_COLOR", no_color);
        let call = call.env("TERM", "xterm");
        let seen = terminal::run(call.command, 80, &[]);
        assert!(seen.status.success(), "{seen:?}");
        String::from_utf8(seen.bytes).unwrap()
    };
    let [full, third] = [30, 10].map(|columns| "█".repeat(columns));
    let plain = screen("1");
    assert!(plain.contains(&format!("32.0  {full}\r\n")), "{plain}");
    assert!(
        plain.contains(&format!(
            "b             1          0         0.1  {third}\r\n"
        )),
        "{plain}"
    );
    assert!(!plain.contains('\x1b'), "{plain}");
    let green = screen("");
    assert!(
        green.contains(&format!("32.0  \x1b[32m{full}\x1b[0m\r\n")),
        "{green}"
    );
}

#[test]
fn damaged_lines_are_counted_and_named() {
    let arena = arena();
    let file = arena.root().join("damaged");
    let good = record("2026-11-21T00:00:00Z", "a", "beegfs", 1, "cloned");
    let good = good.trim_end();
    let no_text = good.replace("beegfs", "\0").into_bytes();
    let damaged = [
        good.as_bytes()[..100].to_vec(),
        b"caf\xe9".to_vec(),
        no_text
            .iter()
            .map(|&byte| if byte == 0 { 0xe9 } else { byte })
            .collect(),
        no_text,
        vec![0; 300],
        vec![b'x'; 3 << 20],
        good.replace("beegfs", &"x".repeat(1 << 20)).into(),
        [good, good].concat().into(),
        b"".to_vec(),
        b"[]".to_vec(),
        b"{\"schema\":1}".to_vec(),
        good.replace("\"schema\":1", "\"schema\":0").into(),
        good.replace("2026-11-21", "2026-13-21").into(),
        good.replace("cloned", "vanished").into(),
        good.replace("\"attempt_ms\":1", "\"attempt_ms\":-1").into(),
    ];
    let later = good.replace("\"schema\":1", "\"schema\":2");
    let much_later = br#"{"schema":3,"time":1795219200,"outcome":"vanished"}"#;
    let lines = damaged
        .iter()
        .flat_map(|line| [good.as_bytes(), later.as_bytes(), much_later, line]);
    // The last line is whole, and without a line break.
    let log = lines
        .chain([good.as_bytes()])
        .collect::<Vec<_>>()
        .join(&b'\n');
    fs::write(&file, log).unwrap();

    let report = json_of(&arena, &[&file]);
    assert_eq!(report["all"]["fallbacks"], damaged.len() + 1);
    assert_eq!(report["later"], 2 * damaged.len());
    assert_eq!(report["damaged"]["lines"], damaged.len());
    let place = |number: usize| json!({"file": file.to_str().unwrap(), "line": 4 * number});
    let first: Vec<_> = (1..=5).map(place).collect();
    assert_eq!(report["damaged"]["first"], json!(first));

    let outcome = stats(&arena, [&file]).run().succeeded();
    let printed = String::from_utf8(outcome.stdout).unwrap();
    let file = file.display();
    let lines = format!(
        "damaged lines   15: {file}:4, {file}:8, {file}:12, {file}:16, {file}:20, …\n\
         unknown lines   30: by a later version than {}\n",
        env!("CARGO_PKG_VERSION"),
    );
    assert!(printed.contains(&lines), "{lines}in {printed}");
}

#[test]
fn unreadable_file_is_reported_and_the_others_counted() {
    let arena = arena();
    let file = log_of_four(&arena);
    let nowhere = arena.root().join("no\nwhere");
    let files = [nowhere.as_path(), arena.root(), &file];
    let outcome = stats(&arena, files).run();
    assert_eq!(outcome.status.code(), Some(1), "{outcome:?}");
    let root = arena.root().display();
    for line in [
        format!("git-clone-shim: cannot read {root}/no\\nwhere: No such file or directory"),
        format!("git-clone-shim: cannot read {root}: it is not a regular file; to read it"),
    ] {
        assert!(outcome.stderr_contains(&line), "{outcome:?}");
    }
    assert!(
        outcome.stdout.starts_with(b"fallbacks       4: "),
        "{outcome:?}"
    );

    for args in [&[][..], &["--rows=many", "x"], &["--nonsense", "x"]] {
        let outcome = stats(&arena, args).run();
        assert!(outcome.is_our_failure(2), "{outcome:?}");
    }
}

#[test]
fn stdin_and_empty_files_are_read() {
    let arena = arena();
    let file = log_of_four(&arena);
    let expected = stats(&arena, [&file]).run().succeeded();
    let log = fs::read(&file).unwrap();
    let empty = arena.root().join("empty");
    fs::write(&empty, "").unwrap();
    assert_eq!(stats(&arena, ["-"]).stdin(log).run(), expected);
    assert_eq!(stats(&arena, [&empty, &file]).run(), expected);
    let outcome = stats(&arena, ["-"]).run().succeeded();
    let nothing = "fallbacks       0: 0 cloned, 0 failed, 0 not seen to their end\n\
                   time            0.0 s lost to attempts, 0.0 s taken by fallbacks\n";
    assert_eq!(String::from_utf8(outcome.stdout).unwrap(), nothing);
}

#[test]
fn control_characters_in_names_are_escaped() {
    let arena = arena();
    let file = arena.root().join("log\x1b[2J");
    let log = record(
        "2026-11-21T00:00:00Z",
        "a\x1b[2J\nb",
        "\r",
        u64::MAX,
        "cloned",
    );
    fs::write(&file, log.clone() + &log + "damaged").unwrap();
    let outcome = stats(&arena, [&file]).run().succeeded();
    let printed = String::from_utf8(outcome.stdout).unwrap();
    assert!(!printed.contains(['\x1b', '\r']), "{printed}");
    assert!(printed.contains("\na\\u{1b}[2J\\nb  "), "{printed}");
}

#[test]
fn memory_does_not_grow_with_the_log() {
    let arena = arena();
    let file = arena.root().join("log");
    let hosts = (0..500).map(|number| format!("node{number}"));
    let records: Vec<u8> = hosts
        .flat_map(|host| record("2026-11-21T00:00:00Z", &host, "beegfs", 1, "cloned").into_bytes())
        .collect();
    let mut log = fs::File::create(&file).unwrap();
    for _ in 0..200 {
        log.write_all(&records).unwrap();
    }
    // And one line that is as long as all others.
    let length = log.stream_position().unwrap();
    log.set_len(2 * length).unwrap();
    let mut command = arena.command("bash");
    let limited = format!(
        "ulimit -v {}; exec \"$0\" stats --json \"$1\"",
        length / 1024
    );
    command
        .args(["-c", &limited])
        .arg(executable::shim())
        .arg(&file);
    let outcome = Call::new(command).run().succeeded();
    let report: Value = serde_json::from_slice(&outcome.stdout).unwrap();
    assert_eq!(report["all"]["fallbacks"], 200 * 500);
    assert_eq!(report["hosts"].as_array().unwrap().len(), 500);
    assert_eq!(report["damaged"]["lines"], 1);
}

/// Prometheus's own parser.
static PARSER: python::Environment =
    python::Environment::new("prometheus-client", &["prometheus-client"]);

#[test]
fn metrics_are_what_prometheus_reads() {
    let arena = arena();
    let file = log_of_four(&arena);
    let more = arena.root().join("more");
    let odd = record(
        "2026-11-22T00:00:00Z",
        "a",
        "a\"b\\\u{1b}[31m\n",
        1,
        "cloned",
    );
    fs::write(&more, odd).unwrap();
    let printed = stats(
        &arena,
        ["--prometheus".as_ref(), file.as_os_str(), more.as_os_str()],
    )
    .run()
    .succeeded();
    let printed = String::from_utf8(printed.stdout).unwrap();
    for line in [
        "# TYPE git_clone_shim_fallbacks_total counter\n",
        "git_clone_shim_fallbacks_total{filesystem=\"lustre\",outcome=\"cloned\"} ",
        "git_clone_shim_attempt_seconds_total{filesystem=\"beegfs\"} 32.000",
        "git_clone_shim_damaged_lines_total 0\n",
    ] {
        assert!(printed.contains(line), "{line} in {printed}");
    }
    let Some(python) = PARSER.program("python") else {
        return;
    };
    let script = "import sys\nfrom prometheus_client.parser import text_string_to_metric_families as parse\n\
        for family in parse(sys.stdin.read()):\n  for sample in family.samples: print(sample.labels.get('filesystem'), sample.value)";
    let mut command = arena.command(python);
    command.args(["-c", script]);
    let read = Call::new(command).stdin(printed).run().succeeded();
    let read = String::from_utf8(read.stdout).unwrap();
    assert!(
        read.contains("beegfs 32.0") && read.contains("a\"b\\"),
        "{read}"
    );
}
