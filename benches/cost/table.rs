//! Results as Markdown.

use std::fmt;

use crate::pairs::Difference;
use crate::statistics::Spread;

/// A table with a title.
pub struct Table {
    /// What was measured, in one sentence.
    pub title: String,
    /// The heading of each column.
    pub columns: Vec<&'static str>,
    /// The cells, as many in each row as there are columns.
    pub rows: Vec<Vec<String>>,
}

impl Table {
    /// The table of a comparison.
    pub fn of_differences(title: impl Into<String>, differences: &[Difference]) -> Self {
        Self {
            title: title.into(),
            columns: vec!["", "takes", "adds", "half of the pairs add"],
            rows: differences.iter().map(row).collect(),
        }
    }
}

fn row(difference: &Difference) -> Vec<String> {
    let Spread { low, median, high } = difference.adds;
    vec![
        difference.name.clone(),
        time(difference.takes.median),
        time(median),
        format!("{} … {}", time(low), time(high)),
    ]
}

/// A time in microseconds, as text with a unit.
pub fn time(microseconds: f64) -> String {
    match microseconds.abs() {
        ..999.5 => format!("{microseconds:.0} µs"),
        ..99_950.0 => format!("{:.2} ms", microseconds / 1e3),
        ..999_500.0 => format!("{:.0} ms", microseconds / 1e3),
        _ => format!("{:.2} s", microseconds / 1e6),
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let width = |column: usize| {
            let cells = self.rows.iter().map(|row| row[column].chars().count());
            cells
                .chain([self.columns[column].chars().count(), 2])
                .max()
                .unwrap_or(2)
        };
        let widths: Vec<usize> = (0..self.columns.len()).map(width).collect();
        let cell = |f: &mut fmt::Formatter<'_>, at: usize, text: &str| match at {
            0 => write!(f, "| {text:<0$} ", widths[at]),
            _ => write!(f, "| {text:>0$} ", widths[at]),
        };
        writeln!(f, "{}\n", self.title)?;
        for (at, name) in self.columns.iter().enumerate() {
            cell(f, at, name)?;
        }
        writeln!(f, "|")?;
        for (at, width) in widths.iter().enumerate() {
            match at {
                0 => write!(f, "|{}", "-".repeat(width + 2))?,
                _ => write!(f, "|{}:", "-".repeat(width + 1))?,
            }
        }
        writeln!(f, "|")?;
        for row in &self.rows {
            for (at, text) in row.iter().enumerate() {
                cell(f, at, text)?;
            }
            writeln!(f, "|")?;
        }
        Ok(())
    }
}
