//! Reads any command line: `cargo +nightly fuzz run command_line`.
//!
//! An input is the args after `git`, separated by NULs.

#![no_main]

use std::ffi::{CStr, CString};

use git_clone_shim::git::command_line::{Linking, read};
use git_clone_shim::git::destination;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let owned: Vec<_> = input
        .split(|&byte| byte == 0)
        .map(|arg| CString::new(arg).expect("args are separated by NULs"))
        .collect();
    let args: Vec<&CStr> = [c"git"]
        .into_iter()
        .chain(owned.iter().map(CString::as_c_str))
        .collect();
    let Some(clone) = read(&args) else {
        return;
    };
    let _ = destination::place(&clone);

    let command = args.iter().position(|arg| *arg == c"clone");
    let command = command.expect("only a clone is read as one");

    let copying = clone.without_hard_links(&args);
    assert_is_spliced(&args, &copying, c"--no-hardlinks", command);
    // Read again, the args have the flag, and nothing else is different.
    let second = read(&copying).expect("still a clone");
    assert_eq!(second.linking, Linking::Never);
    assert_eq!(second.positionals, clone.positionals);
    assert_eq!(second.progress_decided, clone.progress_decided);
    assert_eq!(second.start_directory().as_c_str(), clone.start_directory().as_c_str());
    assert_eq!(second.bare, clone.bare);

    let shown = clone.with_progress(&args);
    assert_is_spliced(&args, &shown, c"--progress", command);
    let shown = read(&shown).expect("still a clone");
    assert!(shown.progress_decided);
    assert_eq!(shown.positionals, clone.positionals);
    assert_eq!(shown.start_directory().as_c_str(), clone.start_directory().as_c_str());
    assert_eq!(shown.bare, clone.bare);
});

/// Asserts that `spliced` is `args` with `arg` inserted somewhere after the command.
fn assert_is_spliced(args: &[&CStr], spliced: &[&CStr], arg: &CStr, command: usize) {
    let found = (command + 1..spliced.len()).any(|at| {
        spliced[at] == arg && spliced[..at] == args[..at] && spliced[at + 1..] == args[at..]
    });
    assert!(found, "{args:?} became {spliced:?}");
}
