//! A clone between two mounts, between which the kernel links nothing, is copied at once, without an attempt.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};

use nix::libc;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::support::arena::{Arena, REFUSED, for_each_git};
use crate::support::args::{args, with_no_hardlinks, with_source};
use crate::support::arrangement;
use crate::support::call::{Call, Outcome};
use crate::support::executable;
use crate::support::fault;
use crate::support::gits::gits;
use crate::support::records;
use crate::support::source;
use crate::support::tree;
use crate::support::wait;

/// How often git ran for `args`, called through the shim, which must come to what the real git comes to with
/// `--no-hardlinks`.
#[track_caller]
fn gits_of_a_copy(arena: &Arena, line: &[OsString]) -> usize {
    let real = arena.run(arena.real(line.to_vec())).outcome;
    assert!(real.died_of(REFUSED), "{real:?}");
    let expected = arena.run(arena.real(with_no_hardlinks(line)));
    let trace = arena.root().join("trace");
    let _ = fs::remove_file(&trace);
    let copied = arena.run(arena.shim(line.to_vec()).env("GIT_TRACE", &trace));
    copied.assert_equals(&expected);
    let links = tree::object_links(arena.work_dir());
    assert!(!links.is_empty() && links.iter().all(|&links| links == 1));
    let trace = fs::read_to_string(&trace).unwrap();
    trace.matches("built-in: git clone").count()
}

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
            "clone -l --separate-git-dir=sep SRC dst",
            "-C .. clone -l SRC work/lead/ing/dst/",
            "clone -l --recurse-submodules SRC ./dst",
        ] {
            let line = with_source(&source, args(line));
            assert_eq!(gits_of_a_copy(&arena, &line), 1, "{line:?}");
        }
    });
}

#[test]
fn clone_to_another_mount_is_recorded_without_an_attempt() {
    for_each_git(|_, arena| {
        let Some(arena) = arena.across_mounts() else {
            return;
        };
        let source = source::small(&arena, "src");
        let file = arena.root().join("log");
        let call = arena.shim(with_source(&source, args("clone -q -l SRC dst")));
        let call = call.env("GIT_CLONE_SHIM_LOG_FILE", &file);
        arena.run(call).outcome.succeeded();
        // Before the working directory is emptied, in which the observer looks for the clone.
        records::wait_for(&file, 1);
        // git copies by itself here.
        let call = arena.shim(with_source(&source, args("clone -q SRC dst")));
        let call = call.env("GIT_CLONE_SHIM_LOG_FILE", &file);
        arena.run(call).outcome.succeeded();
        let records = records::wait_for(&file, 1);
        assert_eq!(records.len(), 1, "{records:?}");
        let text = records[0].to_string();
        assert!(text.contains(":\"different mounts\""), "{text}");
        assert!(text.contains(":0,"), "{text}");
        assert!(text.contains("\"outcome\":\"cloned\""), "{text}");
        assert!(!text.contains("\"error\""), "{text}");
    });
}

#[test]
fn plain_clone_to_another_mount_is_passed_through() {
    for_each_git(|_, arena| {
        let Some(arena) = arena.across_mounts() else {
            return;
        };
        let source = source::small(&arena, "src");
        let line = with_source(&source, args("clone SRC dst"));
        arena.assert_twins(&line);
        let log = arena.shim(line).env("GIT_CLONE_SHIM_LOG", "info");
        let log = arena.run(log).outcome;
        assert!(log.stderr_contains("exec git with these args"), "{log:?}");
    });
}

/// automount(8). Dropped, it unmounts what it has mounted, and ends.
struct Automount(Child);

impl Drop for Automount {
    fn drop(&mut self) {
        let pid = Pid::from_raw(self.0.id().cast_signed());
        let _ = kill(pid, Signal::SIGTERM).map(|()| self.0.wait());
    }
}

#[test]
fn clone_to_an_automounted_directory_is_copied_by_one_git() {
    // It is mounted when it is looked at, by the shim or by git.
    if !arrangement::is_root() || arrangement::program("automount").is_none() {
        return;
    }
    let place = tempfile::tempdir().unwrap();
    let at = |name: &str| place.path().join(name);
    fs::create_dir(at("target")).unwrap();
    let target = at("target");
    fs::write(
        at("map"),
        format!("work -fstype=bind :{}\n", target.display()),
    )
    .unwrap();
    let master = format!("{} {}\n", at("auto").display(), at("map").display());
    fs::write(at("master"), master).unwrap();
    let mut automount = Command::new("automount");
    automount
        .args(["--foreground", "--dont-check-daemon", "--pid-file"])
        .args([at("pid"), at("master")]);
    // The kernel mounts nothing for processes of the daemon's own group.
    automount.process_group(0);
    let _automount = Automount(automount.stderr(Stdio::null()).spawn().unwrap());
    let mounted = format!(" {} autofs ", at("auto").display());
    let is_mounted = || {
        fs::read_to_string("/proc/self/mounts")
            .unwrap()
            .contains(&mounted)
    };
    wait::until("automount", is_mounted);
    for_each_git(|_, arena| {
        let source = source::small(&arena, "src");
        let mut line = with_source(&source, args("clone -q --local SRC"));
        line.push(at("auto/work/dst").into());
        let run = |call: Call| {
            tree::clear(&target);
            let _ = Command::new("umount")
                .arg(at("auto/work"))
                .stderr(Stdio::null())
                .status();
            call.run()
        };
        let real = run(arena.real(line.clone()));
        assert!(real.died_of(REFUSED), "{real:?}");
        let trace = arena.root().join("trace");
        run(arena.shim(line).env("GIT_TRACE", &trace)).succeeded();
        let links = tree::object_links(&target);
        assert!(!links.is_empty() && links.iter().all(|&links| links == 1));
        let trace = fs::read_to_string(&trace).unwrap();
        assert_eq!(trace.matches("built-in: git clone").count(), 1, "{trace}");
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

const SOURCES: [&str; 16] = [
    "plain/src",
    "bind/src",
    "tmpfs/src",
    "overlay/src",
    "to-tmpfs/src",
    "to-plain/../bind/src",
    "plain/src/.git",
    "plain/worktree",
    "plain/gitfile",
    "plain/bare",
    "plain/packed",
    "plain/mounted",
    "plain/packs",
    "plain/bundle",
    "plain/shallow",
    "plain/empty",
];

const DESTINATIONS: [&str; 24] = [
    "plain/dst",
    "bind/dst",
    "tmpfs/dst",
    "overlay/dst",
    "--bare bind/dst",
    "--mirror tmpfs/dst",
    "plain/given",
    "bind/given",
    "tmpfs/given/",
    "overlay/given",
    "to-bind/dst",
    "to-tmpfs/new/dst",
    "to-plain/new/er/dst//",
    "tmpfs/../plain/dst",
    "to-plain/../tmpfs/dst",
    "tmpfs/new/../dst",
    "plain/new/../../dst",
    "plain/mountpoint",
    "plain/mountpoint/dst",
    "plain/dangling",
    "plain/src",
    "--separate-git-dir tmpfs/sep plain/dst",
    "--separate-git-dir=plain/sep bind/dst",
    "--separate-git-dir bind/sep tmpfs/dst",
];

/// For each source and destination: what the shim explains, and what the real git comes to.
const COMPARE: &str = r#"
while read -r source destination; do
    explained=-
    "$SHIM" explain -- clone -l $source $destination | grep -q 'different mounts' && explained=different
    if git clone -q -l $source $destination 2>error; then came=linked
    elif grep -q 'failed to create link.*Invalid cross-device link' error; then came=EXDEV
    else came=other
    fi
    echo "$explained $came $source $destination"
    rm -rf {plain,bind,tmpfs,overlay,.}/{dst,new,sep} {plain,bind,tmpfs,overlay}/given plain/mountpoint/{*,.git}
    mkdir -p {plain,bind,tmpfs,overlay}/given
done
"#;

/// What the shim explains and what comes of it, for each of `sources` and every destination, where `run` runs the script.
fn compare(
    sources: &[&str],
    run: &dyn Fn(Call) -> Outcome,
) -> Option<BTreeSet<(String, String, String)>> {
    let arena = Arena::new(&gits()[0]);
    let source = source::small(&arena, "src");
    let mut command = arena.command("unshare");
    command
        .args(["--user", "--map-root-user", "--mount", "bash", "-c"])
        .arg(format!("{PLACES}\nset +e\n{COMPARE}"))
        .env("SRC", source)
        .env("SHIM", executable::shim());
    let pairs: String = sources
        .iter()
        .flat_map(|source| DESTINATIONS.map(|destination| format!("{source} {destination}\n")))
        .collect();
    let outcome = run(Call::new(command).stdin(pairs));
    if !outcome.status.success() {
        arrangement::missing(&format!("user namespace to mount in ({outcome:?})"));
        return None;
    }
    let text = String::from_utf8(outcome.stdout).unwrap();
    let results: BTreeSet<_> = text
        .lines()
        .map(|line| {
            let mut parts = line.splitn(3, ' ').map(str::to_owned);
            let mut next = || parts.next().unwrap();
            (next(), next(), next())
        })
        .collect();
    assert_eq!(results.len(), sources.len() * DESTINATIONS.len());
    Some(results)
}

#[test]
fn kernel_refuses_every_link_that_the_shim_does_not_attempt() {
    let Some(results) = compare(&SOURCES, &Call::run) else {
        return;
    };
    for (explained, came, line) in &results {
        // `..` behind what does not exist yet could lead anywhere: in doubt, the attempt.
        let in_doubt = line.contains("/new/..");
        let expected = match came.as_str() {
            "EXDEV" if !in_doubt => "different",
            _ => "-",
        };
        assert_eq!(explained, expected, "{came}: {line}");
    }
    for (explained, came) in [("different", "EXDEV"), ("-", "linked"), ("-", "other")] {
        let mut results = results.iter();
        assert!(
            results.any(|found| found.0 == explained && found.1 == came),
            "{came}"
        );
    }
}

#[test]
fn kernel_that_tells_no_mounts_refuses_every_link_that_the_shim_does_not_attempt() {
    // Linux before 5.8, and a sandbox: the devices of the directories tell less, and never anything wrong.
    for errno in [libc::ENOSYS, libc::EPERM] {
        let without_statx =
            |call: Call| fault::with_calls_failing(&[libc::SYS_statx], errno, || call.run());
        let Some(results) = compare(&SOURCES[..4], &without_statx) else {
            return;
        };
        for (explained, came, line) in &results {
            assert!(explained == "-" || came == "EXDEV", "{came}: {line}");
            let to_another_filesystem = line == "plain/src tmpfs/dst";
            assert!(!to_another_filesystem || explained == "different", "{line}");
        }
    }
}
