//! The time, by the system call itself: the first use of the C library's reads the kernel's vDSO, which takes three page faults.

use std::mem::MaybeUninit;
use std::time::Duration;

use nix::libc;

/// The time since some moment before this process started; it never goes back, and does not count sleep (`CLOCK_MONOTONIC`).
#[must_use]
pub fn monotonic() -> Duration {
    let mut now = MaybeUninit::<libc::timespec>::zeroed();
    // SAFETY: clock_gettime(2) fills in the struct, which all zero is valid for if it does not.
    let now = unsafe {
        libc::syscall(
            libc::SYS_clock_gettime,
            libc::CLOCK_MONOTONIC,
            now.as_mut_ptr(),
        );
        now.assume_init()
    };
    let (seconds, nanoseconds) = (u64::try_from(now.tv_sec), u32::try_from(now.tv_nsec));
    Duration::new(seconds.unwrap_or(0), nanoseconds.unwrap_or(0))
}
