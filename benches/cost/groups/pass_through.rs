//! What everything pays that is no clone: against what else could stand before git, and against the least that is possible.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use crate::fixture::Fixture;
use crate::options::Options;
use crate::pairs::{Contender, compare};
use crate::plot::Bar;
use crate::report::Report;
use crate::support::arrangement;
use crate::table::Table;

pub(super) fn run(fixture: &Fixture, options: &Options, report: &mut Report) {
    let (table, bars) = before(fixture, "git", &fixture.real(), options.pairs(300));
    report.bars = bars;
    report.in_readme(table);
    if let Some(nothing) = fixture.compiled("nothing", "nothing", Path::new("")) {
        report.further(before(fixture, "nothing", &nothing, options.pairs(1000)).0);
    }
    if let Some(table) = before_a_compiler(fixture, options) {
        report.further(table);
    }
}

/// Puts everything there is before the git in the directory `real`.
fn before(fixture: &Fixture, name: &str, real: &Path, pairs: usize) -> (Table, Vec<Bar>) {
    let file = real.join("git");
    let script = |shell: &str| {
        let text = format!("#!{shell}\nexec {} \"$@\"\n", file.display());
        fixture.script(&format!("{}-before-{name}", shell.replace('/', "-")), &text)
    };
    let compiled =
        |source: &str| fixture.compiled(&format!("{source}-before-{name}"), source, &file);
    let firsts: [(&str, Option<PathBuf>); 6] = [
        ("itself once more", Some(real.to_owned())),
        ("C, which only calls execve", compiled("exec")),
        ("C, which walks PATH as well", compiled("walk")),
        ("**git-clone-shim**", Some(fixture.shim().to_owned())),
        ("`#!/bin/sh`", Some(script("/bin/sh"))),
        ("`#!/bin/bash`", Some(script("/bin/bash"))),
    ];
    let version = [OsStr::new("--version")];
    let git = |first: &Path| fixture.git(&[first, real], &version);
    let mut contenders: Vec<Contender> = firsts
        .into_iter()
        .filter_map(|(name, directory)| Some(Contender::new(name, git(&directory?))))
        .collect();
    // As `alias git=hub` runs it: first on PATH as git, it would find itself for ever.
    if let Some(hub) = arrangement::program("hub") {
        let mut command = fixture.program(&hub, &[real]);
        command.args(version);
        contenders.push(Contender::new("Debian's hub", command));
    }
    let mut baseline = Contender::new("directly", git(real));
    let differences = compare(&mut baseline, &mut contenders, pairs, || ());
    let bars = differences.iter().skip(1).map(Bar::of).collect();
    let title = match name {
        "git" => "Before `git --version`:",
        _ => "Before a program that does nothing:",
    };
    (Table::of_differences(title, &differences), bars)
}

/// The other shim that every cluster has: ccache in the place of a compiler.
fn before_a_compiler(fixture: &Fixture, options: &Options) -> Option<Table> {
    let ccache = arrangement::program("ccache")?;
    let compiler = arrangement::program("gcc")?;
    let masked = fixture.directory("ccache").join("gcc");
    if !masked.is_symlink() {
        std::os::unix::fs::symlink(ccache, &masked).unwrap();
    }
    let call = |program: &Path| {
        let mut command = fixture.program(program, &[]);
        command.arg("--version");
        command
    };
    let mut baseline = Contender::new("directly", call(&compiler));
    let mut contenders = [
        Contender::new("itself once more", call(&compiler)),
        Contender::new("ccache", call(&masked)),
    ];
    let differences = compare(&mut baseline, &mut contenders, options.pairs(200), || ());
    Some(Table::of_differences(
        "Before `gcc --version`:",
        &differences,
    ))
}
