//! The shim as install.sh installs it.

use std::path::PathBuf;
use std::process::{Command, Stdio};

use tempfile::TempDir;

/// An installation for as long as this lives.
pub struct Installed(TempDir);

/// Builds and installs the shim below a fresh directory.
pub fn by_install_sh() -> Installed {
    let prefix = tempfile::tempdir().unwrap();
    let done = Command::new(concat!(env!("CARGO_MANIFEST_DIR"), "/install.sh"))
        .arg("--prefix")
        .arg(prefix.path())
        .stdout(Stdio::null())
        .status()
        .unwrap();
    assert!(done.success(), "install.sh failed");
    Installed(prefix)
}

impl Installed {
    /// The directory that install.sh tells to put first on PATH.
    pub fn bin(&self) -> PathBuf {
        self.0.path().join("git-clone-shim/current/bin")
    }
}
