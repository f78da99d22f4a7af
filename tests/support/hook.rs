//! A hook that runs in a clone.

use std::fs;
use std::path::Path;

use super::executable;

/// The option by which `git clone` takes the hook up.
pub const TEMPLATE: &str = "--template=template";

/// Puts a post-checkout hook below `place`: a shell script, without its `#!` line.
pub fn post_checkout(place: &Path, script: &str) {
    put(place, "post-checkout", script);
}

/// Puts a hook of this name below `place`, likewise.
pub fn put(place: &Path, name: &str, script: &str) {
    let hooks = place.join("template/hooks");
    fs::create_dir_all(&hooks).unwrap();
    executable::script(&hooks.join(name), &format!("#!/bin/bash\n{script}\n"));
}
