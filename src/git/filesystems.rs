//! What the kernel tells about the filesystems of a clone: is a hard link there the same file, and can one lead from mount to mount?

use std::path::Path;

use nix::sys::statfs::statfs;

use super::command_line::CloneCommand;
use super::destination;
use crate::process::c_string::ShortCString;
use crate::process::mount_id::mount_id;

/// The *honest* filesystems: a hard link that succeeds on them is the same file. Their numbers are those of linux/magic.h,
/// unless another source is named.
const HONEST: [u32; 11] = [
    // ext2, ext3 and ext4; XFS; Btrfs; tmpfs; ramfs; F2FS.
    0xef53, 0x5846_5342, 0x9123_683e, 0x0102_1994, 0x8584_58f6, 0xf2f5_2010,
    // NFS; Ceph; GPFS (GPFS_SUPER_MAGIC in coreutils' stat.c); Lustre (LL_SUPER_MAGIC in its lustre_user.h); ZFS (ZFS_SUPER_MAGIC
    // in its zfs_vfsops.h).
    0x6969, 0x00c3_6400, 0x4750_4653, 0x0bd0_0bd0, 0x2fc1_2fc1,
];

/// The type of the filesystem of `path`, which exists, as `stat -f -c %t` prints it; 0 if statfs(2) fails.
#[must_use]
pub fn filesystem_type(path: &Path) -> u32 {
    // The kernel's type is a signed long or an unsigned int, depending on the architecture; the number has 32 bits.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the upper half repeats the sign")]
    statfs(path).map_or(0, |found| found.filesystem_type().0 as u32)
}

/// Whether a hard link on the filesystem of `path` is the same file. `false` in doubt.
#[must_use]
pub fn is_honest(path: &Path) -> bool {
    HONEST.contains(&filesystem_type(path))
}

/// Whether every hard link that git would make for `clone` leads from the mount of `objects`, its source's, to another one. Then
/// link(2) is EXDEV, even if both show the same filesystem (`do_linkat` in the kernel's fs/namei.c). `false` in doubt.
#[must_use]
pub fn are_on_different_mounts(clone: &CloneCommand<'_>, objects: &ShortCString) -> bool {
    if clone.separate_git_dir {
        return false;
    }
    let objects = mount_id(objects.as_c_str());
    let here = destination::place(clone).and_then(|place| mount_id(place.as_c_str()));
    objects.is_some() && here.is_some() && objects != here
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::is_honest;

    #[test]
    fn types_of_real_paths() {
        assert!(is_honest(Path::new("/dev/shm")));
        assert!(!is_honest(Path::new("/proc")));
        assert!(!is_honest(Path::new("/does/not/exist")));
    }
}
