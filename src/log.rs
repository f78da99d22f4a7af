//! What the shim tells: its decisions, for people, on stderr; and each fallback, for the site, in the system log.

use std::ffi::OsStr;
use std::fmt::{Debug, Write as _};
use std::io::{self, Write as _};
use std::os::unix::net::UnixDatagram;
use std::time::Duration;

use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Metadata, Subscriber, info};
use tracing_subscriber::filter::Targets;

use crate::NAME;
use crate::failure::printable;
use crate::git::filesystems::filesystem_type;
use crate::process::c_string::ShortCString;

/// The socket of syslogd and journald.
const SOCKET: &str = "/dev/log";

/// `LOG_USER | LOG_INFO` of syslog(3).
const PRIORITY: u8 = 14;

/// The filter that the value of `GIT_CLONE_SHIM_LOG` names: a level, or `target=level,…`; `None` if it is none.
#[must_use]
pub fn filter(value: &OsStr) -> Option<Targets> {
    let value = value.to_str()?;
    // Any single word is a valid filter, of a program of that name: most likely it was meant for a level.
    let is_meant = value == "off" || value.parse::<Level>().is_ok() || value.contains('=');
    value.parse().ok().filter(|_| is_meant)
}

/// Logs on stderr what `filter` lets through. Without a filter an event costs one comparison.
pub fn start(filter: Targets) {
    let _ = tracing::subscriber::set_global_default(Lines(filter));
}

/// Writes each event that the filter lets through to stderr, as one line.
///
/// `tracing_subscriber::fmt` would do, but its thread-local variables are more than musl has room for: it maps memory for them
/// before `main`, 9 µs in each call of git.
struct Lines(Targets);

impl Subscriber for Lines {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.is_event() && self.0.would_enable(metadata.target(), metadata.level())
    }

    fn event(&self, event: &Event<'_>) {
        let metadata = event.metadata();
        let mut line = Line(format!("{:>5} {}:", metadata.level(), metadata.target()));
        event.record(&mut line);
        let _ = io::stderr().write_all((printable(&line.0) + "\n").as_bytes());
    }

    // This program has no spans.
    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }
    fn record(&self, _: &Id, _: &Record<'_>) {}
    fn record_follows_from(&self, _: &Id, _: &Id) {}
    fn enter(&self, _: &Id) {}
    fn exit(&self, _: &Id) {}
}

struct Line(String);

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        let _ = match field.name() {
            "message" => write!(self.0, " {value:?}"),
            name => write!(self.0, " {name}={value:?}"),
        };
    }
}

/// Tells of a fallback to `directory` that begins now: why, and how long the attempt took. With `syslog` in the system log too,
/// as one datagram, which nothing waits for. It has no time: where there is none, journald and rsyslog take that of reception.
pub fn fallback(reason: &str, directory: Option<&ShortCString>, attempt: Duration, syslog: bool) {
    info!(reason, "exec git with --no-hardlinks");
    if syslog {
        let line = format!(
            "<{PRIORITY}>{NAME}[{}]: fallback version={} reason={reason} filesystem={:x} attempt_ms={}",
            std::process::id(),
            env!("CARGO_PKG_VERSION"),
            directory.map_or(0, |directory| filesystem_type(directory.as_path())),
            attempt.as_millis(),
        );
        if let Err(error) = send(&line) {
            info!(%error, "{SOCKET} does not take it");
        }
    }
}

fn send(line: &str) -> io::Result<()> {
    let socket = UnixDatagram::unbound()?;
    socket.set_nonblocking(true)?;
    socket.send_to(line.as_bytes(), SOCKET)?;
    Ok(())
}
