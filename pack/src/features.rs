//! What a delta program asks of its reader.

use dd_inspect::record::Location;

/// The features that a reader of this program must have.
///
/// # Errors
/// It cannot be read.
pub fn of_program(_location: &Location) -> anyhow::Result<Vec<String>> {
    Ok(vec!["program-1".to_owned()])
}
