//! Processes, as /proc shows them.

use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use nix::unistd::Pid;

use super::arena::Arena;
use super::wait;

/// Whether this process exists and has not exited.
pub fn is_running(process: Pid) -> bool {
    !matches!(state(process), None | Some('Z' | 'X'))
}

/// Whether it is stopped by a signal.
pub fn is_stopped(process: Pid) -> bool {
    state(process) == Some('T')
}

/// Whether this signal is in a set of `/proc/PID/status`, such as `SigBlk:`.
pub fn has(process: Pid, set: &str, signal: i32) -> bool {
    let status = fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix(set));
    mask.is_some_and(|mask| u64::from_str_radix(mask.trim(), 16).unwrap() & (1 << (signal - 1)) != 0)
}

/// Waits until no process of this arena is left.
#[track_caller]
pub fn wait_for_all_of(arena: &Arena) {
    wait::until("the processes to end", || with_home(&arena.root().join("home")).is_empty());
}

/// The processes that were started with this home directory.
pub fn with_home(home: &Path) -> Vec<Pid> {
    let home = [b"HOME=", home.as_os_str().as_bytes()].concat();
    let has_home = |process: &Pid| {
        let environment = fs::read(format!("/proc/{process}/environ")).unwrap_or_default();
        environment.split(|&byte| byte == 0).any(|variable| variable == home)
    };
    let processes = fs::read_dir("/proc").unwrap().map(|entry| entry.unwrap().file_name());
    let processes = processes.filter_map(|process| process.to_str()?.parse().ok()).map(Pid::from_raw);
    processes.filter(has_home).collect()
}

/// Its state, such as `S` where it sleeps, waiting for an event (proc(5)).
pub fn state(process: Pid) -> Option<char> {
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    stat.rsplit(')').next()?.trim_start().chars().next()
}
