//! The attempt: a child whose stderr is relayed, until it has exited.

use std::ffi::c_int;
use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};

use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::libc;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::Signal;
use nix::unistd::{ForkResult, Pid};
use tracing::{debug, trace};

use super::child::{self, Placeholders, close_all_but, die_with, occupy_closed_streams};
use super::exit_reason::ExitReason;
use super::relay::{Lines, Relay};
use super::signals::{self, Watch};
use super::stderr::{Written, lost_its_reader, poll_stderr, write_some};
use crate::failure;

/// An attempt that is over.
pub struct Finished {
    /// How the child exited.
    pub exit_reason: ExitReason,
    /// Whether we received a termination signal meanwhile: then the caller starts nothing more.
    pub signalled: bool,
    stream: Stream,
    /// How many bytes the child has written that have not been read, for lack of room.
    unread: usize,
    /// Kept until this process exits or execs: see `occupy_closed_streams`.
    _placeholders: Placeholders,
}

impl Finished {
    /// The end of what the child wrote to stderr, from the beginning of a line.
    #[must_use]
    pub fn stderr(&self) -> &[u8] {
        self.stream.relay.kept_lines()
    }

    /// Writes what is still held or withheld, and ends this process as the child has ended.
    ///
    /// Where another process still holds the child's stderr, such as a background process of a hook, what it writes later is
    /// forwarded by a process of its own, so that we exit now.
    pub fn end(mut self) -> ! {
        signals::ignore_sigpipe();
        // If the child exited, block until its output is written. If a signal killed it, write only what stderr accepts now.
        let timeout = match self.exit_reason {
            ExitReason::Exited(_) => PollTimeout::NONE,
            ExitReason::Killed(_) => PollTimeout::ZERO,
        };
        loop {
            self.stream.relay.release();
            while !self.stream.relay.pending().is_empty()
                && poll_stderr(PollFlags::POLLOUT, timeout).contains(PollFlags::POLLOUT)
            {
                self.stream.write_pending();
            }
            let unread = self.stream.drain(self.unread);
            if unread == self.unread {
                break;
            }
            self.unread = unread;
        }
        if let Some(reader) = self.stream.reader.filter(|reader| !is_at_end(reader)) {
            // SAFETY: this program has one thread, so the child may do whatever the parent may.
            if let Ok(ForkResult::Child) = unsafe { nix::unistd::fork() } {
                forward(&reader);
            }
        }
        self.exit_reason.end()
    }
}

/// In a child: copies `reader` to our stderr until no process can write to it any more.
fn forward(reader: &OwnedFd) -> ! {
    if nix::unistd::dup2_stdin(reader).is_ok() {
        // A process that reads another descriptor of ours to its end, or waits for a lock on it, must not wait for this one.
        let _ = close_all_but(&[libc::STDIN_FILENO, libc::STDERR_FILENO]);
        let _ = io::copy(&mut io::stdin(), &mut io::stderr());
    }
    // SAFETY: _exit(2) takes a number.
    unsafe { libc::_exit(0) }
}

/// The child's stderr on its way to ours.
struct Stream {
    /// `None` once no process can write to it any more, or the reader of our stderr has gone.
    reader: Option<OwnedFd>,
    relay: Relay,
}

impl Stream {
    /// Reads some of what the child has written, at most `limit` bytes; returns how many.
    fn read_some(&mut self, limit: usize) -> usize {
        let Some(reader) = &self.reader else { return 0 };
        let mut chunk = [0; 4096];
        let length = chunk.len().min(limit).min(self.relay.room());
        let Some(chunk) = chunk.get_mut(..length).filter(|chunk| !chunk.is_empty()) else {
            return 0;
        };
        match nix::unistd::read(reader, chunk) {
            Err(Errno::EINTR | Errno::EAGAIN) => 0,
            Ok(0) | Err(_) => {
                self.reader = None;
                0
            }
            Ok(count) => {
                trace!(bytes = count, "read from the child's stderr");
                self.relay.take(chunk.get(..count).unwrap_or_default());
                count
            }
        }
    }

    /// Reads `unread` bytes, which the child has written, and no more: a background process of a hook may keep the pipe open
    /// for ever. Returns how many of them are left, for lack of room.
    fn drain(&mut self, mut unread: usize) -> usize {
        while unread > 0 && self.reader.is_some() && self.relay.room() > 0 {
            unread -= self.read_some(unread);
        }
        unread
    }

    /// How many bytes the child has written that have not been read.
    fn unread(&self) -> usize {
        let mut unread: c_int = 0;
        if let Some(reader) = &self.reader {
            // SAFETY: FIONREAD writes one int.
            let _ = unsafe { bytes_waiting(reader.as_raw_fd(), &raw mut unread) };
        }
        usize::try_from(unread).unwrap_or(0)
    }

    /// Writes some of what is pending to our stderr; `false` if its reader has gone.
    fn write_pending(&mut self) -> bool {
        let pending = self.relay.pending();
        match write_some(pending) {
            Written::Bytes(count) => {
                self.relay.wrote(count);
                trace!(bytes = count, "wrote to stderr");
            }
            Written::Failed => self.relay.wrote(pending.len()),
            Written::NoReader => {
                self.relay.wrote(pending.len());
                return false;
            }
        }
        true
    }
}

/// Whether a pipe is empty and has no writer any more.
fn is_at_end(reader: &OwnedFd) -> bool {
    let mut polled = [PollFd::new(reader.as_fd(), PollFlags::POLLIN)];
    let polled_it = poll(&mut polled, PollTimeout::ZERO).is_ok();
    polled_it
        && polled
            .iter()
            .all(|reader| reader.revents() == Some(PollFlags::POLLHUP))
}

/// Runs `program` in a child and relays its stderr, until the child has exited.
///
/// `program` is called in the child and is expected to exec; what it returns otherwise is the child's exit status. The child
/// shares our memory until then, so `program` changes nothing.
/// The beginning of its stderr is held, and `lines` tells which lines end the hold and which are withheld to the end.
/// The child stays in our process group, with our caller's signal mask and dispositions. Signals that only we received
/// are forwarded to it, and the kernel kills it when we die.
///
/// All memory is reserved before the child starts: a process that lacks some must not die in the middle of the child's work.
///
/// # Errors
///
/// No memory, no pipe, no signal descriptor or no process could be had; then nothing has been started and nothing has changed.
pub fn supervise(program: impl Fn() -> c_int, lines: Lines) -> io::Result<Finished> {
    if lost_its_reader(poll_stderr(PollFlags::empty(), PollTimeout::ZERO)) {
        // git dies of SIGPIPE at its first write, and should.
        return Err(Errno::EPIPE.into());
    }
    let (mut reader, mut writer) = nix::unistd::pipe2(OFlag::O_CLOEXEC)?;
    let mut placeholders = Placeholders::new();
    // The kernel takes the lowest numbers that are free.
    if reader.as_raw_fd() <= libc::STDERR_FILENO {
        drop((reader, writer));
        placeholders = occupy_closed_streams()?;
        (reader, writer) = nix::unistd::pipe2(OFlag::O_CLOEXEC)?;
    }
    let stream = Stream {
        reader: Some(reader),
        relay: Relay::hold(lines).map_err(|_| Errno::ENOMEM)?,
    };
    let watch = Watch::begin()?;
    let parent = nix::unistd::getpid();
    let in_child = || {
        die_with(parent, Signal::SIGKILL);
        watch.restore();
        match nix::unistd::dup2_stderr(&writer) {
            Ok(()) => program(),
            Err(_) => failure::OWN,
        }
    };
    // SAFETY: this program has one thread and, in the shim, no signal handlers. The signals that `in_child` restores are the
    // child's own, and `program` is a `Fn`.
    let child = unsafe { child::start(in_child) }?;
    drop(writer);
    let mut supervision = Supervision {
        child,
        watch,
        stream,
        hung_up: false,
        signalled: false,
    };
    let exit_reason = supervision.run();
    let unread = supervision.stream.unread();
    let unread = supervision.stream.drain(unread);
    Ok(Finished {
        exit_reason,
        signalled: supervision.signalled,
        stream: supervision.stream,
        unread,
        _placeholders: placeholders,
    })
}

/// What `poll(2)` has reported about the streams.
struct Ready {
    /// The child's stderr can be read, or is at its end.
    readable: bool,
    /// Our stderr can be written to.
    writable: bool,
    /// The reader of our stderr has gone.
    no_reader: bool,
}

struct Supervision {
    child: Pid,
    watch: Watch,
    stream: Stream,
    /// Our stderr is a terminal or a socket that has hung up: poll(2) would return at once for ever.
    hung_up: bool,
    signalled: bool,
}

impl Supervision {
    /// Returns how the child exited. It cannot fail: the child runs already, and its work must not be done twice.
    fn run(&mut self) -> ExitReason {
        // A key pressed before there was a child has reached us only. One that is pressed later reaches both.
        let mut before_fork = true;
        loop {
            if let Some(exit_reason) = self.take_signals(before_fork) {
                return exit_reason;
            }
            before_fork = false;
            let ready = self.wait();
            let no_reader = ready.no_reader || (ready.writable && !self.stream.write_pending());
            if no_reader {
                // With our end closed the child gets SIGPIPE at its next write, as it would without us.
                self.stream.reader = None;
                self.stream.relay.release();
                let pending = self.stream.relay.pending().len();
                self.stream.relay.wrote(pending);
            } else if ready.readable {
                self.stream.read_some(usize::MAX);
            }
        }
    }

    /// Waits until a signal has arrived, the hold or the pause at its beginning is over, the child has written, or the state of
    /// our stderr has changed.
    ///
    /// While something is pending nothing is read: the child waits for a slow reader, as it would without us.
    fn wait(&mut self) -> Ready {
        let hold_left = self.stream.relay.hold_left();
        let pause_left = hold_left.and_then(Relay::pause_left);
        let timeout = match pause_left.or(hold_left) {
            // Rounded up: rounded down, poll(2) would return many times within the last millisecond.
            Some(left) => PollTimeout::try_from(left.as_millis() + 1).unwrap_or(PollTimeout::MAX),
            None => PollTimeout::NONE,
        };
        let writing = !self.stream.relay.pending().is_empty();
        let listening = self.stream.reader.is_some() && !self.hung_up;
        let stderr = io::stderr();
        let none = PollFlags::empty();
        let signals = |events| PollFd::new(self.watch.as_fd(), events);
        let ours = match (writing, listening) {
            (true, _) => PollFd::new(stderr.as_fd(), PollFlags::POLLOUT),
            // Without events, poll(2) still reports that a pipe has lost its reader.
            (false, true) => PollFd::new(stderr.as_fd(), none),
            // Without events, a signalfd reports nothing: it fills the place.
            (false, false) => signals(none),
        };
        let reader = match &self.stream.reader {
            Some(reader) if !writing && pause_left.is_none() => {
                PollFd::new(reader.as_fd(), PollFlags::POLLIN)
            }
            _ => signals(none),
        };
        let mut polled = [signals(PollFlags::POLLIN), ours, reader];
        let polled_them = poll(&mut polled, timeout).is_ok();
        let reported =
            |polled: PollFd<'_>| polled.revents().filter(|_| polled_them).unwrap_or(none);
        let [_, ours, reader] = polled.map(reported);
        self.hung_up |= ours.contains(PollFlags::POLLHUP);
        let is_at_end = reader == PollFlags::POLLHUP;
        if is_at_end {
            self.stream.reader = None;
        }
        Ready {
            readable: !reader.is_empty() && !is_at_end,
            writable: writing && !ours.is_empty(),
            no_reader: lost_its_reader(ours),
        }
    }

    /// Notes every signal that has arrived, and forwards those that the child has not received; how the child exited, if it has.
    fn take_signals(&mut self, before_fork: bool) -> Option<ExitReason> {
        let mut child_changed = false;
        while let Some(arrival) = self.watch.next() {
            self.signalled |= arrival.terminates();
            if arrival.signal == libc::SIGCHLD {
                child_changed = true;
            } else if before_fork || !arrival.from_terminal {
                debug!(signal = arrival.signal, "forwarding a signal to the child");
                signals::forward(arrival.signal, self.child);
            }
        }
        if child_changed { self.reap() } else { None }
    }

    /// How the child exited, if it has. If it has stopped, we stop too, and look again when we continue.
    fn reap(&self) -> Option<ExitReason> {
        loop {
            let mut status = 0;
            // SAFETY: waitpid(2) fills in one int. nix's own fails on a child that a real-time signal killed.
            let pid = unsafe {
                libc::waitpid(
                    self.child.as_raw(),
                    &raw mut status,
                    libc::WNOHANG | libc::WUNTRACED,
                )
            };
            match Errno::result(pid) {
                Ok(0) => return None,
                Ok(_) => match ExitReason::from_wait_status(status) {
                    None if libc::WIFSTOPPED(status) => self.watch.stop_by(libc::WSTOPSIG(status)),
                    None => {}
                    exit_reason => return exit_reason,
                },
                Err(Errno::EINTR) => {}
                // Only its parent can wait for a child, so this does not happen; its status would be lost.
                Err(_) => return Some(ExitReason::Exited(failure::OWN)),
            }
        }
    }
}

nix::ioctl_read_bad!(
    /// How many bytes a pipe holds (`ioctl_tty(2)`, `pipe(7)`).
    bytes_waiting,
    libc::FIONREAD,
    c_int
);
