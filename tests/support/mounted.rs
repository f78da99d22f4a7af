//! Filesystems of the kernel or of a package that a test mounts.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use tempfile::TempDir;

use super::arena::Arena;
use super::arrangement;

/// A mounted filesystem in a directory of its own, unmounted and removed when dropped.
pub struct Mounted {
    directory: TempDir,
}

impl Mounted {
    /// Lets a shell script mount something on the directory `mount`; it runs in `directory`, where that is made.
    #[track_caller]
    pub fn by(script: &str, directory: TempDir, what: &str) -> Option<Self> {
        // Before the script runs, so that what it has mounted is unmounted even if it then fails.
        let mounted = Self { directory };
        std::fs::create_dir(mounted.path()).unwrap();
        let done = shell(script, mounted.directory()).status().unwrap();
        if !done.success() {
            arrangement::missing(&format!("{what} to mount"));
            return None;
        }
        Some(mounted)
    }

    /// The mountpoint.
    pub fn path(&self) -> PathBuf {
        self.directory().join("mount")
    }

    /// The directory in which the script ran.
    pub fn directory(&self) -> &Path {
        self.directory.path()
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        // Lazily, since a mount namespace of another test can hold a copy. Without root only the second command may do it.
        let unmount = "umount -l mount || fusermount3 -u -z mount";
        let mut command = shell(unmount, self.directory());
        let _ = command.stderr(Stdio::null()).status();
    }
}

fn shell(script: &str, directory: &Path) -> Command {
    let mut command = Command::new("sh");
    command.args(["-ec", script]).current_dir(directory).env("PATH", Arena::path(&[])).stdin(Stdio::null());
    command
}
