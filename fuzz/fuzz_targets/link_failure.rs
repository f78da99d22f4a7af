//! Looks for a link failure in any bytes: `cargo +nightly fuzz run link_failure`.

#![no_main]

use git_clone_shim::git::link_failure::find;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|stderr: &[u8]| {
    let Some(failure) = find(stderr) else {
        return;
    };
    // The line is a slice of the input that ends at a line break or at the end.
    let (all, line) = (stderr.as_ptr_range(), failure.line.as_ptr_range());
    assert!(all.start <= line.start && line.end <= all.end);
    let begin = line.start.addr() - all.start.addr();
    let end = begin + failure.line.len();
    assert!(end == stderr.len() || stderr[end] == b'\n');
    // Without the prefix before it, the line is no link failure.
    let before = &stderr[..begin];
    let prefix = before.rsplit(|&byte| byte == b'\n').next();
    let prefix = prefix.expect("there is at least one part");
    let mut without_prefix = stderr.to_vec();
    without_prefix[begin - prefix.len()..begin].fill(b' ');
    let again = find(&without_prefix);
    let again = again.map(|failure| failure.line.as_ptr().addr() - without_prefix.as_ptr().addr());
    assert_ne!(again, Some(begin));
    // Another line before it changes nothing.
    let noisy = [b"Cloning into 'b'...\n", stderr].concat();
    assert_eq!(find(&noisy), Some(failure));
});
