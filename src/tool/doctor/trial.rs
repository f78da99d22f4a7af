//! What is tried in a directory: hard links, and real clones of a tiny repository, git's own and the shim's.
//!
//! Source and destination are different directories, like a cache and a checkout of uv's, since some filesystems refuse
//! links between directories only; and the repository has its objects in subdirectories, as all have.

use std::ffi::{CStr, CString, OsStr};
use std::io;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use anyhow::{Context, Result};
use nix::libc;
use nix::sys::stat::FileStat;

use super::report::{Action, Check, PlannedCall};
use super::scratch::Scratch;
use super::sealed;
use crate::git::link_failure;
use crate::plan::Plan;
use crate::process::startup;
use crate::settings::Mode;
use crate::tool::directory::Directory;
use crate::tool::text;

/// The directory around a clone.
const CHECKOUTS: &str = "checkouts";

/// A repository in a scratch directory, which is cloned.
pub(super) struct Trial<'a> {
    scratch: &'a Scratch,
    git: &'a Path,
    mode: Mode,
}

impl<'a> Trial<'a> {
    /// A trial in `scratch` with the real git in the file `git`, and with the shim in this mode.
    pub(super) fn new(scratch: &'a Scratch, git: &'a Path, mode: Mode) -> Self {
        Self { scratch, git, mode }
    }

    fn source(&self) -> PathBuf {
        self.scratch.path().join("source")
    }

    /// Makes the repository, with the real git.
    pub(super) fn make_repository(&self) -> Check {
        // git's check of the owner is not on trial: where files seem to be another user's (sshfs -o uid=…), users have configured
        // safe.directory. Nor are hooks.
        let config = b"[safe]\n\tdirectory = *\n[core]\n\thooksPath = /dev/null\n";
        let home = self.scratch.directory();
        if let Err(error) = home.write(OsStr::new(".gitconfig"), config, 0o600) {
            return Check::failed(format!("{error:#}"));
        }
        let mut init = self.real();
        init.args(["init", "--quiet"]).arg(self.source());
        let mut commit = self.real();
        // Not -C, which gits before 1.8.5 do not know.
        commit.current_dir(self.source());
        // It is the clone that is on trial: git makes objects by hard links too, which not every filesystem survives.
        commit.args(["-c", "core.createObject=rename"]);
        commit.args(["commit", "--quiet", "--allow-empty", "--message=trial"]);
        let made = check(init.output());
        if made.ok {
            check(commit.output())
        } else {
            made
        }
    }

    /// What the shim does with a clone of the repository into the directory `to`, with this option if there is one.
    pub(super) fn plan(&self, option: Option<&CStr>, to: &Scratch) -> Option<PlannedCall> {
        let path = |path: PathBuf| CString::new(path.into_os_string().into_encoded_bytes()).ok();
        let (source, destination) = (path(self.source())?, path(destination(to))?);
        let mut args = vec![c"git", c"clone"];
        args.extend(option);
        args.extend([source.as_c_str(), destination.as_c_str()]);
        let (action, reason) = match Plan::new(self.mode, &args) {
            Plan::PassThrough(reason) => (Action::PassThrough, reason.to_string()),
            Plan::Copy(_, reason) => (Action::Copy, reason.to_string()),
            Plan::Attempt(_, reason) => (Action::Attempt, reason.to_string()),
        };
        Some(PlannedCall { action, reason })
    }

    /// Clones it into the directory `to` with the real git; and whether git died of a link failure.
    pub(super) fn clone_with_git(&self, to: &Scratch) -> (Check, bool) {
        let output = local_clone(self.real(), &self.source(), to).output();
        // The shim's has to find as much space.
        let _ = to.directory().remove_tree(OsStr::new(CHECKOUTS));
        let died_of_link = output.as_ref().is_ok_and(|output| {
            output.status.code() == Some(128) && link_failure::find(&output.stderr).is_some()
        });
        (check(output), died_of_link)
    }

    /// Clones it through the shim, which is this program under another name.
    pub(super) fn clone_through_shim(&self, to: &Scratch) -> Check {
        let mut shim = self.sealed(&startup::own_path());
        shim.arg0("git").env("GIT_CLONE_SHIM_GIT", self.git);
        check(local_clone(shim, &self.source(), to).output())
    }

    /// The real git, even if it is a wrapper that leads to the shim.
    fn real(&self) -> Command {
        let mut command = self.sealed(self.git);
        command.env("GIT_CLONE_SHIM", "off");
        command
    }

    /// `program`, without the configuration, hooks and templates of the user and the system.
    fn sealed(&self, program: &Path) -> Command {
        let mut command = sealed::command(program);
        command
            .current_dir(self.scratch.path())
            .env("HOME", self.scratch.path())
            .env("XDG_CONFIG_HOME", self.scratch.path())
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .env("GIT_TEMPLATE_DIR", "")
            .env("GIT_TERMINAL_PROMPT", "0");
        for role in ["AUTHOR", "COMMITTER"] {
            command
                .env(format!("GIT_{role}_NAME"), crate::NAME)
                .env(format!("GIT_{role}_EMAIL"), "doctor@localhost");
        }
        command
    }
}

fn local_clone(mut command: Command, source: &Path, to: &Scratch) -> Command {
    command.args(["clone", "--quiet", "--local"]).arg(source);
    command.arg(destination(to));
    command
}

fn destination(to: &Scratch) -> PathBuf {
    to.path().join(CHECKOUTS).join("clone")
}

/// How a command has ended: what it wrote to standard error, if it failed.
fn check(output: io::Result<Output>) -> Check {
    match output {
        Ok(output) if output.status.success() => Check::passed(),
        Ok(output) => {
            let message = text::of(output.stderr.trim_ascii());
            match message.is_empty() {
                true => Check::failed(output.status.to_string()),
                false => Check::failed(message),
            }
        }
        Err(error) => Check::failed(text::why(&error)),
    }
}

/// The name of the file that is linked.
const FILE: &str = "file";

/// The file that is linked, and the two directories in which links to it are made.
pub(super) struct Links {
    here: Directory,
    there: Directory,
}

impl Links {
    /// Makes a file in one directory of `scratch` and an empty directory beside that one.
    ///
    /// # Errors
    ///
    /// The filesystem's.
    pub(super) fn prepare(scratch: &Directory) -> Result<Self> {
        let make = |name: &str| {
            scratch.make_private(OsStr::new(name))?;
            scratch
                .subdirectory(OsStr::new(name))?
                .context("it has gone")
        };
        let (here, there) = (make("here")?, make("there")?);
        here.write(OsStr::new(FILE), b"git-clone-shim doctor\n", 0o600)?;
        Ok(Self { here, there })
    }

    /// Links the file to a name in its own directory: whether that could be done, and if so, whether the link is the same file.
    pub(super) fn inside(&self) -> (Check, Option<Check>) {
        self.link(&self.here)
    }

    /// The same from one directory to the other.
    pub(super) fn across(&self) -> (Check, Option<Check>) {
        self.link(&self.there)
    }

    fn link(&self, into: &Directory) -> (Check, Option<Check>) {
        let (file, link) = (OsStr::new(FILE), OsStr::new("link"));
        let before = self.here.entry(file);
        if let Err(errno) = self.here.hard_link(file, into, link) {
            return (Check::failed(errno.desc().to_owned()), None);
        }
        // As git does it after each link (`copy_or_link_directory` in builtin/clone.c): what the file was before is what the
        // link has to be.
        let same = match (before, into.entry(link)) {
            (Ok(Some(before)), Ok(Some(link))) => match difference(&before, &link) {
                None => Check::passed(),
                Some(difference) => Check::failed(difference),
            },
            (Err(error), _) | (_, Err(error)) => Check::failed(format!("{error:#}")),
            _ => Check::failed("it has gone".to_owned()),
        };
        (Check::passed(), Some(same))
    }
}

fn difference(file: &FileStat, link: &FileStat) -> Option<String> {
    Some(if link.st_mode & libc::S_IFMT == libc::S_IFLNK {
        "a symbolic link".to_owned()
    } else if file.st_ino != link.st_ino {
        format!(
            "another inode number, {} and not {}",
            link.st_ino, file.st_ino
        )
    } else if file.st_dev != link.st_dev {
        "another device".to_owned()
    } else if file.st_mode != link.st_mode {
        format!(
            "another mode, {:o} and not {:o}",
            link.st_mode, file.st_mode
        )
    } else if (file.st_uid, file.st_gid) != (link.st_uid, link.st_gid) {
        "another owner".to_owned()
    } else if file.st_size != link.st_size {
        "another size".to_owned()
    } else {
        return None;
    })
}
