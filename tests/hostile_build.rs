//! What builds the shim obeys no file that another user has put above the source tree, as anyone can in /tmp.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::support::arrangement;

/// The user who attacks.
const ATTACKER: u32 = 65534;

/// What the attacker writes, in a directory like /tmp.
const ATTACK: &str = r#"
mkdir .cargo toolchain toolchain/bin
printf '[build]\nrustc-wrapper = "%s/wrapper"\n' "$PWD" >.cargo/config.toml
printf '#!/bin/sh\necho >>"%s/ran"\nexec "$@"\n' "$PWD" >wrapper
printf '[toolchain]\npath = "%s/toolchain"\n' "$PWD" >rust-toolchain.toml
printf '#!/bin/sh\necho >>"%s/ran"\n' "$PWD" >toolchain/bin/rustc
cp toolchain/bin/rustc toolchain/bin/cargo
chmod +x wrapper toolchain/bin/*
printf '[workspace]\nmembers = ["tree"]\n' >Cargo.toml
"#;

#[test]
fn build_reads_no_file_above_the_source() {
    if !arrangement::is_root() {
        return;
    }
    let source = Path::new(env!("CARGO_MANIFEST_DIR"));
    let root = tempfile::tempdir().unwrap();
    fs::set_permissions(root.path(), fs::Permissions::from_mode(0o1777)).unwrap();
    let attacker = Command::new("sh")
        .args(["-ec", ATTACK])
        .current_dir(root.path())
        .uid(ATTACKER)
        .gid(ATTACKER)
        .status();
    assert!(attacker.unwrap().success());
    let tree = root.path().join("tree");
    fs::create_dir(&tree).unwrap();
    let copied = Command::new("cp")
        .arg("-r")
        .args([
            "Cargo.toml",
            "Cargo.lock",
            "src",
            "tests",
            "benches",
            "packaging",
            "install.sh",
            "man",
            "README.md",
        ])
        .arg(&tree)
        .current_dir(source)
        .status();
    assert!(copied.unwrap().success());

    // With a compiler that only fails, so that nothing is compiled.
    let run = |program: &str, args: &[&str]| {
        let output = Command::new(program)
            .args(args)
            .current_dir(&tree)
            .env("RUSTC", "/bin/false")
            .env("CARGO_NET_OFFLINE", "true")
            .env_remove("RUSTUP_TOOLCHAIN")
            .env_remove("RUSTC_WRAPPER")
            .env_remove("CARGO")
            .stdin(Stdio::null())
            .output()
            .unwrap();
        let ran = root.path().join("ran");
        let is_attacked = ran.exists();
        let _ = fs::remove_file(ran);
        (is_attacked, output)
    };
    // The tests run under a PATH on which cargo may be rustup's proxy or not.
    let (is_attacked, output) = run("cargo", &["build", "--locked"]);
    assert!(is_attacked, "the attack does not work: {output:?}");
    for program in ["packaging/build", "install.sh"] {
        let (is_attacked, output) = run(tree.join(program).to_str().unwrap(), &[]);
        assert!(!is_attacked, "{program}: {output:?}");
    }
    let metadata = Command::new(env!("CARGO"))
        .args([
            "metadata",
            "--no-deps",
            "--offline",
            "--format-version=1",
            "--manifest-path",
        ])
        .arg(tree.join("Cargo.toml"))
        .current_dir("/")
        .output()
        .unwrap();
    let metadata: Value = serde_json::from_slice(&metadata.stdout).unwrap();
    assert_eq!(metadata["workspace_root"], tree.to_str().unwrap());
}
