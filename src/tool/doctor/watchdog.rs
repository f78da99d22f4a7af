//! Work that may hang: a child does it and reports its progress, and the parent stops waiting when time is up.

use std::fs::File;
use std::io::{IsTerminal, Write, stderr};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::report::Unfinished;
use crate::failure;
use crate::process::exit_reason::ExitReason;
use crate::process::interruption;
use crate::process::worker::{Event, Worker};
use crate::tool::text;

/// After how long the step that takes so long is printed on a terminal.
const PROGRESS_AFTER: Duration = Duration::from_secs(1);

/// How long a child may take after SIGTERM to remove what it made.
const GRACE_PERIOD: Duration = Duration::from_secs(2);

/// This process received a termination signal.
pub(super) struct Stopped;

/// In the child: what it knows so far, and the pipe to its parent.
pub(super) struct Notes<T> {
    pub known: T,
    step: Option<String>,
    pipe: File,
}

impl<T: Serialize> Notes<T> {
    /// Reports what is known, and that `step` begins.
    pub(super) fn begin(&mut self, step: &str) -> Result<(), Stopped> {
        self.step = Some(step.to_owned());
        self.report();
        match interruption::arrived() {
            Some(_) => Err(Stopped),
            None => Ok(()),
        }
    }

    fn report(&mut self) {
        let progress = Progress {
            step: self.step.clone(),
            known: &self.known,
        };
        if let Ok(mut line) = serde_json::to_vec(&progress) {
            line.push(b'\n');
            // If the parent is gone, SIGPIPE is noted as a termination signal (see `Worker::start`).
            let _ = self.pipe.write_all(&line);
        }
    }
}

/// A report of the child's: one line of JSON.
#[derive(Serialize, Deserialize)]
struct Progress<T> {
    /// What it is doing, or was doing at a termination signal; `None` when all is done.
    step: Option<String>,
    known: T,
}

/// Has a child do `work`, and returns its last report, `known` if it made none, when it has exited or `timeout` is over.
/// After a second it prints on a terminal which step about `subject` takes so long.
///
/// Does not return after a termination signal: this process dies of it, after the child if that can exit.
///
/// # Errors
///
/// No child could be started, or its reports cannot be read.
pub(super) fn watch<T: Clone + Serialize + DeserializeOwned>(
    subject: &str,
    timeout: Duration,
    known: &T,
    work: impl FnOnce(&mut Notes<T>) -> Result<(), Stopped>,
) -> Result<(T, Option<Unfinished>)> {
    let step = Some("starting".to_owned());
    let mut worker = Worker::start(|pipe| {
        let (known, step) = (known.clone(), step.clone());
        let mut notes = Notes { known, step, pipe };
        if work(&mut notes).is_ok() {
            notes.step = None;
        }
        notes.report();
    })
    .context("cannot start a process for the examination")?;
    let known = known.clone();
    let mut last = Progress { step, known };
    let mut mentioned = None;
    let started = Instant::now();
    let mut end = started + timeout;
    let mut stopped = false;
    let lingers = loop {
        let now = Instant::now();
        if !stopped && (now >= end || interruption::arrived().is_some()) {
            worker.stop();
            stopped = true;
            end = now + GRACE_PERIOD;
        }
        if now >= started + PROGRESS_AFTER && mentioned != last.step {
            mentioned.clone_from(&last.step);
            print_progress(subject, mentioned.as_deref());
        }
        let event = worker.wait(end.min(now + PROGRESS_AFTER));
        match event.context("cannot read what the examination reports")? {
            Event::Line(line) => last = serde_json::from_slice(&line)?,
            Event::Eof => break false,
            Event::Timeout if stopped && Instant::now() >= end => break true,
            Event::Timeout => {}
        }
    };
    if let Some(signal) = interruption::arrived() {
        ExitReason::Killed(signal).end();
    }
    let unfinished = last.step.map(|step| Unfinished {
        step,
        timed_out: stopped,
        lingers,
    });
    Ok((last.known, unfinished))
}

fn print_progress(subject: &str, step: Option<&str>) {
    if let Some(step) = step.filter(|_| stderr().is_terminal()) {
        failure::print(&format!("{}: {step} …", text::printable(subject)));
    }
}
