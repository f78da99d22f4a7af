//! The args of the command line, as the kernel laid them out.

use std::ffi::{CStr, c_char, c_int};

use smallvec::SmallVec;

/// Borrows the args that a C `main` was called with, the program's own name first.
///
/// They are taken from `main` because `std::env::args_os` is filled in by the Rust runtime, which is not started, and
/// on musl stays empty without it. Nothing is copied: the args can go to `execve(2)` again as they are.
///
/// # Safety
///
/// `argc` and `argv` must be the arguments of `main`, untouched: `argc` pointers to strings that live as long as the process.
#[must_use]
pub unsafe fn from_main(argc: c_int, argv: *const *const c_char) -> SmallVec<[&'static CStr; 32]> {
    (0..usize::try_from(argc).unwrap_or(0))
        // SAFETY: the caller promises `argc` valid pointers; they point into the stack's top, which is never freed.
        .map(|arg| unsafe { CStr::from_ptr(*argv.add(arg)) })
        .collect()
}
