//! The system log: one line of key=value pairs, as a datagram to /dev/log in the form of RFC 3164.

use std::io;
use std::os::unix::net::UnixDatagram;

use serde_json::Value;

use super::record::Record;
use crate::NAME;

/// Where syslogd and journald listen.
const SOCKET: &str = "/dev/log";

/// `LOG_USER | LOG_INFO` of syslog(3).
const PRIORITY: u8 = 14;

const MONTHS: [&str; 12] = [
    "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
];

/// Sends `record`. A log that is too busy to take it at once is not waited for.
///
/// # Errors
///
/// Nobody listens, or not now.
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
    let time = timestamp(&record.time).unwrap_or_default();
    Ok(format!(
        "<{PRIORITY}>{time} {NAME}[{}]: {}",
        record.pid,
        pairs.join(" ")
    ))
}

/// A time of a record as RFC 3164 wants it: `Nov  7 12:00:00`. In UTC, as musl's syslog(3) has it: what local time is takes
/// a database to know, and rsyslog and journald go by their own clock anyway.
fn timestamp(time: &str) -> Option<String> {
    let month: usize = time.get(5..7)?.parse().ok()?;
    let day: u8 = time.get(8..10)?.parse().ok()?;
    let month = MONTHS.get(month.checked_sub(1)?)?;
    Some(format!("{month} {day:>2} {}", time.get(11..19)?))
}

#[cfg(test)]
mod tests {
    use super::timestamp;

    #[test]
    fn the_time_of_rfc_3164() {
        for (time, expected) in [
            ("2026-01-09T00:00:00Z", Some("Jan  9 00:00:00")),
            ("2026-12-31T23:59:59Z", Some("Dec 31 23:59:59")),
            ("2026-13-31T23:59:59Z", None),
            ("2026-00-31T23:59:59Z", None),
            ("", None),
        ] {
            assert_eq!(timestamp(time).as_deref(), expected, "{time}");
        }
    }
}
