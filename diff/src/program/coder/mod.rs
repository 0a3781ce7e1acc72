//! Coders: how the raw bytes of a stream become coded bytes (docs/delta-format.md, "Coders").

mod frame;
mod sparse;

pub(crate) use frame::FrameReader;
#[cfg(feature = "encode")]
pub(crate) use frame::{encode_frame, window_log};
pub(crate) use sparse::SparsePiece;
#[cfg(feature = "encode")]
pub(crate) use sparse::{SparseBuilder, encode_sparse};

use dd_inspect::failure;
use dd_inspect::failure::Failure;

/// The error for coded bytes that no encoder writes.
pub(crate) fn damaged() -> Failure {
    failure!(PackageCorrupt, "a coded stream of the delta is damaged")
}
