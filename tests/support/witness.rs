//! A witness: a program that reports what it inherited from the program that started it.
//!
//! It is cp(1), which copies its own files in /proc (proc(5)). A script would not do: sh, perl and python change signals and
//! descriptors before the script's first line.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use super::args::Args;

/// The files that it copies of a process.
const FILES: [&str; 8] = [
    "cmdline", "environ", "cwd", "fd", "fdinfo", "limits", "stat", "status",
];

/// The lines of /proc/PID/status that are compared, by the beginning of their names.
const STATUS: [&str; 11] = [
    "Uid:",
    "Gid:",
    "Groups:",
    "Umask:",
    "SigPnd:",
    "ShdPnd:",
    "SigBlk:",
    "SigIgn:",
    "SigCgt:",
    "Cap",
    "NoNewPrivs:",
];

/// What a process has inherited: facts by name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProcessSnapshot(BTreeMap<String, String>);

/// Makes a directory with witnesses below `root`: one called git, and one that git finds as its external command `witness`.
pub fn directory(root: &Path) -> PathBuf {
    let directory = root.join("witness");
    fs::create_dir(&directory).unwrap();
    for name in ["git", "git-witness"] {
        std::os::unix::fs::symlink("/bin/cp", directory.join(name)).unwrap();
    }
    directory
}

/// The args with which a witness reports on `process`, a pid or `self`, to the directory `report`.
pub fn args(process: &str, report: &Path) -> Args {
    let files = FILES.map(|file| format!("/proc/{process}/{file}").into());
    // The directories of /proc are not writable; copies of them could not be removed without root.
    let options = ["-r", "-P", "--no-preserve=mode"].map(Into::into);
    let copy = options.into_iter().chain(files);
    copy.chain([report.into()]).collect()
}

impl ProcessSnapshot {
    /// Reads a report. Pids are replaced by "the test" (this process), "the program" (`program`, which it started) or
    /// "another".
    pub fn read(report: &Path, program: u32) -> Self {
        let read = |file: &str| fs::read(report.join(file)).unwrap();
        let text = |file: &str| String::from_utf8(read(file)).unwrap();
        let mut facts = BTreeMap::new();
        let mut note =
            |name: &str, fact: &str| drop(facts.insert(name.to_owned(), fact.to_owned()));

        note("args", &lines(&read("cmdline")));
        note("environment", &lines(&read("environ")));
        note("directory", &target(&report.join("cwd")));
        for entry in fs::read_dir(report.join("fd")).unwrap() {
            let number = entry.unwrap().file_name().into_string().unwrap();
            let info = text(&format!("fdinfo/{number}"));
            let flags = info
                .lines()
                .find(|line| line.starts_with("flags:"))
                .unwrap();
            let target = target(&report.join("fd").join(&number));
            note(
                &format!("descriptor {number}"),
                &format!("{target}, {flags}"),
            );
        }
        for line in text("limits").lines().skip(1) {
            // Columns of fixed widths: the names contain spaces.
            let (name, limit) = line.split_at(26);
            note(name.trim(), limit.trim());
        }
        // Numbered as in proc(5), after the name, which can contain anything.
        let stat = text("stat");
        let fields: Vec<&str> = stat
            .rsplit(')')
            .next()
            .unwrap()
            .split_whitespace()
            .collect();
        let field = |number: usize| fields[number - 3];
        let [ours, programs] = [std::process::id(), program].map(|pid| pid.to_string());
        for (name, number) in [
            ("parent", 4),
            ("process group", 5),
            ("session", 6),
            ("foreground group", 8),
        ] {
            let who = match field(number) {
                pid if pid == ours => "the test",
                pid if pid == programs => "the program",
                _ => "another",
            };
            note(name, who);
        }
        note("terminal", if field(7) == "0" { "none" } else { "one" });
        note("nice", field(19));
        note(
            "scheduling",
            &format!("policy {}, priority {}", field(41), field(40)),
        );
        for line in text("status").lines() {
            if STATUS.iter().any(|name| line.starts_with(name)) {
                let (name, fact) = line.split_once(':').unwrap();
                note(name, fact.trim());
            }
        }
        Self(facts)
    }

    /// The fact of this name.
    #[track_caller]
    pub fn fact(&self, name: &str) -> &str {
        self.0
            .get(name)
            .unwrap_or_else(|| panic!("no {name} in {self:?}"))
    }

    /// Whether these signals are all in the set of this name.
    #[track_caller]
    pub fn has_signals(&self, set: &str, signals: &[i32]) -> bool {
        let set = u64::from_str_radix(self.fact(set), 16).unwrap();
        signals.iter().all(|signal| set & (1 << (signal - 1)) != 0)
    }

    /// The same without the one variable `name`, which must be there once.
    #[track_caller]
    pub fn without_variable(mut self, name: &str) -> Self {
        let begin = format!("{name}=");
        let environment = self.fact("environment").to_owned();
        let (those, others): (Vec<_>, Vec<_>) = environment
            .lines()
            .partition(|line| line.starts_with(&begin));
        assert_eq!(those.len(), 1, "{those:?}");
        self.0.insert("environment".to_owned(), others.join("\n"));
        self
    }

    /// The names of the facts that differ.
    pub fn differences<'a>(&'a self, other: &'a Self) -> BTreeSet<&'a str> {
        let names = self.0.keys().chain(other.0.keys());
        let differing = names.filter(|&name| self.0.get(name) != other.0.get(name));
        differing.map(String::as_str).collect()
    }
}

/// Strings that end with a zero byte, as lines.
fn lines(bytes: &[u8]) -> String {
    let strings = bytes.split_inclusive(|&byte| byte == 0);
    let lines = strings.map(|string| {
        string
            .strip_suffix(b"\0")
            .unwrap()
            .escape_ascii()
            .to_string()
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// The target of a symbolic link in /proc, without the numbers of terminals and pipes.
fn target(link: &Path) -> String {
    let target = fs::read_link(link).unwrap();
    let target = target.as_os_str().as_bytes().escape_ascii().to_string();
    match target {
        target if target.starts_with("/dev/pts/") => "a terminal".to_owned(),
        target if target.starts_with("pipe:") => "a pipe".to_owned(),
        target => target,
    }
}
