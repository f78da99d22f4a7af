//! Many calls in a row, signals at random moments, and two clones to one destination: nothing is lost,
//! damaged or left behind.
//!
//! They run where `GIT_CLONE_SHIM_TEST_LOAD` is set, as by .ci/full.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use nix::libc::{SIGABRT, SIGINT, SIGKILL, SIGSTOP, SIGTERM};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::support::arena::Arena;
use crate::support::executable;
use crate::support::gits::gits;
use crate::support::process;
use crate::support::tree;
use crate::support::wait;

/// An arena in which links are refused, if a long run is asked for.
fn refusing() -> Option<Arena> {
    if std::env::var_os("GIT_CLONE_SHIM_TEST_LOAD").is_none() {
        eprintln!("NOT TESTED: set GIT_CLONE_SHIM_TEST_LOAD=1, as .ci/full does");
        return None;
    }
    let [_, arena] = Arena::linking_and_refusing(&gits()[0]);
    tree::clear(arena.work_dir());
    Some(arena)
}

/// Starts a script under the arena's fault, with stdout and stderr in pipes.
fn start(arena: &Arena, through_shim: bool, script: &str) -> Child {
    let mut command = arena.script(through_shim, script).command;
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    arena.under_fault(|| command.spawn().unwrap())
}

/// Whether the repository `name` has all its objects, and perhaps a work tree without changes.
fn is_intact(arena: &Arena, name: &str, with_work_tree: bool) -> bool {
    let status = if with_work_tree { "test -z \"$(git status --porcelain)\"" } else { "test -e .git/HEAD" };
    let check = format!("cd {name} && git fsck --full --strict && {status}");
    arena.script(false, &check).run().status.success()
}

/// One shell makes all calls. Each attempt has git's upload-pack report memory and descriptors of the shim above it.
const ROW: &str = r#"set -e
cat >$HOME/upload-pack <<'END'
#!/bin/sh
read -r _ _ _ parent _ </proc/$PPID/stat
if [ "$(readlink /proc/$parent/exe)" = "$SHIM" ]; then
    set -- "$1" /proc/$parent/fd/*
    echo $(($# - 1)) $(grep VmHWM /proc/$parent/status) >>$HOME/report
fi
exec git upload-pack "$1"
END
chmod +x $HOME/upload-pack
# Not in $(…): ls could see the pipe of that, before the shell closes its end.
state() { ls /proc/$$/fd; env | tr -d 0-9 | sort; git -c 'alias.e=!env' e | tr -d 0-9 | sort; }
state >$HOME/before
for ((i = 0; i < 10000; i++)); do git --version >/dev/null; done
for ((i = 0; i < 1000; i++)); do git clone -q -l -u "exec $HOME/upload-pack" $SRC dst; rm -r dst; done
state >$HOME/after
diff $HOME/before $HOME/after
"#;

#[test]
fn calls_in_a_row_leave_nothing_behind() {
    let Some(arena) = refusing() else { return };
    let shim = executable::shim().canonicalize().unwrap();
    arena.run(arena.script(true, ROW).env("SHIM", shim)).outcome.succeeded();
    process::wait_for_all_of(&arena);
    for directory in ["tmp", "work"] {
        assert_eq!(fs::read_dir(arena.root().join(directory)).unwrap().count(), 0, "{directory}");
    }
    let report = fs::read_to_string(arena.root().join("home/report")).unwrap();
    let field = |number: usize| -> Vec<usize> {
        let fields = report.lines().map(|line| line.split_whitespace().nth(number).unwrap());
        fields.map(|field| field.parse().unwrap()).collect()
    };
    let (descriptors, memory) = (field(0), field(2));
    assert_eq!(memory.len(), 1000, "{report}");
    assert!(descriptors.iter().all(|&count| count == descriptors[0]), "{report}");
    let (first, last) = memory.split_at(500);
    let [first, last] = [first, last].map(|peaks| *peaks.iter().max().unwrap());
    eprintln!("{} descriptors, {first} kB, then {last} kB", descriptors[0]);
    // Peaks differ by some pages from run to run.
    assert!(last < first + 512, "{report}");
}

/// What is at a destination.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Left {
    /// Nothing, or an empty directory: git clones there.
    Free,
    /// A repository that is complete; perhaps without all of its work tree.
    Repository,
    /// Anything else.
    Part,
}

fn left(arena: &Arena) -> Left {
    let entries = fs::read_dir(arena.work_dir().join("dst"));
    if entries.is_ok_and(|mut entries| entries.next().is_some()) {
        if is_intact(arena, "dst", false) { Left::Repository } else { Left::Part }
    } else {
        Left::Free
    }
}

#[test]
fn signals_at_random_moments_leave_what_git_leaves() {
    let Some(arena) = refusing() else { return };
    let clone = "exec git clone $COPY -l $SRC dst";
    let longest = [false, true].map(|through_shim| {
        let started = Instant::now();
        arena.run(arena.script(through_shim, clone)).outcome.succeeded();
        started.elapsed()
    });
    let (mut tally, mut parts) = (BTreeMap::<String, usize>::new(), 0);
    // A step that shares no factor with the number of moments: they come in no order, and each once.
    let moments = (0..500).map(|turn| turn * 191 % 500);
    for (signal, moment) in [SIGKILL, SIGTERM, SIGINT, SIGSTOP].into_iter().cycle().zip(moments) {
        for through_shim in [false, true] {
            tree::clear(arena.work_dir());
            let delay = longest[usize::from(through_shim)] * moment / 500;
            let mut child = start(&arena, through_shim, clone);
            let pid = Pid::from_raw(child.id().cast_signed());
            wait::for_moment(delay);
            // Not waited for yet, so the pid is still this child's.
            kill(pid, Signal::try_from(signal).unwrap()).unwrap();
            if signal == SIGSTOP {
                wait::until("the clone to stop", || !process::is_running(pid) || process::is_stopped(pid));
                kill(pid, Signal::SIGCONT).unwrap();
            }
            let status = child.wait().unwrap();
            process::wait_for_all_of(&arena);
            let left = left(&arena);
            let what = format!("{signal} after {delay:?}, shim {through_shim}: {status:?}, {left:?}");
            let ended = match (status.code(), status.signal()) {
                (Some(0), _) => "succeeded",
                (_, Some(number)) if number == signal => "killed",
                // git alone aborts, too, about once in 500 times.
                (_, Some(SIGABRT)) if signal != SIGKILL => "aborted",
                // A signal that comes while git dies of the refused link.
                (Some(128), _) if through_shim && signal != SIGKILL => "refused",
                _ => panic!("{what}"),
            };
            match (signal, ended) {
                (SIGSTOP, _) => {
                    assert_eq!((ended, left), ("succeeded", Left::Repository), "{what}");
                }
                (_, "succeeded") => assert_eq!(left, Left::Repository, "{what}"),
                // git removes what it has made, or keeps the repository if only the checkout was missing. If its handler
                // interrupts malloc(3) it may remove nothing: measured with git alone, about 4 in 60,000 times.
                (SIGTERM | SIGINT, "killed" | "refused") => parts += usize::from(left == Left::Part),
                _ => {}
            }
            // The same command again: a clone, or git's error that something is there.
            let again = arena.under_fault(|| arena.script(through_shim, clone).run());
            if left == Left::Free {
                assert!(again.status.success() && is_intact(&arena, "dst", true), "{what}: {again:?}");
            } else {
                let occupied = "destination path 'dst' already exists and is not an empty directory.";
                assert!(again.died_of(occupied), "{what}: {again:?}");
            }
            *tally.entry(format!("signal {signal}, shim {through_shim}: {ended}, {left:?}")).or_default() += 1;
        }
    }
    assert!(parts <= 1, "{tally:#?}");
    eprintln!("{tally:#?}");
}

#[test]
fn two_clones_to_one_destination_mostly_leave_one() {
    // git accepts an empty directory, also one that another git has just made. So with git alone both clones can fail, each in the
    // files of the other, or one succeeds in what the other has damaged. Through the shim that is more frequent, since a clone with
    // a fallback makes its destination twice; and both can succeed, one after the other has removed what the first had made.
    let Some(arena) = refusing() else { return };
    for through_shim in [false, true] {
        let mut tally = BTreeMap::<(usize, Left), usize>::new();
        for turn in 0..200 {
            tree::clear(arena.work_dir());
            let clone = || start(&arena, through_shim, "exec git clone $COPY -l $SRC dst");
            let first = clone();
            wait::for_moment(Duration::from_micros(turn * 67 % 200 * 75));
            let outputs = [first, clone()].map(|child| child.wait_with_output().unwrap());
            process::wait_for_all_of(&arena);
            for output in &outputs {
                // git ends with 1 where it cannot make a directory (`safe_create_dir` in path.c): the other has removed it.
                // And it aborts where the other has written references already (`BUG` in refs/files-backend.c).
                let aborted =
                    output.status.signal() == Some(SIGABRT) && output.stderr.windows(4).any(|text| text == b"BUG:");
                assert!(aborted || matches!(output.status.code(), Some(0 | 1 | 128)), "{output:?}");
            }
            let succeeded = outputs.iter().filter(|output| output.status.success()).count();
            *tally.entry((succeeded, left(&arena))).or_default() += 1;
        }
        eprintln!("shim {through_shim}: {tally:?}");
        assert!(tally[&(1, Left::Repository)] > 100, "{tally:?}");
    }
}
