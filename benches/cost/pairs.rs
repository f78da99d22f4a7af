//! Two programs run alternately, A B A B, so that the load of the machine changes both alike.
//!
//! All runs of A before all runs of B would differ by 40 % on a shared machine. Each run is compared with its neighbour only.

use std::process::{Child, Command, ExitStatus};
use std::time::Instant;

use crate::statistics::{Spread, microseconds};

/// What is timed as a whole: one process, or several.
pub struct Contender {
    /// Its name in the tables.
    pub name: String,
    /// The processes, and the exit code that each of them must have.
    steps: Vec<(Command, i32)>,
    /// Whether the processes run at the same time, and not one after the other.
    concurrent: bool,
}

impl Contender {
    /// A single process, which must succeed.
    pub fn new(name: impl Into<String>, command: Command) -> Self {
        Self {
            name: name.into(),
            steps: vec![(command, 0)],
            concurrent: false,
        }
    }

    /// Processes that run at the same time and must succeed.
    pub fn concurrent(name: impl Into<String>, commands: Vec<Command>) -> Self {
        Self {
            name: name.into(),
            steps: commands.into_iter().map(|command| (command, 0)).collect(),
            concurrent: true,
        }
    }

    /// Expects the exit code `code` of the first process instead of 0.
    pub fn with_exit_code(mut self, code: i32) -> Self {
        self.steps[0].1 = code;
        self
    }

    /// Runs `command` as well, which must succeed, after the other processes.
    pub fn then(mut self, command: Command) -> Self {
        self.steps.push((command, 0));
        self
    }

    /// Runs the processes and returns how long they took, in microseconds.
    fn run(&mut self) -> f64 {
        let started = Instant::now();
        let commands = self.steps.iter_mut().map(|(command, _)| command);
        let statuses: Vec<ExitStatus> = if self.concurrent {
            let children: Vec<Child> = commands.map(|command| command.spawn().unwrap()).collect();
            let waits = children.into_iter().map(|mut child| child.wait().unwrap());
            waits.collect()
        } else {
            commands.map(|command| command.status().unwrap()).collect()
        };
        let took = microseconds(started.elapsed());
        for (status, (command, expected)) in statuses.iter().zip(&self.steps) {
            assert_eq!(status.code(), Some(*expected), "{command:?}");
        }
        took
    }
}

/// The result of a comparison with a baseline.
pub struct Difference {
    /// The contender's name.
    pub name: String,
    /// How long it takes, in microseconds.
    pub takes: Spread,
    /// How much longer it takes than the neighbouring run of the baseline.
    pub adds: Spread,
}

/// Runs each contender and the baseline alternately, in `pairs` pairs for each contender, and calls `reset` before each run.
///
/// The contenders take turns, ten for each, so that all of them are measured over the same period. The first contender should
/// be the baseline again: what it "adds" shows how far the other differences can be trusted.
pub fn compare(
    baseline: &mut Contender,
    contenders: &mut [Contender],
    pairs: usize,
    mut reset: impl FnMut(),
) -> Vec<Difference> {
    let mut timed = |contender: &mut Contender| {
        reset();
        contender.run()
    };
    // The first run of each fills the page cache.
    timed(baseline);
    for contender in contenders.iter_mut() {
        timed(contender);
    }
    let turns = pairs.min(10);
    let mut times = vec![Vec::new(); contenders.len()];
    for turn in 0..turns {
        let share = pairs * (turn + 1) / turns - pairs * turn / turns;
        for (contender, times) in contenders.iter_mut().zip(&mut times) {
            times.extend((0..share).map(|_| (timed(baseline), timed(contender))));
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
