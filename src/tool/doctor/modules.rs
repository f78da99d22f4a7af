//! The environment modules that are loaded, and which of them added an entry to PATH or set a variable.

use std::env;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use crate::tool::text;

/// Directories that are on PATH without any module.
const OF_THE_SYSTEM: [&str; 6] = [
    "/usr/local/sbin",
    "/usr/local/bin",
    "/usr/sbin",
    "/usr/bin",
    "/sbin",
    "/bin",
];

/// The modules that are loaded, as Lmod and Environment Modules both tell in the environment.
pub(super) struct Modules(Vec<Module>);

struct Module {
    name: OsString,
    /// The text of its file.
    file: Vec<u8>,
}

impl Modules {
    /// Reads `LOADEDMODULES` and, in the same order, the files in `_LMFILES_`.
    pub(super) fn loaded() -> Self {
        let list = |name: &str| env::var_os(name).unwrap_or_default();
        let (names, files) = (list("LOADEDMODULES"), list("_LMFILES_"));
        let names = env::split_paths(&names).filter(|name| !name.as_os_str().is_empty());
        let mut files = env::split_paths(&files);
        let mut modules: Vec<Module> = names
            .map(|name| Module {
                name: name.into(),
                file: files
                    .next()
                    .and_then(|file| fs::read(file).ok())
                    .unwrap_or_default(),
            })
            .collect();
        // What was loaded last takes precedence: it is in front on PATH, and its value of a variable counts.
        modules.reverse();
        Self(modules)
    }

    /// The module that put `directory` on PATH: one whose file names it, or names the tree in which it is the directory for
    /// programs; or else one after whose name and version a part of its path is called.
    pub(super) fn that_brought(&self, directory: &Path) -> Option<String> {
        if OF_THE_SYSTEM
            .iter()
            .any(|system| directory == Path::new(system))
        {
            return None;
        }
        let named = |path: &Path| self.naming(path.as_os_str().as_bytes());
        named(directory)
            .or_else(|| self.0.iter().find(|module| module.is_in(directory)))
            .or_else(|| directory.parent().and_then(named))
            .map(Module::name)
    }

    /// The module that sets `variable`.
    pub(super) fn that_sets(&self, variable: &str) -> Option<String> {
        self.naming(variable.as_bytes()).map(Module::name)
    }

    fn naming(&self, name: &[u8]) -> Option<&Module> {
        self.0.iter().find(|module| mentions(&module.file, name))
    }
}

impl Module {
    fn name(&self) -> String {
        text::of(self.name.as_bytes())
    }

    /// Whether the parts of its name, such as `git/2.45`, follow each other in the path of `directory`.
    fn is_in(&self, directory: &Path) -> bool {
        let name: Vec<&OsStr> = Path::new(&self.name).iter().collect();
        let path: Vec<&OsStr> = directory.iter().collect();
        name.len() > 1 && path.windows(name.len()).any(|part| part == name)
    }
}

/// Whether `text` mentions `name`, and not as a part of a longer name or path.
fn mentions(text: &[u8], name: &[u8]) -> bool {
    let goes_on = |byte: &u8| byte.is_ascii_alphanumeric() || b"_-./".contains(byte);
    text.windows(name.len()).enumerate().any(|(at, part)| {
        let before = at.checked_sub(1).and_then(|before| text.get(before));
        let after = text.get(at + name.len());
        part == name && ![before, after].into_iter().flatten().any(goes_on)
    })
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::{Module, Modules};

    #[test]
    fn who_brought_a_directory() {
        let module = |name: &str, file: &str| Module {
            name: name.into(),
            file: file.into(),
        };
        let modules = Modules(vec![
            module("last/3", "setenv X /apps/other/git/2.45/bin/x\n"),
            module(
                "tools",
                "set root /opt/tools\nprepend-path PATH $root/bin\n",
            ),
            module("git/2.45", "#%Module1.0\nset base [file dirname $self]\n"),
            module("first", "prepend_path(\"PATH\", \"/apps/first/sbin\")"),
        ]);
        let brought = |directory: &str| modules.that_brought(Path::new(directory));
        assert_eq!(brought("/apps/first/sbin").as_deref(), Some("first"));
        assert_eq!(brought("/opt/tools/bin").as_deref(), Some("tools"));
        assert_eq!(brought("/apps/git/2.45/bin").as_deref(), Some("git/2.45"));
        assert_eq!(brought("/apps/git/2.4/bin"), None);
        assert_eq!(brought("/usr/bin"), None);
        assert_eq!(modules.that_sets("X").as_deref(), Some("last/3"));
        assert_eq!(modules.that_sets("root").as_deref(), Some("tools"));
        assert_eq!(modules.that_sets("roo"), None);
    }
}
