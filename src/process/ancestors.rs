//! Which processes started this one, and when: what /proc/PID/stat tells (proc(5)), the time that it is counted in, and the death
//! with one's parent.

use std::fmt::Display;
use std::fs;
use std::mem::MaybeUninit;
use std::time::Duration;

use nix::libc;
use nix::sys::prctl::set_pdeathsig;
use nix::sys::signal::Signal;
use nix::unistd::{Pid, getppid};

/// How long a clock tick is, in which the kernel counts what it shows (`USER_HZ`), in milliseconds.
const TICK: u128 = 10;

/// How far a search for an ancestor goes: farther than a shell's substitutions and pipelines are nested.
const GENERATIONS: usize = 8;

/// The time since boot. By the system call itself, since the first use of libc's function reads the kernel's vDSO, which takes
/// four page faults.
#[must_use]
pub fn since_boot() -> Duration {
    let mut now = MaybeUninit::<libc::timespec>::zeroed();
    // SAFETY: clock_gettime(2) fills in the struct, which all zero is valid for if it does not.
    let now = unsafe {
        libc::syscall(libc::SYS_clock_gettime, libc::CLOCK_BOOTTIME, now.as_mut_ptr());
        now.assume_init()
    };
    Duration::new(now.tv_sec.unsigned_abs(), u32::try_from(now.tv_nsec).unwrap_or(0))
}

/// The time since boot in clock ticks.
#[must_use]
pub fn ticks_since_boot() -> u64 {
    u64::try_from(since_boot().as_millis() / TICK).unwrap_or(u64::MAX)
}

/// Whether this process had started already when so many ticks had passed since boot. `true` where /proc does not tell.
#[must_use]
pub fn has_started_by(ticks: u64) -> bool {
    field("self", 22).is_none_or(|started| started <= ticks)
}

/// Has the kernel kill this process when its parent dies, which had the number `parent` when it forked. `false` if it is dead by now.
pub(super) fn die_with(parent: Pid) -> bool {
    let _ = set_pdeathsig(Signal::SIGKILL);
    // It may have died before the line above; then no signal will come. In another PID namespace it has the number 0.
    let now = getppid();
    now == parent || now.as_raw() == 0
}

/// Whether `pid` is the parent of this process, or one of the next few ancestors, and none of these runs a program called `name`.
#[must_use]
pub fn is_ancestor_without(name: &str, pid: u32) -> bool {
    let mut ancestor = u64::from(getppid().as_raw().unsigned_abs());
    for _ in 0..GENERATIONS {
        if fs::read_link(format!("/proc/{ancestor}/exe")).is_ok_and(|program| program.ends_with(name)) {
            return false;
        }
        if ancestor == u64::from(pid) {
            return true;
        }
        match field(ancestor, 4) {
            Some(parent) => ancestor = parent,
            None => return false,
        }
    }
    false
}

/// The field with this number, as proc(5) counts them.
fn field(process: impl Display, number: usize) -> Option<u64> {
    let stat = fs::read(format!("/proc/{process}/stat")).ok()?;
    // The second field is the program's name in parentheses, and can hold anything.
    let name_end = stat.iter().rposition(|&byte| byte == b')')?;
    let behind = str::from_utf8(stat.get(name_end + 1..)?).ok()?;
    behind.split_ascii_whitespace().nth(number.checked_sub(3)?)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::{has_started_by, is_ancestor_without, ticks_since_boot};

    #[test]
    fn this_process_has_started_before_now_and_after_boot() {
        assert!(has_started_by(ticks_since_boot()));
        assert!(!has_started_by(0));
    }

    #[test]
    fn parent_is_an_ancestor_and_we_are_not() {
        let parent = std::os::unix::process::parent_id();
        assert!(is_ancestor_without("git", parent));
        assert!(!is_ancestor_without("git", std::process::id()));
        let name = std::fs::read_link(format!("/proc/{parent}/exe")).unwrap();
        assert!(!is_ancestor_without(name.file_name().unwrap().to_str().unwrap(), parent));
    }
}
