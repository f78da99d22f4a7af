//! What other package managers are told agrees with what cargo is told.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use regex::Regex;

use crate::support::arrangement;

const VERSION: &str = env!("CARGO_PKG_VERSION");

/// A file of this repository.
fn file(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

fn text(path: &str) -> String {
    fs::read_to_string(file(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

fn easyconfig() -> String {
    text(&format!("packaging/easybuild/git-clone-shim-{VERSION}.eb"))
}

/// What the only group of `pattern` matches in `text`.
#[track_caller]
fn found<'a>(pattern: &str, text: &'a str) -> &'a str {
    let pattern = Regex::new(pattern).unwrap();
    let captures = pattern
        .captures(text)
        .unwrap_or_else(|| panic!("no {pattern}"));
    captures.get(1).unwrap().as_str()
}

#[test]
fn easyconfig_is_what_its_script_writes() {
    let written = Command::new(file("packaging/easybuild/generate"))
        .stdin(Stdio::null())
        .output()
        .unwrap();
    assert!(written.status.success(), "{written:?}");
    assert!(
        easyconfig().as_bytes() == written.stdout,
        "run packaging/easybuild/generate >packaging/easybuild/git-clone-shim-{VERSION}.eb"
    );
}

#[test]
fn easyconfig_names_every_crate() {
    let lock = text("Cargo.lock");
    let mut crates = Vec::new();
    let mut checksums = Vec::new();
    for package in lock.split("[[package]]").skip(1) {
        let name = found(r#"(?m)^name = "(.*)"$"#, package);
        let version = found(r#"(?m)^version = "(.*)"$"#, package);
        if name != "git-clone-shim" {
            let checksum = found(r#"(?m)^checksum = "(.*)"$"#, package);
            crates.push(format!("    ('{name}', '{version}'),"));
            checksums.push(format!("    {{'{name}-{version}.tar.gz': '{checksum}'}},"));
        }
    }
    assert!(!crates.is_empty(), "Cargo.lock names no crate");
    let easyconfig = easyconfig();
    let named = found(r"(?s)\ncrates = \[\n(.*?)\n\]", &easyconfig);
    assert_eq!(named.lines().collect::<Vec<_>>(), crates);
    let given = found(r"(?s)\nchecksums = \[\n    None,\n(.*?)\n\]", &easyconfig);
    assert_eq!(given.lines().collect::<Vec<_>>(), checksums);
}

#[test]
fn packages_require_the_declared_rust() {
    let needed = env!("CARGO_PKG_RUST_VERSION");
    let spack = text("packaging/spack/package.py");
    assert_eq!(found(r#"depends_on\("rust@(.*):""#, &spack), needed);
    let numbers = |version: &str| -> Vec<u32> {
        let numbers = version.split('.').map(|number| number.parse().unwrap());
        numbers.collect()
    };
    let easyconfig = easyconfig();
    let asked_for = found(r"\('Rust', '(.*?)'", &easyconfig);
    assert!(numbers(asked_for) >= numbers(needed), "{asked_for}");
}

#[test]
fn packages_build_this_version() {
    let easyconfig = easyconfig();
    assert_eq!(found("(?m)^version = '(.*)'$", &easyconfig), VERSION);
    let spack = text("packaging/spack/package.py");
    assert_eq!(found(r#"(?m)^    version\("(.*)"\)$"#, &spack), VERSION);
    assert_eq!(
        found(r#"git-clone-shim-([^-]*)\.tar\.gz""#, &spack),
        VERSION
    );
}

#[test]
fn packages_are_valid_python() {
    let Some(python) = arrangement::program("python3") else {
        return;
    };
    for (name, text) in [
        ("git-clone-shim.eb", easyconfig()),
        ("package.py", text("packaging/spack/package.py")),
    ] {
        let parsed = Command::new(&python)
            .args(["-c", "import ast, sys; ast.parse(sys.argv[1])", &text])
            .output()
            .unwrap();
        assert!(parsed.status.success(), "{name}: {parsed:?}");
    }
}
