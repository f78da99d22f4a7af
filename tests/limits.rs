//! Under limits and in hostile surroundings a call through the shim ends as with git, or with one line of the shim's own and
//! status 125, 126 or 127. It never does half of a clone, and a clone where git cannot link is cured if a copy is possible.

use std::fs;
use std::hash::{BuildHasher, RandomState};
use std::os::unix::fs::chown;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use nix::libc;

use crate::support::arena::{Arena, REFUSED, RunResult};
use crate::support::args::{Args, args, with_no_hardlinks, with_source};
use crate::support::arrangement;
use crate::support::call::Call;
use crate::support::executable;
use crate::support::gits::gits;
use crate::support::paused_clone::{PausedClone, Stage, Start};
use crate::support::process;
use crate::support::source;
use crate::support::wait;

/// How often the calls of one test ended in which way.
#[derive(Debug, Default)]
struct Tally {
    as_git: usize,
    failed_as_git: usize,
    cured: usize,
    own_error: usize,
}

/// Where calls are made: an arena, and a command that sets up the surroundings and execs its args.
struct Surroundings<'a> {
    arena: &'a Arena,
    caller: Caller<'a>,
    tally: Tally,
}

/// Who makes the calls.
#[derive(Clone, Copy)]
enum Caller<'a> {
    /// A command that runs the shell, such as `unshare --mount`; may be empty.
    Command(&'a [&'a str]),
    /// Another user for each call.
    NewUser,
}

impl Caller<'_> {
    /// The command that runs the shell, which may write in `arena`.
    fn command(self, arena: &Arena) -> Vec<String> {
        let user = match self {
            Self::Command(argv) => return argv.iter().map(|&arg| arg.to_owned()).collect(),
            Self::NewUser => unused_user(),
        };
        for owned in [arena.work_dir(), &arena.root().join("tmp")] {
            chown(owned, Some(user), Some(user)).unwrap();
        }
        let user = user.to_string();
        [
            "setpriv",
            "--clear-groups",
            "--reuid",
            &user,
            "--regid",
            &user,
        ]
        .map(str::to_owned)
        .into()
    }
}

/// A uid drawn at random. What another test or another container on this kernel runs counts against the limit of its own
/// user, and so do the zombies of earlier calls, until init has waited for them.
fn unused_user() -> u32 {
    // Containers often map no uid above 65,535.
    let draw = RandomState::new().hash_one(()) % 50_000;
    10_000 + u32::try_from(draw).unwrap()
}

impl<'a> Surroundings<'a> {
    fn new(arena: &'a Arena, caller: Caller<'a>) -> Self {
        Self {
            arena,
            caller,
            tally: Tally::default(),
        }
    }

    /// Has bash run `setup` and exec git with `args`.
    fn run(&self, setup: &str, through_shim: bool, args: &Args) -> RunResult {
        let mut argv = self.caller.command(self.arena);
        argv.extend(["bash", "-c"].map(str::to_owned));
        let mut command = self.arena.command(&argv[0]);
        command
            .args(&argv[1..])
            .arg(format!("{setup}\nexec git \"$@\""))
            .arg("bash")
            .args(args)
            .env("PATH", self.arena.path_of(through_shim));
        let result = self.arena.run(Call::new(command));
        // What git leaves behind when it is refused something could still write in the next call's directory.
        let home = self.arena.root().join("home");
        wait::until("the processes to end", || {
            process::with_home(&home).is_empty()
        });
        result
    }

    /// Whether the kernel and the dynamic loader can start git and the shim here. The tests' build of the shim is larger than
    /// git, and than a release build.
    fn can_load(&self, setup: &str) -> bool {
        let programs = [Path::new("git"), executable::shim()];
        programs.iter().all(|program| {
            let mut command = self.arena.command("bash");
            let script = format!("ulimit -c 0; {setup}\nexec {} --version", program.display());
            command.args(["-c", &script]);
            let outcome = Call::new(command).run();
            outcome.status.code().is_some_and(|status| status != 127)
        })
    }

    /// Asserts that `args` come to the same through the shim as with git, to the same as a copy with git, or to an error of
    /// the shim's own that leaves nothing.
    #[track_caller]
    fn check(&mut self, setup: &str, args: &Args) {
        let real = self.run(setup, false, args);
        let is_clone = args.iter().any(|arg| arg == "clone");
        let copy = is_clone.then(|| self.run(setup, false, &with_no_hardlinks(args)));
        let shim = || self.run(setup, true, args);
        let shim = match &copy {
            Some(copy) => copy.retried_while_late(shim),
            None => shim(),
        };
        if shim == real {
            self.tally.as_git += 1;
        } else if copy.as_ref() == Some(&shim) {
            self.tally.cured += 1;
        } else if !real.outcome.status.success()
            && shim.outcome.status == real.outcome.status
            && shim.tree == real.tree
        {
            // Both git alone and the git below the shim fail, but one of them earlier.
            self.tally.failed_as_git += 1;
        } else {
            let is_own = [125, 126, 127].map(|status| shim.outcome.is_our_failure(status));
            assert!(
                is_own.contains(&true) && shim.tree.is_empty(),
                "{setup}\nshim: {:?}\ngit: {:?}\ncopy: {:?}",
                shim.outcome,
                real.outcome,
                copy.map(|copy| copy.outcome)
            );
            self.tally.own_error += 1;
        }
    }
}

/// The kinds of calls: a pass-through, a clone that links, and one that copies by itself.
fn calls(source: &Path) -> Vec<Args> {
    [
        "--version",
        "-C SRC log --oneline",
        "clone --no-hardlinks SRC dst",
        "clone -l SRC dst",
        "clone SRC dst",
    ]
    .map(|line| with_source(source, args(line)))
    .into()
}

/// Checks every call in each of these surroundings, where links succeed and where they are refused. Prints how they ended.
#[track_caller]
fn check_everywhere(arena: Arena, source: &Path, caller: Caller<'_>, setups: &[String]) {
    let mut arena = arena;
    for refused in [false, true] {
        if refused {
            arena = arena.with_links_failing(libc::EPERM);
        }
        let mut surroundings = Surroundings::new(&arena, caller);
        for setup in setups {
            // Only limits can keep a program from being loaded; the other surroundings may not be set up twice.
            if setup.starts_with("ulimit") && !surroundings.can_load(setup) {
                continue;
            }
            for args in calls(source) {
                surroundings.check(setup, &args);
            }
        }
        let tally = surroundings.tally;
        eprintln!("links refused: {refused}: {tally:?}");
        assert!(
            tally.as_git + tally.failed_as_git + tally.cured > 0,
            "{tally:?}"
        );
    }
}

/// An arena with a source in it.
fn arena() -> (Arena, PathBuf) {
    let arena = Arena::new(&gits()[0]);
    let source = source::small(&arena, "src");
    (arena, source)
}

#[test]
fn few_descriptors_change_nothing() {
    let (arena, source) = arena();
    let setups = [3, 4, 5, 6, 7, 8, 9, 10, 12, 16].map(|limit| format!("ulimit -n {limit}"));
    check_everywhere(arena, &source, Caller::Command(&[]), &setups);
}

#[test]
fn closed_descriptors_change_nothing() {
    let (arena, source) = arena();
    let setups = [
        "<&-",
        ">&-",
        "2>&-",
        "<&- >&-",
        "<&- 2>&-",
        ">&- 2>&-",
        "<&- >&- 2>&-",
        // Descriptors that are open but of no use.
        "</dev/full >/dev/full 2>/dev/full",
        "<. >/dev/null",
    ]
    .map(|closed| format!("exec {closed}"));
    check_everywhere(arena, &source, Caller::Command(&[]), &setups);
}

#[test]
fn small_files_change_nothing() {
    // SIGXFSZ kills git, or git gets EFBIG where that is ignored.
    let (arena, source) = arena();
    let setups = [0, 1, 4, 16].map(|blocks| format!("ulimit -c 0; ulimit -f {blocks}"));
    let ignored = setups.clone().map(|setup| format!("trap '' XFSZ; {setup}"));
    check_everywhere(
        arena,
        &source,
        Caller::Command(&[]),
        &[setups, ignored].concat(),
    );
}

#[test]
fn deleted_working_directory_changes_nothing() {
    let (arena, source) = arena();
    let work_dir = arena.work_dir().display().to_string();
    let setup = format!("mkdir {work_dir}/gone && cd {work_dir}/gone && rmdir {work_dir}/gone");
    check_everywhere(arena, &source, Caller::Command(&[]), &[setup]);
}

#[test]
fn long_path_changes_nothing() {
    let (arena, source) = arena();
    let setup = "shim=${PATH%%:*}; PATH=$shim:$(printf '/nowhere/%s:' {1..2000})${PATH#*:}";
    check_everywhere(arena, &source, Caller::Command(&[]), &[setup.to_owned()]);
}

#[test]
fn few_processes_change_nothing() {
    if !arrangement::is_root() {
        return;
    }
    // The limit does not hold for root. It counts all processes of a user.
    let (arena, source) = arena();
    let safe = args("config --global safe.directory *");
    arena.real(safe).run().succeeded();
    let directory = tempfile::tempdir_in(arena.root()).unwrap();
    let copy = directory.path().join("git");
    executable::copy(executable::shim(), &copy);
    fs::set_permissions(
        directory.path(),
        std::os::unix::fs::PermissionsExt::from_mode(0o755),
    )
    .unwrap();
    // The program under test may be in a directory that only root can read.
    let shim = directory.path().display();
    let setups = [1, 2, 3, 4, 5].map(|limit| {
        format!("case $PATH in */shim:*) PATH={shim}:$PATH;; esac; ulimit -u {limit}")
    });
    check_everywhere(arena, &source, Caller::NewUser, &setups);
}

/// An arena whose working directory and source are on a mount of their own, below /dev/shm.
fn arena_on_tmpfs() -> Option<(tempfile::TempDir, Arena, PathBuf)> {
    let Ok(directory) = tempfile::tempdir_in("/dev/shm") else {
        arrangement::missing("/dev/shm");
        return None;
    };
    let work_dir = directory.path().join("work");
    fs::create_dir(&work_dir).unwrap();
    let arena = Arena::new(&gits()[0]).in_directory(&work_dir);
    let source = source::small(&arena, directory.path().join("src").to_str().unwrap());
    Some((directory, arena, source))
}

#[test]
fn missing_parts_of_the_system_change_nothing() {
    if !arrangement::is_root() {
        return;
    }
    let Some((_directory, arena, source)) = arena_on_tmpfs() else {
        return;
    };
    let setups = [
        "mount -o remount,bind,ro /",
        "mount -t tmpfs none /proc",
        "mount -t tmpfs none /sys",
    ]
    .map(str::to_owned);
    check_everywhere(
        arena,
        &source,
        Caller::Command(&["unshare", "--mount"]),
        &setups,
    );
}

#[test]
fn missing_dev_null_changes_nothing() {
    if !arrangement::is_root() {
        return;
    }
    let (arena, source) = arena();
    // After it has been opened for the shell's own streams.
    let setups = ["mount -t tmpfs none /dev".to_owned()];
    check_everywhere(
        arena,
        &source,
        Caller::Command(&["unshare", "--mount"]),
        &setups,
    );
}

#[test]
fn process_1_of_a_container_clones_as_git() {
    if !arrangement::is_root() {
        return;
    }
    let (arena, source) = arena();
    let wrapper = ["unshare", "--pid", "--fork", "--mount-proc"];
    check_everywhere(
        arena,
        &source,
        Caller::Command(&wrapper),
        &["true".to_owned()],
    );
}

/// A clone that is going to be refused a link, paused before that, through a copy of the shim.
fn pause_with_copied_shim() -> (PausedClone, PathBuf) {
    let arena = Arena::new(&gits()[0]).with_links_failing(libc::EPERM);
    let shim = arena.shim_directory().join("git");
    fs::remove_file(&shim).unwrap();
    executable::copy(executable::shim(), &shim);
    let start = Start {
        stage: Stage::Transport,
        ..Start::default()
    };
    let stderr = fs::File::create(arena.root().join("stderr")).unwrap();
    let paused = PausedClone::start_in(arena, true, start, |command: &mut Command| {
        command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(stderr);
    });
    (paused, shim)
}

/// Lets the attempt and a fallback go on; returns what was written to stderr, and the status.
fn finish(mut paused: PausedClone) -> (Option<i32>, String) {
    // One line for the attempt, one for the fallback.
    paused.release_to(":\n:");
    let status = paused.wait();
    let stderr = fs::read_to_string(paused.arena.root().join("stderr")).unwrap();
    (status.code(), stderr)
}

#[test]
fn shim_that_is_removed_or_replaced_while_it_runs_finishes() {
    let changes: [fn(&Path); 3] = [
        |shim| fs::remove_file(shim).unwrap(),
        |shim| {
            fs::remove_file(shim).unwrap();
            executable::script(shim, "#!/bin/sh\nexit 9\n");
        },
        |shim| fs::rename(shim, shim.with_extension("old")).unwrap(),
    ];
    for change in changes {
        let (paused, shim) = pause_with_copied_shim();
        change(&shim);
        let work_dir = paused.arena.work_dir().to_owned();
        let before_end = work_dir.join("dst/three");
        let (status, stderr) = finish_keeping(paused, &before_end);
        assert_eq!(status, Some(0), "{stderr}");
        assert!(!stderr.contains(REFUSED), "{stderr}");
    }
}

/// As [`finish`]; asserts that `file` is there before the arena is removed.
fn finish_keeping(mut paused: PausedClone, file: &Path) -> (Option<i32>, String) {
    paused.release_to(":\n:");
    let status = paused.wait();
    assert!(file.exists(), "{status:?}");
    let stderr = fs::read_to_string(paused.arena.root().join("stderr")).unwrap();
    (status.code(), stderr)
}

#[test]
fn git_that_is_removed_while_it_runs_ends_with_an_error() {
    let (paused, _) = pause_with_copied_shim();
    fs::remove_file(paused.arena.real_directory().join("git")).unwrap();
    let (status, stderr) = finish(paused);
    // The next git on PATH makes the fallback, if there is one.
    match status {
        Some(0) => assert!(!stderr.contains(REFUSED), "{stderr}"),
        Some(126 | 127) => assert!(stderr.contains("git-clone-shim: "), "{stderr}"),
        _ => panic!("{status:?}: {stderr}"),
    }
}

#[test]
fn small_address_space_changes_nothing() {
    let (arena, source) = arena();
    // From where bash itself runs on.
    let setups: Vec<_> = (4..40)
        .step_by(6)
        .map(|number| format!("ulimit -v {}", number * 1024))
        .collect();
    check_everywhere(arena, &source, Caller::Command(&[]), &setups);
}
