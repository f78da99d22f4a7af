//! What was found, and where it is written: to standard output, to `benches/results` and into the README.

use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};

use crate::plot::{self, Bar};
use crate::table::Table;

const BEGIN: &str = "<!-- bench:begin -->\n";
const END: &str = "<!-- bench:end -->";

/// Tables and a picture.
#[derive(Default)]
pub struct Report {
    /// What is drawn.
    pub bars: Vec<Bar>,
    short: Vec<Table>,
    long: Vec<Table>,
}

impl Report {
    /// Adds a table that everybody should see.
    pub fn in_readme(&mut self, table: Table) {
        println!("{table}");
        self.short.push(table);
    }

    /// Adds a table for those who want to know more.
    pub fn further(&mut self, table: Table) {
        println!("{table}");
        self.long.push(table);
    }

    /// Writes all of it, for a run on `machine`.
    pub fn write(&self, machine: &str) {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let results = root.join("benches/results");
        fs::create_dir_all(&results).unwrap();
        let picture = plot::svg("What comes before git adds to git --version", &self.bars);
        fs::write(results.join("cost.svg"), picture).unwrap();
        let method = format!("Medians of runs in turn on one core of {machine}.\n\n");
        let short = text(&self.short);
        let long = format!(
            "# What the shim costs\n\n{method}{short}{}",
            text(&self.long)
        );
        fs::write(results.join("cost.md"), long.trim_end().to_owned() + "\n").unwrap();
        let plot = "![what comes before git adds to git --version](benches/results/cost.svg)\n";
        renew(&root.join("README.md"), &format!("{plot}\n{method}{short}"));
    }
}

fn text(tables: &[Table]) -> String {
    tables.iter().fold(String::new(), |mut text, table| {
        let _ = writeln!(text, "{table}");
        text
    })
}

/// Replaces what is between the markers.
fn renew(file: &PathBuf, new: &str) {
    let text = fs::read_to_string(file).unwrap();
    let (before, rest) = text
        .split_once(BEGIN)
        .expect("the README has a place for the results");
    let (_, after) = rest.split_once(END).expect("the place has an end");
    fs::write(file, format!("{before}{BEGIN}{new}{END}{after}")).unwrap();
}
