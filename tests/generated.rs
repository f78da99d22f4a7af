//! Generated twin runs: clones with random sources, destinations, options, environments and faults of hard links.
//!
//! Each case runs three times: with git; with git as it should go on, which is the same line with `--no-hardlinks` where git
//! died of a hard link; and through the shim, which must come to the same status, streams, hooks and files.
//! `GIT_CLONE_SHIM_TEST_CASES=1000` runs more cases, `GIT_CLONE_SHIM_TEST_SEED=7` begins with another one.

use std::collections::BTreeMap;
use std::env;
use std::ffi::{OsStr, OsString};
use std::fmt::Write;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::symlink;
use std::path::Path;

use nix::libc;

use crate::support::arena::{Arena, DIFFERENT, REFUSED, RunResult, for_each_git};
use crate::support::args::{Args, args};
use crate::support::call::Call;
use crate::support::fault;
use crate::support::gits::gits;
use crate::support::refusing_fs::{LinkRule, arena_on, mount};
use crate::support::source;
use crate::support::tree;

/// Makes the sources beside `src`, and a template with hooks. What an old git cannot make is a source that does not exist.
const SOURCES: &str = r#"
export GIT_TEMPLATE_DIR=
rm -r src/.git/hooks
git clone -q --no-hardlinks --bare src bare.git
git -C src worktree add -q ../worktree side
git clone -q --no-hardlinks --separate-git-dir=separate src gitfile
git clone -q --no-hardlinks --depth 1 "file://$PWD/src" shallow
git clone -q --no-hardlinks --shared src borrowing
git init -q unborn
git init -q --bare unborn.git
git -C src bundle create ../bundle --all 2>/dev/null
cp -R src packed
git -C packed repack -q -a -d
cp -R src shared
git -C shared config core.sharedRepository group
chmod -R g+w shared
for name in $'line\nbreak' $'invalid\xff\xfe' colon:name '-dash' ' space '; do cp -R src "./$name"; done
ln -s src symlink
cp -R bare.git conf.git
mkdir conf
touch conf/HEAD
git init -q --object-format=sha256 sha256 && git -C sha256 commit -q --allow-empty -m one
if git init -q --ref-format=reftable reftable 2>/dev/null; then git -C reftable commit -q --allow-empty -m one; fi
mkdir -p template/hooks
for hook in post-checkout reference-transaction; do
    printf '#!/bin/sh\necho "${0##*/} $*" >>"$HOOKS_RAN"\npwd >>"$HOOKS_RAN"\ncat >>"$HOOKS_RAN"\necho hook >&2\n' >template/hooks/$hook
    chmod +x template/hooks/$hook
done
"#;

/// What a clone can be made of, by a path from the directory of the sources.
const NAMES: &[u8] =
    b"src|src|src/|src/.git|.//src|./src//|src/../src|bare.git|bare|bare.git/|worktree|gitfile|gitfile/.git|\
    separate|shallow|borrowing|unborn|unborn.git|bundle|packed|shared|line\nbreak|invalid\xff\xfe|colon:name|\
    -dash| space |symlink|conf|sha256|reftable|absent";

/// Destinations, from the working directory; none stands for the one that git chooses.
const DESTINATIONS: &[u8] =
    b"|dst|dst/|./dst|././dst|deep/er/dst|sub/../dst//|existing|existing/|full|sub/dst|sub/new|new\nline|inva\xfflid|\
    -dst|d\"'\\ t";

/// Ways to ask for a local clone.
const LOCAL: &str = "--local|--local|-l|--lo|--loca|-ql|-lq|-nl|-lv|-lj2|-lo up|-ln -q|--no-local --local";

/// Other options of `clone`, with their values. `UP` stands for the directory of the sources, `HERE` for the working directory.
const OPTIONS: &str = "-q|-q|-v|-n|-s|--quiet|--verbose|--no-checkout|--bare|--bare|--mirror|--no-bare|--separate-git-dir=HEREsep|\
    --separate-git-dir HERE./sep|--reference UPsrc|--reference=UPbare.git|--reference-if-able UPabsent|\
    --dissociate|-b side|--branch=v1|-b --local|-bside|-ol|--depth 1|--depth=2|--no-local|--no-l|\
    -local|--no-hardlinks|--no-har|--hardlinks|--hard|--shared|--no-shared|--no-tags|--single-branch|\
    --no-single-branch|-o up|--origin=other|-c core.abbrev=9|--config core.filemode=false|--template=UPtemplate|\
    --template UPtemplate|--template=|--no-template|--recurse-submodules|--recursive|-j2|--jobs 3|\
    -u git-upload-pack|--sparse|--reject-shallow|--no-reject-shallow|\
    --shallow-since=2019-01-01|--ref-format=reftable|--no-progress|--rec|-4|-6";

/// Options of git before `clone`.
const GIT_OPTIONS: &str = "-c core.compression=1|-c protocol.version=0|-c transfer.fsckObjects=true|--git-dir=UPsrc/.git|\
    --git-dir UPbare.git|--work-tree=HEREwt|--work-tree HERE./wt|--no-pager|-P|--bare|--namespace=space|\
    --no-replace-objects|--literal-pathspecs|--no-optional-locks|-c core.hooksPath=UPtemplate/hooks";

/// Variables of the environment, with values. `TMP` stands for a directory that is not compared.
const VARIABLES: &str = "GIT_WORK_TREE=HEREwt|GIT_WORK_TREE=HERE./wt|GIT_DIR=UPsrc/.git|GIT_TRACE=TMPtrace|GIT_TRACE2_EVENT=TMPevents|\
    GIT_TEMPLATE_DIR=UPtemplate|GIT_TEMPLATE_DIR=UPtemplate|GIT_OBJECT_DIRECTORY=HEREelsewhere|\
    GIT_ALTERNATE_OBJECT_DIRECTORIES=UPsrc/.git/objects|GIT_NAMESPACE=space|GIT_DEFAULT_HASH=sha256|\
    GIT_DEFAULT_REF_FORMAT=reftable|GIT_CLONE_PROTECTION_ACTIVE=false|GIT_CEILING_DIRECTORIES=/|\
    GIT_INDEX_FILE=HEREindex|LC_ALL=C.UTF-8|LC_ALL=xx_XX.UTF-8|LANGUAGE=xx|POSIXLY_CORRECT=1";

/// What happens to link(2) in a case.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Fault {
    None,
    Refused(i32),
    AcrossDirectories,
    OtherMount,
    OtherFile,
}

const FAULTS: [Fault; 9] = [
    Fault::None,
    Fault::None,
    Fault::None,
    Fault::Refused(libc::EPERM),
    Fault::Refused(libc::EMLINK),
    Fault::AcrossDirectories,
    Fault::AcrossDirectories,
    Fault::OtherMount,
    Fault::OtherFile,
];

/// Makes the sources beside the working directory of `arena`, or links to them.
fn make_sources(arena: &Arena) {
    let beside = arena.work_dir().parent().unwrap();
    let made = if beside.join("src").exists() {
        beside
    } else {
        source::small(arena, "src");
        arena.root()
    };
    let mut shell = arena.command("bash");
    shell.args(["-uc", SOURCES]).current_dir(made);
    assert!(shell.status().unwrap().success());
    for entry in fs::read_dir(made).unwrap() {
        let entry = entry.unwrap();
        // Fails where the sources themselves have these names.
        let _ = symlink(entry.path(), beside.join(entry.file_name()));
    }
}

fn joined(begin: &str, end: &OsStr) -> OsString {
    let mut joined = OsString::from(begin);
    joined.push(end);
    joined
}

/// The generator `SplitMix64`.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((mixed ^ (mixed >> 31)) % bound as u64).unwrap()
    }

    /// One of the texts in `table`, which `|` separates.
    fn word(&mut self, table: &'static str) -> &'static str {
        let words: Vec<_> = table.split('|').collect();
        self.pick(&words)
    }

    fn bytes(&mut self, table: &'static [u8]) -> &'static [u8] {
        let words: Vec<_> = table.split(|&byte| byte == b'|').collect();
        self.pick(&words)
    }

    fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len())]
    }
}

/// One generated call.
struct Case {
    seed: u64,
    fault: Fault,
    /// All args up to the place for a last option of `clone`.
    options: Args,
    /// The others: `--` and the positionals, or nothing.
    end: Args,
    variables: BTreeMap<&'static str, OsString>,
}

impl Case {
    fn generate(seed: u64, arena: &Arena, fault: Fault, mut random: Random) -> Self {
        // Where git's -C leads to, and from there the sources and the working directory.
        let in_work = (None, "../", "");
        let in_sub = (Some("sub"), "../../", "../");
        let above = (Some(".."), "", "work/");
        let (directory, up, here) = random.pick(&[in_work, in_work, in_work, in_sub, above]);
        let tmp = format!("{}/", arena.root().join("tmp").display());
        let replaced = |text: &str| text.replace("UP", up).replace("HERE", here).replace("TMP", &tmp);
        let words = |text: &str| -> Args { args(&replaced(text)) };

        let mut before = directory.map_or_else(Vec::new, |to| vec!["-C".into(), to.into()]);
        for _ in 0..random.pick(&[0, 0, 1, 2]) {
            before.extend(words(random.word(GIT_OPTIONS)));
        }
        before.push("clone".into());

        let name = OsStr::from_bytes(random.bytes(NAMES));
        let absolute = arena.work_dir().parent().unwrap().join(name);
        let from = match random.below(10) {
            0 => joined("file://", absolute.as_os_str()),
            1..=3 => absolute.into(),
            _ => joined(up, name),
        };
        let mut positionals = vec![from];
        let to = OsStr::from_bytes(random.bytes(DESTINATIONS));
        if !to.is_empty() && random.below(5) == 0 {
            positionals.push(arena.work_dir().join(to).into());
        } else if !to.is_empty() {
            positionals.push(joined(here, to));
        } else if here == "work/" {
            // Else git would clone into the directory of the sources.
            positionals.push("work/dst".into());
        }

        let mut options: Vec<Args> = Vec::new();
        for _ in 0..random.pick(&[0, 0, 1, 1, 2, 3]) {
            options.push(words(random.word(OPTIONS)));
        }
        if random.below(4) > 0 {
            let place = random.below(options.len() + 1);
            options.insert(place, words(random.word(LOCAL)));
        }
        let mut end = Vec::new();
        if random.below(3) == 0 {
            end.push("--".into());
            end.extend(positionals);
        } else {
            // The last positional first, since each goes before those that are there.
            let mut last = options.len();
            for positional in positionals.into_iter().rev() {
                last = random.below(last + 1);
                options.insert(last, vec![positional]);
            }
        }

        let mut variables = BTreeMap::new();
        for _ in 0..random.pick(&[0, 0, 1, 2]) {
            let (name, value) = random.word(VARIABLES).split_once('=').unwrap();
            variables.insert(name, replaced(value).into());
        }
        // With a work tree elsewhere too, git leaves a file at the destination, and no second clone can go there: see no_fallback.rs.
        let has = |args: &[OsString], name: &str| args.iter().any(|arg| arg.as_bytes().starts_with(name.as_bytes()));
        if has(&before, "--work-tree") || variables.contains_key("GIT_WORK_TREE") {
            options.retain(|option| !has(option, "--sep"));
        }
        let options = [before, options.concat()].concat();
        Self { seed, fault, options, end, variables }
    }

    /// Runs the case with git and a further option of `clone`, in a new working directory.
    fn git(&self, arena: &Arena, further: Option<&str>) -> Option<RunResult> {
        let further = further.map(OsString::from).into_iter().collect();
        self.run(arena, arena.real([self.options.clone(), further, self.end.clone()].concat()))
    }

    fn run(&self, arena: &Arena, mut call: Call) -> Option<RunResult> {
        let hooks_ran = arena.work_dir().join("hooks-ran");
        call.command.envs(&self.variables).env("HOOKS_RAN", hooks_ran);
        let prepare = |work_dir: &Path| {
            for directory in ["sub", "existing", "full"] {
                fs::create_dir(work_dir.join(directory)).unwrap();
            }
            fs::write(work_dir.join("full/of-this"), "content").unwrap();
        };
        let run = || arena.run_in(&prepare, call);
        let mut result = match self.fault {
            Fault::Refused(errno) => fault::with_links_failing(errno, run),
            Fault::AcrossDirectories => fault::without_links_across_directories(run)?,
            Fault::None | Fault::OtherMount | Fault::OtherFile => run(),
        };
        // The names of these files are random, and one of them lists the others.
        let in_reftable = |path: &Path| path.parent().is_some_and(|parent| parent.ends_with("reftable"));
        result.tree.retain(|path, _| !in_reftable(path));
        Some(result)
    }

    /// Runs the three twins. Returns what git came to, and how the shim differs from what it should have come to.
    fn examine(&self, arena: &Arena) -> Option<(Came, Option<String>)> {
        let git = self.git(arena, None)?;
        let came = if git.outcome.died_of(REFUSED) || git.outcome.died_of(DIFFERENT) {
            Came::Refused
        } else if !git.outcome.status.success() {
            Came::Failed
        } else if tree::object_links(arena.work_dir()).iter().any(|&links| links > 1) {
            Came::Linked
        } else {
            Came::Copied
        };
        let expected = if came == Came::Refused { self.git(arena, Some("--no-hardlinks"))? } else { git };
        let args = [self.options.clone(), self.end.clone()].concat();
        let shim = || self.run(arena, arena.shim(args.clone())).unwrap();
        let twin = expected.retried_while_late(shim);
        if twin == expected {
            return Some((came, None));
        }
        let Self { seed, fault, variables, .. } = self;
        let mut report = format!(
            "\nseed {seed}, {fault:?}, {came:?}, {variables:?}\nexpected {:?}through the shim {:?}",
            expected.outcome, twin.outcome
        );
        for line in tree::differences(&twin.tree, &expected.tree).iter().take(5) {
            writeln!(report, "  {line}").unwrap();
        }
        Some((came, Some(report)))
    }
}

/// What the real git came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Came {
    Linked,
    Copied,
    Refused,
    Failed,
}

#[test]
fn generated_clones_come_to_what_git_comes_to() {
    let number = |name, default| env::var(name).map_or(default, |value| value.parse().unwrap());
    let first: u64 = number("GIT_CLONE_SHIM_TEST_SEED", 1);
    let cases = number("GIT_CLONE_SHIM_TEST_CASES", 30);
    let other_files = mount(LinkRule::InodePerPath);
    let turns = gits().len() as u64;
    let (mut turn, mut came, mut reports) = (0, BTreeMap::new(), Vec::new());
    for_each_git(|git, here| {
        let across = Arena::new(git).across_mounts();
        let other_files = other_files.as_ref();
        let other_files = other_files.map(|(_, mount)| arena_on(mount, Arena::new(git)).0);
        let arenas = [Some(&here), across.as_ref(), other_files.as_ref()];
        arenas.into_iter().flatten().for_each(make_sources);
        for seed in (first..first + cases).filter(|seed| seed % turns == turn) {
            let mut random = Random(seed);
            let fault = random.pick(&FAULTS);
            let arena = match fault {
                Fault::OtherMount => across.as_ref(),
                Fault::OtherFile => other_files.as_ref(),
                _ => Some(&here),
            };
            let Some(arena) = arena else { continue };
            if let Some((result, report)) = Case::generate(seed, arena, fault, random).examine(arena) {
                *came.entry(result).or_insert(0) += 1;
                reports.extend(report.map(|report| format!("{}{report}", git.version)));
            }
        }
        turn += 1;
    });
    eprintln!("git came to: {came:?}");
    assert!(reports.is_empty(), "{} of {cases} differ:\n{}", reports.len(), reports.join("\n"));
    // Else the cases would prove nothing.
    let at_least = |what, part| came.get(&what).is_some_and(|count: &u64| count * part >= cases);
    let various = at_least(Came::Refused, 6) && at_least(Came::Linked, 30);
    assert!(cases < 30 || various, "{came:?}");
}
