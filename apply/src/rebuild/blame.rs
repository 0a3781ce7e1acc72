//! When a layer does not verify: is the base damaged, or the package?

use dd_inspect::digest::DiffId;
use dd_inspect::failure;
use dd_inspect::failure::{Category, classify};

use super::is_mismatch;
use crate::base::{Bases, check};

/// Whether the failure may come from wrong content, in contrast to a full disk or a closed pipe.
fn may_be_content(error: &anyhow::Error) -> bool {
    let invalid = error.chain().filter_map(|cause| cause.downcast_ref::<std::io::Error>());
    let invalid = invalid.map(std::io::Error::kind).any(|kind| {
        matches!(kind, std::io::ErrorKind::InvalidData | std::io::ErrorKind::UnexpectedEof)
    });
    let category = classify(error).category;
    invalid
        || is_mismatch(error)
        || matches!(
            category,
            Category::PackageCorrupt | Category::DigestMismatch | Category::Unexpected
        )
}

/// Explains a failure to make `what`, which read these layers: hashes them where that can tell.
pub fn explain(error: anyhow::Error, what: &str, read: &[DiffId], bases: &Bases) -> anyhow::Error {
    if !may_be_content(&error) {
        return error.context(format!("rebuilding {what}"));
    }
    for layer in read.iter().filter_map(|diff_id| bases.content(diff_id)) {
        if let Err(damage) = check(layer) {
            return damage.context(format!("rebuilding {what}"));
        }
    }
    if classify(&error).category == Category::PackageCorrupt {
        return error.context(format!("rebuilding {what}"));
    }
    failure!(PackageCorrupt, "the package does not give {what} ({error:#}), and the base is not damaged";
        "get the package again, or report that dd-pack made a wrong one")
    .into()
}
