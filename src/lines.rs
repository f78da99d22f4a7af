//! Where lines begin in bytes that end anywhere. Pure: the relay and the search for link failures both need it.

/// The positions in `bytes`, from `new` on, at which a line begins.
pub(crate) fn line_starts(bytes: &[u8], new: usize) -> impl DoubleEndedIterator<Item = usize> {
    let is_start = |&at: &usize| at == 0 || bytes.get(at - 1) == Some(&b'\n');
    (new..bytes.len()).filter(is_start)
}
