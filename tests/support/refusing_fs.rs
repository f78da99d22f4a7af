//! An sshfs whose hard links follow a rule. ssh is left out: sftp-server serves a directory of this machine, and the test changes
//! the requests for links on their way.

use std::ffi::OsStr;
use std::fs;
use std::io::{self, Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;

use tempfile::TempDir;

use super::arena::Arena;
use super::arrangement;
use super::scratch;
use super::source;
use super::wait;

/// What link(2) does on a [`RefusingFs`].
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum LinkRule {
    /// Links inside one directory only, as on `BeeGFS` < 7.4, else EPERM.
    SameDirectoryOnly,
    /// Links succeed, but every path has an inode number of its own, as on CIFS too.
    InodePerPath,
}

/// Mounts a filesystem with this rule on a temporary directory, if this machine can.
#[track_caller]
pub fn mount(rule: LinkRule) -> Option<(TempDir, RefusingFs)> {
    let directory = scratch::directory();
    let [backing, mountpoint] = ["backing", "mount"].map(|name| directory.path().join(name));
    fs::create_dir(&backing).unwrap();
    fs::create_dir(&mountpoint).unwrap();
    // In this order, so that it is unmounted before its directories are removed.
    RefusingFs::mount(&backing, &mountpoint, rule).map(|filesystem| (directory, filesystem))
}

/// Moves the working directory of `arena` to a new directory on `filesystem`, and makes a source beside it.
///
/// Clones there should be quiet (`-q`): on a busy machine an attempt on a FUSE filesystem can take more than the second for
/// which the shim holds git's stderr, and then git's first line is seen twice.
pub fn arena_on(filesystem: &RefusingFs, arena: Arena) -> (Arena, PathBuf) {
    source::beside_work_dir(filesystem.path(), arena)
}

/// A mounted filesystem, unmounted when dropped.
pub struct RefusingFs {
    mountpoint: PathBuf,
    processes: [Child; 2],
}

impl RefusingFs {
    /// Shows `backing` at `mountpoint`, two existing directories, with links following `rule`, if this machine can.
    #[track_caller]
    pub fn mount(backing: &Path, mountpoint: &Path, rule: LinkRule) -> Option<Self> {
        let Ok(processes) = start(backing, mountpoint, rule) else {
            arrangement::missing("sshfs, or sftp-server");
            return None;
        };
        let mut mounted = Self { mountpoint: mountpoint.canonicalize().unwrap(), processes };
        let device = |path| fs::metadata(path).map(|found| found.dev()).ok();
        let mut ended = false;
        wait::until("sshfs", || {
            ended = mounted.processes[0].try_wait().unwrap().is_some();
            ended || device(mountpoint) != device(backing)
        });
        if ended {
            arrangement::missing("FUSE filesystem to mount");
            return None;
        }
        Some(mounted)
    }

    /// The mountpoint, absolute and free of symbolic links.
    pub fn path(&self) -> &Path {
        &self.mountpoint
    }
}

impl Drop for RefusingFs {
    fn drop(&mut self) {
        // At once, even if another mount namespace has a copy.
        for process in &mut self.processes {
            let _ = process.kill().and_then(|()| process.wait());
        }
        let _ = Command::new("fusermount3").args(["-u", "-q", "-z"]).arg(&self.mountpoint).status();
    }
}

fn start(backing: &Path, mountpoint: &Path, rule: LinkRule) -> io::Result<[Child; 2]> {
    let mut server = Command::new("/usr/lib/openssh/sftp-server");
    let mut server = server.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn()?;
    let mut sshfs = Command::new("sshfs");
    sshfs.args(["-f", "-o", "passive"]).arg(format!(":{}", backing.display())).arg(mountpoint);
    // Newer ones, and Debian's, else read no symbolic link that leads out of the filesystem.
    if String::from_utf8_lossy(&Command::new("sshfs").arg("-h").output()?.stdout).contains("no_contain_symlinks") {
        sshfs.args(["-o", "no_contain_symlinks"]);
    }
    sshfs.stdin(server.stdout.take().unwrap()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut sshfs = sshfs.spawn()?;
    let (mut from, mut to) = (sshfs.stdout.take().unwrap(), server.stdin.take().unwrap());
    thread::spawn(move || while pass_on(&mut from, &mut to, rule).is_ok() {});
    Ok([sshfs, server])
}

/// Passes on one request of the SSH file transfer protocol: its length, a byte for its kind, four for its number, and the rest.
fn pass_on(from: &mut impl Read, to: &mut impl Write, rule: LinkRule) -> io::Result<()> {
    const LINK: &[u8] = b"\0\0\0\x14hardlink@openssh.com";
    const MAKE_DIRECTORY: u8 = 14;
    const ROOT: &[u8] = b"\0\0\0\x01/\0\0\0\0";
    let mut length = [0; 4];
    from.read_exact(&mut length)?;
    let mut request = vec![0; usize::try_from(u32::from_be_bytes(length)).unwrap()];
    from.read_exact(&mut request)?;
    let (head, rest) = request.split_at(5.min(request.len()));
    if let (LinkRule::SameDirectoryOnly, Some(paths)) = (rule, rest.strip_prefix(LINK)) {
        let end = 4 + usize::try_from(u32::from_be_bytes(paths[..4].try_into().unwrap())).unwrap();
        let [old, new] = [&paths[4..end], &paths[end + 4..]].map(|path| Path::new(OsStr::from_bytes(path)));
        if old.parent() != new.parent() {
            // It is there already: for sshfs that is EPERM.
            request = [&[MAKE_DIRECTORY], &head[1..], ROOT].concat();
        }
    }
    to.write_all(&[&u32::try_from(request.len()).unwrap().to_be_bytes()[..], &request].concat())
}
