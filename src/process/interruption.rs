//! Termination signals that are noted instead of died of, so that files can be removed before this process exits.

use std::ffi::c_int;
use std::sync::atomic::{AtomicI32, Ordering};

use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, sigaction};

/// The last termination signal that has arrived; 0 if none has.
static ARRIVED: AtomicI32 = AtomicI32::new(0);

/// Notes every termination signal from now on, until this process execs. Those that our caller ignores (nohup) stay ignored.
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
        if !super::signals::is_ignored(signal) {
            note_one(signal)?;
        }
    }
    Ok(())
}

/// Notes `signal`, even where our caller ignores it.
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
    // SAFETY: the handler only stores a number in an atomic, which is allowed anywhere (signal-safety(7)).
    unsafe { sigaction(signal, &noting) }.map(drop)
}

extern "C" fn arrive(signal: c_int) {
    ARRIVED.store(signal, Ordering::Relaxed);
}

/// The last termination signal that has arrived, if one has.
#[must_use]
pub fn arrived() -> Option<c_int> {
    Some(ARRIVED.load(Ordering::Relaxed)).filter(|&signal| signal != 0)
}
