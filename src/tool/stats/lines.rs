//! The lines of a file, however large it and they are.

use std::io::{self, BufRead, BufReader, Read};

/// How much is read at once.
const BUFFER: usize = 1 << 20;

/// No record is longer than this.
const LONGEST: usize = 1 << 16;

/// Calls `take` with the number of every line, from 1 on, and the line, without its line break; `None` for one that is too
/// long to be a record.
///
/// # Errors
///
/// `input` cannot be read further.
pub(super) fn each(input: impl Read, take: &mut dyn FnMut(u64, Option<&[u8]>)) -> io::Result<()> {
    let mut input = BufReader::with_capacity(BUFFER, input);
    let mut line = Vec::new();
    for number in 1.. {
        line.clear();
        let limit = u64::try_from(LONGEST).unwrap_or(u64::MAX);
        if input.by_ref().take(limit).read_until(b'\n', &mut line)? == 0 {
            break;
        }
        match line.strip_suffix(b"\n") {
            Some(whole) => take(number, Some(whole)),
            None if line.len() < LONGEST => take(number, Some(&line)),
            None => {
                input.skip_until(b'\n')?;
                take(number, None);
            }
        }
    }
    Ok(())
}
