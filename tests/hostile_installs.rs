//! `install` and `uninstall` where another user can write: nothing of that user's is followed, believed or removed through.
//!
//! The attacker is a process of another uid, so these need root.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::support::arrangement;
use crate::support::call::{Call, Outcome};
use crate::support::installer::{Site, VERSION, version};
use crate::support::tree::{self, Tree};

/// The user who wants root, or another user, to write or remove something.
const ATTACKER: u32 = 64_001;

/// Another user, who installs.
const VICTIM: u32 = 64_002;

/// Makes a directory with this mode and owner, and of the attacker's group.
fn directory(path: &Path, mode: u32, owner: u32) {
    fs::create_dir_all(path).unwrap();
    chown(path, Some(owner), Some(ATTACKER)).unwrap();
    // After that, since it clears the set-group-ID bit.
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

/// A site, with something that must not be changed.
struct Target {
    site: Site,
    precious: PathBuf,
    before: Tree,
}

impl Target {
    /// `None` where this is not root.
    #[track_caller]
    fn new() -> Option<Self> {
        if !arrangement::is_root() {
            return None;
        }
        let site = Site::new();
        let precious = site.arena.root().join("precious");
        fs::create_dir(&precious).unwrap();
        for name in ["git", "git-clone-shim", VERSION, "file"] {
            fs::write(precious.join(name), "precious\n").unwrap();
        }
        fs::create_dir(precious.join("empty")).unwrap();
        let before = tree::read(&precious);
        Some(Self {
            site,
            precious,
            before,
        })
    }

    /// Runs a script of the attacker's.
    #[track_caller]
    fn attack(&self, script: &str) {
        let done = self.attacker(script).status().unwrap();
        assert!(done.success(), "the attack itself failed: {script}");
    }

    /// In it, `$PREFIX` and `$PRECIOUS` are this site's, and `$TOP` is the directory above them.
    fn attacker(&self, script: &str) -> Command {
        let mut command = self.site.arena.command("sh");
        command
            .args(["-ec", script])
            .env("TOP", self.site.arena.root())
            .env("PREFIX", &self.site.prefix)
            .env("PRECIOUS", &self.precious)
            .env("VERSION", VERSION)
            .uid(ATTACKER)
            .gid(ATTACKER)
            .current_dir("/");
        command
    }

    /// Asserts that the program refused in one line with these words, and that nothing precious was changed.
    #[track_caller]
    fn assert_refused(&self, outcome: &Outcome, why: &str) {
        assert!(outcome.is_our_failure(1), "{outcome:?}");
        assert!(
            why.is_empty() || outcome.stderr_contains(why),
            "{outcome:?}"
        );
        self.assert_untouched();
    }

    #[track_caller]
    fn assert_untouched(&self) {
        let after = tree::read(&self.precious);
        assert_eq!(tree::differences(&self.before, &after), [""; 0]);
    }

    fn install(&self) -> Outcome {
        self.site.try_install(VERSION, &[])
    }

    /// As [`Target::install`], by another user.
    fn install_as(&self, uid: u32) -> Outcome {
        let mut command = self.site.install_command(VERSION, &[]);
        command.uid(uid).gid(uid);
        Call::new(command).run()
    }

    fn uninstall(&self) -> Outcome {
        self.site.run("uninstall", [""; 0])
    }

    /// Installs as root, and lets the attacker's group write to the directories: as a site may do that trusts a group.
    fn install_for_a_group(&self) {
        self.install().succeeded();
        let mut shared = vec![self.site.root()];
        for path in tree::read(&self.site.root()).into_keys() {
            shared.push(self.site.root().join(path));
        }
        for path in shared
            .iter()
            .filter(|path| path.is_dir() && !path.is_symlink())
        {
            directory(path, 0o2775, 0);
        }
    }
}

#[test]
fn root_installs_nowhere_where_others_can_replace_it() {
    for (mode, owner) in [(0o755, ATTACKER), (0o777, 0)] {
        let Some(target) = Target::new() else {
            return;
        };
        directory(&target.site.prefix, mode, owner);
        for below in ["", "below/it"] {
            let prefix = target.site.prefix.join(below);
            let mut command = target.site.arena.command(target.site.program(VERSION));
            command.arg("install").arg("--prefix").arg(&prefix);
            let outcome = Call::new(command).run();
            target.assert_refused(&outcome, "other users can replace what is in");
        }
        for option in ["--modules", "--profile-d"] {
            let theirs = target.site.prefix.join("x");
            let mut command = target.site.arena.command(target.site.program(VERSION));
            command.args(["install", option]).arg(&theirs);
            let outcome = Call::new(command).run();
            target.assert_refused(&outcome, "other users can replace what is in");
        }
        assert!(tree::read(&target.site.prefix).is_empty());
    }
}

#[test]
fn tree_that_another_user_made_first_is_not_used() {
    let Some(target) = Target::new() else {
        return;
    };
    directory(&target.site.prefix, 0o1777, 0);
    target.attack("mkdir $PREFIX/git-clone-shim; chmod 777 $PREFIX/git-clone-shim");
    let theirs = tree::read(&target.site.prefix);
    target.assert_refused(&target.install(), "other users can replace what is in");
    target.assert_refused(&target.install_as(VICTIM), "belongs to another user");
    assert_eq!(tree::read(&target.site.prefix), theirs);
    assert_eq!(fs::metadata(target.site.root()).unwrap().uid(), ATTACKER);
}

#[test]
fn symbolic_link_of_another_user_is_not_followed() {
    let links = [
        "ln -s $PRECIOUS $PREFIX/git-clone-shim",
        "ln -s $PRECIOUS $PREFIX/modulefiles",
        "ln -s $PRECIOUS/new $PREFIX/modulefiles",
        "mkdir $PREFIX/modulefiles; ln -s $PRECIOUS $PREFIX/modulefiles/git-clone-shim",
    ];
    for link in links {
        let Some(target) = Target::new() else {
            return;
        };
        directory(&target.site.prefix, 0o1777, 0);
        target.attack(link);
        let outcome = target.install();
        assert!(outcome.is_our_failure(1), "{outcome:?}");
        target.assert_untouched();
        directory(&target.precious, 0o755, VICTIM);
        let outcome = target.install_as(VICTIM);
        assert!(outcome.is_our_failure(1), "{outcome:?}");
        directory(&target.precious, 0o755, 0);
        target.assert_untouched();
    }
}

#[test]
fn prefix_that_is_a_link_of_another_user_is_refused() {
    let Some(target) = Target::new() else {
        return;
    };
    let top = target.site.arena.root().join("shared");
    directory(&top, 0o1777, 0);
    target.attack("ln -s $PRECIOUS $TOP/shared/prefix");
    let mut command = target.site.arena.command(target.site.program(VERSION));
    command
        .args(["install", "--prefix"])
        .arg(top.join("prefix"));
    target.assert_refused(&Call::new(command).run(), "symbolic link of another user's");
}

#[test]
fn package_staged_in_the_directory_of_another_user_stays_there() {
    let links = [
        "ln -s $PRECIOUS $TOP/stage/opt",
        "mkdir $TOP/stage/opt; ln -s $PRECIOUS $TOP/stage/opt/git-clone-shim",
        "mkdir $TOP/stage/opt; ln -s $PRECIOUS $TOP/stage/opt/modulefiles",
        "mkdir -p $TOP/stage/etc; ln -s $PRECIOUS $TOP/stage/etc/profile.d",
    ];
    for link in links {
        let Some(target) = Target::new() else {
            return;
        };
        let stage = target.site.arena.root().join("stage");
        directory(&stage, 0o755, ATTACKER);
        target.attack(link);
        let mut command = target.site.arena.command(target.site.program(VERSION));
        command.args([
            "install",
            "--prefix=/opt",
            "--profile-d=/etc/profile.d",
            "--destdir",
        ]);
        command.arg(&stage);
        let outcome = Call::new(command).run();
        target.assert_refused(&outcome, "");
    }
}

#[test]
fn race_for_directories_of_a_package_gains_nothing() {
    let Some(target) = Target::new() else {
        return;
    };
    let stage = target.site.arena.root().join("stage");
    directory(&stage, 0o755, ATTACKER);
    target.attack("mkdir -p $TOP/stage/opt; ln -s $PRECIOUS $TOP/stage/link");
    let script = "cd $TOP/stage
        while :; do
            mv -T opt kept; mv -T link opt; mv -T opt link; mv -T kept opt
        done";
    let mut attacker = target.attacker(script);
    let mut attacker = attacker.stderr(Stdio::null()).spawn().unwrap();
    let mut refused = 0;
    for _ in 0..40 {
        let mut command = target.site.arena.command(target.site.program(VERSION));
        command
            .args(["install", "--prefix=/opt", "--destdir"])
            .arg(&stage);
        refused += usize::from(!Call::new(command).run().status.success());
        target.assert_untouched();
    }
    attacker.kill().unwrap();
    attacker.wait().unwrap();
    eprintln!("{refused} of 40 installations met the attacker's link or a missing directory");
}

/// Lines of a manifest that lead to what is not ours.
const LINES: [&str; 6] = [
    "$PRECIOUS/file",
    "../precious/file",
    "git-clone-shim/../../precious/file",
    "git-clone-shim/$VERSION/../../../precious/file",
    "git-clone-shim/$VERSION/./../../../precious/file",
    "../precious/empty/",
];

#[test]
fn manifest_of_another_user_is_ignored() {
    for name in ["manifest", "$VERSION/manifest"] {
        for line in LINES {
            let Some(target) = Target::new() else {
                return;
            };
            target.install_for_a_group();
            target.attack(&format!(
                "rm -f $PREFIX/git-clone-shim/{name}; echo \"{line}\" >$PREFIX/git-clone-shim/{name}"
            ));
            for outcome in [target.uninstall(), target.install()] {
                target.assert_refused(&outcome, "belongs to another user");
            }
            target.site.assert_works(&target.site.bin(), VERSION);
        }
    }
}

#[test]
fn manifest_that_leads_elsewhere_removes_nothing() {
    for name in ["manifest", &format!("{VERSION}/manifest")] {
        for line in LINES {
            let Some(target) = Target::new() else {
                return;
            };
            target.install().succeeded();
            let manifest = target.site.root().join(name);
            let text = fs::read_to_string(&manifest).unwrap();
            let line = line
                .replace("$PRECIOUS", target.precious.to_str().unwrap())
                .replace("$VERSION", VERSION);
            fs::write(&manifest, format!("{text}{line}\n")).unwrap();
            let before = tree::read(&target.site.prefix);
            for arguments in [&["--dry-run"][..], &[]] {
                let outcome = target.site.run("uninstall", arguments);
                target.assert_refused(&outcome, "which no installation writes");
            }
            let after = tree::read(&target.site.prefix);
            assert_eq!(tree::differences(&before, &after), [""; 0]);
        }
    }
}

#[test]
fn manifest_that_others_can_write_to_is_ignored() {
    let Some(target) = Target::new() else {
        return;
    };
    target.install().succeeded();
    let manifest = target.site.root().join("manifest");
    for mode in [0o664, 0o646] {
        fs::set_permissions(&manifest, fs::Permissions::from_mode(mode)).unwrap();
        target.assert_refused(&target.uninstall(), "can be written to by other users");
    }
    fs::set_permissions(&manifest, fs::Permissions::from_mode(0o644)).unwrap();
    target.uninstall().succeeded();
}

#[test]
fn link_in_the_place_of_a_directory_is_not_removed_through() {
    let attacks = [
        "cd $PREFIX/git-clone-shim/$VERSION; mv bin moved; ln -s $PRECIOUS bin",
        "cd $PREFIX/git-clone-shim; mv $VERSION moved; mkdir $VERSION; cp moved/manifest $VERSION; \
         ln -s $PRECIOUS $VERSION/bin",
        "cd $PREFIX/git-clone-shim; mv $VERSION moved; ln -s $PRECIOUS $VERSION",
    ];
    for attack in attacks {
        let Some(target) = Target::new() else {
            return;
        };
        target.install_for_a_group();
        target.attack(attack);
        // It may find that nothing is installed any more.
        target.uninstall();
        target.assert_untouched();
        target.install();
        target.assert_untouched();
    }
}

#[test]
fn temporary_file_that_another_user_made_is_refused() {
    let attacks = [
        "ln -s $PRECIOUS .git-clone-shim.staging",
        "ln -s $PRECIOUS/new .git-clone-shim.lock",
        "ln -s $PRECIOUS/file .git-clone-shim.lock",
        "mkdir .git-clone-shim.staging; echo $PRECIOUS/file >.git-clone-shim.staging/journal",
        "mkdir .git-clone-shim.staging; echo ../precious/.git-clone-shim.x >.git-clone-shim.staging/journal",
    ];
    for attack in attacks {
        let Some(target) = Target::new() else {
            return;
        };
        target.install_for_a_group();
        target.attack(&format!("cd $PREFIX/git-clone-shim; {attack}"));
        for outcome in [
            target.site.try_install(&version(2), &[]),
            target.site.run("activate", [VERSION]),
            target.uninstall(),
        ] {
            target.assert_refused(&outcome, "");
        }
    }
}

#[test]
fn fifo_in_the_place_of_a_file_is_not_waited_for() {
    for name in [
        "manifest",
        "$VERSION/manifest",
        "$VERSION/bin/git-clone-shim",
    ] {
        let Some(target) = Target::new() else {
            return;
        };
        target.install_for_a_group();
        target.attack(&format!(
            "cd $PREFIX/git-clone-shim; rm -f {name}; mkfifo {name}"
        ));
        target.assert_refused(&target.install(), "is no regular file");
    }
}

#[test]
fn link_of_the_owner_of_a_project_is_named_and_not_followed() {
    // The leader of a project has moved a part of it to another filesystem.
    let Some(target) = Target::new() else {
        return;
    };
    let project = target.site.arena.root().join("project");
    let elsewhere = target.site.arena.root().join("elsewhere");
    directory(&project, 0o755, ATTACKER);
    directory(&elsewhere, 0o755, VICTIM);
    target.attack("ln -s $TOP/elsewhere $TOP/project/software");
    let install = |prefix: &Path| {
        let mut command = target.site.arena.command(target.site.program(VERSION));
        command
            .args(["install", "--destdir=/", "--prefix"])
            .arg(prefix);
        command.uid(VICTIM).gid(VICTIM);
        Call::new(command).run()
    };
    target.assert_refused(
        &install(&project.join("software")),
        "name the directory itself",
    );
    install(&elsewhere).succeeded();
    let bin = elsewhere.join("git-clone-shim/current/bin");
    target.site.assert_works(&bin, VERSION);
}

#[test]
fn last_check_tries_nothing_where_others_can_replace_it() {
    let Some(target) = Target::new() else {
        return;
    };
    let temporary = target.site.arena.root().join("theirs");
    directory(&temporary, 0o777, ATTACKER);
    let mut command = target.site.command("install", [""; 0]);
    command.env("TMPDIR", &temporary).current_dir(&temporary);
    let outcome = Call::new(command).run();
    assert_eq!(outcome.status.code(), Some(1), "{outcome:?}");
    assert!(outcome.stderr_contains("TMPDIR"), "{outcome:?}");
    assert!(tree::read(&temporary).is_empty());
    target.site.assert_works(&target.site.bin(), VERSION);
}
