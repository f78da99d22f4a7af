//! Unmodified programs that run git, with the shim first on PATH. They come to the same as with the real git, and where they
//! ask for `--local` and links are refused, they succeed. For uv see `uv.rs`.

use std::fs;
use std::path::{Path, PathBuf};

use nix::libc;

use crate::support::arena::{Arena, REFUSED, RunResult, for_each_git};
use crate::support::args::{args, with_source};
use crate::support::arrangement;
use crate::support::call::Call;
use crate::support::gits::gits;
use crate::support::python::{self, Environment};
use crate::support::source;
use crate::support::trace;
use crate::support::tree;

/// The newest versions, or those that were the newest when the environment was made.
static PYTHON: Environment = Environment::new("callers", &["GitPython", "pre-commit"]);

/// A shell script that runs a caller, with its variables.
struct Script<'a> {
    text: &'a str,
    variables: &'a [(&'a str, &'a Path)],
    /// The directory of the caller, where that is not one of the system's.
    directory: Option<PathBuf>,
}

impl Script<'_> {
    fn run(&self, arena: &Arena, through_shim: bool) -> RunResult {
        let shim = through_shim.then(|| arena.shim_directory());
        let directories = shim.into_iter().chain([arena.real_directory()]);
        let directories: Vec<_> = directories.chain(self.directory.clone()).collect();
        let mut shell = arena.command("sh");
        shell
            .args(["-e", "-c", self.text])
            .env("PATH", Arena::path(&directories))
            .envs(self.variables.iter().copied());
        let file = arena.root().join("trace");
        let result = arena.run(trace::into(&file, Call::new(shell)));
        let trace = fs::read_to_string(&file).unwrap();
        fs::remove_file(&file).unwrap();
        assert_eq!(trace::shows_the_shim(&trace), through_shim, "{trace}");
        result
    }

    /// Asserts that the caller succeeds and writes `output` to stdout, with the real git and through the shim.
    #[track_caller]
    fn assert_twins(&self, arena: &Arena, output: &str) -> [RunResult; 2] {
        let results = [false, true].map(|through_shim| self.run(arena, through_shim));
        let [real, shim] = &results;
        assert!(real.outcome.status.success(), "{:?}", real.outcome);
        assert_eq!(real.outcome.stdout, output.as_bytes(), "{:?}", real.outcome);
        assert_eq!(shim.outcome, real.outcome);
        results
    }
}

/// Makes a repository below the arena's root, with these files and a tag.
fn repository(arena: &Arena, name: &str, files: &[(&str, &str)]) -> PathBuf {
    let repository = arena.root().join(name);
    for (file, text) in files {
        let file = repository.join(file);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(file, text).unwrap();
    }
    for line in ["init -q .", "add .", "commit -q -m all", "tag v1"] {
        arena.real(args(line)).cwd(&repository).run().succeeded();
    }
    repository
}

#[test]
fn pip_installs_from_a_repository() {
    let Some(pip) = PYTHON.program("pip") else {
        return;
    };
    let arena = Arena::new(&gits()[0]);
    let source = python::package(&arena);
    let script = Script {
        text: r#"
            pip install --quiet --no-index --no-cache-dir --no-build-isolation --target=site "git+file://$SRC"
            PYTHONPATH=site python -c 'import tinypkg; print(tinypkg.ANSWER)'
        "#,
        variables: &[("SRC", &source)],
        directory: pip.parent().map(Path::to_owned),
    };
    script.assert_twins(&arena, "42\n");
}

#[test]
fn cargo_fetches_a_git_dependency() {
    let arena = Arena::new(&gits()[0]);
    let manifest = "[package]\nname = 'tinycrate'\nversion = '0.1.0'\nedition = '2021'\n";
    let files = [("Cargo.toml", manifest), ("src/lib.rs", "")];
    let source = repository(&arena, "tinycrate", &files);
    let script = Script {
        text: r#"
            export CARGO_HOME="$PWD/home" CARGO_NET_GIT_FETCH_WITH_CLI=true
            cargo init --quiet --vcs=none --lib --name=user .
            echo "tinycrate = { git = 'file://$SRC' }" >>Cargo.toml
            cargo fetch
            cargo tree --locked --offline --prefix=none --format='{lib}'
        "#,
        variables: &[("SRC", &source)],
        // The cargo that runs the tests, and its rustc: rustup's proxies need a home directory.
        directory: Path::new(env!("CARGO")).parent().map(Path::to_owned),
    };
    script.assert_twins(&arena, "user\ntinycrate\n");
}

#[test]
fn npm_installs_from_a_repository() {
    let Some(npm) = arrangement::program("npm") else {
        return;
    };
    let arena = Arena::new(&gits()[0]);
    let files = [
        (
            "package.json",
            "{\"name\": \"tinypkg\", \"version\": \"1.0.0\"}\n",
        ),
        ("index.js", "module.exports = 42\n"),
    ];
    let source = repository(&arena, "tinypkg", &files);
    let script = Script {
        text: r#"
            export npm_config_cache="$PWD/cache"
            npm install --silent --offline --no-audit --no-fund "git+file://$SRC"
            node -p 'require("tinypkg")'
        "#,
        variables: &[("SRC", &source)],
        directory: npm.parent().map(Path::to_owned),
    };
    let [real, shim] = script.assert_twins(&arena, "42\n");
    let lock = Path::new("package-lock.json");
    assert_eq!(shim.tree[lock], real.tree[lock]);
}

#[test]
fn pre_commit_runs_a_hook_of_a_repository() {
    let Some(pre_commit) = PYTHON.program("pre-commit") else {
        return;
    };
    let arena = Arena::new(&gits()[0]);
    let hook = "- {id: names, name: names, entry: echo, language: system}\n";
    let source = repository(&arena, "hooks", &[(".pre-commit-hooks.yaml", hook)]);
    let script = Script {
        text: r#"
            export PRE_COMMIT_HOME="$PWD/home"
            git init -q work
            cd work
            echo "repos: [{repo: 'file://$SRC', rev: v1, hooks: [{id: names}]}]" >.pre-commit-config.yaml
            git add .
            pre-commit install >/dev/null
            git commit -q -m hooked
            git log --format=%s
        "#,
        variables: &[("SRC", &source)],
        directory: pre_commit.parent().map(Path::to_owned),
    };
    let [real, _] = script.assert_twins(&arena, "hooked\n");
    assert!(
        real.outcome.stderr_contains("....Passed\n"),
        "{:?}",
        real.outcome
    );
}

#[test]
fn pre_commit_passes_on_none_of_the_variables() {
    let Some(python) = PYTHON.program("python") else {
        return;
    };
    let arena = Arena::new(&gits()[0]);
    let mut handed_on = arena.command(python);
    handed_on
        .args([
            "-c",
            "import pre_commit.git; print(*pre_commit.git.no_git_env())",
        ])
        .env("GIT_CLONE_SHIM", "off");
    let names = Call::new(handed_on).run().succeeded().stdout;
    let names = String::from_utf8(names).unwrap();
    assert!(
        names.contains("TMPDIR") && !names.contains("GIT_CLONE_SHIM"),
        "{names}"
    );
}

#[test]
fn git_python_is_cured() {
    let Some(python) = PYTHON.program("python") else {
        return;
    };
    let git = &gits()[0];
    let arena = Arena::new(git).with_links_failing(libc::EPERM);
    let source = source::small(&arena, "src");
    let plain = with_source(&source, args("clone --no-hardlinks -v -- SRC dst"));
    let expected = arena.run(arena.real(plain));
    for options in ["local=True", "multi_options=['--local']"] {
        let text = format!(
            "python -c \"import git, os; git.Repo.clone_from(os.environ['SRC'], 'dst', {options})\""
        );
        let script = Script {
            text: &text,
            variables: &[("SRC", &source)],
            directory: python.parent().map(Path::to_owned),
        };
        let failed = script.run(&arena, false);
        assert_eq!(failed.outcome.status.code(), Some(1));
        assert!(
            failed.outcome.stderr_contains("git.exc.GitCommandError"),
            "{:?}",
            failed.outcome
        );
        assert!(
            failed.outcome.stderr_contains(REFUSED),
            "{:?}",
            failed.outcome
        );
        let cured = script.run(&arena, true);
        cured.outcome.succeeded();
        assert_eq!(tree::differences(&cured.tree, &expected.tree), [""; 0]);
    }
}

#[test]
fn make_with_64_clones_at_once_is_cured() {
    let Some(make) = arrangement::program("make") else {
        return;
    };
    for_each_git(|_git, arena| {
        let arena = arena.with_links_failing(libc::EPERM);
        let source = source::small(&arena, "src");
        let makefile = arena.root().join("Makefile");
        let rules = "\
clones := $(shell seq -f clone-%g 64)
all: $(clones)
$(clones): ; git clone -q $(OPTION) $(SRC) $@
";
        fs::write(&makefile, rules).unwrap();
        let clone = |option: &str, through_shim| {
            let script = Script {
                text: &format!("make -s -k -j64 -f \"$MAKEFILE\" OPTION={option}"),
                variables: &[("SRC", &source), ("MAKEFILE", &makefile)],
                directory: make.parent().map(Path::to_owned),
            };
            script.run(&arena, through_shim)
        };
        let failed = clone("-l", false);
        assert_eq!(
            failed.outcome.status.code(),
            Some(2),
            "{:?}",
            failed.outcome
        );
        let stderr = String::from_utf8_lossy(&failed.outcome.stderr);
        assert_eq!(stderr.matches(REFUSED).count(), 64, "{stderr}");
        assert!(failed.tree.is_empty(), "{:?}", failed.tree);

        let expected = clone("--no-hardlinks", false);
        let cured = clone("-l", true);
        assert_eq!(cured.outcome, expected.outcome.succeeded());
        assert_eq!(tree::differences(&cured.tree, &expected.tree), [""; 0]);
        let clones = fs::read_dir(arena.work_dir()).unwrap().count();
        assert_eq!(clones, 64);
    });
}

#[test]
fn alias_is_not_cured() {
    // By design: the command is not `clone`, and reading the configuration would take a second process for every call of
    // git. The git that an alias starts is the real one, since git puts its own programs first on PATH.
    for_each_git(|_, arena| {
        let arena = arena.with_links_failing(libc::EPERM);
        let source = source::small(&arena, "src");
        for alias in ["alias.copy=clone --local", "alias.copy=!git clone --local"] {
            let line = [&["-c".into(), alias.into()], &args("copy SRC dst")[..]].concat();
            let twin = arena.assert_twins(&with_source(&source, line));
            assert!(twin.outcome.died_of(REFUSED), "{:?}", twin.outcome);
        }
    });
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
        let excluded =
            "-c lfs.fetchinclude=*.txt -c lfs.fetchexclude=*.bin clone -q --local SRC dst";
        arena.assert_cured(&with_source(&source, args(excluded)));
        assert!(checked_out().starts_with("version https://git-lfs"));
        let url = format!("file://{}", source.display());
        let twin = arena.assert_twins(&with_source(url, args("clone SRC dst")));
        twin.outcome.succeeded();
        assert_eq!(checked_out(), large);
    });
}

#[test]
fn git_submodule_works() {
    const ALLOW: &str = "-c protocol.file.allow=always";
    for_each_git(|_, arena| {
        let arena = arena.with_links_failing(libc::EPERM);
        let outer = source::with_submodule(&arena, "outer");
        let cloned = |_: &Path| {
            let clone = with_source(&outer, args("clone --no-hardlinks SRC dst"));
            arena.real(clone).run().succeeded();
        };
        let update = format!("-C dst {ALLOW} submodule update --init");
        let twin = arena.assert_twins_in(&cloned, &args(&update));
        twin.outcome.succeeded();
        assert!(arena.work_dir().join("dst/inner/three").exists());
        // As fpm-cookery calls it.
        let recursive = format!("{ALLOW} clone -q -l --recurse-submodules SRC dst");
        arena.assert_cured(&with_source(&outer, args(&recursive)));
        assert!(arena.work_dir().join("dst/inner/three").exists());
    });
}

#[test]
fn git_worktree_works() {
    for_each_git(|_, arena| {
        let source = source::small(&arena, "src");
        let cloned = |_: &Path| {
            let clone = with_source(&source, args("clone --no-hardlinks SRC dst"));
            arena.real(clone).run().succeeded();
        };
        let twin = arena.assert_twins_in(&cloned, &args("-C dst worktree add ../tree side"));
        twin.outcome.succeeded();
        assert!(arena.work_dir().join("tree/three").exists());
    });
}
