//! The report in Prometheus's text format, for the textfile collector of a node exporter
//! (<https://prometheus.io/docs/instrumenting/exposition_formats/>).

use std::fmt::Write;

use super::report::{Report, Row};
use crate::printable::printable;

/// The report as metrics; those of one clone's filesystem carry its type as a label.
pub(super) fn render(report: &Report<'_>) -> String {
    let mut text = String::new();
    let name = "git_clone_shim_fallbacks_total";
    family(
        &mut text,
        name,
        "Clones that were retried with --no-hardlinks.",
    );
    for row in &report.filesystems {
        for (outcome, count) in [
            ("cloned", row.counts.cloned),
            ("failed", row.counts.failed),
            ("started", row.counts.started),
        ] {
            let filesystem = filesystem(row);
            let _ = writeln!(text, "{name}{{{filesystem},outcome=\"{outcome}\"}} {count}");
        }
    }
    seconds(
        &mut text,
        "git_clone_shim_attempt_seconds_total",
        "Time that failed attempts took.",
        report,
        |row| row.counts.attempt_ms,
    );
    seconds(
        &mut text,
        "git_clone_shim_fallback_seconds_total",
        "Time that fallbacks took.",
        report,
        |row| row.counts.fallback_ms,
    );
    let name = "git_clone_shim_damaged_lines_total";
    family(&mut text, name, "Lines that are not records.");
    let _ = writeln!(text, "{name} {}", report.damaged.lines);
    text
}

fn seconds(
    text: &mut String,
    name: &str,
    help: &str,
    report: &Report<'_>,
    milliseconds: impl Fn(&Row<'_>) -> u64,
) {
    family(text, name, help);
    for row in &report.filesystems {
        let time = milliseconds(row);
        let filesystem = filesystem(row);
        let (whole, rest) = (time / 1000, time % 1000);
        let _ = writeln!(text, "{name}{{{filesystem}}} {whole}.{rest:03}");
    }
}

fn family(text: &mut String, name: &str, help: &str) {
    let _ = writeln!(text, "# HELP {name} {help}\n# TYPE {name} counter");
}

/// The label of a row. Control characters are written out before; in a value, a backslash and a quote are escaped.
fn filesystem(row: &Row<'_>) -> String {
    let name = match row.name {
        "" => "unknown",
        name => name,
    };
    let name = printable(name).replace('\\', "\\\\").replace('"', "\\\"");
    format!("filesystem=\"{name}\"")
}
