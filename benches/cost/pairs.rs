//! Two programs run alternately, A B A B, so that the load of the machine changes both alike.
//!
//! All runs of A before all runs of B would differ by 40 % on a shared machine. Each run is compared with its neighbour only.

use std::process::Command;
use std::time::Instant;

/// What is timed as a whole: one process, or several, one after the other.
pub struct Contender {
    name: String,
    /// The processes, and the exit code that each of them must have.
    steps: Vec<(Command, i32)>,
}

impl Contender {
    /// A single process, which must succeed.
    pub fn new(name: impl Into<String>, command: Command) -> Self {
        Self { name: name.into(), steps: vec![(command, 0)] }
    }

    /// The same process, which must exit with 128, and then `command`, which must succeed.
    pub fn fails_before(mut self, command: Command) -> Self {
        self.steps[0].1 = 128;
        self.steps.push((command, 0));
        self
    }

    /// Runs the processes and returns how long they took, in microseconds.
    fn run(&mut self) -> f64 {
        let started = Instant::now();
        for (command, expected) in &mut self.steps {
            let status = command.status().unwrap();
            assert_eq!(status.code(), Some(*expected), "{command:?}");
        }
        started.elapsed().as_secs_f64() * 1e6
    }
}

/// The result of a comparison with a baseline, in microseconds.
pub struct Difference {
    /// The contender's name.
    pub name: String,
    /// How long it takes.
    pub takes: Spread,
    /// How much longer it takes than the neighbouring run of the baseline.
    pub adds: Spread,
}

/// The median and the quartiles of a set of measurements.
#[derive(Clone, Copy)]
pub struct Spread {
    /// The lower quartile.
    pub low: f64,
    /// The median.
    pub median: f64,
    /// The upper quartile.
    pub high: f64,
}

impl Spread {
    fn of(values: impl IntoIterator<Item = f64>) -> Self {
        let mut values: Vec<f64> = values.into_iter().collect();
        values.sort_by(f64::total_cmp);
        let at = |quarter: usize| values[(values.len() - 1) * quarter / 4];
        Self { low: at(1), median: at(2), high: at(3) }
    }
}

/// Runs each contender and the baseline alternately, in `pairs` pairs for each contender, and calls `reset` before each run.
///
/// The contenders take turns, ten for each, so that all of them are measured over the same period. The first contender should
/// be the baseline again: what it "adds" shows how far the other differences can be trusted.
pub fn compare(
    baseline: Command,
    contenders: &mut [Contender],
    pairs: usize,
    mut reset: impl FnMut(),
) -> Vec<Difference> {
    let mut baseline = Contender::new("git", baseline);
    let mut timed = |contender: &mut Contender| {
        reset();
        contender.run()
    };
    // The first run of each fills the page cache.
    timed(&mut baseline);
    for contender in contenders.iter_mut() {
        timed(contender);
    }
    let turns = pairs.min(10);
    let mut times = vec![Vec::new(); contenders.len()];
    for turn in 0..turns {
        let share = pairs * (turn + 1) / turns - pairs * turn / turns;
        for (contender, times) in contenders.iter_mut().zip(&mut times) {
            times.extend((0..share).map(|_| (timed(&mut baseline), timed(contender))));
        }
    }
    let results = contenders.iter().zip(times);
    results
        .map(|(contender, times)| Difference {
            name: contender.name.clone(),
            takes: Spread::of(times.iter().map(|(_, took)| *took)),
            adds: Spread::of(times.iter().map(|(before, took)| took - before)),
        })
        .collect()
}
