//! `git-clone-shim doctor`, and what it reports.

use std::fs;
use std::path::Path;

use serde_json::Value;

use super::arena::Arena;
use super::args::args;
use super::call::Call;
use super::executable;

/// A call of doctor, with the shim first on PATH.
pub fn doctor(arena: &Arena, options: &str, directories: &[&Path]) -> Call {
    let mut command = arena.command(executable::shim());
    command.arg("doctor").args(args(options)).args(directories);
    let path = Arena::path(&[arena.shim_directory(), arena.real_directory()]);
    Call::new(command).env("PATH", path)
}

/// Runs a call of doctor with `--json`; asserts that the exit status agrees with what it prints.
#[track_caller]
pub fn report(call: Call) -> Value {
    let outcome = call.run();
    let report: Value =
        serde_json::from_slice(&outcome.stdout).unwrap_or_else(|_| panic!("{outcome:?}"));
    let answers: Vec<&Value> = directories(&report)
        .iter()
        .map(|directory| &directory["answer"])
        .collect();
    let works = !answers.contains(&&Value::from("does_not_work"));
    assert_eq!(report["works"], works, "{outcome:?}");
    assert_eq!(
        outcome.status.code(),
        Some(i32::from(!works)),
        "{outcome:?}"
    );
    report
}

pub fn directories(report: &Value) -> &[Value] {
    report["directories"].as_array().unwrap()
}

/// Examines one directory; asserts that nothing is left in it.
#[track_caller]
pub fn examine(arena: &Arena, directory: &Path) -> Value {
    let report = report(doctor(arena, "--json", &[directory]));
    assert_eq!(traces(directory), [""; 0]);
    directories(&report)[0].clone()
}

/// What doctor has left in a directory.
pub fn traces(directory: &Path) -> Vec<String> {
    let Ok(entries) = fs::read_dir(directory) else {
        return Vec::new();
    };
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    names
        .filter(|name| name.starts_with(".git-clone-shim"))
        .collect()
}

/// The outcomes of the three checks of links: inside a directory, across directories, the same file.
pub fn links(examined: &Value) -> [Option<bool>; 3] {
    ["link_inside", "link_across", "link_is_same_file"].map(|check| examined[check]["ok"].as_bool())
}
