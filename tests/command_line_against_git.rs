//! The shim reads a command line as every real git does: a differential test over generated command lines.
//!
//! `PROPTEST_CASES=20000` tries more than the default. Seeds of failures are kept in `REGRESSIONS`.

use std::cell::Cell;
use std::ffi::{CStr, CString, OsStr, OsString};
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use git_clone_shim::git::command_line::{self, CloneCommand, Linking};
use git_clone_shim::git::{destination, link_failure, source};
use nix::libc;
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::{Just, Strategy, any};
use proptest::sample::{Index, select};
use proptest::test_runner::{
    Config, FileFailurePersistence, TestCaseError, TestCaseResult, TestRunner,
};
use proptest::{bool, prop_assert, prop_assert_eq, prop_oneof};

use crate::support::arena::{Arena, RunResult, for_each_git};
use crate::support::args::{Args, args, with_source};
use crate::support::gits::Git;
use crate::support::source::small;

/// The seeds of lines that were once misread; every run begins with them.
const REGRESSIONS: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/tests/command_line_against_git.regressions.txt"
);

/// Every option of `clone`, with values that git accepts; none for a flag.
///
/// Not the shim's own table, so that a mistake there is not repeated here.
const OPTIONS: &[(&str, &[&str])] = &[
    ("verbose", &[]),
    ("quiet", &[]),
    ("progress", &[]),
    ("no-checkout", &[]),
    ("bare", &[]),
    ("naked", &[]),
    ("mirror", &[]),
    ("local", &[]),
    ("no-hardlinks", &[]),
    ("shared", &[]),
    ("recursive", &["."]),
    ("recurse-submodules", &["."]),
    ("template", &["", "absent"]),
    ("reference", &["SRC"]),
    ("reference-if-able", &["SRC", "absent"]),
    ("origin", &["upstream", "clone"]),
    ("branch", &["side", "v1"]),
    ("upload-pack", &["git-upload-pack"]),
    ("depth", &["1"]),
    ("single-branch", &[]),
    ("separate-git-dir", &["separate"]),
    ("config", &["a.b=c", "a.b"]),
    ("dissociate", &[]),
    ("shallow-submodules", &[]),
    ("jobs", &["2"]),
    ("ipv4", &[]),
    ("ipv6", &[]),
    ("shallow-since", &["2020-01-01"]),
    ("shallow-exclude", &["side"]),
    ("no-tags", &[]),
    ("filter", &["blob:none"]),
    ("server-option", &["a=b"]),
    ("remote-submodules", &[]),
    ("sparse", &[]),
    ("reject-shallow", &[]),
    ("also-filter-submodules", &[]),
    ("bundle-uri", &["absent"]),
    // Not reftable, whose files have random names.
    ("ref-format", &["files"]),
    ("revision", &["refs/heads/side"]),
];

const FLAG_LETTERS: [&str; 7] = ["v", "q", "n", "l", "s", "4", "6"];

const VALUE_LETTERS: [(&str, &[&str]); 5] = [
    ("o", &["upstream", "l"]),
    ("b", &["side", "v1"]),
    ("u", &["git-upload-pack"]),
    ("c", &["a.b=c", "a.b"]),
    ("j", &["2", "4"]),
];

/// The options that decide whether a clone links, which are chosen more often than others.
const LINKING: [&str; 12] = [
    "--local",
    "--lo",
    "-l",
    "-ql",
    "--no-local",
    "--hardlinks",
    "--h",
    "--no-hardlinks",
    "--no-no-hardlinks",
    "--no-no-h",
    "--shared",
    "--no-shared",
];

/// Options before the command, with values that git accepts; none for a flag.
const GLOBALS: [(&str, &[&str]); 28] = [
    ("-C", &["here", "", "clone", "."]),
    ("-c", &["a.b=c", "clone.x=y"]),
    ("--git-dir", &["absent", "clone"]),
    ("--work-tree", &["absent"]),
    ("--namespace", &["clone"]),
    ("--super-prefix", &["clone"]),
    ("--config-env", &["a.b=HOME"]),
    ("--attr-source", &["HEAD"]),
    ("--shallow-file", &["absent"]),
    ("--exec-path", &["absent"]),
    ("-p", &[]),
    ("--paginate", &[]),
    ("-P", &[]),
    ("--no-pager", &[]),
    ("--no-replace-objects", &[]),
    ("--bare", &[]),
    ("--literal-pathspecs", &[]),
    ("--no-literal-pathspecs", &[]),
    ("--glob-pathspecs", &[]),
    ("--noglob-pathspecs", &[]),
    ("--icase-pathspecs", &[]),
    ("--no-optional-locks", &[]),
    ("--no-lazy-fetch", &[]),
    ("--no-advice", &[]),
    ("--version", &[]),
    ("--html-path", &[]),
    ("--list-cmds", &["main"]),
    ("--local", &[]),
];

/// Values that look like something else.
const LOOKALIKES: [&str; 12] = [
    "--local",
    "--no-local",
    "--no-hardlinks",
    "--shared",
    "--quiet",
    "--",
    "--end-of-options",
    "-l",
    "-s",
    "l",
    "clone",
    "",
];

/// Args that are not options of `clone`, or not in any table.
const ODDITIES: [&str; 11] = [
    "--",
    "--end-of-options",
    "-",
    "",
    "-h",
    "--help-all",
    "--unknown",
    "--local=x",
    "-local",
    "--no-",
    "--=",
];

const SOURCES: [&str; 4] = ["../src", "../src/", "../src/.git", "absent"];

const DESTINATIONS: [&str; 6] = ["dst", "deep/dst", "here", "full", "--local", "--"];

/// The args of a clone; `SRC` stands for the source.
fn line() -> impl Strategy<Value = Args> {
    let source = prop_oneof![2 => Just("SRC"), 1 => select(&SOURCES[..])];
    let destination = option::of(select(&DESTINATIONS[..]));
    let positionals = (source, destination).prop_map(|(source, destination)| match destination {
        Some(destination) => vec![source, destination],
        None => vec![source],
    });
    let end = option::weighted(0.25, select(&["--", "--end-of-options"][..]));
    (
        vec(global(), 0..3),
        vec(clone_option(), 0..5),
        positionals,
        end,
        vec(any::<Index>(), 2),
    )
        .prop_map(|(globals, mut options, positionals, end, positions)| {
            if end.is_none() {
                for (position, positional) in positions.iter().zip(positionals.iter().rev()) {
                    let position = position.index(options.len() + 1);
                    options.insert(position, vec![(*positional).to_owned()]);
                }
            }
            let positionals = end.map(|end| [vec![end], positionals].concat());
            let args = globals.into_iter().flatten();
            let args = args.chain(["clone".to_owned()]);
            let args = args.chain(options.into_iter().flatten());
            let behind = positionals.into_iter().flatten().map(str::to_owned);
            args.chain(behind).map(OsString::from).collect()
        })
}

fn global() -> impl Strategy<Value = Vec<String>> {
    select(&GLOBALS[..]).prop_flat_map(|(name, values)| {
        value(values, name.starts_with("--"))
            .prop_map(move |value| value.append_to(name.to_owned(), "="))
    })
}

fn clone_option() -> impl Strategy<Value = Vec<String>> {
    let oddity = select(&ODDITIES[..]);
    prop_oneof![
        7 => select(&LINKING[..]).prop_map(|arg| vec![arg.to_owned()]),
        8 => long_option(),
        4 => short_options(),
        1 => oddity.prop_map(|arg| vec![arg.to_owned()]),
    ]
}

/// A long option, whole or abbreviated, negated or not.
fn long_option() -> impl Strategy<Value = Vec<String>> {
    select(OPTIONS).prop_flat_map(|(name, values)| {
        let name = name.strip_prefix("no-").unwrap_or(name);
        let negation = prop_oneof![6 => Just(""), 2 => Just("no-"), 1 => Just("no-no-")];
        let length = prop_oneof![2 => Just(name.len()), 1 => 1..=name.len()];
        (negation, length, value(values, true)).prop_map(move |(negation, length, value)| {
            let option = format!("--{negation}{}", &name[..length]);
            match (negation, value) {
                ("no-", Value::Separate(_)) => vec![option],
                (_, value) => value.append_to(option, "="),
            }
        })
    })
}

/// A bundle of short options, the last of which may have a value.
fn short_options() -> impl Strategy<Value = Vec<String>> {
    let with_value = select(&VALUE_LETTERS[..])
        .prop_flat_map(|(letter, values)| (Just(letter), value(values, true)));
    let last = prop_oneof![
        select(&FLAG_LETTERS[..]).prop_map(|letter| (letter, Value::None)),
        with_value,
    ];
    (vec(select(&FLAG_LETTERS[..]), 0..3), last).prop_map(|(letters, (letter, value))| {
        value.append_to(format!("-{}{letter}", letters.concat()), "")
    })
}

/// An option's value: in the same arg, or in the next one.
#[derive(Clone, Copy, Debug)]
enum Value {
    None,
    Joined(&'static str),
    Separate(&'static str),
}

impl Value {
    fn append_to(self, option: String, joint: &str) -> Vec<String> {
        match self {
            Self::None => vec![option],
            Self::Joined(value) => vec![option + joint + value],
            Self::Separate(value) => vec![option, value.to_owned()],
        }
    }
}

/// A value for an option that takes one of `values`, and sometimes none; for a flag none, and sometimes one.
fn value(values: &'static [&'static str], can_join: bool) -> impl Strategy<Value = Value> {
    let (probability, known) = match values {
        [] => (0.03, &LOOKALIKES[..]),
        _ => (0.97, values),
    };
    let value = prop_oneof![2 => select(known), 1 => select(&LOOKALIKES[..])];
    let is_flag = values.is_empty();
    option::weighted(probability, (value, bool::ANY)).prop_map(move |value| match value {
        None => Value::None,
        Some((value, joined)) if joined && can_join || is_flag => Value::Joined(value),
        Some((value, _)) => Value::Separate(value),
    })
}

/// One real git with two arenas that share a working directory: links succeed in one, and fail in the other.
struct Comparison<'a> {
    sound: Arena,
    faulty: &'a Arena,
    /// `git -C DIR`: the shim's reader looks at files, and this process has another working directory than git.
    prefix: [CString; 3],
}

impl<'a> Comparison<'a> {
    fn new(git: &Git, faulty: &'a Arena) -> Self {
        let directory = CString::new(faulty.work_dir().as_os_str().as_bytes()).unwrap();
        Self {
            sound: Arena::new(git).in_directory(faulty.work_dir()),
            faulty,
            prefix: [c"git".into(), c"-C".into(), directory],
        }
    }

    fn run(arena: &Arena, args: impl IntoIterator<Item = OsString>) -> RunResult {
        let prepare = |work_dir: &Path| {
            for directory in ["here", "clone", "full"] {
                fs::create_dir(work_dir.join(directory)).unwrap();
            }
            fs::write(work_dir.join("full/file"), "").unwrap();
        };
        // Without the sample hooks a clone takes half the time.
        arena.run_in(&prepare, arena.real(args).env("GIT_TEMPLATE_DIR", ""))
    }

    /// The args that the shim would run git with, as `splice` makes them of `args`.
    fn spliced<'w>(args: &[&'w CStr], splice: impl Fn(&[&'w CStr]) -> Vec<&'w CStr>) -> Args {
        let spliced = splice(args).into_iter().skip(3);
        spliced
            .map(|arg| OsStr::from_bytes(arg.to_bytes()).to_owned())
            .collect()
    }

    /// Compares the reader and git; returns whether git died of a refused link.
    fn compare(&self, line: &Args) -> Result<bool, TestCaseError> {
        let attempt = Self::run(self.faulty, line.clone());
        let died = died_of_a_link(&attempt);

        let line_args = line.iter().map(|arg| CString::new(arg.as_bytes()).unwrap());
        let owned: Vec<_> = self.prefix.iter().cloned().chain(line_args).collect();
        let args: Vec<_> = owned.iter().map(CString::as_c_str).collect();
        let Some(clone) = command_line::read(&args) else {
            prop_assert!(!died, "not read as a clone: {:?}", attempt.outcome);
            return Ok(false);
        };
        assert_destination(&clone, &attempt)?;
        if !can_hard_link(&clone) {
            prop_assert!(!died, "{:?}: {:?}", clone.linking, attempt.outcome);
            return Ok(false);
        }
        if died {
            let destination = destination::directory(&clone);
            // With `--work-tree` and `--separate-git-dir` git does not clean up: see no_fallback.rs.
            let is_curable = |path: &Path| {
                fs::read_dir(path).map_or(true, |mut found| found.next().is_none())
                    || is_gitfile(path)
            };
            prop_assert!(
                destination.as_deref().is_none_or(is_curable),
                "{destination:?} prevents a fallback: {:?}",
                attempt.outcome
            );
        }

        if !clone.progress_decided {
            let shown = Self::spliced(&args, |args| clone.with_progress(args));
            let shown = Self::run(self.faulty, shown);
            prop_assert_eq!(
                shown.outcome.status,
                attempt.outcome.status,
                "{:?}",
                shown.outcome
            );
        }

        // git has copied by itself: no fallback.
        if clone.linking == Linking::IfLocal && attempt.outcome.status.success() {
            return Ok(died);
        }
        let fallback = Self::spliced(&args, |args| clone.without_hard_links(args));
        let fallback = Self::run(self.faulty, fallback);
        prop_assert!(!died_of_a_link(&fallback), "{:?}", fallback.outcome);
        let expected = Self::run(&self.sound, line.clone());
        assert_destination(&clone, &expected)?;
        prop_assert_eq!(&fallback.outcome, &expected.outcome);
        prop_assert!(
            fallback.tree.keys().eq(expected.tree.keys()),
            "other files: {:?}",
            fallback.outcome
        );
        Ok(died)
    }
}

/// The rule of shim.rs.
fn can_hard_link(clone: &CloneCommand<'_>) -> bool {
    match clone.linking {
        Linking::Demanded => true,
        Linking::IfLocal => source::repository(clone).is_some(),
        Linking::Never => false,
    }
}

fn died_of_a_link(result: &RunResult) -> bool {
    result.outcome.status.code() == Some(128)
        && link_failure::find(&result.outcome.stderr).is_some()
}

/// Asserts that a clone which succeeded is where the shim would have looked for it.
fn assert_destination(clone: &CloneCommand<'_>, done: &RunResult) -> TestCaseResult {
    if done.outcome.status.success() {
        let destination = destination::directory(clone).unwrap_or_default();
        let is_made = is_gitfile(&destination)
            || ["HEAD", ".git"]
                .iter()
                .any(|name| destination.join(name).exists());
        prop_assert!(is_made, "not {destination:?}: {:?}", done.outcome);
    }
    Ok(())
}

/// Whether `path` is a file with the path of a repository, as `--work-tree` and `--separate-git-dir` together make it.
fn is_gitfile(path: &Path) -> bool {
    path.is_file() && fs::read(path).unwrap().starts_with(b"gitdir: ")
}

/// Compares the shim's reader and every git on generated lines, where link(2) fails with `errno`; 0 is a link(2) that
/// succeeds without a link.
fn compare_where_links_fail(errno: i32) {
    for_each_git(|git, arena| {
        let faulty = arena.with_links_failing(errno);
        let source = small(&faulty, "src");
        let comparison = Comparison::new(git, &faulty);
        let mut runner = TestRunner::new(Config {
            // Half of the cases each for the two tests.
            cases: Config::default().cases.div_ceil(2),
            failure_persistence: Some(Box::new(FileFailurePersistence::Direct(REGRESSIONS))),
            ..Config::default()
        });
        let (compared, died) = (Cell::new(0), Cell::new(0));
        let result = runner.run(&line(), |line| {
            let died_now = comparison.compare(&with_source(&source, line))?;
            compared.set(compared.get() + 1);
            died.set(died.get() + u32::from(died_now));
            Ok(())
        });
        result.unwrap_or_else(|failure| panic!("{failure}"));
        let (compared, died) = (compared.get(), died.get());
        eprintln!("git died of a link {died} times in {compared}");
        assert!(died > 0 || errno == 0, "the lines hardly try to link");
    });
}

#[test]
fn reader_agrees_with_git_where_links_are_refused() {
    compare_where_links_fail(libc::EPERM);
}

#[test]
fn reader_agrees_with_git_where_links_have_no_effect() {
    compare_where_links_fail(0);
}

#[test]
fn every_option_that_git_lists_is_read_with_its_value() {
    for_each_git(|_, arena| {
        // What shells complete. An option that ends with `=` takes a value, in the same arg or in the next one.
        let listed = arena
            .real(args("clone --git-completion-helper-all"))
            .run()
            .succeeded();
        let listed = String::from_utf8(listed.stdout).unwrap();
        let options: Vec<&str> = listed
            .split_whitespace()
            .filter(|&option| option != "--")
            .collect();
        assert!(options.contains(&"--template="), "{listed}");
        for option in options {
            let line = match option.strip_suffix('=') {
                Some(name) => format!("git clone {name} value SRC dst"),
                None => format!("git clone {option} SRC dst"),
            };
            let words: Vec<CString> = line
                .split(' ')
                .map(|word| CString::new(word).unwrap())
                .collect();
            let words: Vec<&CStr> = words.iter().map(CString::as_c_str).collect();
            let clone = command_line::read(&words).unwrap();
            assert_eq!(clone.positionals.as_slice(), [c"SRC", c"dst"], "{line}");
        }
    });
}
