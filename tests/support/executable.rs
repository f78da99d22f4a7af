//! Programs that a test installs.
//!
//! Another process writes them. If this one had a file open for writing, a child that another test forks at that moment would
//! have it open, too, and running the file would fail with ETXTBSY.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The program under test.
pub fn shim() -> &'static Path {
    Path::new(env!("CARGO_BIN_EXE_git-clone-shim"))
}

/// A static build for this processor, if `GIT_CLONE_SHIM_TEST_STATIC` names one.
pub fn static_build(processor: &str) -> Option<PathBuf> {
    let named = std::env::var_os("GIT_CLONE_SHIM_TEST_STATIC").unwrap_or_default();
    let target = format!("/{processor}-unknown-linux-musl/");
    std::env::split_paths(&named).find(|path| path.to_string_lossy().contains(&target))
}

/// The program under test as users have it: a static build for this machine's processor, if there is one, or else [`shim`].
pub fn release() -> PathBuf {
    static_build(std::env::consts::ARCH).unwrap_or_else(|| shim().to_owned())
}

/// Copies the program `from` to `to`.
pub fn copy(from: &Path, to: &Path) {
    let done = Command::new("install").args(["-m", "755"]).arg(from).arg(to).status().unwrap();
    assert!(done.success());
}

/// Writes a script, with its `#!` line, to `to`.
pub fn script(to: &Path, text: &str) -> PathBuf {
    write(to, text.as_bytes());
    to.to_owned()
}

/// Writes a program, a script or another, to `to`.
pub fn write(to: &Path, bytes: &[u8]) {
    let mut install =
        Command::new("install").args(["-m", "755", "/dev/stdin"]).arg(to).stdin(Stdio::piped()).spawn().unwrap();
    install.stdin.take().unwrap().write_all(bytes).unwrap();
    assert!(install.wait().unwrap().success());
}
