//! After a clone through the shim a terminal shows what it would show after the same clone with git.

use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::PermissionsExt;

use regex::Regex;

use nix::libc;

use crate::support::arena::{Arena, REFUSED, for_each_git, retry_while_late};
use crate::support::args::{Args, args, with_no_hardlinks, with_source};
use crate::support::arrangement;
use crate::support::hook::{self, TEMPLATE};
use crate::support::paused_clone::{PausedClone, Stage, Start};
use crate::support::source;
use crate::support::terminal::{self, SESSION, Terminal, TerminalOutcome};
use crate::support::tree;
use crate::support::wait;

/// Has git show progress at once, not after two seconds.
const AT_ONCE: (&str, &str) = ("GIT_PROGRESS_DELAY", "0");

/// How git is run on a terminal.
#[derive(Clone, Copy)]
struct Scene<'a> {
    arena: &'a Arena,
    columns: u16,
    variables: &'a [(&'a str, &'a str)],
    /// Questions, and what is typed when they are seen.
    answers: &'a [(&'a str, &'a str)],
    /// A post-checkout hook: its script and its mode.
    hook: (&'a str, u32),
}

impl<'a> Scene<'a> {
    fn new(arena: &'a Arena) -> Self {
        Self {
            arena,
            columns: 80,
            variables: &[],
            answers: &[],
            hook: ("", 0o755),
        }
    }

    fn run(&self, through_shim: bool, line: &Args) -> TerminalOutcome {
        let work_dir = self.arena.work_dir();
        tree::clear(work_dir);
        hook::post_checkout(work_dir, self.hook.0);
        let mode = fs::Permissions::from_mode(self.hook.1);
        fs::set_permissions(work_dir.join("template/hooks/post-checkout"), mode).unwrap();
        let mut command = self.arena.command("setsid");
        command
            .env("PATH", self.arena.path_of(through_shim))
            .env("TERM", "xterm")
            .envs(self.variables.iter().copied());
        let line = [&args("git"), &line[..]].concat();
        let run = || terminal::run_session(command, &line, self.columns, self.answers);
        self.arena.under_fault(run)
    }

    /// Runs `line` through the shim, of which a fallback is expected (see [`retry_while_late`]).
    fn retried_while_late(&self, line: &Args) -> TerminalOutcome {
        let is_late = |seen: &TerminalOutcome| {
            let contents = seen.screen().contents();
            contents.matches("Cloning into").count() > 1
        };
        retry_while_late(|| self.run(true, line), is_late)
    }

    /// Runs `line` through the shim and with the real git. Asserts that both succeed.
    #[track_caller]
    fn twins(&self, line: &Args) -> [TerminalOutcome; 2] {
        let twins = [true, false].map(|through_shim| self.run(through_shim, line));
        assert!(twins.iter().all(|seen| seen.status.success()), "{twins:?}");
        twins
    }

    /// Asserts that both leave the same screen; returns the run with the real git.
    #[track_caller]
    fn assert_same_screen(&self, line: &Args) -> TerminalOutcome {
        let [shim, plain] = self.twins(line);
        let screens = [&shim, &plain].map(|seen| seen.screen().contents_formatted());
        assert_eq!(screens[0], screens[1], "{line:?}");
        plain
    }
}

/// The lines of a screen, sorted and without throughputs. The order of lines from several processes or two streams, and the
/// throughput, differ from run to run.
fn lines(seen: &TerminalOutcome) -> Vec<String> {
    let throughput = Regex::new(r", [0-9.]+ [A-Za-z]+ \| [0-9.]+ [A-Za-z]+/s").unwrap();
    let contents = seen.screen().contents();
    let mut lines: Vec<_> = contents
        .lines()
        .map(|line| throughput.replace(line, "").into_owned())
        .collect();
    lines.sort();
    lines
}

#[test]
fn progress_of_checkout_is_gits() {
    for_each_git(|_, arena| {
        let source = source::with_loose_objects(&arena, "many", 150);
        let trace = arena.root().join("trace");
        let trace = trace.to_str().unwrap();
        for (options, columns, added) in [
            ("-l", 80, true),
            ("-l", 40, true),
            // git breaks its lines at this width.
            ("-l", 25, true),
            ("-l -v", 80, true),
            ("-l -q", 80, false),
            ("-l --progress", 80, false),
            ("-l --no-progress", 80, false),
        ] {
            let scene = Scene {
                columns,
                variables: &[AT_ONCE, ("GIT_TRACE", trace)],
                ..Scene::new(&arena)
            };
            let line = with_source(&source, args(&format!("clone {options} SRC dst")));
            let plain = scene.assert_same_screen(&line);
            let progress = plain.shows("\r") && plain.shows("% (") && plain.shows(", done.");
            assert_eq!(progress, options != "-l -q", "{plain:?}");
            let traced = fs::read_to_string(trace).unwrap();
            let has_progress = traced.contains("git clone --progress -l");
            assert_eq!(has_progress, added, "{options}: {traced}");
            fs::remove_file(trace).unwrap();
        }
    });
}

#[test]
fn fallback_leaves_the_screen_of_a_copying_clone() {
    for_each_git(|_, arena| {
        let arena = arena.with_links_failing(libc::EPERM);
        let source = source::with_loose_objects(&arena, "many", 150);
        let scene = Scene {
            variables: &[AT_ONCE],
            // git warns, in colour, of a hook that is not executable.
            hook: ("", 0o644),
            ..Scene::new(&arena)
        };
        let line = with_source(&source, args(&format!("clone -l {TEMPLATE} SRC dst")));
        let failed = scene.run(false, &line);
        assert_eq!(failed.status.code(), Some(128));
        assert!(failed.shows(REFUSED), "{failed:?}");
        let expected = scene.run(false, &with_no_hardlinks(&line));
        let cured = scene.retried_while_late(&line);
        assert!(cured.status.success() && expected.shows(", done."));
        let screens = [cured, expected].map(|seen| seen.screen().contents_formatted());
        assert_eq!(screens[0], screens[1]);
    });
}

#[test]
fn late_link_failure_shows_first_line_twice() {
    // The attempt waits until its first line has appeared on the terminal; then the line appears twice.
    for_each_git(|_, arena| {
        let arena = arena.with_links_failing(libc::EPERM);
        let start = Start {
            stage: Stage::Transport,
            shell: &SESSION,
            ..Start::default()
        };
        let terminal = Terminal::open();
        let paused = PausedClone::start_in(arena, true, start, |command| terminal.connect(command));
        let terminal = terminal.watch();
        wait::until("its first line", || terminal.shows(b"Cloning into"));
        // One line for the attempt, one for the fallback.
        paused.release_to(":\n:");
        let (status, _) = paused.end();
        assert!(status.success(), "{status:?}");
        let screen = String::from_utf8(terminal.screen()).unwrap();
        let twice = "Cloning into 'dst'...\r\nCloning into 'dst'...\r\ndone.\r\n";
        assert_eq!(screen, twice);
    });
}

#[test]
fn lines_of_submodules_are_gits() {
    for_each_git(|_, arena| {
        let source = source::with_submodule(&arena, "src");
        let scene = Scene {
            variables: &[AT_ONCE],
            ..Scene::new(&arena)
        };
        for (options, progress) in [("", true), ("--no-progress", false), ("-q", false)] {
            let line = "-c protocol.file.allow=always clone -l --recurse-submodules";
            let line = with_source(&source, args(&format!("{line} {options} SRC dst")));
            let [shim, plain] = scene.twins(&line);
            assert_eq!(
                plain.shows("Receiving objects: 100%"),
                progress,
                "{plain:?}"
            );
            assert_eq!(plain.shows("Submodule path 'inner'"), options != "-q");
            assert_eq!(lines(&shim), lines(&plain));
        }
    });
}

#[test]
fn progress_of_git_lfs_is_gits() {
    let Some(git_lfs) = arrangement::program("git-lfs") else {
        return;
    };
    for_each_git(|_, arena| {
        let source = source::with_large_file(&arena, "src", &git_lfs, &"x".repeat(100_000));
        let scene = Scene {
            variables: &[AT_ONCE],
            ..Scene::new(&arena)
        };
        let line = with_source(&source, args("clone -l SRC dst"));
        let [shim, plain] = scene.twins(&line);
        assert!(plain.shows("Filtering content: 100% (1/1)"), "{plain:?}");
        assert_eq!(lines(&shim), lines(&plain));
    });
}

#[test]
fn filter_draws_its_own_progress() {
    let drawn = "printf 'one third\\r' >&2; printf 'two thirds\\r' >&2; echo all of it >&2; cat";
    for_each_git(|_, arena| {
        let source = source::with_filter(&arena, "src", "slow");
        let mut line = args("clone -l -c");
        line.push(format!("filter.slow.smudge={drawn}").into());
        line.extend([source.into(), "dst".into()]);
        let plain = Scene::new(&arena).assert_same_screen(&line);
        assert!(plain.shows("two thirds\rall of it"), "{plain:?}");
    });
}

#[test]
fn hints_have_no_colour_in_an_attempt() {
    // git and its children use colours where stderr is a terminal. In a supervised clone it is a pipe.
    for_each_git(|_, arena| {
        let source = source::small(&arena, "src");
        let scene = Scene {
            hook: ("", 0o644),
            ..Scene::new(&arena)
        };
        let line = with_source(&source, args(&format!("clone -l {TEMPLATE} SRC dst")));
        let [shim, plain] = scene.twins(&line);
        assert!(plain.shows("\x1b[33mhint: "), "{plain:?}");
        assert!(shim.shows("\nhint: "), "{shim:?}");
        assert_eq!(shim.screen().contents(), plain.screen().contents());
    });
}

#[test]
fn pager_works_in_pass_through() {
    let variables = [("GIT_PAGER", "sed s/^/paged:/")];
    for_each_git(|_, arena| {
        let source = source::small(&arena, "src");
        let scene = Scene {
            variables: &variables,
            ..Scene::new(&arena)
        };
        let log = [&["-C".into(), source.into()], &args("log --color")[..]].concat();
        let plain = scene.assert_same_screen(&log);
        assert!(plain.shows("\npaged:Author: "), "{plain:?}");
    });
}

#[test]
fn pager_gets_stderr_of_the_fallback_only() {
    // git sends its stderr to the pager only if it is a terminal: that of the attempt is a pipe.
    let variables = [("GIT_PAGER", "sed s/^/paged:/")];
    for_each_git(|git, _| {
        for refused in [false, true] {
            let arena = Arena::new(git);
            let arena = match refused {
                true => arena.with_links_failing(libc::EPERM),
                false => arena,
            };
            let source = source::small(&arena, "src");
            // Without the pager: a git that dies would wait for it, it for upload-pack, and that for git.
            let unpaged = with_source(&source, args("clone -l SRC dst"));
            let died = arena.run(arena.real(unpaged)).outcome.died_of(REFUSED);
            assert_eq!(died, refused);
            let scene = Scene {
                variables: &variables,
                ..Scene::new(&arena)
            };
            let line = with_source(&source, args("-p clone -l SRC dst"));
            let paged = scene
                .run(false, &with_no_hardlinks(&line))
                .screen()
                .contents();
            assert!(paged.contains("paged:Cloning into"), "{paged}");
            let expected = match refused {
                true => paged,
                false => paged.replace("paged:", ""),
            };
            assert_eq!(
                scene.retried_while_late(&line).screen().contents(),
                expected
            );
        }
    });
}

#[test]
fn progress_is_drawn_in_the_background_too() {
    // git draws progress only in the foreground. On a pipe it cannot tell, and draws it. The final screen is the same.
    for_each_git(|_, arena| {
        let source = source::with_loose_objects(&arena, "many", 150);
        let line = with_source(&source, args("git clone -l SRC dst"));
        let [shim, plain] = [true, false].map(|through_shim| {
            let mut setsid = arena.command("setsid");
            let script = ["bash", "-c", "set -m; \"$@\" & wait $!", "bash"].map(OsString::from);
            setsid
                .envs([AT_ONCE])
                .env("PATH", arena.path_of(through_shim));
            tree::clear(arena.work_dir());
            terminal::run_session(setsid, &[&script, &line[..]].concat(), 80, &[])
        });
        assert!(shim.shows(" 50% (") && !plain.shows(" 50% ("), "{plain:?}");
        assert!(plain.shows(", done."), "{plain:?}");
        assert_eq!(shim.screen().contents(), plain.screen().contents());
    });
}

/// git's questions, and what is typed.
const ANSWERS: [(&str, &str); 2] = [
    ("Username for 'https://example.com': ", "me\n"),
    ("Password for 'https://me@example.com': ", "secret\n"),
];

#[test]
fn prompt_works_in_pass_through() {
    for_each_git(|_, arena| {
        let asked = arena.root().join("asked");
        fs::write(&asked, "protocol=https\nhost=example.com\n").unwrap();
        let line = |through_shim| {
            let mut setsid = arena.command("setsid");
            let script = format!("exec git credential fill <{}", asked.display());
            setsid
                .env("GIT_TERMINAL_PROMPT", "1")
                .env("PATH", arena.path_of(through_shim));
            let line = ["sh", "-c", &script].map(OsString::from);
            terminal::run_session(setsid, &line, 80, &ANSWERS)
        };
        let plain = line(false);
        assert!(plain.shows("password=secret"), "{plain:?}");
        assert_eq!(line(true), plain);
    });
}

#[test]
fn prompt_in_supervised_clone_comes_after_earlier_output() {
    // The shim forwards what the hook writes, and git asks on the terminal itself: that must come second.
    let script = "echo asking; read -r line </dev/tty; printf 'protocol=https\\nhost=example.com\\n' | git credential fill";
    let answers = [&[("asking\r\n", "ask\n")], &ANSWERS[..]].concat();
    for_each_git(|_, arena| {
        let source = source::small(&arena, "src");
        let scene = Scene {
            variables: &[("GIT_TERMINAL_PROMPT", "1")],
            answers: &answers,
            hook: (script, 0o755),
            ..Scene::new(&arena)
        };
        let line = with_source(&source, args(&format!("clone -l {TEMPLATE} SRC dst")));
        let [shim, plain] = scene.twins(&line);
        assert!(plain.shows("password=secret"), "{plain:?}");
        assert_eq!(lines(&shim), lines(&plain));
    });
}
