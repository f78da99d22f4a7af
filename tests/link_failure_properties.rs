//! `link_failure::find` on generated stderr: any bytes that git, its hooks and its filters may write.

use git_clone_shim::git::link_failure::{LinkFailure, find};
use proptest::collection::vec;
use proptest::prelude::{Strategy, any};
use proptest::sample::select;
use proptest::test_runner::{Config, FileFailurePersistence};
use proptest::{prop_assert, prop_assert_eq, prop_assume, prop_oneof, proptest};

/// The prefixes of git's fatal messages, in some languages and charsets.
const PREFIXES: [&[u8]; 5] = [
    b"fatal: ",
    b"Schwerwiegend: ",
    "ödesdigert: ".as_bytes(),
    b"\xf6desdigert: ",
    "致命错误：".as_bytes(),
];

/// Fatal messages of a link failure.
const FATAL: [&str; 8] = [
    "fatal: 'b/.git/objects/4b/825d' 링크를 만드는데 실패했습니다: 명령을 허용하지 않음",
    "fatal: failed to create link 'b/.git/objects/4b/825d': Operation not permitted",
    "fatal: hardlink different from source at 'b/.git/objects/4b/825d'",
    "fatal: hardlink cannot be checked at 'b/.git/objects/4b/825d'",
    "Schwerwiegend: Konnte Verweis 'b/.git/objects/4b/825d' nicht erstellen: Das Argument ist ungültig",
    "Schwerwiegend: Hardlink bei 'b/.git/objects/4b/825d' kann nicht geprüft werden",
    "ödesdigert: misslyckades skapa länken ”b/.git/objects/4b/825d”: Ogiltig länk över skilda enheter",
    "致命错误：无法创建链接 'b/.git/objects/4b/825d'：不允许的操作",
];

/// Any bytes, among them many of the texts that `find` looks for.
fn bytes() -> impl Strategy<Value = Vec<u8>> {
    let args = [
        &b"failed to create link '"[..],
        b"hardlink different from source at '",
        b"hardlink cannot be checked at '",
        "링크를 만드는데 실패했습니다".as_bytes(),
        b"error: ",
        b"remote: ",
        b"' ",
        b"\r",
        b"\n",
    ];
    let known = [&PREFIXES[..], &args].concat();
    let piece = prop_oneof![
        4 => select(known).prop_map(<[u8]>::to_vec),
        1 => vec(any::<u8>(), 0..40),
    ];
    vec(piece, 0..30).prop_map(|pieces| pieces.concat())
}

/// Whole lines that are not fatal messages.
fn noise() -> impl Strategy<Value = Vec<u8>> {
    let prefix = select(vec![&b"remote: "[..], b"error: ", b" "]);
    let line = (prefix, bytes()).prop_map(|(prefix, rest)| {
        let rest = rest.split(|&byte| byte == b'\n').collect::<Vec<_>>();
        [prefix, &rest.concat(), b"\n"].concat()
    });
    vec(line, 0..5).prop_map(|lines| lines.concat())
}

/// The offset in `stderr` at which the line of `failure` begins.
fn offset(stderr: &[u8], failure: &LinkFailure<'_>) -> Option<usize> {
    let range = stderr.as_ptr_range();
    let line = failure.line.as_ptr_range();
    let inside = range.start <= line.start && line.end <= range.end;
    inside.then(|| line.start.addr() - range.start.addr())
}

/// The seeds of stderr that was once misjudged; every run begins with them.
const REGRESSIONS: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/tests/link_failure_properties.regressions.txt"
);

proptest! {
    #![proptest_config(Config {
        failure_persistence: Some(Box::new(FileFailurePersistence::Direct(REGRESSIONS))),
        // Inputs that prove nothing are rejected, and others generated instead, without a limit.
        max_global_rejects: u32::MAX,
        ..Config::default()
    })]

    #[test]
    fn failure_begins_with_a_prefix(stderr in bytes()) {
        if let Some(failure) = find(&stderr) {
            let offset = offset(&stderr, &failure);
            prop_assert!(offset.is_some(), "a line from elsewhere");
            let before = &stderr[..offset.unwrap()];
            let prefix = before.rsplit(|&byte| byte == b'\n').next().unwrap();
            prop_assert!(PREFIXES.contains(&prefix), "{}", prefix.escape_ascii());
            prop_assert!(!failure.line.contains(&b'\n'));
        }
    }

    #[test]
    fn message_inside_a_line_is_no_failure(
        before in bytes(),
        // Not the first one, which begins with a path: a path can contain anything.
        fatal in select(&FATAL[1..]),
        after in noise(),
    ) {
        prop_assume!(!before.is_empty() && !before.ends_with(b"\n"));
        prop_assume!(find(&before).is_none());
        let stderr = [&before, fatal.as_bytes(), b"\n", &after].concat();
        prop_assert_eq!(find(&stderr), None);
    }

    #[test]
    fn failure_is_found_among_other_lines(
        before in noise(),
        fatal in select(&FATAL[..]),
        after in noise(),
    ) {
        let alone = find(fatal.as_bytes());
        prop_assert!(alone.is_some());
        let stderr = [&before, fatal.as_bytes(), b"\n", &after].concat();
        // What follows the path depends on the lines around it.
        let known = |failure: Option<LinkFailure<'_>>| failure.map(|failure| (failure.message, failure.line.to_owned(), failure.errno));
        prop_assert_eq!(known(find(&stderr)), known(alone));
    }
}

/// A search that is not linear in its input would not end in a reasonable time here.
#[test]
fn long_hostile_input_is_judged_in_linear_time() {
    let pieces = [
        &b"fatal: "[..],
        b"\nfatal: ",
        b"\nfatal: failed to create link ",
        b"\n",
        b"'",
        b"\xff",
    ];
    let fatal = FATAL[0].as_bytes();
    // The second is as much as the relay keeps.
    for size in [64 << 10, 256 << 10] {
        for piece in pieces {
            let stderr = [&piece.repeat(size / piece.len()), &b"\n"[..], fatal].concat();
            assert_eq!(find(&stderr), find(fatal), "{}", piece.escape_ascii());
        }
    }
}
