//! A terminal, and what is seen and typed on it.

use std::fmt;
use std::fs::File;
use std::io::{Read, Write};
use std::num::NonZeroU16;
use std::os::fd::OwnedFd;
use std::os::unix::fs::OpenOptionsExt;
use std::process::{Command, ExitStatus};
use std::sync::{Arc, Mutex};
use std::thread;

use nix::fcntl::OFlag;
use nix::pty::{grantpt, posix_openpt, ptsname_r, unlockpt};

use super::wait;

/// A shell that leads a session of its own and controls its terminal.
pub const SESSION: [&str; 3] = ["setsid", "--ctty", "bash"];

/// A terminal of 24 lines.
pub struct Terminal {
    near: File,
    far: File,
    screen: Arc<Mutex<Vec<u8>>>,
}

impl Terminal {
    /// One of 80 columns.
    pub fn open() -> Self {
        Self::of(80)
    }

    pub fn of(columns: u16) -> Self {
        // Not by openpty(3): for a moment, programs that other tests start would inherit the near end, and it would not
        // hang up.
        let flags = OFlag::O_RDWR | OFlag::O_NOCTTY;
        let near = posix_openpt(flags | OFlag::O_CLOEXEC).unwrap();
        grantpt(&near).unwrap();
        unlockpt(&near).unwrap();
        let mut far = File::options();
        far.read(true).write(true).custom_flags(flags.bits());
        let far = far.open(ptsname_r(&near).unwrap()).unwrap();
        let near = File::from(OwnedFd::from(near));
        resize(&near, columns);
        Self {
            near,
            far,
            screen: Arc::default(),
        }
    }

    /// Connects a command's three streams to it.
    pub fn connect(&self, command: &mut Command) {
        let far = || self.far.try_clone().unwrap();
        command.stdin(far()).stdout(far()).stderr(far());
    }

    /// Reads what is written on it from now on; the screen is complete when nobody has the far end any more.
    pub fn watch(self) -> WatchedTerminal {
        let mut near = self.near.try_clone().unwrap();
        let screen = Arc::clone(&self.screen);
        let reading = thread::spawn(move || {
            let mut chunk = [0; 4096];
            // EIO is the end of a terminal.
            while let Ok(count @ 1..) = near.read(&mut chunk) {
                screen.lock().unwrap().extend_from_slice(&chunk[..count]);
            }
        });
        WatchedTerminal {
            near: self.near,
            screen: self.screen,
            reading,
        }
    }
}

/// A terminal whose far end belongs to the programs on it.
pub struct WatchedTerminal {
    near: File,
    screen: Arc<Mutex<Vec<u8>>>,
    reading: thread::JoinHandle<()>,
}

impl WatchedTerminal {
    pub fn type_in(&mut self, keys: &[u8]) {
        self.near.write_all(keys).unwrap();
    }

    /// Gives it this many columns, as one does who pulls at the corner of its window.
    pub fn resize(&self, columns: u16) {
        resize(&self.near, columns);
    }

    /// Whether these bytes have been seen so far.
    pub fn shows(&self, bytes: &[u8]) -> bool {
        holds(&self.screen.lock().unwrap(), bytes)
    }

    /// All that was written on it, once every program has gone.
    pub fn screen(self) -> Vec<u8> {
        self.reading.join().unwrap();
        std::mem::take(&mut *self.screen.lock().unwrap())
    }
}

fn resize(near: &File, columns: u16) {
    let mut stty = Command::new("stty");
    stty.args(["rows", "24", "cols", &columns.to_string()]);
    let done = stty.stdin(near.try_clone().unwrap()).status();
    assert!(done.unwrap().success());
}

/// How a command on a terminal has ended, and all that was written on it.
#[derive(PartialEq)]
pub struct TerminalOutcome {
    pub status: ExitStatus,
    pub bytes: Vec<u8>,
    columns: u16,
}

impl TerminalOutcome {
    /// Whether these words have been written.
    pub fn shows(&self, args: &str) -> bool {
        holds(&self.bytes, args.as_bytes())
    }

    /// What is left to be seen of it, on a screen that has lines enough.
    pub fn screen(&self) -> vt100::Screen {
        let size = |count| NonZeroU16::new(count).unwrap();
        let mut terminal = vt100::Parser::new(size(1000), size(self.columns), 0);
        terminal.process(&self.bytes);
        terminal.screen().clone()
    }
}

impl fmt::Debug for TerminalOutcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}: {}", self.status, self.bytes.escape_ascii())
    }
}

/// Runs a command on a terminal of its own of so many columns, and gives each answer when its question is seen.
pub fn run(mut command: Command, columns: u16, answers: &[(&str, &str)]) -> TerminalOutcome {
    let terminal = Terminal::of(columns);
    terminal.connect(&mut command);
    let mut child = command.spawn().unwrap();
    // Our copies of the far end must go, so that the screen ends with the child.
    drop(command);
    let mut terminal = terminal.watch();
    for (question, answer) in answers {
        wait::until(question, || terminal.shows(question.as_bytes()));
        terminal.type_in(answer.as_bytes());
    }
    let bytes = terminal.screen();
    TerminalOutcome {
        status: child.wait().unwrap(),
        bytes,
        columns,
    }
}

fn holds(bytes: &[u8], args: &[u8]) -> bool {
    bytes.windows(args.len()).any(|part| part == args)
}
