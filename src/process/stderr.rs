//! Our own standard error: whether it can be written to, whether anything reads it, and writes that do not block.

use std::io;
use std::os::fd::AsFd;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

/// A write of this size to a pipe that `poll(2)` called writable does not block (`PIPE_BUF` in `pipe(7)`).
const WRITE_AT_ONCE: usize = 4096;

/// What `poll(2)` reports about our stderr within `timeout`: some of `events`, or POLLERR where its reader has gone.
pub(super) fn poll_stderr(events: PollFlags, timeout: PollTimeout) -> PollFlags {
    let stderr = io::stderr();
    let mut polled = [PollFd::new(stderr.as_fd(), events)];
    while poll(&mut polled, timeout) == Err(Errno::EINTR) {}
    let reported = polled
        .iter()
        .filter_map(PollFd::revents)
        .collect::<PollFlags>();
    // A pipe without a reader is reported as writable too, and a write to it would kill us.
    if lost_its_reader(reported) {
        PollFlags::POLLERR
    } else {
        reported
    }
}

/// Whether `reported` is that of a pipe whose reader has gone. A terminal that has hung up reports POLLHUP too, and does not
/// kill the processes that write to it.
pub(super) fn lost_its_reader(reported: PollFlags) -> bool {
    reported.contains(PollFlags::POLLERR) && !reported.contains(PollFlags::POLLHUP)
}

/// The outcome of one write to our stderr.
pub(super) enum Written {
    /// So many bytes; 0 if it has to be tried again.
    Bytes(usize),
    /// Nothing, now and later: the error is not one that passes.
    Failed,
    /// Nothing, now and later: the reader has gone.
    NoReader,
}

/// Writes the beginning of `bytes` to our stderr, as much as does not block after `poll(2)` has reported POLLOUT.
pub(super) fn write_some(bytes: &[u8]) -> Written {
    let some = bytes.get(..WRITE_AT_ONCE).unwrap_or(bytes);
    match nix::unistd::write(io::stderr(), some) {
        Ok(count) => Written::Bytes(count),
        Err(Errno::EINTR | Errno::EAGAIN) => Written::Bytes(0),
        Err(Errno::EPIPE) => Written::NoReader,
        Err(_) => Written::Failed,
    }
}
