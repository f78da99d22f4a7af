//! Repositories to clone from.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::arena::Arena;
use super::args::args;

/// A repository of three commits on two branches, a tag and a symbolic link: some loose objects.
pub fn small(arena: &Arena, name: &str) -> PathBuf {
    let source = arena.root().join(name);
    let git = |line: &str| drop(arena.real(args(line)).cwd(&source).run().succeeded());
    fs::create_dir(&source).unwrap();
    git("init -q .");
    git("symbolic-ref HEAD refs/heads/trunk");
    for turn in ["one", "two", "three"] {
        fs::write(source.join(turn), format!("{turn}\n")).unwrap();
        git(&format!("add {turn}"));
        git(&format!("commit -q -m {turn}"));
    }
    std::os::unix::fs::symlink("one", source.join("link")).unwrap();
    git("add link");
    git("commit -q -m link");
    git("branch side HEAD~1");
    git("tag -a -m v1 v1 HEAD~2");
    source
}

/// Moves the working directory of `arena` to a new directory below `directory`, and puts a small repository beside it.
pub fn beside_work_dir(directory: &Path, arena: Arena) -> (Arena, PathBuf) {
    let directory = tempfile::tempdir_in(directory).unwrap().keep();
    let (work_dir, source) = (directory.join("work"), directory.join("src"));
    fs::create_dir(&work_dir).unwrap();
    // Not made there: that can take long.
    let copied = Command::new("cp").arg("-R").arg(small(&arena, "src")).arg(&source).status();
    assert!(copied.unwrap().success());
    (arena.in_directory(&work_dir), source)
}

/// A repository with this many further loose objects.
pub fn with_loose_objects(arena: &Arena, name: &str, count: usize) -> PathBuf {
    let source = small(arena, name);
    let tree = source.join("many");
    fs::create_dir(&tree).unwrap();
    for number in 0..count {
        fs::write(tree.join(number.to_string()), format!("{number}\n")).unwrap();
    }
    let git = |line: &str| drop(arena.real(args(line)).cwd(&source).run().succeeded());
    git("-c core.fsync=none add many");
    git("commit -q -m many");
    assert!(loose_objects(&source) >= count);
    source
}

/// A repository with another one as its submodule `inner`.
pub fn with_submodule(arena: &Arena, name: &str) -> PathBuf {
    let inner = small(arena, &format!("{name}-inner"));
    let source = small(arena, name);
    let url = format!("file://{}", inner.display());
    let add = format!("-c protocol.file.allow=always submodule --quiet add {url} inner");
    for line in [&add, "commit -q -m inner"] {
        arena.real(args(line)).cwd(&source).run().succeeded();
    }
    source
}

/// A repository whose files all go through the filter of this name.
pub fn with_filter(arena: &Arena, name: &str, filter: &str) -> PathBuf {
    let source = small(arena, name);
    fs::write(source.join(".gitattributes"), format!("* filter={filter}\n")).unwrap();
    for line in ["add .gitattributes", "commit -q -m filter"] {
        arena.real(args(line)).cwd(&source).run().succeeded();
    }
    source
}

/// A repository with a file `large.bin` that git-lfs keeps, which is then on the arena's PATH.
pub fn with_large_file(arena: &Arena, name: &str, git_lfs: &Path, content: &str) -> PathBuf {
    std::os::unix::fs::symlink(git_lfs, arena.real_directory().join("git-lfs")).unwrap();
    let source = small(arena, name);
    fs::write(source.join("large.bin"), content).unwrap();
    for line in ["lfs install --skip-repo", "lfs track *.bin", "add .", "commit -q -m large"] {
        arena.real(args(line)).cwd(&source).run().succeeded();
    }
    source
}

/// A repository whose objects are in one pack.
pub fn packed(arena: &Arena, name: &str) -> PathBuf {
    let source = small(arena, name);
    arena.real(args("repack -q -a -d")).cwd(&source).run().succeeded();
    assert_eq!(loose_objects(&source), 0);
    source
}

fn loose_objects(source: &Path) -> usize {
    let fans = fs::read_dir(source.join(".git/objects")).unwrap().map(|entry| entry.unwrap());
    fans.filter(|entry| entry.file_name().len() == 2).map(|entry| fs::read_dir(entry.path()).unwrap().count()).sum()
}
