//! What doctor prints: a table for people, and JSON for programs.

use std::ffi::OsString;
use std::fs;
use std::os::unix::ffi::OsStringExt;

use nix::libc;
use serde_json::Value;

use crate::support::arena::Arena;
use crate::support::call::Call;
use crate::support::doctor::{directories, doctor, examine, report};
use crate::support::gits::gits;
use crate::support::refusing_fs::{LinkRule, mount};
use crate::support::terminal;

#[test]
fn table_gives_the_answer_first_and_a_mark_for_each_line() {
    let Some((_directory, filesystem)) = mount(LinkRule::SameDirectoryOnly { errno: libc::EPERM })
    else {
        return;
    };
    let arena = Arena::new(&gits()[0]).in_directory(filesystem.path());
    let on_a_terminal = |variables: &[(&str, &str)]| {
        let mut call = doctor(&arena, "", &[arena.work_dir()]);
        call.command.envs(variables.iter().copied());
        let seen = terminal::run(call.command, 80, &[]);
        assert!(seen.status.success(), "{seen:?}");
        String::from_utf8(seen.bytes).unwrap().replace('\r', "")
    };
    let coloured = on_a_terminal(&[("TERM", "xterm")]);
    assert!(coloured.contains("\u{1b}[32m✓\u{1b}[0m"), "{coloured}");
    assert!(coloured.contains("\u{1b}[31m✗\u{1b}[0m"), "{coloured}");
    let without_colour = on_a_terminal(&[("TERM", "xterm"), ("NO_COLOR", "1")]);
    let piped = doctor(&arena, "", &[arena.work_dir()]).run().succeeded();
    let piped = String::from_utf8(piped.stdout).unwrap();
    let shown = |table: &str| {
        // The names of directories differ; and on a terminal, it tells what takes long.
        let differs =
            |line: &&str| line.contains("failed: fatal:") || line.starts_with("git-clone-shim: ");
        let lines = table.lines().filter(|line| !differs(line));
        lines.map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(shown(&without_colour), shown(&piped));
    let answer = format!(
        "Do local clones work?\n  ✓ {}  Works: git alone fails here",
        arena.work_dir().display()
    );
    assert!(piped.starts_with(&answer), "{piped}");
    for part in [
        "/git  this shim\n",
        "  ✓ hard link inside a directory ",
        "  ✗ hard link across directories ",
        "  failed: Operation not permitted\n",
        "  ✓ git clone --local, by the shim ",
    ] {
        assert!(piped.contains(part), "{part}: {piped}");
    }
    assert!(!piped.contains("Next step:"), "{piped}");
}

#[test]
fn table_ends_with_one_next_step_that_a_shell_takes() {
    let arena = Arena::new(&gits()[0]);
    // Its name has to be quoted.
    let absent = arena.work_dir().join("not there");
    let another = arena.work_dir().join("nor there");
    let outcome = doctor(&arena, "", &[&absent, &another]).run();
    assert_eq!(outcome.status.code(), Some(1), "{outcome:?}");
    let table = String::from_utf8(outcome.stdout).unwrap();
    let (_, step) = table.split_once("\nNext step: ").unwrap();
    let [advice, command] = step.lines().collect::<Vec<_>>()[..] else {
        panic!("{table}")
    };
    assert_eq!(advice, "Make it, or name another one.");
    let mut shell = arena.command("bash");
    shell.args(["-c", command]);
    Call::new(shell).run().succeeded();
    assert!(absent.is_dir() && !another.exists(), "{table}");
}

#[test]
fn table_hides_control_characters_of_a_directory_name() {
    let arena = Arena::new(&gits()[0]);
    let name = OsString::from_vec(b"\xff\x1b[31m\n".to_vec());
    let directory = arena.work_dir().join(name);
    fs::create_dir(&directory).unwrap();
    let examined = examine(&arena, &directory);
    assert_eq!(examined["answer"], "not_needed");
    assert!(
        examined["path"]
            .as_str()
            .unwrap()
            .ends_with("/\u{fffd}\u{1b}[31m\n")
    );
    let table = doctor(&arena, "", &[&directory]).run().succeeded();
    assert!(!table.stdout.contains(&0x1b), "{table:?}");
}

#[test]
fn json_has_these_members() {
    let arena = Arena::new(&gits()[0]);
    let report = report(doctor(&arena, "--json", &[arena.work_dir()]));
    let members = |value: &Value| {
        let members = value.as_object().unwrap().keys();
        members.map(String::as_str).collect::<Vec<_>>().join(" ")
    };
    assert_eq!(report["schema"], 1);
    assert_eq!(
        members(&report),
        "build directories git git_error path path_advice path_command path_warning program reached schema settings unfinished \
         version works"
    );
    assert_eq!(
        members(&report["path"][0]),
        "file message module version what"
    );
    assert_eq!(members(&report["git"]), "file message version what");
    assert_eq!(members(&report["settings"][0]), "module name origin value");
    assert_eq!(
        members(&directories(&report)[0]),
        "advice answer clone_through_shim clone_with_git command died_of_link exchangeable_in exists filesystem left_behind \
         link_across link_inside link_is_same_file path plan_of_clone plan_of_local_clone problem repository summary to_other_mount unfinished whose"
    );
    assert_eq!(
        members(&directories(&report)[0]["filesystem"]),
        "mount_point source type"
    );
    assert_eq!(
        members(&directories(&report)[0]["clone_with_git"]),
        "message ok"
    );
}

#[test]
fn unknown_args_are_a_usage_error() {
    let arena = Arena::new(&gits()[0]);
    for options in ["--timeout 0", "--timeout x", "--nonsense"] {
        let refused = doctor(&arena, options, &[]).run();
        assert!(refused.is_our_failure(2), "{refused:?}");
    }
}
