//! Blocks of aligned rows, with colours and symbols where they can be seen.

use std::fmt::Write as _;
use std::io::{self, IsTerminal, stdout};

use anstyle::{AnsiColor, Style};

use super::text::printable;
use crate::tool::print;

const HEADING: Style = Style::new().bold();

/// Whether a row tells of something good, bad or neither.
#[derive(Clone, Copy)]
pub(super) enum Mood {
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

/// A row of a block: a label and what is to be said of it, a line break between its lines.
pub(super) struct Row {
    mood: Mood,
    label: String,
    said: String,
}

impl Row {
    pub(super) fn new(mood: Mood, label: &str, said: &str) -> Self {
        // git's words may be several lines.
        let lines: Vec<String> = said.lines().map(printable).collect();
        Self {
            mood,
            label: printable(label),
            said: lines.join("\n"),
        }
    }
}

/// Prints a heading and rows below it.
///
/// # Errors
///
/// Standard output cannot be written.
pub(super) fn print_block(heading: &str, rows: &[Row]) -> io::Result<()> {
    let mut text = format!("{HEADING}{heading}{HEADING:#}\n");
    let width = rows.iter().map(|row| row.label.chars().count()).max();
    let width = width.unwrap_or(0);
    for row in rows {
        let style = row.mood.style();
        let mut label = row.label.as_str();
        for line in row.said.split('\n') {
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

/// Prints a sentence about the block before it, and what to do.
///
/// # Errors
///
/// Standard output cannot be written.
pub(super) fn print_sentence(mood: Mood, sentence: &str, advice: Option<&str>) -> io::Result<()> {
    let style = mood.style().bold();
    let mut text = format!("  {style}{}{style:#}\n", printable(sentence));
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
