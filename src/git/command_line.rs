//! git's grammar: which command the args name and, for `clone`, whether it can hard-link. Pure.
//!
//! Written after `handle_options` (git.c) and `parse_options_step`, `parse_long_opt` and `parse_short_opt`
//! (parse-options.c). Args that git refuses need no care here: git refuses them on every path, whatever we read.

use std::ffi::CStr;

use smallvec::SmallVec;

use super::clone_options::{self, Meaning, Takes};
use crate::process::c_string::ShortCString;

/// Options before the command that take the next arg as their value.
const GLOBAL_WITH_VALUE: [&str; 9] = [
    "-C", "-c", "--git-dir", "--work-tree", "--namespace", "--super-prefix", "--config-env", "--attr-source",
    "--shallow-file",
];

/// Options before the command whose value is part of the arg.
const GLOBAL_WITH_EQUALS: [&str; 7] = [
    "--exec-path=", "--git-dir=", "--work-tree=", "--namespace=", "--super-prefix=", "--config-env=", "--attr-source=",
];

/// Options before the command without a value. With an option that is in none of these lists git exits before it runs a
/// command.
const GLOBAL_FLAGS: [&str; 14] = [
    "-p", "--paginate", "-P", "--no-pager", "--no-replace-objects", "--bare", "--literal-pathspecs",
    "--no-literal-pathspecs", "--glob-pathspecs", "--noglob-pathspecs", "--icase-pathspecs", "--no-optional-locks",
    "--no-lazy-fetch", "--no-advice",
];

/// Whether a clone hard-links, as far as its args decide.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Linking {
    /// `--local` is in effect: git dies where a link is refused.
    Demanded,
    /// No option decides: git links if the source is a local directory, and copies where a link is refused.
    IfLocal,
    /// `--no-local`, `--no-hardlinks` or `--shared`: git does not link.
    Never,
}

/// The args of a call, our own name first.
pub type Args<'a> = SmallVec<[&'a CStr; 32]>;

/// A `git clone`, as git will read it.
#[derive(Debug)]
pub struct CloneCommand<'a> {
    /// Whether it hard-links.
    pub linking: Linking,
    /// Whether the caller has decided about the progress display, with `--progress`, `--no-progress` or `--quiet`.
    pub progress_decided: bool,
    /// The directories of `-C`, in order, each relative to the one before.
    directories: SmallVec<[&'a CStr; 4]>,
    /// The repository and, if given, the destination; more than two are a usage error.
    pub positionals: SmallVec<[&'a CStr; 2]>,
    /// Whether the repository will have no work tree (`--bare`, `--mirror`).
    pub bare: bool,
    /// Whether the repository will be apart from its work tree (`--separate-git-dir`).
    pub separate_git_dir: bool,
    /// The index of the arg `clone`.
    command: usize,
    /// The index at which a further option is the last one: at `--` or `--end-of-options`, or at the very end.
    options_end: usize,
}

impl CloneCommand<'_> {
    /// The directory to which `-C` leads, relative to our own; empty without `-C`.
    #[must_use]
    pub fn start_directory(&self) -> ShortCString {
        // An empty one stays where it is (git.c).
        let named = self.directories.iter().map(|named| named.to_bytes()).filter(|named| !named.is_empty());
        named.fold(ShortCString::of(&[]), |path, named| path.join(named))
    }

    /// `args` with `--no-hardlinks` as the last option, where it wins over everything before it.
    #[must_use]
    pub fn without_hard_links<'w>(&self, args: &[&'w CStr]) -> Args<'w> {
        splice(args, self.options_end, c"--no-hardlinks")
    }

    /// `args` with `--progress` as the first option, where every option of the caller wins over it.
    #[must_use]
    pub fn with_progress<'w>(&self, args: &[&'w CStr]) -> Args<'w> {
        splice(args, self.command + 1, c"--progress")
    }
}

fn splice<'w>(args: &[&'w CStr], at: usize, arg: &'w CStr) -> Args<'w> {
    let mut spliced = Args::from_slice(args);
    spliced.insert(at.min(args.len()), arg);
    spliced
}

/// Reads a command line, `argv[0]` first. `None` if git will run no `clone`, or refuse its args.
#[must_use]
pub fn read<'a>(args: &[&'a CStr]) -> Option<CloneCommand<'a>> {
    let mut directories = SmallVec::new();
    let mut at = 1;
    loop {
        let arg = args.get(at)?.to_bytes();
        if !arg.starts_with(b"-") {
            break;
        }
        let is_in = |list: &[&str]| list.iter().any(|option| option.as_bytes() == arg);
        let begins_with = |name: &&str| arg.starts_with(name.as_bytes());
        if is_in(&GLOBAL_WITH_VALUE) {
            let value = args.get(at + 1)?;
            if arg == b"-C" {
                directories.push(*value);
            }
            at += 2;
        } else if is_in(&GLOBAL_FLAGS) || GLOBAL_WITH_EQUALS.iter().any(begins_with) {
            at += 1;
        } else {
            return None;
        }
    }
    if *args.get(at)? != c"clone" {
        return None;
    }
    Options::default().read(args, at, directories)
}

/// What the options of `clone` have set so far. The last option of each kind wins.
#[derive(Default)]
struct Options {
    local: Option<bool>,
    no_hardlinks: bool,
    shared: bool,
    bare: bool,
    mirror: bool,
    separate_git_dir: bool,
    progress: bool,
    /// As in git's `parse_opt_verbosity_cb`: below zero is quiet.
    verbosity: i32,
}

impl Options {
    fn read<'a>(
        mut self,
        args: &[&'a CStr],
        command: usize,
        directories: SmallVec<[&'a CStr; 4]>,
    ) -> Option<CloneCommand<'a>> {
        let mut positionals = SmallVec::new();
        let mut options_end = args.len();
        let mut at = command + 1;
        while let Some(&arg) = args.get(at) {
            match arg.to_bytes() {
                b"--" | b"--end-of-options" => {
                    options_end = at;
                    positionals.extend(args.iter().skip(at + 1).copied());
                    break;
                }
                [b'-', b'-', long @ ..] => at += self.long(long),
                [b'-', letters @ ..] if !letters.is_empty() => at += self.short(letters),
                _ => positionals.push(arg),
            }
            at += 1;
        }
        // Without the value of its last option git exits with an error; an arg added behind would become that value.
        if at > args.len() {
            return None;
        }
        let linking = match self.local {
            _ if self.no_hardlinks || self.shared => Linking::Never,
            Some(true) => Linking::Demanded,
            Some(false) => Linking::Never,
            None => Linking::IfLocal,
        };
        Some(CloneCommand {
            linking,
            progress_decided: self.progress || self.verbosity < 0,
            directories,
            positionals,
            bare: self.bare || self.mirror,
            separate_git_dir: self.separate_git_dir,
            command,
            options_end,
        })
    }

    /// Takes in a long option, without its dashes; returns how many args behind it are its value.
    fn long(&mut self, option: &[u8]) -> usize {
        let mut parts = option.splitn(2, |&byte| byte == b'=');
        let name = parts.next().unwrap_or_default();
        // An unknown option belongs to a newer git. It is read as a flag: read as one with a value it could hide `--local`.
        let Some((option, on)) = clone_options::by_name(name) else {
            return 0;
        };
        self.apply(option.meaning, on);
        let value_follows = on && option.takes == Takes::Value && parts.next().is_none();
        usize::from(value_follows)
    }

    /// Takes in an arg of short options, without its dash; returns how many args behind it are its value.
    fn short(&mut self, letters: &[u8]) -> usize {
        for (position, &letter) in letters.iter().enumerate() {
            let Some(option) = clone_options::by_letter(letter) else {
                continue;
            };
            self.apply(option.meaning, true);
            if option.takes == Takes::Value {
                return usize::from(position + 1 == letters.len());
            }
        }
        0
    }

    fn apply(&mut self, meaning: Meaning, on: bool) {
        match meaning {
            Meaning::Local => self.local = Some(on),
            Meaning::NoHardLinks => self.no_hardlinks = on,
            Meaning::Shared => self.shared = on,
            Meaning::Bare => self.bare = on,
            Meaning::Mirror => self.mirror = on,
            Meaning::SeparateGitDir => self.separate_git_dir = on,
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

    use super::{CloneCommand, Linking, read};

    /// `git` and the args of `line`, which are separated by single spaces.
    fn args(line: &str) -> Vec<CString> {
        format!("git {line}").split(' ').map(|arg| CString::new(arg).unwrap()).collect()
    }

    fn with_clone<T>(line: &str, look: impl FnOnce(Option<CloneCommand<'_>>) -> T) -> T {
        let owned = args(line);
        let borrowed: Vec<_> = owned.iter().map(CString::as_c_str).collect();
        look(read(&borrowed))
    }

    fn linking(line: &str) -> Option<Linking> {
        with_clone(line, |clone| clone.map(|clone| clone.linking))
    }

    fn demanded(line: &str) -> bool {
        linking(line) == Some(Linking::Demanded)
    }

    fn fallback(line: &str) -> String {
        let owned = args(line);
        let borrowed: Vec<_> = owned.iter().map(CString::as_c_str).collect();
        let spliced = read(&borrowed).unwrap().without_hard_links(&borrowed);
        let spliced: Vec<_> = spliced.iter().skip(1).map(|arg| arg.to_str().unwrap()).collect();
        spliced.join(" ")
    }

    #[test]
    fn every_spelling_of_local_demands_links() {
        for spelling in
            ["--local", "--loca", "--loc", "--lo", "--l", "-l", "-ql", "-lq", "-nl", "-vl", "-l4", "-lj2", "-lnq"]
        {
            assert!(demanded(&format!("clone {spelling} a b")), "{spelling}");
            assert!(demanded(&format!("clone a {spelling} b")), "{spelling}");
            assert!(demanded(&format!("clone a b {spelling}")), "{spelling}");
        }
        assert!(demanded("clone -lo name a b"));
        assert!(demanded("clone -lsn --no-shared a b"));
    }

    #[test]
    fn last_option_wins() {
        assert!(demanded("clone --no-local --local a b"));
        assert_eq!(linking("clone --local --no-local a b"), Some(Linking::Never));
        assert_eq!(linking("clone -l --no-lo a b"), Some(Linking::Never));
        assert!(demanded("clone --no-hardlinks -l --hardlinks a b"));
        assert!(demanded("clone --no-h --local --h a b"));
        assert!(demanded("clone --local --no-hardlinks --no-no-hardlinks a b"));
        assert_eq!(linking("clone --hardlinks -l --no-hard a b"), Some(Linking::Never));
        assert_eq!(linking("clone -l -s a b"), Some(Linking::Never));
        assert_eq!(linking("clone -ls a b"), Some(Linking::Never));
        assert!(demanded("clone -ls a b --no-shared"));
    }

    #[test]
    fn values_are_not_read_as_options() {
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
    fn options_before_the_command_are_skipped() {
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
            "--exec-path clone -l a b", "--version clone -l a b", "--help clone -l a b", "-h clone -l", "-v clone -l",
            "--html-path clone -l a", "--list-cmds=main clone -l", "--unknown clone -l a", "-C", "-C clone",
            "-C clone -l a b", "", "status --local", "fetch clone --local a b", "cloned --local a b",
        ] {
            assert_eq!(linking(line), None, "{line}");
        }
        assert!(read(&[]).is_none());
        assert!(read(&[c"git"]).is_none());
    }

    #[test]
    fn no_hardlinks_is_the_last_option() {
        assert_eq!(fallback("clone --local a b"), "clone --local a b --no-hardlinks");
        assert_eq!(fallback("clone --local -- a b"), "clone --local --no-hardlinks -- a b");
        assert_eq!(
            fallback("-C x clone -l --end-of-options a --"),
            "-C x clone -l --no-hardlinks --end-of-options a --"
        );
        assert_eq!(fallback("clone -l -b -- a b"), "clone -l -b -- a b --no-hardlinks");
        assert_eq!(fallback("clone --hardlinks a b -l --h"), "clone --hardlinks a b -l --h --no-hardlinks");
    }

    #[test]
    fn missing_value_is_not_supplied() {
        for line in ["clone --local a b -o", "clone -l a b --origin", "clone -l a -nb"] {
            assert_eq!(linking(line), None, "{line}");
        }
    }

    #[test]
    fn progress_options_of_the_caller_are_recognised() {
        let decided = |line: &str| with_clone(line, |clone| clone.unwrap().progress_decided);
        for line in ["--progress", "--no-progress", "--prog", "-q", "--quiet", "--qui", "-lq", "-v -q", "-qqv -q"] {
            assert!(decided(&format!("clone {line} a b")), "{line}");
        }
        for line in ["--local", "-v", "-q -v", "-q --no-quiet", "--verbose", "-qqv"] {
            assert!(!decided(&format!("clone {line} a b")), "{line}");
        }
    }

    #[test]
    fn args_of_any_bytes_are_read() {
        let args = [c"git", c"clone", c"--l\xff", c"-\xff\xfel", c"\xff", c"", c"-"];
        let clone = read(&args).unwrap();
        assert_eq!(clone.linking, Linking::Demanded);
        assert_eq!(clone.positionals[..], [c"\xff", c"", c"-"]);
    }

    #[test]
    fn directories_and_positionals_are_collected() {
        let args = [c"git", c"-C", c"x", c"-C", c"y", c"clone", c"--mirror", c"-l", c"src", c"--", c"--dst"];
        let clone = read(&args).unwrap();
        assert_eq!(clone.start_directory().as_c_str(), c"x/y");
        assert_eq!(clone.positionals[..], [c"src", c"--dst"]);
        assert!(clone.bare);
    }
}
