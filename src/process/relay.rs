//! What the child has said: held at first, then streamed up to its last words, and its end always kept for the judge.

use std::time::{Duration, Instant};

/// How long the child's first words are held. Long enough for a refused link to be the first thing git meets, short
/// enough that nobody wonders why a slow clone says nothing.
const HOLD: Duration = Duration::from_secs(1);

/// How many bytes are held, and how many of the last ones are kept once they stream. git cuts a message at 4096 bytes.
const KEEP: usize = 64 * 1024;

/// How lines of the child's are told apart. Each is asked with all that is known from the beginning of a line on.
#[derive(Clone, Copy, Debug)]
pub struct Lines {
    /// Whether the line tells that what the first words are held for cannot happen any more.
    pub end_the_hold: fn(&[u8]) -> bool,
    /// Whether the child's last words begin with the line. They are held until it has ended, even while the rest streams:
    /// then it is for others to decide whether anybody should read them.
    pub are_last_words: fn(&[u8]) -> bool,
}

/// The child's standard error on its way to ours.
#[derive(Debug)]
pub struct Relay {
    lines: Lines,
    /// The last bytes that the child wrote; those before `shown` have been passed on.
    kept: Vec<u8>,
    shown: usize,
    /// Whether bytes have been dropped from the front, so that `kept` may begin in the middle of a line.
    cut: bool,
    /// How many bytes the child has written in all.
    taken: usize,
    /// When the hold ends; `None` once it has.
    held_until: Option<Instant>,
    /// Where in `kept` the child's last words may have begun, while the rest streams.
    last_words: Option<usize>,
}

impl Relay {
    /// An empty relay, whose hold begins now.
    #[must_use]
    pub fn hold(lines: Lines) -> Self {
        Self {
            lines,
            kept: Vec::new(),
            shown: 0,
            cut: false,
            taken: 0,
            held_until: Instant::now().checked_add(HOLD),
            last_words: None,
        }
    }

    /// Takes in what the child has written. The hold ends when a line says so, or when more than 64 KiB are held.
    pub fn take(&mut self, bytes: &[u8]) {
        let new = self.kept.len();
        // Told first, since it is quickly told: most chunks of a flood begin no line.
        let begins_a_line =
            self.kept.last().is_none_or(|&byte| byte == b'\n') || bytes.contains(&b'\n');
        self.kept.extend_from_slice(bytes);
        self.taken += bytes.len();
        if begins_a_line && self.last_words.is_none() {
            let starts = line_starts(&self.kept, new);
            for (start, line) in starts.filter_map(|start| Some((start, self.kept.get(start..)?))) {
                if self.held_until.is_some() && (self.lines.end_the_hold)(line) {
                    self.held_until = None;
                }
                if (self.lines.are_last_words)(line) {
                    self.last_words = Some(start);
                    break;
                }
            }
        }
        let held = match (self.held_until, self.last_words) {
            (Some(_), _) => self.kept.len(),
            (None, Some(start)) => self.kept.len() - start,
            (None, None) => 0,
        };
        if held > KEEP {
            self.release();
        }
    }

    /// How many bytes the child has written in all.
    #[must_use]
    pub fn taken(&self) -> usize {
        self.taken
    }

    /// How long the hold still lasts; `None` once bytes stream. Ends the hold when its time has come.
    pub fn hold_left(&mut self) -> Option<Duration> {
        let left = self.held_until?.saturating_duration_since(Instant::now());
        if left.is_zero() {
            self.held_until = None;
            return None;
        }
        Some(left)
    }

    /// What can be written now: nothing while it is held.
    #[must_use]
    pub fn pending(&self) -> &[u8] {
        if self.held_until.is_some() {
            return &[];
        }
        let end = self.last_words.unwrap_or(self.kept.len());
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
            self.last_words = self.last_words.map(|start| start - forgotten);
            self.cut = true;
        }
    }

    /// The end of what the child said, from the beginning of a line.
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

    /// Ends every hold: all that has not been written is pending now.
    pub fn release(&mut self) {
        self.held_until = None;
        self.last_words = None;
    }
}

/// Where lines begin in `bytes`, from `new` on.
pub(crate) fn line_starts(bytes: &[u8], new: usize) -> impl DoubleEndedIterator<Item = usize> {
    let is_start = |&at: &usize| at == 0 || bytes.get(at - 1) == Some(&b'\n');
    (new..bytes.len()).filter(is_start)
}

#[cfg(test)]
mod tests {
    use super::{HOLD, KEEP, Lines, Relay};

    const LINES: Lines = Lines {
        end_the_hold: |line| line.starts_with(b"done.\n"),
        are_last_words: |line| line.starts_with(b"fatal"),
    };

    fn streaming() -> Relay {
        let mut relay = Relay::hold(LINES);
        relay.held_until = None;
        relay
    }

    #[test]
    fn what_is_held_is_shown_only_at_the_end() {
        let mut relay = Relay::hold(LINES);
        // However slow the machine is.
        relay.held_until = relay.held_until.and_then(|end| end.checked_add(100 * HOLD));
        relay.take(b"Cloning into 'x'...\n");
        assert!(relay.hold_left().is_some());
        assert_eq!(relay.pending(), b"");
        relay.release();
        assert_eq!(relay.pending(), b"Cloning into 'x'...\n");
    }

    #[test]
    fn more_than_the_limit_ends_the_hold() {
        let mut relay = Relay::hold(LINES);
        relay.take(&vec![b'x'; KEEP]);
        assert_eq!(relay.pending(), b"");
        relay.take(b"y");
        assert_eq!(relay.pending().len(), KEEP + 1);
        assert!(relay.hold_left().is_none());
    }

    #[test]
    fn a_line_can_end_the_hold() {
        let mut relay = Relay::hold(LINES);
        relay.take(b"Cloning into 'x'...\n not done.\n");
        assert_eq!(relay.pending(), b"");
        relay.take(b"done.\nfatal\n");
        assert!(relay.hold_left().is_none());
        assert_eq!(relay.pending(), b"Cloning into 'x'...\n not done.\ndone.\n");
    }

    #[test]
    fn streamed_bytes_come_in_order_and_memory_stays_bounded() {
        let mut relay = streaming();
        let mut screen = Vec::new();
        let mut expected = Vec::new();
        for turn in 0..4096_u32 {
            let line = format!("{turn} {}\n", "x".repeat(1000));
            relay.take(line.as_bytes());
            expected.extend_from_slice(line.as_bytes());
            let part = relay.pending().len().min(700);
            screen.extend_from_slice(&relay.pending()[..part]);
            relay.wrote(part);
            screen.extend_from_slice(relay.pending());
            relay.wrote(relay.pending().len());
            assert!(relay.kept.len() <= 2 * KEEP + line.len());
        }
        assert_eq!(screen, expected);
        assert!(expected.ends_with(relay.kept_lines()));
        assert!(relay.kept_lines().len() > KEEP / 2);
    }

    #[test]
    fn the_judge_sees_whole_lines_only() {
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
    fn last_words_are_held_while_the_rest_streams() {
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
    fn last_words_outlast_the_hold() {
        // A git that has failed may need more than a second to remove what it made.
        let mut relay = Relay::hold(LINES);
        relay.take(b"one\nfatal\n");
        relay.held_until = None;
        assert_eq!(relay.pending(), b"one\n");
    }

    #[test]
    fn last_words_that_go_on_and_on_are_none() {
        let mut relay = streaming();
        relay.take(b"fatal\n");
        assert_eq!(relay.pending(), b"");
        relay.take(&vec![b'x'; KEEP]);
        assert_eq!(relay.pending().len(), KEEP + 6);
    }
}
