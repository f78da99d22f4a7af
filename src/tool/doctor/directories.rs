//! Which directories are examined when none is named, and where a clone from them to another mount is tried.

use std::env;
use std::path::{Path, PathBuf};

use crate::mountinfo::Filesystem;

/// A directory to examine.
pub(super) struct Place {
    /// As it was named or found, made absolute.
    pub directory: PathBuf,
    /// Why: it was `named`, or whose it is.
    pub whose: &'static str,
    /// Whether it is left out where it is not there.
    pub optional: bool,
}

impl Place {
    fn new(directory: &Path, whose: &'static str, optional: bool) -> Self {
        // Only an empty path cannot be made absolute, and where the current directory is gone, so is what it leads to.
        let directory = std::path::absolute(directory).unwrap_or_else(|_| directory.to_owned());
        Self {
            directory,
            whose,
            optional,
        }
    }
}

/// The directories that were named; or else the current one and the caches of the tools that run `git clone --local`.
pub(super) fn to_examine(named: &[PathBuf]) -> Vec<Place> {
    if !named.is_empty() {
        return named
            .iter()
            .map(|directory| Place::new(directory, "named", false))
            .collect();
    }
    let mut places = vec![Place::new(Path::new("."), "the current directory", false)];
    places.extend(caches());
    places
}

/// Where uv (`uv cache dir`), pixi and rattler (`rattler_cache::default_cache_dir`) keep what they have cloned.
fn caches() -> impl Iterator<Item = Place> {
    let set = |name: &str| env::var_os(name).map(PathBuf::from);
    let absolute = |name: &str| set(name).filter(|path| path.is_absolute());
    let caches = absolute("XDG_CACHE_HOME").or_else(|| Some(set("HOME")?.join(".cache")));
    let below = |name: &str| caches.as_ref().map(|caches| caches.join(name));
    let named = |name: &str| set(name).filter(|path| !path.as_os_str().is_empty());
    let rattler = named("RATTLER_CACHE_DIR");
    // Without any of these variables, and without a directory of its own, pixi's is rattler's.
    let pixi = named("PIXI_CACHE_DIR").or_else(|| match rattler {
        Some(_) => None,
        None => below("pixi"),
    });
    [
        (named("UV_CACHE_DIR").or_else(|| below("uv")), "uv's cache"),
        (pixi, "pixi's cache"),
        (
            rattler.clone().or_else(|| below("rattler/cache")),
            "rattler's cache",
        ),
    ]
    .into_iter()
    .filter_map(|(directory, whose)| Some(Place::new(&directory?, whose, true)))
}

/// Directories for temporary files that are not on the mount of `here`. Each is looked at only when it is asked for.
pub(super) fn on_other_mounts(here: &Filesystem) -> impl Iterator<Item = PathBuf> {
    let named = ["TMPDIR", "XDG_RUNTIME_DIR"].map(|name| env::var_os(name).map(PathBuf::from));
    let named = named
        .into_iter()
        .flatten()
        .filter(|path| path.is_absolute());
    let usual = ["/dev/shm", "/tmp", "/var/tmp"].map(PathBuf::from);
    named.chain(usual).filter(|place| {
        Filesystem::around(place).is_some_and(|there| there.mount_point != here.mount_point)
    })
}
