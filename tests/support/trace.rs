//! git's trace2 (since 2.23): the args of every git, and whether it was reached through the shim.

use std::path::Path;

use super::call::Call;

/// The shim's marker, in the environment of every git that it has exec'd.
const MARKER: &str = "_GIT_CLONE_SHIM_SEEN";

/// Has every git that `call` starts append to `file`.
pub fn into(file: &Path, call: Call) -> Call {
    call.env("GIT_TRACE2", file)
        .env("GIT_TRACE2_ENV_VARS", MARKER)
}

/// Whether the gits of this trace were reached through the shim.
pub fn shows_the_shim(trace: &str) -> bool {
    let marker = format!(" {MARKER}=");
    let mut lines = trace.lines();
    lines.any(|line| line.contains(" def_param ") && line.contains(&marker))
}
