//! The report for people: which rows there are, and what they say.

use std::fmt::Write as _;
use std::io::{IsTerminal, stdout};

use anstyle::{AnsiColor, Style};
use anyhow::Result;

use super::report::{
    Answer, Check, Directory, ExecutedGit, GitOnPath, Origin, Setting, Surroundings, What,
};
use super::text::printable;
use crate::tool::print;

/// Prints what is the same for every directory.
///
/// # Errors
///
/// Standard output cannot be written.
pub(super) fn print_surroundings(surroundings: &Surroundings) -> Result<()> {
    let mut path: Vec<Row> = surroundings
        .path
        .iter()
        .enumerate()
        .map(git_on_path)
        .collect();
    if path.is_empty() {
        path.push(match surroundings.unfinished {
            Some(_) => Row::new(Mood::Bad, "not known", "see below"),
            None => Row::new(
                Mood::Bad,
                "none",
                "put the shim there, and behind it the real git",
            ),
        });
    }
    print_block("git on PATH", &path)?;
    if let Some(advice) = &surroundings.path_advice {
        print_summary(Mood::Bad, "The shim does not come first.", Some(advice))?;
    }
    print("\n")?;
    print_block("the real git", &[real_git(surroundings)])?;
    if let Some(warning) = &surroundings.path_warning {
        print_summary(
            Mood::Bad,
            &format!("It is not run here: {warning}."),
            Some("Every call of git runs it: put another directory first on PATH."),
        )?;
    }
    print("\n")?;
    let settings: Vec<Row> = surroundings.settings.iter().map(setting).collect();
    print_block("settings", &settings)?;
    if let Some(unfinished) = &surroundings.unfinished {
        let summary = format!(
            "Not all of this is known: it took too long ({}).",
            unfinished.step
        );
        print_summary(Mood::Bad, &summary, None)?;
    }
    print("\n")
}

/// Prints what was found out about a directory.
///
/// # Errors
///
/// Standard output cannot be written.
pub(super) fn print_directory(directory: &Directory) -> Result<()> {
    let examination = &directory.examination;
    let filesystem = match &examination.filesystem {
        Some(found) => format!("{} on {} ({})", found.kind, found.mount_point, found.source),
        None => "not known".to_owned(),
    };
    let mut rows = vec![Row::new(Mood::Neutral, "filesystem", &filesystem)];
    let checks = [
        ("hard link inside a directory", &examination.link_inside),
        ("hard link across directories", &examination.link_across),
        (
            "a hard link is the same file",
            &examination.link_is_same_file,
        ),
        ("git clone --local", &examination.clone_with_git),
        (
            "git clone --local, by the shim",
            &examination.clone_through_shim,
        ),
    ];
    // Where nothing could be tried, the summary gives the reason.
    let tried = |check: &Option<Check>| check.is_some() || examination.problem.is_none();
    let rows_of_checks = checks
        .into_iter()
        .filter(|(_, check)| tried(check))
        .map(|(label, check)| check_row(label, check.as_ref()));
    rows.extend(rows_of_checks);
    let left = examination.left_behind.as_deref();
    rows.extend(left.map(|left| Row::new(Mood::Bad, "left behind", left)));
    let heading = format!("{} ({})", printable(&directory.path), directory.whose);
    print_block(&heading, &rows)?;
    let mood = match directory.verdict.answer {
        Answer::Works | Answer::NotNeeded => Mood::Good,
        Answer::DoesNotWork => Mood::Bad,
    };
    let advice = directory.verdict.advice.as_deref();
    print_summary(mood, &directory.verdict.summary, advice)?;
    print("\n")
}

/// Prints what holds for all directories.
///
/// # Errors
///
/// Standard output cannot be written.
pub(super) fn print_note() -> Result<()> {
    print(
        "The trial clones were made within one directory each, without anybody's git configuration, hooks and templates.\n\
         From one filesystem to another, git clone --local works nowhere without the shim.\n",
    )
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

fn real_git(surroundings: &Surroundings) -> Row {
    match &surroundings.git {
        Some(ExecutedGit {
            file,
            what: kind,
            version,
            message,
        }) => {
            let mood = match kind {
                What::Git => Mood::Good,
                _ => Mood::Bad,
            };
            Row::new(mood, file, &what(*kind, version.as_deref(), message))
        }
        None => match &surroundings.git_error {
            Some(error) => Row::new(Mood::Bad, "none", error),
            None => Row::new(Mood::Bad, "not known", "see below"),
        },
    }
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

fn check_row(label: &str, check: Option<&Check>) -> Row {
    match check {
        Some(check) if check.ok => Row::new(Mood::Good, label, "ok"),
        Some(check) => Row::new(Mood::Bad, label, &format!("failed: {}", check.message)),
        None => Row::new(Mood::Neutral, label, "not tried"),
    }
}

const HEADING: Style = Style::new().bold();

/// Whether a row is good news, bad news or neither.
#[derive(Clone, Copy)]
enum Mood {
    Good,
    Bad,
    Neutral,
}

impl Mood {
    fn symbol(self) -> &'static str {
        match self {
            Self::Good => "✓ ",
            Self::Bad => "✗ ",
            Self::Neutral => "  ",
        }
    }

    fn style(self) -> Style {
        match self {
            Self::Good => AnsiColor::Green.on_default(),
            Self::Bad => AnsiColor::Red.on_default(),
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
        // git's words may be several lines.
        let lines: Vec<String> = message.lines().map(printable).collect();
        Self {
            mood,
            label: printable(label),
            message: lines.join("\n"),
        }
    }
}

/// Prints a heading and rows below it.
///
/// # Errors
///
/// Standard output cannot be written.
fn print_block(heading: &str, rows: &[Row]) -> Result<()> {
    let mut text = format!("{HEADING}{heading}{HEADING:#}\n");
    let width = rows.iter().map(|row| row.label.chars().count()).max();
    let width = width.unwrap_or(0);
    for row in rows {
        let style = row.mood.style();
        let mut label = row.label.as_str();
        for line in row.message.split('\n') {
            let symbol = match label.is_empty() {
                true => Mood::Neutral,
                false => row.mood,
            };
            let symbol = marked(symbol);
            let _ = writeln!(text, "  {symbol}{label:width$}  {style}{line}{style:#}");
            label = "";
        }
    }
    print(&text)
}

/// Prints a summary about the block before it, and what to do.
///
/// # Errors
///
/// Standard output cannot be written.
fn print_summary(mood: Mood, summary: &str, advice: Option<&str>) -> Result<()> {
    let style = mood.style().bold();
    let mut text = format!("  {style}{}{style:#}\n", printable(summary));
    if let Some(advice) = advice {
        let _ = writeln!(text, "  {}", printable(advice));
    }
    print(&text)
}

/// The symbol in front of a row, styled; nothing where no person looks.
fn marked(mood: Mood) -> String {
    let style = mood.style();
    match stdout().is_terminal() {
        true => format!("{style}{}{style:#}", mood.symbol()),
        false => String::new(),
    }
}
