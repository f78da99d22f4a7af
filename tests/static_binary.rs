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
use crate::support::call::{Call, Outcome};
use crate::support::executable;
use crate::support::gits::gits;
use crate::support::source;

/// The processors that are built for, with their `e_machine` of elf(5).
const PROCESSORS: [(&str, u16); 2] = [("x86_64", 62), ("aarch64", 183)];

/// What `--version` prints.
const VERSION: &str = concat!("git-clone-shim ", env!("CARGO_PKG_VERSION"), "\n");

/// The static build for a processor; reports it if none is named.
#[track_caller]
fn static_build(processor: &str) -> Option<PathBuf> {
    let known = PROCESSORS.iter().find(|(name, _)| *name == processor);
    let machine = known.map(|(_, machine)| machine.to_le_bytes());
    let named = env::var_os("GIT_CLONE_SHIM_TEST_STATIC").unwrap_or_default();
    let build = env::split_paths(&named)
        .filter(|file| !file.as_os_str().is_empty())
        .find(|file| fs::read(file).unwrap().get(18..20) == machine.as_ref().map(|m| &m[..]));
    if build.is_none() {
        arrangement::missing(&format!("static build for {processor}"));
    }
    build
}

/// Every static build; reports those that are not named.
#[track_caller]
fn static_builds() -> Vec<PathBuf> {
    let builds = PROCESSORS.map(|(processor, _)| static_build(processor));
    builds.into_iter().flatten().collect()
}

/// What readelf prints about a program.
fn readelf(program: &Path) -> String {
    let mut readelf = Command::new("readelf");
    let output = readelf.args(["--all", "--wide"]).arg(program).output();
    let output = output.unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// How large musl's own space for thread-local variables is: `builtin_tls` in `src/env/__init_tls.c` has 16 pointers, of which
/// the alignment and what comes first take two.
const MUSL_BUILTIN_TLS: u64 = 112;

#[test]
fn thread_local_variables_fit_where_musl_maps_no_memory() {
    if arrangement::program("readelf").is_none() {
        return;
    }
    let segment = Regex::new(r"(?m)^  TLS +(?:0x\w+ ){4}0x(\w+) R +0x(\w+)$").unwrap();
    for build in static_builds() {
        let headers = readelf(&build);
        let found = segment.captures(headers.as_bytes()).unwrap();
        let [size, alignment] = [1, 2].map(|group| {
            let hexadecimal = str::from_utf8(&found[group]).unwrap();
            u64::from_str_radix(hexadecimal, 16).unwrap()
        });
        assert!(
            size <= MUSL_BUILTIN_TLS && alignment <= 8,
            "{size} {alignment}"
        );
    }
}

#[test]
fn static_build_needs_no_interpreter_library_or_symbol() {
    if arrangement::program("readelf").is_none() {
        return;
    }
    let needs = ["INTERP", "(NEEDED)", "GLIBC_"];
    if cfg!(target_env = "gnu") {
        let dynamic = readelf(executable::shim());
        assert!(needs.iter().all(|need| dynamic.contains(need)), "{dynamic}");
    }
    for build in static_builds() {
        let static_build = readelf(&build);
        assert!(
            !needs.iter().any(|need| static_build.contains(need)),
            "{static_build}"
        );
    }
}

#[test]
fn static_build_contains_no_path_of_the_build_machine() {
    let source = regex::escape(env!("CARGO_MANIFEST_DIR"));
    // Where cargo keeps the sources of crates, and rustup those of the standard library.
    let path = Regex::new(&format!("{source}|/registry/src/|/rustlib/src/")).unwrap();
    assert!(path.is_match(&fs::read(executable::shim()).unwrap()));
    for build in static_builds() {
        let found = path
            .find(&fs::read(&build).unwrap())
            .map(|found| found.as_bytes().to_owned());
        assert_eq!(found, None, "{}", build.display());
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
    let run = |program: &Path, name: &str| -> Outcome {
        executable::copy(program, &bare.join(name));
        let mut unshare = arena.command("unshare");
        unshare.args(["--map-root-user", "--root"]).arg(&bare);
        unshare.args([&format!("/{name}"), "--version"]);
        Call::new(unshare).run()
    };
    // A dynamic build of the same program finds no interpreter there.
    if !run(executable::shim(), "dynamic")
        .stderr_contains("failed to execute /dynamic: No such file")
    {
        return arrangement::missing("user namespaces, or no glibc");
    }
    let version = run(&build, "git-clone-shim").succeeded();
    assert_eq!(version.stdout, VERSION.as_bytes());
    let no_git = run(&build, "git");
    assert!(no_git.is_our_failure(127), "{no_git:?}");
}

#[test]
fn static_build_for_another_processor_runs() {
    let Some(build) = static_build("aarch64") else {
        return;
    };
    let Some(emulator) = arrangement::program("qemu-aarch64") else {
        return;
    };
    for_each_git(|git, arena| {
        let arena = arena.with_links_failing(nix::libc::EPERM);
        let emulated = format!("exec {} -0 \"$0\" {}", emulator.display(), build.display());
        let tool = executable::script(
            &arena.root().join("git-clone-shim"),
            &format!("#!/bin/sh\n{emulated} \"$@\"\n"),
        );
        let mut version = arena.command(tool);
        version.arg("--version");
        let version = Call::new(version).run().succeeded();
        assert_eq!(version.stdout, VERSION.as_bytes());

        let shim = arena.shim_directory().join("git");
        fs::remove_file(&shim).unwrap();
        // The script is not the shim's own file: on PATH the emulated shim would take it for a git.
        let real = git.file.display();
        executable::script(
            &shim,
            &format!("#!/bin/sh\nexport GIT_CLONE_SHIM_GIT={real}\n{emulated} \"$@\"\n"),
        );
        arena.assert_twins(&args("--version"));
        let source = source::small(&arena, "src");
        arena.assert_cured(&with_source(&source, args("clone --local SRC dst")));
    });
}
