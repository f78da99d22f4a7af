//! Signals that ask to end, noted instead of died of, so that what was made can be removed first.

use std::ffi::c_int;
use std::sync::atomic::{AtomicI32, Ordering};

use nix::libc;
use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, sigaction};

use super::signals;

/// The last one that has arrived; 0 is none.
static ARRIVED: AtomicI32 = AtomicI32::new(0);

/// Notes every signal by which a person or the system asks a program to end, from now on and until this process becomes
/// another program. Those that our caller ignores (nohup) stay ignored.
///
/// # Errors
///
/// The error of `sigaction(2)`.
pub fn note() -> nix::Result<()> {
    for signal in [
        Signal::SIGHUP,
        Signal::SIGINT,
        Signal::SIGQUIT,
        Signal::SIGTERM,
    ] {
        if signals::disposition(signal as c_int)?.sa_sigaction != libc::SIG_IGN {
            note_one(signal)?;
        }
    }
    Ok(())
}

/// Notes `signal`, whatever our caller does about it.
///
/// # Errors
///
/// The error of `sigaction(2)`.
pub(super) fn note_one(signal: Signal) -> nix::Result<()> {
    let noting = SigAction::new(
        SigHandler::Handler(arrive),
        SaFlags::empty(),
        SigSet::empty(),
    );
    // SAFETY: the handler does nothing but store a number, which a signal may interrupt anywhere.
    unsafe { sigaction(signal, &noting) }.map(drop)
}

extern "C" fn arrive(signal: c_int) {
    ARRIVED.store(signal, Ordering::Relaxed);
}

/// The signal that has asked this process to end, if any.
#[must_use]
pub fn arrived() -> Option<c_int> {
    Some(ARRIVED.load(Ordering::Relaxed)).filter(|&signal| signal != 0)
}
