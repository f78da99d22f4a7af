//! What a test needs of the machine, and what happens where the machine has not got it.

use std::path::PathBuf;

/// Says that a test cannot arrange what it needs, and fails in CI, where everything must be there.
#[track_caller]
pub fn missing(what: &str) {
    assert!(
        std::env::var_os("CI").is_none(),
        "CI is set, and this machine has no {what}"
    );
    eprintln!(
        "NOT TESTED at {}: this machine has no {what}",
        std::panic::Location::caller()
    );
}

/// A program on the PATH of these tests; says so if there is none.
#[track_caller]
pub fn program(name: &str) -> Option<PathBuf> {
    let file = which::which(name).ok();
    if file.is_none() {
        missing(name);
    }
    file
}

/// Whether this process is root, as some faults require; says so if not.
#[track_caller]
pub fn is_root() -> bool {
    let root = nix::unistd::geteuid().is_root();
    if !root {
        missing("root privilege");
    }
    root
}
