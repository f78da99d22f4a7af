//! What is measured.

mod counts;
mod fallback;
mod growth;
mod memory;
mod pass_through;
mod supervised;

use crate::fixture::Fixture;
use crate::options::Options;
use crate::report::Report;

/// Measures something and adds what it found to the report.
type Group = fn(&Fixture, &Options, &mut Report);

/// Every group, by the name with which it can be chosen, in the order of the report.
pub const ALL: [(&str, Group); 6] = [
    ("pass-through", pass_through::run),
    ("supervised", supervised::run),
    ("fallback", fallback::run),
    ("memory", memory::run),
    ("growth", growth::run),
    ("counts", counts::run),
];
