//! Versions are installed, switched and removed under clones that run.

use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use nix::libc;

use crate::support::arena::{Arena, REFUSED};
use crate::support::args::{args, with_source};
use crate::support::call::{Call, Outcome};
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
