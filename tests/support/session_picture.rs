//! A terminal session as an SVG picture.

use std::fmt::Write;

/// How many columns are shown; longer lines are broken, as a terminal does it.
const COLUMNS: usize = 100;

/// The size of a character in pixels, for a monospaced font of 14 pixels.
const WIDTH: f64 = 8.43;
const HEIGHT: usize = 19;

/// The picture of `lines`: commands (`$ …`) in bold, git's and uv's errors in red.
pub fn render(title: &str, lines: &[String]) -> String {
    let rows: Vec<(&str, String)> = lines
        .iter()
        .flat_map(|line| {
            let class = match line.split(' ').next() {
                Some("$") => "command",
                Some("fatal:" | "error:") => "error",
                _ => "output",
            };
            broken(line).into_iter().map(move |row| (class, row))
        })
        .collect();
    #[allow(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "a hundred columns"
    )]
    let width = (COLUMNS as f64 * WIDTH) as usize + 32;
    let height = rows.len() * HEIGHT + 56;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" role=\"img\" aria-label=\"{title}\">\n\
         <style>text {{ font: 14px ui-monospace, Menlo, Consolas, monospace; white-space: pre; fill: #d8dee9 }} \
         .command {{ font-weight: bold; fill: #ffffff }} .error {{ fill: #ff7b72 }} .title {{ fill: #8b949e }}</style>\n\
         <rect width=\"{width}\" height=\"{height}\" rx=\"8\" fill=\"#161b22\"/>\n\
         <text class=\"title\" x=\"16\" y=\"24\">{}</text>\n",
        escaped(title)
    );
    for (number, (class, row)) in rows.iter().enumerate() {
        let y = 52 + number * HEIGHT;
        let _ = writeln!(
            svg,
            "<text xml:space=\"preserve\" class=\"{class}\" x=\"16\" y=\"{y}\">{}</text>",
            escaped(row)
        );
    }
    svg + "</svg>\n"
}

/// A line in rows of at most [`COLUMNS`] characters; an empty one is one row.
fn broken(line: &str) -> Vec<String> {
    let characters: Vec<char> = line.chars().collect();
    let mut rows: Vec<String> = characters
        .chunks(COLUMNS)
        .map(|row| row.iter().collect())
        .collect();
    if rows.is_empty() {
        rows.push(String::new());
    }
    rows
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}
