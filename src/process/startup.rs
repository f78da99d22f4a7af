//! What the kernel handed to this process when it started: its args, and the path of its own file.

use std::ffi::{CStr, OsStr, c_char, c_int};
use std::os::unix::ffi::OsStrExt;
use std::path::{self, PathBuf};
use std::ptr;

use nix::errno::Errno;
use nix::libc;
use nix::sys::stat::{FileStat, stat};
use smallvec::SmallVec;

/// Borrows the args that a C `main` was called with, `argv[0]` first.
///
/// They are taken from `main` because the Rust runtime, which fills in `std::env::args_os`, is not started: on musl that
/// function returns nothing without it. The args are not copied, and can go to `execve(2)` again as they are.
///
/// # Safety
///
/// `argc` and `argv` must be the arguments of `main`, unchanged: `argc` pointers to strings that live as long as the process.
#[must_use]
pub unsafe fn from_main(argc: c_int, argv: *const *const c_char) -> SmallVec<[&'static CStr; 32]> {
    (0..usize::try_from(argc).unwrap_or(0))
        // SAFETY: the caller promises `argc` valid pointers; they point into the stack's top, which is never freed.
        .map(|arg| unsafe { CStr::from_ptr(*argv.add(arg)) })
        .collect()
}

/// The result of `stat(2)` for the file that this process was started from.
///
/// The file is looked up by the path that our caller passed to `execve(2)`. `/proc/self/exe` would be more reliable, but
/// then the kernel sets up what /proc shows about this process, which costs as much as twenty entries of PATH.
///
/// # Errors
///
/// The file has been removed, and there is no /proc.
pub fn own_file() -> nix::Result<FileStat> {
    path_as_called().ok_or(Errno::ENOENT).and_then(stat).or_else(|_| stat(c"/proc/self/exe"))
}

/// An absolute path that leads to the file that this process was started from: `/proc/self/exe`, which is that very file even if
/// another one is in its place by now, or, where there is no /proc, the path that our caller passed to `execve(2)`.
#[must_use]
pub fn own_path() -> PathBuf {
    let link = PathBuf::from("/proc/self/exe");
    let called = path_as_called().map(|path| OsStr::from_bytes(path.to_bytes()));
    match called.map(path::absolute) {
        Some(Ok(called)) if !link.exists() => called,
        _ => link,
    }
}

/// The path that our caller passed to `execve(2)` (`AT_EXECFN` in getauxval(3)): not resolved, and perhaps relative.
#[must_use]
pub fn path_as_called() -> Option<&'static CStr> {
    // SAFETY: getauxval(3) takes a number.
    let address = unsafe { libc::getauxval(libc::AT_EXECFN) };
    let path = ptr::with_exposed_provenance::<c_char>(usize::try_from(address).ok()?);
    // SAFETY: the kernel put this string at the top of the stack, where it stays as long as the process.
    (!path.is_null()).then(|| unsafe { CStr::from_ptr(path) })
}
