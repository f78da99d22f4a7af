//! The entry point. Called as `git-clone-shim` this program is the tool for people; by any other name it is the shim.
//!
//! `main` is C's, not Rust's: the start-up of Rust's standard library ignores SIGPIPE and opens /dev/null on closed
//! descriptors, and git has to inherit both as our caller left them. It is not faster (110 µs against 111).
#![no_main]
#![allow(unsafe_code, reason = "the C entry point has to be exported by its name")]

use std::ffi::{c_char, c_int};

/// The C entry point; the exit status is 125, 126 or 127 where the shim itself failed (see `git_clone_shim::failure`).
#[unsafe(no_mangle)]
extern "C" fn main(argc: c_int, argv: *const *const c_char) -> c_int {
    // SAFETY: the C runtime called us with these arguments.
    let args = unsafe { git_clone_shim::process::startup::from_main(argc, argv) };
    git_clone_shim::start(&args)
}
