//! Faults that need no privilege, most of them of link(2).

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::thread;

use landlock::{AccessFs, CompatLevel, Compatible, RestrictionStatus, Ruleset, RulesetAttr, RulesetError};
use nix::libc;
use seccompiler::{BpfProgram, SeccompAction, SeccompFilter};
use tempfile::TempDir;

use super::arrangement;

/// Runs `test` where link(2) and linkat(2) fail with `errno`, for it and all processes that it starts.
pub fn with_links_failing<T: Send>(errno: i32, test: impl FnOnce() -> T + Send) -> T {
    with_calls_failing(&[libc::SYS_link, libc::SYS_linkat], errno, test)
}

/// Runs `test` where these system calls fail with `errno`, for it and all processes that it starts.
pub fn with_calls_failing<T: Send>(calls: &[libc::c_long], errno: i32, test: impl FnOnce() -> T + Send) -> T {
    let refuse = SeccompAction::Errno(u32::try_from(errno).unwrap());
    let calls: BTreeMap<_, _> = calls.iter().map(|&call| (call, vec![])).collect();
    let architecture = std::env::consts::ARCH.try_into().unwrap();
    let filter: BpfProgram =
        SeccompFilter::new(calls, SeccompAction::Allow, refuse, architecture).unwrap().try_into().unwrap();
    in_new_thread(|| {
        seccompiler::apply_filter(&filter).unwrap();
        test()
    })
}

/// Filters and rulesets apply to one thread and cannot be removed.
fn in_new_thread<T: Send>(test: impl FnOnce() -> T + Send) -> T {
    thread::scope(|scope| scope.spawn(test).join()).unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

/// Runs `test` where Landlock refuses links from one directory to another (EXDEV), for it and all processes that it starts,
/// if this machine can. Links within one directory succeed.
pub fn without_links_across_directories<T: Send>(test: impl FnOnce() -> T + Send) -> Option<T> {
    in_new_thread(|| match restrict_links() {
        Ok(_) => Some(test()),
        Err(error) => {
            arrangement::missing(&format!("Landlock ({error})"));
            None
        }
    })
}

/// Every Landlock ruleset refuses links across directories; this one must name some right, and takes that to make block
/// devices.
fn restrict_links() -> Result<RestrictionStatus, RulesetError> {
    let ruleset = Ruleset::default().set_compatibility(CompatLevel::HardRequirement);
    let ruleset = ruleset.handle_access(AccessFs::MakeBlock)?;
    ruleset.create()?.restrict_self()
}

/// A new directory to which nothing in `from` can be hard-linked (EXDEV), since it is on another mount.
#[track_caller]
pub fn another_mount(from: &Path) -> Option<TempDir> {
    let probe = from.join("probe");
    fs::write(&probe, "").unwrap();
    let places = ["/dev/shm", "/tmp", "/var/tmp", "/run/shm"];
    let found = places.iter().filter_map(|place| tempfile::tempdir_in(place).ok()).find(|place| {
        let refused = fs::hard_link(&probe, place.path().join("probe"));
        refused.is_err_and(|error| error.raw_os_error() == Some(libc::EXDEV))
    });
    fs::remove_file(&probe).unwrap();
    if found.is_none() {
        arrangement::missing("second filesystem to write to");
    }
    found
}
