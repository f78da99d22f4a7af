//! A static release build runs on every machine with its kind of processor, whatever is installed there.
//!
//! `GIT_CLONE_SHIM_TEST_STATIC` names such builds, separated by colons: the files that `packaging/build` prints.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use regex::bytes::Regex;

use crate::support::arena::{Arena, for_each_git};
use crate::support::args::{args, with_source};
use crate::support::arrangement;
use crate::support::call::Call;
use crate::support::executable;
use crate::support::gits::gits;
use crate::support::source;

/// What `--version` prints.
const VERSION: &str = concat!("git-clone-shim ", env!("CARGO_PKG_VERSION"), "\n");

/// The static build for a processor; reports it if none is named.
#[track_caller]
fn static_build(processor: &str) -> Option<PathBuf> {
    let build = executable::static_build(processor);
    if build.is_none() {
        arrangement::missing(&format!("static build for {processor}"));
    }
    build
}

#[test]
fn static_build_needs_nothing_and_names_no_path_of_the_build_machine() {
    if arrangement::program("readelf").is_none() {
        return;
    }
    let needs = Regex::new(r"INTERP|\(NEEDED\)|GLIBC_").unwrap();
    // Where cargo keeps the sources of crates, and rustup those of the standard library.
    let source = regex::escape(env!("CARGO_MANIFEST_DIR"));
    let paths = Regex::new(&format!("{source}|/registry/src/|/rustlib/src/")).unwrap();
    let finds = |program: &Path| {
        let mut readelf = Command::new("readelf");
        let headers = readelf.args(["--all", "--wide"]).arg(program).output().unwrap().stdout;
        assert!(!headers.is_empty());
        [needs.is_match(&headers), paths.is_match(&fs::read(program).unwrap())]
    };
    assert_eq!(finds(executable::shim()), [cfg!(target_env = "gnu"), true]);
    for build in ["x86_64", "aarch64"].into_iter().filter_map(static_build) {
        assert_eq!(finds(&build), [false; 2], "{}", build.display());
    }
}

#[test]
fn static_build_runs_in_an_empty_root() {
    let Some(build) = static_build(env::consts::ARCH) else {
        return;
    };
    let arena = Arena::new(&gits()[0]);
    let bare = arena.root().join("bare");
    fs::create_dir(&bare).unwrap();
    let run = |program: &Path, name: &str| {
        executable::copy(program, &bare.join(name));
        let mut unshare = arena.command("unshare");
        unshare.args(["--map-root-user", "--root"]).arg(&bare);
        unshare.args([&format!("/{name}"), "--version"]);
        Call::new(unshare).run()
    };
    // A dynamic build of the same program finds no interpreter there.
    if !run(executable::shim(), "dynamic").stderr_contains("execute /dynamic: No such file") {
        return arrangement::missing("user namespaces, or no glibc");
    }
    assert_eq!(run(&build, "git-clone-shim").stdout, VERSION.as_bytes());
    let no_git = run(&build, "git");
    assert!(no_git.is_our_failure(127), "{no_git:?}");
}

#[test]
fn static_build_for_another_processor_runs() {
    let (Some(build), Some(emulator)) = (static_build("aarch64"), arrangement::program("qemu-aarch64")) else {
        return;
    };
    for_each_git(|git, arena| {
        let arena = arena.with_links_failing(nix::libc::EPERM);
        // The script is not the shim's own file: on PATH the emulated shim would take it for a git.
        let script = format!(
            "#!/bin/sh\nexport GIT_CLONE_SHIM_GIT={}\nexec {} -0 \"$0\" {} \"$@\"\n",
            git.file.display(),
            emulator.display(),
            build.display()
        );
        fs::remove_file(arena.shim_directory().join("git")).unwrap();
        for name in ["git", "git-clone-shim"] {
            executable::script(&arena.shim_directory().join(name), &script);
        }
        let version = arena.script(true, "git-clone-shim --version").run();
        assert_eq!(version.stdout, VERSION.as_bytes());
        arena.assert_twins(&args("--version"));
        let source = source::small(&arena, "src");
        arena.assert_cured(&with_source(&source, args("clone --local SRC dst")));
    });
}
