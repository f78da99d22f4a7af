//! Whatever git and its hooks write to standard error reaches the user unchanged, in bounded memory, and hides no failure.

use std::fs::{self, OpenOptions};
use std::io::Read;
use std::path::Path;
use std::process::Stdio;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use nix::libc;

use crate::support::arena::{Arena, REFUSED, for_each_git};
use crate::support::args::{args, with_source};
use crate::support::call::only_stderr;
use crate::support::gits::gits;
use crate::support::hook::{self, TEMPLATE};
use crate::support::source;
use crate::support::tree;

#[test]
fn output_of_any_kind_is_relayed() {
    for_each_git(|_, arena| {
        let source = source::small(&arena, "src");
        let line = with_source(&source, args(&format!("clone -l {TEMPLATE} SRC dst")));
        for writes in [
            "head -c 10485760 /dev/zero | tr '\\0' x >&2; echo >&2",
            "head -c 10485761 /dev/zero | tr '\\0' x >&2",
            "for i in $(seq 1 300); do printf '%d%%\\r' $i >&2; done; echo done >&2",
            "printf '\\377\\376\\200\\n\\303' >&2",
            "head -c 300000 /dev/urandom >\"$HOME/noise\" 2>/dev/null; cat \"$HOME/noise\" >&2; rm \"$HOME/noise\"; exit 1",
            "seq 1 100000 >&2",
            "head -c 65536 /dev/zero >&2",
            "exec 2>&-",
        ] {
            // Noise must be the same noise in both runs.
            let writes = writes.replace("/dev/urandom", "/proc/self/exe");
            let twin =
                arena.assert_twins_in(&|place: &Path| hook::post_checkout(place, &writes), &line);
            assert!(
                twin.outcome
                    .stderr_contains("Cloning into 'dst'...\ndone.\n"),
                "{:?}",
                twin.outcome
            );
        }
    });
}

#[test]
fn memory_does_not_grow_with_gits_output() {
    const WRITTEN: usize = 1 << 30;
    let git = &gits()[0];
    let arena = Arena::new(git);
    let source = source::small(&arena, "src");
    let peak = arena.root().join("peak");
    // git's parent is the shim.
    let shim = "$(sed -n 's/^PPid:.//p' /proc/$PPID/status)";
    let writes = format!("head -c {WRITTEN} /dev/zero >&2");
    let measures = format!(
        "sed -n 's/^VmHWM:[^0-9]*//p' /proc/{shim}/status >{}",
        peak.display()
    );
    hook::post_checkout(arena.work_dir(), &format!("{writes}; {measures}"));
    let mut command = arena
        .shim(with_source(
            &source,
            args(&format!("clone -l {TEMPLATE} SRC dst")),
        ))
        .command;
    let stderr = Stdio::piped();
    let mut child = arena.under_fault(|| only_stderr(&mut command, stderr).spawn().unwrap());
    let mut stderr = child.stderr.take().unwrap();
    let (mut count, mut chunk) = (0, vec![0; 1 << 16]);
    while let Ok(read @ 1..) = stderr.read(&mut chunk) {
        count += read;
    }
    assert!(child.wait().unwrap().success());
    assert_eq!(count, WRITTEN + "Cloning into 'dst'...\ndone.\n".len());
    let peak: usize = fs::read_to_string(peak)
        .unwrap()
        .trim_end_matches(" kB\n")
        .parse()
        .unwrap();
    assert!(peak < 8 << 10, "{peak} KiB");
}

#[test]
fn link_failure_after_much_output_is_cured() {
    // The message before, across and behind the 64 KiB that are held, and split between reads wherever it may be.
    for_each_git(|_, arena| {
        let arena = arena.with_links_failing(libc::EPERM);
        let source = source::small(&arena, "src");
        let line = |noise: usize| {
            let option = format!("-c core.noise={}", "x".repeat(noise));
            with_source(&source, args(&format!("clone -l {option} SRC dst")))
        };
        // git's trace repeats the words; how much else it writes tells how long the noise must be.
        let with_git = |noise| {
            arena
                .run(arena.real(line(noise)).env("GIT_TRACE", "1"))
                .outcome
        };
        let short = with_git(1);
        assert!(short.died_of(REFUSED), "{short:?}");
        let before = short
            .stderr
            .windows(REFUSED.len())
            .position(|part| part == REFUSED.as_bytes())
            .unwrap();
        for message_at in [
            16_300, 16_384, 65_400, 65_480, 65_500, 65_530, 65_536, 65_540, 80_000, 120_000,
        ] {
            let call = arena.shim(line(message_at - before)).env("GIT_TRACE", "1");
            let cured = arena.run(call).outcome;
            assert!(cured.status.success(), "{message_at}: {cured:?}");
            assert!(
                tree::object_links(arena.work_dir())
                    .iter()
                    .all(|&links| links == 1)
            );
        }
    });
}

#[test]
fn link_failure_after_the_hold_is_cured() {
    // git is held in the reading of its configuration, from a pipe, until what it has written before is seen to stream.
    for_each_git(|_, arena| {
        let arena = arena.with_links_failing(libc::EPERM);
        let source = source::small(&arena, "src");
        let pipe = arena.root().join("configuration");
        nix::unistd::mkfifo(&pipe, nix::sys::stat::Mode::S_IRWXU).unwrap();
        let line = with_source(&source, args("clone -l SRC dst"));
        let mut command = arena.shim(line).env("GIT_TRACE", "1").command;
        command.env(
            "GIT_CONFIG_PARAMETERS",
            format!("'include.path={}'", pipe.display()),
        );
        let stderr = Stdio::piped();
        let mut child = arena.under_fault(|| only_stderr(&mut command, stderr).spawn().unwrap());
        let ended = AtomicBool::new(false);
        let (streamed, rest) = thread::scope(|scope| {
            // Opening a pipe for writing waits for a reader; closing it again is the end of an empty configuration.
            let first = OpenOptions::new().write(true).open(&pipe).unwrap();
            let mut stderr = child.stderr.take().unwrap();
            let mut chunk = [0; 4096];
            let count = stderr.read(&mut chunk).unwrap();
            drop(first);
            let writer = scope.spawn(|| {
                while !ended.load(Ordering::SeqCst) {
                    drop(OpenOptions::new().write(true).open(&pipe).unwrap());
                }
            });
            let mut rest = Vec::new();
            stderr.read_to_end(&mut rest).unwrap();
            ended.store(true, Ordering::SeqCst);
            // Lets the last opening return, be it yet to come.
            let both_ends = OpenOptions::new().read(true).write(true).open(&pipe);
            writer.join().unwrap();
            drop(both_ends.unwrap());
            (chunk[..count].to_vec(), String::from_utf8(rest).unwrap())
        });
        assert!(
            streamed.windows(6).any(|part| part == b"trace:"),
            "{}",
            streamed.escape_ascii()
        );
        assert!(child.wait().unwrap().success(), "{rest}");
        assert!(
            rest.contains("--no-hardlinks") && rest.ends_with("done.\n"),
            "{rest}"
        );
        assert!(
            tree::object_links(arena.work_dir())
                .iter()
                .all(|&links| links == 1)
        );
    });
}
