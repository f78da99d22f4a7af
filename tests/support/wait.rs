//! Waiting for a condition: the one place where a test sleeps.

use std::path::Path;
use std::thread::sleep;
use std::time::{Duration, Instant};

/// Waits until `condition` holds, and fails if that takes a minute.
#[track_caller]
pub fn until(what: &str, mut condition: impl FnMut() -> bool) {
    let started = Instant::now();
    while !condition() {
        assert!(started.elapsed() < Duration::from_secs(60), "waited in vain for {what}");
        sleep(Duration::from_millis(5));
    }
}

/// Waits until there is a file that ends with a line break, and returns what it holds.
#[track_caller]
pub fn for_line(file: &Path) -> String {
    let mut line = String::new();
    until(&file.display().to_string(), || {
        line = std::fs::read_to_string(file).unwrap_or_default();
        line.ends_with('\n')
    });
    line.trim_end().to_owned()
}

/// Waits for this long: only to reach a random moment in what another process does, never to wait for an event.
pub fn for_moment(time: Duration) {
    sleep(time);
}
