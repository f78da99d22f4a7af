//! Filesystems and files that refuse hard links, or make another file of one, as users have reported them: git fails, or copies
//! by itself, and the shim cures the failures. Where links work, every object is hard-linked.

use std::any::Any;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use nix::libc;
use tempfile::TempDir;

use crate::support::arena::{Arena, DIFFERENT, REFUSED, for_each_git};
use crate::support::args::{Args, args, with_source};
use crate::support::arrangement;
use crate::support::fault;
use crate::support::mounted::Mounted;
use crate::support::refusing_fs::{LinkRule, arena_on, mount};
use crate::support::scratch;
use crate::support::source;
use crate::support::trace;
use crate::support::tree;

/// What becomes of a link.
#[derive(Clone, Copy)]
enum Link {
    /// link(2) fails for this reason: git fails with `--local`, and else copies by itself.
    Refused(&'static str),
    /// It succeeds, but the new name is another file: git fails, with or without `--local`.
    Different,
}
use Link::{Different, Refused};

const EPERM: &str = "Operation not permitted";
const EXDEV: &str = "Invalid cross-device link";

/// A user who owns nothing.
const NOBODY: u32 = 65534;

/// An arena whose working directory and source are arranged, and what must live as long.
struct Place(Arena, PathBuf, Vec<Box<dyn Any>>);

/// Asserts for every git that it comes to this with links in `place`, and that the shim cures what git fails of.
///
/// The clones are quiet: see `refusing_fs::arena_on`.
fn check(link: Link, place: impl Fn(Arena) -> Option<Place>) {
    for_each_git(|_, arena| {
        // Without the sample hooks a clone takes half the time.
        let arena = arena.with_variable("GIT_TEMPLATE_DIR", "");
        let Some(Place(arena, source, _kept)) = place(arena) else {
            return;
        };
        for line in ["clone -q --bare SRC", "clone -q -l --bare SRC", "clone -q SRC dst", "clone -q --local SRC dst"] {
            assert_cured_where_git_dies(link, &arena, &with_source(&source, args(line)));
        }
        arena.real(args("-C dst fsck --full")).run().succeeded();
    });
}

#[track_caller]
fn assert_cured_where_git_dies(link: Link, arena: &Arena, line: &Args) {
    let real = arena.run(arena.real(line.clone())).outcome;
    let dies = match link {
        Refused(reason) if line.iter().any(|arg| arg == "-l" || arg == "--local") => {
            assert!(real.died_of(REFUSED) && real.stderr_contains(reason), "{real:?}");
            true
        }
        Refused(_) => false,
        // Gits before 2.45.1 and 2.39.4 do not check.
        Different => real.died_of(DIFFERENT),
    };
    if dies {
        arena.assert_copied_in(&|_| (), line);
    } else {
        let (twin, runs) = trace::clones(arena, &|_| (), line);
        assert_eq!((twin.outcome, runs), (real.succeeded(), 1));
    }
}

fn on_sshfs(arena: Arena, rule: LinkRule) -> Option<Place> {
    let (directory, filesystem) = mount(rule)?;
    let (arena, source) = arena_on(&filesystem, arena);
    // In this order, so that it is unmounted before its directories are removed.
    Some(Place(arena, source, vec![Box::new(filesystem), Box::new(directory)]))
}

/// Mounts an overlay whose lower layer holds two repositories and whose upper layer is in the directory `upper`: `original`,
/// and `linked`, whose objects are those of `original` by a second name.
fn on_overlay(arena: Arena, upper: TempDir, options: &str, source: &str) -> Option<Place> {
    // Not on a tmpfs, as the temporary directory may be: there a copied-up file keeps its inode number.
    let directory = tempfile::tempdir_in("/var/tmp").unwrap();
    let lower = directory.path().join("lower");
    fs::create_dir_all(lower.join("work")).unwrap();
    let arena = arena.in_directory(&directory.path().join("mount/work"));
    source::small(&arena, lower.join("original").to_str().unwrap());
    arena.real(args("clone -q original linked")).cwd(&lower).run().succeeded();
    let script = format!(
        "mkdir {0}/files {0}/work
         mount -t overlay overlay -o lowerdir=lower,upperdir={0}/files,workdir={0}/work,{options} mount",
        upper.path().display()
    );
    let mounted = as_root(&script, directory, "overlayfs")?;
    let source = mounted.path().join(source);
    Some(Place(arena, source, vec![Box::new(mounted), Box::new(upper)]))
}

#[track_caller]
fn as_root(script: &str, directory: TempDir, what: &str) -> Option<Mounted> {
    arrangement::is_root().then(|| Mounted::by(script, directory, what))?
}

/// Mounts something, with the source in one directory there and the working directory in another.
fn between(arena: Arena, script: &str, what: &str, [from, to]: [&str; 2]) -> Option<Place> {
    let mounted = as_root(script, scratch::directory(), what)?;
    let [from, to] = [from, to].map(|name| tempfile::tempdir_in(mounted.directory().join(name)).unwrap().keep());
    let arena = arena.in_directory(&to);
    let source = source::small(&arena, from.join("src").to_str().unwrap());
    Some(Place(arena, source, vec![Box::new(mounted)]))
}

/// The last object that git links: it has linked others before, and removes these links.
fn last_object(source: &Path) -> PathBuf {
    tree::objects(source).pop().unwrap().0
}

/// On ext4 an object can have 65,000 names.
fn with_the_most_links(arena: Arena) -> Option<Place> {
    let script = "truncate -s 64M image; mkfs.ext4 -q image; mount -o loop image mount";
    let mounted = as_root(script, scratch::directory(), "ext4 on a loop device")?;
    let (arena, source) = source::beside_work_dir(&mounted.path(), arena);
    let (object, names) = (last_object(&source), mounted.path().join("names"));
    fs::create_dir(&names).unwrap();
    let full = (0..100_000).find_map(|name| fs::hard_link(&object, names.join(name.to_string())).err());
    assert_eq!(full.unwrap().raw_os_error(), Some(libc::EMLINK));
    Some(Place(arena, source, vec![Box::new(mounted)]))
}

/// A file that even root cannot link to, until dropped.
struct Immutable(PathBuf);

impl Drop for Immutable {
    fn drop(&mut self) {
        let _ = Command::new("chattr").arg("-i").arg(&self.0).status();
    }
}

fn with_an_immutable_object(arena: Arena) -> Option<Place> {
    let source = source::small(&arena, "src");
    let object = last_object(&source);
    let done = Command::new("chattr").arg("+i").arg(&object).output().unwrap();
    if !arrangement::is_root() || !done.status.success() {
        arrangement::missing("filesystem with immutable files for temporary files");
        return None;
    }
    Some(Place(arena, source, vec![Box::new(Immutable(object))]))
}

/// A repository of `git init --shared=group`, with objects of two users of the group. With `fs.protected_hardlinks` a user may
/// not link to another user's file without write permission.
fn in_a_group_repository(arena: Arena) -> Option<Place> {
    let protected = fs::read_to_string("/proc/sys/fs/protected_hardlinks").unwrap_or_default();
    if !arrangement::is_root() || protected.trim() != "1" {
        arrangement::missing("fs.protected_hardlinks");
        return None;
    }
    let source = source::small(&arena, "src");
    let script = format!(
        "git config --global safe.directory '*'; cd '{}'
         git config core.sharedRepository group; chgrp -R {NOBODY} .; chmod -R g+rX .
         find .git -type d -exec chmod g+ws {{}} +; chown {NOBODY} .git/objects/??/*[0-7]",
        source.display()
    );
    arena.prepare(&script)(&source);
    Some(Place(arena.run_by(NOBODY), source, vec![]))
}

/// The filesystems, each a test of its own: what becomes of a link there, and how it is arranged.
macro_rules! filesystems {
    ($($name:ident: $link:expr, $place:expr;)*) => { $(#[test] fn $name() { check($link, $place); })* };
}

filesystems! {
    // BeeGFS links inside one directory only.
    beegfs: Refused(EPERM), |arena| on_sshfs(arena, LinkRule::SameDirectoryOnly);
    sshfs: Different, |arena| on_sshfs(arena, LinkRule::InodePerPath);
    // As in a container: the first link to an object of the image copies it up, and if it has two names, the copy is another
    // file. Without xino, on two devices, it always is.
    overlay: Different, |arena| on_overlay(arena, tempfile::tempdir_in("/var/tmp").unwrap(), "index=off", "linked");
    overlay_of_two_devices: Different,
        |arena| on_overlay(arena, tempfile::tempdir_in("/dev/shm").unwrap(), "index=off,xino=off", "original");
    bind_mount: Refused(EXDEV), |arena| between(arena, "mkdir far; mount --bind far mount", "bind", [".", "mount"]);
    // XFS checks projects whether or not quotas are on; ext4 only where the kernel supports quotas.
    project_quota: Refused(EXDEV), |arena| between(arena,
        "truncate -s 320M image; mkfs.xfs -q image; mount -o loop image mount
         mkdir mount/project; xfs_io -c 'chproj 7' -c 'chattr +P' mount/project",
        "XFS with projects", ["mount", "mount/project"]);
    btrfs_subvolumes: Refused(EXDEV), |arena| between(arena,
        "truncate -s 256M image; mkfs.btrfs -q image; mount -o loop image mount
         btrfs -q subvolume create mount/one; btrfs -q subvolume create mount/other",
        "Btrfs", ["mount/one", "mount/other"]);
    object_with_the_most_links: Refused("Too many links"), with_the_most_links;
    immutable_object: Refused(EPERM), with_an_immutable_object;
    group_repository: Refused(EPERM), in_a_group_repository;
}

#[test]
fn landlock() {
    let place = |arena| {
        let source = source::small(&arena, "src");
        Some(Place(arena, source, vec![]))
    };
    fault::without_links_across_directories(|| check(Refused(EXDEV), place));
}

#[test]
fn every_error_of_link() {
    const ERRORS: [(i32, &str); 10] = [
        (libc::EPERM, EPERM),
        (libc::EACCES, "Permission denied"),
        (libc::EMLINK, "Too many links"),
        (libc::EIO, "Input/output error"),
        (libc::EROFS, "Read-only file system"),
        (libc::EXDEV, EXDEV),
        (libc::EOPNOTSUPP, "Operation not supported"),
        (libc::ENOSYS, "Function not implemented"),
        (libc::EINVAL, "Invalid argument"),
        // From NFS; no C library has a text for it.
        (524, "Unknown error 524"),
    ];
    for_each_git(|_, mut arena| {
        let source = source::small(&arena, "src");
        // As under umask 002, and where all can exchange the objects: git itself copies them without --local.
        let open = Command::new("chmod").args(["-R", "go+w"]).arg(&source).status();
        assert!(open.unwrap().success());
        for (errno, reason) in ERRORS {
            arena = arena.with_links_failing(errno);
            for line in ["clone SRC dst", "clone --local SRC dst"] {
                let line = with_source(&source, args(line));
                assert_cured_where_git_dies(Refused(reason), &arena, &line);
            }
        }
    });
}

#[test]
fn every_kind_of_local_source_is_attempted() {
    // Where a link is another file, a plain clone that were not attempted would fail.
    let Some((_directory, filesystem)) = mount(LinkRule::InodePerPath) else {
        return;
    };
    for_each_git(|_, arena| {
        let (arena, _) = arena_on(&filesystem, arena.with_variable("GIT_TEMPLATE_DIR", ""));
        arena.prepare(
            "cd ..
             mv src pointer; mv pointer/.git separate; echo \"gitdir: $PWD/separate\" >pointer/.git
             mkdir odd.git
             for copy in bare.git odd.git/.git host:path 'with space'; do cp -R separate \"$copy\"; done
             git -C pointer worktree add -q ../tree side",
        )(Path::new(""));
        for name in [
            "pointer", "pointer//", "pointer/.git", "separate", "bare.git", "bare", "bare.git/", "odd", "host:path",
            "with space", "tree",
        ] {
            let line = ["clone", "-q", &format!("../{name}"), "dst"].map(Into::into);
            assert_cured_where_git_dies(Different, &arena, &line.to_vec());
        }
        // An existing path is preferred to `host:path`, and is relative to the last -C.
        for line in ["-C .. clone -q host:path work/dst", "-C ../pointer -C .. clone -q pointer work/dst"] {
            assert_cured_where_git_dies(Different, &arena, &args(line));
        }
    });
}

#[test]
fn every_object_is_hard_linked_where_links_work() {
    for_each_git(|_, arena| {
        let many = source::with_loose_objects(&arena, "many", 300);
        for source in [source::small(&arena, "src"), source::packed(&arena, "packed"), many] {
            for line in [
                "clone --local SRC dst",
                "clone SRC dst",
                "clone -l --bare SRC dst",
                "clone -l --mirror SRC dst",
                "clone -l --separate-git-dir sep SRC dst",
                "clone -ql SRC dst",
                "clone -l SRC",
            ] {
                arena.assert_twins(&with_source(&source, args(line))).outcome.succeeded();
                let links = tree::object_links(arena.work_dir());
                assert!(!links.is_empty() && links.iter().all(|&links| links == 2), "{line}: {links:?}");
            }
        }
    });
}

#[test]
fn plain_clone_where_links_are_honest_is_not_attempted() {
    // On tmpfs, a link is the same file: git can only copy where one is refused.
    let Ok(place) = tempfile::tempdir_in("/dev/shm") else {
        return arrangement::missing("tmpfs at /dev/shm");
    };
    for_each_git(|_, arena| {
        let (arena, _) = source::beside_work_dir(place.path(), arena);
        for (line, is_attempted) in
            [("clone ../src dst", false), ("-C .. clone src work/dst", false), ("clone -l ../src dst", true)]
        {
            assert_eq!(trace::is_attempted(&arena, &args(line)), is_attempted, "{line}");
        }
        let arena = arena.with_links_failing(libc::EPERM);
        arena.assert_twins(&args("clone ../src dst")).outcome.succeeded();
        arena.assert_cured(&args("clone -l ../src dst"));
    });
}
