//! `git-clone-shim doctor [--from REPO] [DIR…]`: real clones tell what a user's clone does here, without the shim and with it.
//!
//! git runs with the user's own configuration and umask, but without checkout, hooks, templates and fsmonitor, so that another
//! user who exchanges the directory meanwhile has nothing run. root tries nothing where another user could do that.

use std::cell::Cell;
use std::env;
use std::fmt::{Display, Write};
use std::fs::{self, DirBuilder, File};
use std::io::{self, ErrorKind};
use std::os::fd::AsRawFd;
use std::os::unix::fs::DirBuilderExt;
use std::os::unix::process::CommandExt;
use std::path::{self, Path, PathBuf};
use std::process::{Command, Stdio};

use anstyle::AnsiColor::{Green, Red};
use anstyle::Style;
use anyhow::Result;
use clap::Args;
use nix::unistd::geteuid;

use super::gits::{self, gits_on_path, is_shim, own};
use super::quoted;
use super::tree::{self, own_prefix, temporary};
use crate::NAME;
use crate::failure::{self, printable};
use crate::process::signals::{Watch, die_by};
use crate::process::startup;
use crate::settings::{Mode, Settings};

/// What to clone, and where.
#[derive(Args)]
#[command(after_help = "\
Exit status:
  0  every clone that was tried works through the shim, or git needs no shim
  1  one of them does not, or no call of git reaches the shim that it needs
  2  usage")]
pub(super) struct Options {
    /// Clone this repository, not a new one
    #[arg(long, value_name = "REPO")]
    from: Option<PathBuf>,
    /// Show each command, what git printed, and the filesystem
    #[arg(long, short)]
    verbose: bool,
    /// Clone within each, and from the first to the others
    #[arg(value_name = "DIR", default_value = ".")]
    directories: Vec<PathBuf>,
}

const WORKS: char = '✓';
const FAILS: char = '✗';
const NOT_TRIED: char = '–';

/// Tries the clones, prints what came of them, and returns 0, or 1 if clones do not work here.
///
/// # Errors
///
/// Standard output cannot be written.
pub(super) fn run(options: &Options) -> Result<i32> {
    let settings = Settings::from_environment();
    let real = match gits::real_git() {
        Ok(git) => Program::ask(git),
        Err(failure) => {
            super::print(&line(FAILS, &format!("Does not work: {failure}")))?;
            return Ok(1);
        }
    };
    let first = gits_on_path().next().map(Program::ask);
    let mut text = line(' ', &format!("git on PATH  {}", first.as_ref().map_or("none", |first| &first.words)));
    text += &line(' ', &format!("real git     {}", real.words));
    for complaint in &settings.complaints {
        text += &line(' ', complaint);
    }
    let mut trials = Vec::new();
    // Not with a git that others could have put there.
    let pairs = if real.kind == Kind::NotRun { Vec::new() } else { pairs(options) };
    for (from, to) in pairs {
        let trial = Trial::between(&from, options.from.is_some(), &to, &real.file);
        let start = if from == to { String::new() } else { format!("{} to ", from.display()) };
        let words = trial.words.lines().next().unwrap_or_default();
        text += &line(trial.mark, &format!("{start}{}: {words}", to.display()));
        if options.verbose {
            text += &trial.details;
        }
        trials.push(trial);
    }
    let (mark, verdict, next) = judge(&trials, first.as_ref(), &real, settings.mode);
    if let Some(next) = next {
        text += &line(' ', &format!("Next: {next}"));
    }
    super::print(&(text + &line(mark, &verdict)))?;
    Ok(i32::from(mark == FAILS))
}

/// From where to where clones are tried.
fn pairs(options: &Options) -> Vec<(PathBuf, PathBuf)> {
    let absolute = |path: &PathBuf| path::absolute(path).unwrap_or_else(|_| path.clone());
    let to: Vec<PathBuf> = options.directories.iter().map(absolute).collect();
    if let Some(from) = options.from.as_ref().map(absolute) {
        return to.into_iter().map(|to| (from.clone(), to)).collect();
    }
    let mut pairs: Vec<_> = to.iter().map(|to| (to.clone(), to.clone())).collect();
    if let [from, others @ ..] = &to[..] {
        pairs.extend(others.iter().map(|to| (from.clone(), to.clone())));
    }
    pairs
}

/// A line of the report.
fn line(mark: char, text: &str) -> String {
    let style = match mark {
        WORKS => Green.on_default(),
        FAILS => Red.on_default(),
        _ => Style::new(),
    };
    format!("{style}{mark}{style:#} {}\n", printable(text))
}

/// What came of the clones from one place to another.
#[derive(Default)]
pub(super) struct Trial {
    pub mark: char,
    /// In plain words, no more than was tried.
    pub words: String,
    needs_shim: bool,
    /// The commands, and what they printed.
    details: String,
}

impl Trial {
    /// Clones the repository `from`, if it `is_given`, or else a new one in the directory `from`, into the directory `to`.
    pub(super) fn between(from: &Path, is_given: bool, to: &Path, real: &Path) -> Self {
        // A signal that would end this program waits until all is removed; git gets that of a key or of timeout(1) at once.
        let watch = Watch::begin().ok();
        let signal = Cell::new(None);
        let is_over = || {
            signal.set(signal.get().or_else(|| watch.as_ref()?.signal()));
            signal.get().is_some()
        };
        let tried = || {
            if is_given {
                let from = from.canonicalize().unwrap_or_else(|_| from.to_owned());
                refuse_for_root(&from)?;
                return Self::of(&from, to, real, &is_over);
            }
            let new = Private::with_repository(from, real)?;
            Self::of(&new.path.join(SOURCE), if from == to { &new.path } else { to }, real, &is_over)
        };
        let trial = tried().unwrap_or_else(|obstacle| obstacle);
        if is_over() {
            drop(watch);
            signal.get().into_iter().for_each(die_by);
        }
        trial
    }

    /// Clones `repository`, plain and with `--local`, with git alone and through the shim, until `is_over`.
    fn of(repository: &Path, directory: &Path, real: &Path, is_over: &dyn Fn() -> bool) -> Result<Self, Self> {
        let around = Private::within(directory)?;
        let mut details = format!("    filesystem: {}\n", filesystem(around.entry(".")).unwrap_or_default());
        let mut clone = |with: &str, mut git: Command, local: Option<&str>| {
            if is_over() {
                return Err("interrupted".to_owned());
            }
            git.args(["clone", "--quiet", "--no-checkout", "--template="]);
            git.args(local).arg(repository).arg(CLONE);
            let cloned = finish(git.current_dir(around.entry(".")));
            // The next clone takes its place, and has to find as much space.
            let _ = fs::remove_dir_all(around.entry(CLONE));
            let words: Vec<String> = git.get_args().map(quoted).collect();
            let result = cloned.as_ref().map_or_else(String::as_str, |()| "ok");
            let _ = writeln!(details, "    {with}: git {}", words.join(" "));
            for line in result.lines() {
                let _ = writeln!(details, "      {}", printable(line));
            }
            cloned
        };
        let mut both = |local| (clone("alone", alone(real), local), clone("through the shim", shim(real), local));
        let (plain, local) = (both(None), both(Some("--local")));
        let needs_shim = plain.0.is_err() || local.0.is_err();
        let (mark, words) = match plain.1.and(local.1) {
            Err(words) if needs_shim => (FAILS, format!("git itself fails: {words}")),
            Err(words) => (FAILS, format!("only the shim fails: {words}")),
            Ok(()) if plain.0.is_err() => (WORKS, format!("git alone fails{CURED}")),
            Ok(()) if needs_shim => (WORKS, format!("git alone fails with --local{CURED}")),
            Ok(()) => (WORKS, "git clones by itself".to_owned()),
        };
        Ok(Self { mark, words, needs_shim, details })
    }

    fn not_tried(why: impl Display) -> Self {
        Self { mark: NOT_TRIED, words: format!("not tried: {why}"), ..Self::default() }
    }
}

const CURED: &str = ", through the shim it clones";

impl From<io::Error> for Trial {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            ErrorKind::PermissionDenied => Self::not_tried("you cannot write there"),
            ErrorKind::NotFound => Self::not_tried("there is no such directory"),
            kind => Self::not_tried(kind),
        }
    }
}

/// A fresh directory that only we can enter.
///
/// Another user may be able to move it, and put another one of ours in its place. So what is in it is made and removed by its
/// descriptor, and nothing but an empty directory by its name.
struct Private {
    path: PathBuf,
    pinned: File,
}

/// All that is made in it.
const SOURCE: &str = "source";
const CLONE: &str = "clone";

impl Private {
    fn within(directory: &Path) -> Result<Self, Trial> {
        let directory = directory.canonicalize()?;
        refuse_for_root(&directory)?;
        let path = temporary(&directory.join(SOURCE));
        // Whatever mkdir(2) says: in /proc it is that there is no such directory.
        DirBuilder::new().mode(0o700).create(&path).map_err(|_| io::Error::from(ErrorKind::PermissionDenied))?;
        let pinned = File::open(&path).inspect_err(|_| drop(fs::remove_dir(&path)))?;
        // Without /proc, nothing can be made in it.
        if fs::read_dir(of_descriptor(&pinned)).map_or(true, |mut entries| entries.next().is_some()) {
            // By its name, and only if it is empty: what is in it is not ours.
            let _ = fs::remove_dir(&path);
            return Err(Trial::not_tried("another user is in the way, or there is no /proc"));
        }
        Ok(Self { path, pinned })
    }

    /// Has the real git make a repository in a new one, with a single object.
    fn with_repository(directory: &Path, real: &Path) -> Result<Self, Trial> {
        let new = Self::within(directory)?;
        fs::create_dir(new.entry(SOURCE))?;
        // git makes objects by hard links too, where it can; it is the clone that is on trial.
        let object = "-c core.createObject=rename hash-object -w --stdin";
        for args in ["init --quiet --template=", object] {
            let mut command = alone(real);
            command.args(args.split(' ')).current_dir(new.entry(SOURCE));
            if let Err(words) = finish(&mut command) {
                return Err(Trial { mark: FAILS, words: format!("git itself fails: {words}"), ..Trial::default() });
            }
        }
        Ok(new)
    }

    fn entry(&self, name: &str) -> PathBuf {
        of_descriptor(&self.pinned).join(name)
    }
}

impl Drop for Private {
    fn drop(&mut self) {
        for name in [SOURCE, CLONE] {
            let _ = fs::remove_dir_all(self.entry(name));
        }
        if fs::remove_dir(&self.path).is_err() {
            failure::print(&format!("left behind: {}", self.path.display()));
        }
    }
}

fn of_descriptor(directory: &File) -> PathBuf {
    PathBuf::from(format!("/proc/self/fd/{}", directory.as_raw_fd()))
}

/// root tries nothing where another user could lead it elsewhere.
fn refuse_for_root(path: &Path) -> Result<(), Trial> {
    match exposed(path).filter(|_| geteuid().is_root()) {
        Some(path) => Err(Trial::not_tried(format!("others can write to {}; run it as the user", path.display()))),
        None => Ok(()),
    }
}

/// Where `path` leads to, or the nearest directory above that, if other users can exchange what is in it.
pub(super) fn exposed(path: &Path) -> Option<PathBuf> {
    let path = path.canonicalize().ok()?;
    tree::exposed(&path, geteuid().is_root()).map(Path::to_owned)
}

/// The real git, even if it is a wrapper that leads to the shim.
fn alone(real: &Path) -> Command {
    let mut command = git(real);
    command.env("GIT_CLONE_SHIM", "off");
    command
}

/// The shim, which is this program under the name git. That it is switched off counts in the verdict.
fn shim(real: &Path) -> Command {
    let mut command = git(&startup::own_path());
    command.env("GIT_CLONE_SHIM_GIT", real);
    if env::var_os("GIT_CLONE_SHIM").is_some_and(|mode| mode == "off") {
        command.env_remove("GIT_CLONE_SHIM");
    }
    command
}

/// What would lead git to another repository, or mix other words into its own.
const REMOVED: &str = "GIT_DIR GIT_WORK_TREE GIT_INDEX_FILE GIT_OBJECT_DIRECTORY GIT_NAMESPACE \
    GIT_ALTERNATE_OBJECT_DIRECTORIES GIT_TRACE GIT_CLONE_SHIM_GIT GIT_CLONE_SHIM_LOG GIT_CLONE_SHIM_SYSLOG";

/// A program called as git, with the user's configuration, but no hooks and no fsmonitor, and in English.
fn git(program: &Path) -> Command {
    let mut command = Command::new(program);
    for name in REMOVED.split(' ') {
        command.env_remove(name);
    }
    command.env("GIT_TERMINAL_PROMPT", "0").env("LANGUAGE", "C");
    command.arg0("git").stdin(Stdio::null());
    command.args("-c core.hooksPath=/dev/null -c core.fsmonitor=false".split(' '));
    command
}

/// Runs a command.
///
/// # Errors
///
/// It failed; then what it printed.
fn finish(command: &mut Command) -> Result<(), String> {
    let output = command.output().map_err(|error| error.to_string())?;
    if output.status.success() {
        return Ok(());
    }
    let words = String::from_utf8_lossy(&output.stderr);
    let words: Vec<&str> = words.lines().filter(|line| !line.ends_with("cloned an empty repository.")).collect();
    Err(format!("{} ({})", words.join("\n"), output.status))
}

/// A program on PATH that is called git.
struct Program {
    file: PathBuf,
    kind: Kind,
    /// Its path, and what it is.
    words: String,
}

#[derive(PartialEq, Eq)]
enum Kind {
    Shim,
    /// A wrapper that calls the shim.
    LeadsToShim,
    Git,
    /// Others could have put it there.
    NotRun,
}

impl Program {
    /// Asks it what it is.
    fn ask(file: PathBuf) -> Self {
        let answer = |name: &str| {
            let mut command = Command::new(&file);
            command.env("GIT_CLONE_SHIM_LOG", "info").stdin(Stdio::null());
            let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
            match command.arg0(name).arg("--version").output() {
                Ok(output) => (text(output.stdout), text(output.stderr)),
                Err(error) => (String::new(), error.to_string()),
            }
        };
        let directory = file.parent().unwrap_or(&file);
        let (kind, what) = if let Some(exposed) = exposed(directory).or_else(|| exposed(&file)) {
            let kind = if is_shim(&file) { Kind::Shim } else { Kind::NotRun };
            (kind, format!("not run, since others can exchange what is in {}", exposed.display()))
        // Called by this name the shim is the tool, and git knows no such command.
        } else if answer(NAME).0.starts_with(NAME) {
            (Kind::Shim, format!("the shim, {}", answer(NAME).0))
        } else {
            match answer("git") {
                // Only a shim writes such a log.
                (_, log) if log.contains("git_clone_shim") => {
                    (Kind::LeadsToShim, "a wrapper that calls the shim".into())
                }
                (version, error) => (Kind::Git, version + &error),
            }
        };
        let words = format!("{}: {}", file.display(), what.lines().next().unwrap_or_default());
        Self { file, kind, words }
    }
}

/// The mark of the verdict, its text, and what to do first.
fn judge(trials: &[Trial], first: Option<&Program>, real: &Program, mode: Mode) -> (char, String, Option<String>) {
    let shim = gits_on_path().find(|git| is_shim(git));
    let put_first = |git: &Path| format!("put {} first on PATH", quoted(git.parent().unwrap_or(git)));
    let wrapper = real.file.display();
    let shim_behind = shim.as_ref().filter(|_| real.kind == Kind::LeadsToShim);
    let next = shim_behind.map(|shim| format!("on PATH, put {wrapper} before {} and not behind it", shim.display()));
    let any = |is: fn(&Trial) -> bool| trials.iter().any(is);
    // (1) Something fails whatever PATH and the settings are.
    if any(|trial| trial.mark == FAILS) {
        return (FAILS, "Does not work: see above.".to_owned(), next);
    }
    if !any(|trial| trial.mark == WORKS) {
        return (NOT_TRIED, "Nothing was tried.".to_owned(), None);
    }
    // (2) git needs no shim.
    if !any(|trial| trial.needs_shim) {
        let (mark, text) = if any(|trial| trial.mark == NOT_TRIED) {
            (NOT_TRIED, "Not needed where it was tried: git clones by itself there.")
        } else {
            (WORKS, "Not needed here: git clones by itself. If one failed for you, name its directory.")
        };
        return (mark, text.to_owned(), next);
    }
    // (3) It needs one, and a call of git gets there, or not.
    if mode == Mode::Off {
        let text = "Does not work: GIT_CLONE_SHIM=off.".to_owned();
        return (FAILS, text, Some("unset GIT_CLONE_SHIM".to_owned()));
    }
    match (first, shim) {
        (Some(first), _) if matches!(first.kind, Kind::Shim | Kind::LeadsToShim) => {
            (WORKS, format!("Works: git alone fails here{CURED}."), next)
        }
        (Some(first), Some(shim)) => {
            let text = format!("Does not work: {} comes before the shim on PATH.", first.file.display());
            (FAILS, text, Some(put_first(&shim)))
        }
        _ => {
            let text = "Would work: git alone fails here, with the shim it clones. It is not on PATH yet.";
            let installed = own().with_file_name("git");
            // install, run again, prints the line for the user's shell.
            let is_package = own_prefix().is_none() && is_shim(&installed);
            let next = if is_package { put_first(&installed) } else { format!("{} install", quoted(own())) };
            (WORKS, text.to_owned(), Some(next))
        }
    }
}

/// What df(1) tells about the filesystem of a directory: source, type and more. By its path, since another user may have put one
/// on PATH.
fn filesystem(directory: PathBuf) -> Option<String> {
    let df = Command::new("/bin/df").args(["-PT", "."]).current_dir(directory).output().ok()?;
    String::from_utf8_lossy(&df.stdout).lines().last().map(str::to_owned)
}
