//! Under limits and in hostile surroundings a call through the shim ends as with git, as the copy with git, or with one line of
//! the shim's own and status 125, 126 or 127. It never does half of a clone.

use std::fs;

use nix::libc;

use crate::support::arena::{Arena, REFUSED, RunResult};
use crate::support::arrangement;
use crate::support::call::only_stderr;
use crate::support::executable;
use crate::support::gits::gits;
use crate::support::paused_clone::{PausedClone, START, Stage, Start};
use crate::support::process;

/// The kinds of calls: a pass-through, a clone that links, and one that copies by itself.
const CALLS: [&str; 3] = ["git -C $SRC log --oneline", "git clone $COPY -l $SRC dst", "git clone $SRC dst"];

/// Shell code that sets up the surroundings. `$ROOT` is the arena's directory.
/// Each of the numbers is tried.
const SURROUNDINGS: [(&str, &str); 7] = [
    ("ulimit -n", "3 4 5 6 8 16"),
    // SIGXFSZ kills git, or git gets EFBIG where that is ignored.
    ("ulimit -c 0; ulimit -f", "0 1 16"),
    ("trap '' XFSZ; ulimit -f", "0 16"),
    ("ulimit -v", "24576 32768 65536"),
    ("mkdir gone; cd gone; rmdir ../gone", ""),
    ("shim=${PATH%%:*}; PATH=$shim:$(printf '/nowhere/%s:' {1..2000})${PATH#*:}", ""),
    ("umask", "777"),
];

/// As [`SURROUNDINGS`], for root: in a mount namespace of their own.
const MOUNTS: [(&str, &str); 4] = [
    ("mount --bind $ROOT $ROOT; cd $PWD; mount -o remount,bind,ro /", ""),
    ("mount -t tmpfs none /proc", ""),
    ("mount -t tmpfs none /sys", ""),
    // After /dev/null has been opened for the shell's own streams. The arena may be in /dev/shm.
    (
        "mkdir -p $ROOT/shm; mount --bind /dev/shm $ROOT/shm; mount -t tmpfs none /dev; mkdir /dev/shm; mount --move $ROOT/shm /dev/shm",
        "",
    ),
];

/// Checks each call in these surroundings; `wrap` puts a command before the shell.
fn check(arena: &Arena, wrap: &str, surroundings: &[(&str, &str)]) {
    let mut successes = 0;
    let each = |&(setup, numbers): &(&str, &str)| -> Vec<_> {
        numbers.split(' ').map(|number| format!("{setup} {number}").replace('\'', "'\\''")).collect()
    };
    for setup in surroundings.iter().flat_map(each) {
        for call in CALLS {
            let script = format!("exec {wrap} bash -c '{setup}\nexec {call}'");
            let run = |through_shim: bool, script: &str| -> RunResult {
                let result = arena.run(arena.script(through_shim, script).env("ROOT", arena.root()));
                // What git leaves behind when it is refused something could still write in the next call's directory.
                process::wait_for_all_of(arena);
                result
            };
            let real = run(false, &script.replace("$COPY", ""));
            let copy = run(false, &script);
            let shim = run(true, &script);
            successes += usize::from(real.outcome.status.success());
            // Both git alone and the git below the shim fail, but one of them earlier.
            let fails_as_git = !real.outcome.status.success()
                && (shim.outcome.status, &shim.tree) == (real.outcome.status, &real.tree);
            let is_own = [125, 126, 127].iter().any(|&status| shim.outcome.is_our_failure(status));
            assert!(
                shim == real || shim == copy || fails_as_git || is_own && shim.tree.is_empty(),
                "{script}\nshim, git and copy: {:?}",
                [&shim, &real, &copy].map(|result| &result.outcome)
            );
        }
    }
    assert!(successes > 0, "git itself never succeeds");
}

#[test]
fn limits_and_odd_surroundings_change_nothing() {
    for arena in Arena::linking_and_refusing(&gits()[0]) {
        check(&arena, "", &SURROUNDINGS);
    }
}

#[test]
fn missing_parts_of_the_system_change_nothing() {
    if !arrangement::is_root() {
        return;
    }
    for arena in Arena::linking_and_refusing(&gits()[0]) {
        check(&arena, "unshare --mount", &MOUNTS);
        // Process 1 of a container.
        check(&arena, "unshare --pid --fork --mount-proc", &[("true", "")]);
    }
    // The first child of this git is process 1, and has no parent there. Once it has ended, the kernel makes no other: a fallback
    // cannot work.
    let [arena, _] = Arena::linking_and_refusing(&gits()[0]);
    let clone = "exec unshare --pid git clone -l $SRC dst";
    arena.assert_script_twins(clone).outcome.succeeded();
}

#[test]
fn shim_or_git_that_goes_while_it_runs_changes_nothing() {
    for change in ["rm shim/git", "install /bin/false shim/git", "mv shim/git shim/old", "rm real/git"] {
        let arena = Arena::new(&gits()[0]).with_links_failing(libc::EPERM);
        let shim = arena.shim_directory().join("git");
        fs::remove_file(&shim).unwrap();
        executable::copy(executable::shim(), &shim);
        let stderr = fs::File::create(arena.root().join("stderr")).unwrap();
        let start = Start { stage: Stage::Transport, ..START };
        let mut paused = PausedClone::start_in(arena, true, start, |command| only_stderr(command, stderr));
        let change_it = format!("cd \"$HOME/..\"; {change}");
        paused.arena.prepare(&change_it)(paused.arena.root());
        // One line for the attempt, one for the fallback.
        paused.release_to(":\n:");
        let status = paused.wait();
        let stderr = fs::read_to_string(paused.arena.root().join("stderr")).unwrap();
        if status.success() {
            assert!(paused.arena.work_dir().join("dst/three").exists());
            assert!(!stderr.contains(REFUSED), "{stderr}");
        } else {
            // Where no other git is on PATH.
            assert!(change == "rm real/git" && stderr.contains("git-clone-shim: "), "{stderr}");
        }
    }
}
