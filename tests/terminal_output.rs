//! What is left to be seen on a terminal after a clone is what git would have left there.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use regex::Regex;

use crate::support::arena::{Arena, REFUSED, for_each_git, retry_while_late};
use crate::support::args::{Args, args, with_no_hardlinks, with_source};
use crate::support::arrangement;
use crate::support::hook::{self, TEMPLATE};
use crate::support::paused_clone::{PausedClone, Stage, Start};
use crate::support::source;
use crate::support::terminal::{self, SESSION, Terminal, TerminalOutcome};
use crate::support::tree;
use crate::support::wait;

/// Progress that is shown at once, and not after two seconds.
const AT_ONCE: (&str, &str) = ("GIT_PROGRESS_DELAY", "0");

/// How a line of git is run on a terminal.
#[derive(Clone, Copy)]
struct Scene<'a> {
    arena: &'a Arena,
    columns: u16,
    variables: &'a [(&'a str, &'a str)],
    /// What is typed when a question is seen.
    answers: &'a [(&'a str, &'a str)],
    /// A hook of the clone: its text and its mode.
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
        let place = self.arena.work_dir();
        tree::clear(place);
        hook::post_checkout(place, self.hook.0);
        let mode = fs::Permissions::from_mode(self.hook.1);
        fs::set_permissions(place.join("template/hooks/post-checkout"), mode).unwrap();
        let mut command = self.arena.command("setsid");
        command
            .args(["--ctty", "git"])
            .args(line)
            .env("PATH", self.arena.path_of(through_shim))
            .env("TERM", "xterm")
            .envs(self.variables.iter().copied());
        terminal::run(command, self.columns, self.answers)
    }

    /// What `line` leaves on the terminal through the shim, which runs it twice (see [`retry_while_late`]).
    fn retried_while_late(&self, line: &Args) -> TerminalOutcome {
        let is_late = |seen: &TerminalOutcome| {
            let contents = seen.screen().contents();
            contents.matches("Cloning into").count() > 1
        };
        retry_while_late(|| self.run(true, line), is_late)
    }

    /// What `line` leaves on the terminal through the shim, and with the real git. Both succeed.
    #[track_caller]
    fn twins(&self, line: &Args) -> [TerminalOutcome; 2] {
        let twins = [true, false].map(|through_shim| self.run(through_shim, line));
        assert!(twins.iter().all(|seen| seen.status.success()), "{twins:?}");
        twins
    }

    /// Asserts that both leave the same screen.
    #[track_caller]
    fn assert_same_screen(&self, line: &Args) -> TerminalOutcome {
        let [shim, plain] = self.twins(line);
        let screens = [&shim, &plain].map(|seen| seen.screen().contents_formatted());
        assert_eq!(screens[0], screens[1], "{line:?}");
        plain
    }
}

/// The lines of a screen in order, without throughputs. What is said by several processes, or on two streams, comes in the
/// order in which they happen to be run, and how fast data came depends on the moment.
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
fn progress_of_a_checkout() {
    for_each_git(|_, arena| {
        let source = source::with_loose_objects(&arena, "many", 150);
        let trace = arena.root().join("trace");
        let trace = trace.to_str().unwrap();
        for (options, columns, added) in [
            ("-l", 80, true),
            ("-l", 40, true),
            // So narrow that git breaks the line.
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
            let watched = traced.contains("git clone --progress -l");
            assert_eq!(watched, added, "{options}: {traced}");
            fs::remove_file(trace).unwrap();
        }
    });
}

#[test]
fn a_second_run() {
    for_each_git(|_, arena| {
        let Some(arena) = arena.across_mounts() else {
            return;
        };
        let source = source::with_loose_objects(&arena, "many", 150);
        let scene = Scene {
            variables: &[AT_ONCE],
            // git complains in colours of a hook that is not executable.
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
fn a_failure_that_comes_late() {
    // git is held in its first run until its first words have been seen: then they are seen twice.
    for_each_git(|_, arena| {
        let Some(arena) = arena.across_mounts() else {
            return;
        };
        let start = Start {
            stage: Stage::Transport,
            shell: &SESSION,
            ..Start::default()
        };
        let terminal = Terminal::open();
        let paused = PausedClone::start_in(arena, true, start, |command| terminal.connect(command));
        let terminal = terminal.watch();
        wait::until("its first words", || terminal.shows(b"Cloning into"));
        // Once for each run.
        paused.release_to(":\n:");
        let (status, _) = paused.end();
        assert!(status.success(), "{status:?}");
        let screen = String::from_utf8(terminal.screen()).unwrap();
        let twice = "Cloning into 'dst'...\r\nCloning into 'dst'...\r\ndone.\r\n";
        assert_eq!(screen, twice);
    });
}

#[test]
fn submodules() {
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
fn large_files() {
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
fn a_filter_that_shows_its_own_progress() {
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
fn hints_have_no_colour_in_the_first_run() {
    // What git and its children colour where standard error is a terminal they do not colour on a pipe.
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
fn a_pager() {
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
fn a_pager_for_a_clone_sees_the_second_run_only() {
    // git hands its standard error to the pager if it is a terminal.
    let variables = [("GIT_PAGER", "sed s/^/paged:/")];
    for_each_git(|git, _| {
        for arena in [Some(Arena::new(git)), Arena::new(git).across_mounts()] {
            let Some(arena) = arena else { return };
            let source = source::small(&arena, "src");
            // Not with the pager: git would wait for it for ever, and it for upload-pack, which waits for git.
            let unpaged = with_source(&source, args("clone -l SRC dst"));
            let refused = arena.run(arena.real(unpaged)).outcome.died_of(REFUSED);
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
fn progress_in_the_background() {
    // git draws progress only in the foreground, and on a pipe it cannot tell. What is left is the same.
    for_each_git(|_, arena| {
        let source = source::with_loose_objects(&arena, "many", 150);
        let line = with_source(&source, args("git clone -l SRC dst"));
        let [shim, plain] = [true, false].map(|through_shim| {
            let mut shell = arena.command("setsid");
            let script = "set -m; \"$@\" & wait $!";
            shell
                .args(["--ctty", "bash", "-c", script, "bash"])
                .args(&line);
            shell
                .envs([AT_ONCE])
                .env("PATH", arena.path_of(through_shim));
            tree::clear(arena.work_dir());
            terminal::run(shell, 80, &[])
        });
        assert!(shim.shows(" 50% (") && !plain.shows(" 50% ("), "{plain:?}");
        assert!(plain.shows(", done."), "{plain:?}");
        assert_eq!(shim.screen().contents(), plain.screen().contents());
    });
}

/// What git asks for on the terminal, and what is typed.
const ANSWERS: [(&str, &str); 2] = [
    ("Username for 'https://example.com': ", "me\n"),
    ("Password for 'https://me@example.com': ", "secret\n"),
];

#[test]
fn a_prompt() {
    for_each_git(|_, arena| {
        let asked = arena.root().join("asked");
        fs::write(&asked, "protocol=https\nhost=example.com\n").unwrap();
        let line = |through_shim| {
            let mut shell = arena.command("setsid");
            let script = format!("exec git credential fill <{}", asked.display());
            shell
                .args(["--ctty", "sh", "-c", &script])
                .env("GIT_TERMINAL_PROMPT", "1");
            shell.env("PATH", arena.path_of(through_shim));
            terminal::run(shell, 80, &ANSWERS)
        };
        let plain = line(false);
        assert!(plain.shows("password=secret"), "{plain:?}");
        assert_eq!(line(true), plain);
    });
}

#[test]
fn a_prompt_in_a_supervised_clone() {
    // The hook writes by way of the shim, and git asks on the terminal itself: not before all has been seen that comes first.
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
