//! The variables: what they switch, and what they say.

use nix::libc;

use crate::support::arena::{Arena, REFUSED, RunResult, for_each_git, retry_while_late};
use crate::support::args::{args, with_no_hardlinks, with_source};
use crate::support::gits::gits;
use crate::support::source;

#[test]
fn always_copies_at_once() {
    for_each_git(|_, arena| {
        let arena = arena.with_links_failing(libc::EPERM);
        let source = source::small(&arena, "src");
        let line = with_source(&source, args("clone --local SRC dst"));
        let trace = arena.root().join("trace");
        let always = arena
            .shim(line.clone())
            .env("GIT_CLONE_SHIM", "always")
            .env("GIT_TRACE", &trace);
        let always = arena.run(always);
        let expected = arena.run(arena.real(with_no_hardlinks(&line)));
        assert_eq!(always.outcome, expected.outcome.succeeded());
        assert_eq!(always.tree, expected.tree);
        let trace = std::fs::read_to_string(trace).unwrap();
        let runs: Vec<_> = trace
            .lines()
            .filter(|line| line.contains("built-in: git clone"))
            .collect();
        assert!(
            matches!(runs.as_slice(), [run] if run.contains("--no-hardlinks")),
            "{trace}"
        );
    });
}

#[test]
fn always_leaves_other_calls_alone() {
    for_each_git(|_, arena| {
        let source = source::small(&arena, "src");
        for line in [
            "--version",
            "clone --no-local SRC dst",
            "clone -s SRC dst",
            "clone -l SRC dst -o",
            "status",
        ] {
            let line = with_source(&source, args(line));
            let always = arena.run(arena.shim(line.clone()).env("GIT_CLONE_SHIM", "always"));
            let plain = arena.run(arena.real(line));
            assert_eq!(always.outcome, plain.outcome);
            assert_eq!(always.tree, plain.tree);
        }
    });
}

#[test]
fn off_execs_git() {
    for_each_git(|_, arena| {
        let arena = arena.with_links_failing(libc::EPERM);
        let source = source::small(&arena, "src");
        let line = with_source(&source, args("clone --local SRC dst"));
        let off = arena.run(arena.shim(line.clone()).env("GIT_CLONE_SHIM", "off"));
        let plain = arena.run(arena.real(line));
        assert!(plain.outcome.died_of(REFUSED), "{:?}", plain.outcome);
        assert_eq!(off.outcome, plain.outcome);
    });
}

#[test]
fn unknown_value_is_reported_once_and_counts_as_default() {
    let arena = Arena::new(&gits()[0]).with_links_failing(libc::EPERM);
    let source = source::small(&arena, "src");
    let line = with_source(&source, args("clone --local SRC dst"));
    let expected = arena.run(arena.real(with_no_hardlinks(&line))).outcome;
    let is_late = |cured: &RunResult| {
        let said = String::from_utf8_lossy(&cured.outcome.stderr);
        said.matches("Cloning into").count() > 1
    };
    for (name, value, accepted) in [
        ("GIT_CLONE_SHIM", "ON", "auto, always or off"),
        ("GIT_CLONE_SHIM", "caf\u{e9}\n", "auto, always or off"),
        ("GIT_CLONE_SHIM_LOG", "info=loud", "debug"),
        ("GIT_CLONE_SHIM_LOG", "yes", "debug"),
        ("GIT_CLONE_SHIM_LOG_FILE", "log", "an absolute path"),
        ("GIT_CLONE_SHIM_LOG_FILE", "~/log", "an absolute path"),
        ("GIT_CLONE_SHIM_LOG_FILE", "/%H", "%h"),
        ("GIT_CLONE_SHIM_LOG_FILE", "/100%", "%%"),
        ("GIT_CLONE_SHIM_SYSLOG", "yes", "0 or 1"),
    ] {
        let run = || arena.run(arena.shim(line.clone()).env(name, value));
        let outcome = retry_while_late(run, is_late).outcome.succeeded();
        let (ours, gits) = outcome.stderr.split_at(
            outcome
                .stderr
                .iter()
                .position(|&byte| byte == b'\n')
                .unwrap()
                + 1,
        );
        let ours = String::from_utf8(ours.to_owned()).unwrap();
        assert!(
            ours.starts_with(&format!("git-clone-shim: {name}=")) && ours.contains(accepted),
            "{ours}"
        );
        assert_eq!(gits, expected.stderr, "{ours}");
    }
    for name in [
        "GIT_CLONE_SHIM",
        "GIT_CLONE_SHIM_LOG",
        "GIT_CLONE_SHIM_GIT",
        "GIT_CLONE_SHIM_LOG_FILE",
        "GIT_CLONE_SHIM_SYSLOG",
    ] {
        let run = || arena.run(arena.shim(line.clone()).env(name, ""));
        assert_eq!(
            retry_while_late(run, is_late).outcome,
            expected,
            "an empty {name} is unset"
        );
    }
}

#[test]
fn log_gives_decisions_and_reasons() {
    for_each_git(|_, arena| {
        let arena = arena.with_links_failing(libc::EPERM);
        let source = source::small(&arena, "src");
        let line = with_source(&source, args("clone -q -l SRC dst"));
        let outcome = arena
            .run(arena.shim(line).env("GIT_CLONE_SHIM_LOG", "info"))
            .outcome
            .succeeded();
        let log = String::from_utf8(outcome.stderr).unwrap();
        for part in [
            format!(
                "the real git file={}",
                arena.real_directory().join("git").display()
            ),
            "this call can hard-link reason=\"--local is in effect, by -l\"".to_owned(),
            "exit status 128".to_owned(),
            "failed to create link \\'dst/.git/objects/".to_owned(),
            "Operation not permitted".to_owned(),
            format!("git clone -q -l {} dst --no-hardlinks", source.display()),
        ] {
            assert!(log.contains(&part), "{part} in {log}");
        }
        let version = arena
            .shim(args("--version"))
            .env("GIT_CLONE_SHIM_LOG", "debug");
        let version = arena.run(version).outcome.succeeded();
        assert!(
            version.stderr_contains("exec git with these args"),
            "{version:?}"
        );
        for silent in ["off", "error", "another_program=trace"] {
            let version = arena
                .shim(args("--version"))
                .env("GIT_CLONE_SHIM_LOG", silent);
            assert_eq!(
                arena.run(version).outcome,
                arena.run(arena.real(args("--version"))).outcome
            );
        }
    });
}

#[test]
fn level_of_the_log_decides_what_it_shows() {
    for_each_git(|_, arena| {
        let source = source::small(&arena, "src");
        let line = with_source(&source, args("clone -l SRC dst"));
        let log = |level: &str| {
            let call = arena.shim(line.clone()).env("GIT_CLONE_SHIM_LOG", level);
            let outcome = arena.run(call).outcome.succeeded();
            String::from_utf8(outcome.stderr).unwrap()
        };
        let (info, debug, trace) = (log("info"), log("debug"), log("trace"));
        let skipped = format!(
            "skipped file={} reason=\"this shim itself\"",
            arena.shim_directory().join("git").display()
        );
        let found = format!(
            "a git file={}",
            arena.real_directory().join("git").display()
        );
        let over = "the hold of stderr is over reason=\"a line ends it\"";
        let read = "read from the child's stderr bytes=";
        for (part, shown) in [
            ("this call can hard-link", [true, true, true]),
            (&skipped, [false, true, true]),
            (&found, [false, true, true]),
            (over, [false, true, true]),
            (read, [false, false, true]),
        ] {
            let contained = [&info, &debug, &trace].map(|log| log.contains(part));
            assert_eq!(contained, shown, "{part} in {trace}");
        }
    });
}
