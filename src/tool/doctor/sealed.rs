//! Programs that are run without what the user has set for git, so that they write nothing elsewhere.

use std::env;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::process::{Command, Stdio};

/// What git's environment variables may say all the same: where a git that is not installed in its usual place finds its
/// parts, and which git a shim execs, and how.
const KEPT: [&str; 4] = [
    "GIT_EXEC_PATH",
    "GIT_TEXTDOMAINDIR",
    "GIT_CLONE_SHIM",
    "GIT_CLONE_SHIM_GIT",
];

/// A command that runs `program` without any other of git's variables (repository, configuration, templates, traces) or of
/// the shim's (logs).
pub(super) fn command(program: &Path) -> Command {
    let mut command = Command::new(program);
    for (name, _) in env::vars_os() {
        if name.as_bytes().starts_with(b"GIT_") && !KEPT.iter().any(|kept| name == *kept) {
            command.env_remove(name);
        }
    }
    command.stdin(Stdio::null());
    command
}
