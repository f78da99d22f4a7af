//! Directories for PATH, with programs called git in them.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::path::PathBuf;

use super::arena::Arena;
use super::executable;

/// Makes a directory of this name in the arena.
pub fn directory(arena: &Arena, name: &str) -> PathBuf {
    let directory = arena.root().join(name);
    fs::create_dir(&directory).unwrap();
    directory
}

/// Makes a directory with a copy of the shim in it.
pub fn shim_copy(arena: &Arena, name: &str) -> PathBuf {
    let directory = directory(arena, name);
    executable::copy(executable::shim(), &directory.join("git"));
    directory
}

/// Makes a directory with a shell script called git in it.
pub fn wrapper(arena: &Arena, name: &str, script: &str) -> PathBuf {
    let directory = directory(arena, name);
    executable::script(&directory.join("git"), &format!("#!/bin/sh\n{script}\n"));
    directory
}

/// A PATH of these entries and no others.
pub fn join<P: AsRef<OsStr>>(entries: impl IntoIterator<Item = P>) -> OsString {
    std::env::join_paths(entries).unwrap()
}
