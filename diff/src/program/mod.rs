//! The delta program: how one target layer follows from base layers (docs/delta-format.md).
//!
//! A payload is a head and units of ops. Ops copy, correct, insert and compute bytes; their output goes
//! through encodings into the layer or into kept objects, which later ops read like base layers.

pub mod columns;
pub mod hooks;
pub mod ids;
pub mod limits;
pub mod varint;

pub use columns::{ColumnWriter, Columns};
pub use hooks::{
    Encoder, Encoders, Entry, Generator, Generators, MemorySources, Nothing, Source, SourceBytes,
    Sources, Tools,
};
pub use limits::Limits;
