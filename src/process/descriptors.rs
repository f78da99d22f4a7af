//! The descriptors that this process has open.

use std::fs;
use std::io;
use std::os::fd::RawFd;

/// Closes every descriptor but `kept`, as /proc lists them: `close_range(2)` is there since Linux 5.9 only.
///
/// # Errors
///
/// There is no /proc.
pub(super) fn close_all_but(kept: &[RawFd]) -> io::Result<()> {
    let open: Vec<RawFd> = fs::read_dir("/proc/self/fd")?
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .collect();
    for fd in open.into_iter().filter(|fd| !kept.contains(fd)) {
        let _ = nix::unistd::close(fd);
    }
    Ok(())
}
