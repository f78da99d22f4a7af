//! The child's stderr on its way to ours: held at first, then streamed except for what is withheld until the child has exited.
//! The end of it is always kept, for our caller to look for a failure that it can cure.

use std::collections::TryReserveError;
use std::time::Duration;

use tracing::debug;

use super::clock;
use crate::lines::line_starts;

/// How long the beginning of stderr is held: long enough that git meets a refused link before, and short enough that a slow
/// clone is not silent for long.
const HOLD: Duration = Duration::from_secs(1);

/// How long nothing is read at first: what is held need not wake us while a short clone runs.
const PAUSE: Duration = Duration::from_millis(10);

/// How many bytes are held, and how many of the last ones are kept once they stream. git cuts a message at 4096 bytes.
const KEEP: usize = 64 * 1024;

/// How many bytes are in memory at most: 128 KiB that have been shown, 64 KiB that are held, and a full pipe behind them.
const CAPACITY: usize = 4 * KEEP;

/// Which lines change what happens to the child's stderr. Each function gets all that is known from the beginning of a line on.
#[derive(Clone, Copy, Debug)]
pub struct Lines {
    /// Whether the line shows that the failure for which the beginning is held cannot happen any more.
    pub end_the_hold: fn(&[u8]) -> bool,
    /// Whether this line and all behind it are withheld until the child has exited, even while the rest streams: then the
    /// caller of [`super::supervise::supervise`] decides whether they are shown.
    pub are_withheld: fn(&[u8]) -> bool,
}

/// The child's stderr on its way to ours.
#[derive(Debug)]
pub struct Relay {
    lines: Lines,
    /// The last bytes that the child wrote; those before `shown` have been written to our stderr.
    kept: Vec<u8>,
    shown: usize,
    /// Whether bytes have been dropped from the front, so that `kept` may begin in the middle of a line.
    cut: bool,
    /// When the hold ends, by [`clock::monotonic`]; `None` once it has.
    held_until: Option<Duration>,
    /// Where in `kept` the withheld lines begin, while the rest streams.
    withheld_from: Option<usize>,
}

impl Relay {
    /// An empty relay, whose hold begins now. All memory that it will need is reserved here.
    ///
    /// # Errors
    ///
    /// There is no memory.
    pub fn hold(lines: Lines) -> Result<Self, TryReserveError> {
        let mut kept = Vec::new();
        kept.try_reserve_exact(CAPACITY)?;
        Ok(Self {
            lines,
            kept,
            shown: 0,
            cut: false,
            held_until: Some(clock::monotonic() + HOLD),
            withheld_from: None,
        })
    }

    /// How many bytes [`Relay::take`] can take in now. It is zero only if bytes are taken in while some are pending.
    #[must_use]
    pub fn room(&self) -> usize {
        CAPACITY.saturating_sub(self.kept.len())
    }

    /// Takes in what the child has written, no more than there is [`Relay::room`] for. The hold ends at a line that ends it, or
    /// when more than 64 KiB are held.
    pub fn take(&mut self, bytes: &[u8]) {
        let new = self.kept.len();
        // A quick check first: most chunks of a long stream without line breaks begin no line.
        let begins_a_line =
            self.kept.last().is_none_or(|&byte| byte == b'\n') || bytes.contains(&b'\n');
        self.kept.extend_from_slice(bytes);
        if begins_a_line && self.withheld_from.is_none() {
            let starts = line_starts(&self.kept, new);
            for (start, line) in starts.filter_map(|start| Some((start, self.kept.get(start..)?))) {
                if self.held_until.is_some() && (self.lines.end_the_hold)(line) {
                    debug!(reason = "a line ends it", "the hold of stderr is over");
                    self.held_until = None;
                }
                if (self.lines.are_withheld)(line) {
                    self.withheld_from = Some(start);
                    break;
                }
            }
        }
        let held = match (self.held_until, self.withheld_from) {
            (Some(_), _) => self.kept.len(),
            (None, Some(start)) => self.kept.len() - start,
            (None, None) => 0,
        };
        if held > KEEP {
            debug!(reason = "64 KiB are held", "the hold of stderr is over");
            self.release();
        }
    }

    /// How long the hold still lasts; `None` once bytes stream. Ends the hold when its time is over.
    pub fn hold_left(&mut self) -> Option<Duration> {
        let left = self.held_until?.saturating_sub(clock::monotonic());
        if left.is_zero() {
            debug!(reason = "a second has passed", "the hold of stderr is over");
            self.held_until = None;
            return None;
        }
        Some(left)
    }

    /// How long of a hold that lasts for `hold_left` nothing needs to be read; `None` once it does.
    #[must_use]
    pub fn pause_left(hold_left: Duration) -> Option<Duration> {
        let pause = (hold_left + PAUSE).checked_sub(HOLD);
        pause.filter(|pause| !pause.is_zero())
    }

    /// What can be written now: nothing while it is held.
    #[must_use]
    pub fn pending(&self) -> &[u8] {
        if self.held_until.is_some() {
            return &[];
        }
        let end = self.withheld_from.unwrap_or(self.kept.len());
        self.kept.get(self.shown..end).unwrap_or_default()
    }

    /// Notes that the first `count` pending bytes have been written, and forgets what is older than the last 64 KiB.
    pub fn wrote(&mut self, count: usize) {
        self.shown = self.kept.len().min(self.shown + count);
        // In steps of KEEP, so that each byte is moved once at most.
        if self.shown >= 2 * KEEP {
            let forgotten = self.shown - KEEP;
            self.kept.drain(..forgotten);
            self.shown = KEEP;
            self.withheld_from = self.withheld_from.map(|start| start - forgotten);
            self.cut = true;
        }
    }

    /// The end of what the child wrote, from the beginning of a line.
    #[must_use]
    pub fn kept_lines(&self) -> &[u8] {
        let from = match self.cut {
            true => self
                .kept
                .iter()
                .position(|&byte| byte == b'\n')
                .map_or(self.kept.len(), |end| end + 1),
            false => 0,
        };
        self.kept.get(from..).unwrap_or_default()
    }

    /// Ends the hold and withholds nothing more: all that has not been written is pending now.
    pub fn release(&mut self) {
        self.held_until = None;
        self.withheld_from = None;
    }
}

#[cfg(test)]
mod tests {
    use super::{HOLD, KEEP, Lines, PAUSE, Relay};

    const LINES: Lines = Lines {
        end_the_hold: |line| line.starts_with(b"done.\n"),
        are_withheld: |line| line.starts_with(b"fatal"),
    };

    fn streaming() -> Relay {
        let mut relay = Relay::hold(LINES).unwrap();
        relay.held_until = None;
        relay
    }

    #[test]
    fn held_bytes_are_shown_only_at_the_end() {
        let mut relay = Relay::hold(LINES).unwrap();
        // A hold that does not end on a slow machine.
        relay.held_until = relay.held_until.map(|end| end + 100 * HOLD);
        relay.take(b"Cloning into 'x'...\n");
        assert!(relay.hold_left().is_some());
        assert_eq!(relay.pending(), b"");
        relay.release();
        assert_eq!(relay.pending(), b"Cloning into 'x'...\n");
    }

    #[test]
    fn nothing_needs_to_be_read_while_the_hold_begins() {
        assert_eq!(Relay::pause_left(HOLD), Some(PAUSE));
        assert_eq!(
            Relay::pause_left(HOLD.saturating_sub(PAUSE / 2)),
            Some(PAUSE / 2)
        );
        for left in [HOLD.saturating_sub(PAUSE), HOLD / 2] {
            assert_eq!(Relay::pause_left(left), None);
        }
    }

    #[test]
    fn more_than_the_limit_ends_the_hold() {
        let mut relay = Relay::hold(LINES).unwrap();
        relay.take(&vec![b'x'; KEEP]);
        assert_eq!(relay.pending(), b"");
        relay.take(b"y");
        assert_eq!(relay.pending().len(), KEEP + 1);
        assert!(relay.hold_left().is_none());
    }

    #[test]
    fn a_line_can_end_the_hold() {
        let mut relay = Relay::hold(LINES).unwrap();
        relay.take(b"Cloning into 'x'...\n not done.\n");
        assert_eq!(relay.pending(), b"");
        relay.take(b"done.\nfatal\n");
        assert!(relay.hold_left().is_none());
        assert_eq!(relay.pending(), b"Cloning into 'x'...\n not done.\ndone.\n");
    }

    #[test]
    fn streamed_bytes_come_in_order_and_memory_stays_bounded() {
        let mut relay = streaming();
        let mut shown = Vec::new();
        let mut expected = Vec::new();
        for number in 0..4096_u32 {
            let line = format!("{number} {}\n", "x".repeat(1000));
            relay.take(line.as_bytes());
            expected.extend_from_slice(line.as_bytes());
            let part = relay.pending().len().min(700);
            shown.extend_from_slice(&relay.pending()[..part]);
            relay.wrote(part);
            shown.extend_from_slice(relay.pending());
            relay.wrote(relay.pending().len());
            assert!(relay.kept.len() <= 2 * KEEP + line.len());
        }
        assert_eq!(shown, expected);
        assert!(expected.ends_with(relay.kept_lines()));
        assert!(relay.kept_lines().len() > KEEP / 2);
    }

    #[test]
    fn kept_lines_are_whole() {
        let mut relay = streaming();
        relay.take(&vec![b'x'; 3 * KEEP]);
        relay.wrote(relay.pending().len());
        assert_eq!(
            relay.kept_lines(),
            b"",
            "the middle of a line is not the beginning of one"
        );
        relay.take(b" fatal: not a line of its own\nfatal: a line of its own\n");
        assert_eq!(relay.kept_lines(), b"fatal: a line of its own\n");
    }

    #[test]
    fn withheld_lines_wait_while_the_rest_streams() {
        let mut relay = streaming();
        relay.take(b"one\ntwo");
        assert_eq!(relay.pending(), b"one\ntwo");
        relay.wrote(relay.pending().len());
        // Not at the beginning of a line.
        relay.take(b"fatal\n");
        assert_eq!(relay.pending(), b"fatal\n");
        relay.wrote(relay.pending().len());
        relay.take(b"three\nfatal: four\nfi");
        relay.take(b"ve\n");
        assert_eq!(relay.pending(), b"three\n");
        relay.wrote(relay.pending().len());
        assert_eq!(relay.pending(), b"");
        assert!(relay.kept_lines().ends_with(b"fatal: four\nfive\n"));
        relay.release();
        assert_eq!(relay.pending(), b"fatal: four\nfive\n");
    }

    #[test]
    fn lines_stay_withheld_after_the_hold() {
        // A git that has failed may need more than a second to remove what it made.
        let mut relay = Relay::hold(LINES).unwrap();
        relay.take(b"one\nfatal\n");
        relay.held_until = None;
        assert_eq!(relay.pending(), b"one\n");
    }

    #[test]
    fn withheld_lines_are_released_when_they_exceed_the_limit() {
        let mut relay = streaming();
        relay.take(b"fatal\n");
        assert_eq!(relay.pending(), b"");
        relay.take(&vec![b'x'; KEEP]);
        assert_eq!(relay.pending().len(), KEEP + 6);
    }
}
