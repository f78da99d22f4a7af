//! git and its children inherit through the shim what they inherit without it: args, environment, directory, umask, signals,
//! descriptors, limits, priority, session and terminal.
//!
//! A witness reports what it inherited. It is cp(1), which copies its own files in /proc (proc(5)). A script would not do: sh,
//! perl and python change signals and descriptors before the script's first line.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use nix::libc::{SIGCHLD, SIGHUP, SIGINT, SIGPIPE, SIGRTMAX, SIGRTMIN, SIGTERM, SIGUSR1, SIGUSR2, SYS_rt_sigprocmask};

use crate::support::arena::{Arena, for_each_git};
use crate::support::args::{Args, args};
use crate::support::gits::gits;
use crate::support::hook;
use crate::support::terminal::Terminal;
use crate::support::tree;

/// The one variable that the shim adds to the environment.
const MARKER: &str = "_GIT_CLONE_SHIM_SEEN=";

/// glibc's own signal for setuid(2) in threads, which it hides.
const HIDDEN: i32 = 33;

/// A shell script that makes everything that a program inherits unusual, and execs that program.
const UNUSUAL: &str = "umask 027; ulimit -n 77; ulimit -c 0; exec 7<. 9>>../log; exec setsid --ctty nice -n 5 \
                       env --block-signal=USR1,RTMIN --ignore-signal=PIPE,HUP,USR2 \
                       perl -e 'my $set = pack(q(Q), 1 << 32); syscall(0 + shift, 0, $set, 0, 8); exec @ARGV' $SIGPROCMASK \"$@\"";

/// File names that are not UTF-8, or have a line break. git runs in a directory with the last one.
const ODD: [&[u8]; 3] = [b"\xff\xfe", b"two\nlines", b"caf\xe9"];

/// The files of /proc/PID that a witness copies.
const FILES: [&str; 8] = ["cmdline", "environ", "cwd", "fd", "fdinfo", "limits", "stat", "status"];

/// The lines of /proc/PID/status that are compared.
const STATUS: &str =
    "Uid Gid Groups Umask SigPnd ShdPnd SigBlk SigIgn SigCgt CapInh CapPrm CapEff CapBnd CapAmb NoNewPrivs";

/// Fields of /proc/PID/stat, numbered as in proc(5).
const STAT: &str = "4 parent|5 process group|6 session|7 terminal|8 foreground group|18 priority|19 nice|41 policy";

/// What a process has inherited: facts by name.
type Facts = BTreeMap<String, String>;

/// The args with which a witness reports on `process`, a pid or `self`.
fn report_args(process: &str, report: &Path) -> Args {
    // The directories of /proc are not writable; copies of them could not be removed without root.
    let mut line = args("-r -P --no-preserve=mode");
    line.extend(FILES.map(|file| format!("/proc/{process}/{file}").into()));
    line.push(report.into());
    line
}

/// Strings that end with a zero byte.
fn strings(bytes: &[u8]) -> Vec<String> {
    let strings = bytes.split_inclusive(|&byte| byte == 0);
    strings.map(|string| string.escape_ascii().to_string()).collect()
}

/// Where a symbolic link leads, without the numbers of terminals and pipes.
fn target(link: &Path) -> String {
    let target = fs::read_link(link).unwrap();
    let target = target.as_os_str().as_bytes().escape_ascii().to_string();
    match target.split([':', '0', '1', '2', '3', '4', '5', '6', '7', '8', '9']).next() {
        Some("/dev/pts/") => "a terminal".into(),
        Some("pipe") => "a pipe".into(),
        _ => target,
    }
}

/// Reads a report of a program that this process started as `program`.
fn read(report: &Path, program: u32) -> Facts {
    let text = |file: &str| fs::read_to_string(report.join(file)).unwrap();
    let mut facts = Facts::new();
    let mut note = |name: &str, fact: String| drop(facts.insert(name.trim().into(), fact));
    note("args", strings(&fs::read(report.join("cmdline")).unwrap()).join("\n"));
    for variable in strings(&fs::read(report.join("environ")).unwrap()) {
        note(&format!("${variable}"), String::new());
    }
    note("directory", target(&report.join("cwd")));
    for entry in fs::read_dir(report.join("fd")).unwrap() {
        let number = entry.unwrap().file_name().into_string().unwrap();
        let flags = text(&format!("fdinfo/{number}"));
        let flags = flags.lines().find(|line| line.starts_with("flags:")).unwrap();
        note(&format!("descriptor {number}"), format!("{}, {flags}", target(&report.join("fd").join(&number))));
    }
    for line in text("limits").lines().skip(1) {
        // Columns of fixed widths: the names contain spaces.
        let (name, limit) = line.split_at(26);
        note(name, limit.trim().into());
    }
    // After the name, which can contain anything, comes field 3.
    let stat = text("stat");
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
    let [ours, programs] = [std::process::id(), program].map(|pid| pid.to_string());
    for (number, name) in STAT.split('|').filter_map(|field| field.split_once(' ')) {
        let fact = match fields[number.parse::<usize>().unwrap() - 3] {
            pid if pid == ours => "the test",
            pid if pid == programs => "the program",
            number if number.len() > 2 => "another",
            number => number,
        };
        note(name, fact.into());
    }
    for (name, fact) in text("status").lines().filter_map(|line| line.split_once(':')) {
        if STATUS.split(' ').any(|compared| compared == name) {
            note(name, fact.trim().into());
        }
    }
    facts
}

/// Whether these signals are all in the set of this name.
fn has(facts: &Facts, set: &str, signals: &[i32]) -> bool {
    let set = u64::from_str_radix(&facts[set], 16).unwrap();
    signals.iter().all(|signal| set & (1 << (signal - 1)) != 0)
}

/// Runs git, or a witness called git, with unusual things to inherit.
struct WitnessRun {
    arena: Arena,
    /// The directory of that git.
    git: PathBuf,
}

impl WitnessRun {
    fn new(arena: Arena, git_is_witness: bool) -> Self {
        let witness = arena.root().join("witness");
        fs::create_dir(&witness).unwrap();
        for name in ["git", "git-witness"] {
            symlink("/bin/cp", witness.join(name)).unwrap();
        }
        let git = if git_is_witness { witness } else { arena.real_directory() };
        Self { arena, git }
    }

    /// Has the shell script `setup` start git or the shim on a terminal; returns the reports with these names.
    #[track_caller]
    fn facts<const N: usize>(&self, through_shim: bool, setup: &str, line: &Args, names: [&str; N]) -> [Facts; N] {
        tree::clear(self.arena.work_dir());
        let odd = self.arena.work_dir().join(OsStr::from_bytes(ODD[2]));
        fs::create_dir(&odd).unwrap();
        let reports = names.map(|name| self.arena.root().join(name));
        for report in &reports {
            fs::create_dir(report).unwrap();
        }
        let directories = [self.arena.shim_directory(), self.git.clone(), self.arena.root().join("witness")];
        let program = directories[usize::from(!through_shim)].join("git");
        let terminal = Terminal::open(80);
        let mut command = self.arena.command("bash");
        command.args(["-c", setup, "bash"]).arg(program).args(line).current_dir(odd);
        command.env("PATH", Arena::path(&directories)).env("EMPTY", "");
        command.env("SIGPROCMASK", SYS_rt_sigprocmask.to_string());
        command.env(OsStr::from_bytes(b"na\xefve"), OsStr::from_bytes(b"\xff\n="));
        terminal.connect(&mut command);
        let mut child = self.arena.under_fault(|| command.spawn().unwrap());
        drop(command);
        let screen = terminal.watch().screen();
        child.wait().unwrap();
        reports.map(|report| {
            assert!(report.join("status").exists(), "{}", screen.escape_ascii());
            let facts = read(&report, child.id());
            fs::remove_dir_all(report).unwrap();
            facts
        })
    }

    /// The args of a clone whose hook has one witness report on itself, as `child`, and one on the clone's `git`.
    fn clone(&self, options: &str) -> Args {
        let root = self.arena.root();
        let reports = [("self", "child"), ("$PPID", "git")].map(|(process, name)| {
            let line = report_args(process, &root.join(name));
            format!("git witness {}", line.join(OsStr::new(" ")).display())
        });
        hook::post_checkout(root, &reports.join("\n"));
        let root = root.display();
        args(&format!("clone {options} --template={root}/template {root}/src dst"))
    }
}

/// Asserts that everything unusual was inherited.
#[track_caller]
fn assert_unusual(facts: &Facts) {
    for variable in ["$EMPTY=\\x00", "$na\\xefve=\\xff\\n=\\x00"] {
        assert!(facts.contains_key(variable), "{facts:?}");
    }
    let ours = Command::new("nice").output().unwrap().stdout;
    let ours: i32 = str::from_utf8(&ours).unwrap().trim().parse().unwrap();
    assert_eq!(facts["nice"], (ours + 5).min(19).to_string());
    assert!(has(facts, "SigBlk", &[SIGUSR1, SIGRTMIN()]) && has(facts, "SigIgn", &[SIGUSR2]), "{facts:?}");
    let unusual = "directory:/caf\\xe9|Umask:0027|descriptor 7:/caf\\xe9, |descriptor 9:/log, |Max open files:77  |\
                   process group:the program|session:the program|foreground group:the program|terminal:another";
    for (name, part) in unusual.split('|').filter_map(|fact| fact.split_once(':')) {
        assert!(facts[name].contains(part), "{name}: {facts:?}");
    }
}

/// Asserts that the shim has added one variable to the environment, and that nothing else differs but these facts.
#[track_caller]
fn assert_differences(shim: &Facts, plain: &Facts, expected: &[&str]) {
    let names: BTreeSet<&String> = shim.keys().chain(plain.keys()).collect();
    let mut names: Vec<&str> = names.into_iter().map(String::as_str).collect();
    names.retain(|name| shim.get(*name) != plain.get(*name));
    let marker = names.iter().position(|name| name[1..].starts_with(MARKER));
    names.remove(marker.expect("no marker"));
    assert_eq!(names, expected, "{shim:?} {plain:?}");
}

#[test]
fn git_inherits_the_same() {
    // With a witness in git's place: git itself changes some of it, for instance resets SIGPIPE.
    let run = WitnessRun::new(Arena::new(&gits()[0]), true);
    let mut line = report_args("self", &run.arena.root().join("git"));
    line.splice(2..2, ODD.map(|odd| OsStr::from_bytes(odd).to_owned()));
    let compare = |setup: &str| {
        let [[shim], [plain]] = [true, false].map(|through_shim| run.facts(through_shim, setup, &line, ["git"]));
        assert_eq!(plain["parent"], "the test");
        assert_differences(&shim, &plain, &[]);
        plain
    };
    let unusual = compare(UNUSUAL);
    assert_unusual(&unusual);
    assert!(unusual["args"].contains("\n\\xff\\xfe\\x00\ntwo\\nlines\\x00\ncaf\\xe9\\x00\n"), "{unusual:?}");
    assert!(has(&unusual, "SigIgn", &[SIGPIPE, SIGHUP]) && has(&unusual, "SigBlk", &[HIDDEN]));
    let deaf = compare("exec env --ignore-signal=CHLD,INT,RTMIN --block-signal \"$@\"");
    assert!(has(&deaf, "SigIgn", &[SIGCHLD, SIGINT, SIGRTMIN()]));
    assert!(has(&deaf, "SigBlk", &[SIGTERM, SIGCHLD, SIGRTMAX()]));
    for closed in ["<&-", ">&-", "2>&-", "<&- >&-", "<&- 2>&- 5<.", "<&- >&- 2>&-"] {
        compare(&format!("exec \"$@\" {closed}"));
    }
}

#[test]
fn supervised_git_has_another_parent_and_a_pipe_as_stderr() {
    for_each_git(|git, _| {
        let [arena, _] = Arena::linking_and_refusing(git);
        let run = WitnessRun::new(arena, false);
        let line = run.clone("-l");
        let [[child, git], [plain_child, plain_git]] =
            [true, false].map(|through_shim| run.facts(through_shim, UNUSUAL, &line, ["child", "git"]));
        // git gives a hook its stderr as stdout, too.
        assert_differences(&child, &plain_child, &["$LANGUAGE=C\\x00", "descriptor 1", "descriptor 2"]);
        assert_differences(&git, &plain_git, &["$LANGUAGE=C\\x00", "args", "descriptor 2", "parent"]);
        for (shim, plain) in [(&child, &plain_child), (&git, &plain_git)] {
            assert_unusual(plain);
            assert!(shim["descriptor 2"].starts_with("a pipe, "), "{shim:?}");
            assert!(plain["descriptor 2"].starts_with("a terminal, "), "{plain:?}");
        }
        assert_eq!([&git["parent"], &plain_git["parent"]], ["the program", "the test"]);
        assert_eq!(git["args"], plain_git["args"].replace("\nclone\\x00", "\nclone\\x00\n--progress\\x00"));
    });
}

#[test]
fn git_of_a_fallback_inherits_the_same() {
    for_each_git(|git, _| {
        let [_, arena] = Arena::linking_and_refusing(git);
        let run = WitnessRun::new(arena, false);
        let line = run.clone("-l");
        let shim = run.facts(true, UNUSUAL, &line, ["child", "git"]);
        let copying = [&line[..], &args("--no-hardlinks")].concat();
        let plain = run.facts(false, UNUSUAL, &copying, ["child", "git"]);
        for (shim, plain) in shim.iter().zip(&plain) {
            assert_unusual(plain);
            assert_differences(shim, plain, &[]);
        }
    });
}
