//! An observer: a process that sees this one end, whatever that becomes until then, and of which nobody notices anything.

use std::ffi::c_int;
use std::io;
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::libc;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::SigSet;
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::{ForkResult, Pid, getpid};

use super::descriptors::close_all_but;

/// Leaves an observer behind, which waits until this process has ended and calls `tell` with the time that this took. If it
/// cannot see the end, before Linux 5.3 and of process 1 of a container, it calls `tell` with `None` before this returns.
///
/// It is no child of ours any more, in a session of its own without a terminal, in the root directory, deaf to signals, and
/// holds none of our descriptors: whoever waits for the end of a pipe, a lock, a terminal or a process group of ours does not
/// wait for it. All of this is so when this function returns.
///
/// # Errors
///
/// There is no observer, since there is no process to be had, or no /proc.
pub fn observe(tell: impl FnOnce(Option<Duration>)) -> io::Result<()> {
    let begun = Instant::now();
    let us = pidfd_of_ourselves();
    // SAFETY: this program has one thread, so the child may do whatever the parent may.
    match unsafe { nix::unistd::fork() }? {
        ForkResult::Parent { child } => wait_for(child),
        ForkResult::Child => {
            let done = detach(us.as_ref()).and_then(|()| match us {
                None => {
                    tell(None);
                    Ok(())
                }
                Some(us) => in_a_child(|| {
                    wait_for_end(&us);
                    tell(Some(begun.elapsed()));
                }),
            });
            // SAFETY: _exit(2) takes a number. Not exit(3): what the parent's exit has to do is not the child's.
            unsafe { libc::_exit(c_int::from(done.is_err())) }
        }
    }
}

/// What becomes readable when this process has ended; `None` if nobody would live to see it, or this kernel has no such thing.
fn pidfd_of_ourselves() -> Option<OwnedFd> {
    let us = getpid();
    // With process 1 the kernel ends all others (pid_namespaces(7)).
    if us == Pid::from_raw(1) {
        return None;
    }
    // SAFETY: pidfd_open(2) takes two numbers; nix has no such call.
    let fd = unsafe { libc::syscall(libc::SYS_pidfd_open, us.as_raw(), 0) };
    let fd = RawFd::try_from(fd).ok().filter(|&fd| fd >= 0)?;
    // SAFETY: the kernel has just given this descriptor to us, and nobody else knows of it.
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

/// Leaves `work` to a child, which becomes init's when this process ends.
fn in_a_child(work: impl FnOnce()) -> io::Result<()> {
    // SAFETY: this program has one thread, so the child may do whatever the parent may.
    if let ForkResult::Child = unsafe { nix::unistd::fork() }? {
        work();
    }
    Ok(())
}

/// Waits until this child has done its part.
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

fn wait_for_end(process: &OwnedFd) {
    let mut polled = [PollFd::new(process.as_fd(), PollFlags::POLLIN)];
    while poll(&mut polled, PollTimeout::NONE) == Err(Errno::EINTR) {}
}
