//! What makes link(2) fail, without privilege.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::thread;

use nix::libc;
use seccompiler::{BpfProgram, SeccompAction, SeccompFilter};
use tempfile::TempDir;

use super::arrangement;

/// Runs `what` where link(2) and linkat(2) fail with `errno`, for it and all that it starts.
pub fn with_links_failing<T: Send>(errno: i32, what: impl FnOnce() -> T + Send) -> T {
    with_calls_failing(&[libc::SYS_link, libc::SYS_linkat], errno, what)
}

/// Runs `what` where these system calls fail with `errno`, for it and all that it starts.
pub fn with_calls_failing<T: Send>(
    calls: &[libc::c_long],
    errno: i32,
    what: impl FnOnce() -> T + Send,
) -> T {
    let refuse = SeccompAction::Errno(u32::try_from(errno).unwrap());
    let calls: BTreeMap<_, _> = calls.iter().map(|&call| (call, vec![])).collect();
    let architecture = std::env::consts::ARCH.try_into().unwrap();
    let filter: BpfProgram = SeccompFilter::new(calls, SeccompAction::Allow, refuse, architecture)
        .unwrap()
        .try_into()
        .unwrap();
    // A filter is for ever, and for one thread: so that thread is one of its own.
    thread::scope(|scope| {
        let filtered = scope.spawn(|| {
            seccompiler::apply_filter(&filter).unwrap();
            what()
        });
        filtered
            .join()
            .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}

/// Whether the kernel refuses `O_CREAT` for the existing files of others in sticky directories (proc(5)).
const PROTECTED_REGULAR: &str = "/proc/sys/fs/protected_regular";

/// What `fs.protected_regular` was, and is again when this is dropped.
pub struct Setting(Option<Vec<u8>>);

/// Has the kernel refuse `O_CREAT` as most distributions have it, for the whole machine, if we may set that.
pub fn protected_regular_files() -> Setting {
    let before = fs::read(PROTECTED_REGULAR).ok();
    let _ = fs::write(PROTECTED_REGULAR, "1");
    Setting(before)
}

impl Drop for Setting {
    fn drop(&mut self) {
        if let Some(before) = &self.0 {
            let _ = fs::write(PROTECTED_REGULAR, before);
        }
    }
}

/// A fresh directory to which nothing in `from` can be hard-linked, since it is on another device.
#[track_caller]
pub fn another_device(from: &Path) -> Option<TempDir> {
    let probe = from.join("probe");
    fs::write(&probe, "").unwrap();
    let places = ["/dev/shm", "/tmp", "/var/tmp", "/run/shm"];
    let found = places
        .iter()
        .filter_map(|place| tempfile::tempdir_in(place).ok())
        .find(|place| {
            let refused = fs::hard_link(&probe, place.path().join("probe"));
            refused.is_err_and(|error| error.raw_os_error() == Some(libc::EXDEV))
        });
    fs::remove_file(&probe).unwrap();
    if found.is_none() {
        arrangement::missing("second device to write to");
    }
    found
}
