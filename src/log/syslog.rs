//! The system log: one line of key=value pairs, as a datagram to /dev/log.
//!
//! It has no timestamp: journald (`syslog_skip_timestamp`) and rsyslog (pmrfc3164) take the time of reception where there is
//! none, and what local time is would take a database to know.

use std::io;
use std::os::unix::net::UnixDatagram;

use serde_json::Value;

use super::record::Record;
use crate::NAME;

/// The socket of syslogd and journald.
const SOCKET: &str = "/dev/log";

/// `LOG_USER | LOG_INFO` of syslog(3).
const PRIORITY: u8 = 14;

/// Sends `record`, without waiting for a log whose queue is full.
///
/// # Errors
///
/// There is no such socket, or its queue is full.
pub(super) fn send(record: &Record<'_>) -> io::Result<()> {
    let socket = UnixDatagram::unbound()?;
    socket.set_nonblocking(true)?;
    socket.send_to(line(record)?.as_bytes(), SOCKET)?;
    Ok(())
}

fn line(record: &Record<'_>) -> io::Result<String> {
    // A value is written as in JSON, so that a string is quoted and holds no line break.
    let pairs: Vec<String> = match serde_json::to_value(record)? {
        Value::Object(fields) => fields
            .iter()
            .map(|(key, value)| format!("{key}={value}"))
            .collect(),
        _ => Vec::new(),
    };
    let pid = record.pid;
    Ok(format!("<{PRIORITY}>{NAME}[{pid}]: {}", pairs.join(" ")))
}
