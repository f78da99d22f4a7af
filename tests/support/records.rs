//! What the shim has written into a log file.

use std::fs;
use std::path::Path;

use serde_json::Value;

use super::wait;

/// The records in `file`, once there are so many: the last one may be written a moment after its git has ended.
#[track_caller]
pub fn wait_for(file: &Path, count: usize) -> Vec<Value> {
    let mut text = String::new();
    wait::until("the records", || {
        text = fs::read_to_string(file).unwrap_or_default();
        text.matches('\n').count() >= count
    });
    let records = text.lines().map(|line| serde_json::from_str(line).unwrap());
    records.collect()
}
