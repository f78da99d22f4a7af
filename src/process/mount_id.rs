//! The mount that a file is on.

use std::ffi::CStr;
use std::mem::MaybeUninit;

use nix::libc;

/// The number of the mount that `path` leads to, through symbolic links and mount points (`STATX_MNT_ID` in statx(2)). As long
/// as both are mounted, two mounts have different numbers.
///
/// `None` if there is no such file, or the kernel does not tell: before Linux 5.8, and where a sandbox refuses statx(2).
#[must_use]
pub fn mount_id(path: &CStr) -> Option<u64> {
    let mut found = MaybeUninit::<libc::statx>::zeroed();
    // SAFETY: the path ends with a NUL, and the kernel fills in a whole statx. By number, since musl's own function answers
    // with what fstatat(2) knows where statx(2) fails.
    let result = unsafe {
        libc::syscall(
            libc::SYS_statx,
            libc::AT_FDCWD,
            path.as_ptr(),
            // No file server is asked.
            libc::AT_STATX_DONT_SYNC,
            libc::STATX_MNT_ID,
            found.as_mut_ptr(),
        )
    };
    // SAFETY: all of its fields are integers, for which zeros are a value.
    let found = unsafe { found.assume_init() };
    (result == 0 && found.stx_mask & libc::STATX_MNT_ID != 0).then_some(found.stx_mnt_id)
}
