//! Finds a link failure in what git wrote to stderr, in any language. Pure; the texts are in `messages`.

use super::charset::{Charset, has_words};
pub use super::messages::Message;
use super::messages::{DONE, MESSAGES, PREFIXES};
use super::strerror;
use crate::lines::line_starts;

/// At how many bytes git cuts a message, with its line break and, since 2.25, with its prefix.
const CUT: usize = 4096;
/// No prefix is longer.
const LONGEST_PREFIX: usize = 32;

/// A link failure that git has reported.
#[derive(Debug, PartialEq, Eq)]
pub struct LinkFailure<'a> {
    /// Which message it is.
    pub message: &'static Message,
    /// The line, after git's prefix.
    pub line: &'a [u8],
    /// What follows the wording's beginning: the path below the clone's directory of objects, and then what git wrote after it.
    pub path: &'a [u8],
    /// The name of the error that link(2) gave, such as `EPERM`; `None` if git wrote none that we know, or the path leaves it
    /// open where its text begins.
    pub errno: Option<&'static str>,
}

/// Looks for a link failure in what git wrote to stderr: whole lines, in any language. Nothing is allocated.
///
/// The message need not be in the last line: with git up to 2.20 an upload-pack that has lost its reader writes after it.
#[must_use]
pub fn find(stderr: &[u8]) -> Option<LinkFailure<'_>> {
    let stderr = before_done(stderr);
    let mut starts = line_starts(stderr, 0).filter_map(|start| {
        let message = strip_prefix(stderr.get(start..)?)?;
        Some((start, message.len()))
    });
    let mut next = starts.next();
    while let Some((_, length)) = next {
        next = starts.next();
        // A path may contain line breaks, so a message ends at the next prefix.
        let end = next.map_or(stderr.len(), |(start, _)| start);
        let message = stderr.get(stderr.len() - length..end)?;
        if let Some(wording) = wordings().find(|wording| wording.fits(message)) {
            return Some(LinkFailure {
                message: wording.message,
                line: first_line(message),
                path: wording.strip_before_path(message)?,
                errno: wording.reason(message).and_then(strerror::name),
            });
        }
    }
    None
}

/// Whether a line begins with a link failure. Only prefixes in UTF-8 count: it is called for every line that streams.
#[must_use]
pub fn begins(line: &[u8]) -> bool {
    let mut prefixes = PREFIXES.iter();
    let message = prefixes.find_map(|(_, prefix)| line.strip_prefix(prefix.as_bytes()));
    message.is_some_and(|message| wordings().any(|wording| wording.fits(message)))
}

/// Whether a line shows that git has made every link, so that none can fail any more.
#[must_use]
pub fn is_ruled_out_by(line: &[u8]) -> bool {
    let is_at_start = |text: &str| {
        let mut charsets = Charset::ALL.iter();
        charsets.any(|charset| charset.strip_prefix(line, text).is_some())
    };
    DONE.iter().any(|(_, done)| is_at_start(done))
}

/// What git wrote before the line that shows that it had made every link. A hook may write about links after that line.
fn before_done(stderr: &[u8]) -> &[u8] {
    let done = line_starts(stderr, 0).find(|&at| stderr.get(at..).is_some_and(is_ruled_out_by));
    done.and_then(|at| stderr.get(..at)).unwrap_or(stderr)
}

/// What follows git's prefix in a line that begins with one. Where several fit, the shortest counts.
fn strip_prefix(line: &[u8]) -> Option<&[u8]> {
    // A compiled regex of these prefixes would take 0.6 ms, more than all else that the fallback adds.
    let messages = PREFIXES.iter().flat_map(|(_, prefix)| {
        let in_charset = |charset: Charset| charset.strip_prefix(line, prefix);
        Charset::ALL.into_iter().filter_map(in_charset)
    });
    messages.max_by_key(|message| message.len())
}

/// A message in one language and one charset.
#[derive(Clone, Copy)]
struct Wording {
    message: &'static Message,
    before_path: &'static str,
    after_path: &'static str,
    charset: Charset,
}

/// Every message in every language and charset.
fn wordings() -> impl Iterator<Item = Wording> {
    let texts = MESSAGES.iter().flat_map(|message| {
        let texts = message.wordings.iter();
        texts.filter_map(move |(_, text)| Some((message, text.split_once("%s")?)))
    });
    texts.flat_map(|(message, (before_path, after_path))| {
        Charset::ALL.into_iter().map(move |charset| Wording {
            message,
            before_path,
            after_path,
            charset,
        })
    })
}

impl Wording {
    /// The path and what follows it, if `message`, which follows a prefix, begins as this wording does.
    fn strip_before_path<'a>(&self, message: &'a [u8]) -> Option<&'a [u8]> {
        self.charset.strip_prefix(message, self.before_path)
    }

    /// Each place in `bytes` behind the words that follow the path.
    fn behind_path<'a>(&self, bytes: &'a [u8]) -> impl Iterator<Item = &'a [u8]> {
        (0..bytes.len())
            .filter_map(|at| self.charset.strip_prefix(bytes.get(at..)?, self.after_path))
    }

    /// Whether `message`, which follows a prefix, has this wording.
    fn fits(&self, message: &[u8]) -> bool {
        let Some(rest) = self.strip_before_path(message) else {
            return false;
        };
        if !self.charset.is_legible(self.after_path) {
            return false;
        }
        let rest = rest.get(..CUT).unwrap_or(rest);
        match (has_words(self.before_path), has_words(self.after_path)) {
            // What follows the path is at most its closing quotation mark, which shows nothing.
            (_, false) => true,
            (true, true) => self.behind_path(rest).next().is_some() || may_be_cut(message),
            // Many messages begin with a quoted name, and a name may contain these words: they must follow the line's last
            // quote. So a path with a line break is not recognised here, but no other line behind it is either.
            (false, true) => {
                let line = first_line(rest);
                let first = self.charset.first_byte(self.after_path);
                let quote = line.iter().rposition(|&byte| Some(byte) == first);
                quote
                    .and_then(|quote| {
                        self.charset
                            .strip_prefix(line.get(quote..)?, self.after_path)
                    })
                    .is_some()
            }
        }
    }

    /// The text of the error in `message`, which has this wording.
    fn reason<'a>(&self, message: &'a [u8]) -> Option<&'a [u8]> {
        if !self.message.tells_why || may_be_cut(message) {
            return None;
        }
        let rest = self.strip_before_path(message)?;
        let mut texts = self
            .behind_path(rest)
            .filter_map(|behind| behind.strip_prefix(b": "));
        // The path may contain the same words, and then a part of it must not be taken for the error's text.
        match (texts.next(), texts.next()) {
            (Some(text), None) => Some(first_line(text)),
            _ => None,
        }
    }
}

/// What comes before the first line break.
fn first_line(bytes: &[u8]) -> &[u8] {
    let end = bytes.iter().position(|&byte| byte == b'\n');
    end.and_then(|end| bytes.get(..end)).unwrap_or(bytes)
}

/// Whether a line ends where git cuts a message.
fn may_be_cut(message: &[u8]) -> bool {
    let mut end = message.iter().take(CUT).skip(CUT - LONGEST_PREFIX);
    end.any(|&byte| byte == b'\n')
}

#[cfg(test)]
mod tests {
    use super::{LONGEST_PREFIX, MESSAGES, PREFIXES, begins, find, has_words, is_ruled_out_by};

    fn name(stderr: &[u8]) -> Option<&'static str> {
        find(stderr).map(|failure| failure.message.name)
    }

    #[test]
    fn each_message_is_found() {
        for (stderr, expected) in [
            // uv issue 11420, from git 1.8.3.1.
            (
                &b"warning: You appear to have cloned an empty repository.\nfatal: failed to create link '/b/.git/objects/x': Operation not permitted\nfatal: The remote end hung up unexpectedly\n"[..],
                "link refused",
            ),
            (b"Cloning into 'b'...\nfatal: failed to create link 'b/.git/objects/4b/825d': Invalid cross-device link\n", "link refused"),
            (b"fatal: failed to create link 'b\nc/.git/objects/4b/825d': Operation not supported\n", "link refused"),
            (b"fatal: failed to create link '\xff", "link refused"),
            (b"Cloning into 'b'...\nfatal: hardlink different from source at 'b/.git/objects/4b/825d'\n", "link differs from its source"),
            (b"fatal: hardlink cannot be checked at 'b/.git/objects/4b/825d'\n", "link cannot be checked"),
            // As real gits wrote them in locales that are not UTF-8.
            (b"\xf6desdigert: misslyckades skapa l\xe4nken \"/b/x\": Ogiltig l\xe4nk \xf6ver skilda enheter\n", "link refused"),
            (b"?desdigert: misslyckades skapa l?nken \"/b/x\": Ogiltig l?nk ?ver skilda enheter\n", "link refused"),
            (b"fatal\xa0: \xe9chec de la cr\xe9ation du lien '/b/x': Lien physique inter-p\xe9riph\xe9rique invalide\n", "link refused"),
            (b"fatal : ?chec de la cr?ation du lien '/b/x': Lien physique inter-p?riph?rique invalide\n", "link refused"),
            (b"fatal: s'ha produ\xeft un error en crear l'enlla\xe7 \xab/b/x\xbb: No es pot\n", "link refused"),
        ] {
            assert_eq!(name(stderr), Some(expected), "{}", stderr.escape_ascii());
        }
    }

    #[test]
    fn message_names_the_error_and_the_path() {
        for (stderr, errno, path) in [
            (
                &b"fatal: failed to create link 'b/x': Operation not permitted\nfatal: z\n"[..],
                Some("EPERM"),
                "b/x': ",
            ),
            (b"fatal: failed to create link 'b\nc/x': Unknown error 524", Some("ENOTSUPP"), "b\nc/x': "),
            (b"Schwerwiegend: Konnte Verweis 'x' nicht erstellen: Die Operation ist nicht erlaubt\n", Some("EPERM"), "x' nicht"),
            ("lỗi nghiêm trọng: gặp lỗi khi tạo liên kết mềm x: Thao tác không được phép\n".as_bytes(), Some("EPERM"), "x: "),
            (b"?desdigert: misslyckades skapa l?nken \"/b/x\": Ogiltig l?nk ?ver skilda enheter\n", Some("EXDEV"), "/b/x\""),
            // Another text may be anything.
            (b"fatal: failed to create link 'b/x': secret\n", None, "b/x"),
            // Nothing but a path is left of the line, or follows the quotation mark.
            (b"fatal: failed to create link 'a': Invalid argument\nb/x': Operation not permitted\n", None, "a': "),
            (b"fatal: failed to create link 'a\nfatal: z\n", None, "a"),
            (b"fatal: hardlink different from source at 'a': Invalid argument'\n", None, "a'"),
        ] {
            let failure = find(stderr).unwrap();
            assert_eq!(failure.errno, errno, "{}", stderr.escape_ascii());
            assert!(failure.path.starts_with(path.as_bytes()), "{}", stderr.escape_ascii());
        }
        let cut = [
            b"fatal: failed to create link 'a': ",
            &b"x".repeat(4054)[..],
            b"\n",
        ]
        .concat();
        assert_eq!(find(&cut).unwrap().errno, None);
    }

    #[test]
    fn every_wording_is_found_after_every_prefix() {
        let paths = [&b""[..], b"b", b"it's\nat 'b': c\n", b"\xff\xe4\x00", b"%s"];
        let wordings = MESSAGES.iter().flat_map(|message| {
            let wordings = message.wordings.iter();
            wordings.map(move |(_, wording)| (message, wording.split_once("%s").unwrap()))
        });
        for (message, (before, after)) in wordings {
            // Where the path comes first, it must not hold a line break.
            let broken = |path: &&&[u8]| path.contains(&b'\n') && !has_words(before);
            let paths = paths.iter().filter(|path| !broken(path)).cycle();
            for ((_, prefix), path) in PREFIXES.iter().zip(paths) {
                let parts = [
                    b"x\n",
                    prefix.as_bytes(),
                    before.as_bytes(),
                    path,
                    after.as_bytes(),
                ];
                let stderr = [&parts.concat()[..], b": y\nfatal: z\n"].concat();
                let found = find(&stderr).map(|failure| failure.message);
                assert_eq!(found, Some(message), "{}", String::from_utf8_lossy(&stderr));
            }
        }
    }

    #[test]
    fn line_that_begins_with_a_message_is_told_from_others() {
        assert!(begins(b"fatal: failed to create link 'x': y\nfatal: z\n"));
        assert!(begins(
            "Schwerwiegend: Konnte Verweis 'x' nicht erstellen: y\n".as_bytes()
        ));
        for other in [
            "",
            "x\nfatal: failed to create link 'x': y\n",
            "fatal: other\nfatal: failed to create link 'x'",
        ] {
            assert!(!begins(other.as_bytes()), "{other}");
        }
    }

    #[test]
    fn line_that_ends_linking_is_told_from_others() {
        for done in [
            &b"done.\nmore"[..],
            b"Fertig.\n",
            b"conclu\xeddo.\n",
            "完成。\n".as_bytes(),
        ] {
            assert!(is_ruled_out_by(done), "{}", done.escape_ascii());
        }
        for other in ["", "done", "done.", "not done.\n", "??.\n", "x\ndone.\n"] {
            assert!(!is_ruled_out_by(other.as_bytes()), "{other}");
        }
    }

    #[test]
    fn message_that_git_has_cut_is_found() {
        for (_, prefix) in PREFIXES {
            assert!(prefix.len() <= LONGEST_PREFIX);
            let message = [b"Konnte Verweis '", &b"x".repeat(5000)[..]].concat();
            for length in [4095, 4095 - prefix.len()] {
                let cut = [prefix.as_bytes(), &message[..length], b"\nfatal: y\n"].concat();
                assert_eq!(name(&cut), Some("link refused"));
            }
            let other = [prefix.as_bytes(), &message[..3000], b"' fehlt\n"].concat();
            assert_eq!(find(&other), None);
            let quoted = [prefix.as_bytes(), &message[15..4110], b"\n"].concat();
            assert_eq!(find(&quoted), None, "it could be any message");
        }
    }

    #[test]
    fn failure_that_copying_does_not_cure_is_not_found() {
        for stderr in [
            &b""[..],
            b"fatal: destination path 'b' already exists and is not an empty directory.\n",
            b"fatal: repository 'a' does not exist\n",
            b"fatal: failed to copy file to 'b/.git/objects/4b/825d': No space left on device\n",
            b"fatal: failed to unlink 'b/.git/objects/4b/825d': Read-only file system\n",
            b"fatal: symlink 'objects/x' exists, refusing to clone with --local\n",
            b"fatal: 'a/.git/objects' is a symlink, refusing to clone with --local\n",
            b"fatal: detected dubious ownership in repository at '/a/.git'\n",
        ] {
            assert_eq!(find(stderr), None, "{}", stderr.escape_ascii());
        }
    }

    #[test]
    fn imitation_of_a_message_is_not_found() {
        for stderr in [
            "fatal: Remote branch failed to create link 'x' not found in upstream origin\n",
            "Cloning into 'fatal: failed to create link 'x': y'...\n",
            " fatal: failed to create link 'x': y\n",
            "remote: fatal: failed to create link 'x': y\n",
            "failed to create link 'x': y\n",
            "error: failed to create link 'x': y\n",
            "fatal: failed to create link\n",
            "Schwerwiegend: Remote-Branch Konnte Verweis 'x' nicht erstellen nicht gefunden\n",
            "Schwerwiegend: Konnte Verweis 'x' nicht lesen\nhint: ' nicht schreiben\n",
            "Schwerwiegend: Konnte Verweis 'x' nicht lesen\nfatal: 'x' nicht erstellen: y\n",
            "фатална грешка: връзката „x“ не може да бъде прочетена\n",
            "fatal\u{a0}:échec de la création du lien 'x': y\n",
            "致命错误: 无法创建链接 'x': y\n",
            "onulmaz: 'x' bir sembolik bağ\n",
            "onulmaz: 'x' bağı oluşturulamadı: y' geçerli bir uzak depo adı değil\n",
            "fatal: 'x' is not it\nremote: ' 링크를 만드는데 실패했습니다\n",
            "fatal: ?? ??????? ??????? ?????? <<x>>: y\n",
            "fatal: '' ??? ????? ??????: ????\n",
            "Cloning into 'b'...\ndone.\nfatal: failed to create link 'x': y\nfatal: z\n",
            "Klone nach 'b' ...\nFertig.\nfatal: failed to create link 'x': y\n",
        ] {
            assert_eq!(find(stderr.as_bytes()), None, "{stderr}");
        }
    }
}
