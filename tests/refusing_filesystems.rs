//! Filesystems and files that refuse hard links, as users have reported them.

use std::fs;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use nix::libc;
use nix::sys::stat::Mode;

use crate::support::arena::{DIFFERENT, REFUSED, for_each_git};
use crate::support::args::{args, with_no_hardlinks, with_source};
use crate::support::arrangement;
use crate::support::call::Call;
use crate::support::executable;
use crate::support::refusing_fs::{LinkRule, arena_on, mount};
use crate::support::source;
use crate::support::tree;

/// The uid of a user who owns nothing.
const NOBODY: u32 = 65534;

#[test]
fn clone_on_beegfs_is_cured() {
    // Links inside one directory only: EPERM, and at the border of a buddy mirror EOPNOTSUPP.
    for errno in [libc::EPERM, libc::EOPNOTSUPP, libc::EXDEV] {
        let Some((_directory, filesystem)) = mount(LinkRule::SameDirectoryOnly { errno }) else {
            return;
        };
        for_each_git(|_, arena| {
            let (arena, source) = arena_on(&filesystem, arena);
            for line in [
                "clone -q --local SRC dst",
                "clone -ql --bare SRC dst",
                "clone -ql SRC",
                "-C .. clone -ql src work/dst",
            ] {
                arena.assert_cured(&with_source(&source, args(line)));
            }
            arena.real(args("-C dst fsck --full")).run().succeeded();
        });
    }
}

#[test]
fn clone_without_any_hard_links_is_cured() {
    // As with sshfs -o disable_hardlink.
    let Some((_directory, filesystem)) = mount(LinkRule::Refuse { errno: libc::EPERM }) else {
        return;
    };
    for_each_git(|_, arena| {
        let (arena, source) = arena_on(&filesystem, arena);
        arena.assert_cured(&with_source(&source, args("clone -q --local SRC dst")));
    });
}

#[test]
fn different_link_is_cured() {
    // As on sshfs, CIFS and overlayfs: link(2) succeeds, but the new name has another inode number.
    let Some((_directory, filesystem)) = mount(LinkRule::InodePerPath) else {
        return;
    };
    for_each_git(|_, arena| {
        let (arena, source) = arena_on(&filesystem, arena);
        let line = with_source(&source, args("clone -q --local SRC dst"));
        let real = arena.run(arena.real(line.clone())).outcome;
        assert!(real.died_of(DIFFERENT), "{real:?}");
        let expected = arena.run(arena.real(with_no_hardlinks(&line)));
        let cured = arena.run(arena.shim(line));
        assert_eq!(cured.outcome, expected.outcome.succeeded());
        assert_eq!(tree::differences(&cured.tree, &expected.tree), [""; 0]);
    });
}

#[test]
fn clone_with_one_immutable_object_is_cured() {
    // git has linked other objects before this one, and removes these links.
    if !arrangement::is_root() {
        return;
    }
    for_each_git(|_, arena| {
        let source = source::with_loose_objects(&arena, "src", 100);
        let objects = tree::read(&source.join(".git/objects"));
        let last = objects
            .keys()
            .rfind(|path| path.as_os_str().len() > 10)
            .unwrap();
        let Some(_guard) = Immutable::make(&source.join(".git/objects").join(last)) else {
            return;
        };
        arena.assert_cured(&with_source(&source, args("clone --local SRC dst")));
    });
}

/// A file that even root cannot link to, until dropped.
struct Immutable(PathBuf);

impl Immutable {
    #[track_caller]
    fn make(file: &Path) -> Option<Self> {
        let output = Command::new("chattr").arg("+i").arg(file).output().unwrap();
        if !output.status.success() {
            arrangement::missing("filesystem with immutable files for temporary files");
            return None;
        }
        Some(Self(file.to_owned()))
    }
}

impl Drop for Immutable {
    fn drop(&mut self) {
        let _ = Command::new("chattr").arg("-i").arg(&self.0).status();
    }
}

#[test]
fn clone_from_another_users_cache_is_cured() {
    // With fs.protected_hardlinks a user may not link to another user's file without write permission.
    if !arrangement::is_root() {
        return;
    }
    let protected = fs::read_to_string("/proc/sys/fs/protected_hardlinks").unwrap_or_default();
    if protected.trim() != "1" {
        return arrangement::missing("fs.protected_hardlinks");
    }
    for_each_git(|_, arena| {
        let source = source::small(&arena, "src");
        arena
            .real(args("config --global safe.directory *"))
            .run()
            .succeeded();
        // The program under test may be in a directory that only root can read.
        let shim = arena.shim_directory().join("git");
        fs::remove_file(&shim).unwrap();
        executable::copy(executable::shim(), &shim);
        for directory in [arena.work_dir(), &arena.root().join("tmp")] {
            std::os::unix::fs::chown(directory, Some(NOBODY), Some(NOBODY)).unwrap();
        }
        let run_as_nobody = |mut call: Call| {
            call.command.uid(NOBODY).gid(NOBODY);
            arena.run(call)
        };
        let line = with_source(&source, args("clone --local SRC dst"));
        let real = run_as_nobody(arena.real(line.clone())).outcome;
        assert!(
            real.died_of(REFUSED) && real.stderr_contains("Operation not permitted"),
            "{real:?}"
        );
        let expected = run_as_nobody(arena.real(with_no_hardlinks(&line)));
        let cured = expected.retried_while_late(|| run_as_nobody(arena.shim(line.clone())));
        assert_eq!(cured.outcome, expected.outcome.succeeded());
        assert_eq!(tree::differences(&cured.tree, &expected.tree), [""; 0]);
    });
}

#[test]
fn clone_to_a_bind_mount_is_cured() {
    // Two mounts of one filesystem have the same st_dev, and link(2) fails with EXDEV.
    for_each_git(|_, arena| {
        let source = source::small(&arena, "src");
        let [far, line] = ["far", "clone -l SRC far/dst"];
        fs::create_dir(arena.work_dir().join(far)).unwrap();
        let run = |path, options: &str| {
            let line = line
                .replace("SRC", source.to_str().unwrap())
                .replace("clone", &format!("clone {options}"));
            let shell = format!("mount --bind far far && git {line}");
            let mut command = arena.command("unshare");
            command
                .args(["--user", "--map-root-user", "--mount", "sh", "-c", &shell])
                .env("PATH", path);
            let prepare =
                |work_dir: &Path| nix::unistd::mkdir(&work_dir.join(far), Mode::S_IRWXU).unwrap();
            arena.run_in(&prepare, Call::new(command))
        };
        let plain = arena.path_of(false);
        let shim = arena.path_of(true);
        let real = run(plain.clone(), "").outcome;
        if real.stderr_contains("unshare") || real.stderr_contains("mount:") {
            return arrangement::missing("user namespace to mount in");
        }
        assert!(
            real.died_of(REFUSED) && real.stderr_contains("Invalid cross-device link"),
            "{real:?}"
        );
        let expected = run(plain, "--no-hardlinks");
        let cured = expected.retried_while_late(|| run(shim.clone(), ""));
        assert_eq!(cured.outcome, expected.outcome.succeeded());
        assert_eq!(tree::differences(&cured.tree, &expected.tree), [""; 0]);
    });
}
