//! The wheel: who has uv 0.5.30, and an empty home directory, installs with uv itself what lets its `uv add` work.
//!
//! `GIT_CLONE_SHIM_TEST_WHEEL` names the wheel that `packaging/wheel` has made.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};

use crate::support::arrangement;
use crate::support::call::Call;
use crate::support::gits::gits;
use crate::support::python::Environment;
use crate::support::refusing_fs::{LinkRule, mount};
use crate::support::uv::{UV, UvCase};

const INSTALL: &str = "git-clone-shim install";
static PIPX: Environment = Environment::new("pipx", &["pipx"]);

#[test]
fn uv_pip_and_pipx_install_what_uv_needs() {
    let Some(wheel) = env::var_os("GIT_CLONE_SHIM_TEST_WHEEL").map(PathBuf::from) else {
        arrangement::missing("wheel that GIT_CLONE_SHIM_TEST_WHEEL names");
        return;
    };
    let (Some(uv), Some(pipx)) = (UV.program("uv"), PIPX.program("pipx")) else {
        return;
    };
    let [uv, pipx, wheel] = [&uv, &pipx, &wheel].map(|path| path.to_str().unwrap());
    // What installs it, and what then removes all that the package manager has.
    for (install, remove) in [
        (format!("{uv} tool run --from {wheel} {INSTALL}"), format!("{uv} cache clean")),
        (format!("python3 -m venv venv; venv/bin/pip install {wheel}; venv/bin/{INSTALL}"), "rm -r venv".to_owned()),
        (format!("{pipx} install {wheel}; .local/bin/{INSTALL}"), format!("{pipx} uninstall git-clone-shim")),
    ] {
        let case = UvCase::new(&gits()[0]);
        let home = case.arena.root().join("empty");
        fs::create_dir(&home).unwrap();
        let run = |script: &str| {
            let mut shell = case.arena.command("sh");
            shell.args(["-ec", script]).current_dir(&home).env("HOME", &home);
            shell.env("UV_PYTHON_DOWNLOADS", "never").env("PIPX_DEFAULT_PYTHON", "python3");
            String::from_utf8(Call::new(shell).run().succeeded().stdout).unwrap()
        };
        let told = run(&install);
        assert!(told.contains(": git alone fails with --local, through the shim"), "{told}");
        assert_eq!(run("find . -path '*/bin/git' ! -path '*/.local/opt/*'"), "");
        run(&remove);
        let line = told.lines().rev().nth(1).unwrap();
        let path = run(&format!("{line}; printenv PATH"));
        let Some((_directory, filesystem)) = mount(LinkRule::SameDirectoryOnly) else {
            return;
        };
        let cache = |name: &str| filesystem.path().join(name);
        case.assert_cured(Path::new(uv), path.trim().as_ref(), cache, "Operation not permitted");
    }
}
