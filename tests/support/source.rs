//! Repositories to clone from.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::arena::Arena;

/// A repository of three commits on two branches, a tag and a symbolic link: some loose objects.
pub fn small(arena: &Arena, name: &str) -> PathBuf {
    let source = arena.root().join(name);
    fs::create_dir(&source).unwrap();
    let script = "
        git init -q .
        git symbolic-ref HEAD refs/heads/trunk
        for turn in one two three; do echo $turn >$turn; git add $turn; git commit -q -m $turn; done
        ln -s one link; git add link; git commit -q -m link
        git branch side HEAD~1
        git tag -a -m v1 v1 HEAD~2";
    with(arena, source, script)
}

/// The repository `source`, once bash has run `script` there.
#[track_caller]
fn with(arena: &Arena, source: PathBuf, script: &str) -> PathBuf {
    let done = arena.command("bash").args(["-ec", script]).current_dir(&source).status();
    assert!(done.unwrap().success(), "{script}");
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
    let script = format!(
        "mkdir many; for file in $(seq {count}); do echo $file >many/$file; done
         git -c core.fsync=none add many; git commit -q -m many
         [[ $(git count-objects | cut -d ' ' -f 1) -ge {count} ]]"
    );
    with(arena, small(arena, name), &script)
}

/// A repository with another one as its submodule `inner`.
pub fn with_submodule(arena: &Arena, name: &str) -> PathBuf {
    let inner = small(arena, &format!("{name}-inner"));
    let add = format!("git -c protocol.file.allow=always submodule --quiet add file://{} inner", inner.display());
    with(arena, small(arena, name), &format!("{add}; git commit -q -m inner"))
}

/// A repository whose files all go through the filter of this name.
pub fn with_filter(arena: &Arena, name: &str, filter: &str) -> PathBuf {
    let script = format!("echo '* filter={filter}' >.gitattributes; git add .gitattributes; git commit -q -m filter");
    with(arena, small(arena, name), &script)
}

/// A repository with a file `large.bin` that git-lfs keeps, which is then on the arena's PATH.
pub fn with_large_file(arena: &Arena, name: &str, git_lfs: &Path, content: &str) -> PathBuf {
    symlink(git_lfs, arena.real_directory().join("git-lfs")).unwrap();
    let source = small(arena, name);
    fs::write(source.join("large.bin"), content).unwrap();
    with(arena, source, "git lfs install --skip-repo; git lfs track '*.bin'; git add .; git commit -q -m large")
}

/// A repository whose objects are in one pack.
pub fn packed(arena: &Arena, name: &str) -> PathBuf {
    with(arena, small(arena, name), "git repack -q -a -d; [[ $(git count-objects) == '0 objects,'* ]]")
}
