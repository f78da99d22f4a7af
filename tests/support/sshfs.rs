//! An sshfs that is connected to sftp-server by a pipe, without ssh.

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::mounted::Mounted;
use super::wait;

/// A mounted sshfs whose server can be stopped, so that it hangs.
pub struct Sshfs {
    server: Pid,
    pub mounted: Mounted,
}

impl Sshfs {
    /// Mounts the directory `backing` next to the mountpoint.
    #[track_caller]
    pub fn mount(options: &str) -> Option<Self> {
        // sshfs appends the args of an ssh call, which sftp-server does not take.
        let script = format!(
            "mkdir backing
             printf '#!/bin/sh\\necho $$ >%s/pid\\nexec /usr/lib/openssh/sftp-server\\n' \"$PWD\" >server
             chmod +x server
             sshfs {options} -o \"ssh_command=$PWD/server\" \"host:$PWD/backing\" \"$PWD/mount\""
        );
        let mounted = Mounted::by(&script, tempfile::tempdir().unwrap(), "sshfs")?;
        let pid = wait::for_line(&mounted.directory().join("pid"));
        Some(Self {
            server: Pid::from_raw(pid.parse().unwrap()),
            mounted,
        })
    }

    /// The process that answers sshfs's requests.
    pub fn server(&self) -> Pid {
        self.server
    }

    /// Stops the server: every access hangs from now on.
    pub fn hang(&self) {
        kill(self.server, Signal::SIGSTOP).unwrap();
    }

    /// Lets the server continue.
    pub fn answer(&self) {
        kill(self.server, Signal::SIGCONT).unwrap();
    }
}

impl Drop for Sshfs {
    fn drop(&mut self) {
        // The server may have exited with its filesystem.
        let _ = kill(self.server, Signal::SIGCONT);
    }
}
