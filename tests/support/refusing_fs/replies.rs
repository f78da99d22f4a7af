//! What replies are made of, and times in both directions.

use std::fs::{self, Metadata};
use std::os::unix::fs::MetadataExt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use fuser::{FileAttr, FileType, Generation, INodeNo as Ino, TimeOrNow};
use nix::sys::time::TimeSpec;

/// Sends the value of a result, or its errno: the reply types have no trait in common.
macro_rules! answer {
    ($reply:ident, $result:expr, $value:pat => $send:expr) => {
        match $result {
            Ok($value) => $send,
            Err(error) => $reply.error(fuser::Errno::from(error)),
        }
    };
}
pub(super) use answer;

/// How long the kernel may cache an entry and its attributes. No file is cached, so that every link(2) is preceded by a lookup
/// of its source; but directories are, else each path costs a request for every directory in it.
pub(super) fn ttl(attr: &FileAttr) -> Duration {
    match attr.kind {
        FileType::Directory => Duration::from_secs(1),
        _ => Duration::ZERO,
    }
}

/// Node ids are not used twice, so generations are not needed.
pub(super) const GENERATION: Generation = Generation(0);

pub(super) fn kind(kind: fs::FileType) -> FileType {
    FileType::from_std(kind).unwrap_or(FileType::RegularFile)
}

pub(super) fn attributes(ino: Ino, metadata: &Metadata) -> FileAttr {
    FileAttr {
        ino,
        size: metadata.size(),
        blocks: metadata.blocks(),
        atime: time(metadata.atime(), metadata.atime_nsec()),
        mtime: time(metadata.mtime(), metadata.mtime_nsec()),
        ctime: time(metadata.ctime(), metadata.ctime_nsec()),
        crtime: UNIX_EPOCH,
        kind: kind(metadata.file_type()),
        perm: u16::try_from(metadata.mode() & 0o7777).unwrap_or_default(),
        nlink: u32::try_from(metadata.nlink()).unwrap_or(u32::MAX),
        uid: metadata.uid(),
        gid: metadata.gid(),
        rdev: u32::try_from(metadata.rdev()).unwrap_or_default(),
        blksize: u32::try_from(metadata.blksize()).unwrap_or(4096),
        flags: 0,
    }
}

fn time(seconds: i64, nanoseconds: i64) -> SystemTime {
    let whole = Duration::from_secs(seconds.unsigned_abs());
    let start = if seconds < 0 {
        UNIX_EPOCH - whole
    } else {
        UNIX_EPOCH + whole
    };
    start + Duration::from_nanos(nanoseconds.unsigned_abs())
}

pub(super) fn timespec(time: Option<TimeOrNow>) -> TimeSpec {
    match time {
        None => TimeSpec::UTIME_OMIT,
        Some(TimeOrNow::Now) => TimeSpec::UTIME_NOW,
        Some(TimeOrNow::SpecificTime(time)) => match time.duration_since(UNIX_EPOCH) {
            Ok(after) => TimeSpec::from_duration(after),
            Err(before) => -TimeSpec::from_duration(before.duration()),
        },
    }
}
