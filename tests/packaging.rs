//! install.sh and the recipes of other package managers. (What a build costs is left to .ci/run, and so are the packages.)

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

use crate::support::arrangement;
use crate::support::call::Call;
use crate::support::scratch;

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
    let root = scratch::directory();
    fs::set_permissions(root.path(), fs::Permissions::from_mode(0o1777)).unwrap();
    let run = |script: &str, directory: &Path, user| {
        let mut shell = Command::new("sh");
        // With a compiler that only fails, nothing is compiled.
        shell.args(["-ec", script]).env("RUSTC", "/bin/false").env("CARGO_NET_OFFLINE", "true");
        for variable in ["RUSTUP_TOOLCHAIN", "RUSTC_WRAPPER", "CARGO", "CARGO_TARGET_DIR"] {
            shell.env_remove(variable);
        }
        shell.current_dir(directory).uid(user).gid(user);
        let outcome = Call::new(shell).run();
        (fs::remove_file(root.path().join("ran")).is_ok(), outcome)
    };
    run(ATTACK, root.path(), ATTACKER).1.succeeded();
    let tree = root.path().join("tree");
    let copy = format!("mkdir {0}; git archive HEAD | tar -x -C {0}", tree.display());
    run(&copy, Path::new(env!("CARGO_MANIFEST_DIR")), 0).1.succeeded();
    let (is_attacked, outcome) = run("cargo build --locked", &tree, 0);
    assert!(is_attacked, "the attack does not work: {outcome:?}");
    for program in ["packaging/build", "./install.sh"] {
        let (is_attacked, outcome) = run(program, &tree, 0);
        assert!(!is_attacked && !outcome.status.success(), "{program}: {outcome:?}");
    }
}

#[test]
fn install_sh_without_cargo_or_source_says_what_to_do() {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("install.sh");
    let root = scratch::directory();
    let link = root.path().join("install.sh");
    symlink(&script, &link).unwrap();
    for name in ["dirname", "sed", "ls", "printf"] {
        symlink(which::which(name).unwrap(), root.path().join(name)).unwrap();
    }
    for name in ["sh", "dash", "busybox", "mksh", "bash"] {
        let Some(shell) = arrangement::program(name) else {
            continue;
        };
        for (script, words) in [(&script, "program from a release"), (&link, "is not the source tree")] {
            let mut command = Command::new(&shell);
            command.args((name == "busybox").then_some("sh")).arg(script);
            command.env_clear().env("PATH", root.path()).env("HOME", root.path());
            let outcome = Call::new(command).run();
            assert!(outcome.stderr_contains(words) && outcome.status.code() == Some(1), "{outcome:?}");
        }
    }
}

#[test]
fn recipes_are_valid_python() {
    let Some(python) = arrangement::program("python3") else {
        return;
    };
    let mut parse = Command::new(python);
    parse.args(["-c", "import ast, sys; [ast.parse(open(name).read()) for name in sys.argv[1:]]"]);
    parse.args(["easybuild/git-clone-shim.eb", "spack/package.py"]);
    parse.current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("packaging"));
    Call::new(parse).run().succeeded();
}
