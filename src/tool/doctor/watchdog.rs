//! Work that may hang, done by a child that tells how far it has come.

use std::fs::File;
use std::io::{self, IsTerminal, Write, stderr};
use std::time::{Duration, Instant};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::report::Unfinished;
use super::text;
use crate::failure;
use crate::process::exit_reason::ExitReason;
use crate::process::interruption;
use crate::process::worker::{News, Worker};

/// How long a person waits before wanting to know for what.
const SILENCE: Duration = Duration::from_secs(1);

/// How long a child that was asked to end may take to remove what it made.
const FAREWELL: Duration = Duration::from_secs(2);

/// This process has been asked to end.
pub(super) struct Stopped;

/// In the child: what it knows.
pub(super) struct Notes<T> {
    pub known: T,
    step: Option<String>,
    told: File,
}

impl<T: Serialize> Notes<T> {
    /// Tells what is known, and that `step` begins.
    pub(super) fn begin(&mut self, step: &str) -> Result<(), Stopped> {
        self.step = Some(step.to_owned());
        self.tell();
        match interruption::arrived() {
            Some(_) => Err(Stopped),
            None => Ok(()),
        }
    }

    fn tell(&mut self) {
        let telling = Telling {
            step: self.step.clone(),
            known: &self.known,
        };
        if let Ok(mut line) = serde_json::to_vec(&telling) {
            line.push(b'\n');
            // If nobody hears it, a signal says so (see `Worker::start`).
            let _ = self.told.write_all(&line);
        }
    }
}

/// A line of the child's.
#[derive(Serialize, Deserialize)]
struct Telling<T> {
    /// What it is doing, or was doing when it was asked to end; `None` when all is done.
    step: Option<String>,
    known: T,
}

/// Lets a child do `work`, and returns what it has told, `known` if nothing, when it has ended or `patience` is at its end.
/// Where that takes more than a second, a person at a terminal is told what it is that takes so long about `subject`.
///
/// Does not return if this process is asked to end: it ends as by that signal, after the child if that can end.
///
/// # Errors
///
/// No child could be started, or it cannot be heard.
pub(super) fn watch<T: Clone + Serialize + DeserializeOwned>(
    subject: &str,
    patience: Duration,
    known: &T,
    work: impl FnOnce(&mut Notes<T>) -> Result<(), Stopped>,
) -> io::Result<(T, Option<Unfinished>)> {
    let step = Some("starting".to_owned());
    let mut worker = Worker::start(|told| {
        let (known, step) = (known.clone(), step.clone());
        let mut notes = Notes { known, step, told };
        if work(&mut notes).is_ok() {
            notes.step = None;
        }
        notes.tell();
    })?;
    let known = known.clone();
    let mut last = Telling { step, known };
    let mut mentioned = None;
    let started = Instant::now();
    let mut end = started + patience;
    let mut asked_to_end = false;
    let lingers = loop {
        let now = Instant::now();
        if !asked_to_end && (now >= end || interruption::arrived().is_some()) {
            worker.stop();
            asked_to_end = true;
            end = now + FAREWELL;
        }
        if now >= started + SILENCE && mentioned != last.step {
            mentioned.clone_from(&last.step);
            mention(subject, mentioned.as_deref());
        }
        match worker.wait(end.min(now + SILENCE))? {
            News::Line(line) => last = serde_json::from_slice(&line)?,
            News::Ended => break false,
            News::Nothing if asked_to_end && Instant::now() >= end => break true,
            News::Nothing => {}
        }
    };
    if let Some(signal) = interruption::arrived() {
        ExitReason::Killed(signal).end();
    }
    let unfinished = last.step.map(|step| Unfinished {
        step,
        timed_out: asked_to_end,
        lingers,
    });
    Ok((last.known, unfinished))
}

fn mention(subject: &str, step: Option<&str>) {
    if let Some(step) = step.filter(|_| stderr().is_terminal()) {
        failure::print(&format!("{}: {step} …", text::printable(subject)));
    }
}
