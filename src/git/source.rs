//! The source of a clone, as git would look for it: is it a local repository, where are its objects, and who can exchange them?

use std::ffi::{OsStr, OsString};
use std::fs::{self, File, Metadata};
use std::io::Read;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::command_line::CloneCommand;

/// What git appends to a source to find its repository, in this order (`get_repo_path` in builtin/clone.c).
const SUFFIXES: [&str; 4] = ["/.git", "", ".git/.git", ".git"];

/// What a `.git` file begins with; the repository's path follows (`read_gitfile_gently` in setup.c).
const GITFILE: &[u8] = b"gitdir: ";

/// No `.git` file and no `commondir` file that git wrote is longer.
const LONGEST_FILE: u64 = 8192;

/// What git then appends to it to find a bundle.
const BUNDLE_SUFFIXES: [&str; 2] = [".bundle", ""];

/// A local repository that is cloned.
#[derive(Debug, PartialEq, Eq)]
pub struct Repository {
    /// The directory where git finds it.
    directory: PathBuf,
    /// The directory from which git hard-links its objects (`clone_local` in builtin/clone.c). A worktree has it where its
    /// repository has it (`get_common_dir` in path.c).
    pub objects: PathBuf,
}

impl Repository {
    /// The local repository that is the source of `clone`. `None` if there is none, or a file on the way to it cannot be read.
    #[must_use]
    pub fn of(clone: &CloneCommand<'_>) -> Option<Self> {
        let directory = match find(clone)? {
            Found::Directory(path) => path,
            Found::GitFile(path) => {
                let named = first_line(&path)?;
                let named = named.strip_prefix(GITFILE)?;
                path.parent()?.join(OsStr::from_bytes(named))
            }
        };
        let objects = match first_line(&directory.join("commondir")) {
            Some(common) => directory.join(OsString::from_vec(common)).join("objects"),
            None => directory.join("objects"),
        };
        Some(Self { directory, objects })
    }

    /// Whether it is shallow: then git makes no links, even with `--local`.
    #[must_use]
    pub fn is_shallow(&self) -> bool {
        self.directory.join("shallow").symlink_metadata().is_ok()
    }
}

/// Where git finds a repository.
enum Found {
    Directory(PathBuf),
    /// A file that names the repository's directory.
    GitFile(PathBuf),
}

/// Whether the source of `clone` is an existing local repository, whose objects git hard-links unless an option forbids it.
///
/// git looks for a path first, so that even `host:path` is one if it exists. A bundle is none: git reads it like a
/// remote. Nor is a URL, even where `url.<base>.insteadOf` makes a path of it: that would take git's configuration.
#[must_use]
pub fn is_local(clone: &CloneCommand<'_>) -> bool {
    find(clone).is_some()
}

/// Whether git takes the source of `clone` for a URL: it holds a colon, and there is no repository or bundle of that name
/// (`cmd_clone` in builtin/clone.c).
#[must_use]
pub fn is_url(clone: &CloneCommand<'_>) -> bool {
    let Some(source) = clone.positionals.first() else {
        return false;
    };
    source.to_bytes().contains(&b':')
        && !is_local(clone)
        && !candidates(clone, &BUNDLE_SUFFIXES).any(|path| path.is_file())
}

/// Whether a user other than us, root and the owner of the repository could exchange the object `name` (such as `ab/cdef…`,
/// followed by what no name of git's holds) in `objects`, its directory of objects. `true` where the mode of a directory cannot be
/// read.
///
/// The owner is left out: git itself refuses a repository of another user's unless `safe.directory` names it.
#[must_use]
pub fn others_can_exchange(objects: &Path, name: &[u8]) -> bool {
    let ends = |byte: &u8| !(byte.is_ascii_alphanumeric() || b"-_./".contains(byte));
    let end = name.iter().position(ends).unwrap_or(name.len());
    let name = Path::new(OsStr::from_bytes(name.get(..end).unwrap_or(name)));
    if name.components().count() < 2 {
        // git has cut the message before the end of the directory's name.
        return true;
    }
    let subdirectories = name.ancestors().skip(1).map(|part| objects.join(part));
    let mut directories = subdirectories.chain([objects.join("..")]);
    let Ok(owner) = fs::metadata(objects).map(|objects| objects.uid()) else {
        return true;
    };
    let others_can_write_to = |directory: &PathBuf| {
        fs::metadata(directory).map_or(true, |metadata| {
            is_writable_by_others(&metadata, Some(owner))
        })
    };
    directories.any(|directory| others_can_write_to(&directory))
}

/// Whether a user other than us, root and `trusted` can make, rename and remove names in a directory, sticky or not.
#[must_use]
pub(super) fn is_writable_by_others(directory: &Metadata, trusted: Option<u32>) -> bool {
    let owner = directory.uid();
    let owned_by_others =
        owner != 0 && owner != nix::unistd::geteuid().as_raw() && Some(owner) != trusted;
    owned_by_others || directory.mode() & 0o022 != 0
}

fn find(clone: &CloneCommand<'_>) -> Option<Found> {
    candidates(clone, &SUFFIXES).find_map(repository)
}

/// The source of `clone` as a path of this machine, with each of `suffixes`.
fn candidates<'a>(
    clone: &CloneCommand<'_>,
    suffixes: &'a [&str],
) -> impl Iterator<Item = PathBuf> + use<'a> {
    let source = clone.positionals.first();
    let source = source.map(|source| clone.directory().join(OsStr::from_bytes(source.to_bytes())));
    source.into_iter().flat_map(|source| {
        suffixes.iter().map(move |suffix| {
            let mut path = OsString::from(&source);
            path.push(suffix);
            path.into()
        })
    })
}

/// The git directory at `path`, or the file there that names one.
fn repository(path: PathBuf) -> Option<Found> {
    let metadata = fs::metadata(&path).ok()?;
    if metadata.is_dir() {
        // HEAD may be a symbolic link to a branch that does not exist yet (`validate_headref` in path.c).
        let head = path.join("HEAD").symlink_metadata();
        return head.is_ok().then_some(Found::Directory(path));
    }
    let mut signature = [0; GITFILE.len()];
    let read = metadata.is_file() && {
        let opened = File::open(&path);
        opened
            .and_then(|mut file| file.read_exact(&mut signature))
            .is_ok()
    };
    (read && signature == *GITFILE).then_some(Found::GitFile(path))
}

/// The first line of a file, without its line break; `None` if there is no such file.
fn first_line(path: &Path) -> Option<Vec<u8>> {
    let mut line = Vec::new();
    let file = File::open(path).ok()?;
    file.take(LONGEST_FILE).read_to_end(&mut line).ok()?;
    let end = line.iter().position(|&byte| byte == b'\n');
    line.truncate(end.unwrap_or(line.len()));
    Some(line)
}

#[cfg(test)]
mod tests {
    use std::fs::{self, Permissions};
    use std::os::unix::fs::PermissionsExt;

    use super::{Repository, others_can_exchange};
    use crate::git::command_line::read;

    #[test]
    fn worktree_leads_to_the_objects_of_its_repository() {
        let place = tempfile::tempdir().unwrap();
        let place = place.path();
        fs::create_dir_all(place.join("main/.git/worktrees/side")).unwrap();
        fs::create_dir(place.join("side")).unwrap();
        fs::write(place.join("main/.git/HEAD"), "ref: refs/heads/x\n").unwrap();
        fs::write(place.join("main/.git/worktrees/side/commondir"), "../..\n").unwrap();
        fs::write(
            place.join("side/.git"),
            "gitdir: ../main/.git/worktrees/side\n",
        )
        .unwrap();
        fs::create_dir(place.join("main/.git/objects")).unwrap();
        for source in ["main", "main/.git", "side"] {
            let path = std::ffi::CString::new(place.join(source).to_str().unwrap()).unwrap();
            let args = [c"git", c"clone", path.as_c_str()];
            let found = Repository::of(&read(&args).unwrap()).unwrap().objects;
            let expected = place.join("main/.git/objects");
            assert_eq!(
                found.canonicalize().unwrap(),
                expected.canonicalize().unwrap(),
                "{source}"
            );
        }
    }

    #[test]
    fn group_that_can_write_to_a_directory_can_exchange_its_objects() {
        let place = tempfile::tempdir().unwrap();
        let objects = place.path().join("git/objects");
        fs::create_dir_all(objects.join("ab")).unwrap();
        let set = |name: &str, mode| {
            fs::set_permissions(objects.join(name), Permissions::from_mode(mode)).unwrap();
        };
        for name in ["..", ".", "ab"] {
            set(name, 0o755);
        }
        assert!(!others_can_exchange(&objects, b"ab/cdef"));
        assert!(!others_can_exchange(
            &objects,
            b"ab/cdef': Input/output error"
        ));
        assert!(others_can_exchange(&objects, b"ab"), "it cannot be told");
        for name in ["..", ".", "ab"] {
            set(name, 0o775);
            assert!(others_can_exchange(&objects, b"ab/cdef"), "{name}");
            set(name, 0o755);
        }
        assert!(
            others_can_exchange(&objects, b"absent/x"),
            "it cannot be told"
        );
    }
}
