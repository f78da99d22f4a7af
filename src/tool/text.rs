//! Bytes from elsewhere as text for people.

use std::io;
use std::path::Path;

use nix::errno::Errno;

pub(super) use crate::failure::printable;

/// Bytes as text; what is no UTF-8 becomes U+FFFD.
pub(super) fn of(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// A path as text, as [`of`].
pub(super) fn of_path(path: &Path) -> String {
    of(path.as_os_str().as_encoded_bytes())
}

/// The system's text for the error of a system call.
pub(super) fn why(error: &io::Error) -> String {
    match error.raw_os_error() {
        Some(errno) => Errno::from_raw(errno).desc().to_owned(),
        None => error.to_string(),
    }
}

/// A path as text that does nothing to a terminal.
pub(super) fn printable_path(path: &Path) -> String {
    printable(&of_path(path))
}

/// A path as an arg of a shell command.
pub(super) fn quoted(path: &Path) -> String {
    path.as_os_str()
        .as_encoded_bytes()
        .escape_ascii()
        .to_string()
}
