//! `git-clone-shim doctor` says what a user's clones do, and nothing more: twin clones are the oracle. It is safe to run where
//! another user can write.

use std::any::Any;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::os::unix::fs::symlink;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::Command;

use nix::libc::{EPERM, EXDEV, SIGHUP, SIGINT, SIGTERM};

use crate::support::arena::{Arena, REFUSED, for_each_git};
use crate::support::args::{Args, args, with_source};
use crate::support::arrangement;
use crate::support::call::{Call, Outcome};
use crate::support::executable;
use crate::support::gits::{Git, gits};
use crate::support::mounted::Mounted;
use crate::support::refusing_fs::{LinkRule, arena_on, mount};
use crate::support::scratch;
use crate::support::source;
use crate::support::terminal;
use crate::support::tree;
use crate::support::wait;

/// A call of doctor with the shim first on PATH.
fn doctor(arena: &Arena, args: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Call {
    let program = arena.root().join("git-clone-shim");
    let _ = symlink("shim/git", &program);
    let mut command = arena.command(program);
    command.arg("doctor").args(args).env("PATH", arena.path_of(true));
    Call::new(command)
}

/// What doctor printed, and its last line; asserts that nothing is red unless the exit status says so, and that nothing is left
/// in `place`.
#[track_caller]
fn report(outcome: &Outcome, place: &Path) -> (Vec<String>, String) {
    let text = String::from_utf8(outcome.stdout.clone()).unwrap();
    let lines: Vec<String> = text.lines().map(str::to_owned).collect();
    let status = i32::from(text.contains('✗'));
    assert!(outcome.status.code() == Some(status) && outcome.stderr.is_empty(), "{outcome:?}");
    let mut left = fs::read_dir(place).into_iter().flatten().map(|entry| entry.unwrap().file_name());
    let left = left.find(|name| name.to_string_lossy().contains("git-clone-shim."));
    assert_eq!(left, None, "{outcome:?}");
    let last = lines.last().unwrap().clone();
    (lines, last)
}

/// Makes a directory with a shell script called git in it.
fn wrapper(arena: &Arena, name: &str, script: &str) {
    let directory = arena.root().join(name);
    fs::create_dir(&directory).unwrap();
    executable::script(&directory.join("git"), &format!("#!/bin/sh\n{script}\n"));
}

/// Runs a script in the arena's directory.
#[track_caller]
fn shell(arena: &Arena, script: &str) {
    let done = Command::new("sh").args(["-ec", script]).current_dir(arena.root()).status();
    assert!(done.unwrap().success());
}

/// Where clones are made, and what refuses links there.
struct Scene {
    arena: Arena,
    source: PathBuf,
    umask: &'static str,
    /// What doctor is called with.
    args: Vec<PathBuf>,
    _mounted: Box<dyn Any>,
}

impl Scene {
    /// Clones from the arena's directory to its working directory, by a user with this umask.
    fn new(arena: Arena, umask: &'static str) -> Self {
        let source = source::small(&arena, "src");
        if umask == "002" {
            shell(&arena, "chmod -R g+w src");
        }
        let args = [arena.root(), arena.work_dir()].map(Path::to_owned).to_vec();
        Self { arena, source, umask, args, _mounted: Box::new(()) }
    }

    /// Runs the call under this scene's umask and fault.
    fn run(&self, call: &Call) -> Outcome {
        let mut command = self.arena.command("sh");
        command.args(["-c", &format!("umask {}; exec \"$@\"", self.umask), "sh"]);
        command.arg(call.command.get_program()).args(call.command.get_args());
        command.envs(call.command.get_envs().map(|(name, value)| (name, value.unwrap())));
        self.arena.under_fault(|| Call::new(command).run())
    }

    /// Whether such a clone of a user's works here.
    fn clones(&self, call: fn(&Arena, Args) -> Call, line: &str) -> bool {
        let outcome = self.run(&call(&self.arena, with_source(&self.source, args(line))));
        tree::clear(self.arena.work_dir());
        outcome.status.success()
    }
}

fn on_fuse(git: &Git, rule: LinkRule) -> Option<Scene> {
    let (directory, filesystem) = mount(rule)?;
    let (arena, source) = arena_on(&filesystem, Arena::new(git));
    let args = vec![arena.work_dir().to_owned()];
    Some(Scene { arena, source, umask: "022", args, _mounted: Box::new((filesystem, directory)) })
}

/// An overlayfs with a repository in the lower layer, whose objects have several names.
fn on_overlayfs(git: &Git) -> Option<Scene> {
    if !arrangement::is_root() {
        return None;
    }
    let arena = Arena::new(git);
    let script = format!(
        "mkdir lower upper layer; cp -R {} lower/src; cp -R -l lower/src lower/more
        mount -t overlay overlay -o lowerdir=lower,upperdir=upper,workdir=layer mount; mkdir mount/work",
        source::small(&arena, "src").display()
    );
    let mounted = Mounted::by(&script, scratch::directory(), "overlayfs")?;
    let [source, here] = ["src", "work"].map(|name| mounted.path().join(name));
    let args = vec!["--from".into(), source.clone(), here.clone()];
    Some(Scene { arena: arena.in_directory(&here), source, umask: "022", args, _mounted: Box::new(mounted) })
}

/// What refuses links, and how many of the two forms of a clone die of it with a git that compares links with their sources.
type Case = (&'static str, fn(&Git) -> Option<Scene>, usize);

#[rustfmt::skip]
const CASES: [Case; 8] = [
    ("nothing refuses", |git| Some(Scene::new(Arena::new(git), "022")), 0),
    ("EPERM", |git| Some(Scene::new(Arena::new(git).with_links_failing(EPERM), "022")), 1),
    ("EPERM, umask 002", |git| Some(Scene::new(Arena::new(git).with_links_failing(EPERM), "002")), 1),
    ("EXDEV", |git| Some(Scene::new(Arena::new(git).with_links_failing(EXDEV), "022")), 1),
    ("two mounts", |git| Some(Scene::new(Arena::new(git).across_mounts()?, "022")), 1),
    ("BeeGFS", |git| on_fuse(git, LinkRule::SameDirectoryOnly), 1),
    ("an inode for each name", |git| on_fuse(git, LinkRule::InodePerPath), 2),
    ("overlayfs, several names", on_overlayfs, 2),
];

#[test]
fn doctor_says_what_a_users_clones_do() {
    for git in gits() {
        for (name, arrange, failures) in CASES {
            let Some(scene) = arrange(git) else { continue };
            let lines = ["clone -q SRC dst", "clone -q --local SRC dst"];
            let alone = lines.map(|line| scene.clones(Arena::real, line));
            let works = lines.map(|line| scene.clones(Arena::shim, line));
            assert_eq!(works, [true; 2], "{name}");
            // Only newer gits compare links with their sources.
            let died = alone.iter().filter(|works| !**works).count();
            assert!(died == failures || git.file != gits()[0].file, "{name}: {alone:?}");
            let (words, verdict) = match alone {
                [true, true] => ("git clones by itself", "✓ Not needed "),
                [true, false] => ("git alone fails with --local, through", "✓ Works: "),
                [false, _] => ("git alone fails, through", "✓ Works: "),
            };
            let outcome = scene.run(&doctor(&scene.arena, &scene.args));
            let (lines, last) = report(&outcome, scene.arena.work_dir());
            let agrees = lines[lines.len() - 2].contains(words) && last.starts_with(verdict);
            assert!(agrees, "{name}: {alone:?}{outcome:?}");
        }
    }
}

#[test]
fn report_is_short_and_has_colours_on_a_terminal_only() {
    let arena = Arena::new(&gits()[0]);
    let piped = doctor(&arena, [arena.work_dir()]).run();
    let (lines, last) = report(&piped, arena.work_dir());
    assert!(lines.len() <= 10 && last.starts_with('✓'), "{piped:?}");
    for (variable, coloured) in [("TERM", true), ("NO_COLOR", false)] {
        let call = doctor(&arena, [arena.work_dir()]).env("TERM", "xterm");
        let seen = terminal::run(call.env(variable, "xterm").command, 80, &[]);
        assert_eq!(seen.shows("\u{1b}[32m✓\u{1b}[0m"), coloured, "{seen:?}");
        let screen = seen.screen().contents().replace('\n', "");
        assert!(screen.ends_with(&last), "{screen}");
    }
    let verbose = doctor(&arena, [Path::new("-v"), arena.work_dir()]).run();
    let (lines, _) = report(&verbose, arena.work_dir());
    let text = lines.join("\n");
    for part in [" filesystem: ", " alone: ", " the shim: ", "\n      ok"] {
        assert!(text.contains(part), "{part}: {text}");
    }
}

/// The directories of PATH, `GIT_CLONE_SHIM=…` and the like, the verdict, and the next step.
type OnPath = (&'static str, &'static str, &'static str, &'static str);

#[rustfmt::skip]
const PATHS: [OnPath; 13] = [
    ("shim real", "", "✓ Works: ", ""),
    ("copy shim real", "", "✓ Works: ", ""),
    ("site real", "", "✓ Works: ", ""),
    // Others can exchange this shim, so doctor does not run it.
    ("public real", "", "✓ Works: ", ""),
    ("shim real", "=always", "✓ Works: ", ""),
    ("shim real", "=of", "✓ Works: ", ""),
    ("real", "", "✓ Would work: git alone fails here, with the shim it clones. It is not on PATH yet.", " install"),
    ("real shim", "", "✗ Does not work: ROOT/real/git comes before the shim on PATH.", "put ROOT/shim first on PATH"),
    ("shim real", "=off", "✗ Does not work: GIT_CLONE_SHIM=off.", "unset GIT_CLONE_SHIM"),
    ("shim real", "_GIT=/nowhere/git", "✗ Does not work: GIT_CLONE_SHIM_GIT=/nowhere/git is not there", ""),
    ("shim real", "_GIT=ROOT/public/git", "✗ Does not work: no real git found: ROOT/public/git is the shim", ""),
    ("shim", "", "✗ Does not work: no git found on PATH", ""),
    ("shim wrapper real", "", "", "on PATH, put ROOT/wrapper/git before ROOT/shim/git and not behind it"),
];

/// The commonest wrapper: it forks the first other git on PATH.
const WRAPPER: &str = "$(which -a git | grep -vxF \"$0\" | head -1) \"$@\"";

fn on_path(arena: &Arena, names: &str) -> OsString {
    std::env::join_paths(names.split(' ').map(|name| arena.root().join(name))).unwrap()
}

#[test]
fn verdict_depends_on_what_comes_first_on_path() {
    for_each_git(|_, arena| {
        let arena = arena.with_links_failing(EPERM);
        let root = arena.root().to_str().unwrap();
        let public = "mkdir -m 777 public; cp -L shim/git public/git-clone-shim; ln -s git-clone-shim public/git";
        shell(&arena, &format!("mkdir copy; cp -L shim/git copy; {public}"));
        wrapper(&arena, "site", &format!("exec {root}/shim/git \"$@\""));
        wrapper(&arena, "wrapper", &format!("PATH=$PATH:/usr/bin:/bin\n{WRAPPER}"));
        for (names, variable, verdict, next) in PATHS {
            let (name, value) = variable.split_once('=').unwrap_or(("_LOG", ""));
            let call =
                doctor(&arena, [arena.work_dir()]).env(&format!("GIT_CLONE_SHIM{name}"), value.replace("ROOT", root));
            let call = call.env("PATH", on_path(&arena, names));
            let outcome = arena.under_fault(|| call.run());
            let (lines, last) = report(&outcome, arena.work_dir());
            assert!(last.starts_with(&verdict.replace("ROOT", root)), "{names}: {outcome:?}");
            let complains = lines.iter().any(|line| line.starts_with("  GIT_CLONE_SHIM=of is not "));
            assert_eq!(complains, variable == "=of", "{outcome:?}");
            let step = lines.iter().find_map(|line| line.strip_prefix("  Next: "));
            let (step, next) = (step.unwrap_or_default(), next.replace("ROOT", root));
            assert!(step.contains(&next) && step.is_empty() == next.is_empty(), "{names}: {outcome:?}");
        }
        // The order that it names works.
        let line = with_source(source::small(&arena, "src"), args("clone -q --local SRC dst"));
        let alone = arena.run(arena.real(line.clone())).outcome;
        assert!(alone.died_of(REFUSED), "{alone:?}");
        arena.run(arena.real(line).env("PATH", on_path(&arena, "wrapper shim real"))).outcome.succeeded();
    });
}

#[test]
fn first_git_is_told_when_git_itself_calls_doctor() {
    // Then git's own directory is first on PATH, where no user has put it.
    for_each_git(|_, arena| {
        let shim = arena.shim_directory();
        symlink("git", shim.join("git-clone-shim")).unwrap();
        let outcome = arena.shim(args("clone-shim doctor")).run();
        let shown = format!("  git on PATH  {}/git: the shim, ", shim.display());
        let (lines, _) = report(&outcome, arena.work_dir());
        assert!(lines[0].starts_with(&shown), "{outcome:?}");
    });
}

/// A user, and another one who attacks.
const USER: u32 = 1234;
const ATTACKER: u32 = 65534;

const DIRECTORIES: &str = "
    mkdir -m 755 closed theirs; mkdir -m 777 open; mkdir -m 755 open/below; mkdir -m 775 group; mkdir -m 1777 sticky
    chgrp 65534 *; chown 1234 theirs";

/// Who calls doctor, with which args, and why it tries nothing. (From the first row of the user on, the user has the arena.)
#[rustfmt::skip]
const NOT_TRIED: [(u32, &str, &str); 13] = [
    (0, "theirs", "others can write to ROOT/theirs; run it as the user"),
    (0, "open", "others can write to ROOT/open; run it as the user"),
    (0, "open/below", "others can write to ROOT/open; run it as the user"),
    (0, "group", "others can write to ROOT/group; run it as the user"),
    (0, "--from theirs/src sticky", "others can write to ROOT/theirs; run it as the user"),
    (0, "sticky", ""),
    (0, "sticky open", "others can write to ROOT/open; run it as the user"),
    (0, "/proc", "you cannot write there"),
    (USER, "closed", "you cannot write there"),
    (USER, "absent", "there is no such directory"),
    (USER, "theirs", ""),
    (USER, "open", ""),
    (USER, "group/absent", "there is no such directory"),
];

#[test]
fn what_cannot_be_tried_is_neither_good_nor_bad() {
    if !arrangement::is_root() {
        return;
    }
    let mut arena = Arena::new(&gits()[0]);
    shell(&arena, DIRECTORIES);
    source::small(&arena, "theirs/src");
    for (uid, line, why) in NOT_TRIED {
        if uid == USER {
            arena = arena.run_by(USER);
        }
        let root = arena.root();
        let outcome = doctor(&arena, args(line)).cwd(root).run();
        let (lines, last) = report(&outcome, &root.join(line));
        let row = lines.iter().find_map(|line| line.split_once(": not tried: "));
        let why = why.replace("ROOT", root.to_str().unwrap());
        assert_eq!(row.map_or("", |(_, why)| why), why, "{line}: {outcome:?}");
        assert_eq!(row.is_some(), last.starts_with('–'), "{line}: {outcome:?}");
    }
}

#[test]
fn closed_streams_do_not_matter() {
    let arena = Arena::new(&gits()[0]);
    for closed in ["<&-", "2>&-", "<&- 2>&-"] {
        let call = doctor(&arena, [arena.work_dir()]).command;
        let mut command = arena.command("sh");
        command.args(["-c", &format!("\"$0\" \"$@\" {closed}")]).arg(call.get_program()).args(call.get_args());
        let outcome = Call::new(command).run();
        let (_, last) = report(&outcome, arena.work_dir());
        assert!(last.starts_with("✓ Not needed here"), "{closed}: {outcome:?}");
    }
}

#[test]
fn signal_ends_doctor_when_all_is_removed() {
    let Some(strace) = arrangement::program("strace") else {
        return;
    };
    let arena = Arena::new(&gits()[0]);
    for (name, number) in [("HUP", SIGHUP), ("INT", SIGINT), ("TERM", SIGTERM)] {
        let call = doctor(&arena, [arena.work_dir()]).command;
        let mut command = arena.command(&strace);
        // While it waits for the first clone.
        command.args(args("-qq -o /dev/null -e trace=wait4 -e")).arg(format!("inject=wait4:signal={name}:when=7"));
        command.arg(call.get_program()).args(call.get_args()).env("PATH", arena.path_of(true));
        let outcome = Call::new(command).run();
        assert_eq!(outcome.status.signal(), Some(number), "{outcome:?}");
        assert_eq!(fs::read_dir(arena.work_dir()).unwrap().count(), 0, "{name}");
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
        let Some(mounted) = Mounted::by(script, scratch::directory(), "tmpfs") else {
            return;
        };
        let (full, here) = ("No space left on device", mounted.path());
        let line = with_source(&source, args("clone -q --local SRC dst"));
        let failed = arena.real(line).cwd(&here).run();
        assert!(failed.stderr_contains(full), "{failed:?}");
        for args in [vec![&here], vec![&"--from".into(), &source, &here]] {
            let outcome = doctor(&arena, args).run();
            let (lines, last) = report(&outcome, &here);
            let row = &lines[lines.len() - 2];
            let is_gits = row.contains("git itself fails: ") && row.contains(full);
            assert!(is_gits && last.starts_with("✗ Does not work: "), "{outcome:?}");
        }
    });
}

/// What runs a program in a clone of the user's, in which `TRAP` is a directory of another user's with programs.
#[rustfmt::skip]
const TRAPS: [(&str, &str); 5] = [
    ("hooks", "[core]\n\thooksPath = TRAP\n"),
    ("template", "[init]\n\ttemplateDir = TRAP/template\n"),
    ("filter", "[filter \"f\"]\n\tsmudge = TRAP/run\n\tclean = TRAP/run\n\trequired = true\n"),
    ("fsmonitor", "[core]\n\tfsmonitor = TRAP/run\n"),
    ("signature", "[commit]\n\tgpgSign = true\n[gpg]\n\tprogram = TRAP/run\n"),
];

/// Every repository is trusted, as some users have it.
const TRUST: &str = "[safe]\n\tdirectory = *\n";

/// Makes a directory that is open to all, and programs of another user that write `ran` there.
const SET_TRAPS: &str = r#"
    mkdir -m 777 open
    mkdir -p trap/template/hooks
    printf '#!/bin/sh\ntouch %s/open/ran\n' "$PWD" >trap/run
    chmod 755 trap/run
    for name in post-checkout pre-commit reference-transaction template/hooks/post-checkout; do cp trap/run trap/$name; done
    chown -R 65534 trap"#;

/// The directory that is open to all, and the configurations of [`TRAPS`].
fn traps(arena: &Arena) -> (PathBuf, [String; 5]) {
    shell(arena, SET_TRAPS);
    let trap = arena.root().join("trap");
    (arena.root().join("open"), TRAPS.map(|(_, config)| config.replace("TRAP", trap.to_str().unwrap())))
}

#[test]
fn nothing_of_another_user_runs() {
    if !arrangement::is_root() {
        return;
    }
    for_each_git(|_, arena| {
        let source = source::with_filter(&arena, "src", "f");
        shell(&arena, "chown -R 65534 src");
        let (open, traps) = traps(&arena);
        let arena = arena.run_by(USER);
        let ran = open.join("ran");
        for ((name, _), config) in TRAPS.iter().zip(traps) {
            fs::write(arena.root().join("home/.gitconfig"), config + TRUST).unwrap();
            for line in ["clone -q SRC dst", "-C dst status", "-C dst commit -q --allow-empty -m one"] {
                arena.real(with_source(&source, args(line))).cwd(&open).run();
            }
            assert!(ran.exists(), "{name} is no trap");
            tree::clear(&open);
            for line in ["open", "--from src open"] {
                let outcome = doctor(&arena, args(line)).cwd(arena.root()).run();
                let works = report(&outcome, &open).1.starts_with('✓');
                assert!(works && !ran.exists(), "{name}: {outcome:?}");
            }
        }
    });
}

/// Takes the place of doctor's directories as soon as they are there.
const EXCHANGE: &str = r#"
    exchanged=
    while [ -d /proc/$PPID ]; do
        for name in .git-clone-shim.*; do
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
    // With one git: it is doctor itself that the attacker must not mislead.
    let arena = Arena::new(&gits()[0]);
    let (open, traps) = traps(&arena);
    // A repository in which each command of the user's runs a program of the attacker's.
    let trapped = source::small(&arena, "trapped");
    fs::write(trapped.join(".git/config"), traps.concat()).unwrap();
    source::small(&arena, "made");
    shell(&arena, "mkdir -p precious/clone/below; mv made precious/source; chown -R 1234 precious");
    let precious = arena.root().join("precious");
    fs::write(arena.root().join("home/.gitconfig"), TRUST).unwrap();
    let arena = arena.run_by(USER);
    arena.real(args("-C trapped status")).cwd(arena.root()).run();
    assert!(open.join("ran").exists(), "the trap does not work");
    let before = tree::read(&precious);
    for (name, plant) in PLANTED {
        tree::clear(&open);
        shell(&arena, "cp -a precious open/mine; cp -a precious open/mine2");
        let mut attacker = Command::new("sh");
        attacker.args(["-c", &format!("plant() {{ {plant}; }}{EXCHANGE}")]);
        attacker.current_dir(&open).uid(ATTACKER).gid(ATTACKER);
        let mut attacker = attacker.spawn().unwrap();
        let call = doctor(&arena, [&open]).command;
        let mut command = arena.command(&strace);
        // Doctor starts each program late, so that the attacker comes before it.
        let forks = "?clone,?clone3,?fork,?vfork";
        command.args(args(&format!("-qq -o /dev/null -e trace={forks} -e inject={forks}:delay_enter=200000")));
        command.arg(call.get_program()).args(call.get_args()).env("PATH", arena.path_of(true));
        let outcome = Call::new(command).run();
        let exchanged = open.join("exchanged");
        wait::until("an exchange", || exchanged.exists());
        attacker.kill().unwrap();
        attacker.wait().unwrap();
        let exchanged = fs::read_to_string(exchanged).unwrap();
        assert!(!open.join("ran").exists(), "{name}: {outcome:?}");
        assert_eq!(tree::differences(&before, &tree::read(&precious)), [""; 0], "{name}: {outcome:?}");
        let all = ["mine", "mine2"].into_iter().chain(exchanged.lines());
        let is_whole = |path: &PathBuf| path.exists() && tree::read(path) == before;
        let whole = all.map(|name| open.join(name)).filter(is_whole).count();
        assert!(whole >= 2, "{name}: {exchanged}{outcome:?}");
    }
}

#[test]
fn git_that_others_can_exchange_is_not_run() {
    for_each_git(|_, arena| {
        let ran = arena.root().join("ran");
        wrapper(&arena, "shared", &format!("touch {}; exec git \"$@\"", ran.display()));
        shell(&arena, "chmod 777 shared");
        for names in ["shared shim real", "shim shared real"] {
            let outcome = doctor(&arena, [arena.work_dir()]).env("PATH", on_path(&arena, names)).run();
            let (lines, _) = report(&outcome, arena.work_dir());
            let warning = "/shared/git: not run, since others can exchange what is in ";
            let is_warned = lines.iter().any(|line| line.contains(warning));
            assert!(is_warned && !ran.exists(), "{outcome:?}");
        }
    });
}

#[test]
fn names_are_printed_on_one_line_each() {
    let arena = Arena::new(&gits()[0]);
    let odd = arena.root().join("\u{1b}[31m\n\u{202e}é");
    fs::create_dir(&odd).unwrap();
    let outcome = doctor(&arena, ["-v".as_ref(), odd.as_path()]).run();
    let (lines, _) = report(&outcome, &odd);
    assert!(lines[2].contains(r"\u{1b}[31m\n\u{202e}é: git clones"), "{outcome:?}");
    assert!(!lines.concat().contains(['\u{1b}', '\u{202e}']), "{outcome:?}");
}
