//! Whether a process exists.

use nix::errno::Errno;
use nix::sys::signal::kill;
use nix::unistd::Pid;

/// Whether there is a process with this pid, of any user.
#[must_use]
pub fn is_alive(pid: u32) -> bool {
    // 0 and negative numbers name groups (kill(2)).
    i32::try_from(pid)
        .is_ok_and(|pid| pid > 0 && kill(Pid::from_raw(pid), None) != Err(Errno::ESRCH))
}
