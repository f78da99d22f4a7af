//! The case that this project began with, uv issue 11420: see `support/uv.rs`.

use std::fs;
use std::os::unix::fs::symlink;

use nix::libc;

use crate::support::arena::for_each_git;
use crate::support::fault;
use crate::support::gits::gits;
use crate::support::refusing_fs::{LinkRule, mount};
use crate::support::trace;
use crate::support::uv::{NEWEST_UV, TRACE, UV, UvCase};

#[test]
fn uv_is_cured_on_beegfs() {
    let Some(uv) = UV.program("uv") else {
        return;
    };
    for_each_git(|git, _| {
        let case = UvCase::new(git);
        let rule = LinkRule::SameDirectoryOnly { errno: libc::EPERM };
        let Some((_directory, filesystem)) = mount(rule) else {
            return;
        };
        case.assert_cured(
            &uv,
            &case.arena.path_of(true),
            |name| filesystem.path().join(name),
            "Operation not permitted",
        );
    });
}

#[test]
fn uv_is_cured_with_checkouts_on_another_mount() {
    // The same without privilege: uv's checkouts are a symbolic link to another device.
    let Some(uv) = UV.program("uv") else {
        return;
    };
    for_each_git(|git, _| {
        let case = UvCase::new(git);
        let Some(far) = fault::another_mount(case.arena.root()) else {
            return;
        };
        let cache = |name: &str| {
            let cache = case.arena.root().join(name);
            let checkouts = far.path().join(name);
            if !cache.exists() {
                fs::create_dir_all(cache.join("git-v0")).unwrap();
                fs::create_dir(&checkouts).unwrap();
                symlink(&checkouts, cache.join("git-v0/checkouts")).unwrap();
            }
            cache
        };
        case.assert_cured(
            &uv,
            &case.arena.path_of(true),
            cache,
            "Invalid cross-device link",
        );
    });
}

#[test]
fn newest_uv_does_not_need_its_own_fallback() {
    // Since 0.5.31 uv runs a clone that failed, for whatever reason, again with --no-hardlinks.
    let Some(uv) = NEWEST_UV.program("uv") else {
        return;
    };
    let case = UvCase::new(&gits()[0]);
    let rule = LinkRule::SameDirectoryOnly { errno: libc::EPERM };
    let Some((_directory, filesystem)) = mount(rule) else {
        return;
    };
    let plain = case.arena.path_of(false);
    let shim = case.arena.path_of(true);
    for (name, path, fallback) in [("without", plain, true), ("with", shim, false)] {
        let outcome = case.uv_add(&uv, &filesystem.path().join(name), path);
        let file = case.arena.root().join(TRACE);
        let trace = fs::read_to_string(&file).unwrap();
        fs::remove_file(&file).unwrap();
        assert_eq!(trace::shows_the_shim(&trace), name == "with", "{trace}");
        assert!(trace.contains("git clone --local "), "{trace}");
        // uv's own fallback drops --local, so there the option comes right after `clone`.
        assert_eq!(
            trace.contains("git clone --no-hardlinks "),
            fallback,
            "{trace}"
        );
        case.assert_installed(outcome);
    }
}
