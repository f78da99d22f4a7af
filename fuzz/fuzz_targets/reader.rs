//! The reader, over any words: `cargo +nightly fuzz run reader`.
//!
//! An input is the words behind `git`, each ended by a NUL.

#![no_main]

use std::ffi::{CStr, CString};

use git_clone_shim::git::command_line::{Linking, read};
use git_clone_shim::git::destination;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let owned: Vec<_> = input
        .split(|&byte| byte == 0)
        .map(|word| CString::new(word).expect("words are parted by NULs"))
        .collect();
    let words: Vec<&CStr> = [c"git"]
        .into_iter()
        .chain(owned.iter().map(CString::as_c_str))
        .collect();
    let Some(clone) = read(&words) else {
        return;
    };
    if let Linking::Demanded(by) = clone.linking {
        assert!(words[by].to_bytes().starts_with(b"-"));
    }
    let _ = destination::directory(&clone);

    let command = words.iter().position(|word| *word == c"clone");
    let command = command.expect("only a clone is read as one");

    let copying = clone.without_hard_links(&words);
    assert_is_spliced(&words, &copying, c"--no-hardlinks", command);
    // A second reading finds the flag, and nothing else changed.
    let second = read(&copying).expect("still a clone");
    assert_eq!(second.linking, Linking::Never);
    assert_eq!(second.positionals, clone.positionals);
    assert_eq!(second.progress_decided, clone.progress_decided);
    assert_eq!(second.directory(), clone.directory());
    assert_eq!(second.bare, clone.bare);

    let shown = clone.with_progress(&words);
    assert_is_spliced(&words, &shown, c"--progress", command);
    let shown = read(&shown).expect("still a clone");
    assert!(shown.progress_decided);
    assert_eq!(shown.positionals, clone.positionals);
    assert_eq!(shown.directory(), clone.directory());
    assert_eq!(shown.bare, clone.bare);
});

/// Asserts that `spliced` is `words` with `word` somewhere behind the command.
fn assert_is_spliced(words: &[&CStr], spliced: &[&CStr], word: &CStr, command: usize) {
    let found = (command + 1..spliced.len()).any(|at| {
        spliced[at] == word && spliced[..at] == words[..at] && spliced[at + 1..] == words[at..]
    });
    assert!(found, "{words:?} became {spliced:?}");
}
