//! Where hard links work, a clone through the shim is the same as with git, and every object is hard-linked.

use std::path::Path;

use crate::support::arena::for_each_git;
use crate::support::args::{args, with_source};
use crate::support::hook::{self, TEMPLATE};
use crate::support::source;
use crate::support::tree;

#[test]
fn every_object_is_hard_linked() {
    let lines = [
        "clone --local SRC dst",
        "clone SRC dst",
        "clone -l --bare SRC dst",
        "clone -l --mirror SRC dst",
        "clone -l --separate-git-dir sep SRC dst",
        "clone -ql SRC dst",
        "clone -l SRC",
    ];
    for_each_git(|_, arena| {
        let many = source::with_loose_objects(&arena, "many", 3000);
        for (source, lines) in [
            (source::small(&arena, "src"), &lines[..]),
            (source::packed(&arena, "packed"), &lines[..]),
            (many, &lines[..2]),
        ] {
            for line in lines {
                arena.assert_twins(&with_source(&source, args(line)));
                let links = tree::object_links(arena.work_dir());
                assert!(
                    !links.is_empty() && links.iter().all(|&links| links == 2),
                    "{line}: {links:?}"
                );
            }
        }
    });
}

#[test]
fn clone_that_does_not_link_is_gits() {
    for_each_git(|_, arena| {
        let source = source::small(&arena, "src");
        let url = format!("file://{}", source.display());
        for line in [
            "clone --local --no-hardlinks SRC dst",
            "clone -l -s SRC dst",
            "clone --no-local SRC dst",
            "clone -l --no-local SRC dst",
        ] {
            arena.assert_twins(&with_source(&source, args(line)));
        }
        let ignored = arena
            .assert_twins(&with_source(url, args("clone --local SRC dst")))
            .outcome;
        assert!(
            ignored.stderr_contains("warning: --local is ignored"),
            "{ignored:?}"
        );
    });
}

#[test]
fn output_and_status_of_a_hook_are_kept() {
    for_each_git(|_, arena| {
        let source = source::small(&arena, "src");
        let prepare = |work_dir: &Path| {
            hook::post_checkout(
                work_dir,
                "echo out; echo err >&2; printf 'no newline' >&2; exit 3",
            );
        };
        let twin = arena.assert_twins_in(
            &prepare,
            &with_source(&source, args(&format!("clone -l {TEMPLATE} SRC dst"))),
        );
        assert_ne!(
            twin.outcome.status.code(),
            Some(0),
            "the hook's status is git's"
        );
        assert!(
            twin.outcome.stderr_contains("err\nno newline"),
            "{:?}",
            twin.outcome
        );
    });
}
