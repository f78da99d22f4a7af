//! What is the same for every directory: PATH, the real git, the settings.

use std::env;
use std::ffi::{CStr, OsStr};
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use super::modules::Modules;
use super::path;
use super::report::{GitOnPath, Origin, Setting, Surroundings, What};
use super::watchdog::{Notes, Stopped};
use crate::git::real_git::RealGit;
use crate::process::startup;
use crate::settings::{self, Settings};
use crate::tool::text;

/// Looks at the surroundings, in which `settings` are in force.
pub(super) fn look_around(
    settings: &Settings,
    notes: &mut Notes<Surroundings>,
) -> Result<(), Stopped> {
    notes.begin("reading the modules that are loaded")?;
    let modules = Modules::loaded();
    notes.known.settings = settings_in_force(settings, &modules);
    let program = startup::own_path();
    let program = fs::read_link(&program).unwrap_or(program);
    notes.known.program = text::of_path(&program);

    notes.begin("looking for the real git")?;
    let mut exec_path = None;
    let mut real = None;
    match RealGit::find(settings.git) {
        Ok(git) => {
            exec_path = path::exec_path(git.file());
            notes.known.git = Some(path::real(git.file()));
            notes.known.path_warning = path::exchangeable(git.file())
                .map(|why| format!("{}: {why}", text::of_path(git.file())));
            real = Some(git.file().to_owned());
        }
        Err(failure) => notes.known.git_error = Some(failure.line),
    }

    notes.begin("asking every git on PATH what it is")?;
    let gits = path::gits(exec_path.as_deref(), real.as_deref(), &modules);
    let first = gits.first();
    notes.known.reached = first.is_some_and(|git| git.what.is_shim());
    if !notes.known.reached {
        let (advice, command) = advice(&gits, &program);
        notes.known.path_advice = Some(advice);
        notes.known.path_command = command;
    }
    notes.known.path = gits;
    Ok(())
}

impl What {
    /// Whether a call of it reaches a shim.
    pub(super) fn is_shim(self) -> bool {
        matches!(self, Self::ThisShim | Self::AnotherShim | Self::LeadsToShim)
    }
}

/// How the shim gets to be the first git on PATH, and the shell command for that.
fn advice(gits: &[GitOnPath], program: &Path) -> (String, Option<String>) {
    let put_first = |directory: &Path| {
        let advice = format!("Put {} first on PATH.", text::of_path(directory));
        let command = format!("export PATH={}:\"$PATH\"", text::quoted(directory));
        (advice, Some(command))
    };
    let later = gits.iter().find(|git| git.what.is_shim());
    let (Some(first), Some(shim)) = (gits.first(), later) else {
        return match own_directory(program) {
            Some(directory) => put_first(directory),
            None => (
                "Install it; that prints the line that puts it on PATH.".to_owned(),
                Some(format!("{} install", text::quoted(program))),
            ),
        };
    };
    let directory = Path::new(&shim.file).parent().unwrap_or(Path::new(""));
    let (put_first, command) = put_first(directory);
    let Some(module) = &first.module else {
        return (put_first, command);
    };
    let advice = format!(
        "Load the shim's module after {module}, or put {} first on PATH.",
        text::of_path(directory)
    );
    match &shim.module {
        Some(own) => {
            let own = text::quoted(Path::new(own));
            let command = format!("module unload {own}; module load {own}");
            (advice, Some(command))
        }
        None => (advice, command),
    }
}

/// The directory in which `program`, our file, stands in for git. If possible as we were called, since `current` outlives the
/// version that it leads to.
fn own_directory(program: &Path) -> Option<&Path> {
    let called = startup::path_as_called().map(CStr::to_bytes);
    let called = called.map(|path| Path::new(OsStr::from_bytes(path)));
    let places = called.filter(|path| path.is_absolute()).into_iter();
    let mut directories = places.chain([program]).filter_map(Path::parent);
    directories.find(|directory| directory.join("git").exists())
}

/// Every variable that is for people, in the order of the manual, and what it amounts to by default.
const VARIABLES: [(&str, &str); 5] = [
    ("GIT_CLONE_SHIM", "auto"),
    ("GIT_CLONE_SHIM_GIT", "the next git on PATH"),
    ("GIT_CLONE_SHIM_LOG", "off"),
    ("GIT_CLONE_SHIM_LOG_FILE", "none"),
    ("GIT_CLONE_SHIM_SYSLOG", "off"),
];

/// What the shim makes of the environment: `settings`, read from it.
fn settings_in_force(settings: &Settings, modules: &Modules) -> Vec<Setting> {
    let fallbacks = settings::fallbacks();
    let setting = |(name, default): (&str, &str)| {
        let value = env::var_os(name).filter(|value| !value.is_empty());
        let origin = match &value {
            None => Origin::Default,
            Some(value) => match name {
                "GIT_CLONE_SHIM" if *settings.mode.to_string() != **value => Origin::NotUnderstood,
                "GIT_CLONE_SHIM_LOG" if settings.log.is_none() => Origin::NotUnderstood,
                "GIT_CLONE_SHIM_LOG_FILE" if fallbacks.file.is_none() => Origin::NotUnderstood,
                "GIT_CLONE_SHIM_SYSLOG" if !fallbacks.syslog && value != "0" => {
                    Origin::NotUnderstood
                }
                _ => Origin::Environment,
            },
        };
        Setting {
            name: name.to_owned(),
            value: match (&value, origin) {
                (Some(value), Origin::Environment) => text::of(value.as_encoded_bytes()),
                _ => default.to_owned(),
            },
            origin,
            module: value.and_then(|_| modules.that_sets(name)),
        }
    };
    VARIABLES.map(setting).into()
}
