//! What a hard link comes to on each type of filesystem, by the number that statfs(2) gives for it: a table, and its lookup.

use std::path::Path;

use nix::sys::statfs::statfs;

/// What becomes of a hard link on a filesystem.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HardLinks {
    /// Some or all are refused, or the new name is another file: by the filesystem's design, and not by who owns the files.
    Faulty,
    /// The new name is the same inode.
    Honest,
    /// The type is not in the table.
    Unknown,
}

/// Types of filesystems, by their numbers: those of linux/magic.h, unless another source is named.
const TYPES: [(u32, HardLinks); 28] = {
    use HardLinks::{Faulty, Honest};
    [
        // The server of a FUSE filesystem decides: sshfs, for instance, gives each name an inode number of its own.
        (0x6573_5546, Faulty),
        // A link first copies the file up from the lower layer (Documentation/filesystems/overlayfs.rst).
        (0x794c_7630, Faulty),
        // CIFS, SMB 2 and 3, and the old smbfs: inode numbers may be made up (mount.cifs(8), noserverino).
        (0xff53_4d42, Faulty),
        (0xfe53_4d42, Faulty),
        (0x517b, Faulty),
        // 9p, as WSL and virtual machines use it.
        (0x0102_1997, Faulty),
        // BeeGFS links within one directory only (BEEGFS_MAGIC in its client's FhgfsOpsSuper.h).
        (0x1983_0326, Faulty),
        // AFS likewise: the kernel's, its older number, and OpenAFS's.
        (0x6b41_4653, Faulty),
        (0x5346_414f, Faulty),
        // Folders shared by VirtualBox (VBOXSF_SUPER_MAGIC), VMware (HGFS_SUPER_MAGIC) and Parallels (PRLFS_MAGIC).
        (0x786f_4256, Faulty),
        (0xbacb_acbc, Faulty),
        (0x7c7c_6673, Faulty),
        // eCryptfs, and aufs (AUFS_SUPER_MAGIC), which stack on another filesystem.
        (0xf15f, Faulty),
        (0x6175_6673, Faulty),
        // FAT and exFAT know no links; Coda links within one directory only.
        (0x4d44, Faulty),
        (0x2011_bab0, Faulty),
        (0x7375_7245, Faulty),
        // ext2, ext3 and ext4; XFS; Btrfs; tmpfs; ramfs; F2FS.
        (0xef53, Honest),
        (0x5846_5342, Honest),
        (0x9123_683e, Honest),
        (0x0102_1994, Honest),
        (0x8584_58f6, Honest),
        (0xf2f5_2010, Honest),
        // NFS; Ceph; GPFS (GPFS_SUPER_MAGIC in coreutils' stat.c); Lustre (LL_SUPER_MAGIC in its lustre_user.h).
        (0x6969, Honest),
        (0x00c3_6400, Honest),
        (0x4750_4653, Honest),
        (0x0bd0_0bd0, Honest),
        // ZFS (ZFS_SUPER_MAGIC in its zfs_vfsops.h).
        (0x2fc1_2fc1, Honest),
    ]
};

impl HardLinks {
    /// What becomes of hard links on the filesystem of `path`, which exists; [`HardLinks::Unknown`] if statfs(2) fails.
    #[must_use]
    pub fn on(path: &Path) -> Self {
        // The kernel's type is a signed long or an unsigned int, depending on the architecture; the number has 32 bits.
        #[allow(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "the upper half repeats the sign"
        )]
        statfs(path).map_or(Self::Unknown, |found| {
            Self::of(found.filesystem_type().0 as u32)
        })
    }

    fn of(number: u32) -> Self {
        let known = TYPES.iter().find(|(listed, _)| *listed == number);
        known.map_or(Self::Unknown, |(_, links)| *links)
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::{HardLinks, TYPES};

    #[test]
    fn each_type_is_listed_once() {
        for (number, links) in TYPES {
            assert_eq!(HardLinks::of(number), links, "{number:#x}");
            assert_eq!(
                TYPES.iter().filter(|(other, _)| *other == number).count(),
                1
            );
        }
        assert_eq!(HardLinks::of(0), HardLinks::Unknown);
    }

    #[test]
    fn types_of_real_paths() {
        assert_eq!(HardLinks::on(Path::new("/proc")), HardLinks::Unknown);
        assert_eq!(HardLinks::on(Path::new("/dev/shm")), HardLinks::Honest);
        assert_eq!(
            HardLinks::on(Path::new("/does/not/exist")),
            HardLinks::Unknown
        );
    }
}
