//! The shim derives the destination from the source as git does: before a fallback it looks whether that is free.

use std::ffi::{CString, OsStr, OsString};
use std::fs;
use std::os::unix::ffi::OsStrExt;

use git_clone_shim::git::{command_line, destination};

use crate::support::arena::for_each_git;
use crate::support::args::args;
use crate::support::source;
use crate::support::tree;

#[test]
fn destination_is_derived_as_git_derives_it() {
    for_each_git(|_, arena| {
        let source = source::small(&arena, "src");
        let mut compared = 0;
        for (name, suffix) in [
            (&b"src"[..], &b""[..]),
            (b"src", b"/"),
            (b"src", b"///"),
            (b"src", b"/.git"),
            (b"src", b"/.git/"),
            (b"src", b"/.git//"),
            (b"src.git", b""),
            (b"src.git", b"/"),
            (b"src.git", b"/.git"),
            (b"src.git.git", b""),
            (b".git.git", b""),
            (b"my repo", b""),
            (b" led and trailed ", b""),
            (b"a \t\n b", b""),
            (b"a\x01\x1fb", b""),
            (b"a:b", b""),
            (b"a:8080", b""),
            (b"a:", b""),
            (b"me@host", b""),
            (b"me@host.git", b"/"),
            (b"caf\xe9", b""),
            (b"-x", b""),
            (b"src.bundle", b""),
        ] {
            let here = arena.root().join(OsStr::from_bytes(name));
            fs::rename(&source, &here).unwrap();
            for parent in [&b".."[..], b"./..", arena.root().as_os_str().as_bytes()] {
                for bare in [false, true] {
                    let mut line = args(if bare { "clone -l --bare" } else { "clone -l" });
                    line.push(OsStr::from_bytes(&[parent, b"/", name, suffix].concat()).to_owned());
                    let done = arena.run(arena.real(line.clone()));
                    if !done.outcome.status.success() {
                        continue;
                    }
                    let made: Vec<_> = fs::read_dir(arena.work_dir())
                        .unwrap()
                        .map(|entry| entry.unwrap().file_name())
                        .collect();
                    let owned: Vec<CString> = std::iter::once(OsStr::new("git"))
                        .chain(line.iter().map(OsString::as_os_str))
                        .map(|arg| CString::new(arg.as_bytes()).unwrap())
                        .collect();
                    let borrowed: Vec<_> = owned.iter().map(CString::as_c_str).collect();
                    let derived =
                        destination::directory(&command_line::read(&borrowed).unwrap()).unwrap();
                    assert_eq!(made, [derived.as_os_str()], "{:?}", done.outcome);
                    compared += 1;
                }
            }
            fs::rename(&here, &source).unwrap();
        }
        tree::clear(arena.work_dir());
        assert!(compared > 100, "{compared}");
    });
}
