//! For every call that is not a clone which may hard-link, the shim execs git: the same bytes, status and process.

use std::os::unix::process::CommandExt;
use std::path::Path;

use crate::support::arena::{Arena, for_each_git};
use crate::support::call::Call;
use crate::support::executable;
use crate::support::gits::gits;
use crate::support::source;

/// Args of git, between bars.
const CALLS: &str = "|--version|-v|version --build-options|-h|--help|help -g|--nonsense|nonsense|-c|-C|-C absent status|\
    --exec-path|--html-path|--exec-path=/nowhere --exec-path|--list-cmds=main,others,nohelpers|clone -h|\
    clone --nonsense $SRC dst|clone|init new|init --bare|ls-remote $SRC|clone --no-local $SRC dst|\
    -C $SRC log --stat --format=fuller|-C $SRC status --porcelain --branch|-C $SRC rev-parse absent|\
    -C $SRC diff HEAD~2 HEAD|-C $SRC grep -n one|-C $SRC cat-file -p HEAD|\
    -C $SRC merge-base --is-ancestor HEAD HEAD~1|-C $SRC -c alias.x='log -1 --oneline' x HEAD|\
    -C $SRC -c alias.x='!echo \"$@\" && pwd && exit 7' x HEAD|-C $SRC -c alias.x='!git log -1 --oneline' x HEAD";

/// Scripts that call git.
const SCRIPTS: [&str; 6] = [
    // `git foo` runs git-foo, which calls git again and finds the shim on PATH.
    "printf '#!/bin/sh\\ngit --version; echo \"$@\"; exit 9\\n' >git-foo; chmod +x git-foo; PATH=$PATH:$PWD; git foo bar --local",
    // Each git waits for the next, and each is started through the shim.
    "export GIT=$(command -v git)
     printf '#!/bin/sh\nif [ $1 = 0 ]; then exec $GIT --version; fi\n$GIT -c alias.n=\"!$0 $(($1 - 1))\" n\n' >nest
     chmod +x nest; exec $PWD/nest 60",
    "head -c 1000000 /dev/zero | git hash-object --stdin",
    "git init -q; echo file >file; git add file
     GIT_EDITOR='f() { echo from the editor >\"$1\"; }; f' git commit; git log --format=%s",
    // Args of any bytes.
    "for odd in $'\\xff\\xfe' $'a\\nb' '' ' ' $'caf\\xe9' $'-\\xff' $'\\xf0\\x9f\\x90\\x99'; do
         for call in 'check-ref-format --branch' 'hash-object --' 'rev-parse --' --git-dir; do
             git $call \"$odd\"; echo $?
         done
     done",
    "exec git -C $SRC log -1 --format=%H",
];

#[test]
fn output_status_and_files_are_gits() {
    for_each_git(|_, arena| {
        source::small(&arena, "src");
        let calls = CALLS.split('|').map(|args| format!("git {args}"));
        for script in calls.chain(SCRIPTS.map(str::to_owned)) {
            arena.assert_script_twins(&script);
        }
    });
}

#[test]
fn name_decides_what_the_program_is() {
    let arena = Arena::new(&gits()[0]);
    let run = |name: &str, arg: &str| {
        let mut command = arena.command(arena.shim_directory().join("git"));
        command.arg0(name).arg(arg).env("GIT_CLONE_SHIM_GIT", "/bin/cat");
        Call::new(command).run()
    };
    // A name is passed on; a path becomes the real git's.
    let line = "/proc/self/cmdline";
    assert_eq!(run("git", line).stdout, b"git\0/proc/self/cmdline\0");
    assert_eq!(run("anything", line).stdout, b"anything\0/proc/self/cmdline\0");
    assert_eq!(run("/x/git", line).stdout, b"/bin/cat\0/proc/self/cmdline\0");
    let version = format!("git-clone-shim {}\n", env!("CARGO_PKG_VERSION"));
    assert_eq!(run("/x/git-clone-shim", "--version").stdout, version.as_bytes());
    assert!(run("git-clone-shim", "clone").is_our_failure(2));
    // git finds git-clone-shim on PATH.
    std::os::unix::fs::symlink(executable::shim(), arena.shim_directory().join("git-clone-shim")).unwrap();
    let through = arena.script(true, "git clone-shim --version").run();
    assert_eq!(through.stdout, version.as_bytes());
}

#[test]
fn longest_args_and_environment_reach_git() {
    // With a stack limit of 512 KiB execve(2) takes 128 KiB of args and environment, and the marker must fit as well.
    let arena = Arena::new(&gits()[0]);
    let runs = |directory: &Path, size: usize| {
        let mut shell = arena.command("bash");
        let script = "ulimit -s 512 && exec \"$0\" rev-parse --sq-quote \"$1\" \"$2\"";
        shell.args(["-c", script]).arg(directory.join("git"));
        shell.args(["x".repeat(size / 2), "y".repeat(size - size / 2)]);
        let outcome = arena.run(Call::new(shell)).outcome;
        outcome.status.success() && outcome.stdout.len() > size
    };
    let sizes: Vec<usize> = (0..1 << 17).collect();
    let fits = sizes.partition_point(|&size| runs(&arena.real_directory(), size)) - 1;
    // The two directories have names of the same length, so what fits for git fits for the shim.
    for less in [0, 10, 50, 100, 200] {
        assert!(runs(&arena.shim_directory(), fits - less), "{less} less than {fits}");
    }
    assert!(!runs(&arena.shim_directory(), fits + 1));
}
