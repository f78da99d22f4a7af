//! `GIT_CLONE_SHIM_LOG_FILE` and `GIT_CLONE_SHIM_SYSLOG`: one line for each fallback, which nothing else waits for.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs::{self, File};
use std::os::unix::fs::{PermissionsExt, chown, symlink};
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, SystemTime};

use nix::libc;
use nix::sys::stat::Mode;
use serde_json::Value;

use crate::support::arena::{Arena, REFUSED, for_each_git};
use crate::support::args::{Args, args, with_no_hardlinks, with_source};
use crate::support::arrangement;
use crate::support::call::{Call, Outcome, only_stderr};
use crate::support::executable;
use crate::support::fault;
use crate::support::gits::gits;
use crate::support::paused_clone::{PausedClone, Start};
use crate::support::process;
use crate::support::records;
use crate::support::refusing_fs::{LinkRule, arena_on, mount};
use crate::support::source;
use crate::support::wait;

/// A clone through the shim, with a log file, that is run twice; its record.
#[track_caller]
fn record_of(arena: &Arena, line: &Args) -> Value {
    let file = arena.root().join("log");
    let _ = fs::remove_file(&file);
    let call = arena
        .shim(line.clone())
        .env("GIT_CLONE_SHIM_LOG_FILE", &file);
    arena.run(call).outcome.succeeded();
    let mut records = records::wait_for(&file, 1);
    assert_eq!(records.len(), 1, "{records:?}");
    records.remove(0)
}

/// `call`, started by a shell that has done `setup`.
fn in_shell(setup: &str, call: Call) -> Call {
    let plain = call.command;
    let mut command = Command::new("bash");
    let script = format!("{setup}; exec \"$0\" \"$@\"");
    command
        .args(["-c", &script])
        .arg(plain.get_program())
        .args(plain.get_args())
        .env_clear()
        .envs(
            plain
                .get_envs()
                .filter_map(|(name, value)| Some((name, value?))),
        )
        .current_dir(plain.get_current_dir().unwrap());
    Call::new(command)
}

fn text<'a>(record: &'a Value, field: &str) -> &'a str {
    record[field]
        .as_str()
        .unwrap_or_else(|| panic!("{field} in {record}"))
}

#[test]
fn record_has_every_field() {
    let Some(findmnt) = arrangement::program("findmnt") else {
        return;
    };
    for_each_git(|_, arena| {
        let arena = arena.with_links_failing(libc::EXDEV);
        let source = source::small(&arena, "src");
        let file = arena.root().join("log");
        let line = with_source(&source, args("clone -q -l SRC lead/ing/dst"));
        let failed = arena.run(arena.real(line.clone())).outcome;
        assert!(failed.died_of(REFUSED), "{failed:?}");
        let before = SystemTime::now() - Duration::from_secs(1);
        let mut command = arena
            .shim(line)
            .env("GIT_CLONE_SHIM_LOG_FILE", &file)
            .command;
        let mut child = arena.under_fault(|| command.stdin(Stdio::null()).spawn().unwrap());
        assert!(child.wait().unwrap().success());
        let record = records::wait_for(&file, 1).remove(0);

        let fields: BTreeSet<&str> = record
            .as_object()
            .unwrap()
            .keys()
            .map(String::as_str)
            .collect();
        let expected = "schema time host uid pid version cause error filesystem attempt_ms fallback_ms outcome";
        assert_eq!(fields, expected.split(' ').collect());
        assert_eq!(record["schema"], 1);
        let time = humantime::parse_rfc3339(text(&record, "time")).unwrap();
        assert!(before < time && time <= SystemTime::now(), "{record}");
        let host = fs::read_to_string("/proc/sys/kernel/hostname").unwrap();
        assert_eq!(text(&record, "host"), host.trim_end());
        assert_eq!(record["uid"], nix::unistd::getuid().as_raw());
        assert_eq!(record["pid"], child.id());
        assert_eq!(text(&record, "version"), env!("CARGO_PKG_VERSION"));
        assert_eq!(text(&record, "cause"), "link refused");
        assert_eq!(text(&record, "error"), "EXDEV");
        let mut command = Command::new(&findmnt);
        let kind = command
            .args(["-n", "-o", "FSTYPE", "--target"])
            .arg(arena.work_dir());
        let kind = String::from_utf8(kind.output().unwrap().stdout).unwrap();
        // Where one is mounted over another, the last one is seen.
        assert_eq!(Some(text(&record, "filesystem")), kind.lines().last());
        assert!(
            record["attempt_ms"].is_u64() && record["fallback_ms"].is_u64(),
            "{record}"
        );
        assert_eq!(text(&record, "outcome"), "cloned");

        let mode = fs::metadata(&file).unwrap().permissions().mode();
        assert_eq!(mode & 0o7777, 0o600, "for its user alone");
    });
}

#[test]
fn record_names_a_link_that_differs() {
    let Some((_directory, filesystem)) = mount(LinkRule::InodePerPath) else {
        return;
    };
    let (arena, source) = arena_on(&filesystem, Arena::new(&gits()[0]));
    let line = with_source(&source, args("clone SRC dst"));
    let real = arena.run(arena.real(line.clone())).outcome;
    assert!(
        real.died_of("fatal: hardlink different from source at '"),
        "{real:?}"
    );
    let record = record_of(&arena, &line);
    assert_eq!(text(&record, "cause"), "link differs from its source");
    assert_eq!(record.get("error"), None, "git gives no reason");
    assert_eq!(text(&record, "filesystem"), "fuse");
}

#[test]
fn record_holds_no_argument() {
    for_each_git(|_, arena| {
        let arena = arena.with_links_failing(libc::EXDEV);
        let source = source::small(&arena, "hush-hush");
        let line = "-c http.proxy=http://user:hunter2@proxy/ clone -l --origin=upstream \
                    -c http.extraHeader=Bearer SRC";
        let mut line = with_source(&source, args(line));
        // The end of git's message.
        line.push("it': hidden/secret': dst".into());
        let record = record_of(&arena, &line);
        let written = record.to_string();
        for word in [
            "proxy", "user", "hunter2", "origin", "upstream", "Header", "Bearer", "hush", "hidden",
            "secret", "dst", "objects", "/",
        ] {
            assert!(!written.contains(word), "{word} in {written}");
        }
    });
}

#[test]
fn failed_fallback_is_recorded_as_failed() {
    for_each_git(|_, arena| {
        let arena = arena.with_links_failing(libc::EXDEV);
        let source = source::small(&arena, "src");
        // Larger than what may be written, however well it is compressed.
        let noise: Vec<u8> = (1_u32..5000)
            .flat_map(|n| n.wrapping_pow(7).to_le_bytes())
            .collect();
        fs::write(source.join("noise"), noise).unwrap();
        for line in ["add noise", "commit -q -m noise"] {
            arena.real(args(line)).cwd(&source).run().succeeded();
        }
        let file = arena.root().join("log");
        let line = with_source(&source, args("clone -q -l --template= SRC dst"));
        let run = |call: fn(&Arena, Args) -> Call, line: &Args| {
            let call = in_shell("trap '' XFSZ; ulimit -f 4", call(&arena, line.clone()));
            let call = call.env("GIT_CLONE_SHIM_LOG_FILE", &file);
            arena.run(call).outcome
        };
        assert!(run(Arena::real, &line).died_of(REFUSED));
        let expected = run(Arena::real, &with_no_hardlinks(&line));
        assert!(expected.died_of("fatal: "), "{expected:?}");
        assert_eq!(run(Arena::shim, &line), expected);
        let record = records::wait_for(&file, 1).remove(0);
        assert_eq!(text(&record, "outcome"), "failed");
        assert!(record["fallback_ms"].is_u64(), "{record}");
    });
}

#[test]
fn clone_without_fallback_is_not_recorded() {
    for_each_git(|_, arena| {
        let source = source::small(&arena, "src");
        let file = arena.root().join("log");
        for (line, mode) in [
            ("clone -l SRC dst", "auto"),
            ("clone -l SRC dst", "always"),
            ("clone -l SRC dst", "off"),
            ("clone -l nowhere dst", "auto"),
            ("--version", "auto"),
        ] {
            let line = with_source(&source, args(line));
            let call = arena.shim(line.clone()).env("GIT_CLONE_SHIM", mode);
            arena.run(call.env("GIT_CLONE_SHIM_LOG_FILE", &file));
            assert!(!file.exists(), "{line:?} with {mode}");
        }
    });
}

#[test]
fn unwritable_log_changes_nothing() {
    for_each_git(|_, arena| {
        let Some(arena) = arena.across_mounts() else {
            return;
        };
        let source = source::small(&arena, "src");
        let line = with_source(&source, args("clone -q -l SRC dst"));
        let expected = arena.run(arena.real(with_no_hardlinks(&line)));
        let at = |name: &str| arena.root().join(name);
        fs::create_dir(at("directory")).unwrap();
        nix::unistd::mkfifo(&at("pipe"), Mode::S_IRWXU).unwrap();
        symlink(at("elsewhere"), at("link")).unwrap();
        // Longer than the limit below: the kernel sends SIGXFSZ to a process that appends to it.
        File::create(at("long")).unwrap().set_len(1 << 20).unwrap();
        let files = [
            at("directory"),
            at("not/there"),
            at("pipe"),
            at("link"),
            at("long"),
            "/dev/full".into(),
            "/proc/version".into(),
        ];
        let run = |file: &Path| {
            let call = in_shell("ulimit -f 1024", arena.shim(line.clone()));
            let cured = arena.run(call.env("GIT_CLONE_SHIM_LOG_FILE", file));
            assert_eq!(cured.outcome, expected.outcome, "{}", file.display());
            assert!(cured.tree == expected.tree, "{}", file.display());
            wait::until("the observer to end", || {
                process::running(executable::shim(), &arena.root().join("home")).is_empty()
            });
        };
        for file in &files {
            run(file);
            // Without an observer another record is written, at another time.
            fault::with_calls_failing(&[libc::SYS_pidfd_open], libc::ENOSYS, || run(file));
        }
        assert_eq!(fs::metadata(at("long")).unwrap().len(), 1 << 20);
        assert!(!at("elsewhere").exists(), "a link is not followed");
    });
}

#[test]
fn existing_log_file_keeps_its_mode_and_lines() {
    let Some(arena) = Arena::new(&gits()[0]).across_mounts() else {
        return;
    };
    let source = source::small(&arena, "src");
    let file = arena.root().join("log");
    fs::write(&file, "{}\n").unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o622)).unwrap();
    let line = with_source(&source, args("clone -q -l SRC dst"));
    let call = arena.shim(line).env("GIT_CLONE_SHIM_LOG_FILE", &file);
    arena.run(call).outcome.succeeded();
    let records = records::wait_for(&file, 2);
    assert_eq!(text(&records[1], "outcome"), "cloned");
    let mode = fs::metadata(&file).unwrap().permissions().mode();
    assert_eq!(mode & 0o7777, 0o622);
}

#[test]
fn log_file_shared_by_all_users_is_appended_to() {
    if !arrangement::is_root() {
        return;
    }
    let Some(arena) = Arena::new(&gits()[0]).across_mounts() else {
        return;
    };
    let source = source::small(&arena, "src");
    let directory = arena.root().join("scratch");
    let file = directory.join("log");
    fs::create_dir(&directory).unwrap();
    fs::write(&file, "").unwrap();
    // The owner of the directory is trusted by the kernel.
    for (path, owner, mode) in [(&directory, 1, 0o1777), (&file, 2, 0o666)] {
        chown(path, Some(owner), None).unwrap();
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    }
    let _protected = fault::protected_regular_files();
    let created = File::options().append(true).create(true).open(&file);
    if created.is_ok() {
        return arrangement::missing("way to set fs.protected_regular");
    }
    let line = with_source(&source, args("clone -q -l SRC dst"));
    let call = arena.shim(line).env("GIT_CLONE_SHIM_LOG_FILE", &file);
    arena.run(call).outcome.succeeded();
    records::wait_for(&file, 1);
}

#[test]
fn escapes_in_the_log_files_name_are_replaced() {
    let Some(arena) = Arena::new(&gits()[0]).across_mounts() else {
        return;
    };
    let source = source::small(&arena, "src");
    let directory = arena.root().join("logs");
    fs::create_dir(&directory).unwrap();
    let line = with_source(&source, args("clone -q -l SRC dst"));
    let pattern = directory.join("%h_%u_%d_100%%d");
    let call = arena.shim(line).env("GIT_CLONE_SHIM_LOG_FILE", pattern);
    arena.run(call).outcome.succeeded();
    let mut names = Vec::new();
    wait::until("the file", || {
        let entries = fs::read_dir(&directory).unwrap();
        names = entries.map(|entry| entry.unwrap().file_name()).collect();
        !names.is_empty()
    });
    let record = records::wait_for(&directory.join(&names[0]), 1).remove(0);
    let [host, time] = ["host", "time"].map(|field| text(&record, field));
    let (day, _) = time.split_once('T').unwrap();
    let uid = nix::unistd::getuid();
    assert_eq!(names, [OsString::from(format!("{host}_{uid}_{day}_100%d"))]);
}

#[test]
fn records_of_two_hundred_shims_are_not_mixed_up() {
    let Some(arena) = Arena::new(&gits()[0]).across_mounts() else {
        return;
    };
    let source = source::small(&arena, "src");
    let file = arena.root().join("log");
    let start = |number: usize| {
        let line = with_source(&source, args(&format!("clone -q -l --bare SRC {number}")));
        let call = arena.shim(line).env("GIT_CLONE_SHIM_LOG_FILE", &file);
        let mut command = call.command;
        command.stdin(Stdio::null()).spawn().unwrap()
    };
    let mut pids = BTreeSet::new();
    // Not all at once, since other tests want to get on meanwhile.
    for wave in 0..4 {
        let shims: Vec<_> = (wave * 50..(wave + 1) * 50).map(start).collect();
        for mut shim in shims {
            assert!(shim.wait().unwrap().success());
            pids.insert(u64::from(shim.id()));
        }
    }
    let records = records::wait_for(&file, 200);
    let recorded = records.iter().filter_map(|record| record["pid"].as_u64());
    assert_eq!(records.len(), 200);
    assert_eq!(recorded.collect::<BTreeSet<_>>(), pids);
    assert!(records.iter().all(|record| record["outcome"] == "cloned"));
}

#[test]
fn observer_holds_nothing_of_gits() {
    for_each_git(|_, arena| {
        let Some(arena) = arena.across_mounts() else {
            return;
        };
        let logs = tempfile::tempdir().unwrap();
        let file = logs.path().join("log");
        // A descriptor that git knows nothing of, as make's job server and flock(1) hand one on.
        let start = Start {
            script: "exec 9<>/dev/null; exec git \"$@\"",
            ..Start::default()
        };
        let paused = PausedClone::start_in(arena, true, start, |command| {
            command.env("GIT_CLONE_SHIM_LOG_FILE", &file);
            only_stderr(command, Stdio::null());
        });
        assert_eq!(paused.git, paused.pid(), "the fallback is git itself");
        let home = paused.arena.root().join("home");
        let [observer] = process::running(executable::shim(), &home)[..] else {
            panic!("there is not one observer");
        };

        let open: Vec<_> = fs::read_dir(format!("/proc/{observer}/fd"))
            .unwrap()
            .map(|entry| fs::read_link(entry.unwrap().path()).unwrap())
            .collect();
        assert_eq!(open, [Path::new("anon_inode:[pidfd]")]);
        let directory = fs::read_link(format!("/proc/{observer}/cwd")).unwrap();
        assert_eq!(directory, Path::new("/"));
        let [its, gits] = [observer, paused.git].map(|process| process::stat(process).unwrap());
        let [parent, group, session, terminal] = [1, 2, 3, 4];
        assert!(![paused.git.to_string(), std::process::id().to_string()].contains(&its[parent]));
        assert_ne!(its[group], gits[group]);
        assert_ne!(its[session], gits[session]);
        assert_eq!(its[terminal], "0");
        // Were it to die of a signal that is meant for all, as at the end of a job, there would be no record.
        for signal in ["TERM", "HUP", "INT", "USR1"] {
            let sent = Command::new("kill")
                .args(["-s", signal, &observer.to_string()])
                .status();
            assert!(
                sent.unwrap().success() && process::is_running(observer),
                "{signal}"
            );
        }
        assert!(!file.exists());

        paused.release();
        let record = records::wait_for(&file, 1).remove(0);
        assert_eq!(text(&record, "outcome"), "cloned");
        wait::until("its end", || !process::is_running(observer));
        assert_eq!(paused.end().0.code(), Some(0));
    });
}

#[test]
fn outcome_is_started_without_an_observer() {
    for_each_git(|_, arena| {
        let arena = arena.with_links_failing(libc::EXDEV);
        let source = source::small(&arena, "src");
        let line = with_source(&source, args("clone -q -l SRC dst"));
        // As before Linux 5.3.
        let record = fault::with_calls_failing(&[libc::SYS_pidfd_open], libc::ENOSYS, || {
            record_of(&arena, &line)
        });
        assert_eq!(text(&record, "outcome"), "started");
        assert_eq!(record.get("fallback_ms"), None);
        assert!(record["attempt_ms"].is_u64());

        // As in a container whose only process is git: a process that hangs on the log's filesystem would keep it from ending.
        let file = arena.root().join("container");
        let script = format!("exec git clone -q -l '{}' dst", source.display());
        let Some(outcome) = unshared(&arena, &["--pid", "--fork"], &script, |call| {
            call.env("GIT_CLONE_SHIM_LOG_FILE", &file)
        }) else {
            return;
        };
        outcome.succeeded();
        assert!(!file.exists(), "process 1 writes to no file");
    });
}

/// Runs a shell script with the shim first on PATH, as root of a user namespace with these further ones.
#[track_caller]
fn unshared(
    arena: &Arena,
    namespaces: &[&str],
    script: &str,
    arrange: impl FnOnce(Call) -> Call,
) -> Option<Outcome> {
    let mut command = arena.command("unshare");
    command
        .args(["--user", "--map-root-user"])
        .args(namespaces)
        .args(["sh", "-ec", script])
        .env(
            "PATH",
            Arena::path(&[arena.shim_directory(), arena.real_directory()]),
        );
    let outcome = arena.run(arrange(Call::new(command))).outcome;
    if outcome.stderr_contains("unshare") || outcome.stderr_contains("mount:") {
        arrangement::missing("user namespace to mount in");
        return None;
    }
    Some(outcome)
}

#[test]
fn system_log_gets_one_line() {
    for_each_git(|_, arena| {
        let arena = arena.with_links_failing(libc::EPERM);
        let source = source::small(&arena, "src");
        let line = with_source(&source, args("clone -q -l SRC dst"));
        let expected = arena.run(arena.real(with_no_hardlinks(&line))).outcome;
        // A /dev of the test's own.
        let devices = arena.root().join("dev");
        fs::create_dir(&devices).unwrap();
        fs::write(devices.join("null"), "").unwrap();
        let log = UnixDatagram::bind(devices.join("log")).unwrap();
        log.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        let script = format!(
            "mount --bind /dev/null '{dev}/null'; mount --rbind '{dev}' /dev; exec git clone -q -l '{source}' dst",
            dev = devices.display(),
            source = source.display(),
        );
        let run = |value: &'static str| {
            unshared(&arena, &["--mount"], &script, |call| {
                call.env("GIT_CLONE_SHIM_SYSLOG", value)
            })
        };
        let Some(outcome) = run("1") else {
            return;
        };
        assert_eq!(outcome, expected);
        let mut datagram = [0; 4096];
        let length = log.recv(&mut datagram).unwrap();
        let line = str::from_utf8(&datagram[..length]).unwrap();
        let (header, fields) = line.split_once("]: ").unwrap();
        // <user.info>, identifier and process; syslogd and journald add the time.
        assert!(header.starts_with("<14>git-clone-shim["), "{line}");
        for field in [
            "cause=\"link refused\"",
            "error=\"EPERM\"",
            "outcome=\"cloned\"",
            "attempt_ms=",
            "fallback_ms=",
            "uid=0",
        ] {
            assert!(fields.contains(field), "{field} in {line}");
        }

        // A log that nothing reads is not waited for.
        drop(log);
        assert_eq!(run("1"), Some(expected.clone()));
        assert_eq!(run("0"), Some(expected));
    });
}
