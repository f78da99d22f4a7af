//! The environment, as the kernel laid it out. Nothing in this program changes it.

use std::ffi::{CStr, OsStr, c_char};
use std::iter;
use std::os::unix::ffi::OsStrExt;

use nix::libc;

// environ(7): a program has to declare it itself; the libc crate does so for glibc only.
unsafe extern "C" {
    static environ: *const *const c_char;
    // secure_getenv(3), of glibc and musl; the libc crate does not declare it for Linux.
    fn secure_getenv(name: *const c_char) -> *mut c_char;
}

/// The value of the variable `name`, which is not copied; `None` if it is not set.
#[must_use]
pub fn variable(name: &CStr) -> Option<&'static OsStr> {
    // SAFETY: the name ends with NUL, and this program never changes the environment.
    let value = unsafe { libc::getenv(name.as_ptr()) };
    text(value)
}

/// As [`variable`]; `None` too if this program has more rights than its caller: the kernel said `AT_SECURE` (getauxval(3)),
/// because the program is setuid, setgid or has file capabilities.
#[must_use]
pub fn secure_variable(name: &CStr) -> Option<&'static OsStr> {
    // SAFETY: as in `variable`.
    let value = unsafe { secure_getenv(name.as_ptr()) };
    text(value)
}

/// What getenv(3) found.
fn text(value: *const c_char) -> Option<&'static OsStr> {
    if value.is_null() {
        return None;
    }
    // SAFETY: what getenv(3) found is a string at the top of the stack, where it stays as long as the process.
    let value = unsafe { CStr::from_ptr(value) };
    Some(OsStr::from_bytes(value.to_bytes()))
}

/// Every entry in order, duplicates and those without a `=` included.
pub fn entries() -> impl Iterator<Item = &'static CStr> {
    // SAFETY: the C runtime has set it to an array of strings that ends with a null pointer.
    let mut next = unsafe { environ };
    iter::from_fn(move || {
        // SAFETY: it goes no further than the null pointer.
        let entry = unsafe { *next };
        if entry.is_null() {
            return None;
        }
        // SAFETY: the array does not end here.
        next = unsafe { next.add(1) };
        // SAFETY: it is a string, which this program never changes.
        Some(unsafe { CStr::from_ptr(entry) })
    })
}

/// Every entry in order, with `variable`, an entry `NAME=value`, in the place of the first of its name or behind them all.
pub fn with(variable: &CStr) -> impl Iterator<Item = &CStr> {
    let bytes = variable.to_bytes();
    let name = bytes
        .split_inclusive(|&byte| byte == b'=')
        .next()
        .unwrap_or(bytes);
    let mut new = Some(variable);
    let mut entries = entries();
    iter::from_fn(move || match entries.next() {
        Some(entry) if entry.to_bytes().starts_with(name) => Some(new.take().unwrap_or(entry)),
        Some(entry) => Some(entry),
        None => new.take(),
    })
}
