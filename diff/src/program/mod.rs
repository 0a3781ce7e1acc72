//! The delta program: how one target layer follows from base layers (docs/delta-format.md).
//!
//! A payload is a head and units of ops. Ops copy, correct, insert and compute bytes; their output goes
//! through encodings into the layer or into kept objects, which later ops read like base layers.

mod coder;
pub mod columns;
mod control;
mod decoder;
mod encodings;
pub mod head;
pub mod hooks;
pub mod ids;
mod input;
mod kept;
pub mod limits;
mod meter;
mod model;
pub mod op;
mod predict;
mod quoted;
mod spares;
mod stream;
mod streams;
#[cfg(all(test, feature = "encode"))]
#[allow(clippy::unwrap_used)]
mod tests;
pub mod varint;
#[cfg(feature = "encode")]
mod writer;

pub use columns::{ColumnWriter, Columns};
pub use decoder::Decoder;
pub use encodings::Encodings;
#[cfg(feature = "encode")]
pub(crate) use encodings::of as encoding_of;
pub use head::{Head, KeptObject};
pub use hooks::{
    Encoder, Encoders, Entry, Generator, Generators, MemorySources, Nothing, Source, SourceBytes,
    Sources, Tools,
};
pub use limits::Limits;
#[cfg(all(test, feature = "encode"))]
pub(crate) use model::WORK_PAGE;
#[cfg(feature = "encode")]
pub(crate) use model::{
    Executable, Interval, LEAD, STRETCH, SYMBOL, index, names,
    params::{Area, Content, NAMES, Params, SYMBOLS, Segment, SymbolTables},
    symbol::{Symbol, Wanted},
    version::{Machine, Version, id as model_id},
    walk::Walk,
};
pub use op::{Computed, Literal, Op};
pub use quoted::{Form, Hash, Hasher};
pub use streams::Range;
/// Coders, for benches and to measure.
#[cfg(feature = "encode")]
pub(crate) mod inner {
    pub(crate) use super::coder::{
        CorrectionReader, CorrectionWriter, Corrections, LiteralReader, Sort, encode_literals,
        measured,
    };
}
#[cfg(feature = "encode")]
pub use writer::{Choice, Coders, Owner, PayloadSummary, PayloadWriter, WriterOptions};
