//! doctor where something hangs, or ends it: it leaves no directory and no process behind.

use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use nix::fcntl::OFlag;
use nix::libc;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::support::arena::{Arena, for_each_git};
use crate::support::call::Call;
use crate::support::doctor::{directories, doctor, links, report, traces};
use crate::support::executable;
use crate::support::gits::gits;
use crate::support::path::wrapper;
use crate::support::process;
use crate::support::sshfs::Sshfs;
use crate::support::terminal::Terminal;
use crate::support::wait;

/// The options of a doctor that waits for what does not answer. It must get as far as that on a busy machine, too.
const PATIENT: &str = "--json --timeout 5";

#[test]
fn filesystem_that_hangs_is_left_alone() {
    let Some(sshfs) = Sshfs::mount("") else {
        return;
    };
    let arena = Arena::new(&gits()[0]);
    sshfs.hang();
    let report = report(doctor(
        &arena,
        PATIENT,
        &[&sshfs.mounted.path(), arena.work_dir()],
    ));
    let [hangs, answers] = [0, 1].map(|number| &directories(&report)[number]);
    assert_eq!(hangs["answer"], "does_not_work");
    assert_eq!(hangs["unfinished"]["timed_out"], true);
    assert_eq!(hangs["filesystem"]["type"], "fuse.sshfs");
    assert_eq!(answers["answer"], "not_needed");
}

#[test]
fn directory_of_path_that_hangs_is_left_alone() {
    let Some(sshfs) = Sshfs::mount("") else {
        return;
    };
    let arena = Arena::new(&gits()[0]);
    sshfs.hang();
    let entries = [sshfs.mounted.path(), arena.shim_directory()];
    let call = doctor(&arena, PATIENT, &[arena.work_dir()]);
    let report = report(call.env("PATH", Arena::path(&entries)));
    assert_eq!(report["unfinished"]["step"], "looking for the real git");
    assert_eq!(report["unfinished"]["timed_out"], true);
    let examined = &directories(&report)[0];
    assert_eq!(links(examined), [Some(true); 3]);
    assert_eq!(examined["answer"], "does_not_work");
}

#[test]
fn scratch_directory_is_removed_when_a_hung_filesystem_answers() {
    // It hangs when there is something to be removed already, and no signal ends what waits for it.
    let Some(sshfs) = Sshfs::mount("") else {
        return;
    };
    let place = sshfs.mounted.path();
    for_each_git(|git, arena| {
        let script = format!(
            "case \" $* \" in *' clone '*) kill -STOP {} ;; esac\nexec {} \"$@\"",
            sshfs.server(),
            git.file.display()
        );
        let hanging = wrapper(&arena, "hanging", &script);
        let call =
            doctor(&arena, PATIENT, &[&place]).env("GIT_CLONE_SHIM_GIT", hanging.join("git"));
        let report = report(call);
        let examined = &directories(&report)[0];
        assert_eq!(
            examined["unfinished"]["step"], "git clone --local",
            "{examined:#}"
        );
        assert_eq!(examined["unfinished"]["lingers"], true);
        let left = Path::new(examined["left_behind"][0].as_str().unwrap());
        assert!(
            examined["advice"]
                .as_str()
                .unwrap()
                .contains(left.to_str().unwrap())
        );
        let backing = sshfs
            .mounted
            .directory()
            .join("backing")
            .join(left.file_name().unwrap());
        assert!(backing.exists());
        sshfs.answer();
        wait::until("the directory to be removed", || !backing.exists());
    });
}

/// A doctor that waits for a git that waits.
struct Waiting {
    arena: Arena,
    child: Child,
}

impl Waiting {
    fn start(options: &str, prepare: impl FnOnce(&mut Command)) -> Self {
        Self::start_in(Arena::new(&gits()[0]), "", options, prepare)
    }

    /// In this arena; git waits when it clones to a path that contains `to`.
    fn start_in(arena: Arena, to: &str, options: &str, prepare: impl FnOnce(&mut Command)) -> Self {
        let script = format!(
            "case \" $* \" in *' clone '*' '*{to}*) echo $$ >{0}/waits; exec sleep 1000 ;; esac\nexec {1} \"$@\"",
            arena.root().display(),
            gits()[0].file.display()
        );
        let waiting = wrapper(&arena, "waiting", &script);
        let mut command = doctor(&arena, options, &[arena.work_dir()])
            .env("GIT_CLONE_SHIM_GIT", waiting.join("git"))
            .command;
        command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        prepare(&mut command);
        let child = command.spawn().unwrap();
        drop(command);
        Self { arena, child }
    }

    /// Waits until git waits, and returns its process.
    fn git(&self) -> Pid {
        let line = wait::for_line(&self.arena.root().join("waits"));
        assert_eq!(traces(self.arena.work_dir()).len(), 1);
        Pid::from_raw(line.parse().unwrap())
    }

    fn pid(&self) -> Pid {
        Pid::from_raw(self.child.id().cast_signed())
    }
}

#[test]
fn signal_ends_doctor_and_git_and_leaves_nothing() {
    for signal in [
        Signal::SIGINT,
        Signal::SIGTERM,
        Signal::SIGHUP,
        Signal::SIGQUIT,
    ] {
        let mut waiting = Waiting::start("", |_| ());
        let git = waiting.git();
        kill(waiting.pid(), signal).unwrap();
        let status = waiting.child.wait().unwrap();
        assert_eq!(status.signal(), Some(signal as i32), "{status:?}");
        assert_eq!(traces(waiting.arena.work_dir()), [""; 0]);
        wait::until("git to end", || !process::is_running(git));
    }
}

#[test]
fn interruption_removes_what_was_made_on_another_mount() {
    let Some(arena) = Arena::new(&gits()[0]).across_mounts() else {
        return;
    };
    let other = arena.root().join("tmp");
    let to = other.to_str().unwrap().to_owned();
    let mut waiting = Waiting::start_in(arena, &to, "", |_| ());
    waiting.git();
    assert_eq!(traces(&other).len(), 1);
    kill(waiting.pid(), Signal::SIGTERM).unwrap();
    waiting.child.wait().unwrap();
    assert_eq!(traces(&other), [""; 0]);
    assert_eq!(traces(waiting.arena.work_dir()), [""; 0]);
}

#[test]
fn interrupt_key_ends_doctor_and_leaves_nothing() {
    let terminal = Terminal::open();
    let mut waiting = Waiting::start("", |command| {
        let mut on_it = Command::new("setsid");
        on_it
            .args(["--ctty", "--wait"])
            .arg(executable::shim())
            .args(command.get_args());
        for (name, value) in command.get_envs() {
            on_it.env(name, value.unwrap());
        }
        on_it.current_dir(command.get_current_dir().unwrap());
        terminal.connect(&mut on_it);
        *command = on_it;
    });
    waiting.git();
    let mut terminal = terminal.watch();
    let slow = format!(
        "git-clone-shim: {}: git clone --local …",
        waiting.arena.work_dir().display()
    );
    wait::until("a line about what takes so long", || {
        terminal.shows(slow.as_bytes())
    });
    terminal.type_in(b"\x03");
    waiting.child.wait().unwrap();
    assert_eq!(traces(waiting.arena.work_dir()), [""; 0]);
}

#[test]
fn scratch_directory_is_removed_after_doctor_is_killed() {
    let mut waiting = Waiting::start("", |_| ());
    let git = waiting.git();
    kill(waiting.pid(), Signal::SIGKILL).unwrap();
    waiting.child.wait().unwrap();
    // git lives on, and the process that waits for it removes what it made when git has ended.
    kill(git, Signal::SIGKILL).unwrap();
    wait::until("the directory to be removed", || {
        traces(waiting.arena.work_dir()).is_empty()
    });
}

#[test]
fn git_that_does_not_end_is_killed_in_time() {
    let mut waiting = Waiting::start(PATIENT, |_| ());
    let git = waiting.git();
    assert_eq!(waiting.child.wait().unwrap().code(), Some(1));
    assert_eq!(traces(waiting.arena.work_dir()), [""; 0]);
    assert!(!process::is_running(git));
}

#[test]
fn closed_pipe_ends_doctor_and_leaves_nothing() {
    // It has nothing to remove when it dies of that, and no child of its keeps the pipe open.
    let arena = Arena::new(&gits()[0]);
    let mut call = doctor(&arena, "", &[arena.work_dir()]);
    // Not inherited by what other tests start: one that kept the reader would keep doctor alive.
    let (reader, writer) = nix::unistd::pipe2(OFlag::O_CLOEXEC).unwrap();
    drop(reader);
    let status = call.command.stdout(writer).status().unwrap();
    assert_eq!(status.signal(), Some(libc::SIGPIPE), "{status:?}");
    assert_eq!(traces(arena.work_dir()), [""; 0]);
}

#[test]
fn doctor_reports_that_it_can_start_no_process() {
    let arena = Arena::new(&gits()[0]);
    // The program under test may lie where only root can read it.
    let copy = arena.root().join("git-clone-shim");
    executable::copy(executable::shim(), &copy);
    let mut command = arena.command("bash");
    command.args(["-c", "ulimit -u 0; exec \"$0\" doctor \"$1\""]);
    command.arg(&copy).arg(arena.work_dir());
    if nix::unistd::geteuid().is_root() {
        command.uid(65534).gid(65534);
    }
    let refused = Call::new(command).run();
    assert!(refused.is_our_failure(125), "{refused:?}");
    let message = "cannot start a process for the examination: Resource temporarily unavailable";
    assert!(refused.stderr_contains(message), "{refused:?}");
}
