//! A detached process that waits for our PID to exit (pidfd), then runs a callback that may write to a filesystem which hangs.

use std::ffi::{c_int, c_uint};
use std::io;
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::libc;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{SigHandler, SigSet, Signal, signal};
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::{ForkResult, Pid, getpid};

use super::child::close_all_but;

/// How many seconds the callback may take. A write that takes longer is to a filesystem that hangs.
const CALLBACK_SECONDS: c_uint = 10;

/// Starts an observer, which waits until this process has exited and calls `callback` with the time that this took. Where it
/// cannot see the exit (before Linux 5.3, in a sandbox without `pidfd_open(2)`, or if we are process 1), it calls `callback` with
/// `None` at once.
///
/// The observer is detached: init's child, in a session of its own without a terminal, in the root directory, and without
/// our descriptors, so that a process that waits for the end of a pipe, a lock, a terminal or a process group of ours does
/// not wait for the observer. All of this is true when this function returns. Nothing waits for the callback.
///
/// Until the exit the observer blocks all signals: one that is meant for the whole job would cost the record. Then SIGTERM
/// kills it, and so does SIGALRM if the callback takes more than `CALLBACK_SECONDS`.
///
/// # Errors
///
/// There is no observer: fork failed, or there is no /proc.
pub fn observe(callback: impl FnOnce(Option<Duration>)) -> io::Result<()> {
    let begun = Instant::now();
    // No other process of the namespace sees process 1 exit.
    let us = if is_process_1() { None } else { pidfd() };
    // SAFETY: this program has one thread, so the child may do whatever the parent may.
    match unsafe { nix::unistd::fork() }? {
        ForkResult::Parent { child } => wait_for(child),
        ForkResult::Child => {
            let work = || {
                let elapsed = us.as_ref().map(|us| {
                    wait_for_exit(us);
                    begun.elapsed()
                });
                if limit_lifetime().is_ok() {
                    callback(elapsed);
                }
            };
            let done = detach(us.as_ref()).and_then(|()| in_a_child(work));
            // SAFETY: _exit(2) takes a number. Not exit(3): what the parent's exit has to do is not the child's.
            unsafe { libc::_exit(c_int::from(done.is_err())) }
        }
    }
}

/// Whether this process is process 1 of its PID namespace. When that exits the kernel kills all other processes of the
/// namespace and waits for them (`pid_namespaces(7)`), for one that hangs on a filesystem too.
#[must_use]
pub fn is_process_1() -> bool {
    getpid() == Pid::from_raw(1)
}

/// A descriptor that becomes readable when this process has exited; `None` if the kernel gives none.
fn pidfd() -> Option<OwnedFd> {
    // SAFETY: pidfd_open(2) takes two numbers; nix has no such call.
    let fd = unsafe { libc::syscall(libc::SYS_pidfd_open, getpid().as_raw(), 0) };
    let fd = RawFd::try_from(fd).ok().filter(|&fd| fd >= 0)?;
    // SAFETY: the kernel has just given this descriptor to us, and nothing else owns it.
    Some(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Gives up all that a child has from its parent, but the descriptor `kept`.
fn detach(kept: Option<&OwnedFd>) -> io::Result<()> {
    SigSet::all().thread_block()?;
    nix::unistd::setsid()?;
    nix::unistd::chdir("/")?;
    let kept = kept.map(AsRawFd::as_raw_fd);
    close_all_but(kept.as_slice())
}

/// Leaves `work` to a child, which becomes init's when this process exits.
fn in_a_child(work: impl FnOnce()) -> io::Result<()> {
    // SAFETY: this program has one thread, so the child may do whatever the parent may.
    if let ForkResult::Child = unsafe { nix::unistd::fork() }? {
        work();
    }
    Ok(())
}

/// Waits until this child has exited with status 0.
fn wait_for(child: Pid) -> io::Result<()> {
    loop {
        match waitpid(child, None) {
            // Where our caller ignores SIGCHLD, the kernel throws the status away.
            Ok(WaitStatus::Exited(_, 0)) | Err(Errno::ECHILD) => return Ok(()),
            Err(Errno::EINTR) => {}
            _ => return Err(Errno::EAGAIN.into()),
        }
    }
}

fn wait_for_exit(process: &OwnedFd) {
    let mut polled = [PollFd::new(process.as_fd(), PollFlags::POLLIN)];
    while poll(&mut polled, PollTimeout::NONE) == Err(Errno::EINTR) {}
}

/// From now on SIGTERM kills this process, and SIGALRM does after `CALLBACK_SECONDS`.
fn limit_lifetime() -> io::Result<()> {
    let mut killing = SigSet::empty();
    for number in [Signal::SIGTERM, Signal::SIGALRM] {
        // Ignoring a signal discards the one that is pending, which was meant for the job.
        for action in [SigHandler::SigIgn, SigHandler::SigDfl] {
            // SAFETY: no handler of ours is installed.
            unsafe { signal(number, action) }?;
        }
        killing.add(number);
    }
    killing.thread_unblock()?;
    // SAFETY: alarm(2) takes a number.
    unsafe { libc::alarm(CALLBACK_SECONDS) };
    Ok(())
}
