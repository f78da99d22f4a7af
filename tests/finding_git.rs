//! Which git the shim execs, and its error when there is none.

use std::fs;
use std::os::unix::fs::{PermissionsExt, chown, symlink};
use std::os::unix::process::CommandExt;
use std::path::Path;

use nix::sys::statvfs::{FsFlags, statvfs};

use crate::support::arena::{Arena, for_each_git};
use crate::support::args::args;
use crate::support::arrangement;
use crate::support::call::{Call, Outcome};
use crate::support::executable;
use crate::support::gits::gits;

/// Directories with a script called git. `back` and others lead back to the shim, or to what comes first on PATH.
const SCRIPTS: [(&str, &str); 8] = [
    ("other", "#!/bin/sh\necho other\n"),
    ("execs", "#!/bin/sh\nexec git \"$@\"\n"),
    ("back", "#!/bin/sh\nexec \"${0%/*}/../shim/git\" \"$@\"\n"),
    ("forks", "#!/bin/sh\necho >>$COUNT\ngit \"$@\"; exit $?\n"),
    // The commonest wrapper: it runs the next git on PATH, after a probe.
    (
        "next",
        "#!/bin/sh\necho >>$COUNT\nme=$0\nnext=$(which -a git | grep -v \"$me\" | head -1)\n\"$next\" --version >/dev/null\n\"$next\" \"$@\"; exit $?\n",
    ),
    ("stale", "#!/gone/with/the/old/cluster\n"),
    // execvp(3) runs it with /bin/sh.
    ("bare", "echo bare\n"),
    ("trap", "#!/bin/sh\necho trapped\n"),
];

/// An arena in which `shim`, `real` and these directories hold a file called git of every kind.
fn furnish(arena: &Arena) {
    let directory = |name: &str| {
        let directory = arena.root().join(name);
        fs::create_dir(&directory).unwrap();
        directory.join("git")
    };
    for (name, script) in SCRIPTS {
        executable::script(&directory(name), script);
    }
    for name in ["a", "b", "c"] {
        executable::copy(executable::shim(), &directory(name));
    }
    fs::hard_link(arena.root().join("a/git"), directory("hard")).unwrap();
    for (name, target) in [
        ("soft", "../a/git"),
        ("chain", "../soft/git"),
        ("broken", "nowhere"),
        ("circle", "git"),
        ("shim2", "../shim/git"),
    ] {
        symlink(target, directory(name)).unwrap();
    }
    fs::create_dir(directory("dir")).unwrap();
    fs::write(directory("plain"), "#!/bin/sh\n").unwrap();
    nix::unistd::mkfifo(&directory("fifo"), nix::sys::stat::Mode::S_IRWXU).unwrap();
    directory("empty");
    // A program for a processor that does not exist.
    let mut foreign = fs::read("/bin/true").unwrap();
    foreign[18..20].copy_from_slice(b"??");
    executable::write(&directory("foreign"), &foreign);
}

/// A PATH of these entries and no others: those that begin with a slash are directories of the arena.
fn path(arena: &Arena, entries: &str) -> String {
    let entry = |entry: &str| match entry.strip_prefix('/') {
        Some(name) => arena.root().join(name).display().to_string(),
        None => entry.to_owned(),
    };
    entries.split(':').map(entry).collect::<Vec<_>>().join(":")
}

/// Calls `git --version` by this program of the arena with this PATH. In the working directory are traps.
fn version(arena: &Arena, program: &str, entries: &str, variables: &[(&str, &str)]) -> Outcome {
    let mut command = arena.command(arena.root().join(program).join("git"));
    command.arg("--version").env("PATH", path(arena, entries)).envs(variables.iter().copied());
    let traps = |work_dir: &Path| {
        for trap in ["git", "bin/git", "~/git"] {
            fs::create_dir_all(work_dir.join(trap).parent().unwrap()).unwrap();
            symlink(arena.root().join("trap/git"), work_dir.join(trap)).unwrap();
        }
    };
    arena.run_in(&traps, Call::new(command)).outcome
}

/// The directory of the program that is called, PATH, and which git answers.
const FOUND: [(&str, &str, &str); 38] = [
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
    ("hard", "/hard:/a:/chain:/soft:/real", "real"),
    ("soft", "/hard:/a:/chain:/soft:/real", "real"),
    ("chain", "/chain:/soft:/hard:/a:/real", "real"),
    ("a", "/a:/b:/real", "real"),
    ("a", "/a:/b:/c:/real", "real"),
    ("b", "/a:/b:/c:/real", "real"),
    ("c", "/a:/b:/c:/real", "real"),
    ("a", "/a:/b:/a:/b:/real", "real"),
    ("b", "/a:/b:/a:/b:/real", "real"),
    ("a", "/a:/b:/real:/a", "real"),
    ("c", "/a:/b:/real:/a", "real"),
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
    for_each_git(|git, arena| {
        furnish(&arena);
        for (program, entries, expected) in FOUND {
            let answer = version(&arena, program, entries, &[]);
            let expected = if expected == "real" { &git.version } else { expected };
            assert!(answer.stderr.is_empty(), "{program} {entries}: {answer:?}");
            assert_eq!(answer.stdout, format!("{expected}\n").as_bytes(), "{program} {entries}");
        }
    });
}

/// PATH, the named git (`GIT_CLONE_SHIM_GIT`), and the status and parts of the error.
const REFUSED: [(&str, &str, i32, &[&str]); 11] = [
    (
        "/shim:/dir:/plain:/broken:/circle:/fifo:/absent:bin",
        "",
        127,
        &[
            "/shim/git (this shim itself)",
            "/dir/git (not an executable file)",
            "/plain/git (not an executable file)",
            "/broken/git (not there)",
            "/fifo/git (not an executable file)",
            "/absent/git (not there)",
            "bin/git (skipped: not an absolute path)",
            "GIT_CLONE_SHIM_GIT",
        ],
    ),
    ("/shim:/execs", "", 127, &["GIT_CLONE_SHIM_GIT"]),
    ("/shim:/stale", "", 126, &["cannot run the real git", "GIT_CLONE_SHIM_GIT"]),
    ("/shim:/real", "/absent/git", 127, &["GIT_CLONE_SHIM_GIT=", "not there"]),
    ("/shim:/real", "/broken/git", 127, &["GIT_CLONE_SHIM_GIT=", "not there"]),
    ("/shim:/real", "/dir/git", 126, &["GIT_CLONE_SHIM_GIT=", "not an executable file"]),
    ("/shim:/real", "/plain/git", 126, &["GIT_CLONE_SHIM_GIT=", "not an executable file"]),
    ("/shim:/real", "git", 126, &["GIT_CLONE_SHIM_GIT=", "not an absolute path"]),
    ("/shim:/real", "./git", 126, &["GIT_CLONE_SHIM_GIT=", "not an absolute path"]),
    ("/shim:/real", "/shim/git", 126, &["GIT_CLONE_SHIM_GIT=", "this shim itself"]),
    ("/shim:/real", "/two\nlines", 127, &["GIT_CLONE_SHIM_GIT=", "two\\nlines"]),
];

#[test]
fn error_names_what_was_tried() {
    let arena = Arena::new(&gits()[0]);
    furnish(&arena);
    for (entries, named, status, parts) in REFUSED {
        let named = path(&arena, named);
        let refused = version(&arena, "shim", entries, &[("GIT_CLONE_SHIM_GIT", &named)]);
        assert!(refused.is_our_failure(status), "{entries} {named}: {refused:?}");
        for part in parts {
            assert!(refused.stderr_contains(part), "{part}: {refused:?}");
        }
    }
}

#[test]
fn named_git_is_used() {
    for_each_git(|git, arena| {
        furnish(&arena);
        // A named git that execs the shim is skipped, and PATH is searched.
        for (named, expected) in [("/other/git", "other"), ("", &git.version), ("/back/git", &git.version)] {
            let named = path(&arena, named);
            let answer = version(&arena, "shim", "/shim:/real", &[("GIT_CLONE_SHIM_GIT", &named)]);
            assert_eq!(answer.stdout, format!("{expected}\n").as_bytes(), "{named}: {answer:?}");
        }
    });
}

#[test]
fn variables_of_a_setgid_shim_are_ignored() {
    // Where the kernel says `AT_SECURE`, since the program has more rights than its caller, no variable of the shim counts.
    if !arrangement::is_root() {
        return;
    }
    let arena = Arena::new(&gits()[0]);
    if statvfs(arena.root()).is_ok_and(|fs| fs.flags().contains(FsFlags::ST_NOSUID)) {
        return arrangement::missing("filesystem that allows setgid programs");
    }
    furnish(&arena);
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
fn search_ends_at_the_git() {
    let Some(strace) = arrangement::program("strace") else {
        return;
    };
    let arena = Arena::new(&gits()[0]);
    furnish(&arena);
    let trace = arena.root().join("trace");
    let mut call = Call::new(arena.command(strace)).env("PATH", path(&arena, "/shim:/real:/other"));
    call.command.arg("-o").arg(&trace).arg(arena.root().join("shim/git")).arg("--version");
    call.run().succeeded();
    let traced = fs::read_to_string(&trace).unwrap();
    assert!(traced.contains("/real/git") && !traced.contains("/other/git"), "{traced}");
}

#[test]
fn wrapper_that_execs_the_shim_is_skipped_in_an_attempt() {
    // An attempt is another process.
    for_each_git(|git, _| {
        let [_, arena] = Arena::linking_and_refusing(git);
        furnish(&arena);
        let directories = ["shim", "execs", "real"].map(|name| arena.root().join(name));
        let expected = arena.run(arena.script(false, "git clone $COPY -l $SRC dst"));
        let call = arena.script(true, "git clone -l $SRC dst");
        let call = call.env("PATH", Arena::path(&directories));
        arena.run(call).assert_equals(&expected);
    });
}

#[test]
fn wrapper_that_forks_the_shim_runs_git_at_once() {
    for_each_git(|git, _| {
        let [_, arena] = Arena::linking_and_refusing(git);
        furnish(&arena);
        let count = arena.root().join("count");
        let clone = "git clone -q $COPY -l $SRC dst";
        for entries in [
            "/next:/shim:/real", "/shim:/next:/real", "/shim:/real:/next", "/shim:/forks:/real",
            "/shim:/forks:/next:/real",
        ] {
            for mode in ["auto", "off"] {
                for (script, most) in [("git --version", 2), (clone, 4)] {
                    fs::write(&count, "").unwrap();
                    // With `off` there is no fallback: the real git's copy would be compared with nothing.
                    let copies = mode == "off" && script == clone;
                    let script = script.replace("$COPY", if copies { "--no-hardlinks" } else { "$COPY" });
                    let expected = arena.run(arena.script(false, &script));
                    let call = arena.script(
                        true,
                        &format!("PATH={}:/usr/local/bin:/usr/bin:/bin; {script}", path(&arena, entries)),
                    );
                    let call = call.env("GIT_CLONE_SHIM", mode).env("COUNT", &count);
                    let seen = arena.run(call);
                    let case = format!("{entries} {mode} {script}");
                    assert!(expected.outcome.status.success(), "{case}");
                    assert_eq!(seen.outcome, expected.outcome, "{case}");
                    assert!(seen.tree == expected.tree, "{case}");
                    let calls = fs::read(&count).unwrap().len();
                    assert!(calls <= most, "{case}: {calls} calls of wrappers");
                }
            }
        }
    });
}

#[test]
fn marker_of_another_process_hides_no_git() {
    // A service or a terminal multiplexer that a git alias has started keeps the marker until the kernel uses the pid again,
    // and in a container pids start again at 1. A wrapper that leads back to the shim must still be skipped.
    let arena = Arena::new(&gits()[0]);
    furnish(&arena);
    // The marker's time is in ticks of 10 ms, as in /proc/uptime: the next process comes in another one.
    let tick = "read -r was _ </proc/uptime; now=$was; while [ $now = $was ]; do read -r now _ </proc/uptime; done";
    let mut wraps = vec!["bash"];
    if arrangement::is_root() {
        wraps.push("unshare --pid --fork bash");
    }
    for wrap in wraps {
        let git = |call: &str| format!("$({wrap} -c 'exec git {call}')");
        let marker =
            format!("export _GIT_CLONE_SHIM_SEEN=\"{}\"", git("-c alias.m=\"!echo \\$_GIT_CLONE_SHIM_SEEN\" m"));
        let again = format!(
            "{marker}; test -n \"$_GIT_CLONE_SHIM_SEEN\" || echo no marker; {tick}; echo \"{}\"",
            git("--version")
        );
        for (entries, expected) in
            [("/shim:/real:/other", "real"), ("/shim:/execs:/real", "real"), ("/shim:/bare:/real", "bare")]
        {
            let path = path(&arena, entries);
            let answer =
                arena.run(arena.script(true, &format!("PATH={path}:/usr/local/bin:/usr/bin:/bin; {again}"))).outcome;
            let expected = if expected == "real" { &gits()[0].version } else { expected };
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
    furnish(&arena);
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
fn nested_gits_work() {
    // Each git waits for the next, and each is started through the shim.
    for_each_git(|git, arena| {
        let nest = executable::script(
            &arena.root().join("nest"),
            "#!/bin/sh\nif [ $1 = 0 ]; then exec \"$SHIM\" --version; fi\n\"$SHIM\" -c alias.n=\"!$0 $(($1 - 1))\" n\n",
        );
        let mut command = arena.command(&nest);
        command.arg("30").env("SHIM", arena.shim_directory().join("git"));
        let answer = arena.run(Call::new(command)).outcome;
        assert_eq!(answer.stdout, format!("{}\n", git.version).as_bytes(), "{answer:?}");
    });
}

#[test]
fn git_is_found_without_path() {
    // Like execvp(3), the shim searches /bin and /usr/bin.
    let arena = Arena::new(&gits()[0]);
    let mut command = arena.command(arena.shim_directory().join("git"));
    command.arg("--version").env_remove("PATH");
    let there = ["/bin/git", "/usr/bin/git"].iter().any(|git| Path::new(git).exists());
    let status = arena.run(Call::new(command)).outcome.status.code();
    assert_eq!(status, Some(if there { 0 } else { 127 }));
}
