//! The module files that `install` writes, with the real Lmod and the real Environment Modules.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;

use nix::libc;

use crate::support::arena::{Arena, REFUSED};
use crate::support::arrangement;
use crate::support::call::Call;
use crate::support::installer::{MACHINE, Site, VERSION, version};
use crate::support::source;

/// What runs a script, the shell first or last.
type Shell = &'static [&'static str];

const BASH: [Shell; 1] = [&["bash", "--norc"]];

/// The shells in which both tools work.
const SHELLS: [Shell; 4] = [BASH[0], &["zsh", "-f"], &["fish", "--no-config"], &["tcsh", "-f"]];

/// A shell in which `module` is Lmod or Environment Modules.
#[derive(Debug)]
struct Session {
    is_lmod: bool,
    shell: Shell,
    /// The line that defines `module`.
    start: String,
}

/// Prints where a package of Debian's is, unpacked below target/: these two cannot be installed side by side. Lmod has its own
/// place written into its files.
const UNPACK: &str = r#"
    if ! [ -d package ]; then
        rm -rf new
        apt-get download "$1"
        dpkg -x "$1"_*.deb new
        grep -rlI "/usr/share/$1" new | xargs -r sed -i "s|/usr/share/$1|$PWD/package/usr/share/$1|g"
        mv new package
    fi >&2
    package/usr/$2 bash --version >&2
    printf %s "$PWD/package/usr"
"#;

/// The directories `usr` of Lmod and of Environment Modules, or why there is none.
static PACKAGES: LazyLock<[Result<String, String>; 2]> = LazyLock::new(|| {
    let program = format!("lib/{MACHINE}-linux-gnu/modulecmd.tcl");
    [("lmod", "share/lmod/lmod/libexec/lmod"), ("environment-modules", &program)].map(|(package, program)| {
        let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join(package);
        fs::create_dir_all(&directory).map_err(|error| error.to_string())?;
        let mut unpack = Command::new("sh");
        unpack.args(["-ec", UNPACK, "sh", package, program]).current_dir(directory);
        let outcome = Call::new(unpack).run();
        let usr = String::from_utf8_lossy(&outcome.stdout).into_owned();
        if outcome.status.success() { Ok(usr) } else { Err(format!("{package}: {outcome:?}")) }
    })
});

/// Each tool in each of these shells; prints which of them this machine has not.
#[track_caller]
fn sessions(shells: &[Shell]) -> Vec<Session> {
    let mut sessions = Vec::new();
    for (package, is_lmod) in PACKAGES.iter().zip([true, false]) {
        let usr = match package {
            Ok(usr) => usr,
            Err(why) => {
                arrangement::missing(why);
                continue;
            }
        };
        let modulecmd = format!("tclsh {usr}/lib/{MACHINE}-linux-gnu/modulecmd.tcl");
        for &shell in shells.iter().filter(|shell| arrangement::program(shell[0]).is_some()) {
            // Behind a program that sets the personality.
            let name = *shell.iter().find(|name| **name != "linux32").unwrap();
            let start = match (is_lmod, name) {
                (true, "bash" | "zsh") => format!(". {usr}/share/lmod/lmod/init/{name}"),
                (true, _) => format!("source {usr}/share/lmod/lmod/init/{name}"),
                (false, "fish") => format!("{modulecmd} fish autoinit | source -"),
                (false, "tcsh") => format!("eval \"`{modulecmd} tcsh autoinit`\""),
                (false, _) => format!("eval \"$({modulecmd} {name} autoinit)\""),
            };
            sessions.push(Session { is_lmod, shell, start });
        }
    }
    sessions
}

/// A site with a version of the shim, and a module `git/2.45` of the site's own.
struct Modules {
    site: Site,
    /// The directory that `git/2.45` puts on PATH.
    git: PathBuf,
    /// Where the module files of the shim are.
    place: PathBuf,
}

const LOAD: &str = "module load git-clone-shim";
const UNLOAD: &str = "module unload git-clone-shim";

impl Modules {
    fn new() -> Self {
        let site = Site::new();
        site.install(VERSION, &[]).succeeded();
        let git = site.arena.root().join("git-2.45");
        fs::create_dir(&git).unwrap();
        symlink(site.arena.real_directory().join("git"), git.join("git")).unwrap();
        let modules = site.arena.root().join("modules/git");
        fs::create_dir_all(&modules).unwrap();
        fs::write(modules.join("2.45"), format!("#%Module1.0\nprepend-path PATH {}\n", git.display())).unwrap();
        let place = site.prefix.join("modulefiles");
        Self { site, git, place }
    }

    /// Lines that mean the same in every shell, where the site's modules and these are found.
    fn call(&self, session: &Session, lines: &[&str]) -> Call {
        let used = format!("module use {} {}", self.site.arena.root().join("modules").display(), self.place.display());
        let script = self.site.arena.root().join("script");
        // In a file, since csh knows an alias from the next line on.
        fs::write(&script, [&[&*session.start, &used], lines, &[""]].concat().join("\n")).unwrap();
        let mut command = self.site.arena.command(session.shell[0]);
        command.args(&session.shell[1..]).arg(&script);
        Call::new(command)
    }

    /// Asserts what is on PATH, before what was there, after each of these lines.
    #[track_caller]
    fn assert_paths(&self, session: &Session, steps: &[(&str, &[&Path])]) {
        let lines: Vec<_> = steps.iter().flat_map(|(line, _)| [line, "printenv PATH"]).collect();
        let real = self.site.arena.real_directory();
        let path =
            |directories: &[&Path]| [directories, &[&real]].concat().iter().map(|path| (*path).to_owned()).collect();
        let paths =
            steps.iter().map(|(_, directories)| Arena::path(&path(directories) as &Vec<_>).into_string().unwrap());
        let outcome = self.call(session, &lines).run();
        let printed = String::from_utf8(outcome.stdout.clone()).unwrap();
        assert!(printed.lines().eq(paths.clone()), "{session:?}: {steps:?} {outcome:?}");
    }

    /// The directory that the module of this version puts on PATH.
    fn bin(&self, version: &str) -> PathBuf {
        self.site.root().join(version).join(MACHINE).join("bin")
    }
}

#[test]
fn load_puts_the_shim_first_and_unload_removes_it() {
    let modules = Modules::new();
    let (bin, git) = (&*modules.bin(VERSION), &*modules.git);
    for session in sessions(&SHELLS) {
        // Environment Modules has nothing by which what was loaded first could stay first.
        let both = if session.is_lmod { [bin, git] } else { [git, bin] };
        let steps: [(&str, &[&Path]); 7] = [
            (LOAD, &[bin]),
            ("module load git/2.45", &both),
            (UNLOAD, &[git]),
            ("module unload git", &[]),
            ("module load git", &[git]),
            (LOAD, &[bin, git]),
            ("module purge", &[]),
        ];
        modules.assert_paths(&session, &steps);
    }
}

#[test]
fn current_version_is_the_default_and_another_one_can_be_loaded() {
    let modules = Modules::new();
    let [old, new] = [1, 2].map(version);
    modules.site.install(&old, &[]).succeeded();
    modules.site.install(&new, &["--no-default"]).succeeded();
    let switch = format!("module switch git-clone-shim git-clone-shim/{new}");
    let (old, new) = (&*modules.bin(&old), &*modules.bin(&new));
    for session in sessions(&SHELLS) {
        modules.assert_paths(&session, &[(LOAD, &[old]), (&switch, &[new]), (UNLOAD, &[]), (LOAD, &[old])]);
    }
}

#[test]
fn module_finds_its_tree_wherever_that_is_moved_and_does_nothing_where_it_is_not() {
    let mut modules = Modules::new();
    let elsewhere = modules.site.arena.root().join("elsewhere");
    let assert_found = |modules: &Modules| {
        let (there, gone) = (modules.site.root(), modules.site.prefix.join("gone"));
        let (there, gone) = (there.display(), gone.display());
        let [away, back] = [format!("mv {there} {gone}"), format!("mv {gone} {there}")];
        let bin = &*modules.bin(VERSION);
        for session in sessions(&BASH) {
            let gone: [(&str, &[&Path]); 4] = [(&away, &[bin]), (UNLOAD, &[]), (LOAD, &[]), (UNLOAD, &[])];
            modules.assert_paths(&session, &[&[(LOAD, &[bin][..])][..], &gone, &[(&back, &[])]].concat());
        }
    };
    assert_found(&modules);
    fs::rename(&modules.site.prefix, &elsewhere).unwrap();
    modules.site.prefix.clone_from(&elsewhere);
    modules.place = elsewhere.join("modulefiles");
    assert_found(&modules);

    modules.site.uninstall(&[]).succeeded();
    modules.place = modules.site.arena.root().join("site/modulefiles");
    let place = modules.place.to_str().unwrap().to_owned();
    modules.site.install(VERSION, &["--modules", &place]).succeeded();
    assert!(!elsewhere.join("modulefiles").exists());
    assert_found(&modules);
    modules.site.uninstall(&["--modules", &place]).succeeded();
    assert!(!modules.place.join("git-clone-shim").exists());
}

#[test]
fn module_does_nothing_on_another_processor() {
    let modules = Modules::new();
    for session in sessions(&BASH) {
        modules.assert_paths(&session, &[(LOAD, &[&modules.bin(VERSION)])]);
    }
    for session in sessions(&[&["linux32", "bash", "--norc"]]) {
        modules.assert_paths(&session, &[(LOAD, &[])]);
    }
}

#[test]
fn sticky_default_survives_a_purge() {
    // As docs/site.md has it.
    let modules = Modules::new();
    let site = modules.site.arena.root().join("modules");
    let default = "try_load(\"git-clone-shim\")\nadd_property(\"lmod\", \"sticky\")\n";
    fs::write(site.join("StdEnv.lua"), default).unwrap();
    let rc = site.join("rc");
    fs::write(&rc, "#%Module1.0\nmodule-tag sticky git-clone-shim\n").unwrap();
    let sticky = format!("export MODULERCFILE={}; {LOAD}", rc.display());
    let bin = &*modules.bin(VERSION);
    for session in sessions(&BASH) {
        let load = if session.is_lmod { "module load StdEnv" } else { &sticky };
        let unload = "module --force unload git-clone-shim";
        modules.assert_paths(&session, &[(load, &[bin]), ("module purge", &[bin]), (unload, &[])]);
    }
}

#[test]
fn help_and_whatis_are_shown_and_lmod_finds_no_fault() {
    let modules = Modules::new();
    // Since Lmod 8.5.
    let check = format!("$LMOD_PKG/libexec/check_module_tree_syntax {}", modules.place.display());
    for session in sessions(&BASH) {
        let shown = ["set -e", "module help git-clone-shim", "module whatis git-clone-shim"];
        let checked = ["module --checkSyntax load git-clone-shim", &check];
        let lines = [&shown[..], if session.is_lmod { &checked } else { &[] }].concat();
        let outcome = modules.call(&session, &lines).run().succeeded();
        let said = String::from_utf8([&outcome.stdout[..], &outcome.stderr].concat()).unwrap();
        for words in ["GIT_CLONE_SHIM=off git clone", "git clone --local where the filesystem refuses"] {
            assert!(said.contains(words), "{session:?}: {said}");
        }
    }
}

#[test]
fn loaded_module_cures_a_clone() {
    let modules = Modules::new();
    source::small(&modules.site.arena, "src");
    for (number, session) in sessions(&SHELLS).iter().enumerate() {
        let clone = format!("git clone -q -l ../src {number}");
        for (load, works) in [("true", false), (LOAD, true)] {
            let outcome = modules.call(session, &[load, &clone]).links_fail(Some(libc::EPERM)).run();
            assert!(outcome.status.success() == works && outcome.died_of(REFUSED) != works, "{session:?}: {outcome:?}");
        }
    }
}
