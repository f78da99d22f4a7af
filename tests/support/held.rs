//! A clone that is held half-way, so that something can happen to it.

use std::fs::OpenOptions;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};

use nix::unistd::Pid;

use super::arena::Arena;
use super::call::only_stderr;
use super::gits::Git;
use super::hook::{self, TEMPLATE};
use super::process;
use super::source;
use super::tree::{self, Tree};
use super::wait;
use super::words::{from, words};

/// A `git clone -l`, through the shim or with the real git, whose hook waits until it is released.
pub struct Held {
    pub arena: Arena,
    child: Option<Child>,
    /// The process that is git.
    pub git: Pid,
    release: PathBuf,
}

impl Held {
    /// Starts it after a shell has done `setup`, and waits until its hook waits.
    pub fn start(git: &Git, through_shim: bool, setup: &str) -> Self {
        let script = format!("{setup} exec git \"$@\"");
        let held = Self::start_as(git, through_shim, &["bash"], &script, |command| {
            // A group of its own, as a shell gives it; in an orphaned one the kernel lets no process stop (setpgid(2)).
            command.process_group(0);
            only_stderr(command, Stdio::null());
        });
        assert_eq!(
            through_shim,
            held.git != held.pid(),
            "the shim supervises, git does not"
        );
        held
    }

    /// As [`Held::start`]: `shell`, the words of a shell, runs `script` with git's words, and `arrange` its streams.
    pub fn start_as(
        git: &Git,
        through_shim: bool,
        shell: &[&str],
        script: &str,
        arrange: impl FnOnce(&mut Command),
    ) -> Self {
        Self::start_in(Arena::new(git), through_shim, shell, script, arrange)
    }

    /// As [`Held::start_as`], in an arena in which links may fail: then it is the second run that is held.
    pub fn start_in(
        arena: Arena,
        through_shim: bool,
        shell: &[&str],
        script: &str,
        arrange: impl FnOnce(&mut Command),
    ) -> Self {
        let source = source::small(&arena, "src");
        let release = arena.root().join("release");
        nix::unistd::mkfifo(&release, nix::sys::stat::Mode::S_IRWXU).unwrap();
        let started = arena.root().join("started");
        let waits = format!(
            "echo $PPID >{}; read -r line <{}; eval \"$line\"",
            started.display(),
            release.display()
        );
        hook::post_checkout(arena.place(), &waits);
        let line = from(&source, words(&format!("clone -l {TEMPLATE} SRC dst")));
        let mut command = arena.command(shell[0]);
        if through_shim {
            command.env(
                "PATH",
                Arena::path(&[arena.shim_directory(), arena.real_directory()]),
            );
        }
        command
            .args(&shell[1..])
            .args(["-c", script, "bash"])
            .args(line);
        arrange(&mut command);
        let child = command.spawn().unwrap();
        let git = Pid::from_raw(wait::for_line(&started).parse().unwrap());
        Self {
            arena,
            child: Some(child),
            git,
            release,
        }
    }

    /// The process that the caller started.
    pub fn pid(&self) -> Pid {
        Pid::from_raw(self.child.as_ref().unwrap().id().cast_signed())
    }

    /// Lets the hook end, if it still waits.
    pub fn release(&self) {
        self.release_to("exit 0");
    }

    /// Lets the hook go on with this line of shell.
    pub fn release_to(&self, line: &str) {
        // A reader must be there, or opening for writing alone would wait or fail.
        let mut options = OpenOptions::new();
        let fifo = options.read(true).write(true).open(&self.release).unwrap();
        nix::unistd::write(&fifo, format!("{line}\n").as_bytes()).unwrap();
        // Kept open until the hook has read; it ends with the test's process at the latest.
        std::mem::forget(fifo);
    }

    /// Waits until the caller's process has ended; how, core file aside, and what is left in the destination.
    pub fn end(mut self) -> (ExitStatus, Tree) {
        let mut status = None;
        wait::until("the clone to end", || {
            status = self.child.as_mut().unwrap().try_wait().unwrap();
            status.is_some()
        });
        self.child = None;
        wait::until("git to end", || !process::is_running(self.git));
        let destination = self.arena.place().join("dst");
        let tree = if destination.exists() {
            tree::read(&destination)
        } else {
            Tree::new()
        };
        self.release();
        (
            ExitStatus::from_raw(status.unwrap().into_raw() & !0x80),
            tree,
        )
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.release();
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}
