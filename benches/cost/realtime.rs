//! Real-time priority, so that other processes on the machine hardly disturb a measurement.

use std::path::Path;
use std::process::Command;

/// Runs this program again with the same args, for the shim in the directory `bin`, with real-time priority. Returns whether
/// it succeeded; `None` if chrt(1) is missing or not permitted, and nothing was run.
pub fn rerun(bin: &Path) -> Option<bool> {
    let with_priority = |program: &Path| {
        let mut chrt = Command::new("chrt");
        chrt.args(["--fifo", "1"]).arg(program);
        chrt
    };
    let trial = with_priority(Path::new("true")).status();
    if !trial.is_ok_and(|status| status.success()) {
        return None;
    }
    let mut rerun = with_priority(&std::env::current_exe().unwrap());
    rerun
        .args(std::env::args_os().skip(1))
        .arg("--shim")
        .arg(bin);
    Some(rerun.status().unwrap().success())
}
