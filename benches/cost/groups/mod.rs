//! What is measured.

mod clone;
mod counts;
mod growth;
mod memory;
mod pass_through;

use crate::fixture::Fixture;
use crate::options::{Group, Options};
use crate::report::Report;

/// Measures one group and adds the results to `report`.
pub fn run(group: Group, fixture: &Fixture, options: &Options, report: &mut Report) {
    match group {
        Group::PassThrough => pass_through::run(fixture, options, report),
        Group::Clone => clone::run(fixture, options, report),
        Group::Memory => memory::run(fixture, options, report),
        Group::Growth => growth::run(fixture, options, report),
        Group::Counts => counts::run(fixture, options, report),
    }
}
