//! The file that this process was started from.

use std::ffi::{CStr, c_char};
use std::ptr;

use nix::errno::Errno;
use nix::libc;
use nix::sys::stat::{FileStat, stat};

/// What `stat(2)` says of the file that this process was started from.
///
/// It is looked up by the path by which our caller had the kernel start us. `/proc/self/exe` would be surer, but makes the
/// kernel set up what /proc shows of this process, at the price of twenty entries of PATH.
///
/// # Errors
///
/// The file has gone, and there is no /proc.
pub fn own_file() -> nix::Result<FileStat> {
    path_as_called()
        .ok_or(Errno::ENOENT)
        .and_then(stat)
        .or_else(|_| stat(c"/proc/self/exe"))
}

/// The path by which our caller had the kernel start us: not resolved, and perhaps relative.
#[must_use]
pub fn path_as_called() -> Option<&'static CStr> {
    // SAFETY: getauxval(3) takes a number.
    let address = unsafe { libc::getauxval(libc::AT_EXECFN) };
    let path = ptr::with_exposed_provenance::<c_char>(usize::try_from(address).ok()?);
    // SAFETY: the kernel put this string at the top of the stack, where it stays as long as the process.
    (!path.is_null()).then(|| unsafe { CStr::from_ptr(path) })
}
