//! The shim reads every option as git does, whole or abbreviated: what takes a value, and what does not. For generated lines see
//! `generated.rs`.
//!
//! With `always` the shim adds `--no-hardlinks` to a clone that can link, and echo(1) in git's place shows whether it does. A
//! following `--no-local` is another option, or a value that only looks like one.

use std::collections::BTreeMap;

use crate::support::arena::{Arena, for_each_git};
use crate::support::args::args;
use crate::support::source;

/// Every option of git before the command.
const GLOBALS: &str = "-C -c --git-dir --work-tree --namespace --super-prefix --config-env --attr-source --shallow-file \
    --exec-path --exec-path=x --git-dir=x --namespace=x --work-tree=x --attr-source=x -p --paginate -P --no-pager \
    --no-replace-objects --bare --literal-pathspecs --no-literal-pathspecs --glob-pathspecs --noglob-pathspecs --icase-pathspecs \
    --no-optional-locks --no-lazy-fetch --no-advice --version --html-path --man-path --info-path --list-cmds=main -v -h";

/// Whether the shim takes `line` for a clone that can link.
fn is_copied(arena: &Arena, line: &str) -> bool {
    let call = arena.shim(args(line)).env("GIT_CLONE_SHIM", "always");
    let echo = call.env("GIT_CLONE_SHIM_GIT", "/bin/echo").run().succeeded();
    let shown = String::from_utf8(echo.stdout).unwrap();
    let copied = shown.strip_suffix(" --no-hardlinks\n");
    assert_eq!(copied.unwrap_or(shown.trim_end()), line);
    copied.is_some()
}

#[test]
fn every_option_that_git_lists_is_read_with_its_value() {
    for_each_git(|_, arena| {
        // What shells complete. An option that ends with `=` takes a value, in the same arg or in the next one.
        let listed = arena.real(args("clone --git-completion-helper-all")).run().succeeded();
        let listed = String::from_utf8(listed.stdout).unwrap();
        let options = listed.split_whitespace().filter_map(|option| option.strip_prefix("--"));
        let options = options.filter(|option| !option.is_empty());
        let options: BTreeMap<&str, bool> =
            options.map(|option| (option.trim_end_matches('='), option.ends_with('='))).collect();
        assert_eq!(options.get("template"), Some(&true), "{listed}");
        let (mut compared, mut with_value) = (0, 0);
        for prefix in options.keys().flat_map(|name| (1..=name.len()).map(|length| &name[..length])) {
            let meant = options.iter().filter(|(name, _)| name.starts_with(prefix));
            let mut meant: Vec<bool> =
                options.get(prefix).map_or_else(|| meant.map(|(_, takes)| *takes).collect(), |takes| vec![*takes]);
            meant.dedup();
            let line = format!("clone --local --{prefix} --no-local");
            // Else the abbreviation means nothing, or more than one option.
            let accepted = arena.real(args(&line)).run().stderr_contains("You must specify a repository");
            if let ([takes_value], true) = (&meant[..], accepted) {
                assert_eq!(is_copied(&arena, &format!("{line} ../src dst")), *takes_value, "{prefix}");
                if *takes_value {
                    assert!(is_copied(&arena, &format!("clone --local --{prefix}=--no-local ../src dst")), "{prefix}");
                    with_value += 1;
                }
                compared += 1;
            }
        }
        assert!(compared > 200 && with_value > 50, "{compared} {with_value}");
    });
}

#[test]
fn every_letter_is_read_with_its_value() {
    for_each_git(|_, arena| {
        for letter in ('a'..='z').chain('A'..='Z').chain('0'..='9') {
            for bundle in [format!("-{letter}"), format!("-q{letter}"), format!("-lv{letter}")] {
                let line = format!("clone --local {bundle} --no-local");
                // git reads an arg too few, if the letter takes a value.
                let alone = arena.real(args(&format!("clone --local {bundle}"))).run();
                let takes_value = alone.stderr_contains("requires a value");
                if takes_value || alone.stderr_contains("You must specify a repository") {
                    assert_eq!(is_copied(&arena, &format!("{line} ../src dst")), takes_value, "{bundle}");
                }
            }
        }
    });
}

#[test]
fn every_option_before_the_command_is_read_with_its_value() {
    for_each_git(|_, arena| {
        source::small(&arena, "src");
        for option in GLOBALS.split_whitespace() {
            let real = arena.real(args(&format!("{option} clone absent"))).run();
            // Not every git has every one.
            if real.stderr_contains("unknown option") {
                continue;
            }
            let is_clone = real.stderr_contains("repository 'absent' does not exist");
            assert_eq!(is_copied(&arena, &format!("{option} clone -l ../src dst")), is_clone, "{option}: {real:?}");
        }
    });
}
