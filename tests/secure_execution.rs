//! Where the kernel says `AT_SECURE`, since the program has more rights than its caller, no variable of the shim counts.

use std::fs;
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::CommandExt;

use nix::sys::statvfs::{FsFlags, statvfs};

use crate::support::arena::{Arena, for_each_git};
use crate::support::args::args;
use crate::support::arrangement;
use crate::support::call::Call;
use crate::support::executable;

/// The caller, who has none of the rights of the program's group.
const OTHER_USER: u32 = 65534;

/// The group that the program runs as.
const GROUP: u32 = 2;

#[test]
fn variables_of_a_setgid_shim_are_ignored() {
    if !arrangement::is_root() {
        return;
    }
    for_each_git(|_, arena| {
        if statvfs(arena.root()).is_ok_and(|fs| fs.flags().contains(FsFlags::ST_NOSUID)) {
            return arrangement::missing("filesystem that allows setgid programs");
        }
        let plain = arena.root().join("plain");
        let setgid = arena.root().join("setgid");
        for directory in [&plain, &setgid] {
            fs::create_dir(directory).unwrap();
            executable::copy(executable::shim(), &directory.join("git"));
        }
        chown(setgid.join("git"), Some(0), Some(GROUP)).unwrap();
        fs::set_permissions(setgid.join("git"), fs::Permissions::from_mode(0o2755)).unwrap();
        let wanted = executable::script(
            &arena.root().join("wanted"),
            "#!/bin/sh\necho chosen by the caller\n",
        );
        let run = |directory| {
            let call = arena.real(args("--version"));
            let path = Arena::path(&[directory, arena.real_directory()]);
            let mut call = call
                .env("PATH", path)
                .env("GIT_CLONE_SHIM_GIT", &wanted)
                .env("GIT_CLONE_SHIM_LOG", "trace");
            call.command.uid(OTHER_USER).gid(OTHER_USER);
            call.run().succeeded()
        };
        let obeyed = run(plain);
        assert_eq!(obeyed.stdout, b"chosen by the caller\n");
        assert!(obeyed.stderr_contains("git_clone_shim"), "{obeyed:?}");
        let ignored = run(setgid);
        let expected: Call = arena.real(args("--version"));
        assert_eq!(ignored, expected.run());
    });
}
