//! Which git the shim execs, and its error when there is none.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use nix::libc;

use crate::support::arena::{Arena, REFUSED, for_each_git};
use crate::support::args::{args, with_source};
use crate::support::arrangement;
use crate::support::call::{Call, Outcome};
use crate::support::executable;
use crate::support::gits::gits;
use crate::support::path::{directory, join as path, shim_copy, wrapper};
use crate::support::source;

fn run(arena: &Arena, call: Call) -> Outcome {
    arena.run(call).outcome
}

/// Calls `git --version` by `program` with this PATH; asserts that the real git answers, and returns the files that the
/// shims on the way chose, in order.
#[track_caller]
fn chosen(arena: &Arena, program: &Path, path: &OsStr) -> Vec<PathBuf> {
    let mut call = Call::new(arena.command(program))
        .env("PATH", path)
        .env("GIT_CLONE_SHIM_LOG", "info");
    call.command.arg("--version");
    let answer = run(arena, call).succeeded();
    let expected = run(arena, arena.real(args("--version")));
    assert_eq!(answer.stdout, expected.stdout, "{answer:?}");
    let log = String::from_utf8(answer.stderr).unwrap();
    log.lines()
        .filter_map(|line| line.split_once("file="))
        .map(|(_, file)| PathBuf::from(file))
        .collect()
}

#[test]
fn next_git_on_path_is_used() {
    for_each_git(|_, arena| {
        let (shim, real) = (arena.shim_directory(), arena.real_directory());
        let slash = PathBuf::from(format!("{}/", shim.display()));
        let empty = directory(&arena, "empty");
        let found = [real.join("git")];
        for entries in [
            vec![&shim, &real],
            vec![&shim, &shim, &real],
            vec![&slash, &shim, &empty, &real],
            vec![&empty, &shim, &real, &empty],
            // Where nothing comes after the shim's last entry, the git before it is used.
            vec![&real, &shim],
            vec![&shim, &real, &shim],
            // The shim is run by an absolute path and is not on PATH.
            vec![&real],
        ] {
            assert_eq!(
                chosen(&arena, &shim.join("git"), &path(&entries)),
                found,
                "{entries:?}"
            );
        }
        // A git before the shim is not used.
        let other = wrapper(&arena, "other", "echo not the one; exit 1");
        assert_eq!(
            chosen(&arena, &shim.join("git"), &path([&other, &shim, &real])),
            found
        );
        assert_eq!(
            chosen(
                &arena,
                &shim.join("git"),
                &path([&shim, &other, &shim, &real])
            ),
            found
        );
    });
}

#[test]
fn links_to_the_shim_are_skipped() {
    for_each_git(|_, arena| {
        let real = arena.real_directory();
        let shim = shim_copy(&arena, "copy");
        let (hard, soft, chain) = (
            directory(&arena, "hard"),
            directory(&arena, "soft"),
            directory(&arena, "chain"),
        );
        fs::hard_link(shim.join("git"), hard.join("git")).unwrap();
        symlink("../copy/git", soft.join("git")).unwrap();
        symlink("../soft/git", chain.join("git")).unwrap();
        let orders = [
            [&shim, &hard, &soft, &chain, &real],
            [&chain, &soft, &hard, &shim, &real],
        ];
        for entries in orders {
            for program in &entries[..4] {
                assert_eq!(
                    chosen(&arena, &program.join("git"), &path(entries)),
                    [real.join("git")]
                );
            }
        }
    });
}

#[test]
fn git_between_two_spellings_of_the_shim_is_used() {
    // It comes first without the shim, too. It is skipped only between two equal entries, as of a module loaded twice.
    for_each_git(|_, arena| {
        let (shim, real) = (arena.shim_directory(), arena.real_directory());
        let between = wrapper(
            &arena,
            "between",
            &format!("exec {}/git \"$@\"", real.display()),
        );
        let other = directory(&arena, "other");
        symlink(shim.join("git"), other.join("git")).unwrap();
        let found = |third| {
            let entries = path([&shim, &between, third, &real]);
            chosen(&arena, &shim.join("git"), &entries)
        };
        assert_eq!(found(&other), [between.join("git")]);
        assert_eq!(found(&shim), [real.join("git")]);
    });
}

#[test]
fn search_ends_at_the_git() {
    let Some(strace) = arrangement::program("strace") else {
        return;
    };
    let arena = Arena::new(&gits()[0]);
    let (shim, real) = (arena.shim_directory(), arena.real_directory());
    let after = wrapper(&arena, "after", "exit 1");
    let trace = arena.root().join("trace");
    let looks_at = |file: &Path, entries: &[&PathBuf]| {
        let mut call = Call::new(arena.command(&strace)).env("PATH", path(entries));
        call.command
            .arg("-o")
            .arg(&trace)
            .arg(shim.join("git"))
            .arg("--version");
        run(&arena, call).succeeded();
        let traced = fs::read_to_string(&trace).unwrap();
        traced.contains(&format!("\"{}\"", file.display()))
    };
    assert!(!looks_at(&after.join("git"), &[&shim, &real, &after]));
    // Where the shim itself has not come yet, the search goes on: it may still come.
    assert!(looks_at(&after.join("git"), &[&real, &after]));
}

#[test]
fn several_copies_of_the_shim_end_at_git() {
    for_each_git(|_, arena| {
        let real = arena.real_directory();
        let [a, b, c] = ["a", "b", "c"].map(|name| shim_copy(&arena, name));
        assert_eq!(
            chosen(&arena, &a.join("git"), &path([&a, &b, &real])),
            [b.join("git"), real.join("git")]
        );
        for entries in [
            vec![&a, &b, &c, &real],
            vec![&a, &b, &a, &b, &real],
            vec![&a, &b, &real, &a],
            vec![&b, &real, &a],
            vec![&real, &a, &b, &c],
        ] {
            for program in [&a, &b, &c] {
                let last = chosen(&arena, &program.join("git"), &path(&entries)).pop();
                assert_eq!(last, Some(real.join("git")), "{program:?} in {entries:?}");
            }
        }
    });
}

#[test]
fn relative_entries_of_path_are_skipped() {
    for_each_git(|_, arena| {
        let (shim, real) = (arena.shim_directory(), arena.real_directory());
        let prepare = |work_dir: &Path| {
            for trap in ["git", "bin/git", "~/git"] {
                fs::create_dir_all(work_dir.join(trap).parent().unwrap()).unwrap();
                executable::script(&work_dir.join(trap), "#!/bin/sh\necho trapped\n");
            }
        };
        for relative in ["", ".", "bin", "./bin", "~", "../work"] {
            for entries in [
                vec![OsStr::new(relative), shim.as_ref(), real.as_ref()],
                vec![shim.as_ref(), OsStr::new(relative), real.as_ref()],
            ] {
                let call = Call::new(arena.command(shim.join("git"))).env("PATH", path(&entries));
                let mut call = call.env("HOME", arena.work_dir());
                call.command.arg("--version");
                let answer = arena.run_in(&prepare, call).outcome.succeeded();
                assert!(
                    answer.stdout.starts_with(b"git version"),
                    "{relative}: {answer:?}"
                );
            }
        }
    });
}

#[test]
fn files_called_git_that_are_no_programs_are_skipped() {
    for_each_git(|_, arena| {
        let (shim, real) = (arena.shim_directory(), arena.real_directory());
        fs::create_dir_all(arena.root().join("dir/git")).unwrap();
        fs::write(directory(&arena, "plain").join("git"), "#!/bin/sh\n").unwrap();
        symlink("nowhere", directory(&arena, "broken").join("git")).unwrap();
        symlink("git", directory(&arena, "circle").join("git")).unwrap();
        nix::unistd::mkfifo(
            &directory(&arena, "fifo").join("git"),
            nix::sys::stat::Mode::S_IRWXU,
        )
        .unwrap();
        let none = ["dir", "plain", "broken", "circle", "fifo", "absent"]
            .map(|name| arena.root().join(name));
        let entries = [
            std::slice::from_ref(&shim),
            &none[..],
            std::slice::from_ref(&real),
        ]
        .concat();
        assert_eq!(
            chosen(&arena, &shim.join("git"), &path(&entries)),
            [real.join("git")]
        );

        let mut call = Call::new(arena.command(shim.join("git")));
        call.command.arg("--version");
        let entries = [
            std::slice::from_ref(&shim),
            &none[..],
            &["bin".into(), "".into(), arena.work_dir().to_owned()],
        ]
        .concat();
        let refused = run(&arena, call.env("PATH", path(&entries)));
        assert!(refused.is_our_failure(127), "{refused:?}");
        let line = String::from_utf8(refused.stderr).unwrap();
        let root = arena.root().display();
        for part in [
            format!("{root}/shim/git (this shim itself)"),
            format!("{root}/dir/git (a directory)"),
            format!("{root}/plain/git (not executable)"),
            format!("{root}/broken/git (a broken symbolic link)"),
            format!("{root}/fifo/git (not a regular file)"),
            format!("{root}/absent/git (not there)"),
            "bin/git (skipped: not an absolute path)".to_owned(),
            "GIT_CLONE_SHIM_GIT".to_owned(),
        ] {
            assert!(line.contains(&part), "{part} in {line}");
        }
    });
}

#[test]
fn git_that_cannot_be_run_is_skipped() {
    // As execvp(3) does: every program that searches PATH for git would have found the next one.
    for_each_git(|_, arena| {
        let (shim, real) = (arena.shim_directory(), arena.real_directory());
        let stale = directory(&arena, "stale");
        executable::script(&stale.join("git"), "#!/gone/with/the/old/cluster\n");
        assert_eq!(
            chosen(&arena, &shim.join("git"), &path([&shim, &stale, &real])),
            [stale.join("git")]
        );

        let mut call =
            Call::new(arena.command(shim.join("git"))).env("PATH", path([&shim, &stale]));
        call.command.arg("--version");
        let refused = run(&arena, call);
        assert_eq!(refused.status.code(), Some(126), "{refused:?}");
        assert!(
            refused.stderr_contains("git-clone-shim: cannot run the real git")
                && refused.stderr_contains("GIT_CLONE_SHIM_GIT"),
            "{refused:?}"
        );
    });
}

#[test]
fn script_without_interpreter_line_runs() {
    // execvp(3) runs it with /bin/sh, so programs that use the C library's search run it.
    let arena = Arena::new(&gits()[0]);
    let (shim, bare) = (arena.shim_directory(), directory(&arena, "bare"));
    executable::script(&bare.join("git"), "echo bare \"$@\"\n");
    let mut call =
        Call::new(arena.command("git")).env("PATH", path([&shim, &bare, &PathBuf::from("/bin")]));
    call.command.arg("--version");
    let answer = run(&arena, call);
    assert_eq!(answer.stdout, b"bare --version\n", "{answer:?}");
}

#[test]
fn wrapper_that_execs_the_shim_is_skipped() {
    for_each_git(|_, arena| {
        let arena = arena.with_links_failing(libc::EPERM);
        let (shim, real) = (arena.shim_directory(), arena.real_directory());
        let wrapper = wrapper(&arena, "wrapper", "exec git \"$@\"");
        let chain = [wrapper.join("git"), real.join("git")];
        assert_eq!(
            chosen(&arena, &shim.join("git"), &path([&shim, &wrapper, &real])),
            chain
        );
        // Also in the attempt, which is another process.
        let source = source::small(&arena, "src");
        let line = with_source(&source, args("clone -l SRC dst"));
        assert!(run(&arena, arena.real(line.clone())).died_of(REFUSED));
        let call = arena
            .shim(line)
            .env("PATH", Arena::path(&[shim, wrapper, real]));
        run(&arena, call).succeeded();
    });
}

#[test]
fn wrapper_that_forks_the_shim_ends_with_an_error() {
    let arena = Arena::new(&gits()[0]);
    let (shim, real) = (arena.shim_directory(), arena.real_directory());
    let wrapper = wrapper(&arena, "wrapper", "git \"$@\"; exit $?");
    let path = Arena::path(&[shim, wrapper.clone(), real.clone()]);
    for line in ["--version", "clone -l absent dst"] {
        let refused = run(&arena, arena.shim(args(line)).env("PATH", &path));
        assert_eq!(refused.status.code(), Some(125), "{refused:?}");
        assert!(
            refused.stderr_contains("git-clone-shim: ")
                && refused.stderr_contains("GIT_CLONE_SHIM_GIT"),
            "{refused:?}"
        );
        assert!(
            refused.stderr_contains(wrapper.join("git").to_str().unwrap()),
            "{refused:?}"
        );
    }
    let named = arena
        .shim(args("--version"))
        .env("PATH", &path)
        .env("GIT_CLONE_SHIM_GIT", real.join("git"));
    assert_eq!(
        run(&arena, named),
        run(&arena, arena.real(args("--version")))
    );
}

#[test]
fn nested_gits_work() {
    // Thirty gits, each waiting for the next, each started through the shim.
    for_each_git(|_, arena| {
        let nest = executable::script(
            &arena.root().join("nest"),
            "#!/bin/sh\nif [ $1 = 0 ]; then exec \"$SHIM\" --version; fi\n\"$SHIM\" -c alias.n=\"!$0 $(($1 - 1))\" n\n",
        );
        let mut command = arena.command(&nest);
        command
            .arg("30")
            .env("SHIM", arena.shim_directory().join("git"));
        assert_eq!(
            run(&arena, Call::new(command)),
            run(&arena, arena.real(args("--version")))
        );
    });
}

#[test]
fn marker_of_an_ended_process_is_ignored() {
    // A service that a hook has restarted keeps the marker in its environment and passes it on.
    let arena = Arena::new(&gits()[0]);
    let ended = arena
        .command("true")
        .spawn()
        .map(|mut child| (child.id(), child.wait().unwrap()))
        .unwrap()
        .0;
    let call = arena
        .shim(args("--version"))
        .env("_GIT_CLONE_SHIM_SEEN", format!("{ended}+90:/some/git"));
    assert_eq!(
        run(&arena, call),
        run(&arena, arena.real(args("--version")))
    );
}

#[test]
fn marker_with_a_reused_pid_hides_no_git() {
    // A terminal multiplexer that a git alias has started keeps the marker until the kernel uses the pid again, and in a
    // container pids start again at 1. A wrapper that leads back to the shim must still be skipped.
    for_each_git(|_, arena| {
        let (shim, real) = (arena.shim_directory(), arena.real_directory());
        let wrapper = wrapper(&arena, "wrapper", "exec git \"$@\"");
        let expected = run(&arena, arena.real(args("--version")));
        let after_another = |entries: &[&PathBuf]| {
            let tried: Vec<_> = entries[1..]
                .iter()
                .map(|entry| format!(":{}/git", entry.display()))
                .collect();
            let script = format!(
                "_GIT_CLONE_SHIM_SEEN=$$'{}' exec git --version",
                tried.concat()
            );
            let mut call = Call::new(arena.command("/bin/sh")).env("PATH", path(entries));
            call.command.arg("-c").arg(script);
            run(&arena, call)
        };
        assert_eq!(after_another(&[&shim, &real]), expected);
        assert_eq!(after_another(&[&shim, &wrapper, &real]), expected);
        let refused = after_another(&[&shim, &wrapper]);
        assert_eq!(refused.status.code(), Some(127), "{refused:?}");
    });
}

#[test]
fn named_git_is_used() {
    for_each_git(|_, arena| {
        let (shim, real) = (arena.shim_directory(), arena.real_directory());
        let other = wrapper(&arena, "other", "echo the other");
        let named = |value: &OsStr| {
            let mut call =
                Call::new(arena.command(shim.join("git"))).env("GIT_CLONE_SHIM_GIT", value);
            call.command.arg("--version");
            run(&arena, call.env("PATH", path([&shim, &real])))
        };
        assert_eq!(named(other.join("git").as_ref()).stdout, b"the other\n");
        assert_eq!(
            named(OsStr::new("")),
            run(&arena, arena.real(args("--version"))),
            "empty is unset"
        );

        fs::write(other.join("plain"), "").unwrap();
        symlink("nowhere", other.join("broken")).unwrap();
        for (value, status, why) in [
            (other.join("absent"), 127, "not there"),
            (other.join("broken"), 127, "a broken symbolic link"),
            (other.clone(), 126, "a directory"),
            (other.join("plain"), 126, "not executable"),
            (PathBuf::from("git"), 126, "not an absolute path"),
            (PathBuf::from("./git"), 126, "not an absolute path"),
            (shim.join("git"), 126, "this shim itself"),
            (arena.root().join("two\nlines"), 127, "two\\nlines"),
        ] {
            let refused = named(value.as_ref());
            assert!(refused.is_our_failure(status), "{refused:?}");
            assert!(
                refused.stderr_contains("GIT_CLONE_SHIM_GIT=") && refused.stderr_contains(why),
                "{refused:?}"
            );
        }

        // The named git has already exec'd back into the shim: it is skipped, and PATH is searched.
        let back = wrapper(
            &arena,
            "back",
            &format!("exec {}/git \"$@\"", shim.display()),
        );
        assert_eq!(
            named(back.join("git").as_ref()),
            run(&arena, arena.real(args("--version")))
        );
    });
}

#[test]
fn git_is_found_without_path() {
    // Like execvp(3), the shim searches /bin and /usr/bin.
    let arena = Arena::new(&gits()[0]);
    let mut command = arena.command(arena.shim_directory().join("git"));
    command.arg("--version").env_remove("PATH");
    let answer = run(&arena, Call::new(command));
    let there = ["/bin/git", "/usr/bin/git"]
        .iter()
        .any(|git| Path::new(git).exists());
    assert_eq!(
        answer.status.code(),
        Some(if there { 0 } else { 127 }),
        "{answer:?}"
    );
}
