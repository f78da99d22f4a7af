//! The settings in force, and where each of them came from.

use std::env;

use super::modules::Modules;
use super::report::{Origin, Setting};
use super::text;
use crate::settings::{self, Settings};

/// Every variable that is for people, in the order of the manual, and what it amounts to by default.
const VARIABLES: [(&str, &str); 5] = [
    ("GIT_CLONE_SHIM", "auto"),
    ("GIT_CLONE_SHIM_GIT", "the next git on PATH"),
    ("GIT_CLONE_SHIM_LOG", "off"),
    ("GIT_CLONE_SHIM_LOG_FILE", "none"),
    ("GIT_CLONE_SHIM_SYSLOG", "off"),
];

/// What the shim makes of the environment: `settings`, read from it.
pub(super) fn in_force(settings: &Settings, modules: &Modules) -> Vec<Setting> {
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
