//! Repositories to clone from.

use std::fmt::Write;
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::fixture::Fixture;

/// A new repository below the directory `place`, with this many loose objects.
pub fn of_loose_objects(fixture: &Fixture, place: &Path, objects: usize) -> PathBuf {
    let repository = new(fixture, place.join(format!("{objects}-objects")));
    let contents = fixture.directory(&format!("contents-{objects}"));
    let mut files = String::new();
    // The commit of the empty tree is one of them, so the files begin at 1.
    for number in 1..objects {
        let file = contents.join(number.to_string());
        fs::write(&file, format!("{number}\n")).unwrap();
        let _ = writeln!(files, "{}", file.display());
    }
    let list = contents.join("list");
    fs::write(&list, files).unwrap();
    let mut hash = git(
        fixture,
        &repository,
        &[
            "-c",
            "core.fsync=none",
            "hash-object",
            "-w",
            "--stdin-paths",
        ],
    );
    succeed(hash.stdin(fs::File::open(list).unwrap()));
    commit(fixture, &repository);
    repository
}

/// A new repository below the directory `place`, with one pack of about `megabytes` that cannot be compressed.
pub fn of_one_pack(fixture: &Fixture, place: &Path, megabytes: u64) -> PathBuf {
    let repository = new(fixture, place.join(format!("{megabytes}-megabytes")));
    let mut random = fs::File::open("/dev/urandom")
        .unwrap()
        .take(megabytes * 1_000_000);
    std::io::copy(
        &mut random,
        &mut fs::File::create(repository.join("random")).unwrap(),
    )
    .unwrap();
    succeed(&mut git(
        fixture,
        &repository,
        &["-c", "core.compression=0", "add", "random"],
    ));
    commit(fixture, &repository);
    succeed(&mut git(
        fixture,
        &repository,
        &["-c", "core.compression=0", "repack", "-q", "-a", "-d"],
    ));
    fs::remove_file(repository.join("random")).unwrap();
    repository
}

fn new(fixture: &Fixture, repository: PathBuf) -> PathBuf {
    fs::create_dir_all(&repository).unwrap();
    succeed(&mut git(fixture, &repository, &["init", "-q", "."]));
    repository
}

fn commit(fixture: &Fixture, repository: &Path) {
    let config = [
        "-c",
        "user.name=A",
        "-c",
        "user.email=a@a",
        "-c",
        "gc.auto=0",
    ];
    let args = [&config[..], &["commit", "-q", "--allow-empty", "-m", "x"]].concat();
    succeed(&mut git(fixture, repository, &args));
}

fn git(fixture: &Fixture, repository: &Path, args: &[&str]) -> Command {
    let args: Vec<_> = args.iter().map(AsRef::as_ref).collect();
    let mut command = fixture.git(&[&fixture.real()], &args);
    command.current_dir(repository).stderr(Stdio::inherit());
    command
}

fn succeed(command: &mut Command) {
    assert!(command.status().unwrap().success(), "{command:?}");
}
