//! The cores that the measured processes may use.

use nix::sched::{CpuSet, sched_getaffinity, sched_setaffinity};
use nix::unistd::Pid;

const SELF: Pid = Pid::from_raw(0);

/// Pins this process and its children to the last core that it may use: moving a process to another core takes longer than
/// what is measured.
pub fn pin_to_one_core() {
    let allowed = sched_getaffinity(SELF).unwrap();
    let last = (0..CpuSet::count())
        .rev()
        .find(|&core| allowed.is_set(core).unwrap());
    let mut one = CpuSet::new();
    one.set(last.unwrap()).unwrap();
    sched_setaffinity(SELF, &one).unwrap();
}

/// Allows all cores again.
pub fn allow_all_cores() {
    let mut all = CpuSet::new();
    for core in 0..CpuSet::count() {
        all.set(core).unwrap();
    }
    // The kernel ignores cores that the machine does not have.
    sched_setaffinity(SELF, &all).unwrap();
}
