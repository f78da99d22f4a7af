//! git's trace2 (since 2.23): the args of every git, and whether it was reached through the shim.

use std::fs;
use std::path::Path;

use super::arena::{Arena, RunResult};
use super::args::Args;
use super::call::Call;
use super::hook;

/// The shim's marker, in the environment of every git that it has exec'd.
const MARKER: &str = "_GIT_CLONE_SHIM_SEEN";

/// Has every git that `call` starts append to `file`.
pub fn into(file: &Path, call: Call) -> Call {
    call.env("GIT_TRACE2", file).env("GIT_TRACE2_ENV_VARS", MARKER)
}

/// Whether the gits of this trace were reached through the shim.
pub fn shows_the_shim(trace: &str) -> bool {
    let marker = format!(" {MARKER}=");
    let mut lines = trace.lines();
    lines.any(|line| line.contains(" def_param ") && line.contains(&marker))
}

/// Runs a clone through the shim in a working directory that `prepare` has filled; its result, and how often git ran for it.
pub fn clones(arena: &Arena, prepare: &dyn Fn(&Path), line: &Args) -> (RunResult, usize) {
    let file = arena.root().join("home/git-trace");
    let _ = fs::remove_file(&file);
    let result = arena.run_in(prepare, arena.shim(line.clone()).env("GIT_TRACE", &file));
    let trace = fs::read_to_string(file).unwrap();
    (result, trace.matches("built-in: git clone").count())
}

/// Whether the shim waits for git, rather than become git, for this clone, which must succeed.
pub fn is_attempted(arena: &Arena, line: &Args) -> bool {
    let file = arena.root().join("parent");
    let script = format!("read -r _ _ _ parent _ </proc/$PPID/stat; echo $parent >{}", file.display());
    let prepare = |work_dir: &Path| {
        let _ = fs::remove_file(&file);
        hook::post_checkout(work_dir, &script);
    };
    let call = arena.shim(line.clone()).env("GIT_TEMPLATE_DIR", arena.work_dir().join("template"));
    arena.run_in(&prepare, call).outcome.succeeded();
    fs::read_to_string(file).unwrap().trim() != std::process::id().to_string()
}
