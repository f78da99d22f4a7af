//! The names in a directory, read by the system call itself: the standard library panics where a directory cannot be closed
//! without an error (`closedir(3)`), and the C library allocates memory.

use std::ffi::{OsStr, OsString};
use std::ops::Range;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, OFlag, openat};
use nix::libc;
use nix::sys::stat::Mode;

/// Where the length of a record is in it, and where its name (`struct linux_dirent64` in getdents(2)).
const LENGTH: Range<usize> = 16..18;
const NAME: usize = 19;

/// Space for a few records: the longest has a name of 255 bytes.
#[repr(align(8))]
struct Records([u8; 1024]);

/// The names in a directory but `.` and `..`, in the kernel's order. An error ends them.
pub struct Entries {
    /// `None` at the end.
    directory: Option<OwnedFd>,
    records: Records,
    unread: Range<usize>,
}

impl Entries {
    /// Opens the directory `path`.
    ///
    /// # Errors
    ///
    /// The error of `open(2)`.
    pub fn of(path: &Path) -> nix::Result<Self> {
        let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
        Ok(Self {
            directory: Some(openat(AT_FDCWD, path, flags, Mode::empty())?),
            records: Records([0; 1024]),
            unread: 0..0,
        })
    }

    /// Reads the next records; `None` at the end of the directory.
    fn read(&mut self) -> Option<nix::Result<()>> {
        let directory = self.directory.as_ref()?.as_raw_fd();
        let records = &mut self.records.0;
        // SAFETY: the kernel writes whole records, at most as many bytes as there is space for.
        let result = unsafe {
            libc::syscall(
                libc::SYS_getdents64,
                directory,
                records.as_mut_ptr(),
                records.len(),
            )
        };
        match Errno::result(result) {
            Ok(0) => None,
            Ok(length) => {
                self.unread = 0..usize::try_from(length).unwrap_or(0);
                Some(Ok(()))
            }
            Err(Errno::EINTR) => self.read(),
            Err(error) => Some(Err(error)),
        }
    }

    /// The name in the next record.
    fn record(&mut self) -> Option<&OsStr> {
        let records = self.records.0.get(self.unread.clone())?;
        let length = records
            .get(LENGTH)?
            .try_into()
            .map(u16::from_ne_bytes)
            .ok()?;
        let name = records.get(NAME..usize::from(length))?;
        self.unread.start += usize::from(length);
        let end = name.iter().position(|&byte| byte == 0)?;
        name.get(..end).map(OsStr::from_bytes)
    }
}

impl Iterator for Entries {
    type Item = nix::Result<OsString>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if self.unread.is_empty() {
                match self.read() {
                    Some(Ok(())) => {}
                    end => {
                        self.directory = None;
                        return end?.err().map(Err);
                    }
                }
            }
            match self.record() {
                Some(name) if name == "." || name == ".." => {}
                name => return name.map(|name| Ok(name.to_owned())),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::fs::File;

    use super::Entries;

    #[test]
    fn every_name_is_read_once() {
        let place = tempfile::tempdir().unwrap();
        let names: BTreeSet<_> = (1..=200).map(|length| "x".repeat(length)).collect();
        for name in &names {
            File::create(place.path().join(name)).unwrap();
        }
        let read: Vec<_> = Entries::of(place.path())
            .unwrap()
            .map(Result::unwrap)
            .collect();
        assert_eq!(read.len(), names.len());
        assert!(
            read.iter()
                .all(|name| names.contains(name.to_str().unwrap()))
        );
    }

    #[test]
    fn empty_directory_has_no_names_and_a_file_is_none() {
        let place = tempfile::tempdir().unwrap();
        assert!(Entries::of(place.path()).unwrap().next().is_none());
        let file = place.path().join("file");
        File::create(&file).unwrap();
        assert!(Entries::of(&file).is_err());
    }
}
