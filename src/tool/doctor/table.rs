//! The report for people: the answers first, then the evidence, and one next step at the end.

use std::fmt::Write as _;

use anstyle::{AnsiColor, Style};

use super::report::{
    Action, Answer, Build, Check, Clones, Directory, GitOnPath, Origin, PlannedCall, Report,
    Setting, Surroundings, What,
};
use crate::tool::text::printable;

/// The whole table, with its styles.
pub(super) fn of(report: &Report<'_>) -> String {
    let surroundings = report.surroundings;
    let answers: Vec<Row> = report.directories.iter().map(answer).collect();
    let settings: Vec<Row> = surroundings.settings.iter().map(setting).collect();
    let mut blocks = vec![
        block("Do local clones work?", &answers),
        block("this program", &[program(report)]),
        block("git on PATH", &gits_on_path(surroundings)),
        block("the real git", &real_git(surroundings)),
        block("settings", &settings),
    ];
    blocks.extend(report.directories.iter().map(evidence));
    blocks.push(
        "The trial clones were made without any user's or the system's git configuration, hooks and templates.\n"
            .to_owned(),
    );
    blocks.extend(next_step(report));
    blocks.join("\n")
}

fn answer(directory: &Directory) -> Row {
    let verdict = &directory.verdict;
    let mood = match verdict.answer {
        Answer::Works | Answer::NotNeeded => Mood::Good,
        Answer::DoesNotWork => Mood::Bad,
    };
    Row::new(mood, &directory.path, &verdict.summary)
}

fn program(report: &Report<'_>) -> Row {
    let linked = match report.build {
        Build::StaticMusl => "static, for musl: the build that starts fastest".to_owned(),
        slower => {
            let (kind, longer) = match slower {
                Build::StaticGlibc => ("static, for glibc", "0.3 ms"),
                _ => ("dynamically linked", "0.4 ms"),
            };
            format!(
                "{kind}: each call of git takes about {longer} longer\n\
                 than with a static build for musl, which ./install.sh makes after\n\
                 rustup target add {}-unknown-linux-musl",
                std::env::consts::ARCH
            )
        }
    };
    let mood = match report.build {
        Build::StaticMusl => Mood::Good,
        _ => Mood::Neutral,
    };
    let message = format!("{} ({linked})", report.version);
    Row::new(mood, &report.surroundings.program, &message)
}

/// What was tried in a directory, and from there to another mount.
fn evidence(directory: &Directory) -> String {
    let examination = &directory.examination;
    let filesystem = match &examination.filesystem {
        Some(found) => found.to_string(),
        None => "not known".to_owned(),
    };
    let mut rows = vec![Row::new(Mood::Neutral, "filesystem", &filesystem)];
    // Where nothing could be tried, the answer gives the reason.
    if examination.problem.is_none() {
        rows.extend([
            check(
                "hard link inside a directory",
                examination.link_inside.as_ref(),
            ),
            check(
                "hard link across directories",
                examination.link_across.as_ref(),
            ),
            check(
                "a hard link is the same file",
                examination.link_is_same_file.as_ref(),
            ),
        ]);
        rows.extend(clones(&examination.clones, ""));
    }
    match &examination.to_other_mount {
        Some(other) => {
            if let Some(found) = &other.filesystem {
                rows.push(Row::new(Mood::Neutral, "another mount", &found.to_string()));
            }
            rows.extend(clones(&other.clones, &format!(" to {}", other.directory)));
        }
        None if examination.repository.is_some() => {
            let why = "not tried: no directory on another mount can be written to";
            rows.push(Row::new(
                Mood::NotTried,
                "git clone --local to another mount",
                why,
            ));
        }
        None => {}
    }
    let left = examination.left_behind.iter();
    rows.extend(left.map(|left| Row::new(Mood::Bad, "left behind", left)));
    let heading = format!("{} ({})", printable(&directory.path), directory.whose);
    block(&heading, &rows)
}

fn clones(clones: &Clones, to: &str) -> Vec<Row> {
    let plans = [
        (format!("plan for git clone{to}"), &clones.plan_of_clone),
        (
            format!("plan for git clone --local{to}"),
            &clones.plan_of_local_clone,
        ),
    ];
    let mut rows = vec![
        check(
            &format!("git clone --local{to}"),
            clones.clone_with_git.as_ref(),
        ),
        check(
            &format!("git clone --local{to}, by the shim"),
            clones.clone_through_shim.as_ref(),
        ),
    ];
    for (label, plan) in plans {
        rows.extend(plan.as_ref().map(|plan| planned(&label, plan)));
    }
    rows
}

/// The reason is left to `--json` and `explain`, which give room to it.
fn planned(label: &str, plan: &PlannedCall) -> Row {
    let action = match plan.action {
        Action::PassThrough => "git as it is",
        Action::Copy => "git with --no-hardlinks, at once",
        Action::Attempt => "git as it is, and again with --no-hardlinks if a link fails",
    };
    Row::new(Mood::Neutral, label, action)
}

/// What to do first; where several things are to be done, the next run tells the next one.
fn next_step(report: &Report<'_>) -> Option<String> {
    let surroundings = report.surroundings;
    let on_path = surroundings
        .path_advice
        .as_deref()
        .map(|advice| (advice, surroundings.path_command.as_deref()));
    let mut verdicts = report
        .directories
        .iter()
        .map(|directory| &directory.verdict);
    let in_directory = || {
        verdicts.find_map(|verdict| Some((verdict.advice.as_deref()?, verdict.command.as_deref())))
    };
    let (advice, command) = on_path.or_else(in_directory)?;
    let mut text = format!("{HEADING}Next step:{HEADING:#} {}\n", printable(advice));
    if let Some(command) = command {
        let _ = writeln!(text, "  {}", printable(command));
    }
    Some(text)
}

fn gits_on_path(surroundings: &Surroundings) -> Vec<Row> {
    let gits = surroundings.path.iter().enumerate();
    let mut rows: Vec<Row> = gits.map(git_on_path).collect();
    if rows.is_empty() {
        rows.push(match &surroundings.unfinished {
            Some(unfinished) => {
                let why = format!("it took too long ({})", unfinished.step);
                Row::new(Mood::Bad, "not known", &why)
            }
            None => Row::new(
                Mood::Bad,
                "none",
                "put the shim there, and behind it the real git",
            ),
        });
    }
    rows
}

fn git_on_path((place, git): (usize, &GitOnPath)) -> Row {
    let mut message = what(git.what, git.version.as_deref(), &git.message);
    if let Some(module) = &git.module {
        message = format!("{message}, from module {module}");
    }
    let mood = match (place, git.what.is_shim()) {
        (0, true) => Mood::Good,
        (0, false) => Mood::Bad,
        _ => Mood::Neutral,
    };
    Row::new(mood, &git.file, &message)
}

fn what(what: What, version: Option<&str>, message: &str) -> String {
    let version = version
        .map(|version| format!(" {version}"))
        .unwrap_or_default();
    match what {
        What::ThisShim => "this shim".to_owned(),
        What::AnotherShim => format!("another copy of the shim,{version}"),
        What::LeadsToShim if message.is_empty() => {
            format!("a wrapper that leads to the shim, git{version}")
        }
        What::LeadsToShim => format!("a wrapper that leads to the shim: {message}"),
        What::Git => format!("git{version}"),
        What::NotRun => format!("not run: {message}"),
        What::Broken => format!("does not tell its version: {message}"),
        What::Relative => "in a relative entry of PATH, which the shim passes over".to_owned(),
    }
}

fn real_git(surroundings: &Surroundings) -> Vec<Row> {
    let Some(git) = &surroundings.git else {
        return vec![match &surroundings.git_error {
            Some(error) => Row::new(Mood::Bad, "none", error),
            None => Row::new(Mood::Bad, "not known", "see above"),
        }];
    };
    let mood = match git.what {
        What::Git => Mood::Good,
        _ => Mood::Bad,
    };
    let message = what(git.what, git.version.as_deref(), &git.message);
    let mut rows = vec![Row::new(mood, &git.file, &message)];
    if let Some(warning) = &surroundings.path_warning {
        let warning = format!("{warning}; every call of git runs it");
        rows.push(Row::new(Mood::Bad, "not run here", &warning));
    }
    rows
}

fn setting(setting: &Setting) -> Row {
    let origin = match setting.origin {
        Origin::Default => "by default",
        Origin::Environment => "in the environment",
        Origin::NotUnderstood => "by default, since its value is not understood",
    };
    let module = setting
        .module
        .iter()
        .map(|module| format!(", from module {module}"));
    let message = format!("{} ({origin}{})", setting.value, module.collect::<String>());
    let mood = match setting.origin {
        Origin::NotUnderstood => Mood::Bad,
        _ => Mood::Neutral,
    };
    Row::new(mood, &setting.name, &message)
}

fn check(label: &str, check: Option<&Check>) -> Row {
    match check {
        Some(check) if check.ok => Row::new(Mood::Good, label, "ok"),
        Some(check) => Row::new(Mood::Bad, label, &format!("failed: {}", check.message)),
        None => Row::new(Mood::NotTried, label, "not tried"),
    }
}

const HEADING: Style = Style::new().bold();

/// Whether what a row shows works, does not work or was not tried; neutral for everything else.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Mood {
    Good,
    Bad,
    NotTried,
    Neutral,
}

impl Mood {
    fn mark(self) -> char {
        match self {
            Self::Good => '✓',
            Self::Bad => '✗',
            Self::NotTried => '–',
            Self::Neutral => ' ',
        }
    }

    fn style(self) -> Style {
        match self {
            Self::Good => AnsiColor::Green.on_default(),
            Self::Bad => AnsiColor::Red.on_default(),
            Self::NotTried => AnsiColor::Yellow.on_default(),
            Self::Neutral => Style::new(),
        }
    }
}

/// A row of a block: a label and its text, which may have several lines.
struct Row {
    mood: Mood,
    label: String,
    message: String,
}

impl Row {
    fn new(mood: Mood, label: &str, message: &str) -> Self {
        // git's messages may be several lines.
        let lines: Vec<String> = message.lines().map(printable).collect();
        Self {
            mood,
            label: printable(label),
            message: lines.join("\n"),
        }
    }
}

/// A heading and rows below it.
fn block(heading: &str, rows: &[Row]) -> String {
    let mut text = format!("{HEADING}{heading}{HEADING:#}\n");
    let width = rows.iter().map(|row| row.label.chars().count()).max();
    let width = width.unwrap_or(0);
    for row in rows {
        let style = row.mood.style();
        let (mut mark, mut label) = (row.mood.mark(), row.label.as_str());
        for line in row.message.split('\n') {
            let _ = writeln!(
                text,
                "  {style}{mark}{style:#} {label:width$}  {style}{line}{style:#}"
            );
            (mark, label) = (' ', "");
        }
    }
    text
}
