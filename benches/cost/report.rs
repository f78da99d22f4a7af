//! The results, and where they are written: to standard output, to `benches/results` and into the README.

use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};

use crate::plot::Chart;
use crate::table::Table;

const BEGIN: &str = "<!-- bench:begin -->\n";
const END: &str = "<!-- bench:end -->";

/// Tables and charts.
#[derive(Default)]
pub struct Report {
    charts: Vec<Chart>,
    tables: Vec<Table>,
}

impl Report {
    /// Adds a chart, which the README shows.
    pub fn chart(&mut self, chart: Chart) {
        self.charts.push(chart);
    }

    /// Prints a table and adds it.
    pub fn table(&mut self, table: Table) {
        println!("{table}");
        self.tables.push(table);
    }

    /// Writes all results, which were measured on `machine`.
    pub fn write(&self, machine: &str) {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let results = root.join("benches/results");
        fs::create_dir_all(&results).unwrap();
        let method = format!("Medians of alternate runs on one core of {machine}.");
        let mut long = format!("# What the shim costs\n\n{method}\n\n");
        let mut short = String::new();
        for Chart { file, title, .. } in &self.charts {
            let _ = writeln!(short, "![{title}](benches/results/{file})\n");
        }
        for table in &self.tables {
            let _ = writeln!(long, "{table}");
        }
        for chart in &self.charts {
            fs::write(results.join(chart.file), chart.svg()).unwrap();
        }
        fs::write(results.join("cost.md"), long.trim_end().to_owned() + "\n").unwrap();
        let all = "All figures are in [benches/results/cost.md](benches/results/cost.md).";
        renew(
            &root.join("README.md"),
            &format!("{short}{method}\n{all}\n"),
        );
    }
}

/// Replaces the text between the markers in `file`.
fn renew(file: &PathBuf, new: &str) {
    let text = fs::read_to_string(file).unwrap();
    let (before, rest) = text
        .split_once(BEGIN)
        .expect("the README has a marker for the begin of the results");
    let (_, after) = rest
        .split_once(END)
        .expect("the README has a marker for the end of the results");
    fs::write(file, format!("{before}{BEGIN}{new}{END}{after}")).unwrap();
}
