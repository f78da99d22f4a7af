//! Processes, as /proc shows them.

use std::fs;

use nix::unistd::Pid;

/// Whether there is such a process and it has not ended.
pub fn is_running(process: Pid) -> bool {
    !matches!(state(process), None | Some('Z' | 'X'))
}

/// Whether it has been stopped.
pub fn is_stopped(process: Pid) -> bool {
    state(process) == Some('T')
}

/// Its state, as proc(5) writes it.
fn state(process: Pid) -> Option<char> {
    let status = fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    status.rsplit(')').next()?.trim().chars().next()
}
