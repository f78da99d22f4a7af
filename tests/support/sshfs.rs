//! An sshfs that is connected to sftp-server by a pipe, without ssh.

use std::fs;
use std::os::unix::ffi::OsStrExt;

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

    /// Has every access wait from now on, but so that a signal ends it: the kernel still has the request. `None` if the
    /// process that serves the filesystem is not found.
    pub fn stop(&self) -> Option<StoppedSshfs> {
        let mount_point = self.mounted.path();
        let is_ours = |args: &[u8]| {
            let mut args = args.split(|&byte| byte == 0);
            args.next() == Some(b"sshfs")
                && args.any(|arg| arg == mount_point.as_os_str().as_bytes())
        };
        let processes = fs::read_dir("/proc").unwrap();
        let found = processes.filter_map(|entry| {
            let path = entry.unwrap().path();
            let args = fs::read(path.join("cmdline")).ok()?;
            let pid = path.file_name()?.to_str()?.parse().ok()?;
            is_ours(&args).then(|| Pid::from_raw(pid))
        });
        let found: Vec<Pid> = found.collect();
        for &process in &found {
            kill(process, Signal::SIGSTOP).unwrap();
        }
        (!found.is_empty()).then_some(StoppedSshfs(found))
    }

    /// Lets the server continue.
    pub fn answer(&self) {
        kill(self.server, Signal::SIGCONT).unwrap();
    }
}

/// The stopped processes of an sshfs, which go on when this is dropped.
pub struct StoppedSshfs(Vec<Pid>);

impl Drop for StoppedSshfs {
    fn drop(&mut self) {
        for &process in &self.0 {
            let _ = kill(process, Signal::SIGCONT);
        }
    }
}

impl Drop for Sshfs {
    fn drop(&mut self) {
        // The server may have exited with its filesystem.
        let _ = kill(self.server, Signal::SIGCONT);
    }
}
