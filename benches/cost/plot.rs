//! A bar for each contender, as a picture.

use std::fmt::Write;

use crate::pairs::Difference;
use crate::statistics::Spread;
use crate::table::time;

const WIDTH: f64 = 820.0;
const NAMES: f64 = 220.0;
const VALUES: f64 = 90.0;
const ROW: f64 = 26.0;
const TOP: f64 = 44.0;

/// A bar with a name, its length in microseconds.
pub struct Bar {
    name: String,
    length: Spread,
}

impl Bar {
    /// What a contender adds.
    pub fn of(difference: &Difference) -> Self {
        Self {
            name: difference.name.replace(['*', '`'], ""),
            length: difference.adds,
        }
    }
}

/// A picture (SVG) of the bars under a title. The thin line in each is where half of the pairs lie.
pub fn svg(title: &str, bars: &[Bar]) -> String {
    let longest = bars.iter().map(|bar| bar.length.high).fold(1.0, f64::max);
    let scale = |length: f64| length.max(0.0) / longest * (WIDTH - NAMES - VALUES);
    let height = bars.iter().fold(TOP, |height, _| height + ROW) + 10.0;
    let mut picture = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" font-family=\"sans-serif\" font-size=\"14\">\n\
         <rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n\
         <text x=\"10\" y=\"24\" font-weight=\"bold\">{title}</text>\n"
    );
    let mut top = TOP;
    for Bar { name, length } in bars {
        let middle = top + ROW / 2.0;
        let (low, end, high) = (scale(length.low), scale(length.median), scale(length.high));
        let color = if name == crate::NAME {
            "#0a7d4f"
        } else {
            "#9aa7b5"
        };
        let _ = writeln!(
            picture,
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
            time(length.median),
        );
        top += ROW;
    }
    picture + "</svg>\n"
}
