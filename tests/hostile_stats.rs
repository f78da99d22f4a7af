//! `git-clone-shim stats` on what another user has put into the directory of the logs.

use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};

use crate::support::arena::Arena;
use crate::support::arrangement;
use crate::support::call::{Call, Outcome};
use crate::support::executable;
use crate::support::gits::gits;

/// The attacker.
const OTHER_USER: u32 = 65534;

fn record(host: &str, filesystem: &str, message: &str) -> String {
    let record = json!({
        "schema": 1, "time": "2026-11-21T00:00:00Z", "host": host, "uid": 1, "pid": 1, "version": "0.2.0",
        "cause": message, "filesystem": filesystem, "attempt_ms": 1, "outcome": "cloned",
    });
    format!("{record}\n")
}

/// Runs `stats --json` on these files, with at most `kib` KiB of memory.
fn stats_in(kib: usize, arena: &Arena, files: &[&Path]) -> Outcome {
    let mut command = arena.command("bash");
    let limited = format!("ulimit -v {kib}; exec \"$0\" stats --json \"$@\"");
    command.args(["-c", &limited]).arg(executable::shim());
    command.args(files);
    Call::new(command).run()
}

fn report(outcome: &Outcome) -> Value {
    serde_json::from_slice(&outcome.stdout).unwrap()
}

/// A directory like /tmp, in which the other user makes things with a shell.
fn shared_directory(arena: &Arena, script: &str) -> Option<PathBuf> {
    if !arrangement::is_root() {
        return None;
    }
    let directory = arena.root().join("shared");
    fs::create_dir(&directory).unwrap();
    fs::set_permissions(&directory, fs::Permissions::from_mode(0o1777)).unwrap();
    let mut shell = Command::new("sh");
    shell.args(["-ec", script]).current_dir(&directory);
    assert!(
        shell
            .uid(OTHER_USER)
            .gid(OTHER_USER)
            .status()
            .unwrap()
            .success()
    );
    Some(directory)
}

#[test]
fn only_regular_files_are_read() {
    let arena = Arena::new(&gits()[0]);
    let secret = arena.root().join("secret");
    fs::write(&secret, record("secret", "xfs", "link refused")).unwrap();
    let script = format!(
        "mkfifo fifo; ln -s {} link; ln -s /dev/zero device",
        secret.display()
    );
    let Some(directory) = shared_directory(&arena, &script) else {
        return;
    };
    let good = arena.root().join("good");
    fs::write(&good, record("a", "xfs", "link refused")).unwrap();
    for name in ["fifo", "link", "device"] {
        let file = directory.join(name);
        let outcome = stats_in(1 << 20, &arena, &[&file, &good]);
        assert_eq!(outcome.status.code(), Some(1), "{outcome:?}");
        let line = format!(
            "git-clone-shim: cannot read {}: it is not a regular file; to read it nevertheless, use - and standard input\n",
            file.display()
        );
        assert_eq!(String::from_utf8(outcome.stderr.clone()).unwrap(), line);
        assert_eq!(report(&outcome)["all"]["fallbacks"], 1);
        assert_eq!(report(&outcome)["hosts"][0]["name"], "a");
    }
    let device = stats_in(1 << 20, &arena, &[Path::new("/dev/zero"), &good]);
    assert_eq!(device.status.code(), Some(1), "{device:?}");
}

#[test]
fn memory_does_not_grow_with_unique_names() {
    const RECORDS: usize = 60_000;
    let arena = Arena::new(&gits()[0]);
    let file = arena.root().join("log");
    let mut log = std::io::BufWriter::new(File::create(&file).unwrap());
    let name = |number: usize| format!("{number:0200}");
    for number in 0..RECORDS {
        let name = name(number);
        log.write_all(record(&name, &name, &name).as_bytes())
            .unwrap();
    }
    // Seen before: counted by itself.
    log.write_all(record(&name(0), "xfs", "link refused").as_bytes())
        .unwrap();
    // Longer than a name can be.
    log.write_all(record(&"x".repeat(256), "xfs", "link refused").as_bytes())
        .unwrap();
    log.into_inner().unwrap();
    let outcome = stats_in(100 << 10, &arena, &[&file]).succeeded();
    let report = report(&outcome);
    assert_eq!(report["all"]["fallbacks"], RECORDS + 1);
    assert_eq!(report["damaged"]["lines"], 1);
    for kind in ["hosts", "filesystems", "causes"] {
        let rows = report[kind].as_array().unwrap();
        assert_eq!(rows.len(), 10_001, "{kind}");
        let sum: u64 = rows
            .iter()
            .map(|row| row["fallbacks"].as_u64().unwrap())
            .sum();
        assert_eq!(sum, RECORDS as u64 + 1, "{kind}");
        let more = rows.iter().find(|row| row["name"] == "(more names)");
        assert!(
            more.unwrap()["fallbacks"].as_u64().unwrap() >= RECORDS as u64 - 10_000,
            "{kind}"
        );
    }
    let first = report["hosts"].as_array().unwrap();
    assert!(
        first
            .iter()
            .any(|row| row["name"] == *name(0) && row["fallbacks"] == 2)
    );
}

#[test]
fn hostile_lines_are_damaged_lines() {
    let arena = Arena::new(&gits()[0]);
    let file = arena.root().join("log");
    let good = record("a", "xfs", "link refused");
    let good = good.trim_end();
    let with = |field: &str| good.replacen('{', &format!("{{\"x\":{field},"), 1);
    let deep = "[".repeat(30_000) + &"]".repeat(30_000);
    let lines = [
        deep.clone(),
        "{\"a\":".repeat(10_000),
        good.replace("\"attempt_ms\":1", "\"attempt_ms\":18446744073709551616"),
        good.replace("\"attempt_ms\":1", "\"attempt_ms\":1e999"),
        good.replace("\"attempt_ms\":1", "\"attempt_ms\":-1"),
        good.replace("\"uid\":1", "\"uid\":4294967296"),
        good.replace("2026-11-21", "99999-11-21"),
        good.replace("\"schema\":1", "\"schema\":99999999999"),
        good.replace('{', "{\"schema\":1,"),
    ];
    let mut log = File::create(&file).unwrap();
    // A member that this version does not know can be anything.
    writeln!(log, "{}", with(&deep)).unwrap();
    for line in &lines {
        writeln!(log, "{line}\n{good}").unwrap();
    }
    // A line of 1 GB, of which the filesystem stores nothing.
    let length = log.metadata().unwrap().len();
    log.set_len(length + (1 << 30)).unwrap();
    let outcome = stats_in(40 << 10, &arena, &[&file]).succeeded();
    assert_eq!(report(&outcome)["all"]["fallbacks"], lines.len() + 1);
    assert_eq!(report(&outcome)["damaged"]["lines"], lines.len() + 1);
}

#[test]
fn sums_do_not_overflow() {
    let arena = Arena::new(&gits()[0]);
    let file = arena.root().join("log");
    let huge = record("a", "xfs", "link refused")
        .replace("\"attempt_ms\":1", &format!("\"attempt_ms\":{}", u64::MAX));
    fs::write(&file, huge.repeat(3)).unwrap();
    let outcome = stats_in(1 << 20, &arena, &[&file]).succeeded();
    assert_eq!(report(&outcome)["all"]["attempt_ms"], u64::MAX);
}

#[test]
fn names_that_hide_or_reorder_text() {
    let arena = Arena::new(&gits()[0]);
    let hidden = [
        "\u{202e}", "\u{2066}", "\u{200f}", "\u{61c}", "\u{200b}", "\u{2028}", "\u{9b}", "\u{7f}",
    ];
    let directory = arena.root().join("logs\u{202e}");
    fs::create_dir(&directory).unwrap();
    let file = directory.join("log");
    let name = format!("a{}b", hidden.concat());
    fs::write(&file, record(&name, &name, &name) + "damaged\n").unwrap();
    let link = directory.join("link");
    symlink(&file, &link).unwrap();
    for option in [&[][..], &["--json"], &["--rows=1"]] {
        let mut command = arena.command(executable::shim());
        command.arg("stats").args(option).args([&file, &link]);
        let outcome = Call::new(command).run();
        assert_eq!(outcome.status.code(), Some(1));
        for stream in [&outcome.stdout, &outcome.stderr] {
            let text = str::from_utf8(stream).unwrap();
            assert!(
                !hidden.iter().any(|character| text.contains(character)),
                "{text}"
            );
        }
        if option == ["--json"] {
            assert_eq!(report(&outcome)["hosts"][0]["name"], *name);
        }
    }
}
