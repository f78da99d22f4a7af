//! Signals during an attempt: read as events from a signalfd, and put back as they were on drop.

use std::ffi::c_int;
use std::iter;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd};
use std::ptr;

use nix::libc::{self, SIG_DFL, SIG_IGN, sighandler_t};
use nix::sys::signal::Signal::{self, SIGALRM, SIGCHLD, SIGHUP, SIGINT, SIGPIPE, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2};
use nix::sys::signal::{SigSet, SigmaskHow, sigprocmask};
use nix::sys::signalfd::{SfdFlags, SignalFd};

/// The signals that are forwarded to the child: those that end a process and are sent from outside, which no fallback follows, and
/// SIGCONT, since a child that was stopped with us would stay so.
const FORWARDED: [Signal; 8] = [SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2, SIGALRM, Signal::SIGCONT];

/// What has arrived.
#[derive(Clone, Copy, Debug)]
pub(super) enum Arrival {
    /// A child has changed its state.
    Child,
    /// A signal to forward, and whether the terminal sent it: then the whole process group has received it, the child too.
    Signal { number: c_int, from_terminal: bool },
}

/// Blocks the signals of the list and SIGCHLD until dropped. Signals that our caller blocks or ignores (nohup) are left alone.
///
/// Only these are blocked and unblocked. A whole mask would not do: libc hides the real-time signals 32 to 34 in it.
pub(crate) struct Watch {
    events: SignalFd,
    blocked: SigSet,
    child_before: sighandler_t,
    pipe_before: sighandler_t,
}

impl Watch {
    /// Begins to watch.
    ///
    /// # Errors
    ///
    /// A system call is refused; then nothing has changed.
    pub(crate) fn begin() -> nix::Result<Self> {
        let mut before = SigSet::empty();
        // nix's pthread_sigmask takes the error that libc's returns for success.
        sigprocmask(SigmaskHow::SIG_BLOCK, None, Some(&mut before))?;
        let mut watched: SigSet = FORWARDED.into_iter().filter(|&it| !before.contains(it) && !is_ignored(it)).collect();
        let mut blocked = watched;
        if !before.contains(SIGCHLD) {
            blocked.add(SIGCHLD);
        }
        watched.add(SIGCHLD);
        let events = SignalFd::with_flags(&watched, SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK)?;
        sigprocmask(SigmaskHow::SIG_BLOCK, Some(&blocked), None)?;
        Ok(Self {
            events,
            blocked,
            // Where our caller ignores SIGCHLD, the kernel would discard the child's status.
            child_before: set_action(SIGCHLD, SIG_DFL),
            // git wrote to a pipe that had a reader. Where ours has lost its own, git gets SIGPIPE at its next write, not we.
            pipe_before: set_action(SIGPIPE, SIG_IGN),
        })
    }

    /// The next event that has arrived, if any; never waits.
    pub(super) fn next(&self) -> Option<Arrival> {
        let info = self.events.read_signal().ok().flatten()?;
        let number = c_int::try_from(info.ssi_signo).ok()?;
        if number == libc::SIGCHLD {
            return Some(Arrival::Child);
        }
        // SI_KERNEL alone does not mean the terminal: SIGALRM of an alarm(2) set by our caller has it too, and SIGHUP of a
        // terminal goes to the leader of the session only.
        let from_terminal = info.ssi_code == libc::SI_KERNEL && matches!(number, libc::SIGINT | libc::SIGQUIT);
        Some(Arrival::Signal { number, from_terminal })
    }

    /// The number of the next signal that has arrived and would have ended this process, if any.
    pub(crate) fn signal(&self) -> Option<c_int> {
        iter::from_fn(|| self.next()).find_map(|arrival| match arrival {
            Arrival::Signal { number, .. } if number != libc::SIGCONT => Some(number),
            _ => None,
        })
    }

    /// Puts the signals back as our caller had them. The child calls this itself, since it never drops the watch.
    pub(super) fn restore(&self) {
        set_action(SIGCHLD, self.child_before);
        set_action(SIGPIPE, self.pipe_before);
        let _ = sigprocmask(SigmaskHow::SIG_UNBLOCK, Some(&self.blocked), None);
    }
}

impl AsFd for Watch {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.events.as_fd()
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.restore();
    }
}

/// Dies by the signal with this number. Returns only where the kernel does not let it kill us.
pub(crate) fn die_by(number: c_int) {
    // SAFETY: the default action is no handler, all zero is an empty mask, and the numbers come from a wait status. By number,
    // since real-time signals have no names in nix.
    unsafe {
        libc::signal(number, SIG_DFL);
        let mut one = MaybeUninit::zeroed();
        libc::sigaddset(one.as_mut_ptr(), number);
        libc::raise(number);
        libc::sigprocmask(libc::SIG_UNBLOCK, one.as_ptr(), ptr::null_mut());
    }
}

/// Makes a write to a pipe without reader fail instead of killing this process.
pub(super) fn ignore_sigpipe() {
    set_action(SIGPIPE, SIG_IGN);
}

/// Whether this process ignores `signal`.
fn is_ignored(signal: Signal) -> bool {
    let mut action = MaybeUninit::<libc::sigaction>::zeroed();
    // SAFETY: with a null new action sigaction(2) only reports, into a struct of its own type, which all zero is valid for.
    unsafe {
        libc::sigaction(signal as c_int, ptr::null(), action.as_mut_ptr());
        action.assume_init().sa_sigaction == SIG_IGN
    }
}

/// Sets the action at `signal` to `SIG_DFL` or `SIG_IGN`, and returns the one before: no other survives exec.
fn set_action(signal: Signal, action: sighandler_t) -> sighandler_t {
    // SAFETY: neither is a handler of ours.
    unsafe { libc::signal(signal as c_int, action) }
}
