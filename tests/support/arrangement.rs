//! What a test needs on this machine, and what happens where that is missing.

use std::path::PathBuf;

/// Reports that a test cannot arrange what it needs. Fails where `CI` is set: there everything must be present.
#[track_caller]
pub fn missing(what: &str) {
    assert!(std::env::var_os("CI").is_none(), "CI is set, and this machine has no {what}");
    eprintln!("NOT TESTED at {}: this machine has no {what}", std::panic::Location::caller());
}

/// A program on the PATH of these tests; reports it if there is none.
#[track_caller]
pub fn program(name: &str) -> Option<PathBuf> {
    let file = which::which(name).ok();
    if file.is_none() {
        missing(name);
    }
    file
}

/// Whether this process is root, as some faults require; reports it if not.
#[track_caller]
pub fn is_root() -> bool {
    let root = nix::unistd::geteuid().is_root();
    if !root {
        missing("root privilege");
    }
    root
}
