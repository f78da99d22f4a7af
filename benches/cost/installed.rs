//! The shim that install.sh installs.

use std::path::PathBuf;
use std::process::{Command, Stdio};

use tempfile::TempDir;

/// An installation, removed on drop.
pub struct Installed(TempDir);

/// Builds the shim and installs it into a new directory.
pub fn by_install_sh() -> Installed {
    let prefix = tempfile::tempdir().unwrap();
    let status = Command::new(concat!(env!("CARGO_MANIFEST_DIR"), "/install.sh"))
        .arg("--prefix")
        .arg(prefix.path())
        .stdout(Stdio::null())
        .status()
        .unwrap();
    assert!(status.success(), "install.sh failed");
    Installed(prefix)
}

impl Installed {
    /// The directory that users put first on PATH.
    pub fn bin(&self) -> PathBuf {
        self.0.path().join("git-clone-shim/current/bin")
    }
}
