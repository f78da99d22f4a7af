//! Where tests write.

use std::env;

use nix::sys::statvfs::{FsFlags, statvfs};
use tempfile::TempDir;

/// What must be free, in bytes: ten times what all tests have there at once.
const ENOUGH: u64 = 512 << 20;

/// A new directory: in memory, unless TMPDIR names another place. ext4 takes as long to find inodes for the files that come and go
/// here as git takes for all else (`recently_deleted` in the kernel's fs/ext4/ialloc.c).
pub fn directory() -> TempDir {
    let memory = "/dev/shm";
    let serves = statvfs(memory).is_ok_and(|found| {
        let free = found.blocks_available() * found.fragment_size();
        free > ENOUGH && !found.flags().contains(FsFlags::ST_NOEXEC)
    });
    let in_memory = (serves && env::var_os("TMPDIR").is_none()).then(|| tempfile::tempdir_in(memory).ok());
    in_memory.flatten().unwrap_or_else(|| tempfile::tempdir().unwrap())
}
