//! Signals while a child is supervised: read as events, passed on, outlived, and put back as they were on drop.

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
    /// Its number.
    pub signal: c_int,
    /// Whether the terminal sent it: then it went to the whole process group, the child included.
    pub from_terminal: bool,
}

impl Arrival {
    /// Whether a program that does nothing about this signal would have died of it (`signal(7)`, "Standard signals").
    #[must_use]
    pub fn asks_to_end(self) -> bool {
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

/// Watches every signal that would not be ignored, instead of dying of it, until dropped.
pub struct Watch {
    events: SignalFd,
    mask_before: SigSet,
    child_before: libc::sigaction,
}

impl Watch {
    /// Begins to watch. Signals that our caller had ignored (nohup) stay ignored.
    ///
    /// # Errors
    ///
    /// The error of `signalfd(2)`; then nothing has changed.
    pub fn begin() -> nix::Result<Self> {
        let child_before = disposition(libc::SIGCHLD)?;
        let mut watched = SigSet::all();
        for signal in 1..=libc::SIGRTMAX() {
            let ignored =
                disposition(signal).is_ok_and(|action| action.sa_sigaction == libc::SIG_IGN);
            // A blocked signal is queued even if it is ignored (kernel/signal.c, sig_ignored), so it must not be watched.
            // Where a fault of our own is blocked the kernel kills us all the same; from others these are passed on too.
            if ignored && signal != libc::SIGCHLD {
                remove(&mut watched, signal);
            }
            // Who blocks it may write to his terminal from the background in spite of `stty tostop` (tcsetattr(3)): then
            // what git says would not stop us, as it would stop git.
            if signal == libc::SIGTTOU {
                remove(&mut watched, signal);
            }
        }
        let events =
            SignalFd::with_flags(&watched, SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK)?;
        let mut mask_before = SigSet::empty();
        pthread_sigmask(
            SigmaskHow::SIG_BLOCK,
            Some(&watched),
            Some(&mut mask_before),
        )?;
        // Some callers ignore SIGCHLD, and then the kernel would throw the child's status away.
        set_default(libc::SIGCHLD)?;
        Ok(Self {
            events,
            mask_before,
            child_before,
        })
    }

    /// The next signal that has arrived, if any; never waits.
    #[must_use]
    pub fn next(&self) -> Option<Arrival> {
        let info = self.events.read_signal().ok().flatten()?;
        let signal = c_int::try_from(info.ssi_signo).ok()?;
        // That our own write met nobody is between us and the reader: git wrote the same in time, and lives on.
        if signal == libc::SIGPIPE && info.ssi_pid == std::process::id() {
            return self.next();
        }
        // SI_KERNEL alone would not do: an alarm(2) set before git was started comes from the kernel too, and a hang-up to
        // the leader of the session only.
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

    /// Stops this process as the child has been stopped, by `signal`, and returns when it goes on.
    pub fn stop_by(&self, signal: c_int) {
        raise_unblocked(signal);
    }

    /// Puts the signals back as our caller had them; for the child, which never drops this.
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

/// Sends `signal` to the process `to`. That it has ended meanwhile is no error.
pub fn pass_on(signal: c_int, to: Pid) {
    // SAFETY: kill(2) takes two numbers; the raw call is used because real-time signals have no name in nix.
    unsafe { libc::kill(to.as_raw(), signal) };
}

/// Has a write that nobody can read fail, and not kill this process, which ends as git has ended.
pub fn outlive_readers() {
    let _ = set(libc::SIGPIPE, libc::SIG_IGN);
}

/// Dies by `signal`. Returns only where the kernel does not let it kill us.
pub fn die_by(signal: c_int) {
    let _ = set_default(signal);
    raise_unblocked(signal);
}

/// Raises `signal` while it is blocked and lets it through once, so that one already waiting is not taken twice.
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
        // SAFETY: the set is initialised, and a number that is no signal is refused with EINVAL.
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

/// What this process does on `signal`, without changing it.
pub(super) fn disposition(signal: c_int) -> nix::Result<libc::sigaction> {
    let mut action = MaybeUninit::uninit();
    // SAFETY: with a null new action sigaction(2) only reports, into space that is large enough; nix has no such call.
    Errno::result(unsafe { libc::sigaction(signal, ptr::null(), action.as_mut_ptr()) })?;
    // SAFETY: the call succeeded, so the action has been filled in.
    Ok(unsafe { action.assume_init() })
}

/// Gives `signal` back to the kernel's default action.
fn set_default(signal: c_int) -> nix::Result<()> {
    set(signal, libc::SIG_DFL)
}

/// Has the kernel do this on `signal`: `SIG_DFL` or `SIG_IGN`.
fn set(signal: c_int, action: libc::sighandler_t) -> nix::Result<()> {
    // SAFETY: all zero is a valid sigaction: SIG_DFL, no flags, an empty mask.
    let mut new: libc::sigaction = unsafe { MaybeUninit::zeroed().assume_init() };
    new.sa_sigaction = action;
    // SAFETY: neither action runs code of ours.
    Errno::result(unsafe { libc::sigaction(signal, &raw const new, ptr::null_mut()) })?;
    Ok(())
}
