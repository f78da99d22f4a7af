//! Signals while a child is supervised: read as events, forwarded, and put back as they were on drop.

use std::ffi::c_int;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd};
use std::ptr;

use nix::errno::Errno;
use nix::libc;
use nix::sys::signal::{SigSet, SigmaskHow, pthread_sigmask};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::unistd::Pid;

/// A signal that arrived while it was watched for.
#[derive(Clone, Copy, Debug)]
pub struct Arrival {
    /// The signal's number.
    pub signal: c_int,
    /// Whether the terminal sent it: then the whole process group received it, the child too.
    pub from_terminal: bool,
}

impl Arrival {
    /// Whether this is a termination signal: its default action ends the process (`signal(7)`, "Standard signals").
    #[must_use]
    pub fn terminates(self) -> bool {
        !matches!(
            self.signal,
            libc::SIGCHLD
                | libc::SIGCONT
                | libc::SIGTSTP
                | libc::SIGTTIN
                | libc::SIGTTOU
                | libc::SIGURG
                | libc::SIGWINCH
        )
    }
}

/// Blocks every signal and reads it from a signalfd, until dropped.
pub struct Watch {
    events: SignalFd,
    mask_before: SigSet,
    child_before: libc::sigaction,
}

impl Watch {
    /// Begins to watch. Signals that our caller ignores (nohup) stay ignored.
    ///
    /// # Errors
    ///
    /// The error of `signalfd(2)`; then nothing has changed.
    pub fn begin() -> nix::Result<Self> {
        let child_before = disposition(libc::SIGCHLD)?;
        // SIGSEGV and the like are watched too: the kernel kills us for a fault of our own even while they are blocked.
        let mut watched = SigSet::all();
        // A process that blocks SIGTTOU can write to its terminal from the background in spite of `stty tostop`
        // (tcsetattr(3)): then our writes of git's stderr would not stop us, as they would stop git.
        remove(&mut watched, libc::SIGTTOU);
        let events =
            SignalFd::with_flags(&watched, SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK)?;
        let mut mask_before = SigSet::empty();
        pthread_sigmask(
            SigmaskHow::SIG_BLOCK,
            Some(&watched),
            Some(&mut mask_before),
        )?;
        // Where the caller ignores SIGCHLD, the kernel would discard the child's status.
        set_default(libc::SIGCHLD)?;
        Ok(Self {
            events,
            mask_before,
            child_before,
        })
    }

    /// The next signal that has arrived and that our caller does not ignore, if any; never waits.
    #[must_use]
    pub fn next(&self) -> Option<Arrival> {
        let info = self.events.read_signal().ok().flatten()?;
        let signal = c_int::try_from(info.ssi_signo).ok()?;
        // A blocked signal is queued even if it is ignored (kernel/signal.c, sig_ignored).
        let is_ignored = disposition(signal).is_ok_and(|now| now.sa_sigaction == libc::SIG_IGN);
        // Our own write to a stderr without reader: git wrote these bytes while there was one, and did not get SIGPIPE.
        let is_our_own = signal == libc::SIGPIPE && info.ssi_pid == std::process::id();
        if is_ignored || is_our_own {
            return self.next();
        }
        // SI_KERNEL alone does not mean the terminal: SIGALRM of an alarm(2) set by our caller has it too, and SIGHUP of a
        // terminal goes to the leader of the session only.
        let from_terminal = info.ssi_code == libc::SI_KERNEL
            && matches!(
                signal,
                libc::SIGINT | libc::SIGQUIT | libc::SIGTSTP | libc::SIGWINCH
            );
        Some(Arrival {
            signal,
            from_terminal,
        })
    }

    /// Stops this process by `signal`, which has stopped the child, and returns when this process continues.
    pub fn stop_by(&self, signal: c_int) {
        raise_unblocked(signal);
    }

    /// Puts the signals back as our caller had them. The child calls this itself, since it never drops the watch.
    pub fn restore(&self) {
        // SAFETY: `child_before` is what sigaction(2) itself reported.
        unsafe { libc::sigaction(libc::SIGCHLD, &raw const self.child_before, ptr::null_mut()) };
        let _ = pthread_sigmask(SigmaskHow::SIG_SETMASK, Some(&self.mask_before), None);
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

/// Sends `signal` to the process `to`. That the process has exited meanwhile is no error.
pub fn forward(signal: c_int, to: Pid) {
    // SAFETY: kill(2) takes two numbers; the raw call is used because real-time signals have no name in nix.
    unsafe { libc::kill(to.as_raw(), signal) };
}

/// Makes a write to a pipe without reader fail instead of killing this process, which has to end as git has ended.
pub fn ignore_sigpipe() {
    let _ = set(libc::SIGPIPE, libc::SIG_IGN);
}

/// Dies by `signal`. Returns only where the kernel does not let it kill us.
pub fn die_by(signal: c_int) {
    let _ = set_default(signal);
    raise_unblocked(signal);
}

/// Raises `signal` while it is blocked and then unblocks it, so that one that was pending already does not act twice.
fn raise_unblocked(signal: c_int) {
    let mut one = SigSet::empty();
    insert(&mut one, signal);
    let mut before = SigSet::empty();
    let _ = pthread_sigmask(SigmaskHow::SIG_BLOCK, Some(&one), Some(&mut before));
    // SAFETY: raise(3) takes a number.
    unsafe { libc::raise(signal) };
    let _ = pthread_sigmask(SigmaskHow::SIG_UNBLOCK, Some(&one), None);
    let _ = pthread_sigmask(SigmaskHow::SIG_SETMASK, Some(&before), None);
}

// By number, where nix knows signals by name only: real-time signals have none.

fn insert(set: &mut SigSet, signal: c_int) {
    change(set, |raw| {
        // SAFETY: the set is initialised, and an invalid number is refused with EINVAL.
        unsafe { libc::sigaddset(raw, signal) };
    });
}

fn remove(set: &mut SigSet, signal: c_int) {
    change(set, |raw| {
        // SAFETY: as in `insert`.
        unsafe { libc::sigdelset(raw, signal) };
    });
}

fn change(set: &mut SigSet, edit: impl FnOnce(*mut libc::sigset_t)) {
    let mut raw = *set.as_ref();
    edit(&raw mut raw);
    // SAFETY: `raw` came out of a SigSet and libc's own functions kept it valid.
    *set = unsafe { SigSet::from_sigset_t_unchecked(raw) };
}

/// The disposition of `signal` in this process, as sigaction(2) reports it.
pub(super) fn disposition(signal: c_int) -> nix::Result<libc::sigaction> {
    let mut action = MaybeUninit::uninit();
    // SAFETY: with a null new action sigaction(2) only reports, into a struct of its own type; nix has no such call.
    Errno::result(unsafe { libc::sigaction(signal, ptr::null(), action.as_mut_ptr()) })?;
    // SAFETY: the call succeeded, so the action has been filled in.
    Ok(unsafe { action.assume_init() })
}

/// Sets the default action for `signal`.
fn set_default(signal: c_int) -> nix::Result<()> {
    set(signal, libc::SIG_DFL)
}

/// Sets the action for `signal`: `SIG_DFL` or `SIG_IGN`.
fn set(signal: c_int, action: libc::sighandler_t) -> nix::Result<()> {
    // SAFETY: all zero is a valid sigaction: SIG_DFL, no flags, an empty mask.
    let mut new: libc::sigaction = unsafe { MaybeUninit::zeroed().assume_init() };
    new.sa_sigaction = action;
    // SAFETY: neither action installs a handler.
    Errno::result(unsafe { libc::sigaction(signal, &raw const new, ptr::null_mut()) })?;
    Ok(())
}
