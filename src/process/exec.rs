//! Exec of another program: the process, its terminal and its signals stay the same.

use std::ffi::{CStr, OsStr, c_char};
use std::fs::File;
use std::io::Read;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::OpenOptionsExt;
use std::ptr;

use nix::errno::Errno;
use nix::libc;
use smallvec::SmallVec;

use super::environment;

/// Replaces this process by the program in `file`, with `args` (`argv[0]` first) and the environment as it came, in which
/// `variables`, entries `NAME=value`, replace those of their names. Returns only if the kernel refused, with its error.
///
/// The rest of the environment keeps its order, its duplicates and even entries without a `=`.
#[must_use]
pub fn exec<'a>(file: &'a CStr, args: impl Iterator<Item = &'a CStr> + Clone, variables: &[&CStr]) -> Errno {
    let mut environment = SmallVec::<[_; 256]>::new();
    environment.extend(environment::entries_but(variables));
    environment.extend(variables.iter().map(|variable| variable.as_ptr()));
    environment.push(ptr::null());
    let errno = execute_or_interpret(file, args.clone(), &environment);
    if errno != Errno::E2BIG {
        return errno;
    }
    // xargs and others fill the space that execve(2) has for args and environment, and our entries would exceed it.
    environment.clear();
    environment.extend(environment::entries());
    environment.push(ptr::null());
    execute_or_interpret(file, args, &environment)
}

/// As execvp(3), without the search. A program for another processor is no script, and stays ENOEXEC.
fn execute_or_interpret<'a>(
    file: &'a CStr,
    args: impl Iterator<Item = &'a CStr> + Clone,
    environment: &[*const c_char],
) -> Errno {
    let errno = execute(file, args.clone(), environment);
    if errno != Errno::ENOEXEC || begins_with(file, b"\x7fELF") {
        return errno;
    }
    // A script without `#!` runs under /bin/sh, as execvp(3) of glibc does it for every caller of git (musl's does not).
    let by_shell = [c"sh", file].into_iter().chain(args.skip(1));
    execute(c"/bin/sh", by_shell, environment)
}

fn execute<'a>(file: &CStr, args: impl Iterator<Item = &'a CStr>, environment: &[*const c_char]) -> Errno {
    let mut args_and_null = SmallVec::<[_; 64]>::new();
    args_and_null.extend(args.map(CStr::as_ptr));
    args_and_null.push(ptr::null());
    // SAFETY: both arrays end with a null pointer, and their strings outlive the call. nix's execve(2) would copy them.
    unsafe { libc::execve(file.as_ptr(), args_and_null.as_ptr(), environment.as_ptr()) };
    Errno::last()
}

/// Whether the first bytes of `file` are these; `false` where it cannot be read.
#[must_use]
pub fn begins_with<const N: usize>(file: &CStr, bytes: &[u8; N]) -> bool {
    let mut found = [0; N];
    // A FIFO is not waited for.
    let opened = File::options().read(true).custom_flags(libc::O_NONBLOCK).open(OsStr::from_bytes(file.to_bytes()));
    opened.is_ok_and(|mut file| file.read_exact(&mut found).is_ok()) && found == *bytes
}
