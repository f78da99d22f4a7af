//! Bar charts as SVG.

use std::fmt::Write;

use crate::pairs::Difference;
use crate::statistics::Spread;
use crate::table::time;

const WIDTH: f64 = 820.0;
const NAMES: f64 = 260.0;
const VALUES: f64 = 90.0;
const ROW: f64 = 26.0;
const TOP: f64 = 44.0;

const OURS: &str = "#0a7d4f";
const OTHERS: &str = "#9aa7b5";

/// What contenders add to a baseline.
pub struct Chart {
    /// The name of its file in benches/results.
    pub file: &'static str,
    /// What was measured.
    pub title: &'static str,
    /// Bars that were measured against the same baseline, each set with a heading, which may be empty.
    pub sections: Vec<(String, Vec<Bar>)>,
}

/// One contender.
pub struct Bar {
    name: String,
    /// What it adds, in microseconds.
    adds: Spread,
    is_ours: bool,
}

impl Bar {
    /// The bar of a contender. The tables show our own in bold.
    pub fn of(difference: &Difference) -> Self {
        Self {
            name: difference.name.replace(['*', '`'], ""),
            adds: difference.adds,
            is_ours: difference.name.contains("**"),
        }
    }
}

impl Chart {
    /// The chart as SVG. The thin line in each bar leads from the lower to the upper quartile.
    pub fn svg(&self) -> String {
        let bars = self.sections.iter().flat_map(|(_, bars)| bars);
        let longest = bars.map(|bar| bar.adds.high).fold(1.0, f64::max);
        let scale = |length: f64| length.max(0.0) / longest * (WIDTH - NAMES - VALUES);
        let mut body = String::new();
        let mut top = TOP;
        for (heading, bars) in &self.sections {
            if !heading.is_empty() {
                let baseline = top + ROW / 2.0 + 5.0;
                let _ = writeln!(body, "<text x=\"10\" y=\"{baseline}\">{heading}</text>");
                top += ROW;
            }
            for Bar {
                name,
                adds,
                is_ours,
            } in bars
            {
                let middle = top + ROW / 2.0;
                let (low, end, high) = (scale(adds.low), scale(adds.median), scale(adds.high));
                let color = if *is_ours { OURS } else { OTHERS };
                let _ = writeln!(
                    body,
                    "<text x=\"{}\" y=\"{}\" text-anchor=\"end\">{name}</text>\
                     <rect x=\"{NAMES}\" y=\"{}\" width=\"{end:.1}\" height=\"{}\" fill=\"{color}\"/>\
                     <path d=\"M{:.1} {middle}H{:.1}\" stroke=\"black\"/>\
                     <text x=\"{:.1}\" y=\"{}\">{}</text>",
                    NAMES - 8.0,
                    middle + 5.0,
                    top + 4.0,
                    ROW - 8.0,
                    NAMES + low,
                    NAMES + high,
                    NAMES + high + 8.0,
                    middle + 5.0,
                    time(adds.median),
                );
                top += ROW;
            }
        }
        let height = top + 10.0;
        format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" font-family=\"sans-serif\" font-size=\"14\">\n\
             <rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n\
             <text x=\"10\" y=\"24\" font-weight=\"bold\">{}</text>\n{body}</svg>\n",
            self.title
        )
    }
}
