//! The file that this program runs from: it is what gets installed.

use std::fs;

use anyhow::{Context, Result, ensure};

use crate::process::startup;
use crate::tool::text;

/// The version that this program is.
pub(super) const VERSION: &str = env!("CARGO_PKG_VERSION");

/// What every build of this version holds, since `--version` prints it.
const MARK: &str = concat!(
    "git-clone-shim ",
    env!("CARGO_PKG_VERSION"),
    " installs itself\0"
);

/// The bytes of this program, read once.
///
/// `/proc/self/exe` is the very file that runs, even if another one is at its path by now. Where there is no /proc, as in a
/// bare chroot, it is the path by which our caller had the kernel start us; then its contents are checked.
///
/// # Errors
///
/// It cannot be read, or is another program by now.
pub(super) fn own_bytes() -> Result<Vec<u8>> {
    let path = startup::own_path();
    let shown = text::printable_path(&path);
    let bytes = fs::read(&path).with_context(|| format!("cannot read this program, {shown}"))?;
    if path.starts_with("/proc") {
        return Ok(bytes);
    }
    // Taken at run time, so that the mark is in the file.
    let is_ours = contains(&bytes, std::hint::black_box(MARK).as_bytes());
    ensure!(
        is_ours,
        "{shown} is not git-clone-shim {VERSION} any more: start it again"
    );
    Ok(bytes)
}

fn contains(bytes: &[u8], mark: &[u8]) -> bool {
    let (Some(&first), length) = (mark.first(), mark.len()) else {
        return true;
    };
    let mut rest = bytes;
    while let Some(at) = rest.iter().position(|&byte| byte == first) {
        if rest.get(at..at + length) == Some(mark) {
            return true;
        }
        rest = rest.get(at + 1..).unwrap_or_default();
    }
    false
}
