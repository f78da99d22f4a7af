//! Text for a terminal, from any source: the name of a file or a host, a message of another program.

use std::fmt::Write as _;

use serde::Serialize;

/// `text` with every character that a terminal would obey, hide or reorder written out, as `\u{202e}`.
#[must_use]
pub fn printable(text: &str) -> String {
    let mut printable = String::with_capacity(text.len());
    for character in text.chars() {
        match is_visible(character) {
            true => printable.push(character),
            false => printable.extend(character.escape_default()),
        }
    }
    printable
}

/// `value` as JSON on one line, or indented on several if `pretty`, in which such characters are escaped too.
///
/// # Errors
///
/// `value` cannot be serialized.
pub fn json(value: &impl Serialize, pretty: bool) -> serde_json::Result<String> {
    let plain = match pretty {
        true => serde_json::to_string_pretty(value)?,
        false => serde_json::to_string(value)?,
    };
    let mut printable = String::with_capacity(plain.len());
    for character in plain.chars() {
        // JSON has escaped line breaks within strings; those that are left indent it.
        if is_visible(character) || character == '\n' {
            printable.push(character);
        } else {
            for unit in character.encode_utf16(&mut [0; 2]) {
                let _ = write!(printable, "\\u{unit:04x}");
            }
        }
    }
    Ok(printable)
}

/// Whether a terminal shows `character` and does nothing else. It does not for control characters, and for what Unicode calls
/// formats: zero-width characters, marks of direction, separators of lines and paragraphs, tags.
fn is_visible(character: char) -> bool {
    !(character.is_control()
        || matches!(character,
            '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
            | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}'))
}

#[cfg(test)]
mod tests {
    use super::{json, printable};

    #[test]
    fn hidden_characters_are_written_out() {
        let hidden =
            "a\u{1b}[2J\r\n\u{7f}\u{9b}\u{202e}\u{2066}\u{200f}\u{61c}\u{200b}\u{2028}\u{e0041}é";
        let shown =
            r"a\u{1b}[2J\r\n\u{7f}\u{9b}\u{202e}\u{2066}\u{200f}\u{61c}\u{200b}\u{2028}\u{e0041}é";
        assert_eq!(printable(hidden), shown);
        let escaped =
            r#""a\u001b[2J\r\n\u007f\u009b\u202e\u2066\u200f\u061c\u200b\u2028\udb40\udc41é""#;
        assert_eq!(json(&hidden, false).unwrap(), escaped);
        assert_eq!(serde_json::from_str::<String>(escaped).unwrap(), hidden);
    }
}
