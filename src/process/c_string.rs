//! C strings for system calls, built without allocation where they are short.

use std::ffi::{CStr, OsStr};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use smallvec::SmallVec;

/// A string that ends with NUL. Up to 127 bytes need no allocation: the first one of a process costs more than a search
/// along PATH.
#[derive(Clone, Debug)]
pub struct ShortCString(SmallVec<[u8; 128]>);

impl ShortCString {
    /// The string of these parts, up to the first NUL in them.
    #[must_use]
    pub fn of(parts: &[&[u8]]) -> Self {
        let mut string = SmallVec::new();
        for part in parts {
            string.extend_from_slice(part);
        }
        string.push(0);
        Self(string)
    }

    /// The path of `name` in the directory with this path, as `Path::join` makes it.
    #[must_use]
    pub fn join(&self, name: &[u8]) -> Self {
        match self.as_c_str().to_bytes() {
            directory if !directory.is_empty() && !name.starts_with(b"/") => {
                Self::of(&[directory, c"/".to_bytes(), name])
            }
            _ => Self::of(&[name]),
        }
    }

    /// The string for a system call.
    #[must_use]
    pub fn as_c_str(&self) -> &CStr {
        // SAFETY: the last byte is NUL.
        unsafe { CStr::from_ptr(self.0.as_ptr().cast()) }
    }

    /// The string as the path of a file.
    #[must_use]
    pub fn as_path(&self) -> &Path {
        Path::new(OsStr::from_bytes(self.as_c_str().to_bytes()))
    }
}
