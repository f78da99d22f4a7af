//! A hook that runs in a clone.

use std::fs;
use std::path::Path;

use super::executable;

/// The option with which `git clone` installs the hook.
pub const TEMPLATE: &str = "--template=template";

/// Writes a post-checkout hook below `directory`: a bash script without its `#!` line.
pub fn post_checkout(directory: &Path, script: &str) {
    put(directory, "post-checkout", script);
}

/// Writes a hook of this name below `directory`, likewise.
pub fn put(directory: &Path, name: &str, script: &str) {
    let hooks = directory.join("template/hooks");
    fs::create_dir_all(&hooks).unwrap();
    executable::script(&hooks.join(name), &format!("#!/bin/bash\n{script}\n"));
}
