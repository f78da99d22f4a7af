//! Whether git has died of a hard link. An attempt runs with `LANGUAGE=C`, so that its messages are these in every locale.

use regex::bytes::Regex;

/// The last words of a git that dies of a file, always at the beginning of a line. The three of a link that failed stand below: a
/// regex that names them takes twice as long to compile.
const LAST_WORDS: &str = r"(?m-u)^fatal: ([a-z ]+) '";

/// A line that git prints when it has made every link.
const DONE: &[u8] = b"done.\n";

/// How a hard link has failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LinkFailure {
    /// link(2) has failed, and `--local` keeps git from copying.
    Refused,
    /// link(2) has succeeded, but the new name is another file.
    Different,
    /// link(2) has succeeded, but the new name cannot be looked at.
    Unchecked,
}

impl LinkFailure {
    /// Its name in our log.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Refused => "link-refused",
            Self::Different => "link-different",
            Self::Unchecked => "link-unchecked",
        }
    }
}

/// The link failure that git reports in its stderr, if it does so before it has made every link: a hook may write about links
/// after that.
#[must_use]
pub fn find(stderr: &[u8]) -> Option<LinkFailure> {
    let lines = stderr.split_inclusive(|&byte| byte == b'\n');
    let before_done: usize = lines.take_while(|&line| line != DONE).map(<[u8]>::len).sum();
    // Compiled here only, since it takes 0.1 ms.
    let regex = Regex::new(LAST_WORDS).ok()?;
    // `copy_or_link_directory` in builtin/clone.c.
    regex.captures_iter(stderr.get(..before_done)?).find_map(|found| match found.get(1)?.as_bytes() {
        b"failed to create link" => Some(LinkFailure::Refused),
        b"hardlink different from source at" => Some(LinkFailure::Different),
        b"hardlink cannot be checked at" => Some(LinkFailure::Unchecked),
        _ => None,
    })
}

/// Whether these lines of git's stderr show that it has made every link.
#[must_use]
pub fn is_ruled_out_by(lines: &[u8]) -> bool {
    lines.split_inclusive(|&byte| byte == b'\n').any(|line| line == DONE)
}

#[cfg(test)]
mod tests {
    use super::{LinkFailure, find, is_ruled_out_by};

    #[test]
    fn each_message_is_found_at_the_beginning_of_a_line() {
        let expected = [
            ("fatal: failed to create link 'b/x': Operation not permitted\n", LinkFailure::Refused),
            ("fatal: hardlink different from source at 'b/x'\n", LinkFailure::Different),
            ("fatal: hardlink cannot be checked at 'b/x': No such file\n", LinkFailure::Unchecked),
        ];
        for (message, failure) in expected {
            for before in ["", "Cloning into 'b'...\n", "a\u{e4}\n\n"] {
                for after in ["", "fatal: The remote end hung up unexpectedly\n"] {
                    let stderr = [before, message, after].concat();
                    assert_eq!(find(stderr.as_bytes()), Some(failure), "{stderr}");
                }
            }
            for before in [&b"Cloning into '\xff"[..], b"remote: ", b"error: ", b" ", b"done.\n"] {
                let stderr = [before, message.as_bytes()].concat();
                assert_eq!(find(&stderr), None, "{}", stderr.escape_ascii());
            }
        }
    }

    #[test]
    fn other_failures_are_not_found() {
        for stderr in [
            "",
            "fatal: Remote branch failed to create link 'x' not found in upstream origin\n",
            "fatal: failed to create link\n",
            "fatal: failed to copy file to 'b/x': No space left on device\n",
            "fatal: symlink 'x' exists, refusing to clone with --local\n",
            "fatal: destination path 'b' already exists and is not an empty directory.\n",
        ] {
            assert_eq!(find(stderr.as_bytes()), None, "{stderr}");
        }
    }

    #[test]
    fn line_that_ends_linking_is_told_from_others() {
        assert!(is_ruled_out_by(b"done.\nmore"));
        assert!(is_ruled_out_by(b"Cloning into 'b'...\ndone.\n"));
        for other in ["", "done", "done.", "not done.\n", "100% (1/1), done.\n"] {
            assert!(!is_ruled_out_by(other.as_bytes()), "{other}");
        }
    }
}
