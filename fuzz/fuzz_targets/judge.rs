//! The judge, over any bytes: `cargo +nightly fuzz run judge`.

#![no_main]

use git_clone_shim::git::link_failure::find;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|stderr: &[u8]| {
    let Some(failure) = find(stderr) else {
        return;
    };
    // The line is a part of the input, and ends where a line ends.
    let (all, line) = (stderr.as_ptr_range(), failure.line.as_ptr_range());
    assert!(all.start <= line.start && line.end <= all.end);
    let begin = line.start.addr() - all.start.addr();
    let end = begin + failure.line.len();
    assert!(end == stderr.len() || stderr[end] == b'\n');
    // It owes its meaning to what stands before it on its line.
    let before = &stderr[..begin];
    let prefix = before.rsplit(|&byte| byte == b'\n').next();
    let prefix = prefix.expect("there is at least one part");
    let mut spoilt = stderr.to_vec();
    spoilt[begin - prefix.len()..begin].fill(b' ');
    let again = find(&spoilt);
    let again = again.map(|failure| failure.line.as_ptr().addr() - spoilt.as_ptr().addr());
    assert_ne!(again, Some(begin));
    // A line more in front of it changes nothing.
    let noisy = [b"Cloning into 'b'...\n", stderr].concat();
    assert_eq!(find(&noisy), Some(failure));
});
