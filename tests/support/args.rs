//! Arguments of git.

use std::ffi::{OsStr, OsString};

/// The arguments of a command, without argv[0].
pub type Args = Vec<OsString>;

/// The arguments in `line`, separated by spaces.
pub fn args(line: &str) -> Args {
    line.split(' ').filter(|arg| !arg.is_empty()).map(OsString::from).collect()
}

/// `args` with `--no-hardlinks` as the first option of `clone`: what a user would have written.
pub fn with_no_hardlinks(args: &[OsString]) -> Args {
    let clone = args.iter().position(|arg| arg == "clone").unwrap();
    let mut copying = args.to_vec();
    copying.insert(clone + 1, "--no-hardlinks".into());
    copying
}

/// `args` with every `SRC` replaced by `source`.
pub fn with_source(source: impl AsRef<OsStr>, args: Args) -> Args {
    let source = source.as_ref();
    args.into_iter().map(|arg| if arg == "SRC" { source.to_owned() } else { arg }).collect()
}

/// The rows of a table: a line each, with fields between bars, of which the first ones can be missing. `#` begins a comment.
pub fn rows<const N: usize>(table: &str) -> impl Iterator<Item = [&str; N]> {
    let lines = table.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines.map(|line| {
        let mut fields: Vec<&str> = line.split('|').map(str::trim).collect();
        fields.splice(0..0, vec![""; N - fields.len()]);
        fields.try_into().unwrap()
    })
}
