//! A link failure is recognised in every language of git's messages. The user's locale stays as it is.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;

use git_clone_shim::git::link_failure;
use tempfile::TempDir;

use nix::libc;

use crate::support::arena::Arena;
use crate::support::args::{Args, args, with_no_hardlinks, with_source};
use crate::support::arrangement;
use crate::support::call::{Call, Outcome};
use crate::support::gits::{Git, gits};
use crate::support::refusing_fs::{LinkRule, arena_on, mount};
use crate::support::source;
use crate::support::tree;

const REFUSED: &str = "failed to create link '%s'";
const DIFFERENT: &str = "hardlink different from source at '%s'";
const UNCHECKED: &str = "hardlink cannot be checked at '%s'";

/// The environment variables that set a locale: names and values.
type Environment<'a> = &'a [(&'a str, &'a str)];

/// A message catalogue: the messages of one git in one language.
struct Catalogue {
    language: String,
    /// As a .po file, with two lines for each message.
    text: String,
}

impl Catalogue {
    /// The catalogues that are installed beside `git`, by language. A git built without gettext has none.
    fn all(git: &Git) -> Vec<Self> {
        let program = git.file.canonicalize().unwrap();
        let prefix = program.parent().and_then(Path::parent).unwrap();
        let Ok(languages) = fs::read_dir(prefix.join("share/locale")) else {
            return Vec::new();
        };
        let mut catalogues: Vec<_> = languages
            .map(|language| language.unwrap())
            .map(|language| {
                (
                    language.file_name(),
                    language.path().join("LC_MESSAGES/git.mo"),
                )
            })
            .filter(|(_, file)| file.exists())
            .map(|(language, file)| Self {
                language: language.into_string().unwrap(),
                text: output(Command::new("msgunfmt").arg("--no-wrap").arg(file)),
            })
            .collect();
        catalogues.sort_by(|one, other| one.language.cmp(&other.language));
        catalogues
    }

    /// The translation of a message, if there is one.
    fn translation(&self, text: &str) -> Option<String> {
        let begin = format!("\nmsgid \"{text}\"\nmsgstr \"");
        let (_, rest) = self.text.split_once(&begin)?;
        let (translation, _) = rest.split_once("\"\n")?;
        Some(translation.replace("\\\"", "\""))
    }
}

/// What `command`, which must succeed, writes to standard output.
fn output(command: &mut Command) -> String {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}: {output:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// Whether these programs are on this machine; reports the missing ones.
#[track_caller]
fn have(programs: &[&str]) -> bool {
    programs.iter().all(|program| {
        let ran = Command::new(program).arg("--version").output();
        let there = ran.is_ok_and(|output| output.status.success());
        if !there {
            arrangement::missing(program);
        }
        there
    })
}

/// Locales of a test's own, for `LOCPATH`.
struct Locales(TempDir);

impl Locales {
    /// Makes the locales of these names, such as `de_DE.UTF-8`.
    #[track_caller]
    fn make(names: &[&str]) -> Option<Self> {
        if !have(&["localedef"]) {
            return None;
        }
        if !Path::new("/usr/share/i18n/locales").exists() {
            arrangement::missing("locale sources (Debian package locales)");
            return None;
        }
        let locales = Self(tempfile::tempdir().unwrap());
        let making = names.iter().map(|name| {
            let (territory, charset) = name.split_once('.').unwrap();
            let mut localedef = Command::new("localedef");
            localedef.args(["--no-archive", "--quiet", "-i", territory, "-f", charset]);
            (
                name,
                localedef.arg(locales.0.path().join(name)).spawn().unwrap(),
            )
        });
        // All at once: each takes a second.
        for (name, mut child) in making.collect::<Vec<_>>() {
            assert!(
                child.wait().unwrap().success(),
                "localedef cannot make {name}"
            );
        }
        Some(locales)
    }

    /// Gives a locale a second name, by which gettext finds the catalogue.
    fn link(&self, name: &str, second_name: &str) {
        symlink(name, self.0.path().join(second_name)).unwrap();
    }

    fn path(&self) -> &str {
        self.0.path().to_str().unwrap()
    }
}

/// Runs `args` in `environment` with the real git, which must fail; with the real git and `--no-hardlinks`; and through the
/// shim, which must come to the same as the fallback. Returns the outcome of the first.
#[track_caller]
fn assert_cured(arena: &Arena, args: &Args, environment: Environment<'_>) -> Outcome {
    let run = |call: Call| {
        let call = environment
            .iter()
            .fold(call, |call, (name, value)| call.env(name, value));
        arena.run(call)
    };
    let failed = run(arena.real(args.clone())).outcome;
    assert_eq!(
        failed.status.code(),
        Some(128),
        "{environment:?}: {failed:?}"
    );
    let expected = run(arena.real(with_no_hardlinks(args)));
    let cured = expected.retried_while_late(|| run(arena.shim(args.clone())));
    assert_eq!(
        cured.outcome,
        expected.outcome.succeeded(),
        "{environment:?}: {failed:?}"
    );
    assert_eq!(tree::differences(&cured.tree, &expected.tree), [""; 0]);
    failed
}

/// Whether stderr contains the parts of `wording` before and after the path.
fn is_worded(outcome: &Outcome, wording: &str) -> bool {
    let mut parts = wording.split("%s").filter(|part| !part.is_empty());
    parts.all(|part| outcome.stderr_contains(part))
}

/// The gits that have message catalogues, with these; reports it if there are none.
#[track_caller]
fn gits_with_catalogues() -> Vec<(&'static Git, Vec<Catalogue>)> {
    if !have(&["msgunfmt"]) {
        return Vec::new();
    }
    let all = gits().iter().map(|git| (git, Catalogue::all(git)));
    let found: Vec<_> = all
        .filter(|(_, catalogues)| !catalogues.is_empty())
        .collect();
    if found.is_empty() {
        arrangement::missing("git with message catalogues");
    }
    found
}

#[test]
fn link_failure_is_recognised_in_every_language() {
    for (git, catalogues) in gits_with_catalogues() {
        let Some(locales) = Locales::make(&["en_US.UTF-8"]) else {
            return;
        };
        let arena = Arena::new(git).with_links_failing(libc::EPERM);
        let source = source::small(&arena, "src");
        let line = with_source(&source, args("clone --local SRC dst"));
        for catalogue in &catalogues {
            let name = format!("{}.UTF-8", catalogue.language);
            locales.link("en_US.UTF-8", &name);
            // Not every catalogue has this message.
            let wording = catalogue.translation(REFUSED).unwrap_or(REFUSED.to_owned());
            for environment in [
                [("LOCPATH", locales.path()), ("LC_ALL", &name)],
                [("LANGUAGE", &catalogue.language), ("LC_ALL", "C.UTF-8")],
            ] {
                let failed = assert_cured(&arena, &line, &environment);
                assert!(is_worded(&failed, &wording), "{wording}: {failed:?}");
            }
        }
    }
}

#[test]
fn link_failure_is_recognised_in_two_languages_at_once() {
    // gettext looks in the next catalogue for a message that one lacks, so prefix and message can differ in language.
    for (git, _) in gits_with_catalogues() {
        let arena = Arena::new(git).with_links_failing(libc::EPERM);
        let source = source::small(&arena, "src");
        let line = with_source(&source, args("clone --local SRC dst"));
        for languages in ["is:sv", "vi:sv", "ko:tr:de", "it:zh_CN"] {
            assert_cured(
                &arena,
                &line,
                &[("LANGUAGE", languages), ("LC_ALL", "C.UTF-8")],
            );
        }
    }
}

#[test]
fn link_failure_is_recognised_in_locales_of_every_charset() {
    const CURED: [&str; 6] = [
        "ca_ES.ISO-8859-1",
        "de_DE.ISO-8859-1",
        "es_ES.ISO-8859-15",
        "fr_FR.ISO-8859-15",
        "sv_SE.ISO-8859-1",
        "tr_TR.UTF-8",
    ];
    const NOT_CURED: &str = "ru_RU.KOI8-R";
    for (git, _) in gits_with_catalogues() {
        let Some(locales) = Locales::make(&[&CURED[..], &[NOT_CURED]].concat()) else {
            return;
        };
        let arena = Arena::new(git).with_links_failing(libc::EPERM);
        let source = source::small(&arena, "src");
        let line = with_source(&source, args("clone --local SRC dst"));
        for name in CURED {
            let failed = assert_cured(
                &arena,
                &line,
                &[("LOCPATH", locales.path()), ("LC_ALL", name)],
            );
            assert!(
                !failed.stderr_contains("failed to create link"),
                "{failed:?}"
            );
            // The charset of a locale that does not exist is ASCII, as with the LC_CTYPE that macOS sets.
            let messages = [
                ("LOCPATH", locales.path()),
                ("LC_ALL", ""),
                ("LC_MESSAGES", name),
                ("LC_CTYPE", "UTF-8"),
            ];
            let failed = assert_cured(&arena, &line, &messages);
            assert!(
                !failed.stderr_contains("failed to create link") && failed.stderr.is_ascii(),
                "{failed:?}"
            );
        }
        let run = |call: Call| {
            arena
                .run(call.env("LOCPATH", locales.path()).env("LC_ALL", NOT_CURED))
                .outcome
        };
        let failed = run(arena.real(line.clone()));
        assert!(
            failed.died_of("fatal: ") && !failed.stderr_contains("failed to create link"),
            "{failed:?}"
        );
        assert_eq!(run(arena.shim(line)), failed);
    }
}

#[test]
fn different_link_is_recognised_in_every_language() {
    // The messages of git 2.55, in catalogues for any git.
    const NEWER: [(&str, &str, &str); 3] = [
        (
            "de",
            "Schwerwiegend: ",
            "Hardlink unterscheidet sich von der Quelle bei '%s'",
        ),
        (
            "tr",
            "onulmaz: ",
            "sabit bağlantı, '%s' konumundaki kaynaktan farklı",
        ),
        ("zh_TW", "致命錯誤: ", "硬連結與位於「%s」的來源不同"),
    ];
    if !have(&["msgfmt"]) {
        return;
    }
    for (git, _) in gits_with_catalogues() {
        let Some((directory, filesystem)) = mount(LinkRule::InodePerPath) else {
            return;
        };
        let catalogues = directory.path().join("catalogues");
        let (arena, source) = arena_on(&filesystem, Arena::new(git));
        let line = with_source(&source, args("clone -q SRC dst"));
        for (language, prefix, different) in NEWER {
            write_catalogue(
                &catalogues,
                language,
                &[("fatal: ", prefix), (DIFFERENT, different)],
            );
            let environment = [
                ("GIT_TEXTDOMAINDIR", catalogues.to_str().unwrap()),
                ("LANGUAGE", language),
                ("LC_ALL", "C.UTF-8"),
            ];
            let failed = assert_cured(&arena, &line, &environment);
            assert!(is_worded(&failed, different), "{different}: {failed:?}");
        }
        // As with Debian's git 2.39, which has a German prefix only, before the English message.
        let german = [("LANGUAGE", "de"), ("LC_ALL", "C.UTF-8")];
        assert_cured(&arena, &line, &german);
    }
}

/// Makes a message catalogue below `directory`.
fn write_catalogue(directory: &Path, language: &str, messages: &[(&str, &str)]) {
    let directory = directory.join(language).join("LC_MESSAGES");
    fs::create_dir_all(&directory).unwrap();
    let header = "msgid \"\"\nmsgstr \"Content-Type: text/plain; charset=UTF-8\\n\"\n".to_owned();
    let messages = messages.iter().map(|(original, translation)| {
        format!("\nmsgid \"{original}\"\nmsgstr \"{translation}\"\n")
    });
    let text: String = std::iter::once(header).chain(messages).collect();
    let file = directory.join("git.po");
    fs::write(&file, text).unwrap();
    output(
        Command::new("msgfmt")
            .arg("-o")
            .arg(directory.join("git.mo"))
            .arg(file),
    );
}
