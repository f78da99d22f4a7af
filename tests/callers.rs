//! Unmodified programs that run git, with the shim first on PATH. They come to the same as with the real git, and where they
//! ask for `--local` and links are refused, they succeed; so does uv in the case that this project began with, its issue 11420.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use nix::libc;

use crate::support::arena::{Arena, REFUSED, RunResult, for_each_git};
use crate::support::args::{args, with_source};
use crate::support::arrangement;
use crate::support::call::Call;
use crate::support::fault;
use crate::support::gits::gits;
use crate::support::python::Environment;
use crate::support::refusing_fs::{LinkRule, mount};
use crate::support::source;
use crate::support::trace;
use crate::support::tree;
use crate::support::uv::{NEWEST_UV, TRACE, UV, UvCase};

/// The newest versions, or those that were the newest when the environment was made.
static PYTHON: Environment = Environment::new("callers", &["GitPython", "pre-commit"]);

/// Runs a shell script that runs the caller `program`, with `SRC` in its environment.
fn run(arena: &Arena, program: &Path, script: &str, source: &Path, through_shim: bool) -> RunResult {
    let shim = through_shim.then(|| arena.shim_directory());
    let program = program.parent().map(Path::to_owned);
    let directories: Vec<_> = shim.into_iter().chain([arena.real_directory()]).chain(program).collect();
    let mut shell = arena.command("sh");
    shell.args(["-e", "-c", script]).env("PATH", Arena::path(&directories)).env("SRC", source);
    let file = arena.root().join("trace");
    let result = arena.run(trace::into(&file, Call::new(shell)));
    let trace = fs::read_to_string(&file).unwrap();
    fs::remove_file(&file).unwrap();
    assert_eq!(trace::shows_the_shim(&trace), through_shim, "{trace}");
    result
}

/// A caller: the files of the repository that it gets, a script, what it prints, and what its stderr contains.
struct Caller {
    program: fn() -> Option<PathBuf>,
    files: &'static [(&'static str, &'static str)],
    script: &'static str,
    stdout: &'static str,
    stderr: &'static str,
}

const CALLERS: [Caller; 4] = [
    Caller {
        program: || PYTHON.program("pip"),
        files: &[
            ("pyproject.toml", include_str!("support/tinypkg/pyproject.toml")),
            ("backend.py", include_str!("support/tinypkg/backend.py")),
            ("tinypkg/__init__.py", include_str!("support/tinypkg/tinypkg/__init__.py")),
        ],
        script: r#"
            pip install --quiet --no-index --no-cache-dir --no-build-isolation --target=site "git+file://$SRC"
            PYTHONPATH=site python -c 'import tinypkg; print(tinypkg.ANSWER)'"#,
        stdout: "42\n",
        stderr: "",
    },
    Caller {
        // The cargo that runs the tests, and its rustc: rustup's proxies need a home directory.
        program: || Some(env!("CARGO").into()),
        files: &[
            ("Cargo.toml", "[package]\nname = 'tinycrate'\nversion = '0.1.0'\nedition = '2021'\n"),
            ("src/lib.rs", ""),
        ],
        script: r#"
            export CARGO_HOME="$PWD/home" CARGO_NET_GIT_FETCH_WITH_CLI=true
            cargo init --quiet --vcs=none --lib --name=user .
            echo "tinycrate = { git = 'file://$SRC' }" >>Cargo.toml
            cargo fetch
            cargo tree --locked --offline --prefix=none --format='{lib}'"#,
        stdout: "user\ntinycrate\n",
        stderr: "",
    },
    Caller {
        program: || arrangement::program("npm"),
        files: &[
            ("package.json", "{\"name\": \"tinypkg\", \"version\": \"1.0.0\"}\n"),
            ("index.js", "module.exports = 42\n"),
        ],
        script: r#"
            export npm_config_cache="$PWD/cache"
            npm install --silent --offline --no-audit --no-fund "git+file://$SRC"
            node -p 'require("tinypkg")'
            grep -c "git+file.*#[0-9a-f]" package-lock.json"#,
        stdout: "42\n1\n",
        stderr: "",
    },
    Caller {
        program: || PYTHON.program("pre-commit"),
        files: &[(".pre-commit-hooks.yaml", "- {id: names, name: names, entry: echo, language: system}\n")],
        // It hands on none of our variables to what it runs.
        script: r#"
            export PRE_COMMIT_HOME="$PWD/home"
            git init -q work
            cd work
            echo "repos: [{repo: 'file://$SRC', rev: v1, hooks: [{id: names}]}]" >.pre-commit-config.yaml
            git add .
            pre-commit install >/dev/null
            git commit -q -m hooked
            git log --format=%s
            GIT_CLONE_SHIM=off python -c 'import pre_commit.git; print(*pre_commit.git.no_git_env())' | grep -c GIT_CLONE_SHIM || :"#,
        stdout: "hooked\n0\n",
        stderr: "....Passed\n",
    },
];

#[test]
fn programs_that_fetch_from_a_repository_work() {
    for caller in &CALLERS {
        let Some(program) = (caller.program)() else {
            continue;
        };
        let arena = Arena::new(&gits()[0]);
        let source = arena.root().join("package");
        for (file, text) in caller.files {
            fs::create_dir_all(source.join(file).parent().unwrap()).unwrap();
            fs::write(source.join(file), text).unwrap();
        }
        for line in ["init -q .", "add .", "commit -q -m all", "tag v1"] {
            arena.real(args(line)).cwd(&source).run().succeeded();
        }
        let real = run(&arena, &program, caller.script, &source, false).outcome;
        assert_eq!(real.stdout, caller.stdout.as_bytes(), "{real:?}");
        assert!(real.status.success() && (caller.stderr.is_empty() || real.stderr_contains(caller.stderr)), "{real:?}");
        assert_eq!(run(&arena, &program, caller.script, &source, true).outcome, real);
    }
}

#[test]
fn git_python_is_cured() {
    let Some(python) = PYTHON.program("python") else {
        return;
    };
    let arena = Arena::new(&gits()[0]).with_links_failing(libc::EPERM);
    let source = source::small(&arena, "src");
    let plain = with_source(&source, args("clone --no-hardlinks -v -- SRC dst"));
    let expected = arena.run(arena.real(plain));
    for options in ["local=True", "multi_options=['--local']"] {
        let script = format!("python -c \"import git, os; git.Repo.clone_from(os.environ['SRC'], 'dst', {options})\"");
        let failed = run(&arena, &python, &script, &source, false).outcome;
        assert_eq!(failed.status.code(), Some(1));
        assert!(failed.stderr_contains("git.exc.GitCommandError") && failed.stderr_contains(REFUSED), "{failed:?}");
        let cured = run(&arena, &python, &script, &source, true);
        cured.outcome.succeeded();
        assert_eq!(tree::differences(&cured.tree, &expected.tree), [""; 0]);
    }
}

#[test]
fn make_with_64_clones_at_once_is_cured() {
    let Some(make) = arrangement::program("make") else {
        return;
    };
    let arena = Arena::new(&gits()[0]).with_links_failing(libc::EPERM).with_variable("GIT_TEMPLATE_DIR", "");
    let source = source::small(&arena, "src");
    let makefile = arena.root().join("Makefile");
    let rules =
        "clones := $(shell seq -f clone-%g 64)\nall: $(clones)\n$(clones): ; git clone -q $(OPTION) $(SRC) $@\n";
    fs::write(&makefile, rules).unwrap();
    let clone = |option: &str, through_shim| {
        let script = format!("make -s -k -j64 -f {} OPTION={option}", makefile.display());
        run(&arena, &make, &script, &source, through_shim)
    };
    let failed = clone("-l", false);
    let stderr = String::from_utf8_lossy(&failed.outcome.stderr);
    assert_eq!((failed.outcome.status.code(), stderr.matches(REFUSED).count()), (Some(2), 64), "{stderr}");
    assert!(failed.tree.is_empty(), "{:?}", failed.tree);

    let expected = clone("--no-hardlinks", false);
    clone("-l", true).assert_equals(&expected);
    assert!(expected.outcome.status.success());
    assert_eq!(fs::read_dir(arena.work_dir()).unwrap().count(), 64);
}

#[test]
fn git_lfs_works_in_clones() {
    let Some(git_lfs) = arrangement::program("git-lfs") else {
        return;
    };
    for_each_git(|_, arena| {
        let arena = arena.with_links_failing(libc::EPERM);
        let large = "x".repeat(100_000);
        let source = source::with_large_file(&arena, "src", &git_lfs, &large);
        let checked_out = || fs::read_to_string(arena.work_dir().join("dst/large.bin")).unwrap();
        arena.assert_cured(&with_source(&source, args("clone -q -l SRC dst")));
        assert_eq!(checked_out(), large);
        // As rattler-build calls it. Excluded files stay pointers.
        let excluded = "-c lfs.fetchinclude=*.txt -c lfs.fetchexclude=*.bin clone -q --local SRC dst";
        arena.assert_cured(&with_source(&source, args(excluded)));
        assert!(checked_out().starts_with("version https://git-lfs"));
        let url = format!("file://{}", source.display());
        arena.assert_twins(&with_source(url, args("clone SRC dst"))).outcome.succeeded();
        assert_eq!(checked_out(), large);
    });
}

#[test]
fn git_submodule_and_worktree_work() {
    const ALLOW: &str = "-c protocol.file.allow=always";
    for_each_git(|_, arena| {
        let arena = arena.with_links_failing(libc::EPERM);
        let outer = source::with_submodule(&arena, "outer");
        let script = format!("git clone -q --no-hardlinks {} dst", outer.display());
        let cloned = arena.prepare(&script);
        for (line, made) in [
            (format!("-C dst {ALLOW} submodule update --init"), "dst/inner/three"),
            ("-C dst worktree add ../tree side".to_owned(), "tree/three"),
        ] {
            arena.assert_twins_in(&cloned, &args(&line)).outcome.succeeded();
            assert!(arena.work_dir().join(made).exists());
        }
        // As fpm-cookery calls it.
        let recursive = format!("{ALLOW} clone -q -l --recurse-submodules SRC dst");
        arena.assert_cured(&with_source(&outer, args(&recursive)));
        assert!(arena.work_dir().join("dst/inner/three").exists());
    });
}

#[test]
fn uv_is_cured_on_beegfs_and_with_checkouts_on_another_mount() {
    let Some(uv) = UV.program("uv") else {
        return;
    };
    for_each_git(|git, _| {
        let case = UvCase::new(git);
        let shim = case.arena.path_of(true);
        if let Some((_directory, filesystem)) = mount(LinkRule::SameDirectoryOnly) {
            case.assert_cured(&uv, &shim, |name| filesystem.path().join(name), "Operation not permitted");
        }
        // The same without privilege: uv's checkouts are a symbolic link to another device.
        let Some(far) = fault::another_mount(case.arena.root()) else {
            return;
        };
        let cache = |name: &str| {
            let cache = case.arena.root().join(name);
            let checkouts = far.path().join(name);
            if !cache.exists() {
                fs::create_dir_all(cache.join("git-v0")).unwrap();
                fs::create_dir(&checkouts).unwrap();
                symlink(&checkouts, cache.join("git-v0/checkouts")).unwrap();
            }
            cache
        };
        case.assert_cured(&uv, &shim, cache, "Invalid cross-device link");
    });
}

#[test]
fn newest_uv_does_not_need_its_own_fallback() {
    // Since 0.5.31 uv runs a clone that failed, for whatever reason, again with --no-hardlinks.
    let Some(uv) = NEWEST_UV.program("uv") else {
        return;
    };
    let case = UvCase::new(&gits()[0]);
    let Some((_directory, filesystem)) = mount(LinkRule::SameDirectoryOnly) else {
        return;
    };
    for (name, through_shim) in [("without", false), ("with", true)] {
        let path = case.arena.path_of(through_shim);
        let outcome = case.uv_add(&uv, &filesystem.path().join(name), path);
        let file = case.arena.root().join(TRACE);
        let trace = fs::read_to_string(&file).unwrap();
        fs::remove_file(&file).unwrap();
        assert_eq!(trace::shows_the_shim(&trace), through_shim, "{trace}");
        assert!(trace.contains("git clone --local "), "{trace}");
        // uv's own fallback drops --local, so there the option comes right after `clone`.
        assert_eq!(trace.contains("git clone --no-hardlinks "), !through_shim, "{trace}");
        case.assert_installed(outcome);
    }
}
