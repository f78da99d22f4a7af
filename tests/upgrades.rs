//! Versions are installed, switched and removed under clones that run, and after version 0.1.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use nix::libc;

use crate::support::arena::{Arena, REFUSED};
use crate::support::args::{args, with_source};
use crate::support::call::{Call, Outcome};
use crate::support::executable;
use crate::support::installer::{Site, version};
use crate::support::source;

/// How many clones run at least, and how many at a time.
const CLONES: usize = 200;
const THREADS: usize = 4;

/// How often the version is switched meanwhile, at least.
const SWITCHES: usize = 12;

/// Clones where links are refused, with these directories first on PATH.
fn clone(site: &Site, source: &Path, to: &str, path: &[PathBuf]) -> Outcome {
    let mut command = site.arena.command("git");
    command.args(with_source(source, args(&format!("clone -q -l SRC {to}"))));
    let call = Call::new(command).env("PATH", Arena::path(path));
    call.links_fail(Some(libc::EPERM)).run()
}

#[test]
fn no_clone_fails() {
    let site = Site::new();
    let real = site.arena.real_directory();
    let source = source::small(&site.arena, "src");
    // A moment without the shim would be seen: then this is what comes of a clone.
    let without = clone(&site, &source, "without", &[real.clone(), real.clone()]);
    assert!(without.died_of(REFUSED), "{without:?}");

    site.install(&version(1), &[]);
    let path = [site.bin(), real];
    let failures = Mutex::new(Vec::new());
    let (clones, switches) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let done =
        || clones.load(Ordering::Relaxed) >= CLONES && switches.load(Ordering::Relaxed) >= SWITCHES;
    thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                while !done() {
                    let number = clones.fetch_add(1, Ordering::Relaxed);
                    let outcome = clone(&site, &source, &number.to_string(), &path);
                    if !outcome.status.success() {
                        failures.lock().unwrap().push(outcome);
                    }
                }
            });
        }
        // By turns one version is upgraded, and the upgrade rolled back and done again, to another, and the old one removed.
        let mut numbers = (1..=3).cycle().peekable();
        while !done() {
            let [old, new] = [numbers.next().unwrap(), *numbers.peek().unwrap()].map(version);
            site.install(&new, &[]);
            for (task, version) in [("activate", &old), ("activate", &new), ("uninstall", &old)] {
                site.run(task, [version]).succeeded();
            }
            switches.fetch_add(3, Ordering::Relaxed);
        }
    });
    eprintln!("{clones:?} clones while {switches:?} switches took place");
    assert!(failures.lock().unwrap().is_empty(), "{failures:?}");
}

/// The manifests as install.sh of version 0.1 wrote them, in a prefix that it made, with snippets for login shells.
const MANIFEST_0_1: &str = "\
PREFIX/
git-clone-shim/
modulefiles/
modulefiles/git-clone-shim/
profile.d/
profile.d/git-clone-shim.csh
profile.d/git-clone-shim.sh
";
const VERSION_MANIFEST_0_1: &str = "\
git-clone-shim/VERSION/bin/
git-clone-shim/VERSION/bin/git
git-clone-shim/VERSION/bin/git-clone-shim
git-clone-shim/VERSION/share/
git-clone-shim/VERSION/share/doc/
git-clone-shim/VERSION/share/doc/git-clone-shim/
git-clone-shim/VERSION/share/doc/git-clone-shim/LICENSE
git-clone-shim/VERSION/share/doc/git-clone-shim/README.md
git-clone-shim/VERSION/share/man/
git-clone-shim/VERSION/share/man/man1/
git-clone-shim/VERSION/share/man/man1/git-clone-shim.1
modulefiles/git-clone-shim/VERSION
modulefiles/git-clone-shim/VERSION.lua
";

/// Makes the tree that install.sh of version 0.1 left: what its manifests list, and what no manifest lists.
fn install_as_0_1(site: &Site, version: &str) {
    let shared = MANIFEST_0_1.replace("PREFIX", site.prefix.to_str().unwrap());
    let of_version = VERSION_MANIFEST_0_1.replace("VERSION", version);
    for line in shared.lines().chain(of_version.lines()) {
        let path = site.prefix.join(line);
        if line.ends_with('/') {
            fs::create_dir_all(path).unwrap();
        } else {
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, format!("{line} of 0.1\n")).unwrap();
        }
    }
    let live = site.live(version);
    fs::remove_file(live.join("bin/git")).unwrap();
    symlink("git-clone-shim", live.join("bin/git")).unwrap();
    executable::copy(&site.program(version), &live.join("bin/git-clone-shim"));
    fs::write(live.join("manifest"), of_version).unwrap();
    fs::write(site.root().join("manifest"), shared).unwrap();
    symlink(version, site.root().join("current")).unwrap();
    let default = format!("#%Module1.0\nset ModulesVersion \"{version}\"\n");
    fs::write(
        site.prefix.join("modulefiles/git-clone-shim/.version"),
        default,
    )
    .unwrap();
}

#[test]
fn tree_of_version_0_1_is_upgraded_switched_and_removed() {
    let site = Site::new();
    let old = "0.0.1";
    let new = version(1);
    install_as_0_1(&site, old);
    assert_eq!(site.list(), format!("{old} (current)\n"));
    site.assert_works(&site.bin(), old);
    let profile_d = site.prefix.join("profile.d");
    site.install(&new, &["--profile-d", profile_d.to_str().unwrap()]);
    assert_eq!(site.list(), format!("{old}\n{new} (current)\n"));
    site.assert_works(&site.bin(), &new);
    // The snippets are in its manifest: so they are renewed.
    let snippet = fs::read_to_string(profile_d.join("git-clone-shim.sh")).unwrap();
    assert!(snippet.contains(site.bin().to_str().unwrap()), "{snippet}");
    site.run("activate", [old]).succeeded();
    site.assert_works(&site.bin(), old);
    site.run("activate", [&new]).succeeded();
    site.run("uninstall", [old]).succeeded();
    assert_eq!(site.list(), format!("{new} (current)\n"));
    site.run("uninstall", [""; 0]).succeeded();
    assert!(!site.prefix.exists());

    // And without an upgrade before.
    install_as_0_1(&site, old);
    site.run("uninstall", [""; 0]).succeeded();
    assert!(!site.prefix.exists());
}
