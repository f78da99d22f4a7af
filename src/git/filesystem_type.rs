//! What is known of hard links on a type of filesystem, by the number that statfs(2) gives (`f_type`).

use std::path::Path;

use nix::sys::statfs::statfs;

/// Types on which link(2) is known to be refused across directories, or to make another file: the type's number and name.
///
/// The numbers are from linux/magic.h and statfs(2), or from the source of the module that is named.
const FAKE_OR_REFUSE_LINKS: [(i128, &str); 17] = [
    (0x6573_5546, "fuse"), // sshfs, EOS, CVMFS, and each other program
    (0x794c_7630, "overlay"),
    (0x6175_6673, "aufs"),   // AUFS_SUPER_MAGIC
    (0x0102_1997, "9p"),     // containers and virtual machines
    (0xff53_4d42, "cifs"),   // CIFS_SUPER_MAGIC
    (0xfe53_4d42, "smb2"),   // SMB2_SUPER_MAGIC
    (0x517b, "smb"),         // SMB_SUPER_MAGIC, before Linux 2.6.38
    (0x1983_0326, "beegfs"), // FHGFS_MAGIC, client_module/source/filesystem/FhgfsOpsSuper.c
    (0x5346_414f, "afs"),    // OPENAFS_FS_MAGIC and AFS_SUPER_MAGIC
    (0x6b41_4653, "kafs"),   // AFS_FS_MAGIC
    (0x786f_4256, "vboxsf"), // VBOXSF_SUPER_MAGIC
    (0xbacb_acbc, "vmhgfs"), // VMware's shared folders
    (0x7c7c_6673, "prl_fs"), // Parallels' shared folders
    (0xf15f, "ecryptfs"),    // ECRYPTFS_SUPER_MAGIC
    (0x4d44, "vfat"),        // MSDOS_SUPER_MAGIC: has no links
    (0x2011_bab0, "exfat"),  // EXFAT_SUPER_MAGIC: has no links
    (0x5df5, "exofs"),       // EXOFS_SUPER_MAGIC
];

/// Whether the filesystem of `path` is of a type on which link(2) is known to be refused or to make another file. `false` where
/// the type cannot be told.
#[must_use]
pub fn fakes_or_refuses_links(path: &Path) -> bool {
    let Ok(found) = statfs(path) else {
        return false;
    };
    // The kernel's field is wider on some machines and signed on others; a type's number has 32 bits.
    let number = i128::from(found.filesystem_type().0) & 0xffff_ffff;
    FAKE_OR_REFUSE_LINKS
        .iter()
        .any(|&(known, _)| known == number)
}
