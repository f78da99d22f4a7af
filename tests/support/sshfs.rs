//! An sshfs that speaks to sftp-server through a pipe.

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::mounted::Mounted;
use super::wait;

/// A mounted sshfs whose server can be made to answer no more.
pub struct Sshfs {
    server: Pid,
    pub mounted: Mounted,
}

impl Sshfs {
    /// Mounts the directory `backing` next to the mountpoint.
    #[track_caller]
    pub fn mount(options: &str) -> Option<Self> {
        // sshfs appends the words of an ssh call, for which sftp-server has no use.
        let script = format!(
            "mkdir backing
             printf '#!/bin/sh\\necho $$ >%s/pid\\nexec /usr/lib/openssh/sftp-server\\n' \"$PWD\" >server
             chmod +x server
             sshfs {options} -o \"ssh_command=$PWD/server\" \"host:$PWD/backing\" mount"
        );
        let mounted = Mounted::by(&script, tempfile::tempdir().unwrap(), "sshfs")?;
        let pid = wait::for_line(&mounted.directory().join("pid"));
        Some(Self {
            server: Pid::from_raw(pid.parse().unwrap()),
            mounted,
        })
    }

    /// The process that has to answer.
    pub fn server(&self) -> Pid {
        self.server
    }

    /// Has every access wait from now on.
    pub fn hang(&self) {
        kill(self.server, Signal::SIGSTOP).unwrap();
    }

    /// Has every access go on.
    pub fn answer(&self) {
        kill(self.server, Signal::SIGCONT).unwrap();
    }
}

impl Drop for Sshfs {
    fn drop(&mut self) {
        // It may have ended with its filesystem.
        let _ = kill(self.server, Signal::SIGCONT);
    }
}
