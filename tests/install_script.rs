//! install.sh, which finds or builds the program and has it install itself. (What a build costs is left to .ci/run; what the
//! program then does is in `install`.)

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use regex::Regex;

use crate::support::arena::Arena;
use crate::support::call::{Call, Outcome};
use crate::support::installer::{Shell, Site, VERSION, shells};

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/install.sh");

/// install.sh, to be run in `shell` with these arguments.
fn script(site: &Site, shell: Shell, args: &[&str]) -> Command {
    let mut command = site.arena.command(shell[0]);
    command.args(&shell[1..]).arg(SCRIPT).args(args);
    command
}

/// Asserts that install.sh failed and printed why in one line.
#[track_caller]
fn assert_refused(outcome: &Outcome) {
    let line = outcome.stderr.strip_suffix(b"\n").unwrap_or_default();
    let one = line.starts_with(b"install.sh: ") && !line.contains(&b'\n');
    assert!(one && outcome.status.code() == Some(1), "{outcome:?}");
}

/// The long options in a text.
fn options(text: &[u8]) -> BTreeSet<String> {
    let text = String::from_utf8_lossy(text);
    let option = Regex::new(r"(?m)^ +(?:-\w, )?(--[a-z-]+)").unwrap();
    let found = option.captures_iter(&text);
    found.map(|found| found[1].to_owned()).collect()
}

#[test]
fn help_of_install_sh_lists_every_option_of_the_program() {
    let site = Site::new();
    let mut help = site.arena.command(site.program(VERSION));
    help.args(["install", "--help"]);
    let mut expected = options(&Call::new(help).run().succeeded().stdout);
    expected.insert("--binary".to_owned());
    assert!(expected.len() > 5, "{expected:?}");
    for shell in shells() {
        let help = Call::new(script(&site, shell, &["--help"]))
            .run()
            .succeeded();
        assert_eq!(options(&help.stdout), expected);
    }
}

#[test]
fn install_sh_passes_all_options_to_the_program() {
    for shell in shells() {
        let site = Site::new();
        let program = site.program(VERSION);
        let program = program.to_str().unwrap();
        for binary in [
            vec!["--binary", program],
            vec![&*format!("--binary={program}")],
        ] {
            let odd = site.arena.root().join("a b/it's $HOME");
            let mut args = vec!["--prefix", odd.to_str().unwrap(), "--destdir=/"];
            args.extend(binary);
            args.push("--no-default");
            Call::new(script(&site, shell, &args)).run().succeeded();
            let live = odd.join("git-clone-shim").join(VERSION);
            site.assert_works(&live.join("bin"), VERSION);
            assert!(!odd.join("git-clone-shim/current").exists());
        }
    }
}

#[test]
fn relative_path_of_the_program_is_relative_to_the_caller() {
    let site = Site::new();
    let program = site.arena.work_dir().join("git-clone-shim");
    fs::copy(site.program(VERSION), &program).unwrap();
    for shell in shells() {
        for named in ["git-clone-shim", "./git-clone-shim"] {
            let args = ["--binary", named, "--prefix", "below", "--dry-run"];
            let outcome = Call::new(script(&site, shell, &args)).run().succeeded();
            let below = site.arena.work_dir().join("below");
            let expected = format!("Would write {}", below.display());
            assert!(
                outcome.stdout.starts_with(expected.as_bytes()),
                "{outcome:?}"
            );
        }
    }
}

#[test]
fn another_program_is_refused() {
    let site = Site::new();
    for shell in shells() {
        for program in [
            "/bin/true",
            "/bin/echo",
            "/etc/passwd",
            "/nowhere/git-clone-shim",
        ] {
            let args = [
                "--binary",
                program,
                "--prefix",
                site.prefix.to_str().unwrap(),
            ];
            assert_refused(&Call::new(script(&site, shell, &args)).run());
        }
    }
    assert!(!site.prefix.exists());
}

#[test]
fn options_of_version_0_1_name_what_does_their_work_now() {
    let site = Site::new();
    for shell in shells() {
        for args in [
            &["--list"][..],
            &["--activate", "1"],
            &["--activate=1"],
            &["--uninstall"],
        ] {
            let outcome = Call::new(script(&site, shell, args)).run();
            assert_refused(&outcome);
            assert!(outcome.stderr_contains("git-clone-shim versions, activate or uninstall"));
        }
    }
}

#[test]
fn install_sh_without_cargo_prints_what_to_do() {
    let site = Site::new();
    // All tools of the system but cargo, which may be among them.
    let tools = site.arena.root().join("tools");
    fs::create_dir(&tools).unwrap();
    for tool in ["dirname", "sed", "ls", "printf"] {
        symlink(which::which(tool).unwrap(), tools.join(tool)).unwrap();
    }
    for shell in shells() {
        let mut command = site.arena.command(which::which(shell[0]).unwrap());
        command.args(&shell[1..]).arg(SCRIPT).env("PATH", &tools);
        let outcome = Call::new(command).run();
        assert_refused(&outcome);
        assert!(outcome.stderr_contains("from a release"), "{outcome:?}");
    }
}

#[test]
fn install_sh_without_its_source_installs_nothing() {
    let site = Site::new();
    let link = site.arena.root().join("install.sh");
    symlink(Path::new(SCRIPT), &link).unwrap();
    let path = Arena::path(&[PathBuf::from("/nowhere")]);
    for shell in shells() {
        let mut linked = site.arena.command(shell[0]);
        linked.args(&shell[1..]).arg(&link).env("PATH", &path);
        assert_refused(&Call::new(linked).run());
        let mut piped = site.arena.command(shell[0]);
        piped.args(&shell[1..]).arg("-s").env("PATH", &path);
        let text = fs::read(&link).unwrap();
        assert_refused(&Call::new(piped).stdin(text).run());
    }
}
