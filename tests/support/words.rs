//! Command lines.

use std::ffi::{OsStr, OsString};

/// The words of a command line, without the program's own name.
pub type Words = Vec<OsString>;

/// The words of `line`, parted by spaces.
pub fn words(line: &str) -> Words {
    line.split(' ')
        .filter(|word| !word.is_empty())
        .map(OsString::from)
        .collect()
}

/// `words` with `--no-hardlinks` as the first option of `clone`: what a user would have written.
pub fn copying(words: &[OsString]) -> Words {
    let clone = words.iter().position(|word| word == "clone").unwrap();
    let mut copying = words.to_vec();
    copying.insert(clone + 1, "--no-hardlinks".into());
    copying
}

/// `words` with every word `SRC` replaced by `source`.
pub fn from(source: impl AsRef<OsStr>, words: Words) -> Words {
    let source = source.as_ref();
    words
        .into_iter()
        .map(|word| {
            if word == "SRC" {
                source.to_owned()
            } else {
                word
            }
        })
        .collect()
}
