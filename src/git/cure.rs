//! Which failed clone the fallback may cure: one that died of a link failure, at a destination that is free, and which no other
//! user can have provoked.

use tracing::info;

use super::command_line::CloneCommand;
use super::destination::Destination;
use super::filesystem_type::HardLinks;
use super::link_failure::{self, LinkFailure};
use super::source::{self, Repository};
use super::strerror;

/// The link failure in the stderr of a `clone` that died, if the fallback can cure it and may. From then on the destination is
/// claimed for it.
#[must_use]
pub fn find<'a>(
    stderr: &'a [u8],
    clone: &CloneCommand<'_>,
    destination: &Destination<'_>,
) -> Option<LinkFailure<'a>> {
    let failure = link_failure::find(stderr)?;
    info!(kind = failure.message.name, line = %failure.line.escape_ascii(), "a link failure");
    let refused = match destination.object(failure.path) {
        None => "the path in the message is not below the destination",
        Some(object) if !is_trusted(&failure, clone, object) => {
            "other users can exchange objects of the source"
        }
        Some(_) if !destination.claim() => "the destination is not free, or may be another user's",
        Some(_) => return Some(failure),
    };
    info!(reason = refused, "no fallback");
    None
}

/// Whether the filesystem is why a link failed, and not another user who exchanged the object while git linked it: git dies of
/// that on purpose (CVE-2024-32020), and the fallback must not undo it.
fn is_trusted(failure: &LinkFailure<'_>, clone: &CloneCommand<'_>, object: &[u8]) -> bool {
    failure
        .errno
        .is_some_and(strerror::comes_from_the_filesystem)
        || Repository::of(clone).is_some_and(|source| {
            HardLinks::on(&source.objects) == HardLinks::Faulty
                || !source::others_can_exchange(&source.objects, object)
        })
}
