//! A clone between two mounts, between which the kernel links nothing, is copied at once, without an attempt.

use std::collections::BTreeSet;
use std::ffi::OsString;

use nix::libc;

use crate::support::arena::{Arena, REFUSED, for_each_git};
use crate::support::args::{args, with_no_hardlinks, with_source};
use crate::support::arrangement;
use crate::support::call::{Call, Outcome};
use crate::support::fault;
use crate::support::gits::gits;
use crate::support::source;
use crate::support::trace;
use crate::support::tree;

#[test]
fn clone_to_another_mount_is_copied_by_one_git() {
    for_each_git(|_, arena| {
        let Some(arena) = arena.across_mounts() else {
            return;
        };
        let source = source::small(&arena, "src");
        for line in [
            "clone --local SRC dst",
            "clone -ql SRC dst",
            "clone -l --bare SRC dst",
            "clone -l --mirror SRC",
            "-C .. clone -l SRC work/lead/ing/dst/",
            "clone -l --recurse-submodules SRC ./dst",
        ] {
            let line = with_source(&source, args(line));
            assert!(arena.run(arena.real(line.clone())).outcome.died_of(REFUSED));
            let expected = arena.run(arena.real(with_no_hardlinks(&line)));
            let (copied, runs) = trace::clones(&arena, &|_| (), &line);
            copied.assert_equals(&expected);
            assert_eq!(runs, 1, "{line:?}");
            let links = tree::object_links(arena.work_dir());
            assert!(!links.is_empty() && links.iter().all(|&links| links == 1));
        }
        // git copies by itself.
        let plain = with_source(&source, args("clone SRC dst"));
        arena.assert_twins(&plain);
        assert!(!trace::is_attempted(&arena, &plain));
    });
}

/// Makes places on several mounts, and repositories in them: `plain` is a directory, `bind` another mount of the same
/// filesystem, `tmpfs` and `overlay` are other filesystems. Run in a mount namespace of its own.
const PLACES: &str = r#"
set -e
mkdir plain bound bind tmpfs overlay
mount --bind bound bind
mount -t tmpfs tmpfs tmpfs
mkdir tmpfs/lower tmpfs/upper tmpfs/work
cp -a "$SRC" tmpfs/lower/src
mount -t overlay -o lowerdir=tmpfs/lower,upperdir=tmpfs/upper,workdir=tmpfs/work overlay overlay
for place in plain bind tmpfs; do cp -a "$SRC" $place/src; done
for place in plain bind tmpfs overlay; do ln -s $place to-$place; done

# Sources of other shapes.
git -C plain/src worktree add -q ../worktree side
echo "gitdir: $PWD/plain/src/.git" >plain/gitfile
git clone -q --bare --no-hardlinks plain/src plain/bare.git
git clone -q --bare --no-hardlinks plain/src plain/packed
git -C plain/packed repack -q -a -d
git -C plain/src bundle create -q ../bundle --all 2>/dev/null || git -C plain/src bundle create ../bundle --all 2>/dev/null
git clone -q --depth=1 "file://$PWD/plain/src" plain/shallow
git init -q plain/empty
# Objects that are on another mount than their repository: all of them, the packs, or one object.
git clone -q --bare --no-hardlinks plain/src plain/mounted
cp -a plain/mounted/objects tmpfs/objects
mount --bind tmpfs/objects plain/mounted/objects
git clone -q --bare --no-hardlinks plain/packed plain/packs
cp -a plain/packs/objects/pack tmpfs/pack
mount --bind tmpfs/pack plain/packs/objects/pack

# Destinations of other shapes.
for place in plain bind tmpfs overlay; do mkdir $place/given; done
ln -s nowhere plain/dangling
mkdir plain/mountpoint
mount -t tmpfs tmpfs plain/mountpoint
"#;

const SOURCES: &str = "plain/src bind/src tmpfs/src overlay/src to-tmpfs/src to-plain/../bind/src plain/src/.git plain/bare \
    plain/packed plain/mounted plain/packs plain/bundle plain/shallow plain/empty plain/worktree \
    plain/gitfile";

const DESTINATIONS: &str = "plain/dst, bind/dst, tmpfs/dst, overlay/dst, --bare bind/dst, --mirror tmpfs/dst, plain/given, \
    bind/given, tmpfs/given/, overlay/given, to-bind/dst, to-tmpfs/new/dst, to-plain/new/er/dst//, \
    tmpfs/../plain/dst, to-plain/../tmpfs/dst, tmpfs/new/../dst, plain/new/../../dst, plain/mountpoint, \
    plain/mountpoint/dst, plain/dangling, plain/src, --separate-git-dir tmpfs/sep plain/dst, \
    --separate-git-dir=plain/sep bind/dst, --separate-git-dir bind/sep tmpfs/dst";

/// For each source and destination: what the shim explains, and what the real git comes to.
const COMPARE: &str = r#"
while read -r source destination; do
    explained=-
    # The decision alone: nothing is cloned.
    GIT_CLONE_SHIM_LOG=info GIT_CLONE_SHIM_GIT=/bin/true "$SHIM" clone -l $source $destination 2>&1 | grep -q 'different mounts' && explained=different
    if git clone -q -l $source $destination 2>error; then came=linked
    elif grep -q 'failed to create link.*Invalid cross-device link' error; then came=EXDEV
    else came=other
    fi
    echo "$explained $came $source $destination"
    rm -rf {plain,bind,tmpfs,overlay,.}/{dst,new,sep} {plain,bind,tmpfs,overlay}/given plain/mountpoint/{*,.git}
    mkdir -p {plain,bind,tmpfs,overlay}/given
done
"#;

/// Runs a bash script in a mount namespace of its own, where `run` runs it.
fn in_mount_namespace(arena: &Arena, script: &str, stdin: String, run: &dyn Fn(Call) -> Outcome) -> Option<String> {
    let mut command = arena.command("unshare");
    command
        .args(["--user", "--map-root-user", "--mount", "bash", "-c", script])
        .env("SRC", source::small(arena, "src"))
        // Without the sample hooks a clone takes half the time.
        .env("GIT_TEMPLATE_DIR", "")
        .env("SHIM", arena.shim_directory().join("git"));
    let outcome = run(Call::new(command).stdin(stdin));
    if !outcome.status.success() {
        arrangement::missing(&format!("user namespace to mount in ({outcome:?})"));
        return None;
    }
    Some(String::from_utf8(outcome.stdout).unwrap())
}

/// What the shim explains and what comes of it, where `run` runs the script: for each of so many of [`SOURCES`] with the first of
/// [`DESTINATIONS`], one on each mount, and for the first sources, likewise, with each destination.
fn compare(sources: usize, run: &dyn Fn(Call) -> Outcome) -> Option<BTreeSet<(String, String, String)>> {
    let mut pairs = BTreeSet::new();
    for (from, source) in SOURCES.split(' ').take(sources).enumerate() {
        for (to, destination) in DESTINATIONS.split(", ").enumerate() {
            if from < 4 || to < 4 {
                pairs.insert(format!("{source} {destination}\n"));
            }
        }
    }
    let count = pairs.len();
    let script = format!("{PLACES}\nset +e\n{COMPARE}");
    let text = in_mount_namespace(&Arena::new(&gits()[0]), &script, pairs.into_iter().collect(), run)?;
    let results = text.lines().map(|line| {
        let [explained, came, line] = line.splitn(3, ' ').collect::<Vec<_>>().try_into().unwrap();
        (explained.to_owned(), came.to_owned(), line.to_owned())
    });
    let results: BTreeSet<(String, String, String)> = results.collect();
    assert_eq!(results.len(), count);
    Some(results)
}

#[test]
fn kernel_refuses_every_link_that_the_shim_does_not_attempt() {
    let Some(results) = compare(16, &Call::run) else {
        return;
    };
    for (explained, came, line) in &results {
        // In doubt, the attempt: `..` behind what does not exist yet could lead anywhere, a file could name any repository, and
        // one object can be on another mount than the others.
        let in_doubt = ["/new/..", "plain/worktree", "plain/gitfile", "plain/packs", "--separate-git-dir"]
            .iter()
            .any(|doubt| line.contains(doubt));
        // git fails in any case, or links nothing, and `--no-hardlinks` changes nothing.
        let no_links = ["plain/empty", "plain/shallow"].iter().any(|source| line.starts_with(source));
        assert!(explained == "-" || came != "linked" || no_links, "{came}: {line}");
        assert!(explained != "-" || came != "EXDEV" || in_doubt, "{came}: {line}");
    }
    for (explained, came) in [("different", "EXDEV"), ("-", "linked")] {
        assert!(results.iter().any(|found| found.0 == explained && found.1 == came), "{came}");
    }
}

#[test]
fn kernel_that_tells_no_mounts_refuses_every_link_that_the_shim_does_not_attempt() {
    // Linux before 5.8, and a sandbox.
    for errno in [libc::ENOSYS, libc::EPERM] {
        let without_statx = |call: Call| fault::with_calls_failing(&[libc::SYS_statx], errno, || call.run());
        let Some(results) = compare(2, &without_statx) else {
            return;
        };
        for (explained, came, line) in &results {
            assert!(explained == "-" || came == "EXDEV", "{came}: {line}");
        }
    }
}

/// Clones a repository of each name without a destination: first to see what git makes of the name, and then with another mount
/// there, so that no link can succeed, which the shim knows beforehand only if it derives the same name. Prints how often git
/// ran, and the line.
const DERIVE: &str = r#"
set -e
clone() {
    rm -rf made; mkdir made; cd made
    "$real" clone -q -l "$@" || { cd ..; return; }
    derived=$(ls -A); rm -rf -- "$derived"; mkdir -- "$derived"
    mount -t tmpfs tmpfs "./$derived"
    ! "$real" clone -q -l "$@" 2>/dev/null
    GIT_TRACE=$PWD/../trace git clone -q -l "$@"
    umount "./$derived"; cd ..
    printf '%s %q\n' "$(grep -c 'built-in: git clone' trace)" "$*"
    rm trace
}
real=$PWD/real/git
mv -- "$SRC" spare
while IFS= read -r line; do
    name=$(printf -- "$line"); rest=${name##*!}; name=${name%!*}
    mv -T spare "./$name"
    clone "../$name$rest"; clone --bare "$PWD/$name$rest"
    mv -T "./$name" spare
done
"#;

/// Names of repositories, in printf(1)'s notation, and what may follow in the args.
const NAMES: &str = r"src!
src!/
src!///
src!/.git
src!/.git//
src.git!
src.git!/.git
src.git.git!
my repo!
a  b!
a\011b!
a:b!
a:8080!
a:!
me@host.git!/
caf\351!
-x!
src.bundle!
";

#[test]
fn destination_is_derived_as_git_derives_it() {
    for_each_git(|_, arena| {
        let path: OsString = arena.path_of(true);
        let script = format!("cd ..\nexport PATH=\"$OURS\"\n{DERIVE}");
        let run = |mut call: Call| {
            call.command.env("OURS", &path);
            call.run()
        };
        let Some(text) = in_mount_namespace(&arena, &script, NAMES.to_owned(), &run) else {
            return;
        };
        assert!(text.lines().count() > 20, "{text}");
        let wrong: Vec<_> = text.lines().filter(|line| !line.starts_with("1 ")).collect();
        assert_eq!(wrong, [""; 0]);
    });
}
