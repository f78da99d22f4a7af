//! A terminal: programs run on it, and the test reads its screen and types.

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
use nix::pty::{posix_openpt, ptsname_r, unlockpt};

use super::wait;

/// A shell as the leader of a new session with a controlling terminal.
pub const SESSION: [&str; 3] = ["setsid", "--ctty", "bash"];

/// A terminal of 24 lines.
pub struct Terminal {
    near: File,
    far: File,
}

impl Terminal {
    pub fn open(columns: u16) -> Self {
        // Not openpty(3): it opens without O_CLOEXEC, so that a program which another test starts at that moment inherits the
        // near end, and the terminal does not hang up.
        let flags = OFlag::O_RDWR | OFlag::O_NOCTTY;
        let near = posix_openpt(flags | OFlag::O_CLOEXEC).unwrap();
        unlockpt(&near).unwrap();
        let mut far = File::options();
        let far = far.read(true).write(true).custom_flags(flags.bits()).open(ptsname_r(&near).unwrap()).unwrap();
        let near = File::from(OwnedFd::from(near));
        resize(&near, columns);
        Self { near, far }
    }

    /// Connects a command's three streams to it.
    pub fn connect<'a>(&self, command: &'a mut Command) -> &'a mut Command {
        let far = || self.far.try_clone().unwrap();
        command.stdin(far()).stdout(far()).stderr(far())
    }

    /// Has these keys typed, or the terminal hang up.
    pub fn meet(self, event: &str) {
        if event != "hangup" {
            self.watch().type_in(event.as_bytes());
        }
    }

    /// Reads what is written to it from now on. The screen is complete when no process has the far end open.
    pub fn watch(self) -> WatchedTerminal {
        let mut near = self.near.try_clone().unwrap();
        let screen = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&screen);
        let reading = thread::spawn(move || {
            let mut chunk = [0; 4096];
            // EIO is the end of a terminal.
            while let Ok(count @ 1..) = near.read(&mut chunk) {
                seen.lock().unwrap().extend_from_slice(&chunk[..count]);
            }
        });
        WatchedTerminal { near: self.near, screen, reading }
    }
}

/// A terminal whose far end belongs to the programs on it.
pub struct WatchedTerminal {
    pub near: File,
    screen: Arc<Mutex<Vec<u8>>>,
    reading: thread::JoinHandle<()>,
}

impl WatchedTerminal {
    pub fn type_in(&mut self, keys: &[u8]) {
        self.near.write_all(keys).unwrap();
    }

    /// Whether these bytes have been seen so far.
    pub fn shows(&self, bytes: &[u8]) -> bool {
        contains(&self.screen.lock().unwrap(), bytes)
    }

    /// Everything that was written to it, once no process has it open.
    pub fn screen(self) -> Vec<u8> {
        self.reading.join().unwrap();
        std::mem::take(&mut *self.screen.lock().unwrap())
    }
}

/// Gives the terminal with this near end so many columns, as when its window is resized.
pub fn resize(near: &File, columns: u16) {
    let mut stty = Command::new("stty");
    stty.args(["rows", "24", "cols", &columns.to_string()]);
    let done = stty.stdin(near.try_clone().unwrap()).status();
    assert!(done.unwrap().success());
}

/// How a command on a terminal ended, and everything that was written to the terminal.
#[derive(PartialEq)]
pub struct TerminalOutcome {
    pub status: ExitStatus,
    pub bytes: Vec<u8>,
    columns: u16,
}

impl TerminalOutcome {
    /// Whether this text has been written.
    pub fn shows(&self, text: &str) -> bool {
        contains(&self.bytes, text.as_bytes())
    }

    /// The final screen, on a terminal with enough lines.
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

/// Runs a command on a new terminal of this many columns, and types each answer when its question appears.
pub fn run(mut command: Command, columns: u16, answers: &[(&str, &str)]) -> TerminalOutcome {
    let terminal = Terminal::open(columns);
    terminal.connect(&mut command);
    let mut child = command.spawn().unwrap();
    // It holds copies of the far end, with which the screen would never be complete.
    drop(command);
    let mut terminal = terminal.watch();
    for (question, answer) in answers {
        wait::until(question, || terminal.shows(question.as_bytes()));
        terminal.type_in(answer.as_bytes());
    }
    let bytes = terminal.screen();
    TerminalOutcome { status: child.wait().unwrap(), bytes, columns }
}

fn contains(bytes: &[u8], text: &[u8]) -> bool {
    bytes.windows(text.len()).any(|part| part == text)
}
