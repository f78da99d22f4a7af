//! After a clone through the shim a terminal shows what it would show after the same clone with git.

use nix::libc;
use regex::Regex;

use crate::support::arena::{Arena, REFUSED, for_each_git, retry_while_late};
use crate::support::arrangement;
use crate::support::paused_clone::{PausedClone, START, Stage, Start};
use crate::support::source;
use crate::support::terminal::{self, SESSION, Terminal, TerminalOutcome};
use crate::support::tree;
use crate::support::wait;

/// What is typed when a text is seen.
type Answers<'a> = &'a [(&'a str, &'a str)];

/// git's questions and the answers.
const ANSWERS: [(&str, &str); 3] = [
    ("asking\r\n", "ask\n"),
    ("Username for 'https://example.com': ", "me\n"),
    ("Password for 'https://me@example.com': ", "secret\n"),
];

/// What leads a session: it stays until the test has read the screen, because the kernel discards what has not been read yet when
/// a leader exits (`disassociate_ctty`, `tty_ldisc_hangup`).
const LEADER: &str = "bash -c \"$SCRIPT\"; status=$?; printf '\\0'; read -r; exit \"$status\"";

/// Runs a script (see [`Arena::script`]) as the leader of a terminal's session. git shows progress at once.
fn see(arena: &Arena, through_shim: bool, columns: u16, script: &str, answers: Answers<'_>) -> TerminalOutcome {
    tree::clear(arena.work_dir());
    let call = arena.script(through_shim, "exec setsid --ctty bash -c \"$LEADER\"").env("LEADER", LEADER);
    let call = call.env("SCRIPT", script).env("TERM", "xterm").env("GIT_PROGRESS_DELAY", "0");
    let answers = [answers, &[("\0", "\n")]].concat();
    let mut outcome = arena.under_fault(|| terminal::run(call.command, columns, &answers));
    let end = outcome.bytes.iter().position(|&byte| byte == 0);
    outcome.bytes.truncate(end.unwrap());
    outcome
}

/// What must be equal of two screens.
#[derive(Clone, Copy)]
enum Equal {
    /// Text and colours.
    All,
    /// The text.
    Text,
    /// The lines in any order, without throughputs: several processes or two streams write them.
    Lines,
}

impl Equal {
    fn of(self, seen: &TerminalOutcome) -> String {
        let screen = seen.screen();
        match self {
            Self::All => screen.contents_formatted(),
            Self::Text => screen.contents(),
            Self::Lines => {
                let throughput = Regex::new(r", [0-9.]+ [A-Za-z]+ \| [0-9.]+ [A-Za-z]+/s").unwrap();
                let contents = screen.contents();
                let text = throughput.replace_all(&contents, "");
                let mut lines: Vec<_> = text.lines().collect();
                lines.sort_unstable();
                lines.join("\n")
            }
        }
    }
}

/// Runs a script through the shim and with the real git, which must show `shows`; asserts that the screens are equal.
#[track_caller]
fn assert_same(
    arena: &Arena,
    columns: u16,
    script: &str,
    answers: Answers<'_>,
    equal: Equal,
    shows: &str,
) -> [TerminalOutcome; 2] {
    let [shim, plain] = [true, false].map(|through_shim| see(arena, through_shim, columns, script, answers));
    assert!(plain.status.success() && plain.shows(shows), "{script}: {plain:?}");
    assert_eq!((shim.status, equal.of(&shim)), (plain.status, equal.of(&plain)), "{script}: {shim:?}");
    [shim, plain]
}

#[test]
fn progress_is_gits() {
    let rows = [
        ("git clone $COPY -l $SRC-many dst", 80, "\r"),
        ("git clone $COPY -l $SRC-many dst", 40, "\r"),
        // git breaks its lines at this width.
        ("git clone $COPY -l $SRC-many dst", 25, "\r"),
        ("git clone $COPY -l -v $SRC-many dst", 80, "\r"),
        ("git clone $COPY -l -q $SRC-many dst; ls -d dst", 80, "dst\r\n"),
        ("git clone $COPY -l --progress $SRC-many dst", 80, "\r"),
        ("git clone $COPY -l --no-progress $SRC-many dst", 80, "\r"),
    ];
    for_each_git(|git, _| {
        for arena in Arena::linking_and_refusing(git) {
            source::with_loose_objects(&arena, "src-many", 60);
            for (script, columns, shows) in rows {
                assert_same(&arena, columns, script, &[], Equal::All, shows);
            }
        }
    });
}

#[test]
fn screen_is_gits() {
    let many = "filter.slow.smudge=printf \"one third\\r\" >&2; printf \"two thirds\\r\" >&2; echo all of it >&2; cat";
    let filter = format!("git clone -l -c '{many}' $SRC-filter dst");
    let submodules = "git -c protocol.file.allow=always clone -l --recurse-submodules";
    let asks = "printf 'protocol=https\\nhost=example.com\\n' | GIT_TERMINAL_PROMPT=1 git credential fill";
    let rows: &[(&str, Answers<'_>, Equal, &str)] = &[
        (&filter, &[], Equal::All, "two thirds\rall of it"),
        (&format!("{submodules} $SRC-sub dst"), &[], Equal::Lines, "Receiving objects: 100%"),
        (&format!("{submodules} --no-progress $SRC-sub dst"), &[], Equal::Lines, "Submodule path 'inner'"),
        (&format!("{submodules} -q $SRC-sub dst; ls dst"), &[], Equal::Lines, "inner"),
        ("GIT_PAGER='sed s/^/paged:/' git -C $SRC log --color", &[], Equal::All, "\npaged:Author: "),
        (asks, &ANSWERS[1..], Equal::All, "password=secret"),
        // The shim forwards what the hook writes, and git asks on the terminal itself: that must come second.
        (
            &format!("hook \"echo asking; read -r line </dev/tty; {asks}\"; git clone -l --template=template $SRC dst"),
            &ANSWERS,
            Equal::Lines,
            "password=secret",
        ),
        (
            "set -m; stty tostop; git clone -l $SRC dst & wait $!; echo \"stopped $?\"; fg; echo \"ended $?\"",
            &[],
            Equal::All,
            "stopped 150\r\n",
        ),
    ];
    for_each_git(|_, arena| {
        source::small(&arena, "src");
        source::with_submodule(&arena, "src-sub");
        source::with_filter(&arena, "src-filter", "slow");
        for (script, answers, equal, shows) in rows {
            assert_same(&arena, 80, script, answers, *equal, shows);
        }
        if let Some(git_lfs) = arrangement::program("git-lfs") {
            source::with_large_file(&arena, "src-lfs", &git_lfs, &"x".repeat(100_000));
            let shows = "Filtering content: 100% (1/1)";
            assert_same(&arena, 80, "git clone -l $SRC-lfs dst", &[], Equal::Lines, shows);
        }
    });
}

#[test]
fn pipe_in_an_attempt_is_seen() {
    // git and its children use colours, and draw progress in the foreground only, where stderr is a terminal. In an attempt it
    // is a pipe. The final text is the same.
    for_each_git(|git, arena| {
        source::with_loose_objects(&arena, "src-many", 60);
        let hint = "hook :; chmod -x template/hooks/*; git clone $COPY -l --template=template $SRC dst";
        for (arena, in_attempt) in Arena::linking_and_refusing(git).iter().zip([true, false]) {
            let [shim, _] = assert_same(arena, 80, hint, &[], Equal::Text, "\x1b[33mhint: ");
            assert_eq!(shim.shows("\nhint: "), in_attempt, "{shim:?}");
        }
        let background = "set -m; git clone -l $SRC-many dst & wait $!";
        let [shim, plain] = assert_same(&arena, 80, background, &[], Equal::Text, ", done.");
        assert!(shim.shows(" 50% (") && !plain.shows(" 50% ("), "{plain:?}");
    });
}

#[test]
fn pager_gets_stderr_of_the_fallback_only() {
    // git sends its stderr to the pager only if it is a terminal: that of the attempt is a pipe. A git that dies would wait
    // for the pager, it for upload-pack, and that for git.
    let script = "GIT_PAGER='sed s/^/paged:/' git -p clone $COPY -l $SRC dst";
    for_each_git(|git, _| {
        let [linking, refusing] = Arena::linking_and_refusing(git);
        let text = |arena, through_shim| Equal::Text.of(&see(arena, through_shim, 80, script, &[]));
        let paged = text(&refusing, false);
        assert!(paged.starts_with("paged:Cloning into"), "{paged}");
        let run = || text(&refusing, true);
        assert_eq!(retry_while_late(run, |seen| seen.len() > paged.len()), paged);
        assert_eq!(text(&linking, true), text(&linking, false).replace("paged:", ""));
    });
}

#[test]
fn late_link_failure_is_seen() {
    // The attempt waits until its first line has appeared on the terminal: nothing is held any more. git's message appears too,
    // unless git has ended before it is read: then once more.
    for_each_git(|git, _| {
        let run = || {
            let start = Start { stage: Stage::Transport, shell: &SESSION, ..START };
            let terminal = Terminal::open(80);
            let arena = Arena::new(git).with_links_failing(libc::EPERM);
            let paused = PausedClone::start_in(arena, true, start, |command| terminal.connect(command));
            let terminal = terminal.watch();
            wait::until("its first line", || terminal.shows(b"Cloning into"));
            // One line for the attempt, one for the fallback.
            paused.release_to(":\n:");
            assert!(paused.end().0.success());
            let screen = String::from_utf8(terminal.screen()).unwrap();
            screen.lines().map(|line| line.split('\'').next().unwrap().to_owned()).collect::<Vec<_>>()
        };
        let seen = (0..6).map(|_| run()).find(|lines| lines.len() > 3);
        assert_eq!(seen.unwrap(), ["Cloning into ", REFUSED.trim_end_matches('\''), "Cloning into ", "done."]);
    });
}
