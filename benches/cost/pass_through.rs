//! What the shim adds to a call that is no clone, against other programs that could stand before git; and what it adds to a
//! clone that it does not attempt.

use std::path::{Path, PathBuf};

use crate::Options;
use crate::fixture::Fixture;
use crate::pairs::{Contender, Difference, compare};
use crate::report::Report;

/// Measures before git, where this is felt, and before a program that does nothing, where it can be measured.
pub fn run(fixture: &Fixture, options: &Options, report: &mut Report) {
    let real = fixture.real();
    let differences = before(fixture, &real, Vec::new(), options.pairs(300));
    report.differences("Added to `git --version`", &differences);
    report.chart("pass-through.svg", "Added to git --version, lower is better");
    if let Some(nothing) = fixture.compiled("nothing", Path::new("")) {
        let more = before_nothing(fixture, &nothing);
        let differences = before(fixture, &nothing, more, options.pairs(1000));
        report.differences("Added to a program that does nothing", &differences);
    }
}

/// Runs each of the programs, and those in `more`, before the git in the directory `real`.
fn before(fixture: &Fixture, real: &Path, more: Vec<Contender>, pairs: usize) -> Vec<Difference> {
    let file = real.join("git");
    let script = |shell: &str| {
        let text = format!("#!{shell}\nexec {} \"$@\"\n", file.display());
        Some(fixture.script(&shell.replace('/', "-"), &text))
    };
    let firsts: [(&str, Option<PathBuf>); 6] = [
        ("the same git again", Some(real.to_owned())),
        ("C, which only calls execve", fixture.compiled("exec", &file)),
        ("C, which searches PATH", fixture.compiled("walk", &file)),
        ("**git-clone-shim**", Some(fixture.shim())),
        ("`#!/bin/sh`", script("/bin/sh")),
        ("`#!/bin/bash`", script("/bin/bash")),
    ];
    let version = ["--version".as_ref()];
    let contenders = firsts.into_iter().filter_map(|(name, directory)| {
        let command = fixture.git(&[&directory?, real], &version);
        Some(Contender::new(name, command))
    });
    let mut contenders: Vec<_> = contenders.chain(more).collect();
    let baseline = fixture.git(&[real], &version);
    compare(baseline, &mut contenders, pairs, || ())
}

/// Calls of the shim before the program in the directory `nothing` that would not be seen before git.
fn before_nothing(fixture: &Fixture, nothing: &Path) -> Vec<Contender> {
    let entries = (0..30).map(|number| fixture.directory(&format!("entries/{number}")));
    let entries: Vec<PathBuf> = entries.collect();
    let shim = fixture.shim();
    let mut path = vec![shim.as_path()];
    path.extend(entries.iter().map(PathBuf::as_path));
    path.push(nothing);
    let behind = fixture.git(&path, &["--version".as_ref()]);

    let source = fixture.repository(&fixture.directory("planned"), 10);
    let clone = |options: &[&str], destination: &Path| {
        let mut command = fixture.git(&[&shim, nothing], &["clone".as_ref()]);
        command.args(options).arg(&source).arg(destination);
        command
    };
    let name = |what: &str| format!("**git-clone-shim**, {what}");
    let plain = clone(&[], &fixture.directory("planned").join("clone"));
    let mut contenders = vec![
        Contender::new(name("behind 30 entries of PATH"), behind),
        Contender::new(name("`clone` in one mount"), plain),
    ];
    if let Some(far) = fixture.far("planned") {
        let across = clone(&["--local"], &far);
        contenders.push(Contender::new(name("`clone --local` across mounts"), across));
    }
    contenders
}
