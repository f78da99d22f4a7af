//! Args as a shell reads them, without passwords.

use std::ffi::CStr;
use std::fmt;

/// Args of a command line, on one line and quoted for a shell (bash, ksh or zsh) whatever bytes they hold, and without the
/// password in a URL: what is shown here ends up in tickets.
pub struct QuotedArgs<'a>(pub &'a [&'a CStr]);

impl fmt::Display for QuotedArgs<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, arg) in self.0.iter().enumerate() {
            let space = if at == 0 { "" } else { " " };
            let mut rest = arg.to_bytes();
            let (begin, end) = if is_plain(rest) {
                ("", "")
            } else {
                ("$'", "'")
            };
            write!(f, "{space}{begin}")?;
            // One arg can hold several URLs: url.<base>.insteadOf=<url>.
            while let Some((before, after)) = around_password(rest) {
                write!(f, "{}***", before.escape_ascii())?;
                rest = after;
            }
            write!(f, "{}{end}", rest.escape_ascii())?;
        }
        Ok(())
    }
}

/// Whether a shell takes `arg` as it is.
fn is_plain(arg: &[u8]) -> bool {
    let is_plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"%+,-./:=@^_".contains(byte);
    !arg.is_empty() && arg.iter().all(is_plain)
}

/// What is before and after the first user and password of a URL in `arg`; `None` if there is none.
fn around_password(arg: &[u8]) -> Option<(&[u8], &[u8])> {
    let schemes = arg.windows(3).enumerate();
    schemes
        .filter(|(_, three)| **three == *b"://")
        .find_map(|(scheme, _)| {
            let (scheme, rest) = arg.split_at_checked(scheme + 3)?;
            let host_end = rest
                .iter()
                .position(|&byte| byte == b'/')
                .unwrap_or(rest.len());
            let at = rest
                .get(..host_end)?
                .iter()
                .rposition(|&byte| byte == b'@')?;
            Some((scheme, rest.get(at..)?))
        })
}

#[cfg(test)]
mod tests {
    use super::QuotedArgs;

    #[test]
    fn passwords_are_not_shown() {
        let args = [
            c"git",
            c"clone",
            c"https://me:secret@host/a@b",
            c"a@b:c",
            c"u://h/a@b",
            c"url.u://h/.insteadOf=u://me:secret@h/",
            c"url.u://me:secret@h/.insteadOf=u://you:hidden@h/",
        ];
        let shown = r"git clone https://***@host/a@b a@b:c u://h/a@b".to_owned()
            + " url.u://h/.insteadOf=u://***@h/ url.u://***@h/.insteadOf=u://***@h/";
        assert_eq!(QuotedArgs(&args).to_string(), shown);
    }

    #[test]
    fn a_shell_reads_the_same_words() {
        let args = [
            c"git",
            c"",
            c"a b",
            c"it's\\",
            c"$HOME",
            c"caf\xe9\n",
            c"-c",
            c"a.b=c",
        ];
        let shown = r"git $'' $'a b' $'it\'s\\' $'$HOME' $'caf\xe9\n' -c a.b=c";
        assert_eq!(QuotedArgs(&args).to_string(), shown);
    }
}
