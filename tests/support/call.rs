//! A call of git, and what came of it.

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::io::Write;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Command, ExitStatus, Output, Stdio};

use super::fault;

/// One call: with the real git or through the shim, according to the PATH that its arena gave it.
#[must_use]
pub struct Call {
    pub command: Command,
    stdin: Vec<u8>,
    errno: Option<i32>,
}

impl Call {
    pub fn new(command: Command) -> Self {
        Self {
            command,
            stdin: Vec::new(),
            errno: None,
        }
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
        let line = self.command.get_args().map(OsStr::to_owned).collect();
        let run = || {
            self.command
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .stderr(Stdio::piped());
            let mut child = self.command.spawn().unwrap();
            let mut stdin = child.stdin.take().unwrap();
            // From a thread of its own, since the program may speak before it has read all; and it need not read.
            let feed = std::thread::spawn(move || drop(stdin.write_all(&self.stdin)));
            let output = child.wait_with_output().unwrap();
            feed.join().unwrap();
            output
        };
        let output = match self.errno {
            Some(errno) => fault::with_links_failing(errno, run),
            None => run(),
        };
        Outcome::new(line, output)
    }
}

/// Leaves a command nothing but standard error, which goes to `stderr`.
pub fn only_stderr(command: &mut Command, stderr: impl Into<Stdio>) -> &mut Command {
    let command = command.stdin(Stdio::null()).stdout(Stdio::null());
    command.stderr(stderr)
}

/// How a call ended and what it wrote. Equal if all of that is equal, whatever the words were.
#[derive(Clone)]
pub struct Outcome {
    line: Vec<OsString>,
    pub status: ExitStatus,
    pub stdout: Vec<u8>,
    pub stderr: Vec<u8>,
}

impl Outcome {
    fn new(line: Vec<OsString>, output: Output) -> Self {
        Self {
            line,
            status: output.status,
            stdout: output.stdout,
            stderr: output.stderr,
        }
    }

    /// Whether git ended with status 128 and these words of its own on standard error.
    pub fn died_of(&self, sentence: &str) -> bool {
        self.status.code() == Some(128) && self.says(sentence)
    }

    /// Whether standard error holds these words.
    pub fn says(&self, words: &str) -> bool {
        self.stderr
            .windows(words.len())
            .any(|window| window == words.as_bytes())
    }

    /// Whether the shim itself failed: with this status, no output, and one line of its own on standard error.
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
        for word in &self.line {
            write!(f, " {}", word.as_encoded_bytes().escape_ascii())?;
        }
        match self.status.signal() {
            Some(signal) => writeln!(f, "\n    killed by signal {signal}")?,
            None => writeln!(f, "\n    status {:?}", self.status.code())?,
        }
        for (name, stream) in [("stdout", &self.stdout), ("stderr", &self.stderr)] {
            let shown = stream.get(..2000.min(stream.len())).unwrap();
            writeln!(
                f,
                "    {name} ({} bytes): {}",
                stream.len(),
                shown.escape_ascii()
            )?;
        }
        Ok(())
    }
}
