//! `git-clone-shim install`, `versions`, `activate` and `uninstall`: what is installed and where, how versions are switched and
//! removed, and what is left where the program cannot do so.
//! (Interrupted: `interrupted_installs`; at the same time: `concurrent_installs`; against another user:
//! `hostile_installs`; under running clones: `upgrades`; the module files: `modules`; install.sh: `install_script`.)

use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use nix::fcntl::posix_fallocate;
use nix::sys::stat::{Mode, SFlag, makedev, mknod};
use nix::sys::statvfs::fstatvfs;

use crate::support::arena::Arena;
use crate::support::arrangement;
use crate::support::call::{Call, Outcome};
use crate::support::executable;
use crate::support::installer::{Site, VERSION, shells, version};
use crate::support::mounted::Mounted;
use crate::support::tree;

/// Asserts that the program ended with this status and said why in one line.
#[track_caller]
fn assert_refused(outcome: &Outcome, status: i32) {
    assert!(outcome.is_our_failure(status), "{outcome:?}");
}

/// What the lines of standard output that begin with `start` go on with.
fn lines_after(start: &str, outcome: &Outcome) -> Vec<String> {
    let text = String::from_utf8(outcome.stdout.clone()).unwrap();
    let lines = text.lines().filter_map(|line| line.strip_prefix(start));
    lines.map(str::to_owned).collect()
}

/// Every path below the site's prefix.
fn paths(site: &Site) -> BTreeSet<PathBuf> {
    tree::read(&site.prefix).into_keys().collect()
}

/// The version that Environment Modules and Lmod load where none is named.
fn default_module(site: &Site) -> String {
    let file = site.prefix.join("modulefiles/git-clone-shim/.version");
    let text = fs::read_to_string(file).unwrap();
    let named = text.strip_prefix("#%Module1.0\nset ModulesVersion \"");
    named.unwrap().trim_end_matches("\"\n").to_owned()
}

/// What a script that `shell` runs with this PATH prints.
#[track_caller]
fn answer(site: &Site, shell: &[&str], script: &str, path: &OsStr) -> String {
    let mut command = site.arena.command(shell[0]);
    command
        .args(&shell[1..])
        .args(["-c", script])
        .env("PATH", path);
    let outcome = Call::new(command).run().succeeded();
    assert!(outcome.stderr.is_empty(), "{outcome:?}");
    let text = String::from_utf8(outcome.stdout).unwrap();
    text.trim_end().to_owned()
}

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
    assert_eq!(paths(&site), expected);
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
        let found = answer(&site, shell, &script, &Arena::path(&[]));
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
fn installed_program_finds_its_own_tree() {
    let site = Site::new();
    let [old, new] = [1, 2].map(version);
    site.install(&old, &[]);
    site.install(&new, &[]);
    let run = |args: &[&str]| {
        let mut command = site.arena.command(site.bin().join("git-clone-shim"));
        command.args(args);
        Call::new(command).run().succeeded()
    };
    let listed = run(&["versions"]).stdout;
    assert_eq!(listed, format!("{old}\n{new} (current)\n").as_bytes());
    run(&["activate", &old]);
    assert_eq!(default_module(&site), old);
    // It removes the file that it runs from, too.
    run(&["uninstall"]);
    assert!(!site.prefix.exists());
}

#[test]
fn uninstall_does_not_run_from_the_file_that_it_removes() {
    if arrangement::program("strace").is_none() {
        return;
    }
    let site = Site::new();
    site.install(VERSION, &[]);
    let log = site.arena.root().join("trace");
    let mut strace = site.arena.command("strace");
    strace
        .args(["-e", "trace=execveat,unlinkat", "-o"])
        .arg(&log);
    strace
        .arg(site.bin().join("git-clone-shim"))
        .arg("uninstall");
    Call::new(strace).run().succeeded();
    let log = fs::read_to_string(log).unwrap();
    let position = |call: &str| log.find(call).unwrap_or(usize::MAX);
    assert!(position("execveat(") < position("unlinkat("), "{log}");
    assert!(!site.prefix.exists());
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
fn versions_are_listed_and_switched() {
    let site = Site::new();
    let [old, new] = [1, 2].map(version);
    assert_refused(&site.run("activate", [&old]), 1);
    assert_eq!(site.list(), "");
    site.install(&old, &[]);
    assert_eq!(site.list(), format!("{old} (current)\n"));
    let outcome = site.install(&new, &["--no-default"]);
    assert_eq!(site.list(), format!("{old} (current)\n{new}\n"));
    // The line that is printed is for trying the version.
    let line = &lines_after("export PATH=", &outcome)[0];
    assert!(
        line.contains(&format!("/git-clone-shim/{new}/bin:")),
        "{line}"
    );
    assert_eq!(default_module(&site), old);
    site.run("activate", [&new]).succeeded();
    assert_eq!(site.list(), format!("{old}\n{new} (current)\n"));
    assert_eq!(default_module(&site), new);
    site.assert_works(&site.bin(), &new);
    site.run("activate", [&old]).succeeded();
    assert_eq!(default_module(&site), old);
    site.assert_works(&site.bin(), &old);
    for nowhere in ["9.9.9", "current", "../prefix", ".", "1\n2"] {
        assert_refused(&site.run("activate", [nowhere]), 1);
        assert_refused(&site.run("uninstall", [nowhere]), 1);
    }
    site.assert_works(&site.bin(), &old);
}

#[test]
fn installed_version_is_never_changed() {
    let site = Site::new();
    site.install(VERSION, &[]);
    let before = tree::read(&site.prefix);
    let again = site.install(VERSION, &[]);
    assert_eq!(
        lines_after("Already installed, and identical: ", &again),
        [site.live(VERSION).to_str().unwrap()]
    );
    assert_eq!(
        tree::differences(&before, &tree::read(&site.prefix)),
        [""; 0]
    );

    // Another program that calls itself by the same version.
    let program = site.arena.root().join("git-clone-shim");
    let bytes = fs::read(site.program(VERSION)).unwrap();
    executable::write(&program, &[&bytes[..], b"\n"].concat());
    let mut other = site.arena.command(program);
    other.arg("install").arg("--prefix").arg(&site.prefix);
    assert_refused(&Call::new(other).run(), 1);
    assert_eq!(
        tree::differences(&before, &tree::read(&site.prefix)),
        [""; 0]
    );
    // What an admin has changed in a module file stays.
    let module = site
        .prefix
        .join("modulefiles/git-clone-shim")
        .join(format!("{VERSION}.lua"));
    fs::write(&module, "-- ours\n").unwrap();
    site.install(VERSION, &[]);
    assert_eq!(fs::read(&module).unwrap(), b"-- ours\n");
}

#[test]
fn module_files_that_were_there_before_are_kept() {
    let [old, new] = [1, 2].map(version);
    for is_changed in [false, true] {
        let site = Site::new();
        site.install(&new, &[]);
        site.install(&old, &[]);
        // As an admin does who does not know of `uninstall`.
        fs::remove_dir_all(site.live(&new)).unwrap();
        let modules = site.prefix.join("modulefiles/git-clone-shim");
        let files = [modules.join(format!("{new}.lua")), modules.join(&new)];
        if is_changed {
            for file in &files {
                fs::write(file, "ours\n").unwrap();
            }
        }
        site.install(&new, &["--no-default"]);
        site.run("activate", [&new]).succeeded();
        assert_eq!(default_module(&site), new);
        site.run("activate", [&old]).succeeded();
        site.run("uninstall", [&new]).succeeded();
        assert_eq!(default_module(&site), old);
        assert_eq!(files.map(|file| file.exists()), [is_changed; 2]);
    }
}

#[test]
fn files_of_other_origin_are_never_touched() {
    let site = Site::new();
    let modules = site.prefix.join("modulefiles/git-clone-shim");
    let profile_d = site.prefix.join("profile.d");
    fs::create_dir_all(&modules).unwrap();
    fs::create_dir_all(&profile_d).unwrap();
    let foreign = [
        modules.join(".version"),
        modules.join(VERSION),
        profile_d.join("git-clone-shim.sh"),
    ];
    for file in &foreign {
        fs::write(file, "an admin's\n").unwrap();
    }
    let options = ["--profile-d", profile_d.to_str().unwrap()];
    let outcome = site.install(VERSION, &options);
    let left = lines_after("Left as it is, since it is not ours: ", &outcome);
    assert_eq!(left.len(), foreign.len(), "{left:?}");
    assert!(profile_d.join("git-clone-shim.csh").exists());
    site.install(&version(2), &options);
    site.run("activate", [VERSION]).succeeded();
    site.run("uninstall", [""; 0]).succeeded();
    let left: BTreeSet<_> = paths(&site);
    let files = foreign
        .iter()
        .map(|file| file.strip_prefix(&site.prefix).unwrap().to_owned());
    let directories = ["modulefiles", "modulefiles/git-clone-shim", "profile.d"];
    let expected: BTreeSet<_> = files.chain(directories.map(PathBuf::from)).collect();
    assert_eq!(left, expected);
    for file in foreign {
        assert_eq!(fs::read(file).unwrap(), b"an admin's\n");
    }
}

#[test]
fn other_file_in_the_place_of_the_tree_is_an_error() {
    type Plant = fn(&Path);
    let plants: [(&str, Plant); 6] = [
        ("", |path| fs::write(path, "").unwrap()),
        ("VERSION", |path| {
            fs::create_dir_all(path.join("x")).unwrap();
        }),
        ("VERSION", |path| fs::write(path, "").unwrap()),
        ("current", |path| fs::create_dir(path).unwrap()),
        ("current", |path| fs::write(path, "").unwrap()),
        ("manifest", |path| fs::create_dir(path).unwrap()),
    ];
    for (name, plant) in plants {
        let site = Site::new();
        let path = site.root().join(name.replace("VERSION", VERSION));
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        plant(path.components().collect::<PathBuf>().as_path());
        let before = tree::read(&site.prefix);
        assert_refused(&site.try_install(VERSION, &[]), 1);
        let after = tree::read(&site.prefix);
        assert_eq!(tree::differences(&before, &after), [""; 0], "{name}");
    }
}

#[test]
fn uninstall_leaves_no_trace() {
    let site = Site::new();
    site.program(VERSION);
    let [old, new] = [1, 2].map(version);
    for version in [&old, &new] {
        site.program(version);
    }
    let profile_d = site.arena.root().join("etc/profile.d");
    let before = tree::read(site.arena.root());
    assert_refused(&site.run("uninstall", [""; 0]), 1);
    site.install(&old, &["--profile-d", profile_d.to_str().unwrap()]);
    site.install(&new, &[]);
    // A user who has the current one on PATH would lose it without notice.
    assert_refused(&site.run("uninstall", [&new]), 1);
    let said = site.run("uninstall", [&old]).succeeded().stdout;
    let removed = site.root().join(&old);
    let expected = format!("Removed {}\nIf a shell still", removed.display());
    assert!(
        said.starts_with(expected.as_bytes()),
        "{}",
        said.escape_ascii()
    );
    assert_eq!(site.list(), format!("{new} (current)\n"));
    let is_old = |path: &PathBuf| path.to_string_lossy().contains(&old);
    assert!(!paths(&site).iter().any(is_old));
    assert!(profile_d.join("git-clone-shim.sh").exists());
    site.assert_works(&site.bin(), &new);

    site.install(&old, &[]);
    site.run("uninstall", [""; 0]).succeeded();
    assert_eq!(
        tree::differences(&before, &tree::read(site.arena.root())),
        [""; 0]
    );
}

#[test]
fn uninstall_keeps_what_no_manifest_lists() {
    let site = Site::new();
    fs::create_dir_all(site.prefix.join("modulefiles")).unwrap();
    site.install(VERSION, &[]);
    let other = site.prefix.join("modulefiles/other");
    fs::write(&other, "").unwrap();
    // As NFS keeps a program that still runs.
    let busy = site.live(VERSION).join("bin/.nfs0001");
    fs::write(&busy, "").unwrap();
    assert_refused(&site.run("uninstall", [""; 0]), 1);
    assert!(busy.exists() && site.list() == format!("{VERSION}\n"));
    fs::remove_file(&busy).unwrap();
    // Beside the listed directories.
    let note = site.live(VERSION).join("note");
    fs::write(&note, "").unwrap();
    assert_refused(&site.run("uninstall", [""; 0]), 1);
    fs::remove_file(&note).unwrap();
    site.run("uninstall", [""; 0]).succeeded();
    assert!(other.exists() && !site.root().exists());
    assert_eq!(paths(&site).len(), 2);
}

#[test]
fn uninstall_names_what_it_leaves() {
    let site = Site::new();
    site.install(VERSION, &[]);
    fs::write(site.root().join("note"), "").unwrap();
    let outcome = site.run("uninstall", [""; 0]).succeeded();
    let left = lines_after("Left, since not all in it is listed: ", &outcome);
    assert_eq!(left, [format!("{}/", site.root().display())]);
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
    for path in paths(&site) {
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

/// The command, run by a shell under this umask.
fn under_umask(site: &Site, umask: &str, command: &Command) -> Call {
    let mut masked = site.arena.command("sh");
    masked
        .args(["-c", &format!("umask {umask}; exec \"$@\""), "sh"])
        .arg(command.get_program())
        .args(command.get_args());
    Call::new(masked)
}

#[test]
fn all_users_can_read_the_tree_whatever_the_umask() {
    for umask in ["077", "777", "000"] {
        let site = Site::new();
        // As sites share a tree among its maintainers.
        fs::create_dir(&site.prefix).unwrap();
        fs::set_permissions(&site.prefix, fs::Permissions::from_mode(0o2775)).unwrap();
        let etc = site.prefix.join("etc");
        let command = site.install_command(VERSION, &["--profile-d", etc.to_str().unwrap()]);
        under_umask(&site, umask, &command).run().succeeded();
        for path in paths(&site) {
            let metadata = fs::symlink_metadata(site.prefix.join(&path)).unwrap();
            let program = path.ends_with("bin/git-clone-shim");
            let expected = match metadata.file_type() {
                kind if kind.is_dir() => 0o2755,
                kind if kind.is_symlink() => 0o777,
                _ if program => 0o755,
                _ => 0o644,
            };
            assert_eq!(metadata.mode() & 0o7777, expected, "{}", path.display());
        }
        under_umask(&site, umask, &site.command("uninstall", [""; 0]))
            .run()
            .succeeded();
        assert!(paths(&site).is_empty());
    }
}

#[test]
fn blanks_quotes_and_other_bytes_in_paths_are_kept() {
    let odd = "a b/it's \"$HOME\" `x` \\ & | * ! é".into();
    let latin1 = OsString::from_vec(b"caf\xe9 b".to_vec());
    for name in [odd, latin1] {
        let mut site = Site::new();
        site.prefix = site.arena.root().join(name);
        let profile_d = site.prefix.join("pro file");
        let modules = site.prefix.join("mo{du]l[es");
        let mut install = site.install_command(VERSION, &[]);
        install.arg("--profile-d").arg(&profile_d);
        install.arg("--modules").arg(&modules);
        let outcome = Call::new(install).run().succeeded();
        site.assert_works(&site.bin(), VERSION);
        let mut lines = outcome.stdout.split(|&byte| byte == b'\n');
        let line = lines
            .find(|line| line.starts_with(b"export PATH="))
            .unwrap();
        let script = OsString::from_vec([line, b"; printenv PATH"].concat());
        for shell in shells() {
            let snippet = profile_d.join("git-clone-shim.sh");
            for script in [&script, &". \"$SNIPPET\"; printenv PATH".into()] {
                let mut command = site.arena.command(shell[0]);
                command.args(&shell[1..]).arg("-c").arg(script);
                command.env("SNIPPET", &snippet);
                let path = Call::new(command).run().succeeded().stdout;
                let expected = [site.bin().as_os_str().as_encoded_bytes(), b":"].concat();
                assert!(path.starts_with(&expected), "{}", path.escape_ascii());
            }
        }
        site.run("uninstall", [""; 0]).succeeded();
        assert!(!site.prefix.exists());
    }
}

#[test]
fn prefix_is_resolved_as_far_as_a_manifest_needs_it() {
    let site = Site::new();
    let real = site.arena.root().join("real prefix");
    fs::create_dir(&real).unwrap();
    symlink(&real, &site.prefix).unwrap();
    let below = site.prefix.join("./x/../y//");
    fs::create_dir(real.join("x")).unwrap();
    let install = |prefix: &Path| {
        let mut command = site.arena.command(site.program(VERSION));
        command
            .args(["install", "--destdir=/", "--prefix"])
            .arg(prefix);
        Call::new(command).run()
    };
    install(&below).succeeded();
    site.assert_works(&real.join("y/git-clone-shim/current/bin"), VERSION);
    install(&site.prefix).succeeded();
    site.assert_works(&site.bin(), VERSION);
    // It names no directory by its resolved path: the tree can be moved.
    let manifest = fs::read_to_string(site.root().join("manifest")).unwrap();
    assert!(!manifest.contains("real prefix"), "{manifest}");
    site.run("uninstall", [""; 0]).succeeded();
    assert!(!site.root().exists() && real.exists());
    let missing = site.arena.root().join("nowhere/../prefix");
    assert_refused(&install(&missing), 1);
}

#[test]
fn tree_whose_directories_are_links_is_installed_and_removed() {
    let site = Site::new();
    let elsewhere = site.arena.root().join("elsewhere");
    for name in ["git-clone-shim", "modulefiles"] {
        fs::create_dir_all(elsewhere.join(name)).unwrap();
        fs::create_dir_all(&site.prefix).unwrap();
        symlink(elsewhere.join(name), site.prefix.join(name)).unwrap();
    }
    let before = tree::read(&elsewhere);
    for version in [version(1), version(2)] {
        site.install(&version, &[]);
        site.assert_works(&site.bin(), &version);
    }
    site.run("uninstall", [""; 0]).succeeded();
    assert_eq!(tree::differences(&before, &tree::read(&elsewhere)), [""; 0]);
}

#[test]
fn prefix_that_cannot_be_written_to_is_refused() {
    let mut site = Site::new();
    let file = site.arena.root().join("file");
    fs::write(&file, "").unwrap();
    let long = site.arena.root().join("a".repeat(5000));
    let proc = PathBuf::from("/proc/nowhere");
    for prefix in [file.join("below"), file, long, proc] {
        site.prefix = prefix;
        assert_refused(&site.try_install(VERSION, &[]), 1);
        // Root may write to /proc, until it tries.
        if !site.prefix.starts_with("/proc") {
            assert_refused(&site.try_install(VERSION, &["--dry-run"]), 1);
        }
    }
}

/// A site whose prefix is on a filesystem of the test's own, with an older version of the shim, and what makes it so.
#[track_caller]
fn on_a_filesystem(options: &str) -> Option<(Site, Mounted)> {
    let mut site = Site::new();
    let script = format!("mount -t tmpfs -o {options} tmpfs mount");
    let mounted = Mounted::by(&script, tempfile::tempdir().unwrap(), "tmpfs")?;
    site.prefix = mounted.path().join("prefix");
    site.install(&version(1), &[]);
    Some((site, mounted))
}

#[test]
fn read_only_tree_is_refused_and_listed() {
    let Some((site, mounted)) = on_a_filesystem("mode=755") else {
        return;
    };
    let before = tree::read(&site.prefix);
    let done = site
        .arena
        .command("mount")
        .args(["-o", "remount,ro"])
        .arg(mounted.path())
        .status();
    assert!(done.unwrap().success());
    let [old, new] = [1, 2].map(version);
    assert_refused(&site.try_install(&new, &[]), 1);
    assert_refused(&site.run("activate", [&old]), 1);
    assert_refused(&site.run("uninstall", [""; 0]), 1);
    assert_eq!(site.list(), format!("{old} (current)\n"));
    assert_eq!(
        tree::differences(&before, &tree::read(&site.prefix)),
        [""; 0]
    );
    site.assert_works(&site.bin(), &old);
}

/// Makes `filler` as large as its filesystem allows for `free` bytes to remain.
fn fill(filler: &fs::File, free: u64) {
    filler.set_len(0).unwrap();
    let filesystem = fstatvfs(filler).unwrap();
    let all = filesystem.blocks_available() * filesystem.fragment_size();
    let length = all.checked_sub(free).unwrap();
    posix_fallocate(filler, 0, length.try_into().unwrap()).unwrap();
}

#[test]
fn full_disk_leaves_everything_as_it_was() {
    let size = fs::metadata(Site::new().program(&version(2)))
        .unwrap()
        .len();
    let options = format!("size={}", 3 * size);
    let Some((site, mounted)) = on_a_filesystem(&options) else {
        return;
    };
    let before = tree::read(&site.prefix);
    let filler = fs::File::create(mounted.path().join("filler")).unwrap();
    // A few pages more each time, past what the program takes, until all of it fits.
    let mut refusals = 0;
    loop {
        fill(
            &filler,
            if refusals == 0 {
                0
            } else {
                size + 4096 * refusals
            },
        );
        let outcome = site.try_install(&version(2), &[]);
        if outcome.status.success() {
            break;
        }
        assert_refused(&outcome, 1);
        assert!(
            outcome.stderr_contains("No space left on device"),
            "{outcome:?}"
        );
        assert_eq!(
            tree::differences(&before, &tree::read(&site.prefix)),
            [""; 0]
        );
        site.assert_works(&site.bin(), &version(1));
        refusals += 1;
    }
    assert!(refusals > 5);
    site.assert_works(&site.bin(), &version(2));
    // What is full can be removed.
    fill(&filler, 0);
    site.run("uninstall", [""; 0]).succeeded();
    assert!(!site.root().exists());
}

/// PATH after a shell has read the snippet for login shells, with what `prepare` says before.
#[track_caller]
fn path_after(site: &Site, shell: &[&str], prepare: &str) -> String {
    let (read, snippet) = match shell[0] {
        "tcsh" => ("source", "git-clone-shim.csh"),
        _ => (".", "git-clone-shim.sh"),
    };
    let snippet = site.prefix.join("profile.d").join(snippet);
    let script = format!(
        "{prepare}; {read} {0}; {read} {0}; printenv PATH",
        snippet.display()
    );
    answer(site, shell, &script, &Arena::path(&[]))
}

#[test]
fn snippets_put_the_shim_first_on_path_in_login_shells() {
    let site = Site::new();
    let profile_d = site.prefix.join("profile.d");
    site.install(VERSION, &["--profile-d", profile_d.to_str().unwrap()]);
    let plain = Arena::path(&[]).into_string().unwrap();
    let first = Arena::path(&[site.bin()]).into_string().unwrap();
    let mut found = shells();
    for shell in [["zsh", "-f"].as_slice(), &["tcsh", "-f"]] {
        found.extend(arrangement::program(shell[0]).map(|_| shell));
    }
    for shell in &found {
        let strict = if shell[0] == "tcsh" { "" } else { "set -eu" };
        assert_eq!(path_after(&site, shell, strict), first);
        let (off, auto) = match shell[0] {
            "tcsh" => ("setenv GIT_CLONE_SHIM off", "setenv GIT_CLONE_SHIM auto"),
            _ => ("export GIT_CLONE_SHIM=off", "export GIT_CLONE_SHIM=auto"),
        };
        assert_eq!(path_after(&site, shell, off), plain);
        assert_eq!(path_after(&site, shell, auto), first);
    }
    // A tree that is not mounted on this node.
    fs::rename(site.root(), site.prefix.join("elsewhere")).unwrap();
    for shell in &found {
        assert_eq!(path_after(&site, shell, "true"), plain);
    }
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

#[test]
fn shells_complete_subcommands_and_options() {
    let site = Site::new();
    site.run("install", [""; 0]).succeeded();
    let share = site.live(VERSION).join("share");
    // As each shell asks for completions: what begins with `do`, and the options of `install` that begin with `--pre`.
    let bash = "source \"$0\"; for words in do 'install --pre'; do COMP_WORDS=(git-clone-shim $words); \
        COMP_CWORD=$((${#COMP_WORDS[@]} - 1)); last=${COMP_WORDS[-1]}; \
        _git__clone__shim git-clone-shim \"$last\" \"${COMP_WORDS[-2]}\"; echo \"${COMPREPLY[@]}\"; done";
    let fish = "source $argv[1]; for line in 'git-clone-shim do' 'git-clone-shim install --pre'; complete -C $line; end";
    for (shell, script, file) in [
        ("bash", bash, "bash-completion/completions/git-clone-shim"),
        (
            "fish",
            fish,
            "fish/vendor_completions.d/git-clone-shim.fish",
        ),
    ] {
        let Some(shell) = arrangement::program(shell) else {
            continue;
        };
        let mut command = site.arena.command(shell);
        command.args(["-c", script]).arg(share.join(file));
        let outcome = Call::new(command).run().succeeded();
        let completed = String::from_utf8_lossy(&outcome.stdout);
        let completed: Vec<&str> = completed
            .lines()
            .filter_map(|line| line.split_whitespace().next())
            .collect();
        assert_eq!(completed, ["doctor", "--prefix"], "{outcome:?}");
    }
    // zsh completes in its line editor only: here it reads the script.
    if let Some(zsh) = arrangement::program("zsh") {
        let mut command = site.arena.command(zsh);
        command
            .arg("-n")
            .arg(share.join("zsh/site-functions/_git-clone-shim"));
        Call::new(command).run().succeeded();
    }
}
