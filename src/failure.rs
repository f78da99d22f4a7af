//! Our own errors: one line on stderr, and an exit status that git does not use (125 to 127, as env(1) has them).

use std::fmt;
use std::io::Write;

/// The shim itself failed.
pub const OWN: i32 = 125;
/// A git was named or found, and cannot be executed.
pub const CANNOT_INVOKE: i32 = 126;
/// No git was found.
pub const NOT_FOUND: i32 = 127;

/// An error that decides the exit status: the line to print, and the status that env(1) and the shells use for its kind.
#[derive(Debug)]
pub struct Failure {
    /// [`OWN`], [`CANNOT_INVOKE`] or [`NOT_FOUND`].
    pub status: i32,
    /// What was looked for and what to do, on one line.
    pub line: String,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.line)
    }
}

impl std::error::Error for Failure {}

impl Failure {
    /// Prints the line and returns the exit status.
    #[must_use]
    pub fn report(&self) -> i32 {
        print(&self.line);
        self.status
    }
}

/// Prints one line of our own, in one write, and does without where standard error is closed.
pub fn print(line: &str) {
    let line = format!("git-clone-shim: {}\n", printable(line));
    let _ = std::io::stderr().write_all(line.as_bytes());
}

/// `text` with every character that a terminal would obey, hide or reorder written out, as `\u{202e}`.
#[must_use]
pub fn printable(text: &str) -> String {
    let escaped = |character: char| match character {
        '\'' | '"' | '\\' => character.to_string(),
        _ => character.escape_debug().to_string(),
    };
    text.chars().map(escaped).collect()
}

#[cfg(test)]
mod tests {
    use super::printable;

    #[test]
    fn hidden_characters_are_written_out() {
        let hidden = "a\u{1b}[2J\r\n\u{7f}\u{9b}\u{202e}\u{2066}\u{200f}\u{200b}\u{2028}\u{e0041}é'\"\\";
        let shown = r#"a\u{1b}[2J\r\n\u{7f}\u{9b}\u{202e}\u{2066}\u{200f}\u{200b}\u{2028}\u{e0041}é'"\"#;
        assert_eq!(printable(hidden), shown);
    }
}
