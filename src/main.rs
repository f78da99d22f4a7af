//! Which name was I called by? As `git-clone-shim` this program is the tool for people; by any other name it is the shim.
//!
//! `main` is C's, not Rust's: the standard library's start-up ignores SIGPIPE and opens /dev/null on closed descriptors,
//! and a program that is about to become git must hand all of that on as it came. It is no faster (110 µs against 111).
#![no_main]
#![allow(
    unsafe_code,
    reason = "the C entry point is the one symbol that has to be exported by name"
)]

use std::ffi::{c_char, c_int};

/// The C entry point; the exit status is 125, 126 or 127 where the shim itself failed (see `git_clone_shim::failure`).
#[unsafe(no_mangle)]
extern "C" fn main(argc: c_int, argv: *const *const c_char) -> c_int {
    // SAFETY: these are the very arguments that the C runtime called us with.
    let args = unsafe { git_clone_shim::process::startup::from_main(argc, argv) };
    git_clone_shim::start(&args)
}
