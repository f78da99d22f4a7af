//! What the two sides of a fork do about their streams, and how a child notices that its parent has died.

use std::fs;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};

use nix::fcntl::{OFlag, open};
use nix::libc;
use nix::sys::signal::Signal;
use nix::sys::stat::Mode;
use nix::unistd::Pid;
use smallvec::SmallVec;

use crate::failure;

/// Descriptors that stand in for closed streams until dropped: three at most, so they need no allocation.
pub(super) type Placeholders = SmallVec<[OwnedFd; 3]>;

/// Opens /dev/null on each of the descriptors 0 to 2 that is closed.
///
/// Otherwise our own pipe could become descriptor 2, and we would relay to ourselves.
pub(super) fn occupy_closed_streams() -> nix::Result<Placeholders> {
    let mut placeholders = Placeholders::new();
    loop {
        let file = dev_null()?;
        if file.as_raw_fd() > libc::STDERR_FILENO {
            return Ok(placeholders);
        }
        placeholders.push(file);
    }
}

/// /dev/null, for reading and writing.
pub(super) fn dev_null() -> nix::Result<OwnedFd> {
    open(
        c"/dev/null",
        OFlag::O_RDWR | OFlag::O_CLOEXEC,
        Mode::empty(),
    )
}

/// In the child: makes the kernel send it `signal` when `parent` dies, so that git never outlives the process that the
/// caller started.
pub(super) fn die_with(parent: Pid, signal: Signal) {
    let _ = nix::sys::prctl::set_pdeathsig(signal);
    // The parent may have died before the line above; then no signal will come.
    if nix::unistd::getppid() != parent {
        // SAFETY: _exit(2) takes a number.
        unsafe { libc::_exit(failure::OWN) }
    }
}

/// Closes every descriptor except `kept`, as /proc lists them: `close_range(2)` exists since Linux 5.9 only.
///
/// # Errors
///
/// There is no /proc.
pub(super) fn close_all_but(kept: &[RawFd]) -> io::Result<()> {
    let open: Vec<RawFd> = fs::read_dir("/proc/self/fd")?
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .collect();
    for fd in open.into_iter().filter(|fd| !kept.contains(fd)) {
        let _ = nix::unistd::close(fd);
    }
    Ok(())
}
