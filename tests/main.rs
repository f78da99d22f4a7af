//! Tests of git-clone-shim with real gits, real processes and real filesystems that really refuse hard links.
//!
//! Each file is named for what it tests, each test for what it asserts. A test first shows that the real git fails with the
//! same args under the same fault, and then what the shim does. What several files need is in `support`.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "a test may fail")]
#![allow(clippy::print_stderr, reason = "a test prints what it ran with")]
#![allow(unreachable_pub, reason = "support is for the test files only")]

mod callers;
mod command_line_against_git;
mod doctor;
mod documentation;
mod explain;
mod fallback;
mod filesystems;
mod finding_git;
mod generated;
mod hostile_neighbours;
mod install;
mod languages;
mod limits;
mod load;
mod man_page;
mod modules;
mod mounts;
mod no_fallback;
mod packaging;
mod pass_through;
mod rattler;
mod settings_and_log;
mod signals;
mod static_binary;
mod streams;
mod support;
mod system_calls;
mod terminal;
mod terminal_output;
mod wheel;
mod witness;
