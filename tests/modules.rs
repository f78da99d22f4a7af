//! The module files that install.sh writes, with the real Lmod and the real Environment Modules.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use nix::libc;

use crate::support::arena::{Arena, REFUSED};
use crate::support::call::Call;
use crate::support::installer::{Site, VERSION, version};
use crate::support::module_tool::ModuleTool;
use crate::support::refusing_fs::{LinkRule, mount};
use crate::support::source;
use crate::support::uv::{UV, UvCase};

const BASH: &[&str] = &["bash", "--norc"];

/// A site with a version of the shim, and a module `git/2.45` of the site's own.
struct Modules {
    site: Site,
    /// The directory that `git/2.45` puts on PATH.
    git: PathBuf,
}

impl Modules {
    fn new() -> Self {
        let site = Site::new();
        site.install(VERSION, &[]);
        let git = site.arena.root().join("git-2.45");
        fs::create_dir(&git).unwrap();
        symlink(site.arena.real_directory().join("git"), git.join("git")).unwrap();
        let modules = site.arena.root().join("modules/git");
        fs::create_dir_all(&modules).unwrap();
        let text = format!("#%Module1.0\nprepend-path PATH {}\n", git.display());
        fs::write(modules.join("2.45"), text).unwrap();
        Self { site, git }
    }

    /// The line by which the site's modules and these are found.
    fn usage(&self) -> String {
        let site = self.site.arena.root().join("modules");
        format!(
            "module use {} {}/modulefiles",
            site.display(),
            self.site.prefix.display()
        )
    }

    /// PATH after each of these lines.
    #[track_caller]
    fn paths(&self, tool: ModuleTool, shell: &[&str], lines: &[&str]) -> Vec<String> {
        let mut all = vec![self.usage()];
        all.extend(lines.iter().map(|&line| line.to_owned()));
        tool.paths(&self.site.arena, shell, &all).split_off(1)
    }

    /// A PATH of these directories and what was there before.
    fn path(&self, directories: &[&Path]) -> String {
        let real = self.site.arena.real_directory();
        let all: Vec<_> = directories
            .iter()
            .copied()
            .chain([real.as_path()])
            .map(Path::to_owned)
            .collect();
        Arena::path(&all).into_string().unwrap()
    }

    /// The directory that the module of this version puts on PATH.
    fn bin(&self, version: &str) -> PathBuf {
        self.site.live(version).join("bin")
    }
}

#[test]
fn load_puts_the_shim_first_and_unload_removes_it() {
    let modules = Modules::new();
    let (bin, git) = (&modules.bin(VERSION), &modules.git);
    let lines = [
        "module load git-clone-shim",
        "module load git/2.45",
        "module unload git-clone-shim",
        "module unload git",
        "module load git",
        "module load git-clone-shim",
        "module purge",
    ];
    for tool in ModuleTool::all() {
        // Environment Modules has nothing by which what was loaded first could stay first.
        let both: [&Path; 2] = match tool {
            ModuleTool::Lmod => [bin, git],
            ModuleTool::EnvironmentModules => [git, bin],
        };
        let expected: [&[&Path]; 7] = [&[bin], &both, &[git], &[], &[git], &[bin, git], &[]];
        let expected = expected.map(|directories| modules.path(directories));
        for shell in ModuleTool::shells() {
            let paths = modules.paths(tool, shell, &lines);
            assert_eq!(paths, expected, "{tool:?} in {shell:?}");
        }
    }
}

#[test]
fn doctor_names_what_comes_before_the_module() {
    let modules = Modules::new();
    let lines = [
        "module load git-clone-shim",
        "module load git/2.45",
        "git-clone-shim doctor",
    ];
    let mut lines = lines.map(str::to_owned).to_vec();
    lines.insert(0, modules.usage());
    for tool in ModuleTool::all() {
        let outcome = tool.run(&modules.site.arena, BASH, &lines);
        let said = String::from_utf8_lossy(&outcome.stdout);
        let named = said.contains("Load the shim's module after git/2.45");
        assert_eq!(named, tool == ModuleTool::EnvironmentModules, "{said}");
    }
}

#[test]
fn switch_replaces_the_loaded_version() {
    let modules = Modules::new();
    let [old, new] = [1, 2].map(version);
    for version in [&old, &new] {
        modules.site.install(version, &["--no-default"]);
    }
    let lines = [
        "module load git-clone-shim".to_owned(),
        format!("module switch git-clone-shim git-clone-shim/{new}"),
        format!("module load git-clone-shim/{old}"),
        "module unload git-clone-shim".to_owned(),
        format!("module load git-clone-shim/{old}"),
    ];
    let lines: Vec<_> = lines.iter().map(String::as_str).collect();
    let load = |version: &str| modules.path(&[&modules.bin(version)]);
    for tool in ModuleTool::all() {
        // Where Lmod switches by itself, Environment Modules wants to be told.
        let second = match tool {
            ModuleTool::Lmod => load(&old),
            ModuleTool::EnvironmentModules => load(&new),
        };
        let expected = [
            load(VERSION),
            load(&new),
            second,
            modules.path(&[]),
            load(&old),
        ];
        for shell in ModuleTool::shells() {
            let paths = modules.paths(tool, shell, &lines);
            assert_eq!(paths, expected, "{tool:?} in {shell:?}");
        }
    }
}

#[test]
fn active_version_is_the_default() {
    let modules = Modules::new();
    // There is a newer one, and a program may stand in an older one of the module's versions.
    for number in [2, 1] {
        let version = version(number);
        modules.site.install(&version, &[]);
        for tool in ModuleTool::all() {
            let paths = modules.paths(tool, BASH, &["module load git-clone-shim"]);
            assert_eq!(paths, [modules.path(&[&modules.bin(&version)])], "{tool:?}");
        }
    }
}

#[test]
fn moved_tree_loads_from_its_new_place() {
    let mut modules = Modules::new();
    let moved = modules.site.arena.root().join("moved");
    fs::rename(&modules.site.prefix, &moved).unwrap();
    modules.site.prefix = moved;
    for tool in ModuleTool::all() {
        let paths = modules.paths(tool, BASH, &["module load git-clone-shim"]);
        assert_eq!(paths, [modules.path(&[&modules.bin(VERSION)])], "{tool:?}");
    }
    modules.site.run("uninstall", [""; 0]).succeeded();
    assert!(!modules.site.root().exists());
}

#[test]
fn module_without_its_tree_is_not_loaded() {
    let modules = Modules::new();
    let gone = modules.site.arena.root().join("gone");
    let [root, gone] = [&modules.site.root(), &gone].map(|path| path.display().to_string());
    let lines = [
        "module load git-clone-shim".to_owned(),
        format!("mv {root} {gone}"),
        "module unload git-clone-shim".to_owned(),
        "module load git-clone-shim".to_owned(),
        format!("mv {gone} {root}"),
    ];
    let mut all = vec![modules.usage()];
    all.extend(lines);
    for tool in ModuleTool::all() {
        let outcome = tool.run(&modules.site.arena, BASH, &all);
        assert!(
            outcome.stderr_contains("git-clone-shim: there is no directory"),
            "{outcome:?}"
        );
        let paths = tool.paths(&modules.site.arena, BASH, &all);
        let (loaded, plain) = (modules.path(&[&modules.bin(VERSION)]), modules.path(&[]));
        assert_eq!(
            paths,
            [&plain, &loaded, &loaded, &plain, &plain, &plain].map(String::as_str)
        );
    }
}

#[test]
fn module_files_in_another_place_find_the_tree() {
    for prefix in ["elsewhere", "a b/it's {\"[$x]\" \\ & |"] {
        let mut site = Site::new();
        let place = site.arena.root().join("site/modules");
        site.prefix = site.arena.root().join(prefix);
        site.install(VERSION, &["--modules", place.to_str().unwrap()]);
        assert!(!site.prefix.join("modulefiles").exists());
        let lines = [
            format!("module use {}", place.display()),
            "module load git-clone-shim".to_owned(),
        ];
        let path = [site.live(VERSION).join("bin"), site.arena.real_directory()];
        let path = Arena::path(&path).into_string().unwrap();
        for tool in ModuleTool::all() {
            assert_eq!(tool.paths(&site.arena, BASH, &lines)[1], path, "{tool:?}");
        }
        let older = version(1);
        site.install(&older, &["--modules", place.to_str().unwrap()]);
        site.run("activate", [VERSION]).succeeded();
        for tool in ModuleTool::all() {
            assert_eq!(tool.paths(&site.arena, BASH, &lines)[1], path, "{tool:?}");
        }
        site.run("uninstall", [""; 0]).succeeded();
        assert!(!site.arena.root().join("site").exists());
    }
}

#[test]
fn sticky_default_survives_a_purge() {
    // As the README has it.
    let modules = Modules::new();
    let site = modules.site.arena.root().join("modules");
    fs::write(
        site.join("StdEnv.lua"),
        "load(\"git-clone-shim\")\nadd_property(\"lmod\", \"sticky\")\n",
    )
    .unwrap();
    let rc = site.join("rc");
    fs::write(&rc, "#%Module1.0\nmodule-tag sticky git-clone-shim\n").unwrap();
    let sticky = format!(
        "export MODULERCFILE={}; module load git-clone-shim",
        rc.display()
    );
    let (loaded, plain) = (modules.path(&[&modules.bin(VERSION)]), modules.path(&[]));
    for tool in ModuleTool::all() {
        let load = match tool {
            ModuleTool::Lmod => "module load StdEnv",
            ModuleTool::EnvironmentModules => &sticky,
        };
        let lines = [load, "module purge", "module --force unload git-clone-shim"];
        assert_eq!(
            modules.paths(tool, BASH, &lines),
            [&loaded, &loaded, &plain].map(String::as_str),
            "{tool:?}"
        );
    }
}

#[test]
fn help_and_whatis_are_shown() {
    let modules = Modules::new();
    for tool in ModuleTool::all() {
        let lines = [
            modules.usage(),
            "module help git-clone-shim".into(),
            "module whatis git-clone-shim".into(),
        ];
        let outcome = tool.run(&modules.site.arena, BASH, &lines).succeeded();
        let said = [outcome.stdout.clone(), outcome.stderr.clone()].concat();
        let said = String::from_utf8_lossy(&said);
        for args in [
            "GIT_CLONE_SHIM=off git clone",
            "git clone --local where the filesystem refuses hard links",
        ] {
            assert!(said.contains(args), "{tool:?}: {said}");
        }
    }
}

#[test]
fn lmod_accepts_the_module_files() {
    let tool = ModuleTool::Lmod;
    if !ModuleTool::all().contains(&tool) {
        return;
    }
    let modules = Modules::new();
    let lines = [
        modules.usage(),
        "module --checkSyntax load git-clone-shim".into(),
    ];
    let outcome = tool.run(&modules.site.arena, BASH, &lines).succeeded();
    assert!(outcome.stderr.is_empty(), "{outcome:?}");
    // Since Lmod 8.5.
    let checker = tool
        .place()
        .as_ref()
        .unwrap()
        .join("libexec/check_module_tree_syntax");
    if checker.exists() {
        let mut command = modules.site.arena.command(&checker);
        command.arg(modules.site.prefix.join("modulefiles"));
        Call::new(command).run().succeeded();
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

#[test]
fn loaded_module_cures_uv() {
    let Some(uv) = UV.program("uv") else {
        return;
    };
    let modules = Modules::new();
    for tool in ModuleTool::all() {
        let case = UvCase::new(&crate::support::gits::gits()[0]);
        let rule = LinkRule::SameDirectoryOnly { errno: libc::EPERM };
        let Some((_directory, filesystem)) = mount(rule) else {
            return;
        };
        let lines = [modules.usage(), "module load git-clone-shim".to_owned()];
        let path = tool.paths(&case.arena, BASH, &lines).remove(1);
        let cache = |name: &str| filesystem.path().join(name);
        case.assert_cured(&uv, path.as_ref(), cache, "Operation not permitted");
    }
}
