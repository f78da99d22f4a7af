//! The attempt: a program runs as our child, and we keep its stderr back until we know how it ends.
//!
//! We hold what it writes, so that a failed attempt is not seen. The hold ends early where nothing can fail any more, where much
//! is held, or where it lasts too long; then stderr is passed on as it comes.

use std::ffi::c_int;
use std::io::{self, IsTerminal};
use std::os::fd::{AsFd, AsRawFd, OwnedFd, RawFd};
use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::libc;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{SigSet, SigmaskHow, sigprocmask};
use nix::sys::wait::{WaitPidFlag, waitpid};
use nix::unistd::{ForkResult, Pid, dup2_stderr, fork, getpid, pipe2, read, write};
use smallvec::SmallVec;
use tracing::debug;

use super::ancestors::{self, since_boot};
use super::descriptors;
use super::exit_reason::ExitReason;
use super::signals::{self, Arrival, Watch};
use crate::failure;

/// How long stderr is held on a terminal, where a user waits for a sign of life.
const HOLD_ON_TERMINAL: Duration = Duration::from_secs(1);

/// How long it is held elsewhere: long enough that a loaded machine does not show the first line twice.
const HOLD_ELSEWHERE: Duration = Duration::from_secs(10);

/// How many bytes are held; and how many of the last ones our caller can read, of which git's message takes 4096 at most. A pipe
/// holds sixteen pages, which may have as many bytes each (aarch64): so much is read after the child's exit.
const KEEP: usize = 64 * 1024;

/// What an attempt keeps. Not allocated, since a lack of memory would kill us, and git in the middle of its work.
static KEPT: Mutex<SmallVec<[u8; 20 * KEEP]>> = Mutex::new(SmallVec::new_const());

/// How many bytes are read or written at once. A pipe that can be written to takes as many without blocking us (pipe(7)).
const CHUNK: usize = 4096;

/// A child whose stderr goes through us. Signals that only we receive are forwarded to it, and the kernel kills it when we die.
pub struct Attempt {
    child: Pid,
    signals: Watch,
    /// The child's stderr; `None` at its end, and once our own has lost its reader.
    reader: Option<OwnedFd>,
    /// The last bytes that the child wrote; the first `shown` of them have been written to our stderr.
    kept: MutexGuard<'static, SmallVec<[u8; 20 * KEEP]>>,
    shown: usize,
    /// When the hold ends, since boot; `None` once it has.
    held_until: Option<Duration>,
    /// Whether these lines of the child show that nothing can fail any more.
    ends_hold: fn(&[u8]) -> bool,
    /// What poll(2) reports where our stderr has lost its reader.
    reader_lost: PollFlags,
    /// Whether our stderr has lost its reader, is a terminal that has hung up, or a device with an error: poll(2) would return at
    /// once for ever.
    hung_up: bool,
    /// Whether a signal arrived that ends processes: then our caller starts nothing more.
    pub signalled: bool,
    exit_reason: Option<ExitReason>,
}

impl Attempt {
    /// Runs `program` in a child, until that has exited. `program` is expected to exec; what it returns otherwise is the child's
    /// exit status. `ends_hold` is asked whether the lines that the child has just written end the hold.
    ///
    /// # Errors
    ///
    /// Our stderr has no reader, or the kernel refuses what an attempt needs; then nothing has been started.
    pub fn run(program: impl FnOnce() -> c_int, ends_hold: fn(&[u8]) -> bool) -> io::Result<Self> {
        let reader_lost = descriptors::reader_lost();
        if descriptors::poll_stderr(PollFlags::empty(), PollTimeout::ZERO)?.intersects(reader_lost) {
            // git gets SIGPIPE at its first write, and should.
            return Err(Errno::EPIPE.into());
        }
        descriptors::occupy_closed()?;
        let (reader, writer) = pipe2(OFlag::O_CLOEXEC)?;
        fcntl(&reader, FcntlArg::F_SETFL(OFlag::O_NONBLOCK))?;
        let kept = KEPT.lock().map_err(|_| Errno::EBUSY)?;
        let parent = getpid();
        // A sandbox may refuse wait4(2): then we could not learn how git ends. We are no child of ours, so this is ECHILD.
        let answer = waitpid(parent, Some(WaitPidFlag::WNOHANG));
        answer.err().filter(|&error| error == Errno::ECHILD).ok_or(Errno::ENOSYS)?;
        let signals = Watch::begin()?;
        // SAFETY: this program has one thread, so the child may do whatever the parent may.
        let child = match unsafe { fork() }? {
            ForkResult::Parent { child } => child,
            ForkResult::Child => {
                // git never outlives the process that our caller started.
                let has_parent = ancestors::die_with(parent);
                signals.restore();
                exit(if has_parent && dup2_stderr(&writer).is_ok() { program() } else { failure::OWN })
            }
        };
        drop(writer);
        let hold = if io::stderr().is_terminal() { HOLD_ON_TERMINAL } else { HOLD_ELSEWHERE };
        let mut attempt = Self {
            child,
            signals,
            reader: Some(reader),
            kept,
            shown: 0,
            held_until: Some(since_boot() + hold),
            ends_hold,
            reader_lost,
            hung_up: false,
            signalled: false,
            exit_reason: None,
        };
        // A key that was pressed before there was a child has reached us only.
        attempt.take_signals(true);
        while attempt.exit_reason.is_none() {
            attempt.step();
        }
        // No more than a pipe holds: a background process of the child may write for ever.
        let mut unread = 16 * KEEP;
        while unread > 0 {
            match attempt.read() {
                0 => break,
                count => unread = unread.saturating_sub(count),
            }
        }
        Ok(attempt)
    }

    /// How the child exited.
    #[must_use]
    pub fn exit_reason(&self) -> ExitReason {
        self.exit_reason.unwrap_or(ExitReason::Exited(failure::OWN))
    }

    /// The end of what the child wrote to its stderr, 64 KiB or more.
    #[must_use]
    pub fn stderr(&self) -> &[u8] {
        &self.kept
    }

    /// Shows what is held, and ends this process as the child has ended.
    pub fn end(mut self) -> ! {
        self.signals.restore();
        signals::ignore_sigpipe();
        self.held_until = None;
        // Where a signal has killed the child, what our stderr does not take at once is lost, as it would be without us.
        let timeout = match self.exit_reason() {
            ExitReason::Exited(_) => PollTimeout::NONE,
            ExitReason::Killed(_) => PollTimeout::ZERO,
        };
        self.flush(timeout);
        if self.reader.is_some() {
            // Before the fork, so that no signal for the whole job ends the forwarder.
            let _ = sigprocmask(SigmaskHow::SIG_SETMASK, Some(&SigSet::all()), None);
            // SAFETY: as in `run`.
            if let Ok(ForkResult::Child) = unsafe { fork() } {
                self.forward();
            }
        }
        self.exit_reason().end()
    }

    /// In a process of its own, which has nothing else open: passes on what a background process of the child still writes, a
    /// hook's for instance.
    fn forward(&mut self) -> ! {
        let _ = nix::unistd::chdir("/");
        if let Some(reader) = &self.reader {
            let _ = fcntl(reader, FcntlArg::F_SETFL(OFlag::empty()));
            let reader = reader.as_raw_fd();
            descriptors::close_range(libc::STDIN_FILENO, libc::STDOUT_FILENO);
            descriptors::close_range(libc::STDERR_FILENO + 1, reader - 1);
            descriptors::close_range(reader + 1, RawFd::MAX);
        }
        while self.reader.is_some() {
            self.read();
            self.flush(PollTimeout::NONE);
        }
        exit(0)
    }

    /// Waits until something has happened, and does what is to be done then. While something waits to be written nothing is read:
    /// the child waits for a slow reader, as it would without us.
    fn step(&mut self) {
        let left = self.held_until.map(|until| until.saturating_sub(since_boot()));
        let timeout = match left {
            Some(Duration::ZERO) => {
                debug!("the time of the hold is over");
                self.held_until = None;
                PollTimeout::NONE
            }
            // Rounded up: rounded down, poll(2) would return many times within the last millisecond.
            Some(left) => PollTimeout::try_from(left.as_millis() + 1).unwrap_or(PollTimeout::MAX),
            None => PollTimeout::NONE,
        };
        let writing = !self.pending().is_empty();
        let ours = self.wait(writing, timeout);
        self.hung_up |= !writing && !ours.is_empty();
        if ours.intersects(self.reader_lost) {
            self.lose_reader();
        } else if writing && !ours.is_empty() {
            self.write();
        }
        self.take_signals(false);
        if self.pending().is_empty() {
            self.read();
        }
    }

    /// Waits for an event, for as long as `timeout`; returns those of our stderr.
    fn wait(&self, writing: bool, timeout: PollTimeout) -> PollFlags {
        let stderr = io::stderr();
        let mut polled: SmallVec<[PollFd<'_>; 3]> = SmallVec::new();
        polled.push(PollFd::new(self.signals.as_fd(), PollFlags::POLLIN));
        if let Some(reader) = self.reader.as_ref().filter(|_| !writing) {
            polled.push(PollFd::new(reader.as_fd(), PollFlags::POLLIN));
        }
        let watching = writing || !self.hung_up;
        if watching {
            // Without events, poll(2) still reports that a pipe has lost its reader.
            let events = if writing { PollFlags::POLLOUT } else { PollFlags::empty() };
            polled.push(PollFd::new(stderr.as_fd(), events));
        }
        let _ = poll(&mut polled, timeout);
        let ours = polled.last().filter(|_| watching).and_then(PollFd::revents);
        ours.unwrap_or(PollFlags::empty())
    }

    /// Notes the child's exit, and forwards the signals that the child has not received.
    fn take_signals(&mut self, before_fork: bool) {
        while let Some(arrival) = self.signals.next() {
            match arrival {
                Arrival::Child => self.reap(),
                Arrival::Signal { number, from_terminal } => {
                    self.signalled |= number != libc::SIGCONT;
                    // Once the child is reaped, its number may be another process's.
                    if self.exit_reason.is_none() && (before_fork || !from_terminal) {
                        debug!(number, "forwarding a signal");
                        // SAFETY: kill(2) takes two numbers.
                        unsafe { libc::kill(self.child.as_raw(), number) };
                    }
                }
            }
        }
    }

    /// Notes how the child has exited, if it has. Its stop is none of our business: the terminal stops us too. A SIGCHLD for its
    /// continuation can be followed by its exit before we ask, and then another one comes.
    fn reap(&mut self) {
        let mut status = 0;
        // SAFETY: waitpid(2) fills in one int. nix's own fails on a child that a real-time signal killed.
        let pid = unsafe { libc::waitpid(self.child.as_raw(), &raw mut status, libc::WNOHANG) };
        if pid > 0 {
            self.exit_reason = ExitReason::from_wait_status(status);
        } else if pid < 0 && Errno::last() != Errno::EINTR {
            self.exit_reason.get_or_insert(ExitReason::Exited(failure::OWN));
        }
    }

    /// Reads some of what the child has written; returns how many bytes.
    fn read(&mut self) -> usize {
        let Some(reader) = &self.reader else { return 0 };
        let mut chunk = [0; CHUNK];
        match read(reader, &mut chunk) {
            Err(Errno::EINTR | Errno::EAGAIN) => 0,
            Ok(0) | Err(_) => {
                self.reader = None;
                0
            }
            Ok(count) => {
                self.keep(chunk.get(..count).unwrap_or_default());
                count
            }
        }
    }

    /// Takes in what the child has written, and ends the hold if it is time.
    fn keep(&mut self, new: &[u8]) {
        // In steps, so that each byte is moved once at most.
        if self.kept.len() > 2 * KEEP && self.shown >= KEEP {
            self.kept.drain(..KEEP);
            self.shown -= KEEP;
        }
        let line = self.kept.iter().rposition(|&byte| byte == b'\n').map_or(0, |at| at + 1);
        self.kept.extend_from_slice(new);
        if self.held_until.is_some() {
            let is_over = (self.ends_hold)(self.kept.get(line..).unwrap_or_default());
            if is_over || self.kept.len() > KEEP {
                self.held_until = None;
            }
        }
    }

    /// What can be written now: nothing while it is held.
    fn pending(&self) -> &[u8] {
        if self.held_until.is_some() {
            return &[];
        }
        self.kept.get(self.shown..).unwrap_or_default()
    }

    /// Writes all that is pending, unless our stderr takes nothing for as long as `timeout`.
    fn flush(&mut self, timeout: PollTimeout) {
        while !self.pending().is_empty() {
            match descriptors::poll_stderr(PollFlags::POLLOUT, timeout) {
                Ok(events) if events.is_empty() && timeout == PollTimeout::ZERO => return,
                _ => self.write(),
            }
        }
    }

    /// Writes some of what is pending to our stderr, which is ready for it.
    fn write(&mut self) {
        let pending = self.pending();
        let chunk = pending.get(..CHUNK).unwrap_or(pending);
        match write(io::stderr(), chunk) {
            Ok(count) => self.shown += count,
            Err(Errno::EINTR | Errno::EAGAIN) => {}
            Err(Errno::EPIPE) => self.lose_reader(),
            // A full disk, a terminal that has hung up: git would go on too.
            Err(_) => self.shown += chunk.len(),
        }
    }

    /// Our stderr has lost its reader. With our end closed the child gets SIGPIPE at its next write, as it would without us.
    fn lose_reader(&mut self) {
        self.held_until = None;
        self.reader = None;
        self.hung_up = true;
        self.shown = self.kept.len();
    }
}

/// Exits at once: what std and libc do at exit is our parent's.
fn exit(status: c_int) -> ! {
    // SAFETY: _exit(2) takes a number.
    unsafe { libc::_exit(status) }
}
