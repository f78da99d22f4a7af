//! All that an installation consists of. Everything but the program itself is embedded in it.

use std::os::unix::ffi::OsStrExt;

use anyhow::Result;
use clap_complete::Shell;

use super::places::Places;
use super::program::{self, VERSION};
use crate::NAME;

const MANUAL: &[u8] = include_bytes!("../../../man/git-clone-shim.1");
const README: &[u8] = include_bytes!("../../../README.md");
const LICENSE: &[u8] = include_bytes!("../../../LICENSE");
const MODULE_LUA: &[u8] = include_bytes!("../../../packaging/modulefiles/git-clone-shim.lua");
const MODULE_TCL: &[u8] = include_bytes!("../../../packaging/modulefiles/git-clone-shim.tcl");
const SNIPPET_SH: &[u8] = include_bytes!("../../../packaging/profile.d/git-clone-shim.sh");
const SNIPPET_CSH: &[u8] = include_bytes!("../../../packaging/profile.d/git-clone-shim.csh");

/// The directory that the snippets name as packages install them.
const PACKAGED_BIN: &[u8] = b"/usr/libexec/git-clone-shim/bin";

/// What is at a path of a version's directory.
pub(super) enum Content {
    /// A file that everybody can read.
    File(Vec<u8>),
    /// A file that everybody can run.
    Program(Vec<u8>),
    /// A symbolic link to this name.
    Link(&'static str),
}

/// The files of a version and their paths in its directory; `tool` is how our args are read.
///
/// # Errors
///
/// This program cannot be read.
pub(super) fn version(tool: &clap::Command) -> Result<Vec<(&'static str, Content)>> {
    let file = |bytes: &[u8]| Content::File(bytes.to_owned());
    Ok(vec![
        (
            "bin/git-clone-shim",
            Content::Program(program::own_bytes()?),
        ),
        ("bin/git", Content::Link("git-clone-shim")),
        ("share/doc/git-clone-shim/LICENSE", file(LICENSE)),
        ("share/doc/git-clone-shim/README.md", file(README)),
        ("share/man/man1/git-clone-shim.1", file(MANUAL)),
        (
            "share/bash-completion/completions/git-clone-shim",
            completions(tool, Shell::Bash),
        ),
        (
            "share/zsh/site-functions/_git-clone-shim",
            completions(tool, Shell::Zsh),
        ),
        (
            "share/fish/vendor_completions.d/git-clone-shim.fish",
            completions(tool, Shell::Fish),
        ),
    ])
}

/// What a shell needs to complete our subcommands and options, from the definitions that we read them by.
fn completions(tool: &clap::Command, shell: Shell) -> Content {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut tool.clone(), NAME, &mut script);
    // clap_complete 4.6.11 looks for the subcommands of a name with hyphens under another name than it gives them in bash.
    let script = String::from_utf8_lossy(&script);
    let script = script.replace("git__subcmd__clone__subcmd__shim", "git__clone__shim");
    Content::File(script.into_bytes())
}

/// The module files: their names, and their text. They find the versions from their own place; in any other than the usual
/// one the path of the versions is written into them.
pub(super) fn module_files(places: &Places) -> [(String, Vec<u8>); 2] {
    let root = places.root();
    let root = root.as_os_str().as_bytes();
    let (mut lua, mut tcl) = (MODULE_LUA.to_owned(), MODULE_TCL.to_owned());
    if !places.are_modules_beside_the_root() {
        lua = with_line(&lua, b"local root = ", &lua_string(root));
        tcl = with_line(&tcl, b"set root ", &escaped(root, b"][{}\"$;\\ "));
    }
    [(format!("{VERSION}.lua"), lua), (VERSION.to_owned(), tcl)]
}

/// The snippets for login shells: their names, and their text.
pub(super) fn snippets(places: &Places) -> [(&'static str, Vec<u8>); 2] {
    let bin = places.root().join("current/bin");
    // Both shells take all between single quotes as it is, but for these.
    let bin = replaced(bin.as_os_str().as_bytes(), b"'", b"'\\''");
    let filled = |text| replaced(text, PACKAGED_BIN, &bin);
    [
        ("git-clone-shim.sh", filled(SNIPPET_SH)),
        ("git-clone-shim.csh", filled(SNIPPET_CSH)),
    ]
}

/// The file by which Lmod and Environment Modules know the default version.
pub(super) fn default_module(version: &str) -> Vec<u8> {
    format!("#%Module1.0\nset ModulesVersion \"{version}\"\n").into_bytes()
}

/// The version that such a file names, if it is one that an installation wrote.
pub(super) fn version_in_default_module(text: &[u8]) -> Option<&str> {
    let named = text.strip_prefix(b"#%Module1.0\nset ModulesVersion \"")?;
    let named = named.strip_suffix(b"\"\n")?;
    std::str::from_utf8(named)
        .ok()
        .filter(|name| !name.contains(['"', '\n']))
}

/// A string of Lua's in long brackets that do not occur in it, since in these nothing has to be escaped.
fn lua_string(bytes: &[u8]) -> Vec<u8> {
    let mut level = b"==".to_vec();
    let closing = |level: &[u8]| [b"]", level, b"]"].concat();
    // Nor may its last bytes together with the closing bracket be one.
    let mut all = [bytes, b"]"].concat();
    while position(&all, &closing(&level)).is_some() {
        level.push(b'=');
        all = [bytes, b"]"].concat();
    }
    [b"[", &level[..], b"[", bytes, b"]", &level[..], b"]"].concat()
}

/// The text, in which the line that begins with `start` goes on with `value` instead.
fn with_line(text: &[u8], start: &[u8], value: &[u8]) -> Vec<u8> {
    let lines = text.split_inclusive(|&byte| byte == b'\n');
    let lines = lines.map(|line| match line.starts_with(start) {
        true => [start, value, b"\n"].concat(),
        false => line.to_owned(),
    });
    lines.collect::<Vec<_>>().concat()
}

/// The bytes, with a backslash before each of these.
pub(super) fn escaped(bytes: &[u8], special: &[u8]) -> Vec<u8> {
    let mut escaped = Vec::with_capacity(bytes.len());
    for byte in bytes {
        if special.contains(byte) {
            escaped.push(b'\\');
        }
        escaped.push(*byte);
    }
    escaped
}

/// The bytes, with `new` in the place of every `old`.
pub(super) fn replaced(bytes: &[u8], old: &[u8], new: &[u8]) -> Vec<u8> {
    let mut replaced = Vec::with_capacity(bytes.len());
    let mut rest = bytes;
    while let Some(at) = position(rest, old) {
        let (before, after) = rest.split_at(at);
        replaced.extend([before, new].concat());
        rest = after.get(old.len()..).unwrap_or_default();
    }
    replaced.extend(rest);
    replaced
}

fn position(bytes: &[u8], part: &[u8]) -> Option<usize> {
    bytes.windows(part.len()).position(|window| window == part)
}

#[cfg(test)]
mod tests {
    use super::{lua_string, replaced};

    #[test]
    fn a_string_of_lua_cannot_be_left_early() {
        assert_eq!(lua_string(b"/opt"), b"[==[/opt]==]");
        assert_eq!(lua_string(b"/a]==] b"), b"[===[/a]==] b]===]");
        assert_eq!(lua_string(b"/a]=="), b"[===[/a]==]===]");
    }

    #[test]
    fn every_occurrence_is_replaced() {
        assert_eq!(replaced(b"'a'", b"'", b"'\\''"), b"'\\''a'\\''");
    }
}
