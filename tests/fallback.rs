//! When a hard link is refused, the clone is retried with `--no-hardlinks`, and its outcome is that of a
//! `git clone --no-hardlinks`.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use nix::libc;

use crate::support::arena::{Arena, REFUSED, for_each_git, retry_while_late};
use crate::support::args::{args, with_source};
use crate::support::source;

/// Every spelling of `--local` that git accepts, and where it can stand.
const SPELLINGS: [&str; 24] = [
    "clone --local SRC dst",
    "clone --loca SRC dst",
    "clone --loc SRC dst",
    "clone --lo SRC dst",
    "clone --l SRC dst",
    "clone -l SRC dst",
    "clone -ql SRC dst",
    "clone -lq SRC dst",
    "clone -nl SRC dst",
    "clone -vl SRC dst",
    "clone -l4 SRC dst",
    "clone -lj2 SRC dst",
    "clone -lo name SRC dst",
    "clone -lbside SRC dst",
    "clone SRC --local dst",
    "clone SRC dst --local",
    "clone SRC dst -l",
    "clone --no-local --local SRC dst",
    "clone -l --no-shared SRC dst",
    "clone -l -s --no-shared SRC dst",
    "clone -l --origin --local SRC dst",
    "clone -l --no-origin SRC dst",
    "clone --recurse-submodules -l SRC dst",
    "clone --quiet --local --origin cache SRC dst",
];

/// Other forms of the rest of the args.
const SHAPES: [&str; 23] = [
    "clone --local -- SRC dst",
    "clone --local SRC -- dst",
    "clone -l --bare SRC dst",
    "clone -l --mirror SRC dst",
    "clone -l --separate-git-dir sep SRC dst",
    "clone -l --separate-git-dir=sep SRC dst",
    "clone -l --no-checkout SRC dst",
    "clone -l -b side --single-branch SRC dst",
    "clone -l -b v1 SRC dst",
    "clone -l -c core.x=--local --config core.y=-- SRC dst",
    "clone -l --no-tags SRC dst",
    "clone -l --template= SRC dst",
    "clone -l --progress SRC dst",
    "clone -l -v SRC dst",
    "clone -l SRC ./dst/",
    "clone -l SRC dst//",
    "clone -l SRC lead/ing/dst",
    "clone -l SRC",
    "clone -l SRC/.git",
    "clone -l --bare SRC/",
    "-c core.x=y clone -l SRC dst",
    "-p -c protocol.allow=never -c protocol.file.allow=always clone --local --no-checkout -- SRC dst",
    "--no-pager --literal-pathspecs --git-dir=ignored clone -l SRC dst",
];

#[test]
fn every_spelling_of_local_is_cured() {
    for_each_git(|_, arena| {
        let arena = arena.with_links_failing(libc::EPERM);
        let source = source::small(&arena, "src");
        for line in SPELLINGS {
            arena.assert_cured(&with_source(&source, args(line)));
        }
    });
}

#[test]
fn hardlinks_option_does_not_prevent_the_cure() {
    // `--hardlinks` undoes an earlier `--no-hardlinks`; the shim adds its own after both.
    for_each_git(|_, arena| {
        let arena = arena.with_links_failing(libc::EPERM);
        let source = source::small(&arena, "src");
        for line in [
            "clone -l --no-hardlinks --hardlinks SRC dst",
            "clone --no-h -l SRC dst --h",
            "clone -l --hardlinks SRC dst",
        ] {
            let line = with_source(&source, args(line));
            let failed = arena.run(arena.real(line.clone()));
            assert!(failed.outcome.died_of(REFUSED), "{:?}", failed.outcome);
            let expected =
                arena.run(arena.real(with_source(&source, args("clone --no-hardlinks SRC dst"))));
            let cured = expected.retried_while_late(|| arena.run(arena.shim(line.clone())));
            assert_eq!(cured.outcome, expected.outcome.succeeded());
            assert_eq!(cured.tree, expected.tree);
        }
    });
}

#[test]
fn every_form_of_the_args_is_cured() {
    for_each_git(|_, arena| {
        let arena = arena.with_links_failing(libc::EPERM);
        let source = source::small(&arena, "src");
        for line in SHAPES {
            let args: Vec<OsString> = args(line)
                .into_iter()
                .map(
                    |arg| match arg.to_str().and_then(|arg| arg.strip_prefix("SRC")) {
                        Some(rest) => [source.as_os_str(), OsStr::new(rest)].into_iter().collect(),
                        None => arg,
                    },
                )
                .collect();
            arena.assert_cured(&args);
        }
    });
}

#[test]
fn no_hardlinks_goes_before_end_of_options() {
    let mut known = 0;
    for_each_git(|_, arena| {
        let arena = arena.with_links_failing(libc::EPERM);
        let source = source::small(&arena, "src");
        let line = with_source(&source, args("clone --local --end-of-options SRC dst"));
        // Since git 2.24.
        if arena
            .run(arena.real(line.clone()))
            .outcome
            .stderr_contains("unknown option")
        {
            arena.assert_twins(&line);
        } else {
            arena.assert_cured(&line);
            known += 1;
        }
    });
    assert!(known > 0, "no git on this machine knows it");
}

#[test]
fn clone_with_directory_options_is_cured() {
    // The destination is relative to the last -C, given or derived from the source.
    for_each_git(|_, arena| {
        let arena = arena.with_links_failing(libc::EPERM);
        let source = source::small(&arena, "src");
        let prepare = |work_dir: &Path| fs::create_dir_all(work_dir.join("one/two")).unwrap();
        for line in [
            "-C one -C two clone -l SRC dst",
            "-C one clone -l SRC",
            "-C one/two clone -l SRC ../dst",
        ] {
            arena.assert_cured_in(&prepare, &with_source(&source, args(line)), REFUSED);
        }
    });
}

#[test]
fn clone_into_existing_empty_directory_is_cured() {
    for_each_git(|_, arena| {
        let arena = arena.with_links_failing(libc::EPERM);
        let source = source::small(&arena, "src");
        let prepare = |work_dir: &Path| fs::create_dir(work_dir.join("dst")).unwrap();
        for line in [
            "clone -l SRC dst",
            "clone -l --bare SRC dst",
            "-C dst clone -l SRC .",
        ] {
            arena.assert_cured_in(&prepare, &with_source(&source, args(line)), REFUSED);
        }
    });
}

#[test]
fn destination_of_any_bytes_is_cured() {
    for_each_git(|_, arena| {
        let arena = arena.with_links_failing(libc::EPERM);
        let source = source::small(&arena, "src");
        for name in [
            &b"with space"[..],
            b"it's",
            b"say \"so\"",
            b"two\nlines",
            b"caf\xe9",
            b"\xff\xfe",
            b"tab\there",
        ] {
            let mut line = with_source(&source, args("clone -l SRC"));
            line.push(OsStr::from_bytes(name).to_owned());
            arena.assert_cured(&line);
        }
    });
}

#[test]
fn source_of_any_bytes_is_cured() {
    for_each_git(|_, arena| {
        let arena = arena.with_links_failing(libc::EPERM);
        let source = source::small(&arena, "src");
        for name in [&b"with space"[..], b"it's", b"two\nlines", b"caf\xe9"] {
            let odd = arena.root().join(OsStr::from_bytes(name));
            fs::rename(&source, &odd).unwrap();
            arena.assert_cured(&with_source(&odd, args("clone -l SRC dst")));
            arena.assert_cured(&with_source(&odd, args("clone -l SRC")));
            fs::rename(&odd, &source).unwrap();
        }
    });
}

#[test]
fn relative_source_is_cured() {
    for_each_git(|_, arena| {
        let arena = arena.with_links_failing(libc::EPERM);
        source::small(&arena, "src");
        for line in [
            "clone -l ../src dst",
            "clone -l ../src/ dst",
            "clone -l ../src",
            "-C .. clone -l src work/dst",
        ] {
            arena.assert_cured(&args(line));
        }
    });
}

#[test]
fn every_error_of_link_is_cured() {
    // The errors of BeeGFS, AFS, SELinux, project quotas, CIFS, 65,000 links and NFS; 524 has no text in any libc.
    let reasons = [
        libc::EPERM,
        libc::EXDEV,
        libc::EMLINK,
        libc::EACCES,
        libc::EOPNOTSUPP,
        libc::ENOSYS,
        libc::EINVAL,
        libc::EROFS,
        libc::EIO,
        524,
    ];
    for_each_git(|git, _| {
        for errno in reasons {
            let arena = Arena::new(git).with_links_failing(errno);
            let source = source::small(&arena, "src");
            arena.assert_cured(&with_source(&source, args("clone --local SRC dst")));
        }
    });
}

#[test]
fn uvs_clone_of_its_database_is_cured() {
    // uv, pixi and rattler clone a bare database that has only remote-tracking references.
    for_each_git(|_, arena| {
        let arena = arena.with_links_failing(libc::EPERM);
        let source = source::small(&arena, "src");
        let database = arena.root().join("database");
        fs::create_dir(&database).unwrap();
        arena
            .real(args("init -q --bare ."))
            .cwd(&database)
            .run()
            .succeeded();
        let fetch =
            args("fetch -q SRC +refs/heads/*:refs/remotes/origin/* +HEAD:refs/remotes/origin/HEAD");
        arena
            .real(with_source(&source, fetch))
            .cwd(&database)
            .run()
            .succeeded();
        let mut line = with_source(&database, args("clone --local SRC"));
        line.push(
            arena
                .work_dir()
                .join("checkouts/0123456789abcdef/abcdef0")
                .into(),
        );
        let cured = arena.assert_cured(&line);
        assert!(
            cured.outcome.stderr_contains("warning: "),
            "git warns of a repository without branches: {:?}",
            cured.outcome
        );
    });
}

#[test]
fn clone_of_many_objects_or_one_pack_is_intact() {
    for_each_git(|_, arena| {
        let arena = arena.with_links_failing(libc::EPERM);
        for source in [
            source::with_loose_objects(&arena, "many", 1000),
            source::packed(&arena, "packed"),
        ] {
            arena.assert_cured(&with_source(&source, args("clone --local SRC dst")));
            let check = arena
                .real(args("-C dst fsck --strict --full"))
                .run()
                .succeeded();
            assert!(
                !check.stderr_contains("error") && !check.stderr_contains("missing"),
                "{check:?}"
            );
        }
    });
}

#[test]
fn clone_with_reference_repository_is_cured() {
    for_each_git(|_, arena| {
        let arena = arena.with_links_failing(libc::EPERM);
        let source = source::small(&arena, "src");
        let reference = source::packed(&arena, "reference");
        let mut line = with_source(&source, args("clone -l --reference"));
        line.extend([reference.into(), source.into(), "dst".into()]);
        arena.assert_cured(&line);
    });
}

#[test]
fn trace_file_shows_attempt_and_fallback() {
    // Attempt and fallback each write a trace. That of the attempt is withheld with its stderr, unless it goes to a file.
    for_each_git(|_, arena| {
        let arena = arena.with_links_failing(libc::EPERM);
        let source = source::small(&arena, "src");
        let file = arena.root().join("trace");
        for (trace, runs) in [(Path::new("1"), 1), (&file, 2)] {
            let run = || {
                let _ = fs::remove_file(&file);
                let call = arena.shim(with_source(&source, args("clone -l SRC dst")));
                let cured = arena.run(call.env("GIT_TRACE", trace)).outcome;
                let stderr = String::from_utf8(cured.succeeded().stderr).unwrap();
                fs::read_to_string(trace).unwrap_or(stderr)
            };
            let count = |text: &String| text.matches("built-in: git clone").count();
            let text = retry_while_late(run, |text| count(text) > runs);
            assert_eq!(count(&text), runs, "{text}");
            assert!(text.contains("--no-hardlinks"), "{text}");
        }
    });
}
