//! The filesystem that a path is on, as the kernel lists it in /proc/self/mountinfo (proc(5)).

use std::ffi::OsStr;
use std::fmt;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use serde::{Deserialize, Serialize};

/// A mounted filesystem.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Filesystem {
    /// Its type, such as `beegfs` or `fuse.sshfs`.
    #[serde(rename = "type")]
    pub kind: String,
    /// Where it is mounted.
    pub mount_point: String,
    /// What is mounted there: a device, a server, or only a name.
    pub source: String,
}

impl Filesystem {
    /// The filesystem of `path`, which is absolute and resolved, according to `mountinfo`. No filesystem is accessed, so that
    /// one that hangs can be named.
    #[must_use]
    pub fn of(path: &Path, mountinfo: &[u8]) -> Option<Self> {
        let mounts = mountinfo.split(|&byte| byte == b'\n').filter_map(parse);
        let around =
            mounts.filter(|(mount_point, _)| path.starts_with(OsStr::from_bytes(mount_point)));
        // Of several mounts on one directory the last one is visible, and `max_by_key` returns the last.
        let nearest = around.max_by_key(|(mount_point, _)| mount_point.len());
        nearest.map(|(_, filesystem)| filesystem)
    }

    /// The filesystem of `path` or, where it does not exist, of its nearest parent that does.
    #[must_use]
    pub fn around(path: &Path) -> Option<Self> {
        let mut places = path.ancestors();
        let place = places.find_map(|place| place.canonicalize().ok())?;
        Self::of(&place, &fs::read("/proc/self/mountinfo").ok()?)
    }
}

/// Its type, where it is mounted, and what: `ext4 on / (/dev/vda)`.
impl fmt::Display for Filesystem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} on {} ({})", self.kind, self.mount_point, self.source)
    }
}

/// `36 35 98:0 /mnt1 /mount/point rw,noatime master:1 - ext3 /dev/root rw`, with any number of fields before the dash.
fn parse(line: &[u8]) -> Option<(Vec<u8>, Filesystem)> {
    let mut fields = line.split(|&byte| byte == b' ');
    let mount_point = unescape(fields.nth(4)?);
    let mut fields = fields.skip_while(|&field| field != b"-").skip(1);
    let filesystem = Filesystem {
        kind: text(&unescape(fields.next()?)),
        mount_point: text(&mount_point),
        source: text(&unescape(fields.next()?)),
    };
    Some((mount_point, filesystem))
}

/// A field in which spaces and the like are written as three octal digits.
fn unescape(field: &[u8]) -> Vec<u8> {
    let mut parts = field.split(|&byte| byte == b'\\');
    let mut plain = parts.next().unwrap_or_default().to_vec();
    for part in parts {
        let (digits, rest) = part.split_at_checked(3).unwrap_or((b"", part));
        let digits = str::from_utf8(digits).unwrap_or_default();
        match u8::from_str_radix(digits, 8) {
            Ok(byte) => plain.push(byte),
            Err(_) => plain.extend([b"\\", digits.as_bytes()].concat()),
        }
        plain.extend(rest);
    }
    plain
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::Filesystem;

    const MOUNTINFO: &[u8] = b"\
22 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw\n\
23 22 0:5 / /home rw - autofs auto.home rw\n\
24 23 0:6 / /home/me rw,nosuid shared:7 master:3 - nfs4 server:/export/me rw,vers=4.2\n\
25 22 0:7 / /with\\040a\\134space rw - fuse.sshfs me@host: rw\n\
26 22 0:8 / /home/me rw - beegfs beegfs_nodev rw\n";

    fn on(path: &str) -> (String, String, String) {
        let found = Filesystem::of(Path::new(path), MOUNTINFO).unwrap();
        (found.kind, found.mount_point, found.source)
    }

    #[test]
    fn nearest_visible_mount_is_found() {
        let owned = |one: &str, two: &str, three: &str| (one.into(), two.into(), three.into());
        assert_eq!(on("/"), owned("ext4", "/", "/dev/vda"));
        assert_eq!(on("/homely"), owned("ext4", "/", "/dev/vda"));
        assert_eq!(on("/home/you"), owned("autofs", "/home", "auto.home"));
        assert_eq!(
            on("/home/me/x"),
            owned("beegfs", "/home/me", "beegfs_nodev")
        );
        assert_eq!(
            on("/with a\\space"),
            owned("fuse.sshfs", "/with a\\space", "me@host:")
        );
        assert_eq!(Filesystem::of(Path::new("/"), b"nonsense\n\n"), None);
    }
}
