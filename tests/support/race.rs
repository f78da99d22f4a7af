//! A race between git's look at a file and its link to it.

use std::fs;
use std::os::unix::fs::chown;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use super::arena::Arena;
use super::arrangement;
use super::call::Call;

/// A call of git, with the arguments and the environment of `call`, that strace delays at each link, after git has looked at
/// the file.
pub fn delayed_at_links(arena: &Arena, call: &Call) -> Call {
    let mut command = arena.command("strace");
    command.args(["-f", "--seccomp-bpf", "-qqq", "-o", "/dev/null"]);
    command.args(["-e", "trace=?link,linkat"]);
    command.args(["-e", "inject=?link,linkat:delay_enter=20000", "git"]);
    command.args(call.command.get_args());
    for (name, value) in call.command.get_envs() {
        command.env(name, value.unwrap());
    }
    Call::new(command)
}

/// Whether strace can delay a call here; prints that if not.
#[track_caller]
pub fn can_delay() -> bool {
    let traced = std::process::Command::new("strace")
        .args(["-o", "/dev/null", "true"])
        .stderr(std::process::Stdio::null())
        .status();
    let can = traced.is_ok_and(|status| status.success());
    if !can {
        arrangement::missing("strace");
    }
    can
}

/// Sets its flag when dropped, by a test that panics as well as by one that returns.
struct SetOnDrop<'a>(&'a AtomicBool);
impl Drop for SetOnDrop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Runs `test` while `file` is exchanged for others of the same content again and again, without a moment in which it is
/// missing, until `is_enough`.
pub fn while_exchanging<T>(
    file: &Path,
    owner: Option<u32>,
    is_enough: impl Fn() -> bool + Sync,
    test: impl FnOnce() -> T,
) -> T {
    let spares = tempfile::tempdir_in(file.ancestors().nth(5).unwrap()).unwrap();
    // Files that keep another name: a file without any name cannot be linked, and git would copy.
    let names: Vec<PathBuf> = (0..64).map(|name| spares.path().join(name.to_string())).collect();
    for name in &names {
        fs::copy(file, name).unwrap();
        chown(name, owner, owner).unwrap();
    }
    let next = spares.path().join("next");
    let is_over = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            for name in names.iter().cycle().take_while(|_| !is_over.load(Ordering::Relaxed)) {
                if is_enough() {
                    thread::yield_now();
                    continue;
                }
                fs::hard_link(name, &next).unwrap();
                fs::rename(&next, file).unwrap();
            }
        });
        let _over = SetOnDrop(&is_over);
        test()
    })
}
