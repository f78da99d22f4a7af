//! The sealed environment in which a test runs commands, with one real git, and the comparison of twin runs.

use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::{PermissionsExt, chown, symlink};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use nix::libc;
use nix::sys::stat::{Mode, umask};
use tempfile::TempDir;

use super::args::{Args, args, with_no_hardlinks, with_source};
use super::call::{Call, Outcome};
use super::executable;
use super::fault;
use super::gits::{Git, gits};
use super::scratch;
use super::source;
use super::tree::{self, Tree};

/// The beginning of git's message in uv issue 11420.
pub const REFUSED: &str = "fatal: failed to create link '";

/// What git writes when link(2) succeeds, but the new name is another file.
pub const DIFFERENT: &str = "fatal: hardlink different from source at '";

/// Shell code for [`Arena::script`].
const HOOK: &str = "hook() { mkdir -p template/hooks; printf '#!/bin/bash\\n%s\\n' \"$1\" >template/hooks/post-checkout
chmod +x template/hooks/post-checkout; }
export -f hook
";

/// Runs `test` once with each of [`gits`], each time in a new arena, which prints the git.
pub fn for_each_git(mut test: impl FnMut(&'static Git, Arena)) {
    for git in gits() {
        test(git, Arena::new(git));
    }
}

/// A sealed environment: its own HOME and TMPDIR, a working directory, one real git and the shim, each in a directory of
/// its own for PATH; and a fault of hard links, if the test asks for one.
pub struct Arena {
    root: TempDir,
    /// Where the working directory is, if that is on another mount.
    other_mount: Option<TempDir>,
    work_dir: PathBuf,
    /// The error with which link(2) fails for the commands of this arena.
    link_error: Option<i32>,
    /// Variables that its commands have besides those of [`Arena::command`].
    variables: Vec<(&'static str, OsString)>,
    /// The user who runs its commands, if it is another one.
    user: Option<u32>,
}

/// How a command ended, what it wrote, and what it left in the working directory.
#[derive(Clone, PartialEq)]
pub struct RunResult {
    pub outcome: Outcome,
    pub tree: Tree,
}

impl Arena {
    /// An arena for `git`, without any fault.
    pub fn new(git: &Git) -> Self {
        eprintln!("with {} ({})", git.version, git.file.display());
        // Whatever the user's own is: the modes of files are compared with those in tables.
        umask(Mode::S_IWGRP | Mode::S_IWOTH);
        let root = scratch::directory();
        // Some commands run as another user.
        fs::set_permissions(root.path(), fs::Permissions::from_mode(0o755)).unwrap();
        for directory in ["home", "tmp", "real", "shim", "work"] {
            fs::create_dir(root.path().join(directory)).unwrap();
        }
        // No background maintenance, which would change a source between two clones of it, and no waiting for the disk.
        let quiet = "[gc]\n\tauto = 0\n[maintenance]\n\tauto = false\n[core]\n\tfsync = none\n";
        fs::write(root.path().join("home/.gitconfig"), quiet).unwrap();
        symlink(&git.file, root.path().join("real/git")).unwrap();
        symlink(executable::shim(), root.path().join("shim/git")).unwrap();
        let work_dir = root.path().join("work");
        Self { root, other_mount: None, work_dir, link_error: None, variables: Vec::new(), user: None }
    }

    /// An arena where links succeed, and one where they are refused, each with a small source `src`.
    pub fn linking_and_refusing(git: &Git) -> [Self; 2] {
        let arenas = [Self::new(git), Self::new(git).with_links_failing(libc::EPERM)];
        for arena in &arenas {
            let source = source::small(arena, "src");
            let real = arena.real(with_source(source, args("clone -q -l SRC dst")));
            let died = arena.run(real).outcome.died_of(REFUSED);
            assert_eq!(died, arena.link_error.is_some(), "the fault does not work");
        }
        arenas
    }

    /// Sets a variable for all commands from now on.
    pub fn with_variable(mut self, name: &'static str, value: impl Into<OsString>) -> Self {
        self.variables.push((name, value.into()));
        self
    }

    /// Has all commands run as `user` from now on, to whom the arena's directories then belong. Only root can.
    pub fn run_by(mut self, user: u32) -> Self {
        // The program under test may lie where only root can read it.
        let shim = self.shim_directory().join("git");
        fs::remove_file(&shim).unwrap();
        executable::copy(executable::shim(), &shim);
        for directory in [&self.work_dir, &self.root().join("home"), &self.root().join("tmp")] {
            chown(directory, Some(user), Some(user)).unwrap();
        }
        self.user = Some(user);
        self
    }

    /// Has link(2) fail with `errno` for the calls that [`Arena::run`] and [`Arena::under_fault`] start. Source and
    /// destination stay on one mount.
    pub fn with_links_failing(mut self, errno: i32) -> Self {
        self.link_error = Some(errno);
        self
    }

    /// Moves the working directory to another mount, to which nothing in the rest of the arena can be linked (EXDEV).
    #[track_caller]
    pub fn across_mounts(mut self) -> Option<Self> {
        let other_mount = fault::another_mount(self.root())?;
        // One level down, so that `..` is still a directory of this test's own.
        self.work_dir = other_mount.path().join("work");
        fs::create_dir(&self.work_dir).unwrap();
        self.other_mount = Some(other_mount);
        Some(self)
    }

    /// Has commands run in `work_dir`, for instance on a filesystem that the test has mounted.
    pub fn in_directory(mut self, work_dir: &Path) -> Self {
        work_dir.clone_into(&mut self.work_dir);
        self
    }

    /// Runs the shim as users have it from now on (see [`executable::release`]).
    pub fn use_release(&self) {
        let shim = self.shim_directory().join("git");
        fs::remove_file(&shim).unwrap();
        symlink(executable::release(), shim).unwrap();
    }

    /// The directory of this arena, in which sources are made.
    pub fn root(&self) -> &Path {
        self.root.path()
    }

    /// The directory in which commands run. It is empty at first, and emptied before each run that gives a [`RunResult`].
    pub fn work_dir(&self) -> &Path {
        &self.work_dir
    }

    /// The shim's directory on PATH; it holds `git`.
    pub fn shim_directory(&self) -> PathBuf {
        self.root().join("shim")
    }

    /// The real git's directory on PATH; it holds `git`.
    pub fn real_directory(&self) -> PathBuf {
        self.root().join("real")
    }

    /// A PATH of these directories and the system's.
    pub fn path(directories: &[PathBuf]) -> OsString {
        let system = ["/usr/local/bin", "/usr/bin", "/bin", "/usr/sbin", "/sbin"].map(PathBuf::from);
        std::env::join_paths(directories.iter().cloned().chain(system)).unwrap()
    }

    /// A PATH with the real git on it, behind the shim if that is to be first.
    pub fn path_of(&self, through_shim: bool) -> OsString {
        let directories = [self.shim_directory(), self.real_directory()];
        Self::path(&directories[usize::from(!through_shim)..])
    }

    /// What [`Arena::run_in`] can do first: a bash script, in the working directory, with the real git first on PATH.
    pub fn prepare<'a>(&'a self, script: &'a str) -> impl Fn(&Path) + 'a {
        move |_| {
            let mut bash = self.command("bash");
            let done = script.is_empty() || bash.args(["-ec", script]).status().unwrap().success();
            assert!(done, "{script}");
        }
    }

    /// Any program, in the sealed environment, with the real git first on PATH.
    pub fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = Command::new(program);
        let date = "2020-02-02T20:20:20Z";
        command
            .env_clear()
            .env("PATH", self.path_of(false))
            .env("HOME", self.root().join("home"))
            .env("TMPDIR", self.root().join("tmp"))
            .envs([("LC_ALL", "C"), ("GIT_CONFIG_NOSYSTEM", "1"), ("GIT_TERMINAL_PROMPT", "0")])
            // A slow checkout would show progress.
            .env("GIT_PROGRESS_DELAY", "3600")
            .envs([("GIT_AUTHOR_NAME", "A"), ("GIT_AUTHOR_EMAIL", "a@a"), ("GIT_AUTHOR_DATE", date)])
            .envs([("GIT_COMMITTER_NAME", "C"), ("GIT_COMMITTER_EMAIL", "c@c"), ("GIT_COMMITTER_DATE", date)])
            .envs(self.variables.iter().map(|(name, value)| (name, value)))
            .current_dir(&self.work_dir);
        if let Some(user) = self.user {
            command.uid(user).gid(user);
        }
        command
    }

    /// A call of the real git. The arena's fault holds only where [`Arena::run`] runs it.
    pub fn real(&self, args: impl IntoIterator<Item = OsString>) -> Call {
        let mut command = self.command("git");
        command.args(args);
        Call::new(command)
    }

    /// The same call, with the shim first on PATH.
    pub fn shim(&self, args: impl IntoIterator<Item = OsString>) -> Call {
        self.real(args).env("PATH", self.path_of(true))
    }

    /// Has bash run `script`, with git or the shim first on PATH and the source `src` as `$SRC`. Where links fail, `$COPY` has
    /// the real git copy. `hook SCRIPT` writes a post-checkout hook below `template`.
    pub fn script(&self, through_shim: bool, script: &str) -> Call {
        let copy = self.link_error.is_some() && !through_shim;
        let mut command = self.command("bash");
        command
            .args(["-c", &format!("{HOOK}{script}")])
            .env("PATH", self.path_of(through_shim))
            .env("SRC", self.root().join("src"))
            .env("COPY", if copy { "--no-hardlinks" } else { "" });
        Call::new(command)
    }

    /// Asserts that a script comes to the same through the shim as with the real git; returns that.
    #[track_caller]
    pub fn assert_script_twins(&self, script: &str) -> RunResult {
        let [shim, plain] = [true, false].map(|through_shim| self.run(self.script(through_shim, script)));
        eprintln!("{script}");
        shim.assert_equals(&plain);
        plain
    }

    /// Empties the working directory, and runs `call` there under the arena's fault.
    pub fn run(&self, call: Call) -> RunResult {
        self.run_in(&|_| (), call)
    }

    /// As [`Arena::run`], in a working directory that `prepare` has filled.
    pub fn run_in(&self, prepare: &dyn Fn(&Path), call: Call) -> RunResult {
        tree::clear(&self.work_dir);
        prepare(&self.work_dir);
        let outcome = self.under_fault(|| call.run());
        RunResult { outcome, tree: tree::read(&self.work_dir) }
    }

    /// Calls `start` under the arena's fault, which all processes that it starts inherit.
    pub fn under_fault<T: Send>(&self, start: impl FnOnce() -> T + Send) -> T {
        match self.link_error {
            Some(errno) => fault::with_links_failing(errno, start),
            None => start(),
        }
    }

    /// Asserts that the real git fails with `args`, and that the shim with the same args comes to what the real git comes to
    /// with `--no-hardlinks`: the same status, streams and tree, in which no object has a second name.
    #[track_caller]
    pub fn assert_cured(&self, args: &Args) -> RunResult {
        self.assert_cured_in(&|_| (), args, REFUSED)
    }

    /// As [`Arena::assert_cured`], in a working directory that `prepare` has filled, where the real git ends with `message`.
    #[track_caller]
    pub fn assert_cured_in(&self, prepare: &dyn Fn(&Path), args: &Args, message: &str) -> RunResult {
        let failed = self.run_in(prepare, self.real(args.clone()));
        assert!(failed.outcome.died_of(message), "the fault does not work: {:?}", failed.outcome);
        self.assert_copied_in(prepare, args)
    }

    /// Asserts that the shim comes to what the real git comes to with `--no-hardlinks`, where `args` alone fails.
    #[track_caller]
    pub fn assert_copied_in(&self, prepare: &dyn Fn(&Path), args: &Args) -> RunResult {
        let expected = self.run_in(prepare, self.real(with_no_hardlinks(args)));
        assert!(expected.outcome.status.success(), "copying does not cure it: {:?}", expected.outcome);
        let cured = self.run_in(prepare, self.shim(args.clone()));
        cured.assert_equals(&expected);
        let links = tree::object_links(&self.work_dir);
        assert!(!links.is_empty() && links.iter().all(|&links| links == 1), "{links:?}");
        cured
    }

    /// Asserts that a call through the shim comes to exactly what the same call of the real git comes to.
    #[track_caller]
    pub fn assert_twins(&self, args: &Args) -> RunResult {
        self.assert_twins_in(&|_| (), args)
    }

    /// As [`Arena::assert_twins`], in a working directory that `prepare` has filled.
    #[track_caller]
    pub fn assert_twins_in(&self, prepare: &dyn Fn(&Path), args: &Args) -> RunResult {
        let calls = [self.real(args.clone()), self.shim(args.clone())];
        let [expected, twin] = calls.map(|call| self.run_in(prepare, call));
        twin.assert_equals(&expected);
        twin
    }
}

/// Runs a clone that ends with a fallback, again while `is_late` is true of it, six times at most.
///
/// On a busy machine git can need more than the second for which the shim holds its stderr; then the first lines of the
/// failed attempt are seen as well. Such a run proves nothing.
pub fn retry_while_late<T>(run: impl Fn() -> T, is_late: impl Fn(&T) -> bool) -> T {
    let mut result = run();
    for _ in 0..5 {
        if is_late(&result) {
            result = run();
        }
    }
    result
}

impl RunResult {
    /// Runs a clone that is expected to come to this result, again while it is late (see [`retry_while_late`]).
    pub fn retried_while_late(&self, run: impl Fn() -> Self) -> Self {
        retry_while_late(run, |result| {
            let (stderr, expected) = (&result.outcome.stderr, &self.outcome.stderr);
            stderr.len() > expected.len() && stderr.ends_with(expected)
        })
    }

    /// Asserts that a run came to the same status, streams and tree.
    #[track_caller]
    pub fn assert_equals(&self, expected: &Self) {
        assert_eq!(self.outcome, expected.outcome);
        assert_eq!(tree::differences(&self.tree, &expected.tree), [""; 0]);
    }
}
