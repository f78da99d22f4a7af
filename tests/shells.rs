//! What is installed for shells: the snippets of login shells, and completions.

use std::fs;

use crate::support::arena::Arena;
use crate::support::arrangement;
use crate::support::call::Call;
use crate::support::installer::{Site, VERSION, shells};

/// PATH after a shell has read the snippet for login shells, after `prepare`.
#[track_caller]
fn path_after(site: &Site, shell: &[&str], prepare: &str) -> String {
    let (read, snippet) = match shell[0] {
        "tcsh" => ("source", "git-clone-shim.csh"),
        _ => (".", "git-clone-shim.sh"),
    };
    let snippet = site.prefix.join("profile.d").join(snippet);
    let script = format!(
        "{prepare}; {read} {0}; {read} {0}; printenv PATH",
        snippet.display()
    );
    site.answer(shell, &script, &Arena::path(&[]))
}

#[test]
fn snippets_put_the_shim_first_on_path_in_login_shells() {
    let site = Site::new();
    let profile_d = site.prefix.join("profile.d");
    site.install(VERSION, &["--profile-d", profile_d.to_str().unwrap()]);
    let plain = Arena::path(&[]).into_string().unwrap();
    let first = Arena::path(&[site.bin()]).into_string().unwrap();
    let mut found = shells();
    for shell in [["zsh", "-f"].as_slice(), &["tcsh", "-f"]] {
        found.extend(arrangement::program(shell[0]).map(|_| shell));
    }
    for shell in &found {
        let strict = if shell[0] == "tcsh" { "" } else { "set -eu" };
        assert_eq!(path_after(&site, shell, strict), first);
        let (off, auto) = match shell[0] {
            "tcsh" => ("setenv GIT_CLONE_SHIM off", "setenv GIT_CLONE_SHIM auto"),
            _ => ("export GIT_CLONE_SHIM=off", "export GIT_CLONE_SHIM=auto"),
        };
        assert_eq!(path_after(&site, shell, off), plain);
        assert_eq!(path_after(&site, shell, auto), first);
    }
    // A tree that is not mounted on this node.
    fs::rename(site.root(), site.prefix.join("elsewhere")).unwrap();
    for shell in &found {
        assert_eq!(path_after(&site, shell, "true"), plain);
    }
}

#[test]
fn shells_complete_subcommands_and_options() {
    let site = Site::new();
    site.run("install", [""; 0]).succeeded();
    let share = site.live(VERSION).join("share");
    // As each shell asks for completions: what begins with `do`, and the options of `install` that begin with `--pre`.
    let bash = "source \"$0\"; for words in do 'install --pre'; do COMP_WORDS=(git-clone-shim $words); \
        COMP_CWORD=$((${#COMP_WORDS[@]} - 1)); last=${COMP_WORDS[-1]}; \
        _git__clone__shim git-clone-shim \"$last\" \"${COMP_WORDS[-2]}\"; echo \"${COMPREPLY[@]}\"; done";
    let fish = "source $argv[1]; for line in 'git-clone-shim do' 'git-clone-shim install --pre'; complete -C $line; end";
    for (shell, script, file) in [
        ("bash", bash, "bash-completion/completions/git-clone-shim"),
        (
            "fish",
            fish,
            "fish/vendor_completions.d/git-clone-shim.fish",
        ),
    ] {
        let Some(shell) = arrangement::program(shell) else {
            continue;
        };
        let mut command = site.arena.command(shell);
        command.args(["-c", script]).arg(share.join(file));
        let outcome = Call::new(command).run().succeeded();
        let completed = String::from_utf8_lossy(&outcome.stdout);
        let completed: Vec<&str> = completed
            .lines()
            .filter_map(|line| line.split_whitespace().next())
            .collect();
        assert_eq!(completed, ["doctor", "--prefix"], "{outcome:?}");
    }
    // zsh completes in its line editor only: here it reads the script.
    if let Some(zsh) = arrangement::program("zsh") {
        let mut command = site.arena.command(zsh);
        command
            .arg("-n")
            .arg(share.join("zsh/site-functions/_git-clone-shim"));
        Call::new(command).run().succeeded();
    }
}
