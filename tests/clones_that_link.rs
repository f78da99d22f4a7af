//! Where hard links work, a clone through the shim is git's own, and every object is still hard-linked.

use std::path::Path;

use crate::support::arena::for_each_git;
use crate::support::args::{args, with_source};
use crate::support::hook::{self, TEMPLATE};
use crate::support::source;
use crate::support::tree;

#[test]
fn every_object_is_hard_linked() {
    for_each_git(|_, arena| {
        for source in [
            source::small(&arena, "src"),
            source::with_loose_objects(&arena, "many", 3000),
            source::packed(&arena, "packed"),
        ] {
            for line in [
                "clone --local SRC dst",
                "clone -l --bare SRC dst",
                "clone -l --mirror SRC dst",
                "clone -l --separate-git-dir sep SRC dst",
                "clone -ql SRC dst",
                "clone -l SRC",
                "clone SRC dst",
            ] {
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
fn clones_that_do_not_link_are_gits_own() {
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
fn hooks_and_what_they_say() {
    for_each_git(|_, arena| {
        let source = source::small(&arena, "src");
        let says = |place: &Path| {
            hook::post_checkout(
                place,
                "echo out; echo err >&2; printf 'no newline' >&2; exit 3",
            );
        };
        let twin = arena.assert_twins_in(
            &says,
            &with_source(&source, args(&format!("clone -l {TEMPLATE} SRC dst"))),
        );
        assert_ne!(
            twin.outcome.status.code(),
            Some(0),
            "the hook's status counts"
        );
        assert!(
            twin.outcome.stderr_contains("err\nno newline"),
            "{:?}",
            twin.outcome
        );
    });
}
