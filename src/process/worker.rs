//! A child for work that may hang, as on a filesystem that does not answer: the parent can go on without it.

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::AsFd;
use std::time::Instant;

use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::libc;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{Signal, killpg};
use nix::unistd::{ForkResult, Pid};

use super::child::{dev_null, die_with, occupy_closed_streams};
use super::interruption;

/// A child that writes lines about its work.
pub struct Worker {
    pid: Pid,
    lines: File,
    /// What has been read of a line that is not complete yet, and perhaps lines behind it.
    unread: Vec<u8>,
}

/// What [`Worker::wait`] returns.
pub enum Event {
    /// A whole line, without its line break.
    Line(Vec<u8>),
    /// The worker has exited or closed its end.
    Eof,
    /// The deadline has passed, or a signal has arrived.
    Timeout,
}

impl Worker {
    /// Starts a child that does `work`, which writes its lines to the file that it is given.
    ///
    /// The child keeps none of our three streams, so that a process that reads ours to the end does not wait for the child. It
    /// leads a process group of its own, so that [`Worker::stop`] reaches all processes that it starts. When we die, or
    /// close our end, it receives a termination signal, which it notes (see [`interruption`]).
    ///
    /// # Errors
    ///
    /// No pipe or no process could be had.
    pub fn start(work: impl FnOnce(File)) -> io::Result<Self> {
        let _placeholders = occupy_closed_streams()?;
        let (reader, writer) = nix::unistd::pipe2(OFlag::O_CLOEXEC)?;
        let parent = nix::unistd::getpid();
        // SAFETY: this program has one thread, so the child may do whatever the parent may.
        match unsafe { nix::unistd::fork() }? {
            ForkResult::Parent { child } => {
                // Parent and child both call it, since either may be the first to rely on it.
                let _ = nix::unistd::setpgid(child, child);
                Ok(Self {
                    pid: child,
                    lines: reader.into(),
                    unread: Vec::new(),
                })
            }
            ForkResult::Child => {
                drop(reader);
                if stand_alone(parent).is_ok() {
                    work(writer.into());
                }
                // SAFETY: _exit(2) takes a number. Not exit(3): what the parent's exit has to do is not the child's.
                unsafe { libc::_exit(0) }
            }
        }
    }

    /// Waits for the next event, until `deadline` at the latest.
    ///
    /// # Errors
    ///
    /// The error of `read(2)` or `poll(2)`, other than that a signal has arrived.
    pub fn wait(&mut self, deadline: Instant) -> io::Result<Event> {
        loop {
            if let Some(end) = self.unread.iter().position(|&byte| byte == b'\n') {
                let rest = self.unread.split_off(end + 1);
                let mut line = std::mem::replace(&mut self.unread, rest);
                line.truncate(end);
                return Ok(Event::Line(line));
            }
            let left = deadline.saturating_duration_since(Instant::now());
            let timeout = PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX);
            let mut polled = [PollFd::new(self.lines.as_fd(), PollFlags::POLLIN)];
            match poll(&mut polled, timeout) {
                Ok(0) | Err(Errno::EINTR) => return Ok(Event::Timeout),
                Ok(_) => {}
                Err(errno) => return Err(errno.into()),
            }
            let mut chunk = [0; 4096];
            match self.lines.read(&mut chunk)? {
                0 => return Ok(Event::Eof),
                count => self
                    .unread
                    .extend_from_slice(chunk.get(..count).unwrap_or_default()),
            }
        }
    }

    /// Sends SIGTERM to the child and to all processes that it has started.
    ///
    /// It does not wait for them: while a filesystem does not answer no signal ends them, and they may outlive us.
    pub fn stop(&self) {
        let _ = killpg(self.pid, Signal::SIGTERM);
    }
}

/// In the child: gets a process group and streams of its own, and notes termination signals instead of dying of them.
fn stand_alone(parent: Pid) -> io::Result<()> {
    let this = Pid::from_raw(0);
    nix::unistd::setpgid(this, this)?;
    interruption::note()?;
    interruption::note_one(Signal::SIGTERM)?;
    // Where the parent no longer reads our lines we must not die of SIGPIPE: there may be files to remove.
    interruption::note_one(Signal::SIGPIPE)?;
    die_with(parent, Signal::SIGTERM);
    let dev_null = dev_null()?;
    nix::unistd::dup2_stdin(&dev_null)?;
    nix::unistd::dup2_stdout(&dev_null)?;
    nix::unistd::dup2_stderr(&dev_null)?;
    Ok(())
}
