//! A clone that hard-links and succeeds: git is a child of the shim's, and its standard error is relayed.

use std::fs;
use std::path::Path;

use crate::fixture::Fixture;
use crate::options::Options;
use crate::pairs::{Contender, compare};
use crate::report::Report;
use crate::repository;
use crate::table::Table;

pub(super) fn run(fixture: &Fixture, options: &Options, report: &mut Report) {
    let sizes: &[(usize, usize)] = match options.quick {
        true => &[(1, 0)],
        false => &[(1, 200), (1_000, 80), (20_000, 24)],
    };
    let real = fixture.real();
    // In memory, if there is such a filesystem: a disk is slower than all that is measured, and at times.
    let place = fixture
        .far("supervised")
        .unwrap_or_else(|| fixture.directory("supervised"));
    let destination = place.join("clone");
    let differences = sizes.iter().flat_map(|&(objects, pairs)| {
        let source = repository::of_loose_objects(fixture, &place, objects);
        let words = [
            "clone".as_ref(),
            "--local".as_ref(),
            "-n".as_ref(),
            source.as_ref(),
            destination.as_ref(),
        ];
        let git = |first: &Path| fixture.git(&[first, &real], &words);
        let mut baseline = Contender::new("plain", git(&real));
        let plural = if objects == 1 { "" } else { "s" };
        let named = |name: &str| format!("{name}, {objects} object{plural}");
        let mut contenders = [
            Contender::new(named("itself once more"), git(&real)),
            Contender::new(named("**git-clone-shim**"), git(fixture.shim())),
        ];
        compare(&mut baseline, &mut contenders, options.pairs(pairs), || {
            let _ = fs::remove_dir_all(&destination);
        })
    });
    let differences: Vec<_> = differences.collect();
    report.in_readme(Table::of_differences(
        "Before `git clone --local` where links are possible:",
        &differences,
    ));
}
