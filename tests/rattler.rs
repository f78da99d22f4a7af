//! A caller that is broken today: `rattler_git`, with which rattler-build and pixi check git repositories out, has no fallback of
//! its own. `tests/rattler` is a program of ten lines on that crate; `.ci/full` builds it.

use std::ffi::OsString;
use std::fs;

use crate::support::arena::for_each_git;
use crate::support::arrangement;
use crate::support::call::Call;
use crate::support::refusing_fs::{LinkRule, arena_on, mount};
use crate::support::tree;

#[test]
fn rattler_works_on_beegfs() {
    let Some(program) = std::env::var_os("GIT_CLONE_SHIM_TEST_RATTLER") else {
        return arrangement::missing("program that GIT_CLONE_SHIM_TEST_RATTLER names");
    };
    let Some((_directory, filesystem)) = mount(LinkRule::SameDirectoryOnly) else {
        return;
    };
    for_each_git(|_, arena| {
        let (arena, source) = arena_on(&filesystem, arena);
        let fetch = |path: OsString| {
            let mut command = arena.command(&program);
            command.arg(format!("file://{}", source.display()));
            command.arg(arena.work_dir()).env("PATH", path);
            arena.run(Call::new(command)).outcome
        };
        let refused = fetch(arena.path_of(false));
        assert!(
            !refused.status.success()
                && refused.stderr_contains("failed to create link")
                && refused.stderr_contains("Operation not permitted"),
            "{refused:?}"
        );
        let cured = fetch(arena.path_of(true)).succeeded();
        let checkout = String::from_utf8(cured.stdout).unwrap();
        let file = std::path::Path::new(checkout.trim_end()).join("three");
        assert_eq!(fs::read(file).unwrap(), b"three\n");
        let links = tree::object_links(arena.work_dir());
        assert!(links.iter().all(|&links| links == 1), "{links:?}");
    });
}
