//! A race between git's look at a file and its link to it.

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
