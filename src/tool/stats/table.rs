//! The report for people.

use std::fmt::Write;

use anstyle::{AnsiColor, Style};

use super::report::{Report, Row};
use super::tally::{Counts, Damaged};
use crate::tool::text::printable;

/// How many columns the longest bar takes.
const LONGEST_BAR: u64 = 30;

const BAR: Style = AnsiColor::Green.on_default();

/// The report as text, with at most `most` rows of each kind, one more for the rest of them, and a bar to each if `bars`.
pub(super) fn render(report: &Report<'_>, most: usize, bars: bool) -> String {
    let earlier = report.days.len().saturating_sub(most);
    let (earlier, latest) = report.days.split_at_checked(earlier).unwrap_or_default();
    let mut text = totals(report);
    text += &section("day", latest, earlier, bars);
    for (title, rows) in [
        ("host", &report.hosts),
        ("filesystem", &report.filesystems),
        ("cause", &report.causes),
    ] {
        let (busiest, others) = rows.split_at_checked(most).unwrap_or((rows, &[]));
        text += &section(title, busiest, others, bars);
    }
    text += &advice(report, most);
    text
}

fn totals(report: &Report<'_>) -> String {
    let all = report.all;
    let mut text = format!(
        "fallbacks       {}: {} cloned, {} failed, {} not seen to their end\n\
         time            {} s lost to attempts, {} s taken by fallbacks\n",
        all.fallbacks,
        all.cloned,
        all.failed,
        all.started,
        seconds(all.attempt_ms),
        seconds(all.fallback_ms),
    );
    let damaged = report.damaged;
    if damaged.lines > 0 {
        let _ = writeln!(
            text,
            "damaged lines   {}: {}",
            damaged.lines,
            places(damaged)
        );
    }
    if report.later > 0 {
        let version = env!("CARGO_PKG_VERSION");
        let _ = writeln!(
            text,
            "unknown lines   {}: by a later version than {version}",
            report.later
        );
    }
    text
}

/// `file:line` of the damaged lines that are named.
fn places(damaged: &Damaged) -> String {
    let first = damaged.first.iter();
    let mut places: Vec<String> = first
        .map(|place| format!("{}:{}", printable(&place.file), place.line))
        .collect();
    if u64::try_from(places.len()).is_ok_and(|named| named < damaged.lines) {
        places.push("…".to_owned());
    }
    places.join(", ")
}

/// A table of `rows`, and one line for all that is in `rest`; nothing if there are no rows.
fn section(title: &str, rows: &[Row<'_>], rest: &[Row<'_>], bars: bool) -> String {
    let Some(longest) = rows.iter().map(|row| row.counts.fallbacks).max() else {
        return String::new();
    };
    let mut lines: Vec<(String, Counts, String)> = rows
        .iter()
        .map(|row| {
            let bar = bars.then(|| bar(row.counts.fallbacks, longest));
            (name(row), row.counts.clone(), bar.unwrap_or_default())
        })
        .collect();
    if !rest.is_empty() {
        let all = rest.iter().map(|row| row.counts).sum();
        lines.push((format!("{} more", rest.len()), all, String::new()));
    }
    let widths = lines.iter().map(|(name, ..)| name.chars().count());
    let width = widths.max().unwrap_or(0).max(title.len());
    let mut text = format!("\n{title:width$}  fallbacks     failed    lost (s)\n");
    for (name, counts, bar) in lines {
        let Counts {
            fallbacks, failed, ..
        } = counts;
        let lost = seconds(counts.attempt_ms);
        let line = format!("{name:width$}  {fallbacks:>9}  {failed:>9}  {lost:>10}  {bar}");
        let _ = writeln!(text, "{}", line.trim_end());
    }
    text
}

/// A bar as long as `fallbacks` is large, where `longest` is the largest of them.
fn bar(fallbacks: u64, longest: u64) -> String {
    let columns = fallbacks
        .saturating_mul(LONGEST_BAR)
        .div_ceil(longest.max(1));
    let bar = "█".repeat(usize::try_from(columns).unwrap_or(0));
    format!("{BAR}{bar}{BAR:#}")
}

fn advice(report: &Report<'_>, most: usize) -> String {
    let mut text = String::new();
    for advice in report.advice.iter().take(most) {
        let _ = writeln!(
            text,
            "{} where clones go to {} would have saved {} s.",
            advice.setting,
            printable(advice.filesystem),
            seconds(advice.saves_ms)
        );
    }
    if text.is_empty() {
        return text;
    }
    format!("\n{text}It copies what could have been hard-linked there, too.\n")
}

fn name(row: &Row<'_>) -> String {
    match row.name {
        "" => "(unknown)".to_owned(),
        name => printable(name),
    }
}

/// Seconds with one decimal.
fn seconds(milliseconds: u64) -> String {
    format!("{}.{}", milliseconds / 1000, milliseconds % 1000 / 100)
}
