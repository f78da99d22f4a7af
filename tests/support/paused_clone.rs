//! A clone that waits at a known point until the test lets it go on.

use std::fs::File;
use std::io::Write;
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus};

use nix::unistd::Pid;

use super::arena::Arena;
use super::executable;
use super::hook::{self, TEMPLATE};
use super::process;
use super::source;
use super::tree::{self, Tree};
use super::wait;

/// Where a clone waits.
#[derive(Clone, Copy)]
pub enum Stage {
    /// Before the first link: git waits for its upload-pack, which waits for the test.
    Transport,
    /// After the checkout: git waits for its post-checkout hook, which waits for the test.
    Checkout,
}

/// How a clone that is to wait is started.
#[derive(Clone, Copy)]
pub struct Start<'a> {
    pub stage: Stage,
    /// The argv of a shell, which runs `script`; git's args are the script's.
    pub shell: &'a [&'a str],
    pub script: &'a str,
}

/// A clone that waits in its hook, started from a script.
pub const START: Start<'_> = Start { stage: Stage::Checkout, shell: &["bash"], script: "exec git \"$@\"" };

/// A clone, through the shim or with the real git, in which a bash script waits until the test releases it.
pub struct PausedClone {
    pub arena: Arena,
    child: Child,
    /// The git process that clones: the shim's child during an attempt, else the process that was started.
    pub git: Pid,
    release: PathBuf,
}

impl PausedClone {
    /// Starts a clone in this arena, under its fault, and returns when it waits; `arrange` sets up the streams.
    pub fn start_in(
        arena: Arena,
        through_shim: bool,
        start: Start<'_>,
        arrange: impl FnOnce(&mut Command) -> &mut Command,
    ) -> Self {
        let source = source::small(&arena, "src");
        let [started, release] = ["started", "release"].map(|name| arena.root().join(name));
        nix::unistd::mkfifo(&release, nix::sys::stat::Mode::S_IRWXU).unwrap();
        let waits = format!("echo $PPID >{}; read -r line <{}; eval \"$line\"", started.display(), release.display());
        let waiting = match start.stage {
            Stage::Checkout => {
                hook::post_checkout(arena.work_dir(), &waits);
                TEMPLATE.into()
            }
            Stage::Transport => {
                let script = format!("#!/bin/bash\n{waits}\nexec git upload-pack \"$@\"\n");
                let program = executable::script(&arena.root().join("upload-pack"), &script);
                // git starts it with a shell; without `exec` that shell, not git, would be the parent.
                format!("--upload-pack=exec {}", program.display())
            }
        };
        let mut command = arena.command(start.shell[0]);
        command.args(&start.shell[1..]).args(["-c", start.script, "bash", "clone", &waiting, "-l"]);
        command.arg(source).arg("dst").env("PATH", arena.path_of(through_shim));
        arrange(&mut command);
        let child = arena.under_fault(|| command.spawn().unwrap());
        let git = Pid::from_raw(wait::for_line(&started).parse().unwrap());
        Self { arena, child, git, release }
    }

    /// The process that the test started.
    pub fn pid(&self) -> Pid {
        Pid::from_raw(self.child.id().cast_signed())
    }

    /// Lets the script exit with 0, if it still waits.
    pub fn release(&self) {
        self.release_to("exit 0");
    }

    /// Lets the script continue with this line of shell code.
    pub fn release_to(&self, line: &str) {
        // Also opened for reading: opening a FIFO only for writing waits for a reader.
        let mut fifo = File::options().read(true).write(true).open(&self.release).unwrap();
        writeln!(fifo, "{line}").unwrap();
        // Closed only when the test process exits: the script must be able to read the line until then.
        std::mem::forget(fifo);
    }

    /// Waits until the process that the test started has ended.
    pub fn wait(&mut self) -> ExitStatus {
        let mut status = None;
        wait::until("the clone to end", || {
            status = self.child.try_wait().unwrap();
            status.is_some()
        });
        status.unwrap()
    }

    /// Waits until that process and git have ended. Returns its status, without the core-dump bit, and what is in the
    /// destination.
    pub fn end(mut self) -> (ExitStatus, Tree) {
        let status = self.wait();
        wait::until("git to end", || !process::is_running(self.git));
        let destination = self.arena.work_dir().join("dst");
        let tree = if destination.exists() { tree::read(&destination) } else { Tree::new() };
        (ExitStatus::from_raw(status.into_raw() & !0x80), tree)
    }
}

impl Drop for PausedClone {
    fn drop(&mut self) {
        self.release();
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
