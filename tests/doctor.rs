//! `git-clone-shim doctor` says what a user's clones do, and nothing more: twin clones are the oracle. It is safe to run where
//! another user can write.

use std::any::Any;
use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, chown, symlink};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use nix::libc::{EPERM, EXDEV};

use crate::support::arena::{Arena, for_each_git};
use crate::support::args::{Args, args, with_source};
use crate::support::arrangement;
use crate::support::call::{Call, Outcome};
use crate::support::executable;
use crate::support::gits::{Git, gits};
use crate::support::mounted::Mounted;
use crate::support::path;
use crate::support::refusing_fs::{LinkRule, arena_on, mount};
use crate::support::source;
use crate::support::terminal;
use crate::support::tree;

/// A call of doctor with the shim first on PATH.
fn doctor(arena: &Arena, args: impl IntoIterator<Item = impl AsRef<std::ffi::OsStr>>) -> Call {
    let mut command = arena.command(executable::shim());
    command
        .arg("doctor")
        .args(args)
        .env("PATH", arena.path_of(true));
    Call::new(command)
}

/// The same call by a user who is not root, where the tests are.
fn as_user(arena: &Arena, call: &Call) -> Call {
    let installed = arena.root().join("installed");
    if !installed.exists() {
        // The program under test may lie where only root can read it.
        fs::create_dir(&installed).unwrap();
        executable::copy(executable::shim(), &installed.join("git-clone-shim"));
        symlink("git-clone-shim", installed.join("git")).unwrap();
    }
    let program = Path::new(call.command.get_program()).file_name().unwrap();
    let program = if program == "git" {
        arena.real_directory()
    } else {
        installed.clone()
    }
    .join(program);
    let mut command = arena.command(program);
    command.args(call.command.get_args());
    command.env("PATH", Arena::path(&[installed, arena.real_directory()]));
    if nix::unistd::geteuid().is_root() {
        command.uid(USER).gid(USER);
    }
    Call::new(command)
}

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
}

/// What doctor printed; asserts that the verdict is its last line, that nothing is red unless the exit status says so, and
/// that nothing is left in `place`.
#[track_caller]
fn report(outcome: &Outcome, place: &Path) -> Vec<String> {
    let text = String::from_utf8(outcome.stdout.clone()).unwrap();
    let lines: Vec<String> = text.lines().map(str::to_owned).collect();
    let fails = text.contains('✗');
    assert_eq!(outcome.status.code(), Some(i32::from(fails)), "{outcome:?}");
    assert_eq!(outcome.stderr, b"", "{outcome:?}");
    let verdicts = [
        "✓ Works: ",
        "✓ Would work: ",
        "✓ Not needed ",
        "✗ Does not work: ",
        "– Nothing was tried.",
    ];
    let last = lines.last().unwrap();
    assert!(
        verdicts.iter().any(|verdict| last.starts_with(verdict)),
        "{text}"
    );
    let left = fs::read_dir(place)
        .into_iter()
        .flatten()
        .map(|entry| entry.unwrap().file_name());
    let left: Vec<_> = left
        .filter(|name| name.to_string_lossy().contains("doctor"))
        .collect();
    assert!(left.is_empty(), "{left:?}");
    lines
}

/// Where clones are made, and what refuses links there.
struct Scene {
    arena: Arena,
    source: PathBuf,
    umask: &'static str,
    /// What doctor is called with.
    args: Args,
    _mounted: Box<dyn Any>,
}

impl Scene {
    fn new(arena: Arena, source: PathBuf, args: impl IntoIterator<Item = PathBuf>) -> Self {
        let args = args.into_iter().map(Into::into).collect();
        Self {
            arena,
            source,
            umask: "022",
            args,
            _mounted: Box::new(()),
        }
    }

    fn within(arena: Arena) -> Self {
        let (source, here) = (source::small(&arena, "src"), arena.work_dir().to_owned());
        Self::new(arena, source, [here])
    }

    fn between(arena: Arena) -> Self {
        let source = source::small(&arena, "src");
        let directories = [arena.root(), arena.work_dir()].map(Path::to_owned);
        Self::new(arena, source, directories)
    }

    /// As with a umask of 002.
    fn shared(self) -> Self {
        let mut chmod = Command::new("chmod");
        assert!(
            chmod
                .args(["-R", "g+w"])
                .arg(&self.source)
                .status()
                .unwrap()
                .success()
        );
        Self {
            umask: "002",
            ..self
        }
    }

    /// Runs the call under this scene's umask and fault.
    fn run(&self, call: &Call) -> Outcome {
        let mut command = self.arena.command("sh");
        command.args(["-c", &format!("umask {}; exec \"$@\"", self.umask), "sh"]);
        command
            .arg(call.command.get_program())
            .args(call.command.get_args());
        for (name, value) in call.command.get_envs() {
            command.env(name, value.unwrap());
        }
        self.arena.under_fault(|| Call::new(command).run())
    }

    /// Whether such a clone of a user's works here.
    fn clones(&self, call: fn(&Arena, Args) -> Call, line: &str) -> bool {
        let line = with_source(&self.source, args(line));
        let outcome = self.run(&call(&self.arena, line));
        tree::clear(self.arena.work_dir());
        outcome.status.success()
    }
}

fn on_fuse(git: &Git, rule: LinkRule) -> Option<Scene> {
    let (directory, filesystem) = mount(rule)?;
    let (arena, source) = arena_on(&filesystem, Arena::new(git));
    let here = arena.work_dir().to_owned();
    let mounted = Box::new((filesystem, directory));
    Some(Scene {
        _mounted: mounted,
        ..Scene::new(arena, source, [here])
    })
}

/// An overlayfs with a repository in the lower layer, whose objects have several names.
fn on_overlayfs(git: &Git, from: bool) -> Option<Scene> {
    if !arrangement::is_root() {
        return None;
    }
    let arena = Arena::new(git);
    let made = source::small(&arena, "src");
    let script = format!(
        "mkdir lower upper layer; cp -R {} lower/src; cp -R -l lower/src lower/more
        mount -t overlay overlay -o lowerdir=lower,upperdir=upper,workdir=layer mount; mkdir mount/work",
        made.display()
    );
    let mounted = Mounted::by(&script, tempfile::tempdir().unwrap(), "overlayfs")?;
    let (source, here) = (mounted.path().join("src"), mounted.path().join("work"));
    let given = from
        .then(|| ["--from".into(), source.clone()])
        .into_iter()
        .flatten();
    let arena = arena.in_directory(&here);
    let args: Vec<PathBuf> = given.chain([here]).collect();
    Some(Scene {
        _mounted: Box::new(mounted),
        ..Scene::new(arena, source, args)
    })
}

/// What refuses links, and how many of the two forms of a clone die of it with a git that compares links with their sources.
type Case = (&'static str, fn(&Git) -> Option<Scene>, usize);

#[rustfmt::skip]
const CASES: [Case; 10] = [
    ("nothing refuses", |git| Some(Scene::within(Arena::new(git))), 0),
    ("EPERM", |git| Some(Scene::within(Arena::new(git).with_links_failing(EPERM))), 1),
    ("EPERM, umask 002", |git| Some(Scene::within(Arena::new(git).with_links_failing(EPERM)).shared()), 1),
    ("EXDEV", |git| Some(Scene::within(Arena::new(git).with_links_failing(EXDEV))), 1),
    ("two mounts", |git| Some(Scene::between(Arena::new(git).across_mounts()?)), 1),
    ("BeeGFS", |git| on_fuse(git, LinkRule::SameDirectoryOnly { errno: EPERM }), 1),
    ("no links", |git| on_fuse(git, LinkRule::Refuse { errno: EPERM }), 1),
    ("an inode for each name", |git| on_fuse(git, LinkRule::InodePerPath), 2),
    ("symbolic links", |git| on_fuse(git, LinkRule::Symlink), 2),
    ("overlayfs, several names", |git| on_overlayfs(git, true), 2),
];

#[test]
fn doctor_says_what_a_users_clones_do() {
    for git in gits() {
        for (name, arrange, failures) in CASES {
            let Some(scene) = arrange(git) else { continue };
            let lines = ["clone -q SRC dst", "clone -q --local SRC dst"];
            let alone = lines.map(|line| scene.clones(Arena::real, line));
            let works = lines.iter().all(|line| scene.clones(Arena::shim, line));
            // The first git of a machine that tests is not the oldest.
            let died = alone.iter().filter(|works| !**works).count();
            assert!(
                died == failures || git.file != gits()[0].file,
                "{name}: {alone:?}"
            );
            let (words, verdict) = match alone {
                _ if !works => ("git itself fails: ", "✗ Does not work: "),
                [true, true] => ("git clones ", "✓ Not needed "),
                [true, false] => (
                    "git alone fails with --local, through the shim it clones",
                    "✓ Works: ",
                ),
                [false, _] => ("git alone fails, through the shim it clones", "✓ Works: "),
            };
            let outcome = scene.run(&doctor(&scene.arena, &scene.args));
            let lines = report(&outcome, scene.arena.work_dir());
            let [.., row, last] = &lines[..] else {
                panic!("{outcome:?}")
            };
            assert!(
                row.contains(words) && last.starts_with(verdict),
                "{name}: {alone:?}{outcome:?}"
            );
        }
    }
}

#[test]
fn new_repository_on_overlayfs_says_nothing_about_old_ones() {
    for git in gits() {
        let Some(scene) = on_overlayfs(git, false) else {
            return;
        };
        let outcome = scene.run(&doctor(&scene.arena, &scene.args));
        let lines = report(&outcome, scene.arena.work_dir());
        let last = lines.last().unwrap();
        assert!(
            last.contains("for a new repository") && last.contains("--from REPO"),
            "{last}"
        );
    }
}

#[test]
fn report_is_short_and_has_colours_on_a_terminal_only() {
    let arena = Arena::new(&gits()[0]);
    let piped = doctor(&arena, [arena.work_dir()]).run();
    let lines = report(&piped, arena.work_dir());
    assert!(
        lines.len() <= 10 && lines.last().unwrap().starts_with('✓'),
        "{piped:?}"
    );
    for (variables, coloured) in [
        (&[("TERM", "xterm")][..], true),
        (&[("TERM", "xterm"), ("NO_COLOR", "1")], false),
    ] {
        let mut call = doctor(&arena, [arena.work_dir()]);
        call.command.envs(variables.iter().copied());
        let seen = terminal::run(call.command, 80, &[]);
        assert_eq!(seen.shows("\u{1b}[32m✓\u{1b}[0m"), coloured, "{seen:?}");
        let screen = seen.screen().contents();
        let shown: Vec<&str> = screen.lines().map(str::trim_end).collect();
        assert!(shown.join("").ends_with(lines.last().unwrap()), "{screen}");
    }
    let verbose = doctor(&arena, [Path::new("--verbose"), arena.work_dir()]).run();
    let text = report(&verbose, arena.work_dir()).join("\n");
    for part in [
        "  filesystem: ",
        "  $ cd /",
        " --local /",
        " clone\n      ok\n",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
}

/// The directories of PATH, variables, the verdict, and the next step.
type OnPath = (
    &'static [&'static str],
    &'static [(&'static str, &'static str)],
    &'static str,
    &'static str,
);

#[rustfmt::skip]
const PATHS: [OnPath; 10] = [
    (&["shim", "real"], &[], "✓ Works: ", ""),
    (&["copy", "shim", "real"], &[], "✓ Works: ", ""),
    (&["site", "real"], &[], "✓ Works: ", ""),
    (
        &["real"],
        &[],
        "✓ Would work: git alone fails here, with the shim it clones. It is not on PATH yet.",
        " install",
    ),
    (
        &["real", "shim"],
        &[],
        "✗ Does not work: ROOT/real/git comes before the shim on PATH.",
        "export PATH=ROOT/shim:\"$PATH\"",
    ),
    (
        &["shim", "real"],
        &[("GIT_CLONE_SHIM", "off")],
        "✗ Does not work: GIT_CLONE_SHIM=off.",
        "unset GIT_CLONE_SHIM",
    ),
    (
        &["shim", "real"],
        &[("GIT_CLONE_SHIM", "always")],
        "✓ Works: ",
        "",
    ),
    (
        &["shim", "real"],
        &[("GIT_CLONE_SHIM_GIT", "/nowhere/git")],
        "✗ Does not work: GIT_CLONE_SHIM_GIT=/nowhere/git is not there",
        "",
    ),
    (&["shim"], &[], "✗ Does not work: no git found on PATH", ""),
    (
        &["shim", "wrapper", "real"],
        &[],
        "",
        "on PATH, put ROOT/wrapper before ROOT/shim and not behind it",
    ),
];

#[test]
fn verdict_depends_on_what_comes_first_on_path() {
    for_each_git(|_, arena| {
        let arena = arena.with_links_failing(EPERM);
        let root = arena.root().to_str().unwrap();
        path::shim_copy(&arena, "copy");
        path::wrapper(&arena, "site", &format!("exec {root}/shim/git \"$@\""));
        // As the commonest of them, it forks the first other git on PATH.
        path::wrapper(
            &arena,
            "wrapper",
            "PATH=$PATH:/usr/bin:/bin\n$(which -a git | grep -vxF \"$0\" | head -1) \"$@\"",
        );
        for (directories, variables, verdict, next) in PATHS {
            let entries = directories.iter().map(|name| arena.root().join(name));
            let entries = if directories.last() == Some(&"shim") && directories.len() == 1 {
                entries.collect::<Vec<_>>()
            } else {
                entries.chain(["/bin".into()]).collect()
            };
            let mut call = doctor(&arena, [arena.work_dir()]).env("PATH", path::join(entries));
            call.command.envs(variables.iter().copied());
            let outcome = arena.under_fault(|| call.run());
            let lines = report(&outcome, arena.work_dir());
            let verdict = verdict.replace("ROOT", root);
            assert!(
                lines.last().unwrap().starts_with(&verdict),
                "{directories:?}: {outcome:?}"
            );
            let step = lines
                .iter()
                .find_map(|line| line.strip_prefix("  Next: "))
                .unwrap_or_default();
            assert!(
                step.contains(&next.replace("ROOT", root)),
                "{directories:?}: {outcome:?}"
            );
            assert_eq!(
                step.is_empty(),
                next.is_empty(),
                "{directories:?}: {outcome:?}"
            );
        }
        // The order that it names works.
        let source = source::small(&arena, "src");
        let line = with_source(&source, args("clone -q --local SRC dst"));
        assert!(!arena.run(arena.real(line.clone())).outcome.status.success());
        let order = ["wrapper", "shim", "real"].map(|name| arena.root().join(name));
        arena
            .run(arena.real(line).env("PATH", Arena::path(&order)))
            .outcome
            .succeeded();
    });
}

#[test]
fn first_git_is_told_when_git_itself_calls_doctor() {
    // Then git's own directory is first on PATH, where no user has put it.
    for_each_git(|_, arena| {
        symlink(
            executable::shim(),
            arena.shim_directory().join("git-clone-shim"),
        )
        .unwrap();
        let outcome = arena.shim(args("clone-shim doctor")).run();
        let shown = format!(
            "  git on PATH  {}: the shim, ",
            arena.shim_directory().join("git").display()
        );
        assert!(
            report(&outcome, arena.work_dir())[0].starts_with(&shown),
            "{outcome:?}"
        );
    });
}

/// A user, and another one who attacks.
const USER: u32 = 1234;
const ATTACKER: u32 = 65534;

#[test]
fn what_cannot_be_tried_is_neither_good_nor_bad() {
    if !arrangement::is_root() {
        return;
    }
    let arena = Arena::new(&gits()[0]);
    let root = arena.root();
    for (name, mode, owner) in [
        ("closed", 0o755, 0),
        ("theirs", 0o755, USER),
        ("open", 0o777, 0),
        ("group", 0o775, 0),
        ("sticky", 0o1777, 0),
    ] {
        fs::create_dir(root.join(name)).unwrap();
        set_mode(&root.join(name), mode);
        chown(root.join(name), Some(owner), Some(ATTACKER)).unwrap();
    }
    fs::create_dir(root.join("open/below")).unwrap();
    source::small(&arena, "theirs/src");
    for (uid, line, why) in [
        (USER, "closed", "you cannot write there"),
        (USER, "absent", "there is no such directory"),
        (USER, "theirs", ""),
        (USER, "open", ""),
        (USER, "group/absent", "there is no such directory"),
        (
            0,
            "theirs",
            "others can write to ROOT/theirs; run it as the user",
        ),
        (
            0,
            "open",
            "others can write to ROOT/open; run it as the user",
        ),
        (
            0,
            "open/below",
            "others can write to ROOT/open; run it as the user",
        ),
        (
            0,
            "group",
            "others can write to ROOT/group; run it as the user",
        ),
        (
            0,
            "--from theirs/src sticky",
            "others can write to ROOT/theirs; run it as the user",
        ),
        (0, "sticky", ""),
    ] {
        let call = doctor(&arena, args(line));
        let call = if uid == 0 {
            call
        } else {
            as_user(&arena, &call)
        };
        let outcome = call.cwd(root).run();
        let lines = report(&outcome, &root.join(line));
        let row = lines
            .iter()
            .find_map(|line| line.split_once(": not tried: "));
        assert_eq!(
            row.map_or("", |(_, why)| why),
            why.replace("ROOT", root.to_str().unwrap()),
            "{line}: {outcome:?}"
        );
        assert_eq!(
            row.is_some(),
            lines.last().unwrap().starts_with('–'),
            "{line}: {outcome:?}"
        );
    }
}

#[test]
fn failure_that_no_copy_cures_is_gits_own() {
    if !arrangement::is_root() {
        return;
    }
    for_each_git(|_, arena| {
        let source = source::small(&arena, "src");
        let script = "mount -t tmpfs -o size=64k,nr_inodes=10 tmpfs mount";
        let Some(mounted) = Mounted::by(script, tempfile::tempdir().unwrap(), "tmpfs") else {
            return;
        };
        let (full, here) = ("No space left on device", mounted.path());
        let line = with_source(&source, args("clone -q --local SRC dst"));
        let failed = arena.real(line).cwd(&here).run();
        assert!(failed.stderr_contains(full), "{failed:?}");
        for args in [
            vec![here.as_path()],
            vec![Path::new("--from"), &source, &here],
        ] {
            let outcome = doctor(&arena, args).run();
            let lines = report(&outcome, &here);
            let [.., row, last] = &lines[..] else {
                panic!("{outcome:?}")
            };
            assert!(
                row.contains("git itself fails: ") && row.contains(full),
                "{outcome:?}"
            );
            assert!(last.starts_with("✗ Does not work: "), "{outcome:?}");
        }
    });
}

/// What runs a program in a clone of the user's, in which `TRAP` is a directory of another user's with programs.
#[rustfmt::skip]
const TRAPS: [(&str, &str); 5] = [
    ("hooks", "[core]\n\thooksPath = TRAP\n"),
    ("template", "[init]\n\ttemplateDir = TRAP/template\n"),
    (
        "filter",
        "[filter \"f\"]\n\tsmudge = TRAP/run\n\tclean = TRAP/run\n\trequired = true\n",
    ),
    ("fsmonitor", "[core]\n\tfsmonitor = TRAP/run\n"),
    (
        "signature",
        "[commit]\n\tgpgSign = true\n[gpg]\n\tprogram = TRAP/run\n",
    ),
];

/// Directory of another user's, whose programs write `ran`.
fn trap(arena: &Arena) -> PathBuf {
    let trap = arena.root().join("trap");
    fs::create_dir_all(trap.join("template/hooks")).unwrap();
    let script = format!(
        "#!/bin/sh\ntouch {}\n",
        arena.root().join("open/ran").display()
    );
    for name in [
        "run",
        "post-checkout",
        "pre-commit",
        "reference-transaction",
        "template/hooks/post-checkout",
    ] {
        executable::script(&trap.join(name), &script);
    }
    chown_all(&trap, ATTACKER);
    trap
}

fn chown_all(path: &Path, uid: u32) {
    let owner = format!("{uid}:{uid}");
    assert!(
        Command::new("chown")
            .args(["-R", &owner])
            .arg(path)
            .status()
            .unwrap()
            .success()
    );
}

#[test]
fn nothing_of_another_user_runs() {
    if !arrangement::is_root() {
        return;
    }
    for_each_git(|_, arena| {
        let source = source::with_filter(&arena, "src", "f");
        chown_all(&source, ATTACKER);
        let trap = trap(&arena);
        let open = arena.root().join("open");
        fs::create_dir(&open).unwrap();
        set_mode(&open, 0o777);
        let configuration = arena.root().join("home/.gitconfig");
        for (name, config) in TRAPS {
            let config =
                config.replace("TRAP", trap.to_str().unwrap()) + "[safe]\n\tdirectory = *\n";
            fs::write(&configuration, config).unwrap();
            let clone = with_source(&source, args("clone -q SRC dst"));
            for line in [
                clone,
                args("-C dst status"),
                args("-C dst commit -q --allow-empty -m one"),
            ] {
                as_user(&arena, &arena.real(line)).cwd(&open).run();
            }
            let ran = open.join("ran");
            assert!(ran.exists(), "{name} is no trap");
            tree::clear(&open);
            for line in ["open", "--from src open"] {
                let call = as_user(&arena, &doctor(&arena, args(line)));
                let outcome = call.cwd(arena.root()).run();
                assert!(
                    report(&outcome, &open).last().unwrap().starts_with('✓'),
                    "{name}: {outcome:?}"
                );
                assert!(!ran.exists(), "{name}: {outcome:?}");
            }
        }
    });
}

/// Takes the place of doctor's directories as soon as they are there.
const EXCHANGE: &str = r#"
    exchanged=
    while :; do
        for name in .git-clone-shim-doctor-*; do
            case "$exchanged" in *"$name"*) continue ;; esac
            mv "$name" "taken$name" 2>/dev/null && plant "$name" && exchanged="$exchanged $name" && echo "$name" >>exchanged
        done
    done"#;

/// What another user puts there. In `mine` and `precious` the user has the repository `source` and the directory `clone`.
#[rustfmt::skip]
const PLANTED: [(&str, &str); 4] = [
    ("repository", "mkdir -p $1/clone; cp -R ../trapped $1/source; chmod -R 777 $1"),
    ("links", "mkdir $1; ln -s ../../precious/source ../../precious/clone $1"),
    ("link", "ln -s ../precious $1"),
    ("a directory of the user's", "mv mine $1 2>/dev/null || mv mine2 $1"),
];

#[test]
fn directory_that_another_user_exchanges_is_harmless() {
    let (Some(strace), true) = (arrangement::program("strace"), arrangement::is_root()) else {
        return;
    };
    for_each_git(|_, arena| {
        let trap = trap(&arena);
        let open = arena.root().join("open");
        fs::create_dir(&open).unwrap();
        set_mode(&open, 0o777);
        // A repository in which each command of the user's runs a program of the attacker's.
        let trapped = source::small(&arena, "trapped");
        let configs = TRAPS.map(|(_, config)| config.replace("TRAP", trap.to_str().unwrap()));
        fs::write(trapped.join(".git/config"), configs.concat()).unwrap();
        let precious = arena.root().join("precious");
        fs::create_dir_all(precious.join("clone/below")).unwrap();
        fs::rename(source::small(&arena, "made"), precious.join("source")).unwrap();
        chown_all(&precious, USER);
        let trust_all = "[safe]\n\tdirectory = *\n";
        fs::write(arena.root().join("home/.gitconfig"), trust_all).unwrap();
        let status = arena.real(args("-C trapped status"));
        as_user(&arena, &status).cwd(arena.root()).run();
        assert!(open.join("ran").exists(), "the trap does not work");
        let before = tree::read(&precious);
        for (name, plant) in PLANTED {
            tree::clear(&open);
            let mine = ["mine", "mine2"].map(|name| open.join(name));
            for mine in &mine {
                let copied = Command::new("cp")
                    .arg("-a")
                    .args([&precious, mine])
                    .status();
                assert!(copied.unwrap().success());
            }
            let mut attacker = Command::new("sh");
            attacker.args(["-c", &format!("plant() {{ {plant}; }}{EXCHANGE}")]);
            attacker.current_dir(&open).uid(ATTACKER).gid(ATTACKER);
            let mut attacker = attacker.spawn().unwrap();
            // Each program starts late, so that the attacker comes before it.
            let call = as_user(&arena, &doctor(&arena, [&open]));
            let mut command = arena.command(&strace);
            command.args(["-f", "-qq", "-o", "/dev/null", "-e", "trace=execve"]);
            command.args(["-e", "inject=execve:delay_enter=200000"]);
            command
                .arg(call.command.get_program())
                .args(call.command.get_args());
            for (variable, value) in call.command.get_envs() {
                command.env(variable, value.unwrap());
            }
            let outcome = Call::new({
                command.uid(USER).gid(USER);
                command
            })
            .run();
            attacker.kill().unwrap();
            attacker.wait().unwrap();
            let exchanged = fs::read_to_string(open.join("exchanged")).unwrap();
            assert!(!open.join("ran").exists(), "{name}: {outcome:?}");
            assert_eq!(
                tree::differences(&before, &tree::read(&precious)),
                [""; 0],
                "{name}: {outcome:?}"
            );
            let moved = exchanged.lines().map(|name| open.join(name));
            let kept = mine.into_iter().chain(moved).filter(|path| {
                path.join("source/.git/HEAD").exists() && path.join("clone/below").exists()
            });
            assert!(kept.count() >= 2, "{name}: {exchanged}{outcome:?}");
        }
    });
}

#[test]
fn git_that_others_can_exchange_is_not_run() {
    for_each_git(|_, arena| {
        let ran = arena.root().join("ran");
        let shared = path::wrapper(
            &arena,
            "shared",
            &format!("touch {}; exec git \"$@\"", ran.display()),
        );
        set_mode(&shared, 0o777);
        let (shim, real) = (arena.shim_directory(), arena.real_directory());
        for entries in [[&shared, &shim, &real], [&shim, &shared, &real]] {
            let outcome = doctor(&arena, [arena.work_dir()])
                .env("PATH", Arena::path(&entries.map(Clone::clone)))
                .run();
            let text = report(&outcome, arena.work_dir()).join("\n");
            assert!(!ran.exists(), "{outcome:?}");
            assert!(
                text.contains("/git: not run, since others can write to "),
                "{outcome:?}"
            );
        }
    });
}

#[test]
fn names_are_printed_on_one_line_each() {
    let arena = Arena::new(&gits()[0]);
    let odd = arena.work_dir().join("\u{1b}[31m\n\u{202e}é");
    fs::create_dir(&odd).unwrap();
    let outcome = doctor(&arena, ["-v".as_ref(), odd.as_path()]).run();
    let text = report(&outcome, &odd).join("\n");
    assert!(
        text.contains(r"\u{1b}[31m\n\u{202e}é: git clones"),
        "{text}"
    );
    assert!(!text.contains(['\u{1b}', '\u{202e}']), "{text}");
}
