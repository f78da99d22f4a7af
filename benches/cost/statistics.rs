//! Summaries of repeated measurements.

use std::time::Duration;

/// The median and the quartiles of a set of measurements.
#[derive(Clone, Copy, Debug)]
pub struct Spread {
    /// The lower quartile.
    pub low: f64,
    /// The median.
    pub median: f64,
    /// The upper quartile.
    pub high: f64,
}

impl Spread {
    /// The spread of `values`, which must not be empty.
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

/// A duration in microseconds, the unit of all times in this benchmark.
pub fn microseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1e6
}
