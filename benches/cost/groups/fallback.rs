//! A clone whose links are refused: against git told to copy, and against what uv does by itself since 0.5.31.

use std::fs;
use std::path::Path;

use crate::fixture::Fixture;
use crate::options::Options;
use crate::pairs::{Contender, compare};
use crate::report::Report;
use crate::repository;
use crate::table::Table;

pub(super) fn run(fixture: &Fixture, options: &Options, report: &mut Report) {
    let Some(destination) = fixture.far("clone") else {
        return;
    };
    let small = repository::of_loose_objects(fixture, &fixture.directory("near"), 10);
    let title = "Before `git clone --no-hardlinks` of 10 objects, where links are refused:";
    let pairs = options.pairs(100);
    report.in_readme(cure(fixture, title, &small, &destination, pairs));
    if !options.quick {
        let large = repository::of_one_pack(fixture, &fixture.directory("near"), 200);
        let title =
            "Before `git clone --no-hardlinks` of a pack of 200 MB, where links are refused:";
        report.further(cure(fixture, title, &large, &destination, 15));
    }
}

fn cure(fixture: &Fixture, title: &str, source: &Path, destination: &Path, pairs: usize) -> Table {
    let real = fixture.real();
    let git = |first: &Path, option: &str| {
        let words = [
            "clone".as_ref(),
            option.as_ref(),
            "-n".as_ref(),
            source.as_ref(),
            destination.as_ref(),
        ];
        fixture.git(&[first, &real], &words)
    };
    let copying = || git(&real, "--no-hardlinks");
    let mut always = git(fixture.shim(), "--local");
    always.env("GIT_CLONE_SHIM", "always");
    let failing = Contender::new(
        "a failed `clone --local`, as uv does first",
        git(&real, "--local"),
    )
    .ending_with(128);
    let mut baseline = Contender::new("told to copy", copying());
    let mut contenders = [
        Contender::new("itself once more", copying()),
        failing.then(copying()),
        Contender::new("**git-clone-shim**", git(fixture.shim(), "--local")),
        Contender::new("with `GIT_CLONE_SHIM=always`", always),
    ];
    let differences = compare(&mut baseline, &mut contenders, pairs, || {
        let _ = fs::remove_dir_all(destination);
    });
    Table::of_differences(title, &differences)
}
