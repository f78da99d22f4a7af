//! The tool for people: what the program does when it is called `git-clone-shim`.

use std::ffi::CStr;
use std::io::{Write, stdout};

use crate::failure;

/// The status of a command line that makes no sense.
const USAGE: i32 = 2;

const HELP: &str = "\
git-clone-shim stands in for git on PATH. When a tool runs `git clone --local` and
the filesystem refuses hard links, it runs the clone again with `--no-hardlinks`.
Everything else is git, exactly.

Usage: git-clone-shim --help | --version
       git …            (by that name it is the shim)

Environment:
  GIT_CLONE_SHIM      auto (default), always (--no-hardlinks at once), off
  GIT_CLONE_SHIM_GIT  absolute path of the real git (default: the next on PATH)
  GIT_CLONE_SHIM_LOG  info, debug, …: what the shim decided, on stderr
";

/// Runs the tool with `words`, its own name first, and returns the exit status: 0, or 2 for words that it does not know.
#[must_use]
pub fn run(words: &[&CStr]) -> i32 {
    let words: Vec<&[u8]> = words.iter().skip(1).map(|word| word.to_bytes()).collect();
    let text = match words.as_slice() {
        [b"--help" | b"-h" | b"help"] => HELP,
        [b"--version" | b"-V" | b"version"] => {
            concat!("git-clone-shim ", env!("CARGO_PKG_VERSION"), "\n")
        }
        [] => {
            failure::say("nothing to do; see git-clone-shim --help");
            return USAGE;
        }
        [word, ..] => {
            failure::say(&format!(
                "unknown word {}; see git-clone-shim --help",
                word.escape_ascii()
            ));
            return USAGE;
        }
    };
    match stdout().write_all(text.as_bytes()) {
        Ok(()) => 0,
        Err(_) => failure::OWN,
    }
}
