//! Processes, as /proc shows them.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use nix::unistd::Pid;

/// Whether this process exists and has not exited.
pub fn is_running(process: Pid) -> bool {
    !matches!(state(process), None | Some('Z' | 'X'))
}

/// Whether it is stopped by a signal.
pub fn is_stopped(process: Pid) -> bool {
    state(process) == Some('T')
}

/// Whether it sleeps, waiting for an event.
pub fn is_asleep(process: Pid) -> bool {
    state(process) == Some('S')
}

/// Whether this signal is pending for it, blocked.
pub fn has_pending(process: Pid, signal: i32) -> bool {
    has_in(process, "ShdPnd:", signal)
}

/// Whether it blocks this signal.
pub fn blocks(process: Pid, signal: i32) -> bool {
    has_in(process, "SigBlk:", signal)
}

fn has_in(process: Pid, set: &str, signal: i32) -> bool {
    let status = fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix(set));
    let mask = mask.map(|mask| u64::from_str_radix(mask.trim(), 16).unwrap());
    mask.is_some_and(|mask| mask & (1 << (signal - 1)) != 0)
}

/// The processes that run `program` and were started with this home directory.
pub fn running(program: &Path, home: &Path) -> Vec<Pid> {
    let program = program.canonicalize().unwrap();
    let runs_program = |process: &Pid| fs::read_link(format!("/proc/{process}/exe")).is_ok_and(|file| file == program);
    let mut processes = with_home(home);
    processes.retain(runs_program);
    processes
}

/// The processes that were started with this home directory.
pub fn with_home(home: &Path) -> Vec<Pid> {
    let home = [OsStr::new("HOME=").as_bytes(), home.as_os_str().as_bytes()].concat();
    let has_home = |process: &Path| {
        let environment = fs::read(process.join("environ")).unwrap_or_default();
        let mut variables = environment.split(|&byte| byte == 0);
        variables.any(|variable| variable == home)
    };
    let processes = fs::read_dir("/proc").unwrap().map(|entry| entry.unwrap().path());
    processes
        .filter(|process| has_home(process))
        .filter_map(|process| process.file_name()?.to_str()?.parse().ok())
        .map(Pid::from_raw)
        .collect()
}

/// The fields of /proc/PID/stat from its state on: state, parent, group, session, terminal and more (proc(5)).
pub fn stat(process: Pid) -> Option<Vec<String>> {
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    let fields = stat.rsplit(')').next()?.split_whitespace();
    Some(fields.map(str::to_owned).collect())
}

fn state(process: Pid) -> Option<char> {
    stat(process)?.first()?.chars().next()
}
