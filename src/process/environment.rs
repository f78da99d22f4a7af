//! The environment, as the kernel laid it out, and which of it a setgid program may trust. Nothing in this program changes it.
//!
//! Entries are read up to the first byte that differs: getenv(3) and strlen(3) of musl took half of a pass-through's instructions.

use std::ffi::{CStr, OsStr, c_char};
use std::iter;
use std::os::unix::ffi::OsStrExt;

use nix::libc;
use smallvec::SmallVec;

/// The entry that has a program speak English, whatever the locale (gettext(3)).
pub const ENGLISH: &CStr = c"LANGUAGE=C";

// environ(7): a program has to declare it itself; the libc crate does so for glibc only.
unsafe extern "C" {
    static environ: *const *const c_char;
}

/// The value of the variable `name`, which is not copied; `None` if it is not set.
#[must_use]
pub fn variable(name: &CStr) -> Option<&'static OsStr> {
    let value = entries().find_map(|entry| value(entry, name.to_bytes()))?;
    // SAFETY: it is the end of a string at the top of the stack, where it stays as long as the process.
    let value = unsafe { CStr::from_ptr(value) };
    Some(OsStr::from_bytes(value.to_bytes()))
}

/// As [`variable`]; `None` too if this program has more rights than its caller: the kernel set `AT_SECURE` (getauxval(3)),
/// because the program is setuid, setgid or has file capabilities. It is what `secure_getenv(3)` does.
#[must_use]
pub fn secure_variable(name: &CStr) -> Option<&'static OsStr> {
    // SAFETY: getauxval(3) takes a number.
    let is_trusted = || unsafe { libc::getauxval(libc::AT_SECURE) } == 0;
    variable(name).filter(|_| is_trusted())
}

/// Every entry in order, duplicates and those without a `=` included. Each is a string that lives as long as the process.
pub fn entries() -> impl Iterator<Item = *const c_char> {
    // SAFETY: the C runtime has set it to an array of strings that ends with a null pointer.
    let mut next = unsafe { environ };
    iter::from_fn(move || {
        // SAFETY: it goes no further than the null pointer.
        let entry = unsafe { *next };
        if entry.is_null() {
            return None;
        }
        // SAFETY: the array does not end here.
        next = unsafe { next.add(1) };
        Some(entry)
    })
}

/// Every entry in order but those with the name of one of `variables`, which are entries `NAME=value`.
pub fn entries_but(variables: &[&CStr]) -> impl Iterator<Item = *const c_char> {
    let names: SmallVec<[_; 2]> =
        variables.iter().filter_map(|variable| variable.to_bytes().split(|&byte| byte == b'=').next()).collect();
    entries().filter(move |&entry| !names.iter().any(|name| value(entry, name).is_some()))
}

/// The value in an entry of [`entries`], if it is one of the variable `name`, which has no NUL.
fn value(entry: *const c_char, name: &[u8]) -> Option<*const c_char> {
    let mut rest = entry;
    for byte in name.iter().copied().chain(*b"=") {
        // SAFETY: every byte before this one was equal to one that is not NUL: the string has not ended.
        if unsafe { rest.cast::<u8>().read() } != byte {
            return None;
        }
        // SAFETY: as above.
        rest = unsafe { rest.add(1) };
    }
    Some(rest)
}

#[cfg(test)]
mod tests {
    use std::ffi::CStr;

    use super::{entries, entries_but, value, variable};

    #[test]
    fn only_the_whole_name_has_the_value() {
        for (entry, name, expected) in [
            (c"A=b", "A", Some(c"b")),
            (c"A=", "A", Some(c"")),
            (c"A=b=c", "A", Some(c"b=c")),
            (c"AB=c", "A", None),
            (c"A", "A", None),
            (c"A", "AB", None),
            (c"", "A", None),
            (c"=b", "", Some(c"b")),
        ] {
            let found = value(entry.as_ptr(), name.as_bytes());
            // SAFETY: it is the end of `entry`.
            let found = found.map(|found| unsafe { CStr::from_ptr(found) });
            assert_eq!(found, expected, "{entry:?} {name}");
        }
    }

    #[test]
    fn entries_of_a_name_are_left_out() {
        assert!(variable(c"PATH").is_some());
        let others = entries_but(&[c"PATH=x", c"GIT_CLONE_SHIM_NO_SUCH_VARIABLE=x"]);
        assert_eq!(others.count(), entries().count() - 1);
    }
}
