//! Which git the shim execs, and its error when there is none.

use std::fs;
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::Path;

use nix::sys::statvfs::{FsFlags, statvfs};

use crate::support::arena::{Arena, for_each_git};
use crate::support::args::args;
use crate::support::arrangement;
use crate::support::call::{Call, Outcome};
use crate::support::executable;
use crate::support::gits::{Git, gits};

/// Makes directories with a file called git of every kind, beside `shim` and `real`. `back` and others lead back to the shim, or to
/// what comes first on PATH; `next` is the commonest wrapper, which runs the next git on PATH after a probe; execvp(3) runs `bare`
/// with /bin/sh; `foreign` is a program for a processor that does not exist.
const FURNISH: &str = r#"
cd "$HOME/.."
script() { mkdir $1; printf '%b\n' "$2" >$1/git; chmod 755 $1/git; }
script other '#!/bin/sh\necho other'
script execs '#!/bin/sh\nexec git "$@"'
script back '#!/bin/sh\nexec "${0%/*}/../shim/git" "$@"'
script forks '#!/bin/sh\necho >>$COUNT\ngit "$@"; exit $?'
script next '#!/bin/sh\necho >>$COUNT\nme=$0\nnext=$(which -a git | grep -v "$me" | head -1)\n"$next" --version >/dev/null\n"$next" "$@"; exit $?'
script stale '#!/gone/with/the/old/cluster'
script bare 'echo bare'
script trap '#!/bin/sh\necho trapped'
script plain '#!/bin/sh'
chmod 644 plain/git
mkdir -p a b c hard soft chain broken circle shim2 fifo foreign empty dir/git
for copy in a b c; do install shim/git $copy; done
ln a/git hard
ln -s ../a/git soft
ln -s ../soft/git chain
ln -s nowhere broken/git
ln -s git circle/git
ln -s ../shim/git shim2
mkfifo -m 700 fifo/git
install /bin/true foreign/git
printf '??' | dd of=foreign/git bs=1 seek=18 conv=notrunc status=none
"#;

/// A new arena with these directories.
fn furnished(git: &Git) -> Arena {
    let arena = Arena::new(git);
    arena.prepare(FURNISH)(arena.root());
    arena
}

/// A PATH of these entries and no others: those that begin with a slash are directories of the arena.
fn path(arena: &Arena, entries: &str) -> String {
    let entry = |entry: &str| match entry.strip_prefix('/') {
        Some(name) => arena.root().join(name).display().to_string(),
        None => entry.to_owned(),
    };
    entries.split(':').map(entry).collect::<Vec<_>>().join(":")
}

/// Has bash run `script` with this PATH and the system's.
fn script_on(arena: &Arena, entries: &str, script: &str) -> Call {
    arena.script(true, &format!("PATH={}:/usr/local/bin:/usr/bin:/bin; {script}", path(arena, entries)))
}

/// Calls `git --version` by this program of the arena with this PATH and named git. In the working directory are traps.
fn version(arena: &Arena, program: &str, entries: &str, named: &str) -> Outcome {
    let mut command = arena.command(arena.root().join(program).join("git"));
    command.arg("--version").env("PATH", path(arena, entries)).env("GIT_CLONE_SHIM_GIT", path(arena, named));
    let traps = arena.prepare("mkdir bin '~'; for trap in . bin '~'; do ln -s \"$HOME/../trap/git\" $trap; done");
    arena.run_in(&traps, Call::new(command)).outcome
}

/// The directories of the programs that are called, PATH, and which git answers.
const FOUND: [(&str, &str, &str); 33] = [
    ("shim", "/shim:/real", "real"),
    ("shim", "/shim:/shim:/real", "real"),
    ("shim", "/shim/:/shim:/empty:/real", "real"),
    ("shim", "/empty:/shim:/real:/empty", "real"),
    ("shim", "/shim:/bare", "bare"),
    // Where nothing comes after the shim's last entry, the git before it is used.
    ("shim", "/real:/shim", "real"),
    ("shim", "/shim:/real:/shim", "real"),
    // The shim is run by an absolute path and is not on PATH.
    ("shim", "/real", "real"),
    // A git before the shim is not used.
    ("shim", "/other:/shim:/real", "real"),
    // As of a module that is loaded twice: the git between is the next one.
    ("shim", "/shim:/other:/shim:/real", "other"),
    ("shim", "/shim:/other:/shim2:/real", "other"),
    // Relative entries are skipped.
    ("shim", ":/shim:/real", "real"),
    ("shim", "/shim::/real", "real"),
    ("shim", "/shim:.:/real", "real"),
    ("shim", ".:/shim:bin:/real", "real"),
    ("shim", "/shim:./bin:~:../work:/real", "real"),
    // So are files that no search of PATH would run,
    ("shim", "/shim:/dir:/plain:/broken:/circle:/fifo:/absent:/real", "real"),
    ("shim", "/shim:/stale:/real", "real"),
    ("shim", "/shim:/foreign:/real", "real"),
    // links to the shim, and copies, which exec each other.
    ("a", "/a:/hard:/soft:/chain:/real", "real"),
    ("hard soft", "/hard:/a:/chain:/soft:/real", "real"),
    ("chain", "/chain:/soft:/hard:/a:/real", "real"),
    ("a", "/a:/b:/real", "real"),
    ("a b c", "/a:/b:/c:/real", "real"),
    ("a b", "/a:/b:/a:/b:/real", "real"),
    ("a c", "/a:/b:/real:/a", "real"),
    ("b", "/b:/real:/a", "real"),
    ("c", "/real:/a:/b:/c", "real"),
    // Wrappers that exec the shim are skipped.
    ("shim", "/shim:/execs:/real", "real"),
    ("back", "/back:/shim:/real", "real"),
    ("shim", "/shim:/back:/real", "real"),
    ("shim", "/shim:/back:/execs:/real", "real"),
    ("shim", "/shim:/execs:/back:/real", "real"),
];

#[test]
fn next_git_on_path_is_used() {
    for_each_git(|git, _| {
        let arena = furnished(git);
        let check = |program: &str, entries: &str, named: &str, expected: &str| {
            let answer = version(&arena, program, entries, named);
            let expected = if expected == "real" { &git.version } else { expected };
            assert!(answer.stderr.is_empty(), "{program} {entries} {named}: {answer:?}");
            assert_eq!(answer.stdout, format!("{expected}\n").as_bytes(), "{program} {entries} {named}");
        };
        for (programs, entries, expected) in FOUND {
            programs.split(' ').for_each(|program| check(program, entries, "", expected));
        }
        // A named git that execs the shim is skipped, and PATH is searched.
        for (named, expected) in [("/other/git", "other"), ("/back/git", "real")] {
            check("shim", "/shim:/real", named, expected);
        }
    });
}

/// PATH, the named git (`GIT_CLONE_SHIM_GIT`), the status, and parts of the error, between bars.
const REFUSED: [(&str, &str, i32, &str); 11] = [
    (
        "/shim:/dir:/plain:/broken:/circle:/fifo:/absent:bin",
        "",
        127,
        "/shim/git (this shim itself)|/dir/git (not an executable file)|/plain/git (not an executable file)|/broken/git (not there)|\
         /fifo/git (not an executable file)|/absent/git (not there)|bin/git (skipped: not an absolute path)|GIT_CLONE_SHIM_GIT",
    ),
    ("/shim:/execs", "", 127, "GIT_CLONE_SHIM_GIT"),
    ("/shim:/stale", "", 126, "cannot run the real git|GIT_CLONE_SHIM_GIT"),
    ("/shim:/real", "/absent/git", 127, "GIT_CLONE_SHIM_GIT=|not there"),
    ("/shim:/real", "/broken/git", 127, "GIT_CLONE_SHIM_GIT=|not there"),
    ("/shim:/real", "/dir/git", 126, "GIT_CLONE_SHIM_GIT=|not an executable file"),
    ("/shim:/real", "/plain/git", 126, "GIT_CLONE_SHIM_GIT=|not an executable file"),
    ("/shim:/real", "git", 126, "GIT_CLONE_SHIM_GIT=|not an absolute path"),
    ("/shim:/real", "./git", 126, "GIT_CLONE_SHIM_GIT=|not an absolute path"),
    ("/shim:/real", "/shim/git", 126, "GIT_CLONE_SHIM_GIT=|this shim itself"),
    ("/shim:/real", "/two\nlines", 127, "GIT_CLONE_SHIM_GIT=|two\\nlines"),
];

#[test]
fn error_names_what_was_tried() {
    let arena = furnished(&gits()[0]);
    for (entries, named, status, parts) in REFUSED {
        let refused = version(&arena, "shim", entries, named);
        assert!(refused.is_our_failure(status), "{entries} {named}: {refused:?}");
        for part in parts.split('|') {
            assert!(refused.stderr_contains(part), "{part}: {refused:?}");
        }
    }
}

#[test]
fn variables_of_a_setgid_shim_are_ignored() {
    // Where the kernel says `AT_SECURE`, since the program has more rights than its caller, no variable of the shim counts.
    if !arrangement::is_root() {
        return;
    }
    let arena = furnished(&gits()[0]);
    if statvfs(arena.root()).is_ok_and(|fs| fs.flags().contains(FsFlags::ST_NOSUID)) {
        return arrangement::missing("filesystem that allows setgid programs");
    }
    let setgid = arena.root().join("b/git");
    chown(&setgid, Some(0), Some(2)).unwrap();
    fs::set_permissions(&setgid, fs::Permissions::from_mode(0o2755)).unwrap();
    let run = |program: &str| {
        let call = arena.real(args("--version")).env("PATH", path(&arena, &format!("/{program}:/real:/bin")));
        let call = call.env("GIT_CLONE_SHIM_GIT", path(&arena, "/other/git"));
        let mut call = call.env("GIT_CLONE_SHIM_LOG", "trace");
        call.command.uid(65534).gid(65534);
        call.run().succeeded()
    };
    let obeyed = run("a");
    assert!(obeyed.stdout == b"other\n" && obeyed.stderr_contains("git_clone_shim"), "{obeyed:?}");
    assert_eq!(run("b"), arena.real(args("--version")).run());
}

#[test]
fn wrapper_that_forks_the_shim_runs_git_at_once() {
    for_each_git(|git, _| {
        let [_, arena] = Arena::linking_and_refusing(git);
        arena.prepare(FURNISH)(arena.root());
        let count = arena.root().join("count");
        let clone = "git clone -q $COPY -l $SRC dst";
        for entries in [
            "/next:/shim:/real", "/shim:/next:/real", "/shim:/real:/next", "/shim:/forks:/real",
            "/shim:/forks:/next:/real",
            // This one execs the shim, and is skipped in an attempt, too, which is another process.
            "/shim:/execs:/real",
        ] {
            for mode in ["auto", "off"] {
                for (script, most) in [("git --version", 2), (clone, 4)] {
                    fs::write(&count, "").unwrap();
                    // With `off` there is no fallback: the real git's copy would be compared with nothing.
                    let copies = mode == "off" && script == clone;
                    let script = script.replace("$COPY", if copies { "--no-hardlinks" } else { "$COPY" });
                    let expected = arena.run(arena.script(false, &script));
                    expected.outcome.clone().succeeded();
                    eprintln!("{entries} {mode} {script}");
                    let call = script_on(&arena, entries, &script).env("GIT_CLONE_SHIM", mode);
                    arena.run(call.env("COUNT", &count)).assert_equals(&expected);
                    let calls = fs::read(&count).unwrap().len();
                    assert!(calls <= most, "{calls} calls of wrappers");
                }
            }
        }
    });
}

#[test]
fn wrapper_is_run_again_by_a_hook_that_sets_path_anew() {
    // As a login shell does. Where the only git is a wrapper, it has led to git, which has run the hook, or here the alias.
    let arena = furnished(&gits()[0]);
    let real = arena.real_directory().join("git");
    for run in ["exec", ""] {
        executable::script(&arena.root().join("other/git"), &format!("#!/bin/sh\n{run} {} \"$@\"\n", real.display()));
        let path = path(&arena, "/shim:/other:/bin");
        let script = format!("PATH={path}; git -c alias.m='!PATH={path} git --version' m");
        let answer = arena.run(arena.script(true, &script)).outcome;
        assert_eq!(answer.stdout, format!("{}\n", gits()[0].version).as_bytes(), "{answer:?}");
    }
}

#[test]
fn marker_of_another_process_hides_no_git() {
    // A service or a terminal multiplexer that a git alias has started keeps the marker until the kernel uses the pid again,
    // and in a container pids start again at 1. A wrapper that leads back to the shim must still be skipped.
    let arena = furnished(&gits()[0]);
    // The marker's time is in ticks of 10 ms, as in /proc/uptime: the next process comes in another one.
    let tick = "read -r was _ </proc/uptime; now=$was; while [ $now = $was ]; do read -r now _ </proc/uptime; done";
    let pid_namespace = arrangement::is_root().then_some("unshare --pid --fork bash");
    for wrap in ["bash"].into_iter().chain(pid_namespace) {
        let git = |call: &str| format!("\"$({wrap} -c 'exec git {call}')\"");
        let marker = git("-c alias.m=\"!echo \\$_GIT_CLONE_SHIM_SEEN\" m");
        let script = format!("test -n \"$_GIT_CLONE_SHIM_SEEN\" || echo no marker; {tick}; echo {}", git("--version"));
        let script = format!("export _GIT_CLONE_SHIM_SEEN={marker}; {script}");
        for (entries, expected) in [
            ("/shim:/real:/other", &gits()[0].version[..]),
            ("/shim:/execs:/real", &gits()[0].version),
            ("/shim:/bare:/real", "bare"),
        ] {
            let answer = arena.run(script_on(&arena, entries, &script)).outcome;
            assert_eq!(answer.stdout, format!("{expected}\n").as_bytes(), "{wrap} {entries}: {answer:?}");
        }
    }
}

#[test]
fn nothing_is_looked_at_behind_the_git() {
    // A FUSE filesystem of which no process reads the requests never answers. It is in a mount namespace of its own.
    if !arrangement::is_root() {
        return;
    }
    if !Path::new("/dev/fuse").exists() {
        return arrangement::missing("/dev/fuse");
    }
    let arena = Arena::new(&gits()[0]);
    let script = "set -e; exec 9<>/dev/fuse; mkdir dead
         mount -i -t fuse none dead -o fd=9,rootmode=40000,user_id=0,group_id=0
         shim=${PATH%%:*}; PATH=${PATH#*:}:$PWD/dead
         if timeout -s KILL 1 ls dead/git; then echo it answers; fi
         exec timeout -s KILL 60 $shim/git --version";
    let script = format!("exec unshare --mount bash -c '{script}'");
    let answer = arena.run(arena.script(true, &script)).outcome.succeeded();
    assert_eq!(answer.stdout, format!("{}\n", gits()[0].version).as_bytes(), "{answer:?}");
}

#[test]
fn git_is_found_without_path() {
    // Like execvp(3), the shim searches /bin and /usr/bin.
    let arena = Arena::new(&gits()[0]);
    let without_path = arena.script(true, "shim=$(command -v git); unset PATH; exec $shim --version");
    let there = ["/bin/git", "/usr/bin/git"].iter().any(|git| Path::new(git).exists());
    let status = arena.run(without_path).outcome.status.code();
    assert_eq!(status, Some(if there { 0 } else { 127 }));
}
