//! Two programs in turn, A B A B: what they differ by, whatever else the machine is doing.
//!
//! Runs of one program after those of the other differ by 40 % on a machine that others share; each run is compared with its
//! neighbour only.

use std::process::{Child, Command, ExitStatus};
use std::time::Instant;

use crate::statistics::{Spread, microseconds};

/// One of the things that are compared: a process, or several.
pub struct Contender {
    /// What it is called in the tables.
    pub name: String,
    /// The processes, and how each of them must end.
    steps: Vec<(Command, i32)>,
    /// Whether they are started at once, and not each when the one before it has ended.
    at_once: bool,
}

impl Contender {
    /// A single process, which must succeed.
    pub fn new(name: impl Into<String>, command: Command) -> Self {
        Self {
            name: name.into(),
            steps: vec![(command, 0)],
            at_once: false,
        }
    }

    /// Processes that are started at once, and must succeed.
    pub fn at_once(name: impl Into<String>, commands: Vec<Command>) -> Self {
        Self {
            name: name.into(),
            steps: commands.into_iter().map(|command| (command, 0)).collect(),
            at_once: true,
        }
    }

    /// The same, where the process must end with `status`.
    pub fn ending_with(mut self, status: i32) -> Self {
        self.steps[0].1 = status;
        self
    }

    /// Runs `command`, which must succeed, after what there is.
    pub fn then(mut self, command: Command) -> Self {
        self.steps.push((command, 0));
        self
    }

    /// How long the processes take, in microseconds.
    fn run(&mut self) -> f64 {
        let started = Instant::now();
        let commands = self.steps.iter_mut().map(|(command, _)| command);
        let statuses: Vec<ExitStatus> = if self.at_once {
            let children: Vec<Child> = commands.map(|command| command.spawn().unwrap()).collect();
            let ended = children.into_iter().map(|mut child| child.wait().unwrap());
            ended.collect()
        } else {
            commands.map(|command| command.status().unwrap()).collect()
        };
        let took = microseconds(started.elapsed());
        for (status, (command, due)) in statuses.iter().zip(&self.steps) {
            assert_eq!(status.code(), Some(*due), "{command:?}");
        }
        took
    }
}

/// What came of a comparison with a baseline.
pub struct Difference {
    /// The contender's name.
    pub name: String,
    /// How long it takes, in microseconds.
    pub takes: Spread,
    /// How much longer than the baseline's run next to it.
    pub adds: Spread,
}

/// Runs the baseline and each of the contenders in turn, so many `pairs` of each, with `reset` before each run.
///
/// The pairs of the contenders are spread over the same time, in ten turns. The first contender is best the baseline once more:
/// what it adds shows how far the others can be trusted.
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
    // Once for the page cache.
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
