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

    /// The bytes of `text`, with glibc's replacement for each character that the charset does not contain.
    ///
    /// `None` if no letter is left of its words, only question marks: they would match any other text.
    pub(super) fn encode(self, text: &str) -> Option<Vec<u8>> {
        let characters = match self {
            Self::Utf8 => return Some(text.into()),
            Self::Latin1 => 0x100,
            Self::Ascii => 0x80,
        };
        let mut bytes = Vec::new();
        for character in text.chars() {
            match character {
                _ if u32::from(character) < characters => bytes.extend(u8::try_from(character)),
                '\u{a0}' => bytes.push(b' '),
                '“' | '”' => bytes.push(b'"'),
                '‘' | '’' => bytes.push(b'\''),
                '„' => bytes.extend(b",,"),
                '«' => bytes.extend(b"<<"),
                '»' => bytes.extend(b">>"),
                _ => bytes.push(b'?'),
            }
        }
        let legible = !has_words(text) || bytes.iter().any(u8::is_ascii_alphabetic);
        legible.then_some(bytes)
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
    fn text_is_encoded_as_glibc_does_it() {
        for (charset, text, expected) in [
            (Utf8, "länk „", Some(&b"l\xc3\xa4nk \xe2\x80\x9e"[..])),
            (Latin1, "länk «”", Some(b"l\xe4nk \xab\"")),
            (Ascii, "länk «„”", Some(b"l?nk <<,,\"")),
            (Ascii, "fatal\u{a0}: ", Some(b"fatal : ")),
            (Ascii, "l’enllaç", Some(b"l'enlla?")),
            (Ascii, "ссылку «", None),
            (Latin1, "링크", None),
            (Ascii, "「", Some(b"?")),
        ] {
            assert_eq!(charset.encode(text).as_deref(), expected, "{text}");
        }
    }
}
