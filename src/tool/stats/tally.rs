//! What is counted of the records.

use std::collections::HashMap;
use std::iter::Sum;

use serde::{Deserialize, Serialize};

use crate::log::record::{Outcome, Record, SCHEMA};

/// How many damaged lines are named; more would only be more.
const NAMED: usize = 5;

/// How many names of each kind are counted by themselves: more nodes than most clusters have, and little memory even if a log
/// holds nothing but new names.
const MOST_NAMES: usize = 10_000;

/// How many bytes a name has at most; Linux lets a host's have 64.
const LONGEST_NAME: usize = 255;

/// Where all names above [`MOST_NAMES`] are counted together.
const MORE_NAMES: &str = "(more names)";

/// What records have in common, counted by what they differ in.
#[derive(Debug, Default)]
pub(super) struct Tally {
    pub(super) all: Counts,
    pub(super) days: Rows,
    pub(super) hosts: Rows,
    pub(super) filesystems: Rows,
    pub(super) causes: Rows,
    pub(super) damaged: Damaged,
    /// Lines of a version that this program does not know.
    pub(super) later: u64,
}

/// Counts by name: at most [`MOST_NAMES`], and [`MORE_NAMES`].
pub(super) type Rows = HashMap<Box<str>, Counts>;

/// Numbers of fallbacks, and their times.
#[derive(Clone, Debug, Default, Serialize)]
pub(super) struct Counts {
    pub(super) fallbacks: u64,
    pub(super) cloned: u64,
    pub(super) failed: u64,
    pub(super) started: u64,
    pub(super) attempt_ms: u64,
    pub(super) fallback_ms: u64,
}

/// Lines that are no records.
#[derive(Debug, Default, Serialize)]
pub(super) struct Damaged {
    pub(super) lines: u64,
    pub(super) first: Vec<Place>,
}

/// Where a line is.
#[derive(Debug, Serialize)]
pub(super) struct Place {
    pub(super) file: String,
    pub(super) line: u64,
}

impl Tally {
    /// Counts the line with this number in `file`; `None` is a line that is too long to be a record.
    pub(super) fn count(&mut self, file: &str, number: u64, line: Option<&[u8]>) {
        match line.map_or(Line::Damaged, read) {
            Line::Record(record) => self.add(&record),
            Line::Later => self.later += 1,
            Line::Damaged => {
                self.damaged.lines += 1;
                if self.damaged.first.len() < NAMED {
                    let file = file.to_owned();
                    self.damaged.first.push(Place { file, line: number });
                }
            }
        }
    }

    fn add(&mut self, record: &Record<'_>) {
        self.all.add(record);
        for (rows, name) in [
            (&mut self.days, record.day()),
            (&mut self.hosts, &record.host),
            (&mut self.filesystems, &record.filesystem),
            (&mut self.causes, &record.cause),
        ] {
            let is_full = rows.len() >= MOST_NAMES;
            match rows.get_mut(name) {
                Some(counts) => counts.add(record),
                None if is_full => rows.entry(MORE_NAMES.into()).or_default().add(record),
                None => rows.entry(name.into()).or_default().add(record),
            }
        }
    }
}

impl Counts {
    fn add(&mut self, record: &Record<'_>) {
        self.fallbacks += 1;
        match record.outcome {
            Outcome::Cloned => self.cloned += 1,
            Outcome::Failed => self.failed += 1,
            Outcome::Started => self.started += 1,
        }
        // A file can say anything.
        self.attempt_ms = self.attempt_ms.saturating_add(record.attempt_ms);
        self.fallback_ms = self
            .fallback_ms
            .saturating_add(record.fallback_ms.unwrap_or(0));
    }
}

impl<'a> Sum<&'a Self> for Counts {
    fn sum<I: Iterator<Item = &'a Self>>(counts: I) -> Self {
        counts.fold(Self::default(), |sum, counts| Self {
            fallbacks: sum.fallbacks + counts.fallbacks,
            cloned: sum.cloned + counts.cloned,
            failed: sum.failed + counts.failed,
            started: sum.started + counts.started,
            attempt_ms: sum.attempt_ms.saturating_add(counts.attempt_ms),
            fallback_ms: sum.fallback_ms.saturating_add(counts.fallback_ms),
        })
    }
}

/// What a line is.
enum Line<'a> {
    Record(Record<'a>),
    /// The record of a later version of the shim's.
    Later,
    Damaged,
}

/// All that every version of a record has.
#[derive(Deserialize)]
struct Version {
    schema: u32,
}

fn read(line: &[u8]) -> Line<'_> {
    if let Ok(record) = serde_json::from_slice::<Record<'_>>(line)
        && record.schema == SCHEMA
        && humantime::parse_rfc3339(&record.time).is_ok()
        && [&record.host, &record.filesystem, &record.cause]
            .iter()
            .all(|name| name.len() <= LONGEST_NAME)
    {
        return Line::Record(record);
    }
    match serde_json::from_slice::<Version>(line) {
        Ok(Version { schema }) if schema > SCHEMA => Line::Later,
        _ => Line::Damaged,
    }
}
