//! `git-clone-shim install`: what it writes, what it needs, what it prints, and its last check.
//! (Where it can write: `install_places`; interrupted: `interrupted_installs`; at the same time: `concurrent_installs`; against
//! another user: `hostile_installs`; the module files: `modules`; what is for shells: `shells`; install.sh: `install_script`.)

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use nix::sys::stat::{Mode, SFlag, makedev, mknod};

use crate::support::arena::Arena;
use crate::support::arrangement;
use crate::support::call::Call;
use crate::support::executable;
use crate::support::installer::{Site, VERSION, assert_refused, lines_after, shells, version};
use crate::support::tree;

#[test]
fn wrong_options_are_refused() {
    let site = Site::new();
    let lines: [&[&str]; 16] = [
        &["install", "--nonsense"],
        &["install", "operand"],
        &["install", ""],
        &["install", "-p", "/opt"],
        &["install", "--prefix"],
        &["install", "--prefix="],
        &["install", "--prefix", "/a:b"],
        &["install", "--prefix", "/a\nb"],
        &["install", "--prefix", "/a\x1b[31mb"],
        &["install", "--modules", "/a\nb"],
        &["install", "--profile-d", "/a\nb"],
        &["install", "--destdir", ""],
        &["install", "--destdir", "/a\nb"],
        &["activate"],
        &["versions", "--dry-run"],
        &["uninstall", "1", "2"],
    ];
    for line in lines {
        let mut command = site.arena.command(executable::shim());
        command.args(line);
        assert_refused(&Call::new(command).run(), 2);
    }
    for task in ["install", "versions", "uninstall"] {
        let mut homeless = site.arena.command(executable::shim());
        homeless.arg(task).env("HOME", "");
        assert_refused(&Call::new(homeless).run(), 2);
    }
    assert!(!site.prefix.exists());
}

/// All that a first installation leaves below its prefix.
const INSTALLED: &str = "
git-clone-shim
git-clone-shim/current
git-clone-shim/manifest
git-clone-shim/VERSION
git-clone-shim/VERSION/bin
git-clone-shim/VERSION/bin/git
git-clone-shim/VERSION/bin/git-clone-shim
git-clone-shim/VERSION/manifest
git-clone-shim/VERSION/share
git-clone-shim/VERSION/share/bash-completion
git-clone-shim/VERSION/share/bash-completion/completions
git-clone-shim/VERSION/share/bash-completion/completions/git-clone-shim
git-clone-shim/VERSION/share/doc
git-clone-shim/VERSION/share/doc/git-clone-shim
git-clone-shim/VERSION/share/doc/git-clone-shim/LICENSE
git-clone-shim/VERSION/share/doc/git-clone-shim/README.md
git-clone-shim/VERSION/share/fish
git-clone-shim/VERSION/share/fish/vendor_completions.d
git-clone-shim/VERSION/share/fish/vendor_completions.d/git-clone-shim.fish
git-clone-shim/VERSION/share/man
git-clone-shim/VERSION/share/man/man1
git-clone-shim/VERSION/share/man/man1/git-clone-shim.1
git-clone-shim/VERSION/share/zsh
git-clone-shim/VERSION/share/zsh/site-functions
git-clone-shim/VERSION/share/zsh/site-functions/_git-clone-shim
modulefiles
modulefiles/git-clone-shim
modulefiles/git-clone-shim/.version
modulefiles/git-clone-shim/VERSION
modulefiles/git-clone-shim/VERSION.lua
";

#[test]
fn install_writes_the_whole_tree_and_shows_that_it_works() {
    let site = Site::new();
    let outcome = site.run("install", [""; 0]).succeeded();
    let expected = INSTALLED.replace("VERSION", VERSION);
    let expected = expected.split_whitespace().map(PathBuf::from).collect();
    assert_eq!(site.paths(), expected);
    assert_eq!(site.current().as_deref(), Some(Path::new(VERSION)));
    site.assert_works(&site.bin(), VERSION);
    let installed = fs::read(site.bin().join("git-clone-shim")).unwrap();
    assert!(
        installed == fs::read(site.program(VERSION)).unwrap(),
        "the installed program has other bytes"
    );
    for (embedded, source) in [
        ("share/man/man1/git-clone-shim.1", "man/git-clone-shim.1"),
        ("share/doc/git-clone-shim/LICENSE", "LICENSE"),
        ("share/doc/git-clone-shim/README.md", "README.md"),
    ] {
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join(source);
        let embedded = fs::read(site.live(VERSION).join(embedded));
        assert_eq!(embedded.unwrap(), fs::read(source).unwrap());
    }

    let shown = String::from_utf8_lossy(&outcome.stdout);
    for part in ["this shim", "git clone --local, by the shim"] {
        assert!(shown.contains(part), "{shown}");
    }
    let line = &lines_after("export PATH=", &outcome)[0];
    for shell in shells() {
        let script = format!("export PATH={line}; command -v git");
        let found = site.answer(shell, &script, &Arena::path(&[]));
        assert_eq!(Path::new(&found), site.bin().join("git"));
    }
}

#[test]
fn install_needs_neither_source_nor_tools() {
    let site = Site::new();
    // As a release names it.
    let alone = site
        .arena
        .root()
        .join(format!("git-clone-shim-{VERSION}-x86_64"));
    executable::copy(&site.program(VERSION), &alone);
    let mut command = site.arena.command(&alone);
    // On PATH there is nothing but git, and the shell by which git clones.
    let git = which::which("git").unwrap();
    let bin = site.arena.root().join("only");
    fs::create_dir(&bin).unwrap();
    symlink(&git, bin.join("git")).unwrap();
    command.arg("install").arg("--prefix").arg(&site.prefix);
    command.env("PATH", &bin);
    Call::new(command).run().succeeded();
    site.assert_works(&site.bin(), VERSION);
}

/// Copies a program, and the libraries that it needs, to where they are below `root`.
fn copy_with_libraries(root: &Path, program: &Path, to: &str) {
    let place = |path: &Path| root.join(path.strip_prefix("/").unwrap_or(path));
    let put = |from: &Path, to: &Path| {
        fs::create_dir_all(to.parent().unwrap()).unwrap();
        executable::copy(from, to);
    };
    put(program, &place(Path::new(to)));
    let libraries = Command::new("ldd").arg(program).output().unwrap();
    for word in String::from_utf8(libraries.stdout)
        .unwrap()
        .split_whitespace()
    {
        if word.starts_with('/') {
            put(Path::new(word), &place(Path::new(word)));
        }
    }
}

#[test]
fn install_works_where_there_is_nothing_but_git() {
    if !arrangement::is_root() || arrangement::program("ldd").is_none() {
        return;
    }
    let site = Site::new();
    let root = site.arena.root().join("bare");
    // git, and what git itself runs for a clone.
    copy_with_libraries(&root, &which::which("git").unwrap(), "/bin/git");
    copy_with_libraries(&root, &which::which("sh").unwrap(), "/bin/sh");
    let exec_path = Command::new("git").arg("--exec-path").output().unwrap();
    let exec_path = String::from_utf8(exec_path.stdout).unwrap();
    let helpers = root.join(exec_path.trim().trim_start_matches('/'));
    fs::create_dir_all(&helpers).unwrap();
    symlink("/bin/git", helpers.join("git-upload-pack")).unwrap();
    copy_with_libraries(&root, &site.program(VERSION), "/downloaded/git-clone-shim");
    for directory in ["tmp", "dev"] {
        fs::create_dir(root.join(directory)).unwrap();
    }
    for (name, minor) in [("null", 3), ("urandom", 9)] {
        let mode = Mode::from_bits_truncate(0o666);
        mknod(
            &root.join("dev").join(name),
            SFlag::S_IFCHR,
            mode,
            makedev(1, minor),
        )
        .unwrap();
    }

    let run = |program: &str, args: &[&str]| {
        let mut chroot = Command::new(which::which("chroot").unwrap());
        chroot.arg(&root).arg(program).args(args);
        chroot
            .env_clear()
            .env("PATH", "/opt/git-clone-shim/current/bin:/bin");
        chroot.env("GIT_CONFIG_NOSYSTEM", "1").current_dir("/");
        Call::new(chroot).run()
    };
    let outcome = run(
        "/downloaded/git-clone-shim",
        &["install", "--prefix", "/opt"],
    )
    .succeeded();
    let shown = String::from_utf8_lossy(&outcome.stdout);
    assert!(shown.contains("git clone --local, by the shim"), "{shown}");
    let installed = fs::read(root.join("opt/git-clone-shim/current/bin/git")).unwrap();
    assert!(installed == fs::read(site.program(VERSION)).unwrap());
    let bin = "/opt/git-clone-shim/current/bin";
    let version = run(&format!("{bin}/git"), &["--version"]).succeeded();
    assert!(version.stdout.starts_with(b"git version "), "{version:?}");
    run(
        &format!("{bin}/git-clone-shim"),
        &["uninstall", "--prefix", "/opt"],
    )
    .succeeded();
    assert!(!root.join("opt").exists());
}

#[test]
fn install_without_a_prefix_writes_below_home() {
    let site = Site::new();
    let mut command = site.arena.command(site.program(VERSION));
    command.args(["install", "--destdir=/"]);
    Call::new(command).run().succeeded();
    let bin = "home/.local/opt/git-clone-shim/current/bin";
    site.assert_works(&site.arena.root().join(bin), VERSION);
}

#[test]
fn tree_staged_below_a_destdir_is_the_same() {
    let site = Site::new();
    let staging = site.arena.root().join("staging");
    let options = ["--profile-d=/etc/profile.d", "--destdir"];
    let options = options.into_iter().chain(staging.to_str());
    site.run("install", options).succeeded();
    assert!(!site.prefix.exists());
    assert!(staging.join("etc/profile.d/git-clone-shim.csh").exists());
    let staged = tree::read(&staging.join(site.prefix.strip_prefix("/").unwrap()));

    let profile_d = site.arena.root().join("profile.d");
    site.install(VERSION, &["--profile-d", profile_d.to_str().unwrap()]);
    // What goes with the last version differs: other directories were made, and other snippets written.
    let differing = tree::differences(&staged, &tree::read(&site.prefix));
    assert!(
        differing.len() == 1 && differing[0].starts_with("git-clone-shim/manifest: "),
        "{differing:?}"
    );
    let mut grep = site.arena.command("grep");
    let told = grep.args(["-r", "-F"]).args([&staging, &staging]).output();
    assert_eq!(told.unwrap().stdout, b"");
    let options = ["--destdir"].into_iter().chain(staging.to_str());
    site.run("uninstall", options).succeeded();
    let left: Vec<_> = tree::read(&staging).into_keys().collect();
    assert!(
        left.iter()
            .all(|path| !path.to_string_lossy().contains("git-clone-shim")),
        "{left:?}"
    );
}

#[test]
fn dry_run_changes_nothing_and_names_everything() {
    let site = Site::new();
    site.program(VERSION);
    let newer = version(2);
    site.program(&newer);
    let before = tree::read(site.arena.root());
    let dry = site.install(VERSION, &["--dry-run"]);
    assert_eq!(
        tree::differences(&before, &tree::read(site.arena.root())),
        [""; 0]
    );
    let written = lines_after("Would write ", &dry);
    site.install(VERSION, &[]);
    for path in site.paths() {
        let path = site.prefix.join(path);
        let is_named = written.iter().any(|written| path.starts_with(written));
        // Directories are named by what is in them.
        assert!(is_named || path.is_dir(), "{}", path.display());
    }

    site.install(&newer, &["--no-default"]);
    let before = tree::read(&site.prefix);
    let current = site.root().join("current");
    let dry = site.run("activate", ["--dry-run", &newer]).succeeded();
    assert!(lines_after("Would write ", &dry).contains(&current.to_str().unwrap().to_owned()));
    let dry = site.run("uninstall", ["--dry-run"]).succeeded();
    assert_eq!(
        tree::differences(&before, &tree::read(&site.prefix)),
        [""; 0]
    );
    let removed: BTreeSet<_> = lines_after("Would remove ", &dry)
        .into_iter()
        .map(|path| path.trim_end_matches('/').to_owned())
        .collect();
    let all = before
        .into_keys()
        .map(|path| site.prefix.join(path))
        .chain([site.prefix.clone()]);
    let all: BTreeSet<_> = all.map(|path| path.to_str().unwrap().to_owned()).collect();
    assert_eq!(removed, all);
}

#[test]
fn last_check_leaves_the_current_directory_alone() {
    let site = Site::new();
    let file = site.arena.work_dir().join("file");
    fs::write(&file, "").unwrap();
    for temporary in ["absent", "tmp", "two\nlines"] {
        let mut command = site.command("install", [""; 0]);
        let temporary = site.arena.root().join(temporary);
        command.env("TMPDIR", &temporary);
        let outcome = Call::new(command).run();
        assert_eq!(tree::read(site.arena.work_dir()).len(), 1, "{outcome:?}");
        // Where nothing can be tried, what was installed works all the same.
        assert_eq!(outcome.status.code(), Some(i32::from(!temporary.exists())));
        assert_eq!(outcome.stderr_contains("TMPDIR"), !temporary.exists());
        site.assert_works(&site.bin(), VERSION);
        if temporary.exists() {
            assert!(tree::read(&temporary).is_empty());
        }
        site.run("uninstall", [""; 0]).succeeded();
    }
}

#[test]
fn git_before_the_shim_on_path_is_named() {
    let site = Site::new();
    let real = site.arena.real_directory();
    for (path, warns) in [
        ([real.clone(), site.bin()], true),
        ([site.bin(), real.clone()], false),
        ([real.clone(), real.clone()], false),
    ] {
        let mut command = site.command("install", [""; 0]);
        command.env("PATH", Arena::path(&path));
        let outcome = Call::new(command).run().succeeded();
        assert_eq!(
            outcome.stderr_contains("comes before it"),
            warns,
            "{outcome:?}"
        );
        assert_eq!(
            outcome.stderr_contains(real.join("git").to_str().unwrap()),
            warns
        );
    }
}
