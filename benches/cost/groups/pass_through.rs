//! What the shim adds to a call that is no clone: against other programs that could stand before git, and against the least
//! that is possible.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use crate::fixture::Fixture;
use crate::options::Options;
use crate::pairs::{Contender, Difference, compare};
use crate::plot::{Bar, Chart};
use crate::report::Report;
use crate::repository;
use crate::support::arrangement;
use crate::table::Table;

pub(super) fn run(fixture: &Fixture, options: &Options, report: &mut Report) {
    let pairs = options.pairs(300);
    let differences = before(fixture, "git", &fixture.real(), Vec::new(), pairs);
    let bars = differences.iter().skip(1).map(Bar::of).collect();
    report.chart(Chart {
        file: "pass-through.svg",
        title: "Added to git --version, lower is better",
        sections: vec![(String::new(), bars)],
    });
    let title = "Added to `git --version`:";
    report.table(Table::of_differences(title, &differences));
    if let Some(nothing) = fixture.compiled("nothing", "nothing", Path::new("")) {
        let clones = clones(fixture, &nothing);
        let differences = before(fixture, "nothing", &nothing, clones, options.pairs(1000));
        let title = "Added to a program that does nothing:";
        report.table(Table::of_differences(title, &differences));
    }
    if let Some(differences) = before_a_compiler(fixture, options) {
        let title = "Added to `gcc --version`:";
        report.table(Table::of_differences(title, &differences));
    }
}

/// Calls of the shim that clone without an attempt, before the git in the directory `real`: what is decided for them beforehand
/// is too little to be measured in a whole clone.
fn clones(fixture: &Fixture, real: &Path) -> Vec<Contender> {
    let place = fixture.directory("planned");
    let source = repository::of_loose_objects(fixture, &place, 10);
    let clone = |options: &[&str], destination: &Path| {
        let mut command = fixture.git(&[fixture.shim(), real], &[]);
        command.arg("clone").args(options);
        command.arg(&source).arg(destination);
        command
    };
    let plain = clone(&[], &place.join("clone"));
    let mut contenders = vec![Contender::new(
        "**git-clone-shim**, `clone` in one mount",
        plain,
    )];
    if let Some(far) = fixture.far("planned") {
        let across = clone(&["--local"], &far);
        contenders.push(Contender::new(
            "**git-clone-shim**, `clone --local` across mounts",
            across,
        ));
    }
    contenders
}

/// Runs each of the programs, and those in `more`, before the git in the directory `real`.
fn before(
    fixture: &Fixture,
    name: &str,
    real: &Path,
    more: Vec<Contender>,
    pairs: usize,
) -> Vec<Difference> {
    let file = real.join("git");
    let script = |shell: &str| {
        let text = format!("#!{shell}\nexec {} \"$@\"\n", file.display());
        fixture.script(&format!("{}-before-{name}", shell.replace('/', "-")), &text)
    };
    let compiled =
        |source: &str| fixture.compiled(&format!("{source}-before-{name}"), source, &file);
    let firsts: [(&str, Option<PathBuf>); 6] = [
        ("the same git again", Some(real.to_owned())),
        ("C, which only calls execve", compiled("exec")),
        ("C, which searches PATH", compiled("walk")),
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
    // Behind the shim, and before the two shells.
    let shells = contenders.len() - 2;
    contenders.splice(shells..shells, more);
    // By its own name, as `alias git=hub` runs it: called git and first on PATH, it would exec itself without end.
    if let Some(hub) = arrangement::program("hub") {
        let mut command = fixture.program(&hub, &[real]);
        command.args(version);
        contenders.push(Contender::new("Debian's hub", command));
    }
    let mut baseline = Contender::new("git", git(real));
    compare(&mut baseline, &mut contenders, pairs, || ())
}

/// The shim that most clusters have already: ccache in the place of a compiler.
fn before_a_compiler(fixture: &Fixture, options: &Options) -> Option<Vec<Difference>> {
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
    let mut baseline = Contender::new("gcc", call(&compiler));
    let mut contenders = [
        Contender::new("the same gcc again", call(&compiler)),
        Contender::new("ccache", call(&masked)),
    ];
    let pairs = options.pairs(200);
    Some(compare(&mut baseline, &mut contenders, pairs, || ()))
}
