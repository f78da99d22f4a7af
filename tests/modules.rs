//! The module files that `install` writes, with the real Lmod and the real Environment Modules.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use nix::libc;

use crate::support::arena::{Arena, REFUSED};
use crate::support::arrangement;
use crate::support::installer::{MACHINE, Site, VERSION, version};
use crate::support::module_tool::ModuleTool;
use crate::support::source;

const BASH: &[&str] = &["bash", "--norc"];

/// A site with a version of the shim, and a module `git/2.45` of the site's own.
struct Modules {
    site: Site,
    /// The directory that `git/2.45` puts on PATH.
    git: PathBuf,
    /// Where the module files of the shim are.
    place: PathBuf,
}

impl Modules {
    fn new() -> Self {
        let site = Site::new();
        site.install(VERSION, &[]).succeeded();
        let git = site.arena.root().join("git-2.45");
        fs::create_dir(&git).unwrap();
        symlink(site.arena.real_directory().join("git"), git.join("git")).unwrap();
        let modules = site.arena.root().join("modules/git");
        fs::create_dir_all(&modules).unwrap();
        let text = format!("#%Module1.0\nprepend-path PATH {}\n", git.display());
        fs::write(modules.join("2.45"), text).unwrap();
        let place = site.prefix.join("modulefiles");
        Self { site, git, place }
    }

    /// The line by which the site's modules and these are found.
    fn usage(&self) -> String {
        let site = self.site.arena.root().join("modules");
        format!("module use {} {}", site.display(), self.place.display())
    }

    /// Asserts what is on PATH, before what was there, after each of these lines.
    #[track_caller]
    fn assert_paths(&self, tool: ModuleTool, shell: &[&str], steps: &[(&str, &[&Path])]) {
        let mut lines = vec![self.usage()];
        lines.extend(steps.iter().map(|(line, _)| (*line).to_owned()));
        let real = self.site.arena.real_directory();
        let path = |directories: &[&Path]| {
            let all = directories.iter().copied().chain([real.as_path()]);
            Arena::path(&all.map(Path::to_owned).collect::<Vec<_>>()).into_string().unwrap()
        };
        let expected: Vec<_> = steps.iter().map(|(_, directories)| path(directories)).collect();
        let paths = tool.paths(&self.site.arena, shell, &lines).split_off(1);
        assert_eq!(paths, expected, "{tool:?} in {shell:?}: {lines:?}");
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
    for tool in ModuleTool::all() {
        // Environment Modules has nothing by which what was loaded first could stay first.
        let both = match tool {
            ModuleTool::Lmod => [bin, git],
            ModuleTool::EnvironmentModules => [git, bin],
        };
        for shell in ModuleTool::shells() {
            modules.assert_paths(
                tool,
                shell,
                &[
                    ("module load git-clone-shim", &[bin]),
                    ("module load git/2.45", &both),
                    ("module unload git-clone-shim", &[git]),
                    ("module unload git", &[]),
                    ("module load git", &[git]),
                    ("module load git-clone-shim", &[bin, git]),
                    ("module purge", &[]),
                ],
            );
        }
    }
}

#[test]
fn current_version_is_the_default_and_another_one_can_be_loaded() {
    let modules = Modules::new();
    let [old, new] = [1, 2].map(version);
    modules.site.install(&old, &[]).succeeded();
    modules.site.install(&new, &["--no-default"]).succeeded();
    let (switch, unload) =
        (format!("module switch git-clone-shim git-clone-shim/{new}"), "module unload git-clone-shim");
    let (old, new) = (&*modules.bin(&old), &*modules.bin(&new));
    for tool in ModuleTool::all() {
        for shell in ModuleTool::shells() {
            let load = "module load git-clone-shim";
            modules.assert_paths(tool, shell, &[(load, &[old]), (&switch, &[new]), (unload, &[]), (load, &[old])]);
        }
    }
}

#[test]
fn module_finds_its_tree_wherever_that_is_moved_and_does_nothing_where_it_is_not() {
    let mut modules = Modules::new();
    let elsewhere = modules.site.arena.root().join("elsewhere");
    let load = "module load git-clone-shim";
    let steps = |modules: &Modules, expected: &[&Path]| {
        for tool in ModuleTool::all() {
            let (there, gone) = (modules.site.root(), modules.site.prefix.join("gone"));
            let away = format!("mv {} {}", there.display(), gone.display());
            let back = format!("mv {} {}", gone.display(), there.display());
            let unload = "module unload git-clone-shim";
            let while_gone = [(&*away, expected), (unload, &[]), (load, &[]), (unload, &[]), (&*back, &[])];
            modules.assert_paths(tool, BASH, &[&[(load, expected)][..], &while_gone].concat());
        }
    };
    steps(&modules, &[&modules.bin(VERSION)]);
    fs::rename(&modules.site.prefix, &elsewhere).unwrap();
    modules.site.prefix.clone_from(&elsewhere);
    modules.place = elsewhere.join("modulefiles");
    steps(&modules, &[&modules.bin(VERSION)]);

    modules.site.uninstall(&[]).succeeded();
    modules.place = modules.site.arena.root().join("site/modulefiles");
    let place = modules.place.to_str().unwrap().to_owned();
    modules.site.install(VERSION, &["--modules", &place]).succeeded();
    assert!(!elsewhere.join("modulefiles").exists());
    steps(&modules, &[&modules.bin(VERSION)]);
    modules.site.uninstall(&["--modules", &place]).succeeded();
    assert!(!modules.place.join("git-clone-shim").exists());
}

#[test]
fn module_does_nothing_on_another_processor() {
    if arrangement::program("linux32").is_none() {
        return;
    }
    let modules = Modules::new();
    let load = [modules.usage(), "module load git-clone-shim".to_owned()];
    for tool in ModuleTool::all() {
        let there = tool.paths(&modules.site.arena, BASH, &load);
        assert_ne!(there[0], there[1]);
        let paths = tool.paths(&modules.site.arena, &["linux32", "bash", "--norc"], &load);
        assert_eq!(paths[0], paths[1], "{tool:?}");
    }
}

#[test]
fn sticky_default_survives_a_purge() {
    // As docs/site.md has it.
    let modules = Modules::new();
    let site = modules.site.arena.root().join("modules");
    let default = "load(\"git-clone-shim\")\nadd_property(\"lmod\", \"sticky\")\n";
    fs::write(site.join("StdEnv.lua"), default).unwrap();
    let rc = site.join("rc");
    fs::write(&rc, "#%Module1.0\nmodule-tag sticky git-clone-shim\n").unwrap();
    let sticky = format!("export MODULERCFILE={}; module load git-clone-shim", rc.display());
    let bin = &*modules.bin(VERSION);
    for tool in ModuleTool::all() {
        let load = match tool {
            ModuleTool::Lmod => "module load StdEnv",
            ModuleTool::EnvironmentModules => &sticky,
        };
        let unload = "module --force unload git-clone-shim";
        modules.assert_paths(tool, BASH, &[(load, &[bin]), ("module purge", &[bin]), (unload, &[])]);
    }
}

#[test]
fn help_and_whatis_are_shown_and_lmod_finds_no_fault() {
    let modules = Modules::new();
    for tool in ModuleTool::all() {
        let mut lines =
            vec![modules.usage(), "module help git-clone-shim".into(), "module whatis git-clone-shim".into()];
        if tool == ModuleTool::Lmod {
            lines.push("module --checkSyntax load git-clone-shim".into());
            // Since Lmod 8.5.
            let checker = tool.place().as_ref().unwrap().join("libexec/check_module_tree_syntax");
            lines.push(format!("{} {}", checker.display(), modules.place.display()));
        }
        let outcome = tool.run(&modules.site.arena, BASH, &lines).succeeded();
        let said = [outcome.stdout.clone(), outcome.stderr.clone()].concat();
        let said = String::from_utf8_lossy(&said);
        for words in ["GIT_CLONE_SHIM=off git clone", "git clone --local where the filesystem refuses"] {
            assert!(said.contains(words), "{tool:?}: {said}");
        }
    }
}

#[test]
fn loaded_module_cures_a_clone() {
    let modules = Modules::new();
    let arena = &modules.site.arena;
    source::small(arena, "src");
    for tool in ModuleTool::all() {
        for shell in ModuleTool::shells() {
            for (load, works) in [("true", false), ("module load git-clone-shim", true)] {
                let clone = format!("git clone -q -l ../src {tool:?}-{}", shell[0]);
                let lines = [modules.usage(), load.to_owned(), clone];
                let call = tool.call(arena, shell, &lines);
                let outcome = call.links_fail(Some(libc::EPERM)).run();
                assert_eq!(outcome.status.success(), works, "{outcome:?}");
                assert_eq!(outcome.died_of(REFUSED), !works, "{outcome:?}");
            }
        }
    }
}
