//! What README.md and docs/ show is run here, command by command, and compared with what they say; and what they name exists.
//!
//! A block that cannot run here has a comment before it that says where it is run: `<!-- run by: FILE::TEST -->`, or
//! `<!-- run by: .ci/full STEP -->` with words of that script. In the output, `…` stands for any text of a line, and alone on a
//! line for any number of lines.

use regex::Regex;
use std::ffi::OsString;
use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};

use crate::support::arena::Arena;
use crate::support::call::Call;
use crate::support::executable;
use crate::support::gits::gits;
use crate::support::python;
use crate::support::refusing_fs::{LinkRule, RefusingFs};
use crate::support::uv::UV;

fn path(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}

fn text(name: &str) -> String {
    fs::read_to_string(path(name)).unwrap_or_default()
}

/// The names of README.md, of every file of docs/, and of what else is written for people.
fn documents() -> Vec<String> {
    let docs = fs::read_dir(path("docs")).unwrap().map(|entry| entry.unwrap().path());
    let docs = docs.filter(|path| path.extension().is_some_and(|extension| extension == "md"));
    let docs = docs.map(|path| format!("docs/{}", path.file_name().unwrap().display()));
    let others = "README.md CONTRIBUTING.md SECURITY.md benches/README.md man/git-clone-shim.1";
    docs.chain(others.split(' ').map(str::to_owned)).collect()
}

/// Makes what a reader has: a downloaded program, uv with its cache on `/scratch`, and a repository there.
const SETTING: &str = r#"
mkdir -p home/me/Downloads usr/bin opt scratch/project
for to in home/me home/me/Downloads; do install "$PROGRAM" $to/git-clone-shim-x86_64; done
ln -s "$UV" "$GIT" usr/bin
printf '[url "file://%s"]\n\tinsteadOf = https://git.example.org/group/tinypkg\n' "$PACKAGE" >home/me/.gitconfig
printf '[project]\nname = "project"\nversion = "0.1.0"\nrequires-python = ">=3.8"\n' >scratch/project/pyproject.toml
git clone -q --no-hardlinks "$PACKAGE" scratch/demo
"#;

/// What the commands begin with.
const BEGIN: &str = "exec 2>&1
export HOME=$ROOT/home/me UV_CACHE_DIR=$ROOT/scratch/uv UV_PYTHON_DOWNLOADS=never UV_NO_CONFIG=1 UV_NO_PROGRESS=1 UV_LINK_MODE=copy
cd
";

/// What is printed after each command.
const END: &str = "=== end of a command ===\n";

/// Where the commands of a document run: a home directory, `/scratch` with `BeeGFS`'s rule for hard links, and an empty `/opt`,
/// all below one directory, whose name the commands do not see.
struct Stage {
    // First, so that it is unmounted before its directories are removed.
    _scratch: RefusingFs,
    arena: Arena,
    path: OsString,
}

impl Stage {
    /// A stage with the real git on PATH, and before it the shim, if it is installed.
    fn new(installed: bool) -> Option<Self> {
        let arena = Arena::new(&gits()[0]);
        let mountpoint = arena.root().join("scratch");
        fs::create_dir(&mountpoint).unwrap();
        let scratch = RefusingFs::mount(arena.work_dir(), &mountpoint, LinkRule::SameDirectoryOnly)?;
        let mut setting = arena.command("bash");
        setting.args(["-euc", SETTING]).current_dir(arena.root()).env("PROGRAM", executable::shim());
        setting.env("PACKAGE", python::package(&arena)).env("GIT", &gits()[0].file).env("UV", UV.program("uv")?);
        assert!(setting.status().unwrap().success());
        let bin = arena.root().join("usr/bin");
        let mut stage = Self { _scratch: scratch, path: Arena::path(std::slice::from_ref(&bin)), arena };
        if installed {
            let output = stage.run(&["./git-clone-shim-x86_64 install --prefix /opt"]);
            let line = Regex::new(r#"export PATH="/(.*):\$PATH""#).unwrap();
            let [directory] = line.captures(&output[0]).expect(&output[0]).extract().1;
            let directory = directory.replace("$(uname -m)", std::env::consts::ARCH);
            stage.path = Arena::path(&[stage.arena.root().join(directory), bin]);
        }
        Some(stage)
    }

    /// The output of each command, stdout and stderr together, as a reader would see it.
    fn run(&self, commands: &[&str]) -> Vec<String> {
        let root = self.arena.root().to_str().unwrap();
        let paths = Regex::new(r#"(^|[ "'=:])(/(?:scratch|opt|home)(?-u:\b))"#).unwrap();
        let mut script = BEGIN.to_owned();
        for command in commands {
            let command = paths.replace_all(command, format!("${{1}}{root}${{2}}"));
            write!(script, "{command}\nprintf %s '{END}'\n").unwrap();
        }
        let mut bash = self.arena.command("bash");
        bash.args(["--norc", "-c", &script]).env("PATH", &self.path).env("ROOT", root);
        let shown = String::from_utf8_lossy(&Call::new(bash).run().stdout).replace(root, "");
        let mut outputs: Vec<String> = shown.split(END).map(str::to_owned).collect();
        assert_eq!(outputs.pop().as_deref(), Some(""), "{shown}");
        outputs
    }
}

/// Whether `output` is what a document shows.
fn fits(shown: &str, output: &str) -> bool {
    let lines = shown.trim_end().lines().map(|line| match line.trim() {
        "…" => "(?:.*\n)*?".to_owned(),
        _ => line.split('…').map(regex::escape).collect::<Vec<_>>().join(".*") + " *\n",
    });
    Regex::new(&format!(r"\A{}\n*\z", lines.collect::<String>())).unwrap().is_match(output)
}

#[test]
fn documents_show_what_commands_print() {
    let block = Regex::new(r"(?ms)(^<!-- run by: [^\n]*\n)?^```console\n(.*?)^```$").unwrap();
    let mut compared = 0;
    for name in documents() {
        let text = text(&name);
        let blocks = block.captures_iter(&text).filter(|block| block.get(1).is_none());
        let shown: String = blocks.map(|block| block[2].to_owned()).collect();
        let Some(shown) = shown.strip_prefix("$ ") else {
            assert_eq!(shown, "", "{name}");
            continue;
        };
        let commands = shown.split("\n$ ").map(|command| command.split_once('\n').unwrap_or((command, "")));
        let (lines, shown): (Vec<&str>, Vec<&str>) = commands.unzip();
        // The README shows how to install it, all else what comes after that.
        let Some(stage) = Stage::new(name != "README.md") else {
            return;
        };
        for ((line, shown), output) in lines.iter().zip(shown).zip(stage.run(&lines)) {
            assert!(fits(shown, &output), "{name}: $ {line}\nis shown with\n{shown}\nand prints\n{output}");
            compared += 1;
        }
    }
    assert!(compared > 5);
}

#[test]
fn commands_that_are_not_run_here_name_what_runs_them() {
    let block = Regex::new(r"(?m)(?:^<!-- run by: (.*) -->\n)?^```(sh|console)$").unwrap();
    // The other documents show how to develop.
    for name in documents().iter().filter(|name| name.starts_with("docs") || *name == "README.md") {
        for block in block.captures_iter(&text(name)) {
            let exists = match block.get(1).map(|by| by.as_str().split_once(' ')) {
                None => &block[2] == "console",
                Some(Some((script, step))) => text(script).contains(step),
                Some(None) => test_exists(block[1].split_once("::").expect(name)),
            };
            assert!(exists, "{name}: nothing runs {}", &block[0]);
        }
    }
}

fn test_exists((module, test): (&str, &str)) -> bool {
    text(&format!("tests/{module}.rs")).contains(&format!("fn {test}()"))
}

#[test]
fn what_documents_name_exists() {
    let test = Regex::new("`([a-z_]+)::([a-z_]+)`").unwrap();
    let named = Regex::new(r"`((?:src|tests|packaging|benches|docs|fuzz|man|\.ci)/[A-Za-z0-9_./-]+)`").unwrap();
    let link = Regex::new(r"\]\(([^):#\n]+)(?:#[^)\n]*)?\)").unwrap();
    let variable = Regex::new(r"_?GIT_CLONE_SHIM(?:_[A-Z]+)*").unwrap();
    let variables = text("src/settings.rs") + &text("src/git/marker.rs");
    let [mut tests, mut files] = [0, 0];
    for name in documents() {
        let (text, beside) = (text(&name), path(&name).with_file_name(""));
        for [module, test] in test.captures_iter(&text).map(|found| found.extract().1) {
            let exists = test_exists((module, test)) || path(&format!("src/{module}.rs")).exists();
            assert!(exists, "{name} names {module}::{test}");
            tests += 1;
        }
        let links = link.captures_iter(&text).map(|link| beside.join(&link[1]));
        // The releases page is outside the repository, relative to where it is hosted.
        let links = links.filter(|target| !target.to_string_lossy().contains("../../releases"));
        let named = named.captures_iter(&text).map(|named| path(&named[1]));
        for target in named.chain(links) {
            assert!(target.exists(), "{name} names {}", target.display());
            files += 1;
        }
        for variable in variable.find_iter(&text).map(|found| found.as_str()) {
            let is_known = variables.contains(&format!("\"{variable}\""));
            assert!(is_known || variable.starts_with("GIT_CLONE_SHIM_TEST_"), "{name} names {variable}");
        }
    }
    assert!(tests > 5 && files > 10, "{tests} {files}");
}
