//! `git-clone-shim doctor [--from REPO] [DIR…]`: real clones tell what a user's clone does here, without the shim and with it.
//!
//! git runs with the user's own configuration and umask, but without checkout, hooks, templates and fsmonitor, so that another
//! user who exchanges the directory meanwhile has nothing run. root tries nothing where another user could do that.

use std::env;
use std::ffi::{CString, OsStr};
use std::fmt::Write;
use std::fs::{self, File, Metadata, Permissions};
use std::io::{self, ErrorKind};
use std::os::fd::AsRawFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::process::CommandExt;
use std::path::{self, Path, PathBuf};
use std::process::{Command, Stdio};

use anstyle::AnsiColor::{Green, Red};
use anstyle::Style;
use anyhow::Result;
use clap::Args;
use nix::unistd::geteuid;

use super::quoted;
use crate::NAME;
use crate::failure::printable;
use crate::git::real_git::RealGit;
use crate::plan::Plan;
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

/// Tries the clones, prints what came of them, and returns 0, or 1 if clones do not work here.
///
/// # Errors
///
/// Standard output cannot be written.
pub(super) fn run(options: &Options) -> Result<i32> {
    let settings = Settings::from_environment();
    let real = match RealGit::find(settings.git) {
        Ok(git) => Program::ask(git.file()),
        Err(failure) => {
            super::print(&Mark::Fails.line(&format!("Does not work: {failure}")))?;
            return Ok(1);
        }
    };
    let first = first_on_path(&real);
    let shown = first.as_ref().map_or("none", |first| &first.words);
    let mut text = Mark::None.line(&format!("git on PATH  {shown}"));
    text += &Mark::None.line(&format!("real git     {}", real.words));
    for (name, value) in env::vars_os() {
        if name.as_bytes().starts_with(b"GIT_CLONE_SHIM") {
            let setting = format!("setting      {}={}", name.display(), quoted(value));
            text += &Mark::None.line(&setting);
        }
    }
    let mut trials = Vec::new();
    // Not a git that others could have put there.
    let may_run = real.kind != Kind::NotRun;
    for (from, to) in pairs(options).into_iter().filter(|_| may_run) {
        let source = if options.from.is_some() {
            Source::given(&from)
        } else {
            Source::made_in(&from, &real.file)
        };
        let trial = Trial::of(source, &to, &real.file);
        let mut place = to.display().to_string();
        if from != to {
            place = format!("{} to {place}", from.display());
        }
        let words = trial.words.lines().next().unwrap_or_default();
        text += &trial.mark.line(&format!("{place}: {words}"));
        if options.verbose {
            text += &trial.details;
        }
        trials.push(trial);
    }
    let (mark, verdict, next) = judge(&trials, first.as_ref(), &real, settings.mode);
    if let Some(next) = next {
        text += &Mark::None.line(&format!("Next: {next}"));
    }
    super::print(&(text + &mark.line(&verdict)))?;
    Ok(i32::from(mark == Mark::Fails))
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

/// Whether something works. What was not tried neither works nor fails.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Mark {
    Works,
    Fails,
    NotTried,
    None,
}

impl Mark {
    /// A line of the report.
    fn line(self, text: &str) -> String {
        let (style, mark) = match self {
            Self::Works => (Green.on_default(), '✓'),
            Self::Fails => (Red.on_default(), '✗'),
            Self::NotTried => (Style::new(), '–'),
            Self::None => (Style::new(), ' '),
        };
        format!("{style}{mark}{style:#} {}\n", printable(text))
    }
}

/// What came of the clones from one place to another.
pub(super) struct Trial {
    pub mark: Mark,
    /// In plain words, no more than was tried.
    pub words: String,
    needs_shim: bool,
    /// Whether a hard link that succeeds may be another file, as on overlayfs: then a new repository says nothing about old ones.
    odd_links: bool,
    /// The commands, and what they printed.
    details: String,
}

impl Trial {
    /// Clones a new repository in the directory `from` into the directory `to`.
    pub(super) fn between(from: &Path, to: &Path, real: &Path) -> Self {
        Self::of(Source::made_in(from, real), to, real)
    }

    fn of(source: Result<Source, Self>, to: &Path, real: &Path) -> Self {
        let tried = source.and_then(|source| source.clone_into(to, real));
        tried.unwrap_or_else(|obstacle| obstacle)
    }

    fn new(mark: Mark, words: String) -> Self {
        Self {
            mark,
            words,
            needs_shim: false,
            odd_links: false,
            details: String::new(),
        }
    }
}

impl From<io::Error> for Trial {
    fn from(error: io::Error) -> Self {
        let why = match error.kind() {
            ErrorKind::PermissionDenied => "you cannot write there".to_owned(),
            ErrorKind::NotFound => "there is no such directory".to_owned(),
            kind => kind.to_string(),
        };
        Self::new(Mark::NotTried, format!("not tried: {why}"))
    }
}

/// A repository to clone.
struct Source {
    repository: PathBuf,
    /// What a new one is in.
    new: Option<Private>,
}

impl Source {
    fn given(repository: &Path) -> Result<Self, Trial> {
        let found = repository.canonicalize();
        let repository = found.unwrap_or_else(|_| repository.to_owned());
        refuse_for_root(&repository)?;
        Ok(Self {
            repository,
            new: None,
        })
    }

    /// Has the real git make one, with a single object.
    fn made_in(directory: &Path, real: &Path) -> Result<Self, Trial> {
        let new = Private::within(directory)?;
        fs::create_dir(new.entry(SOURCE))?;
        // git makes objects by hard links too, where it can; it is the clone that is on trial.
        let object = "-c core.createObject=rename hash-object -w --stdin";
        for args in ["init --quiet --template=", object] {
            let mut command = alone(real);
            command.args(args.split(' ')).current_dir(new.entry(SOURCE));
            if let Err(words) = finish(&mut command) {
                let words = format!("git itself fails: {words}");
                return Err(Trial::new(Mark::Fails, words));
            }
        }
        let repository = new.path.join(SOURCE);
        let new = Some(new);
        Ok(Self { repository, new })
    }

    /// Clones it, plain and with `--local`, with git alone and through the shim.
    fn clone_into(&self, directory: &Path, real: &Path) -> Result<Trial, Trial> {
        let around = Private::within(directory)?;
        let filesystem = filesystem(&around.pinned).unwrap_or_default();
        let mut details = format!("    filesystem: {filesystem}\n");
        let mut clone = |mut git: Command, local: Option<&str>| {
            git.args(["clone", "--quiet", "--no-checkout", "--template="]);
            git.args(local).arg(&self.repository).arg(CLONE);
            let cloned = finish(git.current_dir(around.entry(".")));
            // The next clone takes its place, and has to find as much space.
            let _ = fs::remove_dir_all(around.entry(CLONE));
            let words: Vec<String> = git.get_args().map(quoted).collect();
            let (place, git) = (quoted(&around.path), quoted(git.get_program()));
            let _ = writeln!(details, "    $ cd {place}; {git} {}", words.join(" "));
            let result = cloned.as_ref().map_or_else(String::as_str, |()| "ok");
            for line in result.lines() {
                let _ = writeln!(details, "      {}", printable(line));
            }
            cloned
        };
        let mut both = |local| (clone(alone(real), local), clone(shim(real), local));
        let (plain, local) = (both(None), both(Some("--local")));
        let needs_shim = plain.0.is_err() || local.0.is_err();
        let (mark, words) = match plain.1.and(local.1) {
            Err(words) if needs_shim => (Mark::Fails, format!("git itself fails: {words}")),
            Err(words) => (Mark::Fails, format!("only the shim fails: {words}")),
            Ok(()) if plain.0.is_err() => (Mark::Works, format!("git alone fails, {CLONES}")),
            Ok(()) if needs_shim => (
                Mark::Works,
                format!("git alone fails with --local, {CLONES}"),
            ),
            Ok(()) => (Mark::Works, "git clones by itself".to_owned()),
        };
        let odd_links =
            self.new.is_some() && may_attempt(&self.repository, &around.path.join(CLONE));
        let trial = Trial::new(mark, words);
        Ok(Trial {
            needs_shim,
            odd_links,
            details,
            ..trial
        })
    }
}

const CLONES: &str = "through the shim it clones";

/// Whether the shim attempts a plain clone, as it does where a hard link that succeeds may be another file.
fn may_attempt(source: &Path, destination: &Path) -> bool {
    let c_string = |path: &Path| CString::new(path.as_os_str().as_bytes()).unwrap_or_default();
    let (source, destination) = (c_string(source), c_string(destination));
    let args = [c"git", c"clone", &source, &destination];
    matches!(Plan::new(Mode::Auto, &args), Plan::Attempt(..))
}

/// A fresh directory that only we can enter.
///
/// Another user may be able to move it, and put another one of ours in its place. So what is in it is made and removed by its
/// descriptor, and nothing but an empty directory by its name.
struct Private {
    path: PathBuf,
    pinned: File,
}

const SOURCE: &str = "source";
const CLONE: &str = "clone";

impl Private {
    fn within(directory: &Path) -> Result<Self, Trial> {
        let directory = directory.canonicalize()?;
        refuse_for_root(&directory)?;
        let mut new = tempfile::Builder::new();
        new.prefix(".git-clone-shim-doctor-");
        new.permissions(Permissions::from_mode(0o700));
        let path = new.tempdir_in(directory)?.keep();
        let pinned = File::open(&path)?;
        if fs::read_dir(of_descriptor(&pinned))?.next().is_some() {
            return Err(Trial::new(
                Mark::NotTried,
                "not tried: another user is in the way".to_owned(),
            ));
        }
        Ok(Self { path, pinned })
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
        let _ = fs::remove_dir(&self.path);
    }
}

fn of_descriptor(directory: &File) -> PathBuf {
    PathBuf::from(format!("/proc/self/fd/{}", directory.as_raw_fd()))
}

/// root tries nothing where another user could lead it elsewhere.
fn refuse_for_root(path: &Path) -> Result<(), Trial> {
    match exposed(path).filter(|_| geteuid().is_root()) {
        Some(exposed) => Err(Trial::new(
            Mark::NotTried,
            format!(
                "not tried: others can write to {}; run it as the user",
                exposed.display()
            ),
        )),
        None => Ok(()),
    }
}

/// `path`, or the nearest directory above it, if other users can exchange what is in it. A group that may write is the site's
/// own decision, but not for root.
fn exposed(path: &Path) -> Option<PathBuf> {
    let owner_of_all = fs::metadata("/").map_or(0, |slash| slash.uid());
    let trusted = [0, geteuid().as_raw(), owner_of_all];
    let is_exposed = |found: &Metadata| {
        let group = geteuid().is_root() && found.gid() != 0;
        let writers = if group { 0o022 } else { 0o002 };
        let is_sticky = found.mode() & 0o1000 != 0;
        !trusted.contains(&found.uid()) || !is_sticky && found.mode() & writers != 0
    };
    let path = path.canonicalize().ok()?;
    let mut above = path.ancestors();
    above
        .find(|path| fs::metadata(path).is_ok_and(|found| is_exposed(&found)))
        .map(Path::to_owned)
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

/// A program called as git, with the user's configuration, but no hooks and no fsmonitor, and in English.
fn git(program: &Path) -> Command {
    let mut command = Command::new(program);
    for (name, _) in env::vars_os() {
        let bytes = name.as_bytes();
        let is_kept =
            bytes.starts_with(b"GIT_CONFIG") || name == "GIT_EXEC_PATH" || name == "GIT_CLONE_SHIM";
        if bytes.starts_with(b"GIT_") && !is_kept {
            command.env_remove(name);
        }
    }
    command.env("GIT_TERMINAL_PROMPT", "0").env("LANGUAGE", "C");
    command.arg0("git").stdin(Stdio::null()).current_dir("/");
    command.args([
        "-c",
        "core.hooksPath=/dev/null",
        "-c",
        "core.fsmonitor=false",
    ]);
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
    let is_about_us = |line: &&str| !line.ends_with("cloned an empty repository.");
    let words: Vec<&str> = words.lines().filter(is_about_us).collect();
    Err(if words.is_empty() {
        output.status.to_string()
    } else {
        words.join("\n")
    })
}

/// A program on PATH that is called git.
struct Program {
    file: PathBuf,
    kind: Kind,
    /// Its path, and what it is.
    words: String,
}

#[derive(Clone, Copy, PartialEq, Eq)]
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
    fn ask(file: &Path) -> Self {
        let ask = |name: &str| {
            let mut command = Command::new(file);
            command
                .env("GIT_CLONE_SHIM_LOG", "info")
                .stdin(Stdio::null());
            match command.arg0(name).arg("--version").output() {
                Ok(output) => [output.stdout, output.stderr]
                    .map(|text| String::from_utf8_lossy(&text).into_owned()),
                Err(error) => [String::new(), error.to_string()],
            }
        };
        let directory = file.parent().unwrap_or(file);
        let exposed = exposed(directory).or_else(|| exposed(file));
        // Called by this name the shim is the tool, and git knows no such command. Only a shim writes such a log.
        let (kind, words) = match exposed.ok_or_else(|| ask(NAME)) {
            Ok(exposed) => (
                Kind::NotRun,
                format!("not run, since others can write to {}", exposed.display()),
            ),
            Err([version, _]) if version.starts_with(NAME) => {
                (Kind::Shim, format!("the shim, {version}"))
            }
            Err(_) => match ask("git") {
                [version, log] if log.contains("git_clone_shim") => (
                    Kind::LeadsToShim,
                    format!("a wrapper that calls the shim, {version}"),
                ),
                [version, error] => (Kind::Git, version + &error),
            },
        };
        let words = words.lines().next().unwrap_or_default();
        let words = format!("{}: {words}", file.display());
        Self {
            file: file.to_owned(),
            kind,
            words,
        }
    }
}

/// The git that a call of git runs. Not the one of git's own directory, which git puts first on PATH for what it runs, such as
/// `git clone-shim doctor`.
fn first_on_path(real: &Program) -> Option<Program> {
    let mut exec_path = Vec::new();
    if real.kind != Kind::NotRun {
        exec_path = alone(&real.file).arg("--exec-path").output().ok()?.stdout;
    }
    let exec_path = Path::new(OsStr::from_bytes(exec_path.trim_ascii_end())).join("git");
    let first = which::which_all("git")
        .ok()?
        .find(|git| *git != exec_path)?;
    Some(Program::ask(&first))
}

/// The directory of the shim on PATH, wherever that comes.
fn shim_on_path() -> Option<PathBuf> {
    let identity = |file: &Path| {
        fs::metadata(file)
            .ok()
            .map(|found| (found.dev(), found.ino()))
    };
    let own = identity(&startup::own_path());
    let is_shim = |git: &PathBuf| identity(git) == own || git.with_file_name(NAME).exists();
    which::which_all("git")
        .ok()?
        .find(is_shim)?
        .parent()
        .map(Path::to_owned)
}

/// The verdict, and what to do first.
fn judge(
    trials: &[Trial],
    first: Option<&Program>,
    real: &Program,
    mode: Mode,
) -> (Mark, String, Option<String>) {
    let any = |is: fn(&Trial) -> bool| trials.iter().any(is);
    let shim = shim_on_path();
    let put_first = |directory: &Path| format!("export PATH={}:\"$PATH\"", quoted(directory));
    let mut next = None;
    if let (Kind::LeadsToShim, Some(shim), Some(wrapper)) = (real.kind, &shim, real.file.parent()) {
        let (shim, wrapper) = (shim.display(), wrapper.display());
        next = Some(format!(
            "on PATH, put {wrapper} before {shim} and not behind it"
        ));
    }
    // (1) Something fails whatever PATH and the settings are.
    if any(|trial| trial.mark == Mark::Fails) {
        return (Mark::Fails, "Does not work: see above.".to_owned(), next);
    }
    if !any(|trial| trial.mark == Mark::Works) {
        return (Mark::NotTried, "Nothing was tried.".to_owned(), None);
    }
    // (2) git needs no shim.
    if !any(|trial| trial.needs_shim) {
        let text = if any(|trial| trial.odd_links) {
            "Not needed for a new repository. Here that says nothing of others: try --from REPO."
        } else {
            "Not needed here: git clones by itself."
        };
        return (Mark::Works, text.to_owned(), next);
    }
    // (3) It needs one, and a call of git gets there, or not.
    if mode == Mode::Off {
        let text = "Does not work: GIT_CLONE_SHIM=off.".to_owned();
        return (Mark::Fails, text, Some("unset GIT_CLONE_SHIM".to_owned()));
    }
    match (first, shim) {
        (
            Some(Program {
                kind: Kind::Shim | Kind::LeadsToShim,
                ..
            }),
            _,
        ) => (
            Mark::Works,
            format!("Works: git alone fails here, {CLONES}."),
            next,
        ),
        (Some(first), Some(directory)) => {
            let text = format!(
                "Does not work: {} comes before the shim on PATH.",
                first.file.display()
            );
            (Mark::Fails, text, Some(put_first(&directory)))
        }
        _ => {
            let text =
                "Would work: git alone fails here, with the shim it clones. It is not on PATH yet.";
            let own = fs::read_link(startup::own_path()).unwrap_or_else(|_| startup::own_path());
            let directory = own
                .parent()
                .filter(|directory| directory.join("git").exists());
            let next = directory.map_or_else(|| format!("{} install", quoted(&own)), put_first);
            (Mark::Works, text.to_owned(), Some(next))
        }
    }
}

/// Type, mount point and source of the filesystem that a directory is on, as mountinfo lists it (proc(5)).
fn filesystem(directory: &File) -> Option<String> {
    let info = fs::read_to_string(format!("/proc/self/fdinfo/{}", directory.as_raw_fd())).ok()?;
    let id = info
        .lines()
        .find_map(|line| line.strip_prefix("mnt_id:"))?
        .trim();
    let mounts = fs::read("/proc/self/mountinfo").ok()?;
    let mounts = String::from_utf8_lossy(&mounts);
    let mount = mounts
        .lines()
        .find(|line| line.split(' ').next() == Some(id))?;
    let (place, kind) = mount.split_once(" - ")?;
    let mut kind = kind.split(' ');
    Some(format!(
        "{} on {} ({})",
        kind.next()?,
        place.split(' ').nth(4)?,
        kind.next()?
    ))
}
