//! A call of git or another program: how it ended and what it wrote.

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::io::Write;
use std::path::Path;
use std::process::{Command, ExitStatus, Stdio};

use super::fault;

/// One call, of the real git or through the shim: that depends on the PATH that its arena gave it.
#[must_use]
pub struct Call {
    pub command: Command,
    stdin: Vec<u8>,
    errno: Option<i32>,
}

impl Call {
    pub fn new(command: Command) -> Self {
        Self { command, stdin: Vec::new(), errno: None }
    }

    pub fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.command.env(name, value);
        self
    }

    pub fn cwd(mut self, directory: impl AsRef<Path>) -> Self {
        self.command.current_dir(directory);
        self
    }

    /// What the program reads from standard input; nothing otherwise.
    pub fn stdin(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.stdin = bytes.into();
        self
    }

    /// Makes link(2) fail with `errno`.
    pub fn links_fail(mut self, errno: Option<i32>) -> Self {
        self.errno = errno;
        self
    }

    pub fn run(mut self) -> Outcome {
        let args = self.command.get_args().map(OsStr::to_owned).collect();
        let run = || {
            self.command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
            let mut child = self.command.spawn().unwrap();
            let mut stdin = child.stdin.take().unwrap();
            // In a thread of its own: the program may write before it has read all of it, and it may not read at all.
            let feed = std::thread::spawn(move || drop(stdin.write_all(&self.stdin)));
            let output = child.wait_with_output().unwrap();
            feed.join().unwrap();
            output
        };
        let output = match self.errno {
            Some(errno) => fault::with_links_failing(errno, run),
            None => run(),
        };
        Outcome { args, status: output.status, stdout: output.stdout, stderr: output.stderr }
    }
}

/// Connects a command's stderr to `stderr`, and its stdin and stdout to /dev/null.
pub fn only_stderr(command: &mut Command, stderr: impl Into<Stdio>) -> &mut Command {
    let command = command.stdin(Stdio::null()).stdout(Stdio::null());
    command.stderr(stderr)
}

/// How a call ended and what it wrote. Two are equal if status, stdout and stderr are; the args are not compared.
#[derive(Clone)]
pub struct Outcome {
    args: Vec<OsString>,
    pub status: ExitStatus,
    pub stdout: Vec<u8>,
    pub stderr: Vec<u8>,
}

impl Outcome {
    /// Whether git ended with status 128 and this message on stderr.
    pub fn died_of(&self, message: &str) -> bool {
        self.status.code() == Some(128) && self.stderr_contains(message)
    }

    pub fn stderr_contains(&self, text: &str) -> bool {
        self.stderr.windows(text.len()).any(|window| window == text.as_bytes())
    }

    /// Whether the shim itself failed: with this status, an empty stdout, and one line of its own on stderr.
    pub fn is_our_failure(&self, status: i32) -> bool {
        let line = self.stderr.strip_suffix(b"\n").unwrap_or_default();
        let one = line.starts_with(b"git-clone-shim: ") && !line.contains(&b'\n');
        one && self.stdout.is_empty() && self.status.code() == Some(status)
    }

    #[track_caller]
    pub fn succeeded(self) -> Self {
        assert!(self.status.success(), "{self:?}");
        self
    }
}

impl PartialEq for Outcome {
    fn eq(&self, other: &Self) -> bool {
        (self.status, &self.stdout, &self.stderr) == (other.status, &other.stdout, &other.stderr)
    }
}

impl fmt::Debug for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\n  git")?;
        for arg in &self.args {
            write!(f, " {}", arg.as_encoded_bytes().escape_ascii())?;
        }
        writeln!(f, "\n    {}", self.status)?;
        for (name, stream) in [("stdout", &self.stdout), ("stderr", &self.stderr)] {
            let shown = stream.get(..2000.min(stream.len())).unwrap();
            writeln!(f, "    {name} ({} bytes): {}", stream.len(), shown.escape_ascii())?;
        }
        Ok(())
    }
}
