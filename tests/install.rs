//! `git-clone-shim install` and `uninstall`: what they leave, where they refuse, and what becomes of a run that is killed or not
//! alone. (The module files: `modules`; install.sh and the packages: `packaging`; under running jobs: `cluster.sh`.)

use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::thread;

use nix::fcntl::posix_fallocate;
use nix::libc;
use nix::sys::statvfs::fstatvfs;

use crate::support::arena::Arena;
use crate::support::args::{args, rows};
use crate::support::arrangement;
use crate::support::call::{Call, Outcome};
use crate::support::executable;
use crate::support::installer::{MACHINE, Site, VERSION, version};
use crate::support::mounted::Mounted;
use crate::support::scratch;
use crate::support::tree::{self, Tree};

/// Another user, who attacks.
const ATTACKER: u32 = 64_001;

/// Asserts that the program failed, with these words in one line.
#[track_caller]
fn assert_refused(outcome: &Outcome, words: &str) {
    let status = outcome.status.code().unwrap_or_default();
    let is_ours = status > 0 && outcome.is_our_failure(status);
    assert!(is_ours && outcome.stderr_contains(words), "{words:?}: {outcome:?}");
}

#[track_caller]
fn assert_same(left: &Tree, right: &Tree, when: &str) {
    assert_eq!(tree::differences(left, right), [""; 0], "{when}");
}

/// What it printed; it must have succeeded.
#[track_caller]
fn told(call: Call) -> String {
    String::from_utf8(call.run().succeeded().stdout).unwrap()
}

fn in_this_version(text: &str) -> String {
    text.replace("VERSION", VERSION).replace("MACHINE", MACHINE)
}

/// Has this user run a script in the prefix.
#[track_caller]
fn shell(site: &Site, script: &str, user: u32) {
    let mut shell = site.arena.command("sh");
    shell.args(["-ec", script]).current_dir(&site.prefix);
    if user != 0 {
        shell.uid(user).gid(user);
    }
    Call::new(shell).run().succeeded();
}

/// Asserts that one version is current, and works.
#[track_caller]
fn assert_current_works(site: &Site) {
    let version = fs::read_link(site.root().join("current")).unwrap();
    site.assert_works(&site.bin(), version.to_str().unwrap());
}

/// All files and links that a first installation leaves below its prefix.
const INSTALLED: &str = "
git-clone-shim/current
git-clone-shim/VERSION/MACHINE/bin/git
git-clone-shim/VERSION/MACHINE/bin/git-clone-shim
git-clone-shim/VERSION/MACHINE/share/doc/git-clone-shim/LICENSE
git-clone-shim/VERSION/MACHINE/share/doc/git-clone-shim/README.md
git-clone-shim/VERSION/MACHINE/share/man/man1/git-clone-shim.1
modulefiles/git-clone-shim/.version
modulefiles/git-clone-shim/VERSION
modulefiles/git-clone-shim/VERSION.lua
";

#[test]
fn first_installation_is_whole_tries_a_clone_and_is_removed_without_a_trace() {
    let site = Site::new();
    let program = site.program(VERSION);
    // As a release names it.
    let release = site.arena.root().join(format!("git-clone-shim-{MACHINE}"));
    executable::copy(&program, &release);
    let before = tree::read(site.arena.root());
    let planned = told(site.call(&release, "install", &["--dry-run"]));
    assert_same(&before, &tree::read(site.arena.root()), "--dry-run");
    assert_eq!(planned.lines().count(), 2, "{planned}");

    let text = told(site.call(&release, "install", &[]));
    let complete = site.tree();
    let installed = in_this_version(INSTALLED);
    let found = complete.keys().filter(|path| path.ends_with("current") || !site.prefix.join(path).is_dir());
    let found: BTreeSet<_> = found.map(|path| path.to_str().unwrap()).collect();
    assert_eq!(found, installed.split_whitespace().collect());
    site.assert_works(&site.bin(), VERSION);
    for (file, of) in
        [("bin/git-clone-shim", &*program), ("share/doc/git-clone-shim/README.md", Path::new("README.md"))]
    {
        let of = fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join(of)).unwrap();
        assert!(fs::read(site.bin().join("..").join(file)).unwrap() == of, "{file}");
    }
    let (tried, last) = text.split_once("\nModule files").unwrap();
    assert!(tried.contains(": git alone fails with --local, through the shim"), "{text}");
    let last: Vec<_> = last.lines().skip(1).collect();
    assert!(last[0].starts_with(&format!("Installed in {}", site.root().display())), "{text}");
    assert_eq!(last[1], format!("export PATH=\"{}/current/$(uname -m)/bin:$PATH\"", site.root().display()));
    assert!(last[2].ends_with("git-clone-shim doctor DIR") && last.len() == 3, "{text}");
    assert!(told(site.install_call(VERSION, &[])).starts_with("No clone was tried: "));

    // Again, which changes nothing; and with a reader that has gone.
    let again = site.call(&release, "install", &[]);
    let mut shell = site.arena.command("bash");
    shell.args(["-c", "set -o pipefail; \"$@\" | head -1", "bash"]).arg(&release).args(again.command.get_args());
    assert_eq!(told(Call::new(shell)), format!("{tried}\n"));
    assert_same(&site.tree(), &complete, "again");
    assert!(tree::read(&site.arena.root().join("tmp")).is_empty());

    // From the installed program, whose file goes meanwhile.
    let own = |args: &[&str]| {
        let mut command = site.arena.command(site.bin().join("git-clone-shim"));
        command.arg("uninstall").args(args);
        Call::new(command)
    };
    assert_refused(&own(&[VERSION]).run(), "is the current version");
    assert_refused(&own(&["9.9.9"]).run(), &format!("there is {VERSION}"));
    let would = told(own(&["--dry-run"])).replace("Would remove", "Removed");
    assert_same(&site.tree(), &complete, "--dry-run");
    let removed = told(own(&[]));
    let line = removed.strip_prefix(&would).unwrap();
    assert!(would.lines().count() == 2 && line.contains("start-up file"), "{removed}");
    fs::remove_dir(&site.prefix).unwrap();
    assert_same(&tree::read(site.arena.root()), &before, "removed");
    assert_refused(&site.uninstall(&[]), "nothing is installed");
}

#[test]
fn uninstall_goes_on_from_memory_before_it_removes_its_own_file() {
    if arrangement::program("strace").is_none() {
        return;
    }
    let site = Site::new();
    site.install(VERSION, &[]).succeeded();
    let trace = site.arena.root().join("trace");
    let mut strace = site.arena.command("strace");
    strace.args(["-e", "trace=execve,?rename,?renameat,?renameat2,?unlink,unlinkat", "-o"]);
    strace.arg(&trace).arg(site.bin().join("git-clone-shim")).arg("uninstall");
    Call::new(strace).run().succeeded();
    let trace = fs::read_to_string(trace).unwrap();
    assert!(trace.lines().nth(1).unwrap().starts_with("execve(\"/proc/self/fd/"), "{trace}");
    assert!(!site.root().exists());
}

const SHELLS: [&str; 8] = ["sh", "dash", "busybox sh", "mksh", "bash --posix", "zsh -f", "tcsh -f", "fish --no-config"];

/// The line for PATH that `call` prints.
#[track_caller]
fn path_line(call: Call) -> Vec<u8> {
    call.run().succeeded().stdout.split(|&byte| byte == b'\n').rev().nth(2).unwrap().to_vec()
}

#[test]
fn printed_line_puts_any_prefix_on_path_in_each_shell() {
    let latin1 = OsString::from_vec(b"caf\xe9 b".to_vec());
    for name in ["plain".into(), "a b/it's \"$HOME\" `x` & | * é".into(), latin1] {
        let mut site = Site::new();
        site.prefix = site.arena.root().join(name);
        for shell in SHELLS {
            let (name, options) = shell.split_once(' ').unwrap_or((shell, ""));
            let Some(program) = arrangement::program(name) else {
                continue;
            };
            let line = path_line(site.install_call(VERSION, &[]).env("SHELL", program));
            // fish takes no byte that is not UTF-8 from a script.
            if name == "fish" && std::str::from_utf8(&line).is_err() {
                continue;
            }
            let file = site.arena.root().join("script");
            fs::write(&file, [&line[..], b"\nprintenv PATH\n"].concat()).unwrap();
            let mut command = site.arena.command(name);
            command.args(args(options)).arg(file);
            let told = Call::new(command).run();
            let expected = [site.bin().as_os_str().as_bytes(), b":"].concat();
            assert!(told.stdout.starts_with(&expected), "{shell:?}: {told:?}");
        }
        site.assert_works(&site.bin(), VERSION);
        site.uninstall(&[]).succeeded();
        assert!(site.tree().is_empty());
    }
}

#[test]
fn home_that_two_kinds_of_machine_share_holds_a_program_for_each() {
    // `uname -m` of a process with this personality names the 32-bit processor.
    let Some(linux32) = arrangement::program("linux32") else {
        return;
    };
    let site = Site::new();
    let on_other = |program: &Path, args: &[&OsStr]| {
        let mut command = site.arena.command(&linux32);
        command.arg(program).args(args).env("PATH", Arena::path(&[]));
        Call::new(command).run().succeeded().stdout
    };
    let line = path_line(site.install_call(VERSION, &[]));
    let script = OsString::from_vec([&line[..], b"; command -v git"].concat());
    let git = || on_other(Path::new("sh"), &["-c".as_ref(), &script]);
    // There is no program for this processor yet: the line does no harm.
    assert!(!git().starts_with(site.prefix.as_os_str().as_bytes()));
    let program = site.program(VERSION);
    on_other(&program, &site.call(&program, "install", &[]).command.get_args().collect::<Vec<_>>());
    assert!(git().starts_with(site.prefix.as_os_str().as_bytes()));
    site.assert_works(&site.bin(), VERSION);
    assert_eq!(fs::read_dir(site.root().join(VERSION)).unwrap().count(), 2);
}

#[test]
fn all_can_read_the_tree_whatever_the_umask() {
    // Whose mode is not what it has to be.
    let wrong = "find \"$4\" -mindepth 1 ! '(' -type d -perm 2755 -o -type l \
        -o -path '*/bin/git-clone-shim' -perm 755 -o -type f ! -path '*/bin/git-clone-shim' -perm 644 ')'";
    for umask in ["077", "777", "000"] {
        let site = Site::new();
        // As a site shares a tree among its maintainers.
        fs::create_dir(&site.prefix).unwrap();
        fs::set_permissions(&site.prefix, fs::Permissions::from_mode(0o2775)).unwrap();
        let install = site.install_call(VERSION, &[]).command;
        let mut masked = site.arena.command("sh");
        masked.args(["-c", &format!("umask {umask}; \"$@\" >&2 && {wrong}"), "sh"]);
        masked.arg(install.get_program()).args(install.get_args()).env("PATH", "/bin");
        assert_eq!(told(Call::new(masked)), "", "{umask}");
    }
}

/// What is done in the prefix before | what is put behind the prefix | words of the refusal.
const REFUSED: &str = "
true | /a:b | cannot be on PATH
true | /~/opt | has a ~ that the shell has not expanded
true | /a\x1b[31mb | cannot be on PATH
touch file | /file | cannot write
touch file | /file/below | cannot write
ln -s loop loop | /loop | cannot write
mkdir real; ln -s real git-clone-shim | | is a symbolic link
mkdir -p real modulefiles; ln -s ../real modulefiles/git-clone-shim | | is a symbolic link
mkdir git-clone-shim; touch git-clone-shim/VERSION | | cannot write
mkdir -p git-clone-shim/VERSION/MACHINE/x | | another build
mkdir -p git-clone-shim/current/x | | cannot write
mkdir -p modulefiles/git-clone-shim/VERSION/x | | cannot write
";

#[test]
fn place_that_does_not_do_is_refused_in_one_line_and_left_as_it_is() {
    for [script, behind, words] in rows(&in_this_version(REFUSED)) {
        let mut site = Site::new();
        fs::create_dir(&site.prefix).unwrap();
        shell(&site, script, 0);
        let before = site.tree();
        let prefix = site.prefix.clone();
        site.prefix.as_mut_os_string().push(behind);
        assert_refused(&site.install(VERSION, &[]), words);
        let mut after = tree::read(&prefix);
        // What is whole by itself may be there, but nothing that was on its way.
        after.retain(|path, _| before.contains_key(path) || path.to_string_lossy().contains("/."));
        assert_same(&before, &after, script);
    }
    let mut site = Site::new();
    if arrangement::is_root() {
        let mut other = site.install_call(VERSION, &[]);
        other.command.uid(ATTACKER);
        assert_refused(&other.run(), "you cannot write to ");
    }
    let mut homeless = site.arena.command(site.program(VERSION));
    homeless.arg("install").env("HOME", "");
    assert_refused(&Call::new(homeless).run(), "--prefix");
    site.prefix = site.arena.root().join("a b");
    assert_refused(&site.install(VERSION, &["--modules", "/nowhere"]), "must have no blanks");
    assert!(!site.prefix.exists() && !Path::new("/nowhere").exists());
}

/// What root has made of the prefix | what the attacker did in it | words of the refusal.
const EXCHANGEABLE: &str = "
chown 64001 . | true | other users can replace
chmod 777 . | true | other users can replace
chmod 777 . | mkdir -m 755 below | other users can replace
chmod 1777 . | mkdir git-clone-shim | belongs to another user
chmod 1777 . | mkdir -p modulefiles/git-clone-shim | belongs to another user
chmod 1777 . | ln -s ../precious git-clone-shim | is a symbolic link
chmod 1777 . | ln -s ../precious modulefiles | other users can replace
mkdir -m 777 theirs; ln -s theirs modulefiles | true | other users can replace
";

#[test]
fn root_installs_nothing_that_another_user_can_exchange() {
    if !arrangement::is_root() {
        return;
    }
    for [own, attack, words] in rows(EXCHANGEABLE) {
        let site = Site::new();
        fs::create_dir(&site.prefix).unwrap();
        fs::create_dir(site.arena.root().join("precious")).unwrap();
        shell(&site, own, 0);
        shell(&site, attack, ATTACKER);
        let before = tree::read(site.arena.root());
        for args in [&[][..], &["--dry-run"]] {
            assert_refused(&site.install(VERSION, args), words);
        }
        let mut after = tree::read(site.arena.root());
        after.retain(|path, _| !path.starts_with("programs"));
        assert_same(&before, &after, attack);
    }
}

/// What a member of a group that may write does in the tree.
const ATTACKS: &str = "
mv VERSION/MACHINE VERSION/moved; ln -s ../../../precious VERSION/MACHINE
mv VERSION moved; ln -s ../../precious VERSION
ln -s ../../precious .git-clone-shim.$(uname -n).4194305
ln -s ../../precious .git-clone-shim.staging
";

#[test]
fn link_that_another_user_puts_into_the_tree_is_not_removed_through() {
    if !arrangement::is_root() {
        return;
    }
    for [attack] in rows(&in_this_version(ATTACKS)) {
        let site = Site::new();
        site.install(VERSION, &[]).succeeded();
        shell(&site, "mkdir -p ../precious/bin; echo precious >../precious/bin/git-clone-shim", 0);
        let precious = site.arena.root().join("precious");
        let before = tree::read(&precious);
        // Its members own what they make.
        shell(&site, &in_this_version("chgrp 64001 git-clone-shim git-clone-shim/VERSION"), 0);
        shell(&site, &in_this_version("chmod 2775 git-clone-shim git-clone-shim/VERSION"), 0);
        shell(&site, &format!("cd git-clone-shim; {attack}"), ATTACKER);
        site.install(&version(2), &[]);
        site.uninstall(&[]);
        assert_same(&tree::read(&precious), &before, attack);
    }
}

#[test]
fn full_or_read_only_filesystem_is_refused_and_left_as_it_is() {
    let size = fs::metadata(Site::new().program(&version(2))).unwrap().len();
    let mut site = Site::new();
    let script = format!("mount -t tmpfs -o size={} tmpfs mount", 3 * size);
    let Some(mounted) = Mounted::by(&script, scratch::directory(), "tmpfs") else {
        return;
    };
    site.prefix = mounted.path().join("prefix");
    site.install(&version(1), &[]).succeeded();
    let before = site.tree();
    shell(&site, "mount -o remount,ro ..", 0);
    assert_refused(&site.install(&version(2), &[]), "Read-only file system");
    assert_refused(&site.uninstall(&[]), "Read-only file system");
    assert_same(&before, &site.tree(), "read-only");
    shell(&site, "mount -o remount,rw ..", 0);

    let filler = fs::File::create(mounted.path().join("filler")).unwrap();
    let fill = |free: u64| {
        filler.set_len(0).unwrap();
        let filesystem = fstatvfs(&filler).unwrap();
        let all = filesystem.blocks_available() * filesystem.fragment_size();
        let length = all.saturating_sub(free).max(1);
        posix_fallocate(&filler, 0, length.try_into().unwrap()).unwrap();
    };
    // Less than the program takes, then a few pages more each time, until all of it fits.
    let mut refusals = 0;
    for free in [0, size / 2].into_iter().chain((0..).map(|pages| size + 8192 * pages)) {
        fill(free);
        let outcome = site.install(&version(2), &[]);
        if outcome.status.success() {
            break;
        }
        assert_refused(&outcome, "No space left on device");
        let mut after = site.tree();
        // The version may be there, whole, but nothing that names it.
        after.retain(|path, _| !path.starts_with(Path::new("git-clone-shim").join(version(2))));
        after.retain(|path, _| !path.to_string_lossy().contains(&format!("/{}", version(2))));
        assert_same(&before, &after, "full");
        site.assert_works(&site.bin(), &version(1));
        refusals += 1;
    }
    assert!(refusals > 3);
    site.assert_works(&site.bin(), &version(2));
    fill(0);
    site.uninstall(&[]).succeeded();
    assert!(!site.root().exists());
}

/// Has these succeed, all at once.
fn at_once<'a>(calls: impl Iterator<Item = Call> + 'a) {
    thread::scope(|scope| {
        let running: Vec<_> = calls.map(|call| scope.spawn(|| call.run())).collect();
        for call in running {
            call.join().unwrap().succeeded();
        }
    });
}

#[test]
fn eight_at_once_leave_one_whole_tree_and_all_succeed() {
    let site = Site::new();
    let versions: Vec<_> = (1..=8).map(version).collect();
    for version in &versions {
        site.install(version, &[]).succeeded();
    }
    let all = site.tree();
    site.uninstall(&[]).succeeded();
    site.install(&versions[0], &[]).succeeded();
    let one = site.tree();
    for _ in 0..5 {
        site.uninstall(&[]).succeeded();
        at_once((0..8).map(|_| site.install_call(&versions[0], &[])));
        assert_same(&site.tree(), &one, "the same version");
    }
    at_once(versions.iter().map(|version| site.install_call(version, &[])));
    assert_current_works(&site);
    site.install(&versions[7], &[]).succeeded();
    assert_same(&site.tree(), &all, "different versions");
}

/// The system calls by which the program changes what is on disk: a run is killed as one of them begins.
const CALLS: [&str; 5] =
    ["?mkdir,mkdirat", "write", "?symlink,symlinkat", "?rename,?renameat,?renameat2", "?unlink,unlinkat,?rmdir"];

/// Runs `call`, killed at each of these system calls, and then does `check`, which makes all as it was before.
fn kill_at_each_call(site: &Site, call: impl Fn() -> Call, mut check: impl FnMut(&str)) {
    let mut all = 0;
    for calls in CALLS {
        for at in 1.. {
            let call = call().command;
            let mut strace = site.arena.command(which::which("strace").unwrap());
            strace.arg("-o").arg(site.arena.root().join("trace")).args(["-e", &format!("trace={calls}"), "-e"]);
            strace.arg(format!("inject={calls}:signal=KILL:when={at}"));
            strace.arg(call.get_program()).args(call.get_args()).env("PATH", "/nowhere");
            let outcome = Call::new(strace).run();
            check(&format!("{calls} {at}"));
            if outcome.status.signal() != Some(libc::SIGKILL) {
                outcome.succeeded();
                break;
            }
            all += 1;
        }
    }
    assert!(all > 10, "{all}");
}

#[test]
fn next_run_does_what_a_killed_one_has_not() {
    if arrangement::program("strace").is_none() {
        return;
    }
    let [old, new] = [1, 2].map(version);
    for (installed, killed) in [(None, "install"), (Some(&old), "install"), (Some(&new), "uninstall")] {
        let site = Site::new();
        let prepare = || {
            let _ = fs::remove_dir_all(&site.prefix);
            assert!(site.tree().is_empty());
            installed.map(|version| site.install(version, &[]).succeeded());
        };
        prepare();
        site.install(&new, &[]).succeeded();
        let complete = site.tree();
        prepare();
        let mut turn = 0;
        kill_at_each_call(
            &site,
            || site.call(&site.program(&new), killed, &[]),
            |at| {
                let at = format!("{killed} of {installed:?}, {at}");
                if killed == "install" && installed.is_some() {
                    // One of the two, and it works.
                    assert_current_works(&site);
                }
                turn += 1;
                if turn % 2 == 0 {
                    site.install(&new, &[]).succeeded();
                    assert_same(&site.tree(), &complete, &at);
                } else {
                    // Perhaps there is nothing to remove any more.
                    site.uninstall(&[]);
                    assert_same(&site.tree(), &Tree::new(), &at);
                }
                prepare();
            },
        );
    }
}

/// What install.sh of version 0.2 left below its prefix; `>` is what a killed run of it left.
const INSTALLED_0_2: &str = "
git-clone-shim/manifest
git-clone-shim/OLD/bin/git-clone-shim
git-clone-shim/OLD/manifest
git-clone-shim/OLD/share/bash-completion/completions/git-clone-shim
git-clone-shim/OLD/share/doc/git-clone-shim/LICENSE
git-clone-shim/OLD/share/doc/git-clone-shim/README.md
git-clone-shim/OLD/share/fish/vendor_completions.d/git-clone-shim.fish
git-clone-shim/OLD/share/man/man1/git-clone-shim.1
git-clone-shim/OLD/share/zsh/site-functions/_git-clone-shim
modulefiles/git-clone-shim/OLD
modulefiles/git-clone-shim/OLD.lua
modulefiles/git-clone-shim/.version
git-clone-shim/.git-clone-shim.lock
git-clone-shim/.git-clone-shim.staging/journal
";

#[test]
fn tree_of_version_0_2_is_upgraded_and_removed() {
    let [old, new] = [1, 2].map(version);
    for is_upgraded in [false, true] {
        let site = Site::new();
        for path in INSTALLED_0_2.replace("OLD", &old).split_whitespace() {
            let path = site.prefix.join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "of version 0.2\n").unwrap();
        }
        let bin = site.root().join(&old).join("bin");
        executable::copy(&site.program(&old), &bin.join("git-clone-shim"));
        symlink("git-clone-shim", bin.join("git")).unwrap();
        symlink(&old, site.root().join("current")).unwrap();
        let line = site.root().join("current/bin");
        site.assert_works(&line, &old);
        if is_upgraded {
            site.install(&new, &[]).succeeded();
            site.assert_works(&site.bin(), &new);
            // The PATH line of version 0.2 goes on to work, now and after the next upgrade.
            site.assert_works(&line, &new);
            site.install(&version(3), &[]).succeeded();
            site.assert_works(&line, &version(3));
            // And back: by an older program of this tree, which finds the tree itself.
            let mut back = site.arena.command(site.root().join(&new).join(MACHINE).join("bin/git-clone-shim"));
            back.arg("install");
            Call::new(back).run().succeeded();
            site.assert_works(&line, &new);
            site.uninstall(&[&old]).succeeded();
            let is_old = |path: &PathBuf| path.to_string_lossy().contains(&format!("/{old}"));
            assert!(!site.tree().into_keys().any(|path| is_old(&path)));
            site.assert_works(&line, &new);
        }
        site.uninstall(&[]).succeeded();
        assert!(site.tree().is_empty(), "{:?}", site.tree());
    }
}

#[test]
fn uninstall_leaves_what_install_did_not_write() {
    let site = Site::new();
    fs::create_dir(&site.prefix).unwrap();
    // A clone of this project's repository in a directory like `~/src`.
    shell(&site, "mkdir -p git-clone-shim/src; touch git-clone-shim/src/main.rs", 0);
    assert_refused(&site.uninstall(&[]), "nothing is installed");
    shell(&site, "cd git-clone-shim; mkdir 9 modulefiles; touch 9/notes modulefiles/other", 0);
    let before = site.tree();
    site.install(VERSION, &[]).succeeded();
    let told = told(site.call(&site.program(VERSION), "uninstall", &[]));
    assert!(told.contains(&format!("Left {}:", site.root().display())), "{told}");
    assert_same(&before, &site.tree(), "left");
}

#[test]
fn uninstall_removes_what_has_lost_its_other_half() {
    let site = Site::new();
    // Module files whose version is gone.
    let elsewhere = site.arena.root().join("elsewhere");
    let modules = ["--modules", elsewhere.to_str().unwrap()];
    site.install(VERSION, &modules).succeeded();
    site.uninstall(&[]).succeeded();
    fs::write(elsewhere.join("git-clone-shim/notes"), "").unwrap();
    site.uninstall(&modules).succeeded();
    assert_eq!(tree::read(&elsewhere).len(), 2, "git-clone-shim/notes is left");
    // A version whose program is gone.
    site.install(VERSION, &[]).succeeded();
    fs::remove_file(site.root().join(VERSION).join(MACHINE).join("bin/git-clone-shim")).unwrap();
    assert_refused(&site.install(VERSION, &[]), "or a damaged one");
    site.uninstall(&[]).succeeded();
    assert!(!site.root().exists());
}

#[test]
fn clone_that_a_killed_run_has_tried_is_removed() {
    let Some(strace) = arrangement::program("strace") else {
        return;
    };
    let site = Site::new();
    let install = || site.call(&site.program(VERSION), "install", &[]);
    let mut killed = site.arena.command(strace);
    // While it waits for the clone.
    killed.args(args("-qq -o /dev/null -e trace=wait4 -e inject=wait4:signal=KILL:when=3"));
    killed.arg(install().command.get_program()).args(install().command.get_args());
    let outcome = Call::new(killed).run();
    assert_eq!(outcome.status.signal(), Some(libc::SIGKILL), "{outcome:?}");
    let left = || fs::read_dir(site.arena.root().join("tmp")).unwrap().count();
    assert!(left() > 0);
    install().run().succeeded();
    assert_eq!(left(), 0);
}
