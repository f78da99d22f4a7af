//! Our own descriptors: a stderr that has lost its reader, standard streams that our caller has closed, and all the others.

use std::fs::OpenOptions;
use std::io;
use std::os::fd::{AsFd, IntoRawFd, RawFd};

use nix::errno::Errno;
use nix::libc;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::stat::{SFlag, fstat};
use nix::unistd::close;

/// What poll(2) reports where our stderr has lost its reader. A terminal that has hung up reports the same, but never gives SIGPIPE.
pub(super) fn reader_lost() -> PollFlags {
    let kind = fstat(io::stderr()).map_or(0, |found| found.st_mode & SFlag::S_IFMT.bits());
    match SFlag::from_bits_truncate(kind) {
        SFlag::S_IFIFO => PollFlags::POLLERR,
        // A datagram that did not arrive is an error too (udp(7)), but gives no SIGPIPE.
        SFlag::S_IFSOCK => PollFlags::POLLHUP,
        _ => PollFlags::empty(),
    }
}

/// Waits for `events` of our stderr. None where the time is over.
pub(super) fn poll_stderr(events: PollFlags, timeout: PollTimeout) -> nix::Result<PollFlags> {
    let stderr = io::stderr();
    let mut polled = [PollFd::new(stderr.as_fd(), events)];
    match poll(&mut polled, timeout) {
        Err(Errno::EINTR) => return Ok(PollFlags::empty()),
        answer => answer?,
    };
    let [stderr] = polled;
    Ok(stderr.revents().unwrap_or(PollFlags::empty()))
}

/// Opens /dev/null on each of the descriptors 0 to 2 that is closed, until we exec or exit. Otherwise our own pipe could become
/// descriptor 2, and we would write to ourselves.
pub(crate) fn occupy_closed() -> io::Result<()> {
    for descriptor in libc::STDIN_FILENO..=libc::STDERR_FILENO {
        // SAFETY: fcntl(2) with F_GETFD takes two numbers.
        if unsafe { libc::fcntl(descriptor, libc::F_GETFD) } < 0 {
            // open(2) takes the lowest one that is closed: this one.
            let _ = OpenOptions::new().read(true).write(true).open("/dev/null")?.into_raw_fd();
        }
    }
    Ok(())
}

/// Closes the descriptors from `first` to `last`; before Linux 5.9 those below 1024.
pub(super) fn close_range(first: RawFd, last: RawFd) {
    // SAFETY: close_range(2) takes three numbers, and this process uses none of these descriptors any more.
    if unsafe { libc::syscall(libc::SYS_close_range, first, last, 0) } != 0 {
        for fd in first..=last.min(1023) {
            let _ = close(fd);
        }
    }
}
