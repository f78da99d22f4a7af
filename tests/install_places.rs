//! Where `git-clone-shim install` can write and where not: odd names, links, other umasks, read-only and full filesystems.

use std::ffi::OsString;
use std::fs;
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use nix::fcntl::posix_fallocate;
use nix::sys::statvfs::fstatvfs;

use crate::support::call::Call;
use crate::support::installer::{Site, VERSION, assert_refused, shells, version};
use crate::support::mounted::Mounted;
use crate::support::tree;

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
        for path in site.paths() {
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
        assert!(site.paths().is_empty());
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
