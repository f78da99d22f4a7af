//! The start of a child that execs, what both sides of a fork do about their streams, and how a child notices that its
//! parent has died.

use std::ffi::{c_int, c_void};
use std::io;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::path::Path;

use nix::errno::Errno;
use nix::fcntl::{OFlag, open};
use nix::libc;
use nix::sys::signal::Signal;
use nix::sys::stat::Mode;
use nix::unistd::Pid;
use smallvec::SmallVec;

use super::entries::Entries;
use crate::failure;

/// How far below the frame of `start` the child's stack begins: libc's clone(2) needs a few hundred bytes there.
const GAP: usize = 2048;

/// Starts a child that runs `work` and shares our memory until it execs or exits; until then this process waits, as with
/// vfork(2). fork(2) copies the page tables, and then each page at the next write to it.
///
/// What `work` returns is the child's exit status.
///
/// # Errors
///
/// The error of clone(2): then there is no child.
///
/// # Safety
///
/// This process has one thread and no signal handlers, and does not rely on anything in memory that `work` changes.
#[inline(never)]
pub(super) unsafe fn start<F: FnOnce() -> c_int>(work: F) -> nix::Result<Pid> {
    extern "C" fn run<F: FnOnce() -> c_int>(work: *mut c_void) -> c_int {
        // SAFETY: it is the `work` of `start`, which waits meanwhile.
        let work = unsafe { work.cast::<Option<F>>().as_mut() };
        let status = work
            .and_then(Option::take)
            .map_or(failure::OWN, |work| work());
        // SAFETY: _exit(2) takes a number. Not exit(3): what the parent's exit has to do is not the child's.
        unsafe { libc::_exit(status) }
    }
    let mut work = Some(work);
    let frame = (&raw mut work).cast::<c_void>();
    // As with vfork(2), the child uses what is free of our own stack: its pages are there, and it can grow as ours can.
    // Every ABI of Linux wants it aligned to 16 bytes at most.
    let stack = frame.map_addr(|frame| (frame - GAP) & !15);
    let flags = libc::CLONE_VM | libc::CLONE_VFORK | libc::SIGCHLD;
    // SAFETY: `work` lives until the child has exec'd or exited, which is when clone(2) returns. Until then this process does
    // nothing, so that no frame of ours reaches down to `stack`.
    let pid = unsafe { libc::clone(run::<F>, stack, flags, frame) };
    Errno::result(pid).map(Pid::from_raw)
}

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
    let open: Vec<RawFd> = Entries::of(Path::new("/proc/self/fd"))?
        .filter_map(|name| name.ok()?.to_str()?.parse().ok())
        .collect();
    for fd in open.into_iter().filter(|fd| !kept.contains(fd)) {
        let _ = nix::unistd::close(fd);
    }
    Ok(())
}
