//! The records of the stream: one JSON object a line, flat, told apart by `type`.
//!
//! docs/records.md has an example of each. Sizes and offsets are bytes; ranges are half open. A
//! field that does not apply is left out. Readers accept fields that they do not know, so that
//! records can grow; a stage passes records on as the same bytes and never rewrites one.

mod content;
mod image;
#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod schema;
mod stream;

pub use content::{Blob, Change, ChangeKind, Delta, Entry, EntryKind};
pub use image::{Archive, Compression, Config, Exact, Image, Layer, Manifest, Member, Role};
pub use stream::{End, ErrorRecord, Location, Progress, RecordPath, Stream};

use serde::Serialize;

mod result;
pub use result::{Applied, Check, Package, Rebuilt};

/// The version of the record format, in every `stream` record.
pub const VERSION: u32 = 1;

/// Any record, for writing.
#[derive(Debug, Clone, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(tag = "type", rename_all = "lowercase")]
#[allow(missing_docs, reason = "each variant is documented at its type")]
pub enum Record {
    Stream(Stream),
    End(End),
    Error(ErrorRecord),
    Archive(Archive),
    Member(Member),
    Image(Image),
    Manifest(Manifest),
    Config(Config),
    Layer(Layer),
    Blob(Blob),
    Entry(Entry),
    Change(Change),
    Delta(Delta),
    Package(Package),
    Applied(Applied),
    Check(Check),
    Progress(Progress),
}

macro_rules! from_each {
    ($($name:ident $($type:ident)?),*) => {
        $(impl From<from_each!(@ $name $($type)?)> for Record {
            fn from(record: from_each!(@ $name $($type)?)) -> Self {
                Self::$name(record)
            }
        })*
    };
    (@ $name:ident $type:ident) => { $type };
    (@ $name:ident) => { $name };
}

from_each!(
    Stream, End, Error ErrorRecord, Archive, Member, Image, Manifest, Config, Layer, Blob, Entry,
    Change, Delta, Package, Applied, Check, Progress
);
