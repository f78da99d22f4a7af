//! A child whose work may take for ever, as on a filesystem that does not answer: it can be left alone.

use std::fs::{File, OpenOptions};
use std::io::{self, Read};
use std::os::fd::{AsFd, OwnedFd};
use std::time::Instant;

use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::libc;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{Signal, killpg};
use nix::unistd::{ForkResult, Pid};

use super::interruption;
use super::supervise::{die_with, occupy_closed_streams};

/// A child that writes lines about its work.
pub struct Worker {
    pid: Pid,
    lines: File,
    /// What has been read and does not end with a line break yet.
    begun: Vec<u8>,
}

/// What a worker has been heard of.
pub enum Event {
    /// A whole line, without its line break.
    Line(Vec<u8>),
    /// It has ended, or will not write any more.
    Eof,
    /// Nothing, until the moment that was named or a signal has arrived.
    Timeout,
}

impl Worker {
    /// Starts a child that does `work`, which writes to the file that it is given.
    ///
    /// The child keeps none of our three streams, so that whoever reads ours need not wait for it, and is the leader of a
    /// process group of its own, in which all that it starts is reached by [`Worker::stop`]. When we are gone, or do not
    /// read any more, it is asked to end as by a signal (see [`interruption`]).
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
                // By both, since either may be the first to need it.
                let _ = nix::unistd::setpgid(child, child);
                Ok(Self {
                    pid: child,
                    lines: reader.into(),
                    begun: Vec::new(),
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

    /// Waits until there is news, or until `moment`.
    ///
    /// # Errors
    ///
    /// The error of `read(2)` or `poll(2)`, other than that a signal has arrived.
    pub fn wait(&mut self, moment: Instant) -> io::Result<Event> {
        loop {
            if let Some(end) = self.begun.iter().position(|&byte| byte == b'\n') {
                let rest = self.begun.split_off(end + 1);
                let mut line = std::mem::replace(&mut self.begun, rest);
                line.truncate(end);
                return Ok(Event::Line(line));
            }
            let left = moment.saturating_duration_since(Instant::now());
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
                    .begun
                    .extend_from_slice(chunk.get(..count).unwrap_or_default()),
            }
        }
    }

    /// Asks the child, and all that it has started, to end.
    ///
    /// It is not waited for: while a filesystem does not answer, no signal ends it, and it ends when we have long gone.
    pub fn stop(&self) {
        let _ = killpg(self.pid, Signal::SIGTERM);
    }
}

/// In the child: a group and streams of its own, and no death by a signal that asks to end.
fn stand_alone(parent: Pid) -> io::Result<()> {
    let this = Pid::from_raw(0);
    nix::unistd::setpgid(this, this)?;
    interruption::note()?;
    interruption::note_one(Signal::SIGTERM)?;
    // What the parent does when nobody reads its lines any more is not ours to do: there may be something to remove.
    interruption::note_one(Signal::SIGPIPE)?;
    die_with(parent, Signal::SIGTERM);
    let nothing: OwnedFd = OpenOptions::new()
        .read(true)
        .write(true)
        .open("/dev/null")?
        .into();
    nix::unistd::dup2_stdin(&nothing)?;
    nix::unistd::dup2_stdout(&nothing)?;
    nix::unistd::dup2_stderr(&nothing)?;
    Ok(())
}
