//! Tar headers as columns: GEN 1 and 20 of the delta program.
//!
//! A layer that was built again has the same files with other times. Copying its headers would cost
//! 512 bytes an entry; here each is described by what differs from the header of an entry of the base
//! ([`encoder`]) and computed from that ([`generator`]): the fields that differ, numbers as differences,
//! paths as a beginning and an end that are known and what stands between. The checksum is computed. A
//! header that is none, or an odd one, is carried as it is.
//!
//! The format is docs/delta-format.md, "Tar headers"; `column` has the columns.

mod block;
#[cfg(feature = "encode")]
pub mod encoder;
pub(crate) mod entries;
pub mod generator;
mod group;
mod moves;

use crate::program::{Generator, Generators, ids};
use entries::EntryGenerator;
use generator::HeaderGenerator;

/// The generators that dd-apply has beside the built-in ones: tar headers.
#[derive(Debug, Clone, Copy, Default)]
pub struct TarHeaders;

impl Generators for TarHeaders {
    fn knows(&self, id: u64) -> bool {
        matches!(
            id,
            ids::generator::TAR_HEADER
                | ids::generator::TAR_HEADER_MOVED
                | ids::generator::BASE_ENTRY
        )
    }

    fn open(&self, id: u64) -> Option<Box<dyn Generator>> {
        match id {
            ids::generator::TAR_HEADER => Some(Box::new(HeaderGenerator::default())),
            ids::generator::TAR_HEADER_MOVED => Some(Box::new(HeaderGenerator::with_moves())),
            ids::generator::BASE_ENTRY => Some(Box::new(EntryGenerator::default())),
            _ => None,
        }
    }
}

/// Bytes of an entry's own block, the last of its header.
#[cfg(feature = "encode")]
pub(crate) const LEN: u64 = block::BLOCK as u64;

/// The time in an entry's own block, in seconds since 1970.
#[cfg(feature = "encode")]
pub(crate) fn mtime(block: &[u8]) -> Option<u64> {
    let block = block.first_chunk()?;
    block::wide_number(block::FIELDS[block::MTIME].of(block))
}

/// What the columns of GEN 1 and 20 hold. All integers are varints, signed ones zigzag.
pub(crate) mod column {
    /// Zero bytes before the header: 0 as many as pad the content before, else one more than there are.
    pub const PADDING: u8 = 0;
    /// The header that this one resembles ([`super::reference`]).
    pub const REFERENCE: u8 = 1;
    /// Operands of references.
    pub const PLACE: u8 = 2;
    /// How the header is described ([`super::shape`]).
    pub const SHAPE: u8 = 3;
    /// The kinds (typeflags) of extensions, a byte each.
    pub const EXTENSIONS: u8 = 4;
    /// For each block that is not an extension a bit for each field that differs.
    pub const FIELDS: u8 = 5;
    /// The same for blocks of extensions.
    pub const EXTENSION_FIELDS: u8 = 6;
    /// How the data of extensions is put together: as a text field.
    pub const DATA: u8 = 7;
    /// Bytes of text.
    pub const TEXT: u8 = 8;
    /// Bytes that are carried as they are.
    pub const RAW: u8 = 9;
    /// The value of a field has the column of its place in the list of fields, plus this.
    pub const VALUES: u8 = 16;
}

/// Values of [`column::REFERENCE`].
pub(crate) mod reference {
    /// The last header that was generated.
    pub const LAST: u64 = 0;
    /// The header after the entry of the base that was last referred to.
    pub const NEXT: u64 = 1;
    /// In the same source so many blocks after (signed) that one: one operand.
    pub const NEAR: u64 = 2;
    /// Anywhere: the source's number and the offset in blocks.
    pub const FAR: u64 = 3;
}

/// Values of [`column::SHAPE`].
#[cfg_attr(not(feature = "encode"), allow(dead_code))]
pub(crate) mod shape {
    /// The same extensions as the header that this one resembles.
    #[cfg(feature = "encode")]
    pub const SAME: u64 = 0;
    /// Bytes as they are: a length in this column, the bytes in `RAW`.
    pub const RAW: u64 = 1;
    /// As many extensions as this is above it, their kinds in `EXTENSIONS`.
    pub const LISTED: u64 = 2;
}

/// The first integer of a number's value modulo this tells what it is the difference to.
#[cfg_attr(not(feature = "encode"), allow(dead_code))]
pub(crate) mod number {
    /// The field of the header that this one resembles; what is above is the signed difference.
    pub const TO_MODEL: u64 = 0;
    /// Nothing: the field's bytes are in `RAW`.
    pub const RAW: u64 = 1;
    /// The field of the last header that was generated.
    pub const TO_LAST: u64 = 2;
    /// That of the header that this one resembles, plus the last difference between these two.
    #[cfg(feature = "encode")]
    pub const TO_SHIFTED: u64 = 3;
    /// How many there are.
    pub const FORMS: u64 = 4;
}

#[cfg(all(test, feature = "encode"))]
mod tests;
