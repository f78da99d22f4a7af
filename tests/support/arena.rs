//! Where a test takes place: a sealed environment, one real git, and twin runs.

use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use super::call::{Call, Outcome};
use super::executable;
use super::fault;
use super::gits::Git;
use super::tree::{self, Tree};
use super::words::{Words, copying};

/// The sentence of uv issue 11420.
pub const REFUSED: &str = "fatal: failed to create link '";

/// A sealed environment with a directory in which commands run, and what makes links fail there.
pub struct Arena {
    root: TempDir,
    /// On another device, if that is the fault.
    far: Option<TempDir>,
    place: PathBuf,
    errno: Option<i32>,
}

/// How a command ended and what it left behind.
#[derive(PartialEq)]
pub struct Result {
    pub outcome: Outcome,
    pub tree: Tree,
}

impl Arena {
    /// An arena for `git` in which nothing fails.
    pub fn new(git: &Git) -> Self {
        eprintln!("with {} ({})", git.version, git.file.display());
        let root = tempfile::tempdir().unwrap();
        // Commands may run as somebody else.
        fs::set_permissions(root.path(), fs::Permissions::from_mode(0o755)).unwrap();
        for directory in ["home", "tmp", "real", "shim", "place"] {
            fs::create_dir(root.path().join(directory)).unwrap();
        }
        // No maintenance in the background, which would change a source between two clones of it.
        let quiet = "[gc]\n\tauto = 0\n[maintenance]\n\tauto = false\n";
        fs::write(root.path().join("home/.gitconfig"), quiet).unwrap();
        symlink(&git.file, root.path().join("real/git")).unwrap();
        symlink(executable::shim(), root.path().join("shim/git")).unwrap();
        let place = root.path().join("place");
        Self {
            root,
            far: None,
            place,
            errno: None,
        }
    }

    /// An arena whose commands run on another device than the rest of it, so that links fail with EXDEV.
    #[track_caller]
    pub fn across_devices(git: &Git) -> Option<Self> {
        let mut arena = Self::new(git);
        let far = fault::another_device(arena.root())?;
        // One level down, so that `..` of the place is still a directory of this test's own.
        arena.place = far.path().join("place");
        fs::create_dir(&arena.place).unwrap();
        arena.far = Some(far);
        Some(arena)
    }

    /// An arena whose commands find that link(2) fails with `errno`.
    pub fn with_links_failing(git: &Git, errno: i32) -> Self {
        Self {
            errno: Some(errno),
            ..Self::new(git)
        }
    }

    /// An arena whose commands run in `place`, for instance on a filesystem of the test's own.
    pub fn in_place(git: &Git, place: &Path) -> Self {
        Self {
            place: place.to_owned(),
            ..Self::new(git)
        }
    }

    /// The directory of this arena, in which sources are made.
    pub fn root(&self) -> &Path {
        self.root.path()
    }

    /// The directory in which commands run. It is empty at first, and again before each run that gives a [`Result`].
    pub fn place(&self) -> &Path {
        &self.place
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
        let system =
            ["/usr/local/bin", "/usr/bin", "/bin", "/usr/sbin", "/sbin"].map(PathBuf::from);
        std::env::join_paths(directories.iter().cloned().chain(system)).unwrap()
    }

    /// A PATH with the real git on it, behind the shim if that is to be first.
    pub fn path_of(&self, through_shim: bool) -> OsString {
        let shim = through_shim.then(|| self.shim_directory());
        let directories = shim.into_iter().chain([self.real_directory()]);
        Self::path(&directories.collect::<Vec<_>>())
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
            .env("LC_ALL", "C")
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .env("GIT_TERMINAL_PROMPT", "0")
            // What a slow checkout shows depends on how slow it is.
            .env("GIT_PROGRESS_DELAY", "3600")
            .envs([
                ("GIT_AUTHOR_NAME", "A"),
                ("GIT_AUTHOR_EMAIL", "a@a"),
                ("GIT_AUTHOR_DATE", date),
            ])
            .envs([
                ("GIT_COMMITTER_NAME", "C"),
                ("GIT_COMMITTER_EMAIL", "c@c"),
                ("GIT_COMMITTER_DATE", date),
            ])
            .current_dir(&self.place);
        command
    }

    /// A call of the real git, under the arena's fault only where it says so.
    pub fn real(&self, words: impl IntoIterator<Item = OsString>) -> Call {
        let mut command = self.command("git");
        command.args(words);
        Call::new(command)
    }

    /// The same call, with the shim first on PATH.
    pub fn shim(&self, words: impl IntoIterator<Item = OsString>) -> Call {
        self.real(words).env("PATH", self.path_of(true))
    }

    /// Empties the place, prepares it with `prepare`, and runs `call` there under the arena's fault.
    pub fn run(&self, prepare: &dyn Fn(&Path), call: Call) -> Result {
        tree::clear(&self.place);
        prepare(&self.place);
        let outcome = call.links_fail(self.errno).run();
        Result {
            outcome,
            tree: tree::read(&self.place),
        }
    }

    /// Asserts that `words` fail with the real git, and that the shim makes of them what `git clone --no-hardlinks` would
    /// have made: the same status, streams and tree, in which no object has a second name.
    #[track_caller]
    pub fn assert_cured(&self, words: &Words) -> Result {
        self.assert_cured_in(&|_| (), words, REFUSED)
    }

    /// As [`Arena::assert_cured`], in a place prepared by `prepare`, where the real git dies of `sentence`.
    #[track_caller]
    pub fn assert_cured_in(
        &self,
        prepare: &dyn Fn(&Path),
        words: &Words,
        sentence: &str,
    ) -> Result {
        let failed = self.run(prepare, self.real(words.clone()));
        assert!(
            failed.outcome.died_of(sentence),
            "the fault does not work: {:?}",
            failed.outcome
        );
        let expected = self.run(prepare, self.real(copying(words)));
        assert!(
            expected.outcome.status.success(),
            "copying does not cure it: {:?}",
            expected.outcome
        );
        let cured = expected.cured_in_time(|| self.run(prepare, self.shim(words.clone())));
        cured.assert_equals(&expected);
        let links = tree::object_links(&self.place);
        assert!(
            !links.is_empty() && links.iter().all(|&links| links == 1),
            "{links:?}"
        );
        cured
    }

    /// Asserts that the shim makes of `words` exactly what the real git makes of them.
    #[track_caller]
    pub fn assert_twins(&self, words: &Words) -> Result {
        self.assert_twins_in(&|_| (), words)
    }

    /// As [`Arena::assert_twins`], in a place prepared by `prepare`.
    #[track_caller]
    pub fn assert_twins_in(&self, prepare: &dyn Fn(&Path), words: &Words) -> Result {
        let expected = self.run(prepare, self.real(words.clone()));
        let twin = self.run(prepare, self.shim(words.clone()));
        twin.assert_equals(&expected);
        twin
    }
}

/// What `run`, a clone that the shim runs twice, comes to. On a machine so busy that git needs a second to fail, its first
/// words are seen as well: that proves nothing where `is_late` tells so, and is tried again.
pub fn in_time<T>(run: impl Fn() -> T, is_late: impl Fn(&T) -> bool) -> T {
    let mut cured = run();
    for _ in 0..5 {
        if is_late(&cured) {
            cured = run();
        }
    }
    cured
}

impl Result {
    /// What `run` comes to, which is to come to this (see [`in_time`]).
    pub fn cured_in_time(&self, run: impl Fn() -> Self) -> Self {
        in_time(run, |cured| {
            let (seen, due) = (&cured.outcome.stderr, &self.outcome.stderr);
            seen.len() > due.len() && seen.ends_with(due)
        })
    }

    #[track_caller]
    fn assert_equals(&self, expected: &Self) {
        assert_eq!(self.outcome, expected.outcome);
        assert_eq!(tree::differences(&self.tree, &expected.tree), [""; 0]);
    }
}
