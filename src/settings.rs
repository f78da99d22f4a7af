//! The variables of the environment, each read once at most. An unknown value is reported once and counts as the default.

use std::ffi::{CStr, OsStr};
use std::fmt;
use std::os::unix::ffi::OsStrExt;
use std::str::FromStr;

use tracing::Level;
use tracing_subscriber::filter::Targets;

use crate::failure;
use crate::log::{Fallbacks, Pattern};
use crate::process::environment;

/// What to do with a clone that can hard-link (`GIT_CLONE_SHIM`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    /// `auto`: let git try, and run it again with `--no-hardlinks` if the filesystem refused.
    #[default]
    Auto,
    /// `always`: the site knows that its filesystem refuses, so `--no-hardlinks` at once.
    Always,
    /// `off`: exec the real git.
    Off,
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Auto => "auto",
            Self::Always => "always",
            Self::Off => "off",
        })
    }
}

/// The settings in force.
#[derive(Debug, Default)]
pub struct Settings {
    /// `GIT_CLONE_SHIM`.
    pub mode: Mode,
    /// `GIT_CLONE_SHIM_GIT`: the real git, as the user wrote it.
    pub git: Option<&'static OsStr>,
    /// `GIT_CLONE_SHIM_LOG`: what to log on standard error.
    pub log: Option<Targets>,
}

impl Settings {
    /// Reads the environment. An empty variable counts as unset, as in most programs that a module file configures.
    #[must_use]
    pub fn from_environment() -> Self {
        Self {
            mode: set(c"GIT_CLONE_SHIM").map_or(Mode::Auto, mode),
            git: set(c"GIT_CLONE_SHIM_GIT"),
            log: set(c"GIT_CLONE_SHIM_LOG").and_then(log),
        }
    }
}

/// Where fallbacks are recorded: `GIT_CLONE_SHIM_LOG_FILE` and `GIT_CLONE_SHIM_SYSLOG`. Not among the settings, since
/// no call but one that runs git again need know.
#[must_use]
pub fn fallbacks() -> Fallbacks {
    Fallbacks {
        file: set(c"GIT_CLONE_SHIM_LOG_FILE").and_then(log_file),
        syslog: set(c"GIT_CLONE_SHIM_SYSLOG").is_some_and(syslog),
    }
}

fn set(name: &CStr) -> Option<&'static OsStr> {
    environment::secure_variable(name).filter(|value| !value.is_empty())
}

fn mode(value: &OsStr) -> Mode {
    match value.as_bytes() {
        b"auto" => Mode::Auto,
        b"always" => Mode::Always,
        b"off" => Mode::Off,
        _ => {
            complain("GIT_CLONE_SHIM", value, "auto, always or off", "auto");
            Mode::default()
        }
    }
}

fn log(value: &OsStr) -> Option<Targets> {
    let filter = value
        .to_str()
        .and_then(|filter| Targets::from_str(filter).ok());
    // Any single word is a valid filter, of a program of that name: most likely it was meant for a level.
    let for_us = |filter: &Targets| filter.would_enable(module_path!(), &Level::ERROR);
    let meant =
        |filter: &Targets| for_us(filter) || value == "off" || value.as_bytes().contains(&b'=');
    let filter = filter.filter(meant);
    if filter.is_none() {
        let accepted = "off, error, warn, info, debug, trace or target=level,…";
        complain("GIT_CLONE_SHIM_LOG", value, accepted, "off");
    }
    filter
}

fn log_file(value: &'static OsStr) -> Option<Pattern> {
    let pattern = Pattern::new(value);
    if pattern.is_none() {
        complain("GIT_CLONE_SHIM_LOG_FILE", value, Pattern::ACCEPTED, "none");
    }
    pattern
}

fn syslog(value: &OsStr) -> bool {
    match value.as_bytes() {
        b"0" => false,
        b"1" => true,
        _ => {
            complain("GIT_CLONE_SHIM_SYSLOG", value, "0 or 1", "0");
            false
        }
    }
}

fn complain(name: &str, value: &OsStr, accepted: &str, default: &str) {
    let value = value.as_bytes().escape_ascii();
    failure::print(&format!(
        "{name}={value} is not {accepted}; using {default}"
    ));
}
