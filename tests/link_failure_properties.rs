//! The judge, over whatever bytes git, its hooks and its filters may write.

use git_clone_shim::git::link_failure::{LinkFailure, find};
use proptest::collection::vec;
use proptest::prelude::{Strategy, any};
use proptest::sample::select;
use proptest::test_runner::{Config, FileFailurePersistence};
use proptest::{prop_assert, prop_assert_eq, prop_assume, prop_oneof, proptest};

/// What git writes before a message of which it dies, in some languages and charsets.
const PREFIXES: [&[u8]; 5] = [
    b"fatal: ",
    b"Schwerwiegend: ",
    "ödesdigert: ".as_bytes(),
    b"\xf6desdigert: ",
    "致命错误：".as_bytes(),
];

const DYING: [&str; 8] = [
    "fatal: 'b/.git/objects/4b/825d' 링크를 만드는데 실패했습니다: 명령을 허용하지 않음",
    "fatal: failed to create link 'b/.git/objects/4b/825d': Operation not permitted",
    "fatal: hardlink different from source at 'b/.git/objects/4b/825d'",
    "fatal: hardlink cannot be checked at 'b/.git/objects/4b/825d'",
    "Schwerwiegend: Konnte Verweis 'b/.git/objects/4b/825d' nicht erstellen: Das Argument ist ungültig",
    "Schwerwiegend: Hardlink bei 'b/.git/objects/4b/825d' kann nicht geprüft werden",
    "ödesdigert: misslyckades skapa länken ”b/.git/objects/4b/825d”: Ogiltig länk över skilda enheter",
    "致命错误：无法创建链接 'b/.git/objects/4b/825d'：不允许的操作",
];

/// Bytes of any kind, among them much of what the judge looks for.
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

/// Whole lines of which git does not die.
fn noise() -> impl Strategy<Value = Vec<u8>> {
    let begun = select(vec![&b"remote: "[..], b"error: ", b" "]);
    let line = (begun, bytes()).prop_map(|(begun, rest)| {
        let rest = rest.split(|&byte| byte == b'\n').collect::<Vec<_>>();
        [begun, &rest.concat(), b"\n"].concat()
    });
    vec(line, 0..5).prop_map(|lines| lines.concat())
}

/// Where in `stderr` the line of `failure` begins.
fn offset(stderr: &[u8], failure: &LinkFailure<'_>) -> Option<usize> {
    let range = stderr.as_ptr_range();
    let line = failure.line.as_ptr_range();
    let inside = range.start <= line.start && line.end <= range.end;
    inside.then(|| line.start.addr() - range.start.addr())
}

/// The seeds of bytes that were once misjudged; every run begins with them.
const REGRESSIONS: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/tests/link_failure_properties.regressions.txt"
);

proptest! {
    #![proptest_config(Config {
        failure_persistence: Some(Box::new(FileFailurePersistence::Direct(REGRESSIONS))),
        // Some inputs prove nothing and are drawn again, however many are asked for.
        max_global_rejects: u32::MAX,
        ..Config::default()
    })]

    #[test]
    fn only_a_line_that_begins_with_a_prefix(stderr in bytes()) {
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
    fn never_in_the_middle_of_a_line(
        before in bytes(),
        // Not the first one, which begins with a path, in which anything can stand.
        dying in select(&DYING[1..]),
        after in noise(),
    ) {
        prop_assume!(!before.is_empty() && !before.ends_with(b"\n"));
        prop_assume!(find(&before).is_none());
        let stderr = [&before, dying.as_bytes(), b"\n", &after].concat();
        prop_assert_eq!(find(&stderr), None);
    }

    #[test]
    fn whatever_stands_around_it(
        before in noise(),
        dying in select(&DYING[..]),
        after in noise(),
    ) {
        let alone = find(dying.as_bytes());
        prop_assert!(alone.is_some());
        let stderr = [&before, dying.as_bytes(), b"\n", &after].concat();
        // What follows the path differs with what stands around it.
        let known = |failure: Option<LinkFailure<'_>>| failure.map(|failure| (failure.message, failure.line.to_owned(), failure.errno));
        prop_assert_eq!(known(find(&stderr)), known(alone));
    }
}

/// A judge that is not linear in its input would not come to an end here.
#[test]
fn hostile_input_of_any_size() {
    let pieces = [
        &b"fatal: "[..],
        b"\nfatal: ",
        b"\nfatal: failed to create link ",
        b"\n",
        b"'",
        b"\xff",
    ];
    let dying = DYING[0].as_bytes();
    for size in [64 << 10, 1 << 20] {
        for piece in pieces {
            let stderr = [&piece.repeat(size / piece.len()), &b"\n"[..], dying].concat();
            assert_eq!(find(&stderr), find(dying), "{}", piece.escape_ascii());
        }
    }
}
