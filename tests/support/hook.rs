//! A hook that runs in a clone.

use std::fs;
use std::path::Path;

use super::executable;

/// The option by which `git clone` takes the hook up.
pub const TEMPLATE: &str = "--template=template";

/// Puts a post-checkout hook below `place`: a shell script, without its `#!` line.
pub fn post_checkout(place: &Path, script: &str) {
    let hooks = place.join("template/hooks");
    fs::create_dir_all(&hooks).unwrap();
    executable::script(
        &hooks.join("post-checkout"),
        &format!("#!/bin/bash\n{script}\n"),
    );
}
