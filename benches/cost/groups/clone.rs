//! `git clone --local` where links are possible, and where they are refused. There the baseline is git with `--no-hardlinks`,
//! and uv's own fallback (since 0.5.31) is a failed `clone --local` and then the same.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use nix::libc;

use crate::fixture::Fixture;
use crate::options::Options;
use crate::pairs::{Contender, Difference, compare};
use crate::plot::{Bar, Chart};
use crate::report::Report;
use crate::repository;
use crate::support::fault;
use crate::table::Table;

const AGAIN: &str = "the same git again";
const SHIM: &str = "**git-clone-shim**";
const PLAIN: &str = "**git-clone-shim**, without `--local`";
const ALWAYS: &str = "**git-clone-shim**, `always`";
const UV: &str = "uv's own fallback";

pub(super) fn run(fixture: &Fixture, options: &Options, report: &mut Report) {
    // Clones go to memory if possible: a disk is slower than what is measured, and its speed varies.
    let other_mount = fixture.far("clones");
    let here = fixture.directory("clones");
    let memory = other_mount.as_deref().unwrap_or(&here);
    let beside = Scene {
        fixture,
        source: repository::of_loose_objects(fixture, memory, 10),
        destination: memory.join("clone"),
    };
    // What is measured is a twentieth of a clone, and less than its noise.
    let pairs = options.pairs(1000);

    let mut sections = Vec::new();
    let mut add = |report: &mut Report, heading: &str, differences: &[Difference]| {
        let title = format!("Added to a clone of 10 objects, {heading}:");
        report.table(Table::of_differences(title, differences));
        let bars = differences.iter().skip(1).map(Bar::of).collect();
        sections.push((heading.to_owned(), bars));
    };
    let linking = beside.where_links_are_possible(pairs);
    add(report, "links possible (against clone --local)", &linking);
    let refused = fault::with_links_failing(libc::EPERM, || beside.where_links_are_refused(pairs));
    add(
        report,
        "refused in one mount (against clone --no-hardlinks)",
        &refused,
    );
    if other_mount.is_some() {
        let across = Scene {
            source: repository::of_loose_objects(fixture, &here, 10),
            destination: beside.destination.clone(),
            ..beside
        };
        let refused = across.where_links_are_refused(pairs);
        add(
            report,
            "across mounts (against clone --no-hardlinks)",
            &refused,
        );
        if !options.quick {
            let large = Scene {
                source: repository::of_one_pack(fixture, &here, 200),
                ..across
            };
            report.table(Table::of_differences(
                "Added to a clone of a pack of 200 MB, across mounts (against clone --no-hardlinks):",
                &large.where_links_are_refused(15),
            ));
        }
    }
    report.chart(Chart {
        file: "clone.svg",
        title: "Added to git clone of 10 objects, lower is better",
        sections,
    });
}

/// A repository and the place of its clone.
struct Scene<'a> {
    fixture: &'a Fixture,
    source: PathBuf,
    destination: PathBuf,
}

impl Scene<'_> {
    fn where_links_are_possible(&self, pairs: usize) -> Vec<Difference> {
        let real = self.fixture.real();
        let mut baseline = Contender::new("git", self.clone(&real, &["--local"]));
        let mut contenders = [
            Contender::new(AGAIN, self.clone(&real, &["--local"])),
            Contender::new(SHIM, self.clone(self.fixture.shim(), &["--local"])),
            Contender::new(PLAIN, self.clone(self.fixture.shim(), &[])),
        ];
        self.compare(&mut baseline, &mut contenders, pairs)
    }

    fn where_links_are_refused(&self, pairs: usize) -> Vec<Difference> {
        let real = self.fixture.real();
        let copy = || self.clone(&real, &["--no-hardlinks"]);
        let mut always = self.clone(self.fixture.shim(), &["--local"]);
        always.env("GIT_CLONE_SHIM", "always");
        let uv = Contender::new(UV, self.clone(&real, &["--local"]));
        let mut baseline = Contender::new("git", copy());
        let mut contenders = [
            Contender::new(AGAIN, copy()),
            uv.with_exit_code(128).then(copy()),
            Contender::new(SHIM, self.clone(self.fixture.shim(), &["--local"])),
            Contender::new(ALWAYS, always),
        ];
        self.compare(&mut baseline, &mut contenders, pairs)
    }

    /// A call of the `git` in the directory `first`.
    fn clone(&self, first: &Path, options: &[&str]) -> Command {
        let args = [&["clone", "-n"], options].concat();
        let mut command = self.fixture.git(&[first, &self.fixture.real()], &[]);
        command.args(args).arg(&self.source).arg(&self.destination);
        command
    }

    fn compare(
        &self,
        baseline: &mut Contender,
        contenders: &mut [Contender],
        pairs: usize,
    ) -> Vec<Difference> {
        compare(baseline, contenders, pairs, || {
            let _ = fs::remove_dir_all(&self.destination);
        })
    }
}
