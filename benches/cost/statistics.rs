//! What many measurements say together.

use std::time::Duration;

/// The middle of a set of measurements, and how far they spread.
#[derive(Clone, Copy, Debug)]
pub struct Spread {
    /// A quarter of them are lower.
    pub low: f64,
    /// Half of them are lower.
    pub median: f64,
    /// A quarter of them are higher.
    pub high: f64,
}

impl Spread {
    /// The spread of `values`, of which there is at least one.
    pub fn of(values: impl IntoIterator<Item = f64>) -> Self {
        let mut values: Vec<f64> = values.into_iter().collect();
        values.sort_by(f64::total_cmp);
        let at = |quarter: usize| values[(values.len() - 1) * quarter / 4];
        Self {
            low: at(1),
            median: at(2),
            high: at(3),
        }
    }
}

/// A time in microseconds, as everything here is counted.
pub fn microseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1e6
}
