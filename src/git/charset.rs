//! Texts of git and libc in the charset of the user's locale, to which gettext converts them. Pure.

/// A charset in which the texts are recognised.
///
/// Others, such as KOI8-R, EUC-KR and Big5, would need tables of their own: there, a link failure is not recognised.
#[derive(Clone, Copy)]
pub(super) enum Charset {
    Utf8,
    /// ISO-8859-1, and -15: they have in common all letters that the texts need.
    Latin1,
    /// The charset where the locale is not installed, as with the `LC_CTYPE=UTF-8` that ssh sends from macOS.
    Ascii,
}

impl Charset {
    pub(super) const ALL: [Self; 3] = [Self::Utf8, Self::Latin1, Self::Ascii];

    /// What follows `text` in `bytes`, if they begin with it in this charset. Nothing is allocated.
    #[must_use]
    pub(super) fn strip_prefix<'a>(self, bytes: &'a [u8], text: &str) -> Option<&'a [u8]> {
        if matches!(self, Self::Utf8) {
            return bytes.strip_prefix(text.as_bytes());
        }
        let mut rest = bytes;
        for character in text.chars() {
            rest = rest.strip_prefix(self.encode(character, &mut [0; 4]))?;
        }
        self.is_legible(text).then_some(rest)
    }

    /// The first byte of `text`.
    #[must_use]
    pub(super) fn first_byte(self, text: &str) -> Option<u8> {
        let first = text.chars().next()?;
        self.encode(first, &mut [0; 4]).first().copied()
    }

    /// Whether more of the words in `text` is left than question marks, into which anything could be read.
    #[must_use]
    pub(super) fn is_legible(self, text: &str) -> bool {
        matches!(self, Self::Utf8)
            || !has_words(text)
            || text.bytes().any(|byte| byte.is_ascii_alphabetic())
    }

    /// The bytes of `character`, or what glibc writes for one that the charset does not have.
    fn encode(self, character: char, space: &mut [u8; 4]) -> &[u8] {
        let characters = match self {
            Self::Utf8 => return character.encode_utf8(space).as_bytes(),
            Self::Latin1 => 0x100,
            Self::Ascii => 0x80,
        };
        match (u8::try_from(character), character) {
            (Ok(byte), _) if u32::from(byte) < characters => {
                let [first, ..] = space;
                *first = byte;
                std::slice::from_ref(first)
            }
            (_, '\u{a0}') => b" ",
            (_, '“' | '”') => b"\"",
            (_, '‘' | '’') => b"'",
            (_, '„') => b",,",
            (_, '«') => b"<<",
            (_, '»') => b">>",
            _ => b"?",
        }
    }
}

/// Whether there is more in `text` than quotation marks and spaces.
pub(super) fn has_words(text: &str) -> bool {
    text.chars().any(char::is_alphabetic)
}

#[cfg(test)]
mod tests {
    use super::Charset::{Ascii, Latin1, Utf8};

    #[test]
    fn text_is_recognised_in_each_charset() {
        for (charset, text, bytes) in [
            (Utf8, "länk „", &b"l\xc3\xa4nk \xe2\x80\x9e"[..]),
            (Latin1, "länk «”", b"l\xe4nk \xab\""),
            (Ascii, "länk «„”", b"l?nk <<,,\""),
            (Ascii, "fatal\u{a0}: ", b"fatal : "),
            (Ascii, "l’enllaç", b"l'enlla?"),
            (Ascii, "「", b"?"),
        ] {
            assert_eq!(charset.strip_prefix(bytes, text), Some(&b""[..]), "{text}");
            let longer = [bytes, b"x"].concat();
            assert_eq!(charset.strip_prefix(&longer, text), Some(&b"x"[..]));
            assert_eq!(charset.strip_prefix(&bytes[1..], text), None, "{text}");
            assert_eq!(charset.first_byte(text), bytes.first().copied());
        }
        for (charset, text, bytes) in [
            (Ascii, "ссылку «", &b"?????? <<"[..]),
            (Latin1, "링크", b"??"),
        ] {
            assert_eq!(
                charset.strip_prefix(bytes, text),
                None,
                "only question marks are left"
            );
        }
    }
}
