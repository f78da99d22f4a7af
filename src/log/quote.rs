//! Args as a shell reads them, without passwords and tokens.

use std::borrow::Cow;
use std::ffi::CStr;
use std::fmt;
use std::sync::LazyLock;

use regex::bytes::Regex;

/// What is secret in an arg, and what is shown instead.
///
/// They hide too much rather than too little: a password may hold what an address would have to encode. `(?s-u)`: bytes, and
/// line breaks too.
const SECRETS: [(&str, &str); 4] = [
    // User and password of a URL, also of one that is encoded within another.
    (
        r"(?is-u)(://|%3a%2f%2f)([^/]*|[^/:@]*:[^@]*)(@|%40)",
        "$1***$3",
    ),
    // The query of a URL.
    (r"(?is-u)((://|%3a%2f%2f)[^?#]*[?#]).*", "$1***"),
    // `user:password@host`, as people write it without a scheme, also as the value of an option.
    (r"(?s-u)^((.*=)?)[^/:@=]+:[^:/@][^@]*@", "$1***@"),
    // Configuration and parameters: `http.extraHeader=…`, `token=…`.
    (
        r"(?is-u)((header|pass|token|secret|cookie|credential|auth)[^=\s]*=).*",
        "$1***",
    ),
];

/// [`SECRETS`], compiled; `None` if that failed. To compile them takes longer than a whole pass-through, so it is done only
/// for a log or `explain`.
static PATTERNS: LazyLock<Option<Vec<(Regex, &str)>>> = LazyLock::new(|| {
    let compile = |(pattern, shown)| Some((Regex::new(pattern).ok()?, shown));
    SECRETS.into_iter().map(compile).collect()
});

/// Args of a command line, on one line and quoted for a shell (bash, ksh or zsh) whatever bytes they hold, and without
/// passwords and tokens: what is shown here ends up in tickets.
pub struct QuotedArgs<'a>(pub &'a [&'a CStr]);

impl fmt::Display for QuotedArgs<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, arg) in self.0.iter().enumerate() {
            let space = if at == 0 { "" } else { " " };
            let arg = arg.to_bytes();
            let (begin, end) = if is_plain(arg) { ("", "") } else { ("$'", "'") };
            write!(f, "{space}{begin}{}{end}", redacted(arg).escape_ascii())?;
        }
        Ok(())
    }
}

/// `arg` without what is secret in it.
fn redacted(arg: &[u8]) -> Vec<u8> {
    let Some(patterns) = &*PATTERNS else {
        return b"***".to_vec();
    };
    let hide = |arg: Vec<u8>, (pattern, shown): &(Regex, &str)| match pattern
        .replace_all(&arg, shown.as_bytes())
    {
        Cow::Borrowed(_) => arg,
        Cow::Owned(redacted) => redacted,
    };
    patterns.iter().fold(arg.to_vec(), hide)
}

/// Whether a shell takes `arg` as it is.
fn is_plain(arg: &[u8]) -> bool {
    let is_plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"%+,-./:=@^_".contains(byte);
    !arg.is_empty() && arg.iter().all(is_plain)
}

#[cfg(test)]
mod tests {
    use std::ffi::CString;

    use super::QuotedArgs;

    #[track_caller]
    fn assert_shown(arg: &str, shown: &str) {
        let arg = CString::new(arg).unwrap();
        assert_eq!(QuotedArgs(&[&arg]).to_string(), shown, "{arg:?}");
    }

    #[test]
    fn passwords_and_tokens_are_hidden() {
        for (arg, shown) in [
            ("https://me:secret@host/a@b", "https://***@host/a@b"),
            ("https://secret@host/a", "https://***@host/a"),
            ("ftp://me:se@cret@host/a", "ftp://***@host/a"),
            ("https://me:se/cret@host/a", "https://***@host/a"),
            ("https://me:se%40cr%3Aet@host/a", "https://***@host/a"),
            ("ext::https://me:secret@host/a", "ext::https://***@host/a"),
            (
                "--config=u=https%3A%2F%2Fme:secret%40host",
                "--config=u=https%3A%2F%2F***%40host",
            ),
            (
                "url.u://h/.insteadOf=u://me:secret@h/",
                "url.u://h/.insteadOf=u://***@h/",
            ),
            (
                "url.u://me:secret@h/.insteadOf=u://you:secret@h/",
                "url.u://***@h/.insteadOf=u://***@h/",
            ),
            (
                "https://host/a?private_token=secret&x=y",
                "$'https://host/a?***'",
            ),
            ("https://host/a?secret", "$'https://host/a?***'"),
            ("https://host/a#secret", "$'https://host/a#***'"),
            ("https://me:se?cret@host/a", "$'https://***@host/a'"),
            ("me:secret@host:a", "***@host:a"),
            (
                "-chttp.proxy=me:secret@host:3128",
                "-chttp.proxy=***@host:3128",
            ),
            (
                "http.proxy=me:sec=ret@host:3128",
                "http.proxy=***@host:3128",
            ),
            (
                "http.extraHeader=Authorization: Basic secret",
                "$'http.extraHeader=***'",
            ),
            (
                "http.EXTRAHEADER=A: secret\nB: secret",
                "$'http.EXTRAHEADER=***'",
            ),
            (
                "--config=http.https://host/.extraheader=secret",
                "--config=http.https://host/.extraheader=***",
            ),
            ("-chttp.extraHeader=secret", "-chttp.extraHeader=***"),
            ("--server-option=token=secret", "--server-option=token=***"),
            ("credential.helper=!echo secret", "$'credential.helper=***'"),
            ("sendemail.smtpPass=secret", "sendemail.smtpPass=***"),
        ] {
            assert_shown(arg, shown);
            assert!(!shown.contains("secret"), "{shown}");
        }
    }

    #[test]
    fn what_is_not_secret_is_shown() {
        for arg in [
            "clone",
            "a@b:c",
            "u://h/a@b",
            "https://host:8443/a",
            "/a/b@c",
            "--origin=upstream",
            "core.autocrlf=true",
        ] {
            assert_shown(arg, arg);
        }
        assert_shown("a?b#c", "$'a?b#c'");
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
