//! A link failure is recognised whatever language git speaks, and the fallback speaks the user's language.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;

use nix::libc;

use crate::support::arena::{Arena, REFUSED};
use crate::support::args::{args, with_source};
use crate::support::arrangement;
use crate::support::gits::{Git, gits};
use crate::support::scratch;
use crate::support::source;

/// Locales in which git writes other bytes than UTF-8.
const CHARSETS: [&str; 4] = ["de_DE.ISO-8859-1", "ru_RU.KOI8-R", "ko_KR.EUC-KR", "tr_TR.UTF-8"];

/// The languages of the message catalogues that are installed beside `git`. A git built without gettext has none.
fn languages(git: &Git) -> Vec<String> {
    let program = git.file.canonicalize().unwrap();
    let prefix = program.parent().and_then(Path::parent).unwrap();
    let found = fs::read_dir(prefix.join("share/locale")).into_iter().flatten();
    let found = found.map(|language| language.unwrap());
    let found = found.filter(|language| language.path().join("LC_MESSAGES/git.mo").exists());
    found.map(|language| language.file_name().into_string().unwrap()).collect()
}

/// Makes these locales below `directory`, for `LOCPATH`.
fn make_locales(directory: &Path, names: &[&str]) {
    let make = |name: &&str| {
        let (territory, charset) = name.split_once('.').unwrap();
        let mut localedef = Command::new("localedef");
        localedef.args(["--no-archive", "--quiet", "-i", territory, "-f", charset]);
        localedef.arg(directory.join(name)).spawn().unwrap()
    };
    // All at once: each takes a second.
    for mut making in names.iter().map(make).collect::<Vec<_>>() {
        assert!(making.wait().unwrap().success(), "localedef");
    }
}

#[test]
fn every_language_is_cured_and_spoken() {
    let sources = Path::new("/usr/share/i18n/locales").exists();
    if !sources || arrangement::program("localedef").is_none() {
        return arrangement::missing("locale sources (Debian package locales)");
    }
    let directory = scratch::directory();
    make_locales(directory.path(), &[&CHARSETS[..], &["en_US.UTF-8"]].concat());
    let mut translated = BTreeSet::new();
    for git in gits() {
        let mut arena = Arena::new(git)
            .with_links_failing(libc::EPERM)
            .with_variable("LOCPATH", directory.path())
            .with_variable("GIT_TEMPLATE_DIR", "");
        let source = source::small(&arena, "src");
        let line = with_source(&source, args("clone --local SRC dst"));
        let languages = languages(git);
        for language in &languages {
            // By this name gettext finds the catalogue.
            let _ = symlink("en_US.UTF-8", directory.path().join(format!("{language}.UTF-8")));
        }
        let locales = languages.iter().map(|language| format!("{language}.UTF-8"));
        let locales =
            locales.chain(CHARSETS.map(str::to_owned)).map(|locale| [("LC_ALL", locale), ("LANGUAGE", String::new())]);
        // gettext looks in the next catalogue for a message that one lacks, so prefix and message can differ in language.
        let several = ["is:sv", "vi:sv", "ko:tr:de", "it:zh_CN"].map(str::to_owned);
        let several = several.map(|languages| [("LC_ALL", "C.UTF-8".to_owned()), ("LANGUAGE", languages)]);
        for variables in locales.chain(several) {
            let said = variables.clone();
            arena = variables.into_iter().fold(arena, |arena, (name, value)| arena.with_variable(name, value));
            let failed = arena.run(arena.real(line.clone())).outcome;
            assert_eq!(failed.status.code(), Some(128), "{said:?}: {failed:?}");
            translated.extend((!failed.stderr_contains(REFUSED)).then_some(said.clone()));
            arena.assert_copied_in(&|_| (), &line);
        }
        // The attempt speaks English: where links work, that is what the user sees (docs/differences.md).
        if languages.iter().any(|language| language == "de") {
            let arena = Arena::new(git).with_variable("LOCPATH", directory.path()).with_variable("LC_ALL", "de.UTF-8");
            let line = with_source(source::small(&arena, "src"), args("clone -l SRC dst"));
            let [real, shim] =
                [arena.real(line.clone()), arena.shim(line)].map(|call| arena.run(call).outcome.succeeded());
            assert!(!real.stderr_contains("Cloning into") && shim.stderr_contains("Cloning into"), "{real:?} {shim:?}");
        }
    }
    if translated.is_empty() {
        arrangement::missing("git with message catalogues");
    }
}
