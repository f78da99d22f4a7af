//! Real-time priority, with which other work on the machine hardly shows.

use std::path::Path;
use std::process::Command;

/// Runs this program again, with the same words and for the shim in the directory `bin`, before everything else that wants
/// the core. Returns whether it succeeded; `None` if nothing has been run, since that takes chrt(1) and privilege.
pub fn rerun(bin: &Path) -> Option<bool> {
    let first = |command: &Path| {
        let mut chrt = Command::new("chrt");
        chrt.args(["--fifo", "1"]).arg(command);
        chrt
    };
    let may = first(Path::new("true")).status();
    if !may.is_ok_and(|status| status.success()) {
        return None;
    }
    let mut again = first(&std::env::current_exe().unwrap());
    again
        .args(std::env::args_os().skip(1))
        .arg("--shim")
        .arg(bin);
    Some(again.status().unwrap().success())
}
