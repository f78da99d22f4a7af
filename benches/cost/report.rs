//! The results as Markdown tables and SVG bar charts, printed and written to `benches/results`.

use std::fmt::Write;
use std::fs;
use std::path::Path;

use crate::pairs::{Difference, Spread};
use crate::support::gits::gits;

/// Tables and charts.
#[derive(Default)]
pub struct Report {
    tables: String,
    /// Files and their SVG.
    charts: Vec<(&'static str, String)>,
    /// What the next chart shows: headings, and bars below each.
    sections: Vec<(String, Vec<Bar>)>,
}

struct Bar {
    name: String,
    adds: Spread,
    is_ours: bool,
}

impl Report {
    /// Prints a table, whose first row are the headings, and adds it.
    pub fn table(&mut self, title: &str, rows: &[Vec<String>]) {
        let mut table = format!("{title}:\n\n");
        let width = |column: usize| {
            let cells = rows.iter().map(|row| row[column].chars().count());
            cells.max().unwrap_or(0)
        };
        let widths: Vec<usize> = (0..rows[0].len()).map(width).collect();
        for (number, row) in rows.iter().enumerate() {
            for (at, (text, width)) in row.iter().zip(&widths).enumerate() {
                let _ = match at {
                    0 => write!(table, "| {text:<width$} "),
                    _ => write!(table, "| {text:>width$} "),
                };
            }
            table += "|\n";
            if number == 0 {
                for (at, width) in widths.iter().enumerate() {
                    let colon = if at == 0 { '-' } else { ':' };
                    let _ = write!(table, "|{}{colon}", "-".repeat(width + 1));
                }
                table += "|\n";
            }
        }
        println!("{table}");
        self.tables += &table;
        self.tables.push('\n');
    }

    /// Prints and adds the table of a comparison, and adds its bars to the next chart.
    pub fn differences(&mut self, title: &str, differences: &[Difference]) {
        let headings = ["", "takes", "adds", "half of the pairs add"];
        let mut rows = vec![headings.map(str::to_owned).to_vec()];
        for Difference { name, takes, adds } in differences {
            let half = format!("{} … {}", time(adds.low), time(adds.high));
            rows.push(vec![name.clone(), time(takes.median), time(adds.median), half]);
        }
        self.table(title, &rows);
        // The first one is the baseline again.
        let bars = differences[1..].iter().map(|difference| Bar {
            name: difference.name.replace(['*', '`'], ""),
            adds: difference.adds,
            is_ours: difference.name.contains("**"),
        });
        self.sections.push((title.to_owned(), bars.collect()));
    }

    /// Adds a chart of the comparisons since the last one. The thin line in each bar leads from the lower to the upper quartile.
    pub fn chart(&mut self, file: &'static str, title: &str) {
        const WIDTH: f64 = 820.0;
        const NAMES: f64 = 260.0;
        const ROW: f64 = 26.0;
        let sections = std::mem::take(&mut self.sections);
        let bars = sections.iter().flat_map(|(_, bars)| bars);
        let longest = bars.map(|bar| bar.adds.high).fold(1.0, f64::max);
        let scale = |length: f64| NAMES + length.max(0.0) / longest * (WIDTH - NAMES - 90.0);
        let mut body = String::new();
        let mut top = 44.0;
        for (heading, bars) in &sections {
            if sections.len() > 1 {
                let _ = writeln!(body, "<text x=\"10\" y=\"{}\">{heading}</text>", top + 18.0);
                top += ROW;
            }
            for Bar { name, adds, is_ours } in bars {
                let (low, end, high) = (scale(adds.low), scale(adds.median), scale(adds.high));
                let (middle, baseline) = (top + 13.0, top + 18.0);
                let color = if *is_ours { "#0a7d4f" } else { "#9aa7b5" };
                let _ = writeln!(
                    body,
                    "<text x=\"{}\" y=\"{baseline}\" text-anchor=\"end\">{name}</text>\
                     <rect x=\"{NAMES}\" y=\"{}\" width=\"{:.1}\" height=\"18\" fill=\"{color}\"/>\
                     <path d=\"M{low:.1} {middle}H{high:.1}\" stroke=\"black\"/>\
                     <text x=\"{:.1}\" y=\"{baseline}\">{}</text>",
                    NAMES - 8.0,
                    top + 4.0,
                    end - NAMES,
                    high + 8.0,
                    time(adds.median),
                );
                top += ROW;
            }
        }
        let svg = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {}\" font-family=\"sans-serif\" font-size=\"14\">\n\
             <rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n\
             <text x=\"10\" y=\"24\" font-weight=\"bold\">{title}</text>\n{body}</svg>\n",
            top + 10.0
        );
        self.charts.push((file, svg));
    }

    /// Writes all results.
    pub fn write(&self) {
        let results = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/results");
        for (file, svg) in &self.charts {
            fs::write(results.join(file), svg).unwrap();
        }
        let cpus = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let model = cpus.lines().find_map(|line| line.strip_prefix("model name"));
        let model = model.unwrap_or("unknown processor").trim_start_matches(['\t', ' ', ':']);
        let kernel = nix::sys::utsname::uname().unwrap();
        let release = kernel.release().to_string_lossy();
        let release = release.split('-').next().unwrap_or_default();
        let git = &gits()[0].version;
        let text = format!(
            "# What the shim costs\n\nMedians of alternate runs on one core of an {model} with Linux {release} and {git}.\n\n{}",
            self.tables
        );
        fs::write(results.join("cost.md"), text.trim_end().to_owned() + "\n").unwrap();
    }
}

/// A time in microseconds, as text with a unit.
fn time(microseconds: f64) -> String {
    match microseconds.abs() {
        ..999.5 => format!("{microseconds:.0} µs"),
        ..99_950.0 => format!("{:.2} ms", microseconds / 1e3),
        _ => format!("{:.0} ms", microseconds / 1e3),
    }
}
