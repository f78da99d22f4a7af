//! A terminal, and what is seen and typed on it.

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::thread;

use nix::fcntl::{FcntlArg, FdFlag, fcntl};

/// A terminal of 80 columns and 24 lines.
pub struct Terminal {
    near: File,
    far: OwnedFd,
    screen: Arc<Mutex<Vec<u8>>>,
}

impl Terminal {
    pub fn open() -> Self {
        let size = nix::pty::Winsize {
            ws_row: 24,
            ws_col: 80,
            ws_xpixel: 0,
            ws_ypixel: 0,
        };
        let pty = nix::pty::openpty(&size, None).unwrap();
        // The programs on it must not keep its near end, or it would never hang up.
        for end in [&pty.master, &pty.slave] {
            fcntl(end, FcntlArg::F_SETFD(FdFlag::FD_CLOEXEC)).unwrap();
        }
        Self {
            near: pty.master.into(),
            far: pty.slave,
            screen: Arc::default(),
        }
    }

    /// Connects a command's three streams to it.
    pub fn connect(&self, command: &mut Command) {
        let far = || self.far.try_clone().unwrap();
        command.stdin(far()).stdout(far()).stderr(far());
    }

    /// Reads what is written on it from now on; the screen is complete when nobody has the far end any more.
    pub fn watch(self) -> Watched {
        let mut near = self.near.try_clone().unwrap();
        let screen = Arc::clone(&self.screen);
        let reading = thread::spawn(move || {
            let mut chunk = [0; 4096];
            // EIO is the end of a terminal.
            while let Ok(count @ 1..) = near.read(&mut chunk) {
                screen.lock().unwrap().extend_from_slice(&chunk[..count]);
            }
        });
        Watched {
            near: self.near,
            screen: self.screen,
            reading,
        }
    }
}

/// A terminal whose far end belongs to the programs on it.
pub struct Watched {
    near: File,
    screen: Arc<Mutex<Vec<u8>>>,
    reading: thread::JoinHandle<()>,
}

impl Watched {
    pub fn type_in(&mut self, keys: &[u8]) {
        self.near.write_all(keys).unwrap();
    }

    /// Whether these bytes have been seen so far.
    pub fn shows(&self, bytes: &[u8]) -> bool {
        self.screen
            .lock()
            .unwrap()
            .windows(bytes.len())
            .any(|part| part == bytes)
    }

    /// All that was written on it, once every program has gone.
    pub fn screen(self) -> Vec<u8> {
        self.reading.join().unwrap();
        std::mem::take(&mut *self.screen.lock().unwrap())
    }
}
