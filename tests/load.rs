//! Many clones at once, many calls in a row, signals at random moments, and two clones to one destination: nothing is lost,
//! damaged or left behind.
//!
//! In a short form by default; `GIT_CLONE_SHIM_TEST_LOAD=1` asks for the long one.

use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Child, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use nix::libc;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::support::arena::{Arena, REFUSED};
use crate::support::args::{Args, args, with_no_hardlinks, with_source};
use crate::support::call::{Call, Outcome};
use crate::support::executable;
use crate::support::gits::gits;
use crate::support::process;
use crate::support::records;
use crate::support::source;
use crate::support::tree;
use crate::support::wait;

/// `short` rounds, or `long` ones where `GIT_CLONE_SHIM_TEST_LOAD` is set.
fn rounds(short: usize, long: usize) -> usize {
    match std::env::var_os("GIT_CLONE_SHIM_TEST_LOAD") {
        Some(_) => long,
        None => short,
    }
}

/// Random numbers from a seed that is fixed, so that a failure comes again (splitmix64).
struct Random(u64);

impl Random {
    /// A number below `end`.
    fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % end
    }
}

/// An arena in which links are refused, a source, and the args of a clone; with the first git of this machine.
fn refusing() -> (Arena, Args) {
    let arena = Arena::new(&gits()[0]).with_links_failing(libc::EPERM);
    let source = source::small(&arena, "src");
    let line = with_source(&source, args("clone -l SRC dst"));
    let refused = arena.run(arena.real(line.clone())).outcome;
    assert!(refused.died_of(REFUSED), "{refused:?}");
    tree::clear(arena.work_dir());
    (arena, line)
}

/// Starts a call under the arena's fault, with stdout and stderr in pipes.
fn start(arena: &Arena, call: Call) -> Child {
    let mut command = call.command;
    command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    arena.under_fault(|| command.spawn().unwrap())
}

/// Waits until no process of this arena is left.
#[track_caller]
fn assert_nothing_runs(arena: &Arena) {
    let home = arena.root().join("home");
    wait::until("the processes to end", || {
        let mut left = process::with_home(&home);
        left.retain(|&process| process::is_running(process));
        left.is_empty()
    });
}

/// Asserts that the repository `directory` has all its objects, and a work tree without changes.
#[track_caller]
fn assert_intact(arena: &Arena, directory: &Path) {
    for line in ["fsck --full --strict", "status --porcelain"] {
        let outcome = arena.real(args(line)).cwd(directory).run();
        assert!(
            outcome.status.success() && outcome.stdout.is_empty(),
            "{outcome:?}"
        );
    }
}

#[test]
fn crowd_of_clones_is_intact() {
    const CROWD: usize = 64;
    let (arena, line) = refusing();
    let children: Vec<_> = (0..CROWD)
        .map(|number| {
            let mut line = line.clone();
            *line.last_mut().unwrap() = format!("clone-{number}").into();
            start(&arena, arena.shim(line))
        })
        .collect();
    for (number, child) in children.into_iter().enumerate() {
        let output = child.wait_with_output().unwrap();
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.success(), "{:?}: {stderr}", output.status);
        assert_eq!(output.stdout, b"");
        // An attempt of more than a second shows its first line (README, "Differences from plain git").
        let first = format!("Cloning into 'clone-{number}'...\n");
        let late = stderr.strip_prefix(&first).unwrap();
        assert!(
            late == "done.\n" || late == format!("{first}done.\n"),
            "{stderr}"
        );
    }
    assert_nothing_runs(&arena);
    for number in 0..CROWD {
        assert_intact(&arena, &arena.work_dir().join(format!("clone-{number}")));
    }
    let links = tree::object_links(arena.work_dir());
    assert!(links.iter().all(|&links| links == 1), "{links:?}");
    assert_eq!(fs::read_dir(arena.work_dir()).unwrap().count(), CROWD);
}

#[test]
fn calls_in_a_row_leave_nothing_behind() {
    // One shell, which a git has started through the shim, makes all calls. Each clone has git's upload-pack report memory
    // and descriptors of the shim that supervises it.
    let (arena, line) = refusing();
    let (calls, clones) = (rounds(200, 10_000), rounds(20, 1_000));
    let [log, report, before, after] =
        ["log", "report", "before", "after"].map(|name| arena.root().join(name));
    let upload_pack = executable::script(
        &arena.root().join("upload-pack"),
        &format!(
            "#!/bin/sh
             read -r _ _ _ parent _ </proc/$PPID/stat
             if [ \"$(readlink /proc/$parent/exe)\" = {} ]; then
                 set -- \"$1\" /proc/$parent/fd/*
                 echo $(($# - 1)) $(grep VmHWM /proc/$parent/status) >>{}
             fi
             exec git upload-pack \"$1\"\n",
            executable::shim().canonicalize().unwrap().display(),
            report.display()
        ),
    );
    let source = line[2].to_str().unwrap();
    let script = format!(
        "set -e
         state() {{ ls /proc/$$/fd; env | tr -d 0-9 | sort; git -c 'alias.e=!env' e | tr -d 0-9 | sort; }}
         state >{before}
         i=0; while [ $((i += 1)) -le {calls} ]; do git --version >/dev/null; done
         i=0; while [ $((i += 1)) -le {clones} ]; do
             git clone -q -l -u 'exec {upload_pack}' {source} dst
             rm -r dst
         done
         state >{after}",
        before = before.display(),
        after = after.display(),
        upload_pack = upload_pack.display(),
    );
    let caller = executable::script(
        &arena.root().join("caller"),
        &format!("#!/bin/sh\n{script}\n"),
    );
    let alias = format!("alias.many=!{}", caller.display());
    let many = ["-c".into(), alias.into(), "many".into()];
    let call = arena.shim(many).env("GIT_CLONE_SHIM_LOG_FILE", &log);
    // git puts its own programs first on PATH for an alias.
    let call = call.env("GIT_EXEC_PATH", arena.shim_directory());
    arena.run(call).outcome.succeeded();
    assert_nothing_runs(&arena);
    let [before, after] = [before, after].map(|file| fs::read_to_string(file).unwrap());
    assert_eq!(before, after);
    assert_eq!(records::wait_for(&log, clones).len(), clones);
    for directory in ["tmp", "work"] {
        let left = fs::read_dir(arena.root().join(directory)).unwrap().count();
        assert_eq!(left, 0, "{directory}");
    }
    let report = fs::read_to_string(report).unwrap();
    let (descriptors, memory): (Vec<usize>, Vec<usize>) = report
        .lines()
        .map(|line| {
            let mut fields = line.split_whitespace();
            let descriptors = fields.next().unwrap().parse::<usize>().unwrap();
            (
                descriptors,
                fields.nth(1).unwrap().parse::<usize>().unwrap(),
            )
        })
        .unzip();
    assert_eq!(memory.len(), clones, "{report}");
    assert!(
        descriptors.iter().all(|&count| count == descriptors[0]),
        "{report}"
    );
    let (first, last) = memory.split_at(clones / 2);
    let [first, last] = [first, last].map(|peaks| *peaks.iter().max().unwrap());
    eprintln!(
        "{calls} calls, {clones} fallbacks: {} descriptors, {first} kB, then {last} kB",
        descriptors[0]
    );
    // Peaks differ by some pages from run to run.
    assert!(last < first + 512, "{report}");
}

/// What is at a destination.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Left {
    /// Nothing, or an empty directory: git clones there.
    Free,
    /// A repository that is complete; perhaps without all of its work tree.
    Repository,
    /// Anything else.
    Part,
}

fn left(arena: &Arena, destination: &Path) -> Left {
    let Ok(mut entries) = fs::read_dir(destination) else {
        return Left::Free;
    };
    if entries.next().is_none() {
        return Left::Free;
    }
    let check = arena.real(args("-C dst fsck --full --strict")).run();
    match check.status.success() && destination.join(".git/HEAD").exists() {
        true => Left::Repository,
        false => Left::Part,
    }
}

/// Runs a clone, sends it a signal after `delay`, and SIGCONT after SIGSTOP. Waits until all of its processes have ended.
fn run_with_signal(arena: &Arena, call: Call, signal: Signal, delay: Duration) -> ExitStatus {
    tree::clear(arena.work_dir());
    let mut child = start(arena, call);
    let pid = Pid::from_raw(child.id().cast_signed());
    wait::for_moment(delay);
    // Not waited for yet, so the pid is still this child's.
    kill(pid, signal).unwrap();
    if signal == Signal::SIGSTOP {
        wait::until("the clone to stop", || {
            !process::is_running(pid) || process::is_stopped(pid)
        });
        kill(pid, Signal::SIGCONT).unwrap();
    }
    let status = child.wait().unwrap();
    assert_nothing_runs(arena);
    status
}

#[test]
fn signals_at_random_moments_leave_what_git_leaves() {
    let (arena, line) = refusing();
    let copying = with_no_hardlinks(&line);
    let destination = arena.work_dir().join("dst");
    let call = |through_shim| match through_shim {
        true => arena.shim(line.clone()),
        false => arena.real(copying.clone()),
    };
    let longest = [false, true].map(|through_shim| {
        let started = Instant::now();
        let outcome = arena.run(call(through_shim)).outcome;
        assert!(outcome.status.success(), "{outcome:?}");
        u64::try_from(started.elapsed().as_micros()).unwrap()
    });
    let mut random = Random(13);
    let mut tally = std::collections::BTreeMap::<_, usize>::new();
    let signals = [
        Signal::SIGKILL,
        Signal::SIGTERM,
        Signal::SIGINT,
        Signal::SIGSTOP,
    ];
    for round in 0..rounds(40, 500) {
        let signal = signals[round % signals.len()];
        for through_shim in [false, true] {
            let delay = Duration::from_micros(random.below(longest[usize::from(through_shim)]));
            let status = run_with_signal(&arena, call(through_shim), signal, delay);
            let left = left(&arena, &destination);
            let what =
                format!("{signal} after {delay:?}, shim {through_shim}: {status:?}, {left:?}");
            let ended = match (status.code(), status.signal()) {
                (Some(0), _) => "succeeded",
                (_, Some(number)) if number == signal as i32 => "killed",
                // git alone aborts, too, about once in 500 times.
                (_, Some(libc::SIGABRT)) if signal != Signal::SIGKILL => "aborted",
                // A signal that comes while git dies of the refused link: see README, "Differences from plain git".
                (Some(128), _) if through_shim && signal != Signal::SIGKILL => "refused",
                _ => panic!("{what}"),
            };
            match (signal, ended) {
                (Signal::SIGSTOP, _) => {
                    assert_eq!((ended, left), ("succeeded", Left::Repository), "{what}");
                }
                (_, "succeeded") => assert_eq!(left, Left::Repository, "{what}"),
                (_, "aborted") => {}
                // git removes what it has made, or keeps the repository if only the checkout was missing.
                (Signal::SIGTERM | Signal::SIGINT, _) => assert_ne!(left, Left::Part, "{what}"),
                _ => {}
            }
            // The same command again: a clone, or git's error that something is there.
            let again = arena.under_fault(|| call(through_shim).run());
            if left == Left::Free {
                assert!(again.status.success(), "{what}: {again:?}");
                assert_intact(&arena, &destination);
            } else {
                assert!(is_occupied(&again), "{what}: {again:?}");
            }
            *tally
                .entry((signal.as_str(), through_shim, ended, format!("{left:?}")))
                .or_default() += 1;
        }
    }
    for ((signal, through_shim, ended, left), count) in tally {
        let program = if through_shim { "shim" } else { "git" };
        eprintln!("{signal} {program}: {ended}, {left}: {count}");
    }
}

/// Whether git found something at the destination.
fn is_occupied(outcome: &Outcome) -> bool {
    outcome.died_of("fatal: destination path 'dst' already exists and is not an empty directory.")
}

#[test]
fn two_clones_to_one_destination_damage_nothing() {
    // git accepts an empty directory, also one that another git has just made. So with git alone both clones can fail, too:
    // each in the files of the other. Through the shim that is more frequent, since a clone with a fallback makes its
    // destination twice.
    let (arena, line) = refusing();
    let mut random = Random(13);
    for (name, through_shim, line) in [
        ("git", false, with_no_hardlinks(&line)),
        ("shim", true, line),
    ] {
        let mut counts = [0; 2];
        for _ in 0..rounds(20, 200) {
            tree::clear(arena.work_dir());
            let call = || match through_shim {
                true => arena.shim(line.clone()),
                false => arena.real(line.clone()),
            };
            let first = start(&arena, call());
            wait::for_moment(Duration::from_micros(random.below(15_000)));
            let second = start(&arena, call());
            let outputs = [first, second].map(|child| child.wait_with_output().unwrap());
            assert_nothing_runs(&arena);
            let succeeded = outputs
                .iter()
                .filter(|output| output.status.success())
                .count();
            assert!(succeeded < 2, "{outputs:?}");
            counts[succeeded] += 1;
            for output in &outputs {
                // git ends with 1 where it cannot make a directory (`safe_create_dir` in path.c): the other has removed it.
                // And it aborts where the other has written references already (`BUG` in refs/files-backend.c).
                let statuses = [Some(0), Some(1), Some(128)];
                let aborted = output.status.signal() == Some(libc::SIGABRT)
                    && output.stderr.windows(4).any(|text| text == b"BUG:");
                assert!(
                    aborted || statuses.contains(&output.status.code()),
                    "{output:?}"
                );
            }
            if succeeded == 1 {
                assert_intact(&arena, &arena.work_dir().join("dst"));
            }
        }
        let [none, one] = counts;
        eprintln!("{name}: one succeeded {one} times, none {none} times");
        assert!(one > none, "{name}: {counts:?}");
    }
}
