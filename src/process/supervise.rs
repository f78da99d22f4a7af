//! The attempt: a child whose standard error is relayed and whose ending is waited for.

use std::ffi::c_int;
use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};

use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::libc;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::Signal;
use nix::unistd::{ForkResult, Pid};

use super::descriptors::close_all_but;
use super::exit_reason::ExitReason;
use super::relay::{Lines, Relay};
use super::signals::{self, Watch};
use crate::failure;

/// A write of this size to a pipe that `poll(2)` called writable does not block (`PIPE_BUF` in `pipe(7)`).
const WRITE_AT_ONCE: usize = 4096;

/// An attempt that is over.
pub struct Finished {
    /// How the child ended.
    pub exit_reason: ExitReason,
    /// Whether a signal that asks to end arrived meanwhile: then nothing more should be started.
    pub signalled: bool,
    /// What it wrote to standard error, partly shown.
    relay: Relay,
    /// `None` if nobody can write to it any more.
    reader: Option<OwnedFd>,
    // Kept until the process ends or is replaced: see `occupy_closed_streams`.
    _placeholders: Vec<File>,
}

impl Finished {
    /// The end of what the child said, from the beginning of a line.
    #[must_use]
    pub fn stderr(&self) -> &[u8] {
        self.relay.kept_lines()
    }

    /// Shows what is still held, and ends this process as the child has ended.
    ///
    /// What others may yet write to the child's standard error, such as a background process of a hook, reaches ours by
    /// a process of its own, so that we need not wait for them.
    pub fn end(mut self) -> ! {
        signals::outlive_readers();
        self.relay.release();
        // What git said is due, however slow its reader is; but nobody waits for a reader to die of a signal.
        let patience = match self.exit_reason {
            ExitReason::Exited(_) => PollTimeout::NONE,
            ExitReason::Killed(_) => PollTimeout::ZERO,
        };
        while !self.relay.pending().is_empty()
            && poll_stderr(PollFlags::POLLOUT, patience).contains(PollFlags::POLLOUT)
        {
            write_some(&mut self.relay);
        }
        if let Some(reader) = self.reader.filter(|reader| !is_at_end(reader)) {
            // SAFETY: this program has one thread, so the child may do whatever the parent may.
            if let Ok(ForkResult::Child) = unsafe { nix::unistd::fork() } {
                forward(&reader);
            }
        }
        self.exit_reason.end()
    }
}

/// Passes on to our standard error what others write to `reader`, until nobody can any more.
fn forward(reader: &OwnedFd) -> ! {
    if nix::unistd::dup2_stdin(reader).is_ok() {
        // Whoever reads another descriptor of ours to its end, or waits for a lock on it, must not wait for this.
        let _ = close_all_but(&[libc::STDIN_FILENO, libc::STDERR_FILENO]);
        let _ = io::copy(&mut io::stdin(), &mut io::stderr());
    }
    // SAFETY: _exit(2) takes a number.
    unsafe { libc::_exit(0) }
}

/// What has happened to our standard error before `patience` ends: some of `events`, or an error, or nothing.
fn poll_stderr(events: PollFlags, patience: PollTimeout) -> PollFlags {
    let stderr = io::stderr();
    let mut polled = [PollFd::new(stderr.as_fd(), events)];
    while poll(&mut polled, patience) == Err(Errno::EINTR) {}
    let happened = polled
        .iter()
        .filter_map(PollFd::revents)
        .collect::<PollFlags>();
    // Whoever wants to write to a pipe without a reader is told that he can, and dies.
    if is_abandoned(happened) {
        PollFlags::POLLERR
    } else {
        happened
    }
}

/// Whether `happened` tells of a pipe that has lost its reader. A terminal that has hung up tells more, and does not kill
/// those who write to it.
fn is_abandoned(happened: PollFlags) -> bool {
    happened.contains(PollFlags::POLLERR) && !happened.contains(PollFlags::POLLHUP)
}

/// Writes some of what is pending to our standard error; `false` if nobody can read it any more.
fn write_some(relay: &mut Relay) -> bool {
    let pending = relay.pending();
    let some = pending.get(..WRITE_AT_ONCE).unwrap_or(pending);
    match nix::unistd::write(io::stderr(), some) {
        Ok(count) => relay.wrote(count),
        Err(Errno::EINTR | Errno::EAGAIN) => {}
        Err(errno) => {
            relay.wrote(relay.pending().len());
            return errno != Errno::EPIPE;
        }
    }
    true
}

/// Whether a pipe is empty and nobody can write to it any more.
fn is_at_end(reader: &OwnedFd) -> bool {
    let mut polled = [PollFd::new(reader.as_fd(), PollFlags::POLLIN)];
    let looked = poll(&mut polled, PollTimeout::ZERO).is_ok();
    looked
        && polled
            .iter()
            .all(|reader| reader.revents() == Some(PollFlags::POLLHUP))
}

/// Runs `program` in a child and relays its standard error, until the child has ended.
///
/// `program` is called in the child and is expected to replace it; what it returns otherwise is the child's exit status.
/// What it says is held at first, and its last words until it has ended: `lines` tells which lines end the one and begin
/// the other.
/// The child stays in our process group, with our caller's signal mask and dispositions; signals that only we received
/// are passed on to it, and it does not outlive us.
///
/// # Errors
///
/// No pipe, no signal descriptor or no process could be had; then nothing has been started and nothing has changed.
pub fn supervise(program: impl FnOnce() -> c_int, lines: Lines) -> io::Result<Finished> {
    let placeholders = occupy_closed_streams()?;
    if is_abandoned(poll_stderr(PollFlags::empty(), PollTimeout::ZERO)) {
        // Nobody reads it: git dies at its first word, and should.
        return Err(Errno::EPIPE.into());
    }
    let (reader, writer) = nix::unistd::pipe2(OFlag::O_CLOEXEC)?;
    let watch = Watch::begin()?;
    let parent = nix::unistd::getpid();
    // SAFETY: this program has one thread, so the child may do whatever the parent may.
    let child = match unsafe { nix::unistd::fork() }? {
        ForkResult::Parent { child } => child,
        ForkResult::Child => {
            die_with(parent, Signal::SIGKILL);
            watch.restore();
            let status = match nix::unistd::dup2_stderr(&writer) {
                Ok(()) => program(),
                Err(_) => failure::OWN,
            };
            // SAFETY: _exit(2) takes a number. Not exit(3): what the parent's exit has to do is not the child's.
            unsafe { libc::_exit(status) }
        }
    };
    drop(writer);
    let mut supervision = Supervision {
        child,
        watch,
        reader: Some(reader),
        stderr: Relay::hold(lines),
        hung_up: false,
        signalled: false,
    };
    let exit_reason = supervision.run();
    Ok(Finished {
        exit_reason,
        signalled: supervision.signalled,
        relay: supervision.stderr,
        reader: supervision.reader,
        _placeholders: placeholders,
    })
}

/// What has happened to the streams.
struct Ready {
    readable: bool,
    writable: bool,
    /// Nobody can read our stderr any more.
    abandoned: bool,
}

struct Supervision {
    child: Pid,
    watch: Watch,
    /// `None` once the child has closed its end, or nobody reads ours.
    reader: Option<OwnedFd>,
    stderr: Relay,
    /// Our stderr is a terminal or a socket that has hung up: poll(2) would tell so for ever, and never wait.
    hung_up: bool,
    signalled: bool,
}

impl Supervision {
    /// Cannot fail: the child runs, and what it does must not be done again.
    fn run(&mut self) -> ExitReason {
        // What the terminal sent before there was a child has reached us only; what it sends from now on reaches both.
        let mut came_before = true;
        loop {
            if let Some(ending) = self.take_signals(came_before) {
                self.drain();
                return ending;
            }
            came_before = false;
            let ready = self.wait();
            let abandoned = ready.abandoned || (ready.writable && !write_some(&mut self.stderr));
            if abandoned {
                // Nobody reads any more. With our end closed the child meets the same at its next word.
                self.reader = None;
                self.stderr.release();
                self.stderr.wrote(self.stderr.pending().len());
            } else if ready.readable {
                self.read_some();
            }
        }
    }

    /// Waits until a signal has arrived, the hold is over, the child has written, or something has become of our stderr.
    ///
    /// While there is something to write nothing is read: the child waits for a slow reader, as it would without us.
    fn wait(&mut self) -> Ready {
        let timeout = match self.stderr.hold_left() {
            // Rounded up, so that the last millisecond is slept through rather than polled through.
            Some(left) => PollTimeout::try_from(left.as_millis() + 1).unwrap_or(PollTimeout::MAX),
            None => PollTimeout::NONE,
        };
        let writing = !self.stderr.pending().is_empty();
        let listening = self.reader.is_some() && !self.hung_up;
        let stderr = io::stderr();
        let none = PollFlags::empty();
        let signals = |events| PollFd::new(self.watch.as_fd(), events);
        let ours = match (writing, listening) {
            (true, _) => PollFd::new(stderr.as_fd(), PollFlags::POLLOUT),
            // Without events, poll(2) still tells that a pipe has lost its reader.
            (false, true) => PollFd::new(stderr.as_fd(), none),
            // And of a signalfd it tells nothing.
            (false, false) => signals(none),
        };
        let reader = match &self.reader {
            Some(reader) if !writing => PollFd::new(reader.as_fd(), PollFlags::POLLIN),
            _ => signals(none),
        };
        let mut polled = [signals(PollFlags::POLLIN), ours, reader];
        let looked = poll(&mut polled, timeout).is_ok();
        let happened = |polled: PollFd<'_>| polled.revents().filter(|_| looked).unwrap_or(none);
        let [_, ours, reader] = polled.map(happened);
        self.hung_up |= ours.contains(PollFlags::POLLHUP);
        Ready {
            readable: !reader.is_empty(),
            writable: writing && !ours.is_empty(),
            abandoned: is_abandoned(ours),
        }
    }

    fn read_some(&mut self) {
        let Some(reader) = &self.reader else { return };
        let mut chunk = [0; 16 * 1024];
        match nix::unistd::read(reader, &mut chunk) {
            Err(Errno::EINTR | Errno::EAGAIN) => {}
            Ok(0) | Err(_) => self.reader = None,
            Ok(count) => {
                let bytes = chunk.get(..count).unwrap_or_default();
                self.stderr.take(bytes);
            }
        }
    }

    /// Reads what the pipe holds now and no more: a background process of a hook may keep it open for ever.
    fn drain(&mut self) {
        let mut waiting: c_int = 0;
        if let Some(reader) = &self.reader {
            // SAFETY: FIONREAD writes one int.
            let _ = unsafe { bytes_waiting(reader.as_raw_fd(), &raw mut waiting) };
        }
        let end = self.stderr.taken() + usize::try_from(waiting).unwrap_or(0);
        while self.reader.is_some() && self.stderr.taken() < end {
            self.read_some();
        }
    }

    /// Passes on, notes and obeys every signal that has arrived, perhaps before the child; the ending, if it has ended.
    fn take_signals(&mut self, came_before: bool) -> Option<ExitReason> {
        let mut child_changed = false;
        while let Some(arrival) = self.watch.next() {
            self.signalled |= arrival.asks_to_end();
            if arrival.signal == libc::SIGCHLD {
                child_changed = true;
            } else if came_before || !arrival.from_terminal {
                signals::pass_on(arrival.signal, self.child);
            }
        }
        if child_changed { self.reap() } else { None }
    }

    /// The child's ending, if it has ended. If it has stopped, so do we, and look again when we go on.
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
                    ending => return ending,
                },
                Err(Errno::EINTR) => {}
                // Nobody but us can have waited for it; if somebody has, how it ended is lost.
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

/// Opens /dev/null on each of the descriptors 0 to 2 that is closed, until dropped or replaced.
///
/// Otherwise our own pipe could become descriptor 2, and we would relay to ourselves.
pub(super) fn occupy_closed_streams() -> io::Result<Vec<File>> {
    let mut opened = Vec::new();
    loop {
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .open("/dev/null")?;
        if file.as_raw_fd() > libc::STDERR_FILENO {
            return Ok(opened);
        }
        opened.push(file);
    }
}

/// Makes the kernel send this child `signal` when `parent` dies, so that git does not live on behind our caller's back.
pub(super) fn die_with(parent: Pid, signal: Signal) {
    let _ = nix::sys::prctl::set_pdeathsig(signal);
    // It may have died before it was asked for.
    if nix::unistd::getppid() != parent {
        // SAFETY: _exit(2) takes a number.
        unsafe { libc::_exit(failure::OWN) }
    }
}
