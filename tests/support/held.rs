//! A clone that is held half-way, so that something can happen to it.

use std::fs::OpenOptions;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};

use nix::unistd::Pid;

use super::arena::Arena;
use super::call::only_stderr;
use super::executable;
use super::gits::Git;
use super::hook::{self, TEMPLATE};
use super::process;
use super::source;
use super::tree::{self, Tree};
use super::wait;
use super::words::words;

/// Where in a clone it is held.
#[derive(Clone, Copy)]
pub enum Stage {
    /// Before the first link: git waits for its upload-pack.
    Transport,
    /// After the checkout: git waits for a hook.
    Checkout,
}

/// How a clone is started that is to be held.
#[derive(Clone, Copy)]
pub struct Start<'a> {
    pub stage: Stage,
    /// Those of `git clone`.
    pub options: &'a str,
    /// The words of a shell, which runs `script` with git's words.
    pub shell: &'a [&'a str],
    pub script: &'a str,
}

impl Default for Start<'_> {
    fn default() -> Self {
        Self {
            stage: Stage::Checkout,
            options: "-l",
            shell: &["bash"],
            script: "exec git \"$@\"",
        }
    }
}

/// A clone, through the shim or with the real git, in which a script of bash waits until it is released.
pub struct Held {
    pub arena: Arena,
    child: Child,
    /// The process that is git.
    pub git: Pid,
    release: PathBuf,
}

impl Held {
    /// Starts a `git clone -l` after a shell has done `setup`, and waits until its hook waits.
    pub fn start(git: &Git, through_shim: bool, setup: &str) -> Self {
        let script = format!("{setup} exec git \"$@\"");
        let held = Self::start_as(git, through_shim, &["bash"], &script, apart);
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
        let start = Start {
            shell,
            script,
            ..Start::default()
        };
        Self::start_in(Arena::new(git), through_shim, start, arrange)
    }

    /// As [`Held::start_as`], in this arena.
    pub fn start_in(
        arena: Arena,
        through_shim: bool,
        start: Start<'_>,
        arrange: impl FnOnce(&mut Command),
    ) -> Self {
        let source = source::small(&arena, "src");
        let [started, release] = ["started", "release"].map(|name| arena.root().join(name));
        nix::unistd::mkfifo(&release, nix::sys::stat::Mode::S_IRWXU).unwrap();
        let waits = format!(
            "echo $PPID >{}; read -r line <{}; eval \"$line\"",
            started.display(),
            release.display()
        );
        let mut line = words("clone");
        match start.stage {
            Stage::Checkout => {
                hook::post_checkout(arena.place(), &waits);
                line.push(TEMPLATE.into());
            }
            Stage::Transport => {
                let script = format!("#!/bin/bash\n{waits}\nexec git upload-pack \"$@\"\n");
                let program = executable::script(&arena.root().join("upload-pack"), &script);
                // git starts it by a shell, which would be the parent of the one that waits.
                line.push(format!("--upload-pack=exec {}", program.display()).into());
            }
        }
        line.extend(words(start.options));
        line.extend([source.into(), "dst".into()]);
        let mut command = arena.command(start.shell[0]);
        command
            .args(&start.shell[1..])
            .args(["-c", start.script, "bash"])
            .args(line)
            .env("PATH", arena.path_of(through_shim));
        arrange(&mut command);
        let child = command.spawn().unwrap();
        let git = Pid::from_raw(wait::for_line(&started).parse().unwrap());
        Self {
            arena,
            child,
            git,
            release,
        }
    }

    /// The process that the caller started.
    pub fn pid(&self) -> Pid {
        Pid::from_raw(self.child.id().cast_signed())
    }

    /// Lets the script end, if it still waits.
    pub fn release(&self) {
        self.release_to("exit 0");
    }

    /// Lets the script go on with this line of shell.
    pub fn release_to(&self, line: &str) {
        // A reader must be there, or opening for writing alone would wait or fail.
        let mut options = OpenOptions::new();
        let fifo = options.read(true).write(true).open(&self.release).unwrap();
        nix::unistd::write(&fifo, format!("{line}\n").as_bytes()).unwrap();
        // Kept open until the script has read; it ends with the test's process at the latest.
        std::mem::forget(fifo);
    }

    /// Waits until the caller's process has ended.
    pub fn wait(&mut self) -> ExitStatus {
        let mut status = None;
        wait::until("the clone to end", || {
            status = self.child.try_wait().unwrap();
            status.is_some()
        });
        status.unwrap()
    }

    /// Waits until the caller's process has ended; how, core file aside, and what is left in the destination.
    pub fn end(mut self) -> (ExitStatus, Tree) {
        let status = self.wait();
        wait::until("git to end", || !process::is_running(self.git));
        let destination = self.arena.place().join("dst");
        let tree = if destination.exists() {
            tree::read(&destination)
        } else {
            Tree::new()
        };
        (ExitStatus::from_raw(status.into_raw() & !0x80), tree)
    }
}

/// Has a command run in a group of its own, as a shell gives it, and say nothing: in an orphaned group the kernel lets no
/// process stop (setpgid(2)).
pub fn apart(command: &mut Command) {
    command.process_group(0);
    only_stderr(command, Stdio::null());
}

impl Drop for Held {
    fn drop(&mut self) {
        self.release();
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
