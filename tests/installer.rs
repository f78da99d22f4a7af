//! install.sh: what it installs and where, how it switches and removes versions, and what it leaves where it cannot.
//! (Interrupted: `interrupted_installs`; under running clones: `upgrades`; its module files: `modules`.)

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use nix::fcntl::posix_fallocate;
use nix::sys::statvfs::fstatvfs;

use crate::support::arena::Arena;
use crate::support::arrangement;
use crate::support::call::{Call, Outcome};
use crate::support::executable;
use crate::support::installer::{SH, Shell, Site, VERSION, shells, version};
use crate::support::mounted::Mounted;
use crate::support::tree;

/// Asserts that install.sh ended with this status and said why in one line.
#[track_caller]
fn assert_refused(outcome: &Outcome, status: i32) {
    let line = outcome.stderr.strip_suffix(b"\n").unwrap_or_default();
    let one = line.starts_with(b"install.sh: ") && !line.contains(&b'\n');
    assert!(one && outcome.status.code() == Some(status), "{outcome:?}");
}

/// What the lines of standard output that begin with `args` go on with.
fn lines_after(args: &str, outcome: &Outcome) -> Vec<String> {
    let text = String::from_utf8(outcome.stdout.clone()).unwrap();
    let lines = text.lines().filter_map(|line| line.strip_prefix(args));
    lines.map(str::to_owned).collect()
}

/// What install.sh lists, run in `shell`.
fn list(site: &Site, shell: Shell) -> String {
    let listed = site.run(shell, ["--list"]).succeeded();
    String::from_utf8(listed.stdout).unwrap()
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

/// What a script that `shell` runs with this PATH says.
#[track_caller]
fn answer(site: &Site, shell: &[&str], script: &str, path: &OsStr) -> String {
    let mut command = site.arena.command(shell[0]);
    command
        .args(&shell[1..])
        .args(["-c", script])
        .env("PATH", path);
    let said = Call::new(command).run().succeeded();
    assert!(said.stderr.is_empty(), "{said:?}");
    let text = String::from_utf8(said.stdout).unwrap();
    text.trim_end().to_owned()
}

#[test]
fn words_that_make_no_sense() {
    for shell in shells() {
        let site = Site::new();
        let lines: [&[&str]; 16] = [
            &["--nonsense"],
            &["a b"],
            &[""],
            &["-p", "/opt"],
            &["--prefix"],
            &["--prefix="],
            &["--prefix", "/a:b"],
            &["--prefix", "/a\nb"],
            &["--modules"],
            &["--modules", "/a\nb"],
            &["--profile-d"],
            &["--destdir", ""],
            &["--binary"],
            &["--activate"],
            &["--list", "--uninstall"],
            &["--activate=1", "--list"],
        ];
        for args in lines {
            assert_refused(&site.run(shell, args), 2);
        }
        let mut homeless = site.installer(shell);
        homeless.env_remove("HOME");
        assert_refused(&Call::new(homeless).run(), 2);
        assert!(!site.prefix.exists());
    }
}

#[test]
fn help_and_version() {
    for shell in shells() {
        let site = Site::new();
        let help = site.run(shell, ["--help"]).succeeded();
        assert!(help.stdout.starts_with(b"Usage: ") && help.stderr.is_empty());
        let told = site.run(shell, ["--version"]).succeeded();
        assert_eq!(
            told.stdout,
            format!("git-clone-shim {VERSION}\n").as_bytes()
        );
    }
}

#[test]
fn away_from_its_source_it_installs_nothing() {
    let site = Site::new();
    let link = site.arena.root().join("install.sh");
    symlink(
        Path::new(env!("CARGO_MANIFEST_DIR")).join("install.sh"),
        &link,
    )
    .unwrap();
    for shell in shells() {
        for args in [site.binary(VERSION), vec!["--version".into()]] {
            let mut linked = site.arena.command(shell[0]);
            linked.args(&shell[1..]).arg(&link).args(&args);
            assert_refused(&Call::new(linked).run(), 1);
            let mut piped = site.arena.command(shell[0]);
            piped.args(&shell[1..]).arg("-s").arg("--").args(&args);
            let script = fs::read(&link).unwrap();
            assert_refused(&Call::new(piped).stdin(script).run(), 1);
        }
    }
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
git-clone-shim/VERSION/share/doc
git-clone-shim/VERSION/share/doc/git-clone-shim
git-clone-shim/VERSION/share/doc/git-clone-shim/LICENSE
git-clone-shim/VERSION/share/doc/git-clone-shim/README.md
modulefiles
modulefiles/git-clone-shim
modulefiles/git-clone-shim/.version
modulefiles/git-clone-shim/VERSION
modulefiles/git-clone-shim/VERSION.lua
";

/// And the manual, where there is one.
const MANUAL: &str = "
git-clone-shim/VERSION/share/man
git-clone-shim/VERSION/share/man/man1
git-clone-shim/VERSION/share/man/man1/git-clone-shim.1
";

#[test]
fn what_it_installs() {
    for shell in shells() {
        let site = Site::new();
        let said = site.run(shell, site.binary(VERSION)).succeeded();
        let manual = match Path::new(env!("CARGO_MANIFEST_DIR")).join("man").exists() {
            true => MANUAL,
            false => "",
        };
        let expected = [INSTALLED, manual].concat().replace("VERSION", VERSION);
        let expected = expected.split_whitespace().map(PathBuf::from).collect();
        assert_eq!(paths(&site), expected);
        assert_eq!(site.current().as_deref(), Some(Path::new(VERSION)));
        site.assert_works(&site.bin(), VERSION);

        let shown = String::from_utf8_lossy(&said.stdout);
        for args in ["this shim", "failed to create link", "With the shim:"] {
            assert!(shown.contains(args), "{shown}");
        }
        let line = &lines_after("export PATH=", &said)[0];
        let script = format!("export PATH={line}; command -v git");
        let found = answer(&site, shell, &script, &Arena::path(&[]));
        assert_eq!(Path::new(&found), site.bin().join("git"));
    }
}

#[test]
fn without_a_prefix_it_installs_at_home() {
    let site = Site::new();
    let mut command = site.installer(SH);
    command.args(site.binary(VERSION));
    Call::new(command).run().succeeded();
    let bin = "home/.local/opt/git-clone-shim/current/bin";
    site.assert_works(&site.arena.root().join(bin), VERSION);
}

#[test]
fn staged_below_another_directory_all_is_the_same() {
    let site = Site::new();
    let staging = site.arena.root().join("staging");
    let options = [
        "--profile-d=/etc/profile.d",
        "--destdir",
        staging.to_str().unwrap(),
    ];
    site.run(SH, site.args(VERSION, &options)).succeeded();
    assert!(!site.prefix.exists());
    assert!(staging.join("etc/profile.d/git-clone-shim.csh").exists());
    let staged = tree::read(&staging.join(site.prefix.strip_prefix("/").unwrap()));

    let profile_d = site.arena.root().join("profile.d");
    let options = ["--profile-d", profile_d.to_str().unwrap()];
    site.run(SH, site.args(VERSION, &options)).succeeded();
    // What goes with the last version differs: other directories were made, and other snippets written.
    let differing = tree::differences(&staged, &tree::read(&site.prefix));
    assert!(
        differing.len() == 1 && differing[0].starts_with("git-clone-shim/manifest: "),
        "{differing:?}"
    );
    let mut grep = site.arena.command("grep");
    let told = grep.args(["-r", "-F"]).args([&staging, &staging]).output();
    assert!(told.unwrap().stdout.is_empty());
}

#[test]
fn versions_side_by_side() {
    for shell in shells() {
        let site = Site::new();
        let [old, new] = [1, 2].map(version);
        let refused = site.run(shell, ["--activate", &old]);
        assert_refused(&refused, 1);
        assert_eq!(list(&site, shell), "");
        site.run(shell, site.args(&old, &[])).succeeded();
        assert_eq!(list(&site, shell), format!("{old} (current)\n"));
        let said = site
            .run(shell, site.args(&new, &["--no-default"]))
            .succeeded();
        assert_eq!(list(&site, shell), format!("{old} (current)\n{new}\n"));
        // The line that is printed is for trying the version.
        let line = &lines_after("export PATH=", &said)[0];
        assert!(
            line.contains(&format!("/git-clone-shim/{new}/bin:")),
            "{line}"
        );
        assert_eq!(default_module(&site), old);
        site.run(shell, ["--activate", &new]).succeeded();
        assert_eq!(list(&site, shell), format!("{old}\n{new} (current)\n"));
        assert_eq!(default_module(&site), new);
        site.assert_works(&site.bin(), &new);
        site.run(shell, [&format!("--activate={old}")]).succeeded();
        assert_eq!(default_module(&site), old);
        site.assert_works(&site.bin(), &old);
        for nowhere in ["9.9.9", "current", "../prefix", "."] {
            assert_refused(&site.run(shell, ["--activate", nowhere]), 1);
        }
        site.assert_works(&site.bin(), &old);
    }
}

#[test]
fn what_is_installed_is_never_changed() {
    let site = Site::new();
    site.run(SH, site.args(VERSION, &[])).succeeded();
    let before = tree::read(&site.prefix);
    let again = site.run(SH, site.args(VERSION, &[])).succeeded();
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
    assert_refused(
        &site.run(SH, [OsStr::new("--binary"), program.as_os_str()]),
        1,
    );
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
    site.run(SH, site.args(VERSION, &[])).succeeded();
    assert_eq!(fs::read(&module).unwrap(), b"-- ours\n");
}

#[test]
fn module_files_that_are_there_before() {
    let [old, new] = [1, 2].map(version);
    for ours in [true, false] {
        for shell in shells() {
            let site = Site::new();
            site.run(shell, site.args(&new, &[])).succeeded();
            site.run(shell, site.args(&old, &[])).succeeded();
            // As by somebody who does not know of --uninstall.
            fs::remove_dir_all(site.live(&new)).unwrap();
            let modules = site.prefix.join("modulefiles/git-clone-shim");
            let files = [modules.join(format!("{new}.lua")), modules.join(&new)];
            if !ours {
                for file in &files {
                    fs::write(file, "ours\n").unwrap();
                }
            }
            site.run(shell, site.args(&new, &["--no-default"]))
                .succeeded();
            site.run(shell, ["--activate", &new]).succeeded();
            assert_eq!(default_module(&site), new);
            site.run(shell, ["--activate", &old]).succeeded();
            site.run(shell, ["--uninstall", &new]).succeeded();
            assert_eq!(default_module(&site), old);
            assert_eq!(files.map(|file| file.exists()), [!ours; 2]);
        }
    }
}

#[test]
fn what_is_no_shim_is_not_installed() {
    let site = Site::new();
    for program in [
        "/bin/true",
        "/bin/echo",
        "/etc/passwd",
        "/nowhere/git-clone-shim",
    ] {
        assert_refused(&site.run(SH, ["--binary", program]), 1);
    }
    assert!(!site.prefix.exists());
}

#[test]
fn removed_without_a_trace() {
    for shell in shells() {
        let site = Site::new();
        let profile_d = site.arena.root().join("etc/profile.d");
        let before = tree::read(site.arena.root());
        let [old, new] = [1, 2].map(version);
        assert_refused(&site.run(shell, ["--uninstall"]), 1);
        let options = ["--profile-d", profile_d.to_str().unwrap()];
        site.run(shell, site.args(&old, &options)).succeeded();
        site.run(shell, site.args(&new, &[])).succeeded();
        // Whoever has the current one on PATH would lose it without notice.
        assert_refused(&site.run(shell, ["--uninstall", &new]), 1);
        site.run(shell, ["--uninstall", &old]).succeeded();
        assert_eq!(list(&site, shell), format!("{new} (current)\n"));
        assert!(
            paths(&site)
                .iter()
                .all(|path| !path.to_string_lossy().contains(&old))
        );
        assert!(profile_d.join("git-clone-shim.sh").exists());
        site.assert_works(&site.bin(), &new);

        site.run(shell, site.args(&old, &[])).succeeded();
        site.run(shell, ["--uninstall"]).succeeded();
        fs::remove_dir_all(site.arena.root().join("programs")).unwrap();
        assert_eq!(
            tree::differences(&before, &tree::read(site.arena.root())),
            [""; 0]
        );
    }
}

#[test]
fn what_is_not_listed_is_not_removed() {
    let site = Site::new();
    fs::create_dir_all(site.prefix.join("modulefiles")).unwrap();
    site.run(SH, site.args(VERSION, &[])).succeeded();
    let before = paths(&site);
    let other = site.prefix.join("modulefiles/other");
    fs::write(&other, "").unwrap();
    // As NFS keeps a program that still runs.
    let busy = site.live(VERSION).join("bin/.nfs0001");
    fs::write(&busy, "").unwrap();
    assert_refused(&site.run(SH, ["--uninstall"]), 1);
    assert!(busy.exists() && list(&site, SH) == format!("{VERSION}\n"));
    fs::remove_file(&busy).unwrap();
    site.run(SH, ["--uninstall"]).succeeded();
    assert!(other.exists() && !site.root().exists());
    assert!(before.len() > paths(&site).len());
    assert_eq!(paths(&site).len(), 2);
}

#[test]
fn what_is_left_is_named() {
    for shell in shells() {
        let site = Site::new();
        site.run(shell, site.args(VERSION, &[])).succeeded();
        // As a run leaves it that was killed outright.
        fs::write(site.root().join(".git-clone-shim.killed"), "").unwrap();
        let said = site.run(shell, ["--uninstall"]).succeeded();
        let left = lines_after("Left, since not all in it is listed: ", &said);
        assert_eq!(left, [format!("{}/", site.root().display())]);
    }
}

#[test]
fn a_dry_run_only_tells() {
    let site = Site::new();
    let before = tree::read(site.arena.root());
    let args = site.args(VERSION, &["--dry-run"]);
    let dry = site.run(SH, args).succeeded();
    let built = site.run(SH, ["--dry-run"]).succeeded();
    assert_eq!(
        tree::differences(&before, &tree::read(site.arena.root())),
        [""; 0]
    );
    let written = lines_after("Would write ", &dry);
    assert_eq!(lines_after("Would write ", &built), written);
    assert_eq!(
        lines_after("Would build ", &built),
        [format!("git-clone-shim {VERSION} with cargo")]
    );
    site.run(SH, site.args(VERSION, &[])).succeeded();
    for path in paths(&site) {
        let path = site.prefix.join(path);
        let told = written.iter().any(|written| path.starts_with(written));
        // Directories are told of by what is in them.
        assert!(told || path.is_dir(), "{}", path.display());
    }

    let before = tree::read(&site.prefix);
    let current = site.root().join("current");
    let dry = site
        .run(SH, ["--dry-run", "--activate", VERSION])
        .succeeded();
    assert!(lines_after("Would write ", &dry).contains(&current.to_str().unwrap().to_owned()));
    let dry = site.run(SH, ["--uninstall", "--dry-run"]).succeeded();
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
fn readable_for_all_whatever_the_umask() {
    let site = Site::new();
    // As sites share a tree among its maintainers.
    fs::create_dir(&site.prefix).unwrap();
    fs::set_permissions(&site.prefix, fs::Permissions::from_mode(0o2775)).unwrap();
    let command = site.command(
        SH,
        site.args(
            VERSION,
            &["--profile-d", site.prefix.join("etc").to_str().unwrap()],
        ),
    );
    let mut masked = site.arena.command("sh");
    masked
        .args(["-c", "umask 077; exec \"$@\"", "sh"])
        .arg(command.get_program())
        .args(command.get_args());
    Call::new(masked).run().succeeded();
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
}

#[test]
fn blanks_and_quotes_in_paths() {
    for shell in shells() {
        let mut site = Site::new();
        site.prefix = site.arena.root().join("a b/it's \"$HOME\" `x` \\ & | * é");
        let profile_d = site.prefix.join("pro file");
        let modules = site.prefix.join("mo{du]l[es");
        let options = [
            "--profile-d",
            profile_d.to_str().unwrap(),
            "--modules",
            modules.to_str().unwrap(),
        ];
        let said = site.run(shell, site.args(VERSION, &options)).succeeded();
        site.assert_works(&site.bin(), VERSION);
        let line = &lines_after("export PATH=", &said)[0];
        let snippet = profile_d.join("git-clone-shim.sh");
        for script in [
            format!("export PATH={line}; printenv PATH"),
            ". \"$SNIPPET\"; printenv PATH".to_owned(),
        ] {
            let mut command = site.arena.command(shell[0]);
            command
                .args(&shell[1..])
                .args(["-c", &script])
                .env("SNIPPET", &snippet);
            let path = Call::new(command).run().succeeded().stdout;
            assert!(path.starts_with(format!("{}:", site.bin().display()).as_bytes()));
        }
        site.run(shell, ["--uninstall"]).succeeded();
        assert!(!site.prefix.exists());
    }
}

#[test]
fn targets_that_cannot_be_written_to() {
    for shell in shells() {
        let mut site = Site::new();
        let file = site.arena.root().join("file");
        fs::write(&file, "").unwrap();
        site.prefix = PathBuf::from("/proc/nowhere");
        assert_refused(&site.run(shell, site.args(VERSION, &[])), 1);
        site.prefix = file.join("below");
        assert_refused(&site.run(shell, site.args(VERSION, &[])), 1);
        assert_refused(&site.run(shell, ["--dry-run"]), 1);
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
fn a_read_only_tree() {
    let Some((site, mounted)) = on_a_filesystem("mode=755") else {
        return;
    };
    let before = tree::read(&site.prefix);
    let script = ["-o", "remount,ro"].map(OsStr::new);
    let done = site
        .arena
        .command("mount")
        .args(script)
        .arg(mounted.path())
        .status();
    assert!(done.unwrap().success());
    for shell in shells() {
        let [old, new] = [1, 2].map(version);
        assert_refused(&site.run(shell, site.args(&new, &[])), 1);
        assert_refused(&site.run(shell, ["--activate", &old]), 1);
        assert_refused(&site.run(shell, ["--uninstall"]), 1);
        assert_eq!(list(&site, shell), format!("{old} (current)\n"));
    }
    assert_eq!(
        tree::differences(&before, &tree::read(&site.prefix)),
        [""; 0]
    );
    site.assert_works(&site.bin(), &version(1));
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
fn a_full_disk() {
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
    for shell in shells().into_iter().cycle() {
        fill(
            &filler,
            if refusals == 0 {
                0
            } else {
                size + 4096 * refusals
            },
        );
        let outcome = site.run(shell, site.args(&version(2), &[]));
        if outcome.status.success() {
            break;
        }
        assert_refused(&outcome, 1);
        assert_eq!(
            tree::differences(&before, &tree::read(&site.prefix)),
            [""; 0]
        );
        site.assert_works(&site.bin(), &version(1));
        refusals += 1;
    }
    assert!(refusals > 5);
    site.assert_works(&site.bin(), &version(2));
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
fn snippets_for_login_shells() {
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
fn without_a_temporary_directory_the_current_one_is_left_alone() {
    let site = Site::new();
    let file = site.arena.work_dir().join("file");
    fs::write(&file, "").unwrap();
    let mut command = site.command(SH, site.binary(VERSION));
    command.env("TMPDIR", site.arena.root().join("absent"));
    let outcome = Call::new(command).run();
    assert!(file.exists(), "{outcome:?}");
    // What it would show cannot be shown; what it has installed works.
    assert!(outcome.status.code() == Some(1) && outcome.stderr_contains("TMPDIR"));
    site.assert_works(&site.bin(), VERSION);
}

#[test]
fn it_warns_of_what_comes_before_it_on_path() {
    let site = Site::new();
    let real = site.arena.real_directory();
    for (path, warns) in [
        ([real.clone(), site.bin()], true),
        ([site.bin(), real.clone()], false),
        ([real.clone(), real.clone()], false),
    ] {
        let mut command = site.command(SH, site.binary(VERSION));
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
