//! `git clone --local` where links are possible, and where they are refused. There the baseline is git with `--no-hardlinks`,
//! and uv's own fallback (since 0.5.31) is a failed `clone --local` and then the same.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use nix::libc;

use crate::Options;
use crate::fixture::Fixture;
use crate::pairs::{Contender, Difference, compare};
use crate::report::Report;
use crate::support::fault;

const AGAIN: &str = "the same git again";
const SHIM: &str = "**git-clone-shim**";

/// Measures clones of ten objects, in memory if possible: a disk is slower than what is measured, and its speed varies.
pub fn run(fixture: &Fixture, options: &Options, report: &mut Report) {
    let other_mount = fixture.far("clones");
    let here = fixture.directory("clones");
    let memory = other_mount.as_deref().unwrap_or(&here);
    let beside = Scene { fixture, source: fixture.repository(memory, 10), destination: memory.join("clone") };
    // What is measured is a twentieth of a clone, and less than its noise.
    let pairs = options.pairs(1000);
    let linked = beside.where_links_are_possible(pairs);
    report.differences("Links possible (against clone --local)", &linked);
    let refused = fault::with_links_failing(libc::EPERM, || beside.where_links_are_refused(pairs));
    report.differences("Refused in one mount (against clone --no-hardlinks)", &refused);
    if other_mount.is_some() {
        let across = Scene { source: fixture.repository(&here, 10), ..beside };
        report.differences("Across mounts (against clone --no-hardlinks)", &across.where_links_are_refused(pairs));
    }
    report.chart("clone.svg", "Added to git clone of 10 objects, lower is better");
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
        let shim = self.fixture.shim();
        let mut contenders = [
            Contender::new(AGAIN, self.clone(&real, &["--local"])),
            Contender::new(SHIM, self.clone(&shim, &["--local"])),
            Contender::new(format!("{SHIM}, without `--local`"), self.clone(&shim, &[])),
        ];
        self.compare(self.clone(&real, &["--local"]), &mut contenders, pairs)
    }

    fn where_links_are_refused(&self, pairs: usize) -> Vec<Difference> {
        let real = self.fixture.real();
        let local = |first: &Path| self.clone(first, &["--local"]);
        let copy = || self.clone(&real, &["--no-hardlinks"]);
        let shim = self.fixture.shim();
        let mut always = local(&shim);
        always.env("GIT_CLONE_SHIM", "always");
        let mut contenders = [
            Contender::new(AGAIN, copy()),
            Contender::new("uv's own fallback", local(&real)).fails_before(copy()),
            Contender::new(SHIM, local(&shim)),
            Contender::new(format!("{SHIM}, `always`"), always),
        ];
        self.compare(copy(), &mut contenders, pairs)
    }

    /// A call of the `git` in the directory `first`.
    fn clone(&self, first: &Path, options: &[&str]) -> Command {
        let path = [first, &self.fixture.real()];
        let mut command = self.fixture.git(&path, &["clone".as_ref(), "-n".as_ref()]);
        command.args(options).arg(&self.source).arg(&self.destination);
        command
    }

    fn compare(&self, baseline: Command, contenders: &mut [Contender], pairs: usize) -> Vec<Difference> {
        compare(baseline, contenders, pairs, || {
            let _ = fs::remove_dir_all(&self.destination);
        })
    }
}
