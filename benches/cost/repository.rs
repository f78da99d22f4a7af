//! Repositories to clone from.

use std::fmt::Write;
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::stage::Stage;

/// A repository below the directory `place`, of this many objects in files of their own.
pub fn of_loose_objects(stage: &Stage, place: &Path, objects: usize) -> PathBuf {
    let repository = new(stage, place.join(format!("{objects}-objects")));
    let contents = stage.directory(&format!("contents-{objects}"));
    let mut files = String::new();
    // A commit of the empty tree is the first of them.
    for number in 1..objects {
        let file = contents.join(number.to_string());
        fs::write(&file, format!("{number}\n")).unwrap();
        let _ = writeln!(files, "{}", file.display());
    }
    let list = contents.join("list");
    fs::write(&list, files).unwrap();
    let mut hash = git(
        stage,
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
    commit(stage, &repository);
    repository
}

/// A repository below the directory `place`, of one pack of about so many megabytes that cannot be compressed.
pub fn of_one_pack(stage: &Stage, place: &Path, megabytes: u64) -> PathBuf {
    let repository = new(stage, place.join(format!("{megabytes}-megabytes")));
    let mut random = fs::File::open("/dev/urandom")
        .unwrap()
        .take(megabytes * 1_000_000);
    std::io::copy(
        &mut random,
        &mut fs::File::create(repository.join("random")).unwrap(),
    )
    .unwrap();
    succeed(&mut git(
        stage,
        &repository,
        &["-c", "core.compression=0", "add", "random"],
    ));
    commit(stage, &repository);
    succeed(&mut git(
        stage,
        &repository,
        &["-c", "core.compression=0", "repack", "-q", "-a", "-d"],
    ));
    fs::remove_file(repository.join("random")).unwrap();
    repository
}

fn new(stage: &Stage, repository: PathBuf) -> PathBuf {
    fs::create_dir_all(&repository).unwrap();
    succeed(&mut git(stage, &repository, &["init", "-q", "."]));
    repository
}

fn commit(stage: &Stage, repository: &Path) {
    let who = [
        "-c",
        "user.name=A",
        "-c",
        "user.email=a@a",
        "-c",
        "gc.auto=0",
    ];
    let words = [&who[..], &["commit", "-q", "--allow-empty", "-m", "x"]].concat();
    succeed(&mut git(stage, repository, &words));
}

fn git(stage: &Stage, repository: &Path, words: &[&str]) -> Command {
    let words: Vec<_> = words.iter().map(AsRef::as_ref).collect();
    let mut command = stage.git(&[&stage.real()], &words);
    command.current_dir(repository).stderr(Stdio::inherit());
    command
}

fn succeed(command: &mut Command) {
    assert!(command.status().unwrap().success(), "{command:?}");
}
