//! The options of `git clone`, and how an arg finds its option. Pure.

/// What an option changes about hard links, the destination or the progress display.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Meaning {
    Local,
    NoHardLinks,
    Shared,
    Bare,
    Mirror,
    Progress,
    Quiet,
    Verbose,
    /// Its value is the directory of the repository, apart from the work tree.
    SeparateGitDir,
    Other,
}

/// Whether an option takes a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Takes {
    Nothing,
    /// In the arg itself, after `=` or after the letter, or else the whole next arg, whatever it looks like.
    Value,
    /// Only after `=`.
    OptionalValue,
}

#[derive(Debug)]
pub(super) struct CloneOption {
    pub(super) name: &'static str,
    letter: Option<u8>,
    pub(super) takes: Takes,
    pub(super) meaning: Meaning,
}

const fn flag(name: &'static str, meaning: Meaning) -> CloneOption {
    CloneOption { name, letter: None, takes: Takes::Nothing, meaning }
}

const fn value(name: &'static str) -> CloneOption {
    CloneOption { name, letter: None, takes: Takes::Value, meaning: Meaning::Other }
}

impl CloneOption {
    const fn or(mut self, letter: u8) -> Self {
        self.letter = Some(letter);
        self
    }

    const fn meaning(mut self, meaning: Meaning) -> Self {
        self.meaning = meaning;
        self
    }

    const fn optionally(mut self) -> Self {
        self.takes = Takes::OptionalValue;
        self
    }
}

/// Every option that `git clone` has had from 1.8.3.1 to 2.55 (`builtin_clone_options` in builtin/clone.c).
///
/// The oldest come first: an abbreviation of several is unique only in a git without the later ones.
static OPTIONS: [CloneOption; 43] = [
    flag("verbose", Meaning::Verbose).or(b'v'),
    flag("quiet", Meaning::Quiet).or(b'q'),
    flag("progress", Meaning::Progress),
    flag("no-checkout", Meaning::Other).or(b'n'),
    flag("bare", Meaning::Bare),
    flag("naked", Meaning::Bare),
    flag("mirror", Meaning::Mirror),
    flag("local", Meaning::Local).or(b'l'),
    flag("no-hardlinks", Meaning::NoHardLinks),
    flag("shared", Meaning::Shared).or(b's'),
    value("recursive").optionally(),
    value("recurse-submodules").optionally(),
    value("template"),
    value("reference"),
    value("origin").or(b'o'),
    value("branch").or(b'b'),
    value("upload-pack").or(b'u'),
    value("depth"),
    flag("single-branch", Meaning::Other),
    value("separate-git-dir").meaning(Meaning::SeparateGitDir),
    value("config").or(b'c'),
    // Since 2.2 to 2.9.
    flag("dissociate", Meaning::Other),
    flag("shallow-submodules", Meaning::Other),
    value("jobs").or(b'j'),
    flag("ipv4", Meaning::Other).or(b'4'),
    flag("ipv6", Meaning::Other).or(b'6'),
    // Since 2.11 to 2.17.
    value("shallow-since"),
    value("shallow-exclude"),
    value("reference-if-able"),
    flag("tags", Meaning::Other),
    value("filter"),
    // Since 2.19 to 2.29; the last one for good measure: it is accepted by builds with experimental hashes.
    value("server-option"),
    flag("remote-submodules", Meaning::Other),
    flag("sparse", Meaning::Other),
    // Since 2.32 to 2.36.
    flag("reject-shallow", Meaning::Other),
    flag("also-filter-submodules", Meaning::Other),
    // Since 2.38 to 2.49.
    value("bundle-uri"),
    value("ref-format"),
    value("revision"),
    // Options of parse-options itself: git prints its usage or a completion list and exits.
    flag("help", Meaning::Other).or(b'h'),
    flag("help-all", Meaning::Other),
    flag("git-completion-helper", Meaning::Other),
    flag("git-completion-helper-all", Meaning::Other),
];

/// The option that a short letter names.
pub(super) fn by_letter(letter: u8) -> Option<&'static CloneOption> {
    OPTIONS.iter().find(|option| option.letter == Some(letter))
}

/// The option that a long name, possibly shortened or negated, means, and whether it is switched on (`parse_long_opt`).
///
/// A name that is both an option's negation and an option of that name (`--no-hardlinks`, `--hardlinks`) works either way.
/// An ambiguous one finds the oldest option; a git that knows several of them refuses it.
pub(super) fn by_name(name: &[u8]) -> Option<(&'static CloneOption, bool)> {
    let (name, negated, twice) = match name.strip_prefix(b"no-") {
        Some(rest) => match rest.strip_prefix(b"no-") {
            Some(rest) => (rest, false, true),
            None => (rest, true, false),
        },
        None => (name, false, false),
    };
    let candidates = || {
        OPTIONS.iter().filter_map(move |option| {
            let positive = option.name.strip_prefix("no-");
            // Only what is itself a negation can be negated twice.
            (positive.is_some() || !twice).then_some((option, positive.unwrap_or(option.name), positive.is_some()))
        })
    };
    let exact = candidates().find(|(_, long, _)| long.as_bytes() == name);
    let (option, _, is_negation) =
        exact.or_else(|| candidates().find(|(_, long, _)| long.as_bytes().starts_with(name)))?;
    Some((option, negated == is_negation))
}
