//! What README.md and docs/ show is run here, command by command, and compared with what they say.
//!
//! A block of commands that cannot run in a test has a comment before it that says where it is run: `<!-- run by: … -->`.
//! In the output, `…` stands for any text of a line, and alone on a line for any number of lines.

use std::collections::BTreeSet;
use std::fmt::Write;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use nix::libc;
use regex::Regex;

use crate::support::arena::Arena;
use crate::support::args::args;
use crate::support::arrangement;
use crate::support::executable;
use crate::support::gits::gits;
use crate::support::installer::VERSION;
use crate::support::python;
use crate::support::refusing_fs::{LinkRule, RefusingFs};
use crate::support::session_picture;
use crate::support::uv::UV;

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

/// The comment before a block that names what runs it instead of this test.
const RUN_BY: &str = "<!-- run by: ";

/// The comment before the block that docs/session.svg shows.
const PICTURE: &str = "<!-- shown in docs/session.svg -->";

/// Set, it has the picture written anew.
const RENEW: &str = "GIT_CLONE_SHIM_TEST_RENEW_PICTURE";

/// Where the documents' commands run: a home directory, `/scratch` with `BeeGFS`'s rule for hard links, and an empty `/opt`,
/// all below one directory, whose name the commands do not see.
struct Stage {
    // First, so that it is unmounted before its directories are removed.
    _scratch: RefusingFs,
    arena: Arena,
    path: std::ffi::OsString,
}

/// The documents: README.md and every file of docs/.
fn documents() -> Vec<PathBuf> {
    let mut documents: Vec<PathBuf> = fs::read_dir(Path::new(ROOT).join("docs"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "md"))
        .collect();
    documents.sort();
    documents.insert(0, Path::new(ROOT).join("README.md"));
    documents
}

/// A fenced block of a document.
struct Block {
    /// Its file and first line, for messages.
    place: String,
    language: String,
    lines: Vec<String>,
    /// What runs it, if not this test.
    run_by: Option<String>,
    /// Whether docs/session.svg shows it.
    has_picture: bool,
}

fn blocks(document: &Path) -> Vec<Block> {
    let name = document.strip_prefix(ROOT).unwrap().display();
    let text = fs::read_to_string(document).unwrap();
    let mut blocks: Vec<Block> = Vec::new();
    let mut inside = false;
    let mut before = "";
    for (number, line) in text.lines().enumerate() {
        match line.strip_prefix("```") {
            Some(_) if inside => inside = false,
            Some(language) => {
                inside = true;
                let run_by = before
                    .strip_prefix(RUN_BY)
                    .and_then(|by| by.strip_suffix(" -->"));
                blocks.push(Block {
                    place: format!("{name}:{}", number + 1),
                    language: language.to_owned(),
                    lines: Vec::new(),
                    run_by: run_by.map(str::to_owned),
                    has_picture: before == PICTURE,
                });
            }
            None if inside => blocks.last_mut().unwrap().lines.push(line.to_owned()),
            None => {}
        }
        before = line;
    }
    assert!(!inside, "{name} has a block without an end");
    blocks
}

impl Stage {
    /// A stage with the real git on PATH, and before it the shim, if it is installed.
    fn new(installed: bool) -> Option<Self> {
        let arena = Arena::new(&gits()[0]);
        let root = arena.root().to_owned();
        for directory in ["backing", "scratch", "opt", "home/me/Downloads", "usr/bin"] {
            fs::create_dir_all(root.join(directory)).unwrap();
        }
        let rule = LinkRule::SameDirectoryOnly { errno: libc::EPERM };
        let scratch = match RefusingFs::mount(&root.join("backing"), &root.join("scratch"), rule) {
            Ok(scratch) => scratch,
            Err(error) => {
                arrangement::missing(&format!("FUSE filesystem to mount ({error})"));
                return None;
            }
        };
        // What a reader has: a downloaded program, uv with its cache on /scratch, and a repository there.
        for name in [
            "git-clone-shim-x86_64".to_owned(),
            format!("Downloads/git-clone-shim-{VERSION}-x86_64"),
        ] {
            executable::copy(executable::shim(), &root.join("home/me").join(name));
        }
        symlink(UV.program("uv")?, root.join("usr/bin/uv")).unwrap();
        symlink(&gits()[0].file, root.join("usr/bin/git")).unwrap();
        let package = python::package(&arena);
        let config = format!(
            "[gc]\n\tauto = 0\n[maintenance]\n\tauto = false\n[url \"file://{}\"]\n\tinsteadOf = https://git.example.org/group/tinypkg\n",
            package.display()
        );
        fs::write(root.join("home/me/.gitconfig"), config).unwrap();
        fs::create_dir(root.join("scratch/project")).unwrap();
        let project = "[project]\nname = 'project'\nversion = '0.1.0'\nrequires-python = '>=3.8'\n";
        fs::write(root.join("scratch/project/pyproject.toml"), project).unwrap();
        let clone = format!("clone -q --no-hardlinks {} scratch/demo", package.display());
        arena.real(args(&clone)).cwd(&root).run().succeeded();
        let bin = root.join("opt/git-clone-shim/current/bin");
        if installed {
            fs::create_dir_all(&bin).unwrap();
            executable::copy(executable::shim(), &bin.join("git-clone-shim"));
            symlink("git-clone-shim", bin.join("git")).unwrap();
        }
        let directories = installed
            .then_some(bin)
            .into_iter()
            .chain([root.join("usr/bin")]);
        let path = Arena::path(&directories.collect::<Vec<_>>());
        Some(Self {
            _scratch: scratch,
            arena,
            path,
        })
    }

    /// The output of each command, stdout and stderr together, as a reader would see it.
    fn run(&self, commands: &[&str]) -> Vec<String> {
        const END: &str = "=== end of a command ===";
        let root = self.arena.root().to_str().unwrap();
        // The record of a fallback is written by a detached process: wait until no program of this stage runs any more.
        let mut script = format!(
            "exec 2>&1\nsettle() {{ while ls -l /proc/[0-9]*/exe 2>/dev/null | grep -qF ' {root}/'; do :; done; }}\n"
        );
        for command in commands {
            let command = self.on_stage(command);
            let _ = writeln!(script, "{command}\nsettle\necho '{END}'");
        }
        let output = self
            .arena
            .command("bash")
            .args(["--norc", "-c", &script])
            .env("PATH", &self.path)
            .env("UV_CACHE_DIR", format!("{root}/scratch/uv"))
            .env("UV_PYTHON_DOWNLOADS", "never")
            .env("UV_NO_CONFIG", "1")
            .env("UV_NO_PROGRESS", "1")
            .env("UV_LINK_MODE", "copy")
            .env("HOME", format!("{root}/home/me"))
            .current_dir(self.arena.root().join("home/me"))
            .stdin(Stdio::null())
            .output()
            .unwrap();
        let shown = String::from_utf8_lossy(&output.stdout).replace(root, "");
        let end = format!("{END}\n");
        let mut outputs: Vec<String> = shown.split(&end).map(str::to_owned).collect();
        assert_eq!(outputs.pop().as_deref(), Some(""), "{shown}");
        outputs
    }

    /// A command with the paths of this stage.
    fn on_stage(&self, command: &str) -> String {
        let root = self.arena.root().to_str().unwrap();
        let paths = Regex::new(r#"(^|[ "'=:])(/(?:scratch|opt|home)(?-u:\b))"#).unwrap();
        paths
            .replace_all(command, format!("${{1}}{root}${{2}}"))
            .into_owned()
    }
}

/// The commands of a console block, each with the lines that it is to print.
fn commands(block: &Block) -> Vec<(String, Vec<String>)> {
    let mut commands: Vec<(String, Vec<String>)> = Vec::new();
    for line in &block.lines {
        match line.strip_prefix("$ ") {
            Some(command) => commands.push((command.to_owned(), Vec::new())),
            None => commands.last_mut().unwrap().1.push(line.to_owned()),
        }
    }
    commands
}

/// The line of `output` that a document shows as `shown`.
fn printed(shown: &str, output: &str) -> String {
    let one = [shown.to_owned()];
    let mut lines = output.lines();
    let found = lines.find(|line| fits(&one, &format!("{line}\n")));
    if shown == "…" {
        shown
    } else {
        found.unwrap_or(shown)
    }
    .to_owned()
}

/// Whether `output` is what a document shows.
fn fits(shown: &[String], output: &str) -> bool {
    let lines: Vec<String> = shown
        .iter()
        .map(|line| match line.trim() {
            "…" => "(?:.*\n)*?".to_owned(),
            _ => {
                line.split('…')
                    .map(regex::escape)
                    .collect::<Vec<_>>()
                    .join(".*")
                    + r" *\n"
            }
        })
        .collect();
    // An empty line between two commands is for the reader.
    let pattern = format!(r"\A{}\n*\z", lines.concat());
    Regex::new(&pattern).unwrap().is_match(output)
}

#[test]
fn documents_show_what_commands_print() {
    for document in documents() {
        let shown: Vec<Block> = blocks(&document)
            .into_iter()
            .filter(|block| block.language == "console" && block.run_by.is_none())
            .collect();
        if shown.is_empty() {
            continue;
        }
        // The README shows how to install it, all else what comes after that.
        let installed = !document.ends_with("README.md");
        let Some(stage) = Stage::new(installed) else {
            return;
        };
        let commands: Vec<(&str, String, Vec<String>)> = shown
            .iter()
            .flat_map(|block| {
                commands(block)
                    .into_iter()
                    .map(|(command, output)| (block.place.as_str(), command, output))
            })
            .collect();
        let lines: Vec<&str> = commands
            .iter()
            .map(|(_, command, _)| command.as_str())
            .collect();
        let outputs = stage.run(&lines);
        if let Some(block) = shown.iter().find(|block| block.has_picture) {
            let in_block = commands
                .iter()
                .zip(&outputs)
                .filter(|((place, ..), _)| *place == block.place);
            let lines: Vec<String> = in_block
                .flat_map(|((_, command, shown), output)| {
                    let printed = shown.iter().map(|line| printed(line, output));
                    [format!("$ {command}")].into_iter().chain(printed)
                })
                .collect();
            assert_picture(&lines);
        }
        for ((place, command, shown), output) in commands.iter().zip(outputs) {
            let mut shown = shown.clone();
            while shown.last().is_some_and(String::is_empty) {
                shown.pop();
            }
            assert!(
                fits(&shown, &output),
                "{place}: $ {command}\nis shown with\n{}\nand prints\n{output}",
                shown.join("\n")
            );
        }
    }
}

/// Asserts that docs/session.svg shows this session, but for names and times that differ each time.
#[track_caller]
fn assert_picture(lines: &[String]) {
    let file = Path::new(ROOT).join("docs/session.svg");
    let picture = session_picture::render(
        "uv add, on a filesystem that refuses hard links across directories",
        lines,
    );
    if std::env::var_os(RENEW).is_some() {
        fs::write(&file, picture).unwrap();
        return;
    }
    // Hashes and versions differ, and where a row is broken may too.
    let fixed = |picture: &str| {
        let tags = Regex::new("<[^>]*>").unwrap();
        let variable = Regex::new("[0-9a-f]{7,}|/[0-9a-f]{2}/|[0-9]+\\.[0-9]+\\.[0-9]+").unwrap();
        let text = tags.replace_all(picture, "").replace('\n', "");
        variable.replace_all(&text, "").into_owned()
    };
    let committed = fs::read_to_string(&file).unwrap();
    assert_eq!(
        fixed(&committed),
        fixed(&picture),
        "set {RENEW} to renew it"
    );
}

#[test]
fn commands_that_are_not_run_here_name_what_runs_them() {
    let ci = fs::read_to_string(Path::new(ROOT).join(".ci/run")).unwrap();
    for document in documents() {
        for block in blocks(&document) {
            if !matches!(block.language.as_str(), "sh" | "console") {
                continue;
            }
            let Some(by) = block.run_by else {
                assert_eq!(
                    block.language, "console",
                    "{}: nothing runs this",
                    block.place
                );
                continue;
            };
            let exists = match by.split_once("::") {
                Some((file, test)) => {
                    fs::read_to_string(Path::new(ROOT).join(format!("tests/{file}.rs")))
                        .is_ok_and(|text| text.contains(&format!("fn {test}()")))
                }
                None => by
                    .strip_prefix(".ci/run ")
                    .is_some_and(|step| ci.contains(step)),
            };
            assert!(exists, "{}: there is no {by}", block.place);
        }
    }
}

#[test]
fn tests_that_documents_name_exist() {
    let named = Regex::new("`([a-z_]+)::([a-z_]+)`").unwrap();
    let mut checked = 0;
    for document in documents()
        .into_iter()
        .chain([Path::new(ROOT).join("SECURITY.md")])
    {
        let text = fs::read_to_string(&document).unwrap();
        for [file, test] in named.captures_iter(&text).map(|found| found.extract().1) {
            let tests = fs::read_to_string(Path::new(ROOT).join(format!("tests/{file}.rs")))
                .unwrap_or_default();
            let document = document.display();
            assert!(
                tests.contains(&format!("fn {test}()")),
                "{document} names {file}::{test}, and there is no such test"
            );
            checked += 1;
        }
    }
    assert!(checked > 20);
}

#[test]
fn links_lead_to_files_and_headings() {
    let link = Regex::new(r"\]\(([^) \n]+)\)").unwrap();
    let mut checked = 0;
    for document in documents().into_iter().chain(
        [
            "CONTRIBUTING.md",
            "SECURITY.md",
            "CHANGELOG.md",
            "benches/README.md",
        ]
        .map(|name| Path::new(ROOT).join(name)),
    ) {
        let text = fs::read_to_string(&document).unwrap();
        for [target] in link.captures_iter(&text).map(|found| found.extract().1) {
            // The releases page is outside the repository, relative to where it is hosted.
            if target.contains("://") || target.starts_with("../../releases") {
                continue;
            }
            let (file, heading) = target.split_once('#').unwrap_or((target, ""));
            let file = match file {
                "" => document.clone(),
                _ => document.parent().unwrap().join(file),
            };
            assert!(file.exists(), "{}: {target}", document.display());
            if !heading.is_empty() {
                let headings = headings(&fs::read_to_string(&file).unwrap());
                assert!(
                    headings.contains(heading),
                    "{}: {target}: {headings:?}",
                    document.display()
                );
            }
            checked += 1;
        }
    }
    assert!(checked > 10);
}

/// The anchors of a document's headings, as code hosts make them.
fn headings(text: &str) -> BTreeSet<String> {
    let mut inside = false;
    let mut headings = BTreeSet::new();
    for line in text.lines() {
        inside ^= line.starts_with("```");
        let Some(heading) = line.strip_prefix('#').filter(|_| !inside) else {
            continue;
        };
        let heading = heading.trim_start_matches('#').trim().to_lowercase();
        let kept = heading
            .chars()
            .filter(|&c| c.is_alphanumeric() || " -_".contains(c));
        headings.insert(kept.map(|c| if c == ' ' { '-' } else { c }).collect());
    }
    headings
}
