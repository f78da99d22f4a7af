//! install.sh and the recipes of other package managers. (What a build costs is left to .ci/run, and so are the packages.)

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

use crate::support::arrangement;
use crate::support::call::{Call, Outcome};

/// The user who attacks.
const ATTACKER: u32 = 65534;

/// What the attacker writes in a directory like /tmp. Where something of it runs, there is a file `ran`.
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
fn build_reads_no_file_that_another_user_puts_above_the_source() {
    if !arrangement::is_root() {
        return;
    }
    let root = tempfile::tempdir().unwrap();
    fs::set_permissions(root.path(), fs::Permissions::from_mode(0o1777)).unwrap();
    let run = |command: &mut Command, directory: &Path| {
        // With a compiler that only fails, nothing is compiled.
        command.env("RUSTC", "/bin/false").env("CARGO_NET_OFFLINE", "true");
        for variable in ["RUSTUP_TOOLCHAIN", "RUSTC_WRAPPER", "CARGO", "CARGO_TARGET_DIR"] {
            command.env_remove(variable);
        }
        let outcome = Call::new(std::mem::replace(command.current_dir(directory), Command::new("true"))).run();
        (fs::remove_file(root.path().join("ran")).is_ok(), outcome)
    };
    let shell = |script: &str| {
        let mut shell = Command::new("sh");
        shell.args(["-ec", script]);
        shell
    };
    run(shell(ATTACK).uid(ATTACKER).gid(ATTACKER), root.path()).1.succeeded();
    let tree = root.path().join("tree");
    let copy = format!("mkdir {0}; git archive HEAD | tar -x -C {0}", tree.display());
    run(&mut shell(&copy), Path::new(env!("CARGO_MANIFEST_DIR"))).1.succeeded();
    let (is_attacked, outcome) = run(&mut shell("cargo build --locked"), &tree);
    assert!(is_attacked, "the attack does not work: {outcome:?}");
    for program in ["packaging/build", "./install.sh"] {
        let (is_attacked, outcome) = run(&mut shell(program), &tree);
        assert!(!is_attacked && !outcome.status.success(), "{program}: {outcome:?}");
    }
}

#[test]
fn install_sh_without_cargo_or_source_says_what_to_do() {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("install.sh");
    let root = tempfile::tempdir().unwrap();
    let link = root.path().join("install.sh");
    symlink(&script, &link).unwrap();
    for name in ["dirname", "sed", "ls", "printf"] {
        symlink(which::which(name).unwrap(), root.path().join(name)).unwrap();
    }
    for name in ["sh", "dash", "busybox", "mksh", "bash"] {
        let Some(shell) = arrangement::program(name) else {
            continue;
        };
        let run = |script: &Path| -> Outcome {
            let mut command = Command::new(&shell);
            command.args((name == "busybox").then_some("sh")).arg(script);
            command.env_clear().env("PATH", root.path()).env("HOME", root.path());
            Call::new(command).run()
        };
        for (script, words) in [(&script, "program from a release"), (&link, "is not the source tree")] {
            let outcome = run(script);
            assert!(outcome.stderr_contains(words) && outcome.status.code() == Some(1), "{outcome:?}");
        }
    }
}

#[test]
fn recipes_are_valid_python() {
    let Some(python) = arrangement::program("python3") else {
        return;
    };
    for recipe in ["easybuild/git-clone-shim.eb", "spack/package.py"] {
        let recipe = Path::new(env!("CARGO_MANIFEST_DIR")).join("packaging").join(recipe);
        let mut parse = Command::new(&python);
        parse.args(["-c", "import ast, sys; ast.parse(open(sys.argv[1]).read())"]);
        parse.arg(recipe);
        Call::new(parse).run().succeeded();
    }
}
