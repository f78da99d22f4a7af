//! What the shim decided and why, on stderr: `GIT_CLONE_SHIM_LOG`.

use std::fmt::{Debug, Write as _};
use std::io::{Write as _, stderr};

use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};
use tracing_subscriber::filter::Targets;

use crate::printable::printable;

/// Starts logging what `filter` lets through. Not called unless `GIT_CLONE_SHIM_LOG` is set: without it an event costs one
/// comparison.
pub fn start(filter: Targets) {
    let _ = tracing::subscriber::set_global_default(Lines { filter });
}

/// Writes every event that a filter lets through to standard error, one line and one `write(2)` each. Nothing else is
/// recorded, since this program has no spans.
///
/// The lines of `tracing_subscriber::fmt` look the same, but thread-local variables come with it, for which musl has to
/// map memory before `main`: 11 µs for every call of git.
struct Lines {
    /// What is let through.
    filter: Targets,
}

impl Subscriber for Lines {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.is_event()
            && self
                .filter
                .would_enable(metadata.target(), metadata.level())
    }

    fn event(&self, event: &Event<'_>) {
        let metadata = event.metadata();
        let mut line = Line(format!("{:>5} {}:", metadata.level(), metadata.target()));
        event.record(&mut line);
        let line = printable(&line.0) + "\n";
        // Ignore errors: stderr may be closed.
        let _ = stderr().write_all(line.as_bytes());
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

struct Line(String);

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        let _ = match field.name() {
            "message" => write!(self.0, " {value:?}"),
            name => write!(self.0, " {name}={value:?}"),
        };
    }
}
