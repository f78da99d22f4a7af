//! Whether hard links can be made, and are what they should be.

use std::fs::{self, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use super::report::Check;
use super::text;

/// Links `file` to `name`: whether that could be done, and if so, whether the link is the same file.
pub(super) fn link(file: &Path, name: &Path) -> (Check, Option<Check>) {
    let linked = fs::symlink_metadata(file).and_then(|before| {
        fs::hard_link(file, name)?;
        Ok(before)
    });
    match linked {
        Ok(before) => (Check::passed(), Some(compare(&before, name))),
        Err(error) => (Check::failed(text::why(&error)), None),
    }
}

/// As git does it after each link (`copy_or_link_directory` in builtin/clone.c): what the file was before is what the link
/// has to be.
fn compare(before: &Metadata, link: &Path) -> Check {
    match fs::symlink_metadata(link).map(|link| difference(before, &link)) {
        Ok(None) => Check::passed(),
        Ok(Some(difference)) => Check::failed(difference),
        Err(error) => Check::failed(text::why(&error)),
    }
}

fn difference(file: &Metadata, link: &Metadata) -> Option<String> {
    let differs = |what: fn(&Metadata) -> u64| what(file) != what(link);
    Some(if link.is_symlink() {
        "a symbolic link".to_owned()
    } else if differs(Metadata::ino) {
        format!(
            "another inode number, {} and not {}",
            link.ino(),
            file.ino()
        )
    } else if differs(Metadata::dev) {
        "another device".to_owned()
    } else if differs(|file| file.mode().into()) {
        format!("another mode, {:o} and not {:o}", link.mode(), file.mode())
    } else if differs(|file| file.uid().into()) || differs(|file| file.gid().into()) {
        "another owner".to_owned()
    } else if differs(Metadata::size) {
        "another size".to_owned()
    } else {
        return None;
    })
}

/// Makes a file in one directory of `scratch` and an empty directory beside that one.
///
/// # Errors
///
/// The filesystem's.
pub(super) fn prepare(scratch: &Path) -> io::Result<()> {
    fs::create_dir(scratch.join("here"))?;
    fs::create_dir(scratch.join("there"))?;
    fs::write(scratch.join("here/file"), "git-clone-shim doctor\n")
}
