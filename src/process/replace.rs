//! Becoming another program: the same process, the same terminal, the same signals.

use std::ffi::{CStr, OsStr};

use nix::errno::Errno;

/// Replaces this process by the program in `file`, called with `words` (its own name first), in the environment as it
/// came and with `variable` set to `value`. Returns only if the kernel refused, with its reason.
///
/// The environment is changed in place rather than built anew, so that its order, its duplicates and even entries
/// without a `=` reach the program as they reached us.
#[must_use]
pub fn replace(file: &CStr, words: &[&CStr], variable: &OsStr, value: &OsStr) -> Errno {
    // SAFETY: nothing else reads the environment meanwhile: this program starts no threads.
    unsafe { std::env::set_var(variable, value) };
    let Err(errno) = nix::unistd::execv(file, words);
    if errno != Errno::ENOEXEC {
        return errno;
    }
    // A script without `#!` runs under /bin/sh, as execvp(3) does it for every caller of git (but not musl's).
    let by_shell: Vec<&CStr> = [c"sh", file]
        .into_iter()
        .chain(words.iter().skip(1).copied())
        .collect();
    let Err(errno) = nix::unistd::execv(c"/bin/sh", &by_shell);
    errno
}
