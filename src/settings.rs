//! The variables of the environment. An unknown value counts as the default, and is reported where a clone is planned.

use std::ffi::{CStr, OsStr};
use std::os::unix::ffi::OsStrExt;

use tracing_subscriber::filter::Targets;

use crate::failure;
use crate::log;
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

/// The settings in force.
#[derive(Debug, Default)]
pub struct Settings {
    /// `GIT_CLONE_SHIM`.
    pub mode: Mode,
    /// `GIT_CLONE_SHIM_GIT`: the real git, as the user wrote it.
    pub git: Option<&'static OsStr>,
    /// `GIT_CLONE_SHIM_LOG`: what to log on standard error.
    pub log: Option<Targets>,
    /// `GIT_CLONE_SHIM_SYSLOG`: whether each fallback is reported to the system log.
    pub syslog: bool,
    /// A line for each variable with an unknown value.
    pub complaints: Vec<String>,
}

impl Settings {
    /// Reads the environment. An empty variable counts as unset, as in most programs that a module file configures.
    #[must_use]
    pub fn from_environment() -> Self {
        let mut settings = Self { git: set(c"GIT_CLONE_SHIM_GIT"), ..Self::default() };
        if let Some(value) = set(c"GIT_CLONE_SHIM") {
            match value.as_bytes() {
                b"auto" => {}
                b"always" => settings.mode = Mode::Always,
                b"off" => settings.mode = Mode::Off,
                _ => settings.complain("GIT_CLONE_SHIM", value, "auto, always or off; using auto"),
            }
        }
        if let Some(value) = set(c"GIT_CLONE_SHIM_LOG") {
            settings.log = log::filter(value);
            if settings.log.is_none() {
                let accepted = "off, error, warn, info, debug, trace or target=level,…; using off";
                settings.complain("GIT_CLONE_SHIM_LOG", value, accepted);
            }
        }
        if let Some(value) = set(c"GIT_CLONE_SHIM_SYSLOG") {
            match value.as_bytes() {
                b"0" => {}
                b"1" => settings.syslog = true,
                _ => settings.complain("GIT_CLONE_SHIM_SYSLOG", value, "0 or 1; using 0"),
            }
        }
        settings
    }

    /// Tells the user of unknown values.
    pub fn print_complaints(&self) {
        self.complaints.iter().for_each(|complaint| failure::print(complaint));
    }

    fn complain(&mut self, name: &str, value: &OsStr, accepted: &str) {
        let value = value.as_bytes().escape_ascii();
        self.complaints.push(format!("{name}={value} is not {accepted}"));
    }
}

fn set(name: &CStr) -> Option<&'static OsStr> {
    environment::secure_variable(name).filter(|value| !value.is_empty())
}
