//! Coders: how the raw bytes of a stream become coded bytes (docs/delta-format.md, "Coders").

mod binary;
mod bytes;
mod corrections;
mod frame;
mod instruction;
mod layers;
mod literals;
mod lzma;
mod mixed;
mod mixing;
mod outcomes;
mod refinement;
mod sparse;
mod squash;

pub(crate) use frame::FrameReader;
#[cfg(feature = "encode")]
pub(crate) use frame::{encode_frame, window_log};
pub(crate) use literals::{Sort, Stand};
pub(crate) use lzma::{CONTEXT as LZMA_CONTEXT, LzmaReader};
#[cfg(feature = "encode")]
pub(crate) use lzma::{Effort, Shape, encode_lzma};
pub(crate) use mixed::{
    BYTES_MEMORY, ByteReader, CORRECTIONS_MEMORY, CorrectionReader, Corrections, IN_LAYERS_MEMORY,
    LiteralReader, literals_memory,
};
#[cfg(feature = "encode")]
pub(crate) use mixed::{CorrectionWriter, encode_bytes, encode_literals, measured};
pub(crate) use sparse::SparsePiece;
#[cfg(feature = "encode")]
pub(crate) use sparse::{SparseBuilder, encode_sparse};

use dd_inspect::failure;
use dd_inspect::failure::Failure;

/// A table of so many values, in the memory of one that was given up if that is large enough.
pub(crate) fn table<T: Clone>(mut given_up: Vec<T>, len: usize, value: T) -> Vec<T> {
    if given_up.capacity() < len {
        drop(given_up);
        return vec![value; len];
    }
    given_up.clear();
    given_up.shrink_to(len);
    given_up.resize(len, value);
    given_up
}

/// The error for coded bytes that no encoder writes.
pub(crate) fn damaged() -> Failure {
    failure!(PackageCorrupt, "a coded stream of the delta is damaged")
}
