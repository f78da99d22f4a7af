//! What was counted, in the order in which it is shown. As JSON it is what `--json` prints.

use std::cmp::Reverse;

use serde::Serialize;

use super::tally::{Counts, Damaged, Rows, Tally};

/// The version of what `--json` prints: higher when something in it means something else.
const SCHEMA: u32 = 1;

/// The report.
#[derive(Serialize)]
pub(super) struct Report<'a> {
    schema: u32,
    pub(super) all: &'a Counts,
    /// In their order in time.
    pub(super) days: Vec<Row<'a>>,
    /// The busiest first, as in all that follows.
    pub(super) hosts: Vec<Row<'a>>,
    pub(super) filesystems: Vec<Row<'a>>,
    pub(super) causes: Vec<Row<'a>>,
    pub(super) advice: Vec<Advice<'a>>,
    pub(super) damaged: &'a Damaged,
    /// Lines of a later version of the shim's.
    pub(super) later: u64,
}

/// The fallbacks that have something in common.
#[derive(Serialize)]
pub(super) struct Row<'a> {
    /// What they have in common; empty where the records do not tell.
    pub(super) name: &'a str,
    #[serde(flatten)]
    pub(super) counts: &'a Counts,
}

/// What a site can do for the clones to a filesystem.
#[derive(Serialize)]
pub(super) struct Advice<'a> {
    pub(super) filesystem: &'a str,
    pub(super) setting: &'static str,
    /// The time that it would have saved.
    pub(super) saves_ms: u64,
}

impl<'a> Report<'a> {
    /// The report of what was counted.
    pub(super) fn new(tally: &'a Tally) -> Self {
        let filesystems = by_fallbacks(&tally.filesystems);
        Self {
            schema: SCHEMA,
            all: &tally.all,
            days: by_name(&tally.days),
            hosts: by_fallbacks(&tally.hosts),
            advice: advice(&filesystems),
            filesystems,
            causes: by_fallbacks(&tally.causes),
            damaged: &tally.damaged,
            later: tally.later,
        }
    }
}

fn by_name(rows: &Rows) -> Vec<Row<'_>> {
    let rows = rows.iter();
    let mut rows: Vec<Row<'_>> = rows.map(|(name, counts)| Row { name, counts }).collect();
    rows.sort_by_key(|row| row.name);
    rows
}

fn by_fallbacks(rows: &Rows) -> Vec<Row<'_>> {
    let mut rows = by_name(rows);
    rows.sort_by_key(|row| Reverse(row.counts.fallbacks));
    rows
}

/// One piece for every filesystem that is known and whose attempts have cost time, the most useful first.
fn advice<'a>(filesystems: &[Row<'a>]) -> Vec<Advice<'a>> {
    // Between different mounts nothing is attempted, so that there is nothing to save.
    let costly = |row: &&Row<'_>| !row.name.is_empty() && row.counts.attempt_ms > 0;
    let mut advice: Vec<Advice<'_>> = filesystems
        .iter()
        .filter(costly)
        .map(|row| Advice {
            filesystem: row.name,
            setting: "GIT_CLONE_SHIM=always",
            saves_ms: row.counts.attempt_ms,
        })
        .collect();
    advice.sort_by_key(|advice| Reverse(advice.saves_ms));
    advice
}
