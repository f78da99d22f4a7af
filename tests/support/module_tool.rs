//! Lmod and Environment Modules, as people use them in their shells.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;

use super::arena::Arena;
use super::arrangement;
use super::call::{Call, Outcome};

/// A tool that loads modules.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ModuleTool {
    Lmod,
    EnvironmentModules,
}

use ModuleTool::{EnvironmentModules, Lmod};

/// The shells in which both of them work.
const SHELLS: [&[&str]; 4] = [&["bash", "--norc"], &["zsh", "-f"], &["fish", "--no-config"], &["tcsh", "-f"]];

impl ModuleTool {
    /// Those that this machine has; prints which it has not.
    #[track_caller]
    pub fn all() -> Vec<Self> {
        let mut tools = Vec::new();
        for tool in [Lmod, EnvironmentModules] {
            match tool.place() {
                Ok(_) => tools.push(tool),
                Err(why) => arrangement::missing(&format!("{tool:?}: {why}")),
            }
        }
        tools
    }

    /// The shells that this machine has; prints which it has not.
    #[track_caller]
    pub fn shells() -> Vec<&'static [&'static str]> {
        let mut shells = Vec::new();
        for shell in SHELLS {
            if arrangement::program(shell[0]).is_some() {
                shells.push(shell);
            }
        }
        shells
    }

    /// Runs lines in `shell`, where `module` is this tool's. They have to mean the same in every shell.
    pub fn run(self, arena: &Arena, shell: &[&str], lines: &[String]) -> Outcome {
        self.call(arena, shell, lines).run()
    }

    /// The call of [`ModuleTool::run`].
    pub fn call(self, arena: &Arena, shell: &[&str], lines: &[String]) -> Call {
        let script = arena.root().join("script");
        // In a file, since csh knows an alias from the next line on.
        fs::write(&script, [&[self.start(shell)], lines, &[String::new()]].concat().join("\n")).unwrap();
        let mut command = arena.command(shell[0]);
        command.args(&shell[1..]).arg(&script);
        Call::new(command)
    }

    /// PATH after each of these lines in `shell`.
    #[track_caller]
    pub fn paths(self, arena: &Arena, shell: &[&str], lines: &[String]) -> Vec<String> {
        let shown: Vec<_> = lines.iter().map(|line| format!("{line}\nprintenv PATH")).collect();
        let outcome = self.run(arena, shell, &shown);
        let printed = String::from_utf8(outcome.stdout.clone()).unwrap();
        let paths: Vec<_> = printed.lines().map(str::to_owned).collect();
        assert_eq!(paths.len(), lines.len(), "{self:?} in {shell:?}: {outcome:?}");
        paths
    }

    /// The line that defines `module`.
    fn start(self, shell: &[&str]) -> String {
        // Behind a program that sets the personality.
        let shell = shell.iter().find(|name| **name != "linux32").unwrap();
        let place = self.place().as_ref().unwrap().display();
        match (self, *shell) {
            (Lmod, "bash" | "zsh") => format!(". {place}/init/{shell}"),
            (Lmod, _) => format!("source {place}/init/{shell}"),
            (EnvironmentModules, "fish") => format!("tclsh {place} fish autoinit | source -"),
            (EnvironmentModules, "tcsh") => format!("eval \"`tclsh {place} tcsh autoinit`\""),
            (EnvironmentModules, _) => format!("eval \"$(tclsh {place} {shell} autoinit)\""),
        }
    }

    /// Lmod's directory, or Environment Modules' program: what `LMOD_PKG` or `MODULES_CMD` names, or else Debian's.
    pub fn place(self) -> &'static Result<PathBuf, String> {
        static LMOD: LazyLock<Result<PathBuf, String>> = LazyLock::new(|| {
            let place = named_or("LMOD_PKG", || Ok(unpacked("lmod")?.join("share/lmod/lmod")))?;
            run(Command::new(place.join("libexec/lmod")).args(["bash", "--version"]))?;
            Ok(place)
        });
        static ENVIRONMENT_MODULES: LazyLock<Result<PathBuf, String>> = LazyLock::new(|| {
            let place = named_or("MODULES_CMD", || {
                let library = format!("lib/{}-linux-gnu", env::consts::ARCH);
                let package = unpacked("environment-modules")?;
                Ok(package.join(library).join("modulecmd.tcl"))
            })?;
            run(Command::new("tclsh").arg(&place).args(["bash", "--version"]))?;
            Ok(place)
        });
        match self {
            Lmod => &LMOD,
            EnvironmentModules => &ENVIRONMENT_MODULES,
        }
    }
}

/// What an environment variable names, or else this.
fn named_or(variable: &str, otherwise: impl FnOnce() -> Result<PathBuf, String>) -> Result<PathBuf, String> {
    env::var_os(variable).map_or_else(otherwise, |named| Ok(named.into()))
}

/// The directory `usr` of a package of Debian's, unpacked below target/: these two cannot be installed side by side.
fn unpacked(package: &str) -> Result<PathBuf, String> {
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join(package);
    let usr = directory.join("package/usr");
    if !usr.exists() {
        fs::create_dir_all(&directory).map_err(|error| error.to_string())?;
        // Lmod has its own place written into its files.
        let script = r#"
            rm -rf new
            apt-get download "$1"
            dpkg -x "$1"_*.deb new
            grep -rlI "/usr/share/$1" new | xargs -r sed -i "s|/usr/share/$1|$PWD/package/usr/share/$1|g"
            mv new package
        "#;
        let mut shell = Command::new("sh");
        run(shell.args(["-ec", script, "sh", package]).current_dir(&directory))?;
    }
    Ok(usr)
}

/// Runs a command; what it printed if it failed.
fn run(command: &mut Command) -> Result<(), String> {
    let output = command.output().map_err(|error| error.to_string())?;
    match output.status.success() {
        true => Ok(()),
        false => Err(String::from_utf8_lossy(&output.stderr).into_owned()),
    }
}
