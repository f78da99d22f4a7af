//! git's grammar: which command the words name and, for `clone`, whether it can hard-link. Pure.
//!
//! Written after `handle_options` (git.c) and `parse_options_step`, `parse_long_opt` and `parse_short_opt`
//! (parse-options.c). Words that git refuses need no care here: it refuses them whatever we make of them, on every path.

use std::ffi::{CStr, OsStr};
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use super::clone_options::{self, CloneOption, Meaning, Takes};

/// Options before the command that take the next word as their value.
const GLOBAL_WITH_VALUE: [&[u8]; 9] = [
    b"-C",
    b"-c",
    b"--git-dir",
    b"--work-tree",
    b"--namespace",
    b"--super-prefix",
    b"--config-env",
    b"--attr-source",
    b"--shallow-file",
];

/// Options before the command whose value is part of the word.
const GLOBAL_WITH_EQUALS: [&[u8]; 7] = [
    b"--exec-path=",
    b"--git-dir=",
    b"--work-tree=",
    b"--namespace=",
    b"--super-prefix=",
    b"--config-env=",
    b"--attr-source=",
];

/// Options before the command without a value. What is in none of these lists ends git before it runs a command.
const GLOBAL_FLAGS: [&[u8]; 14] = [
    b"-p",
    b"--paginate",
    b"-P",
    b"--no-pager",
    b"--no-replace-objects",
    b"--bare",
    b"--literal-pathspecs",
    b"--no-literal-pathspecs",
    b"--glob-pathspecs",
    b"--noglob-pathspecs",
    b"--icase-pathspecs",
    b"--no-optional-locks",
    b"--no-lazy-fetch",
    b"--no-advice",
];

/// Whether a clone hard-links, as far as its words decide.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Linking {
    /// `--local` is in effect, by the word with this index: git dies where a link is refused.
    Demanded(usize),
    /// Nothing was said: git links if the source is a local directory, and copies where a link is refused.
    IfLocal,
    /// `--no-local`, `--no-hardlinks` or `--shared`: git does not link.
    Never,
}

/// What a word is to git.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// An option before the command.
    Global,
    /// An option before the command that ends git before it runs one, or that is newer than this shim.
    UnknownGlobal,
    /// The command.
    Command,
    /// An option of `clone`, by its full name and whether it is switched on; a word of short options has several.
    Option(&'static str, bool),
    /// An option of `clone` that is newer than this shim, or none.
    UnknownOption,
    /// The value of the option before it.
    Value,
    /// `--` or `--end-of-options`.
    EndOfOptions,
    /// The repository or the destination.
    Positional,
}

/// A `git clone`, as git will read it.
#[derive(Debug)]
pub struct Clone<'a> {
    /// Whether it hard-links.
    pub linking: Linking,
    /// Whether the caller has decided about the progress display, with `--progress`, `--no-progress` or `--quiet`.
    pub progress_decided: bool,
    /// The directories of `-C`, in order, each relative to the one before.
    directories: Vec<&'a CStr>,
    /// The repository and, if given, the destination; more than two are an error of git's.
    pub positionals: Vec<&'a CStr>,
    /// Whether the repository will have no work tree (`--bare`, `--mirror`).
    pub bare: bool,
    /// The index of the word `clone`.
    command: usize,
    /// The index at which a further option is the last one: at `--` or `--end-of-options`, or at the very end.
    options_end: usize,
}

impl Clone<'_> {
    /// The directory to which `-C` leads, relative to our own; empty without `-C`.
    #[must_use]
    pub fn directory(&self) -> PathBuf {
        let named = self
            .directories
            .iter()
            .map(|directory| OsStr::from_bytes(directory.to_bytes()));
        // An empty one stays where it is (git.c).
        named.filter(|directory| !directory.is_empty()).collect()
    }

    /// `words` with `--no-hardlinks` as the last option, where it wins over everything before it.
    #[must_use]
    pub fn without_hard_links<'w>(&self, words: &[&'w CStr]) -> Vec<&'w CStr> {
        splice(words, self.options_end, c"--no-hardlinks")
    }

    /// `words` with `--progress` as the first option, where anything the caller says wins over it.
    #[must_use]
    pub fn with_progress<'w>(&self, words: &[&'w CStr]) -> Vec<&'w CStr> {
        splice(words, self.command + 1, c"--progress")
    }
}

fn splice<'w>(words: &[&'w CStr], at: usize, word: &'w CStr) -> Vec<&'w CStr> {
    let mut spliced = Vec::with_capacity(words.len() + 1);
    spliced.extend(words.iter().take(at));
    spliced.push(word);
    spliced.extend(words.iter().skip(at));
    spliced
}

/// Reads a command line, the program's own name first. `None` if git will run no `clone`, or refuse its words.
#[must_use]
pub fn read<'a>(words: &[&'a CStr]) -> Option<Clone<'a>> {
    read_noting(words, |_, _| {})
}

/// As [`read`], and tells `note` what each word is, by its index, up to the command and in a `clone` to the end.
pub fn read_noting<'a>(words: &[&'a CStr], mut note: impl FnMut(usize, Role)) -> Option<Clone<'a>> {
    let mut directories = Vec::new();
    let mut at = 1;
    loop {
        let word = words.get(at)?.to_bytes();
        if !word.starts_with(b"-") {
            break;
        }
        if GLOBAL_WITH_VALUE.contains(&word) {
            note(at, Role::Global);
            let value = words.get(at + 1)?;
            note(at + 1, Role::Value);
            if word == b"-C" {
                directories.push(*value);
            }
            at += 2;
        } else if GLOBAL_FLAGS.contains(&word)
            || GLOBAL_WITH_EQUALS.iter().any(|name| word.starts_with(name))
        {
            note(at, Role::Global);
            at += 1;
        } else {
            note(at, Role::UnknownGlobal);
            return None;
        }
    }
    note(at, Role::Command);
    if *words.get(at)? != c"clone" {
        return None;
    }
    Reader::new(note).read(words, at, directories)
}

/// What the options of `clone` have said so far. The last word on each subject wins.
struct Reader<N> {
    note: N,
    local: Option<(bool, usize)>,
    no_hardlinks: bool,
    shared: bool,
    bare: bool,
    mirror: bool,
    progress: bool,
    /// As in git's `parse_opt_verbosity_cb`: below zero is quiet.
    verbosity: i32,
}

impl<N: FnMut(usize, Role)> Reader<N> {
    fn new(note: N) -> Self {
        Self {
            note,
            local: None,
            no_hardlinks: false,
            shared: false,
            bare: false,
            mirror: false,
            progress: false,
            verbosity: 0,
        }
    }

    fn read<'a>(
        mut self,
        words: &[&'a CStr],
        command: usize,
        directories: Vec<&'a CStr>,
    ) -> Option<Clone<'a>> {
        let mut positionals = Vec::new();
        let mut options_end = words.len();
        let mut at = command + 1;
        while let Some(&word) = words.get(at) {
            match word.to_bytes() {
                b"--" | b"--end-of-options" => {
                    options_end = at;
                    (self.note)(at, Role::EndOfOptions);
                    for (at, word) in words.iter().enumerate().skip(at + 1) {
                        (self.note)(at, Role::Positional);
                        positionals.push(*word);
                    }
                    break;
                }
                [b'-', b'-', long @ ..] => at = self.long(long, at),
                [b'-', letters @ ..] if !letters.is_empty() => at = self.short(letters, at),
                _ => {
                    (self.note)(at, Role::Positional);
                    positionals.push(word);
                }
            }
            at += 1;
        }
        // An option that lacks its value is an error of git's, and a word added behind it would become that value.
        if at > words.len() {
            return None;
        }
        let linking = match self.local {
            _ if self.no_hardlinks || self.shared => Linking::Never,
            Some((true, by)) => Linking::Demanded(by),
            Some((false, _)) => Linking::Never,
            None => Linking::IfLocal,
        };
        Some(Clone {
            linking,
            progress_decided: self.progress || self.verbosity < 0,
            directories,
            positionals,
            bare: self.bare || self.mirror,
            command,
            options_end,
        })
    }

    /// Takes in a long option, without its dashes; returns the index of the last word that belongs to it.
    fn long(&mut self, option: &[u8], at: usize) -> usize {
        let (name, value) = match option.iter().position(|&byte| byte == b'=') {
            Some(equals) => (option.get(..equals).unwrap_or_default(), true),
            None => (option, false),
        };
        // One that we do not know belongs to a newer git; taken for a flag it can do no harm.
        let Some((option, on)) = clone_options::by_name(name) else {
            (self.note)(at, Role::UnknownOption);
            return at;
        };
        self.apply(option, on, at);
        if on && !value && option.takes == Takes::Value {
            self.value_behind(at)
        } else {
            at
        }
    }

    /// Takes in a word of short options, without its dash; returns the index of the last word that belongs to it.
    fn short(&mut self, letters: &[u8], at: usize) -> usize {
        for (position, &letter) in letters.iter().enumerate() {
            let Some(option) = clone_options::by_letter(letter) else {
                (self.note)(at, Role::UnknownOption);
                continue;
            };
            self.apply(option, true, at);
            if option.takes == Takes::Value {
                return match position + 1 == letters.len() {
                    true => self.value_behind(at),
                    false => at,
                };
            }
        }
        at
    }

    fn value_behind(&mut self, at: usize) -> usize {
        (self.note)(at + 1, Role::Value);
        at + 1
    }

    fn apply(&mut self, option: &CloneOption, on: bool, at: usize) {
        (self.note)(at, Role::Option(option.name, on));
        match option.meaning {
            Meaning::Local => self.local = Some((on, at)),
            Meaning::NoHardLinks => self.no_hardlinks = on,
            Meaning::Shared => self.shared = on,
            Meaning::Bare => self.bare = on,
            Meaning::Mirror => self.mirror = on,
            Meaning::Progress => self.progress = true,
            Meaning::Quiet => self.verbosity = if on { self.verbosity.min(0) - 1 } else { 0 },
            Meaning::Verbose => self.verbosity = if on { self.verbosity.max(0) + 1 } else { 0 },
            Meaning::Other => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use std::ffi::CString;
    use std::path::PathBuf;

    use super::{Clone, Linking, read};

    /// `git` and the words of `line`, which are parted by single spaces.
    fn words(line: &str) -> Vec<CString> {
        format!("git {line}")
            .split(' ')
            .map(|word| CString::new(word).unwrap())
            .collect()
    }

    fn with_clone<T>(line: &str, look: impl FnOnce(Option<Clone<'_>>) -> T) -> T {
        let owned = words(line);
        let borrowed: Vec<_> = owned.iter().map(CString::as_c_str).collect();
        look(read(&borrowed))
    }

    fn linking(line: &str) -> Option<Linking> {
        with_clone(line, |clone| clone.map(|clone| clone.linking))
    }

    fn demanded(line: &str) -> bool {
        matches!(linking(line), Some(Linking::Demanded(_)))
    }

    fn second_run(line: &str) -> String {
        let owned = words(line);
        let borrowed: Vec<_> = owned.iter().map(CString::as_c_str).collect();
        let spliced = read(&borrowed).unwrap().without_hard_links(&borrowed);
        let spliced: Vec<_> = spliced
            .iter()
            .skip(1)
            .map(|word| word.to_str().unwrap())
            .collect();
        spliced.join(" ")
    }

    #[test]
    fn every_spelling_of_local() {
        for spelling in [
            "--local", "--loca", "--loc", "--lo", "--l", "-l", "-ql", "-lq", "-nl", "-vl", "-l4",
            "-lj2", "-lnq",
        ] {
            assert!(demanded(&format!("clone {spelling} a b")), "{spelling}");
            assert!(demanded(&format!("clone a {spelling} b")), "{spelling}");
            assert!(demanded(&format!("clone a b {spelling}")), "{spelling}");
        }
        assert!(demanded("clone -lo name a b"));
        assert!(demanded("clone -lsn --no-shared a b"));
        assert_eq!(
            linking("clone -q -l a b"),
            Some(Linking::Demanded(3)),
            "the word that said so"
        );
    }

    #[test]
    fn the_last_word_wins() {
        assert!(demanded("clone --no-local --local a b"));
        assert_eq!(
            linking("clone --local --no-local a b"),
            Some(Linking::Never)
        );
        assert_eq!(linking("clone -l --no-lo a b"), Some(Linking::Never));
        assert!(demanded("clone --no-hardlinks -l --hardlinks a b"));
        assert!(demanded("clone --no-h --local --h a b"));
        assert!(demanded(
            "clone --local --no-hardlinks --no-no-hardlinks a b"
        ));
        assert_eq!(
            linking("clone --hardlinks -l --no-hard a b"),
            Some(Linking::Never)
        );
        assert_eq!(linking("clone -l -s a b"), Some(Linking::Never));
        assert_eq!(linking("clone -ls a b"), Some(Linking::Never));
        assert!(demanded("clone -ls a b --no-shared"));
    }

    #[test]
    fn words_that_are_values_are_not_options() {
        for line in [
            "clone -ol a b",
            "clone -o --local a b",
            "clone -b --local a b",
            "clone -ul a b",
            "clone -c -l a b",
            "clone -jl a b",
            "clone --origin --local a b",
            "clone --orig -l a b",
            "clone --template --local a b",
            "clone --reference -l a b",
            "clone --reference-if-able -l a b",
            "clone --refere -l a b",
            "clone --upload-pack -l a b",
            "clone --depth -l a b",
            "clone --separate-git-dir -l a b",
            "clone --config --local a b",
            "clone --jobs -l a b",
            "clone --shallow-since -l a b",
            "clone --shallow-exclude -l a b",
            "clone --filter --local a b",
            "clone --server-option -l a b",
            "clone --bundle-uri --local a b",
            "clone --ref-format --local a b",
            "clone --revision --local a b",
            "clone -nb --local a b",
            "clone a b -- --local",
            "clone a --end-of-options --local",
        ] {
            assert_eq!(linking(line), Some(Linking::IfLocal), "{line}");
        }
        for line in [
            "clone --origin=x --local a b",
            "clone -ox --local a b",
            "clone --no-origin --local a b",
            "clone --recurse-submodules --local a b",
            "clone --recursive -l a b",
            "clone --recurse-submodules=x -l a b",
            "clone --dissociate -l a b",
            "clone --mirror -l a b",
            "clone -b -- --local a b",
            "clone --some-option-of-a-later-git --local a b",
        ] {
            assert!(demanded(line), "{line}");
        }
    }

    #[test]
    fn options_before_the_command() {
        for line in [
            "-C dir clone --local a b",
            "-C clone clone -l a b",
            "-c clone.x=y clone -l a b",
            "--git-dir x --work-tree y --namespace z clone -l a",
            "--git-dir=x --work-tree=y --namespace=z clone -l a",
            "--exec-path=/x -p --no-pager -P --paginate --bare clone -l a",
            "--config-env k=V --super-prefix p --attr-source t --shallow-file f clone -l a",
            "--literal-pathspecs --no-optional-locks --no-lazy-fetch --no-advice --no-replace-objects clone -l a",
        ] {
            assert!(demanded(line), "{line}");
        }
        for line in [
            "--exec-path clone -l a b",
            "--version clone -l a b",
            "--help clone -l a b",
            "-h clone -l",
            "-v clone -l",
            "--html-path clone -l a",
            "--list-cmds=main clone -l",
            "--unknown clone -l a",
            "-C",
            "-C clone",
            "-C clone -l a b",
            "",
            "status --local",
            "fetch clone --local a b",
            "cloned --local a b",
        ] {
            assert_eq!(linking(line), None, "{line}");
        }
        assert!(read(&[]).is_none());
        assert!(read(&[c"git"]).is_none());
    }

    #[test]
    fn the_flag_goes_last() {
        assert_eq!(
            second_run("clone --local a b"),
            "clone --local a b --no-hardlinks"
        );
        assert_eq!(
            second_run("clone --local -- a b"),
            "clone --local --no-hardlinks -- a b"
        );
        assert_eq!(
            second_run("-C x clone -l --end-of-options a --"),
            "-C x clone -l --no-hardlinks --end-of-options a --"
        );
        assert_eq!(
            second_run("clone -l -b -- a b"),
            "clone -l -b -- a b --no-hardlinks"
        );
        assert_eq!(
            second_run("clone --hardlinks a b -l --h"),
            "clone --hardlinks a b -l --h --no-hardlinks"
        );
    }

    #[test]
    fn a_value_that_is_missing_is_never_supplied() {
        for line in [
            "clone --local a b -o",
            "clone -l a b --origin",
            "clone -l a -nb",
        ] {
            assert_eq!(linking(line), None, "{line}");
        }
    }

    #[test]
    fn progress_is_the_callers_to_decide() {
        let decided = |line: &str| with_clone(line, |clone| clone.unwrap().progress_decided);
        for line in [
            "--progress",
            "--no-progress",
            "--prog",
            "-q",
            "--quiet",
            "--qui",
            "-lq",
            "-v -q",
            "-qqv -q",
        ] {
            assert!(decided(&format!("clone {line} a b")), "{line}");
        }
        for line in [
            "--local",
            "-v",
            "-q -v",
            "-q --no-quiet",
            "--verbose",
            "-qqv",
        ] {
            assert!(!decided(&format!("clone {line} a b")), "{line}");
        }
    }

    #[test]
    fn words_of_any_bytes() {
        let words = [
            c"git",
            c"clone",
            c"--l\xff",
            c"-\xff\xfel",
            c"\xff",
            c"",
            c"-",
        ];
        let clone = read(&words).unwrap();
        assert_eq!(clone.linking, Linking::Demanded(3));
        assert_eq!(clone.positionals, [c"\xff", c"", c"-"]);
    }

    #[test]
    fn where_and_what_is_cloned() {
        let words = [
            c"git",
            c"-C",
            c"x",
            c"-C",
            c"y",
            c"clone",
            c"--mirror",
            c"-l",
            c"src",
            c"--",
            c"--dst",
        ];
        let clone = read(&words).unwrap();
        assert_eq!(clone.directory(), PathBuf::from("x/y"));
        assert_eq!(clone.positionals, [c"src", c"--dst"]);
        assert!(clone.bare);
    }
}
