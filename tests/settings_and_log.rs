//! The variables: what they switch, and what they say about it.

use std::fs;
use std::os::unix::net::UnixDatagram;

use nix::libc;

use crate::support::arena::{Arena, REFUSED, for_each_git};
use crate::support::args::{args, with_no_hardlinks, with_source};
use crate::support::arrangement;
use crate::support::call::{Call, Outcome};
use crate::support::gits::gits;
use crate::support::source;
use crate::support::trace;
use crate::support::tree;

const MODE: &str = "GIT_CLONE_SHIM";
const LOG: &str = "GIT_CLONE_SHIM_LOG";

#[test]
fn always_copies_at_once() {
    for_each_git(|_, arena| {
        let source = source::small(&arena, "src");
        let arena = arena.with_variable(MODE, "always");
        for line in ["clone --local SRC dst", "clone SRC dst", "clone -q SRC"] {
            let line = with_source(&source, args(line));
            let expected = arena.run(arena.real(with_no_hardlinks(&line)));
            let (copied, runs) = trace::clones(&arena, &|_| (), &line);
            copied.assert_equals(&expected);
            assert_eq!((runs, expected.outcome.status.success()), (1, true));
            assert!(tree::object_links(arena.work_dir()).iter().all(|&links| links == 1));
        }
    });
}

#[test]
fn always_leaves_other_calls_alone() {
    for_each_git(|_, arena| {
        let source = source::small(&arena, "src");
        let arena = arena.with_variable(MODE, "always");
        for line in ["--version", "clone --no-local SRC dst", "clone -s SRC dst", "clone -l SRC dst -o", "status"] {
            arena.assert_twins(&with_source(&source, args(line)));
        }
        // git would use the network for these, so only the args that the shim execs are compared.
        for remote in ["host:path", "me@host:path", "ssh://host/path", "https://host/path", "git://host/src"] {
            let echo = arena.shim(args(&format!("clone {remote} dst"))).env("GIT_CLONE_SHIM_GIT", "/bin/echo");
            assert_eq!(echo.run().stdout, format!("clone {remote} dst\n").as_bytes());
        }
    });
}

#[test]
fn off_execs_git() {
    for_each_git(|_, arena| {
        let arena = arena.with_links_failing(libc::EPERM).with_variable(MODE, "off");
        let source = source::small(&arena, "src");
        let twin = arena.assert_twins(&with_source(&source, args("clone --local SRC dst")));
        assert!(twin.outcome.died_of(REFUSED), "{:?}", twin.outcome);
    });
}

#[test]
fn unknown_value_is_reported_where_a_clone_is_planned_and_counts_as_default() {
    let arena = Arena::new(&gits()[0]).with_links_failing(libc::EPERM);
    let source = source::small(&arena, "src");
    let line = with_source(&source, args("clone --local SRC dst"));
    let expected = arena.run(arena.real(with_no_hardlinks(&line))).outcome;
    let other = args("--version");
    let version = arena.real(other.clone()).run();
    for (name, value, accepted) in [
        (MODE, "ON", "auto, always or off"),
        (MODE, "caf\u{e9}\n", "auto, always or off"),
        (LOG, "info=loud", "debug"),
        (LOG, "yes", "debug"),
        ("GIT_CLONE_SHIM_SYSLOG", "yes", "0 or 1"),
    ] {
        let outcome = arena.run(arena.shim(line.clone()).env(name, value)).outcome.succeeded();
        let end = outcome.stderr.iter().position(|&byte| byte == b'\n').unwrap() + 1;
        let (ours, gits) = outcome.stderr.split_at(end);
        let ours = String::from_utf8(ours.to_owned()).unwrap();
        assert!(ours.starts_with(&format!("git-clone-shim: {name}=")) && ours.contains(accepted), "{ours}");
        assert_eq!(gits, expected.stderr, "{ours}");
        // Not on every call of a prompt.
        assert_eq!(arena.shim(other.clone()).env(name, value).run(), version);
    }
    for name in [MODE, LOG, "GIT_CLONE_SHIM_GIT", "GIT_CLONE_SHIM_SYSLOG"] {
        let unset = arena.run(arena.shim(line.clone()).env(name, ""));
        assert_eq!(unset.outcome, expected, "an empty {name} is unset");
    }
}

#[test]
fn log_gives_decisions_and_reasons_and_no_args() {
    for_each_git(|_, arena| {
        let arena = arena.with_links_failing(libc::EPERM);
        let source = source::small(&arena, "hush-hush");
        let line = "-c http.proxy=http://user:hunter2@proxy/ clone -q -l --origin=upstream SRC secret";
        let directories = [arena.shim_directory(), arena.root().join("tmp"), arena.real_directory()];
        let log = |level: &str| {
            let call = arena.shim(with_source(&source, args(line))).env(LOG, level);
            let call = call.env("PATH", Arena::path(&directories));
            String::from_utf8(arena.run(call).outcome.succeeded().stderr).unwrap()
        };
        let [_, skipped, found] = directories.each_ref().map(|directory| directory.join("git"));
        let found = format!("the real git file={}", found.display());
        let skipped = format!("skipped file={}", skipped.display());
        let (info, debug) = (log("info"), log("debug"));
        for (part, shown) in [
            (&found[..], [true, true]),
            ("this call can hard-link reason=\"--local is in effect", [true, true]),
            ("exit_reason=Exited(128)", [true, true]),
            ("exec git with --no-hardlinks", [true, true]),
            (&skipped, [false, true]),
        ] {
            assert_eq!([&info, &debug].map(|log| log.contains(part)), shown, "{part} in {debug}");
        }
        for word in ["proxy", "hunter2", "upstream", "hush", "secret"] {
            assert!(!log("trace").contains(word), "{word} in {debug}");
        }
        let version = |level: &str| arena.shim(args("--version")).env(LOG, level).run();
        assert!(version("debug").stderr_contains("exec git with these args"));
        for silent in ["off", "error", "another_program=trace"] {
            assert_eq!(version(silent), arena.real(args("--version")).run());
        }
    });
}

/// Runs a clone through the shim, with this `GIT_CLONE_SHIM_SYSLOG`, where `devices` is /dev.
#[track_caller]
fn clone_with_syslog(arena: &Arena, devices: &str, line: &str, value: &str) -> Option<Outcome> {
    // Where temporary directories are in /dev/shm, they stay.
    let bind = "mount --bind /dev/null null; mount --rbind /dev/shm shm; mount --rbind . /dev";
    let script = format!("cd '{devices}'; {bind}; cd \"$OLDPWD\"; exec git {line}");
    let mut command = arena.command("unshare");
    command
        .args(["--user", "--map-root-user", "--mount", "sh", "-ec", &script])
        .env("PATH", arena.path_of(true))
        .env("GIT_CLONE_SHIM_SYSLOG", value);
    let outcome = arena.run(Call::new(command)).outcome;
    if outcome.stderr_contains("unshare") || outcome.stderr_contains("mount:") {
        arrangement::missing("user namespace to mount in");
        return None;
    }
    Some(outcome)
}

#[test]
fn system_log_gets_one_datagram_for_each_fallback() {
    for_each_git(|_, arena| {
        let arena = arena.with_links_failing(libc::EPERM);
        let source = source::small(&arena, "src");
        let line = format!("clone -q -l {} dst", source.display());
        let expected = arena.run(arena.real(with_no_hardlinks(&args(&line)))).outcome;
        let devices = arena.root().join("dev");
        fs::create_dir_all(devices.join("shm")).unwrap();
        fs::write(devices.join("null"), "").unwrap();
        let log = UnixDatagram::bind(devices.join("log")).unwrap();
        log.set_nonblocking(true).unwrap();
        let run = |line: &str, value| clone_with_syslog(&arena, devices.to_str().unwrap(), line, value);
        let Some(outcome) = run(&line, "1") else {
            return;
        };
        assert_eq!(outcome, expected);
        let mut datagram = [0; 4096];
        let length = log.recv(&mut datagram).unwrap();
        let text = str::from_utf8(&datagram[..length]).unwrap();
        // <user.info>, identifier and process; syslogd and journald add the time.
        let (header, fields) = text.split_once("]: ").unwrap();
        assert!(header.starts_with("<14>git-clone-shim["), "{text}");
        for field in [
            "fallback",
            concat!("version=", env!("CARGO_PKG_VERSION")),
            "reason=link-refused",
            "filesystem=",
            "attempt_ms=",
        ] {
            assert!(fields.contains(field), "{field} in {text}");
        }
        assert!(!fields.contains('/'), "{text}");
        // No other datagram, and none for a clone without fallback.
        let copied = line.replace("-l", "-l --no-hardlinks");
        for (line, value) in [(&line, "0"), (&copied, "1")] {
            run(line, value).unwrap().succeeded();
        }
        assert!(log.recv(&mut datagram).is_err());

        // A log that is full or that nothing reads is not waited for.
        let sender = UnixDatagram::unbound().unwrap();
        sender.set_nonblocking(true).unwrap();
        while sender.send_to(b"full", devices.join("log")).is_ok() {}
        assert_eq!(run(&line, "1"), Some(expected.clone()));
        drop(log);
        assert_eq!(run(&line, "1"), Some(expected));
    });
}

#[test]
fn clone_to_another_mount_is_logged_as_fallback() {
    let Some(arena) = Arena::new(&gits()[0]).across_mounts() else {
        return;
    };
    let source = source::small(&arena, "src");
    // Without --local git copies by itself.
    for (line, is_fallback) in [("clone -q -l SRC dst", true), ("clone -q SRC dst", false)] {
        let call = arena.shim(with_source(&source, args(line))).env(LOG, "info");
        let outcome = arena.run(call).outcome.succeeded();
        let logged = outcome.stderr_contains("exec git with --no-hardlinks reason=\"different-mounts\"");
        assert_eq!(logged, is_fallback, "{outcome:?}");
    }
}
