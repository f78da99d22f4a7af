//! Filesystems of the kernel's, or of a package's, that a test mounts for itself.

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
        // Before the script runs, so that what it mounts goes away even if it fails after that.
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
        // At once, even if a mount namespace of another test's keeps a copy. Without root only the second one is allowed.
        let unmount = "umount -l mount || fusermount3 -u -z mount";
        let mut command = shell(unmount, self.directory());
        let _ = command.stderr(Stdio::null()).status();
    }
}

fn shell(script: &str, directory: &Path) -> Command {
    let mut command = Command::new("sh");
    command
        .args(["-ec", script])
        .current_dir(directory)
        .env("PATH", Arena::path(&[]))
        .stdin(Stdio::null());
    command
}
