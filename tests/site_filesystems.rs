//! Filesystems of real sites, mounted here, and other reasons for which a link fails or is another file.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, TryRecvError};
use std::thread;

use nix::libc;

use crate::support::arena::{Arena, DIFFERENT, REFUSED, for_each_git};
use crate::support::args::{Args, args, with_no_hardlinks, with_source};
use crate::support::arrangement;
use crate::support::call::Call;
use crate::support::executable;
use crate::support::fault;
use crate::support::gits::{Git, gits};
use crate::support::mounted::Mounted;
use crate::support::race;
use crate::support::refusing_fs::{LinkRule, arena_on, mount};
use crate::support::source;
use crate::support::sshfs::Sshfs;
use crate::support::tree;

// On FUSE filesystems the clones are quiet (-q): see `refusing_fs::arena_on`.

/// How often a race is run at most; git loses it more often than not.
const TRIES: usize = 10;

/// Moves the working directory of `arena` to a new directory below `directory`, and makes a source beside it.
fn arena_in(directory: &Path, arena: Arena) -> (Arena, PathBuf) {
    let directory = tempfile::tempdir_in(directory).unwrap().keep();
    let work_dir = directory.join("work");
    fs::create_dir(&work_dir).unwrap();
    let arena = arena.in_directory(&work_dir);
    let source = source::small(&arena, directory.join("src").to_str().unwrap());
    (arena, source)
}

/// Asserts that the real git fails because link(2) failed with `reason`, and that the shim cures that.
#[track_caller]
fn assert_cured_of(reason: &str, arena: &Arena, line: &Args) {
    let real = arena.run(arena.real(line.clone())).outcome;
    assert!(
        real.died_of(REFUSED) && real.stderr_contains(reason),
        "{real:?}"
    );
    arena.assert_cured(line);
}

/// Asserts that the real git fails because a link is another file, and that the shim cures that. Returns false where this
/// git does not check, as those before 2.45.1 and 2.39.4.
#[track_caller]
fn assert_different_link_is_cured(arena: &Arena, line: &Args) -> bool {
    let real = arena.run(arena.real(line.clone())).outcome;
    if real.status.success() {
        arena.assert_twins(line);
    } else {
        arena.assert_cured_in(&|_| (), line, DIFFERENT);
    }
    !real.status.success()
}

#[test]
fn clone_on_sshfs_is_cured() {
    // sshfs gives every path an inode number of its own.
    let Some(sshfs) = Sshfs::mount("") else {
        return;
    };
    let mounted = &sshfs.mounted;
    for_each_git(|_, arena| {
        let (arena, source) = arena_in(&mounted.path(), arena);
        let below = arena.work_dir().strip_prefix(mounted.path()).unwrap();
        for line in [
            "clone -q --local SRC dst",
            "clone -q --bare ../src",
            "clone -q SRC dst",
        ] {
            let cured = assert_different_link_is_cured(&arena, &with_source(&source, args(line)));
            // sshfs does not show link counts; the backing files do.
            let backing = mounted.directory().join("backing");
            let links = tree::object_links(&backing.join(below));
            assert_eq!(links.iter().all(|&links| links == 1), cured);
        }
        arena.real(args("-C dst fsck --full")).run().succeeded();
    });
}

#[test]
fn clone_on_sshfs_without_hard_links_is_cured() {
    let Some(sshfs) = Sshfs::mount("-o disable_hardlink") else {
        return;
    };
    let mounted = &sshfs.mounted;
    for_each_git(|_, arena| {
        let (arena, source) = arena_in(&mounted.path(), arena);
        let plain = with_source(&source, args("clone SRC dst"));
        arena.assert_twins(&plain).outcome.succeeded();
        for line in ["clone -q -l --bare ../src", "clone -q --local SRC dst"] {
            let line = with_source(&source, args(line));
            assert_cured_of("Operation not permitted", &arena, &line);
        }
        arena.real(args("-C dst fsck --full")).run().succeeded();
    });
}

#[test]
fn clone_with_symbolic_links_for_hard_links_is_cured() {
    // BeeGFS with sysCreateHardlinksAsSymlinks=true.
    let Some((_directory, filesystem)) = mount(LinkRule::Symlink) else {
        return;
    };
    let [file, directory] = ["file", "directory"].map(|name| filesystem.path().join(name));
    fs::write(&file, "").unwrap();
    fs::create_dir(&directory).unwrap();
    fs::hard_link(&file, directory.join("link")).unwrap();
    let leads = fs::read_link(directory.join("link")).unwrap();
    assert_eq!(leads, Path::new("../file"));
    for_each_git(|_git, arena| {
        let (arena, source) = arena_on(&filesystem, arena);
        for line in ["clone -q --local --bare ../src dst", "clone -q SRC dst"] {
            assert_different_link_is_cured(&arena, &with_source(&source, args(line)));
        }
        arena.real(args("-C dst fsck --full")).run().succeeded();
    });
}

/// Mounts an overlay whose lower layer holds two repositories and whose upper layer is in the directory `upper`: `original`,
/// and `linked`, whose objects are those of `original` by a second name.
#[track_caller]
fn mount_overlay(git: &Git, upper: &Path, options: &str) -> Option<(Mounted, Arena)> {
    // Not on a tmpfs, as the temporary directory may be: there a copied-up file keeps its inode number.
    let directory = tempfile::tempdir_in("/var/tmp").unwrap();
    let lower = directory.path().join("lower");
    fs::create_dir_all(lower.join("work")).unwrap();
    let arena = Arena::new(git).in_directory(&directory.path().join("mount/work"));
    source::small(&arena, lower.join("original").to_str().unwrap());
    let link = args("clone -q original linked");
    arena.real(link).cwd(&lower).run().succeeded();
    let upper = directory.path().join(upper);
    let script = format!(
        "mkdir -p {0}/files {0}/work
         mount -t overlay overlay -o lowerdir=lower,upperdir={0}/files,workdir={0}/work,{options} mount",
        upper.display()
    );
    Some((Mounted::by(&script, directory, "overlayfs")?, arena))
}

#[test]
fn clone_of_a_repository_in_an_image_is_cured() {
    // As in a container: the first link to an object of the image copies it up, and since the object has two names there,
    // the copy is another file.
    if !arrangement::is_root() {
        return;
    }
    for_each_git(|git, _| {
        let Some((_mounted, arena)) = mount_overlay(git, Path::new("upper"), "index=off") else {
            return;
        };
        assert_different_link_is_cured(&arena, &args("clone ../linked dst"));
        assert_different_link_is_cured(&arena, &args("clone --local ../linked dst"));
    });
}

#[test]
fn clone_on_an_overlay_of_two_devices_is_cured() {
    // Without xino a file that is copied up gets another inode number, and the first link to it copies it up.
    if !arrangement::is_root() {
        return;
    }
    let Ok(upper) = tempfile::tempdir_in("/dev/shm") else {
        return arrangement::missing("/dev/shm");
    };
    for_each_git(|git, _| {
        let upper = tempfile::tempdir_in(upper.path()).unwrap();
        let Some((_mounted, arena)) = mount_overlay(git, upper.path(), "index=off,xino=off") else {
            return;
        };
        assert_different_link_is_cured(&arena, &args("clone ../original dst"));
        assert_different_link_is_cured(&arena, &args("clone --local ../original dst"));
    });
}

#[test]
fn clone_to_a_project_quota_is_cured() {
    // XFS checks projects whether or not quotas are on; ext4 only where the kernel supports quotas.
    if !arrangement::is_root() {
        return;
    }
    let script = "truncate -s 320M image; mkfs.xfs -q image; mount -o loop image mount
                  mkdir mount/project; xfs_io -c 'chproj 7' -c 'chattr +P' mount/project";
    let directory = tempfile::tempdir().unwrap();
    let Some(mounted) = Mounted::by(script, directory, "XFS with projects") else {
        return;
    };
    for_each_git(|_, arena| {
        let project = tempfile::tempdir_in(mounted.path().join("project")).unwrap();
        let arena = arena.in_directory(project.path());
        let outside = tempfile::tempdir_in(mounted.path()).unwrap();
        let source = source::small(&arena, outside.path().join("src").to_str().unwrap());
        let [here, there] = [project.path(), &source].map(|path| fs::metadata(path).unwrap().dev());
        assert_eq!(here, there);
        for line in ["clone --local SRC dst", "clone -l --bare SRC"] {
            let line = with_source(&source, args(line));
            assert_cured_of("Invalid cross-device link", &arena, &line);
        }
        let plain = with_source(&source, args("clone SRC dst"));
        arena.assert_twins(&plain).outcome.succeeded();
    });
}

#[test]
fn clone_between_btrfs_subvolumes_is_cured() {
    if !arrangement::is_root() || arrangement::program("mkfs.btrfs").is_none() {
        return;
    }
    let script = "truncate -s 256M image; mkfs.btrfs -q image; mount -o loop image mount
                  btrfs subvolume create mount/one; btrfs subvolume create mount/other";
    let directory = tempfile::tempdir().unwrap();
    let Some(mounted) = Mounted::by(script, directory, "Btrfs") else {
        return;
    };
    for_each_git(|_, arena| {
        let in_subvolume = |name: &str| tempfile::tempdir_in(mounted.path().join(name)).unwrap();
        let (one, other) = (in_subvolume("one"), in_subvolume("other"));
        let arena = arena.in_directory(other.path());
        let source = source::small(&arena, one.path().join("src").to_str().unwrap());
        for line in ["clone --local SRC dst", "clone -l --bare SRC"] {
            let line = with_source(&source, args(line));
            assert_cured_of("Invalid cross-device link", &arena, &line);
        }
        let plain = with_source(&source, args("clone SRC dst"));
        arena.assert_twins(&plain).outcome.succeeded();
        tree::clear(arena.work_dir());
        // It is one mount, so git is attempted. A kernel that tells no mounts tells two devices, and that is enough.
        for (refused, is_attempted) in [(None, true), (Some(libc::SYS_statx), false)] {
            let mut explain = arena.command(executable::shim());
            explain
                .args(["explain", "--"])
                .args(with_source(&source, args("clone --local SRC dst")));
            let calls: Vec<_> = refused.into_iter().collect();
            let explain = || Call::new(explain).run().succeeded();
            let explained = fault::with_calls_failing(&calls, libc::ENOSYS, explain);
            let copied_at_once = explained
                .stdout
                .windows(16)
                .any(|part| part == b"different mounts");
            assert_eq!(copied_at_once, !is_attempted, "{explained:?}");
        }
    });
}

#[test]
fn clone_of_an_object_with_the_most_links_is_cured() {
    if !arrangement::is_root() {
        return;
    }
    let script = "truncate -s 64M image; mkfs.ext4 -q image; mount -o loop image mount";
    let directory = tempfile::tempdir().unwrap();
    let Some(mounted) = Mounted::by(script, directory, "ext4 on a loop device") else {
        return;
    };
    let (first, source) = arena_in(&mounted.path(), Arena::new(&gits()[0]));
    let objects = source.join(".git/objects");
    let tree = tree::read(&objects);
    let object = tree.keys().rfind(|path| path.as_os_str().len() > 10);
    let object = objects.join(object.unwrap());
    let names = mounted.path().join("names");
    fs::create_dir(&names).unwrap();
    let full =
        (0..100_000).find_map(|name| fs::hard_link(&object, names.join(name.to_string())).err());
    assert_eq!(full.unwrap().raw_os_error(), Some(libc::EMLINK));
    for_each_git(|_, arena| {
        let arena = arena.in_directory(first.work_dir());
        let local = with_source(&source, args("clone --local SRC dst"));
        assert_cured_of("Too many links", &arena, &local);
        let plain = with_source(&source, args("clone SRC dst"));
        arena.assert_twins(&plain).outcome.succeeded();
    });
}

#[test]
fn clone_in_a_sandbox_is_cured() {
    fault::without_links_across_directories(|| {
        for_each_git(|_, arena| {
            let source = source::small(&arena, "src");
            for line in ["clone --local SRC dst", "clone -l --bare SRC"] {
                let line = with_source(&source, args(line));
                assert_cured_of("Invalid cross-device link", &arena, &line);
            }
            let plain = with_source(&source, args("clone SRC dst"));
            arena.assert_twins(&plain).outcome.succeeded();
        });
    });
}

/// Replaces `file` by other files again and again, without a moment in which it is missing, until `stopped` is closed.
fn replace_without_end(file: &Path, spares: &Path, stopped: &mpsc::Receiver<()>) {
    fs::create_dir(spares).unwrap();
    // Files that keep another name: a file without any name cannot be linked, and git would copy.
    let names: Vec<_> = (0..64).map(|name| spares.join(name.to_string())).collect();
    for name in &names {
        fs::write(name, "").unwrap();
    }
    let next = spares.join("next");
    for name in names.iter().cycle() {
        if stopped.try_recv() == Err(TryRecvError::Disconnected) {
            break;
        }
        fs::hard_link(name, &next).unwrap();
        fs::rename(&next, file).unwrap();
    }
}

#[test]
fn race_with_maintenance_in_the_source_is_cured() {
    // Maintenance replaces files below objects/, and git may link another file than the one that it has looked at.
    if !race::can_delay() {
        return;
    }
    for_each_git(|git, arena| {
        let source = source::packed(&arena, "src");
        let graphs = source.join(".git/objects/info/commit-graphs");
        fs::create_dir_all(&graphs).unwrap();
        let file = graphs.join("tmp_graph_AbCdEf");
        fs::write(&file, "").unwrap();
        let line = with_source(&source, args("clone -l SRC dst"));
        let spares = arena.root().join("spares");
        // Dropped when this closure ends, also by a panic; that ends the thread.
        let (running, stopped) = mpsc::channel();
        thread::scope(|scope| {
            let _running = running;
            scope.spawn(move || replace_without_end(&file, &spares, &stopped));
            let run = |call: &Call| arena.run(race::delayed_at_links(&arena, call));
            let real = || run(&arena.real(line.clone())).outcome.died_of(DIFFERENT);
            if !(0..TRIES).any(|_| real()) {
                // Gits before 2.45.1 and 2.39.4 do not check.
                return arrangement::missing(&format!("race that {} can lose", git.version));
            }
            let expected = run(&arena.real(with_no_hardlinks(&line)));
            let shim = arena.shim(line.clone()).env("GIT_CLONE_SHIM_LOG", "info");
            let cured = (0..TRIES).filter(|_| {
                let twin = run(&shim);
                let again = twin.outcome.stderr_contains("exec git args=git clone");
                assert_eq!(twin.outcome.succeeded().stdout, expected.outcome.stdout);
                if again {
                    assert_eq!(tree::differences(&twin.tree, &expected.tree), [""; 0]);
                }
                again
            });
            assert_ne!(cured.take(3).count(), 0);
        });
    });
}
