//! The framing of zip archives as columns: GEN 3 of the delta program.
//!
//! A wheel that was built again has the same members under other times, in another order. Its local headers and its
//! directory would cost what they hold anew: offsets, times, names at other places. Here each member is described
//! once, by what differs from a record of the base's directory (`encoder`); its local header, the copy of its data, its own
//! record and the end of the archive follow from that (`generator`).
//!
//! The format is docs/delta-format.md, "Zip archives"; `column` has the columns. What is an archive is APPNOTE.TXT 6.3.10.

mod archive;
pub(crate) mod base;
#[cfg(feature = "encode")]
pub(crate) mod encoder;
mod generator;
#[cfg(feature = "encode")]
pub(crate) mod plan;
mod record;
#[cfg(all(test, feature = "encode"))]
pub(crate) mod tests;
mod walk;

use dd_inspect::failure;
use dd_inspect::failure::Failure;

use crate::program::{Generator, Generators, ids};
use generator::ZipGenerator;
#[cfg(feature = "encode")]
pub(crate) use record::Record;

/// Bytes of a directory at most, of the base and of the target.
const DIRECTORY_LEN: usize = 1 << 21;
/// Members of an archive at most.
const MEMBERS: usize = 1 << 15;
/// Bytes of a directory that one GEN gives.
const PIECE_LEN: usize = 1 << 19;

/// The generator of the framing of zip archives.
#[derive(Debug, Clone, Copy, Default)]
pub struct Zips;

impl Generators for Zips {
    fn knows(&self, id: u64) -> bool {
        id == ids::generator::ZIP
    }

    fn open(&self, id: u64) -> Option<Box<dyn Generator>> {
        self.knows(id).then(|| Box::new(ZipGenerator::default()) as _)
    }
}

/// What the columns of GEN 3 hold. All integers are varints, signed ones zigzag.
mod column {
    /// What the piece is ([`super::piece`]).
    pub const PIECE: u8 = 112;
    /// Where the base's archive is, and what else an archive begins with.
    pub const PLACE: u8 = 113;
    /// How a member's base is found ([`super::pick`]).
    pub const PICK: u8 = 114;
    /// Places and distances in the base's directory.
    pub const ANY: u8 = 115;
    /// A bit for each thing that differs ([`super::differs`]).
    pub const DIFFERS: u8 = 116;
    /// Signed differences of compressed lengths.
    pub const CODED: u8 = 117;
    /// Signed differences of lengths.
    pub const PLAIN: u8 = 118;
    /// How names are put together.
    pub const NAMES: u8 = 119;
    /// Bytes of names.
    pub const TEXT: u8 = 120;
    /// Other bytes.
    pub const RAW: u8 = 121;
    /// How many of these there are.
    pub const LENGTHS: u8 = 122;
    /// The number of a member among those that may come next has the column of the bits that their numbers take, plus this.
    pub const RANK: u8 = 128;
}

/// Values of [`column::PIECE`].
mod piece {
    /// A member's local header, before it the data descriptor of the one before.
    pub const MEMBER: u64 = 0;
    /// No bytes: an archive begins.
    pub const BEGIN: u64 = 1;
    /// The next bytes of the directory; with the last ones the end of the archive.
    pub const DIRECTORY: u64 = 2;
}

/// Values of [`column::PICK`].
mod pick {
    /// The next member in the order of the archive.
    pub const NEXT: u64 = 0;
    /// None.
    pub const NONE: u64 = 1;
    /// Any member of the base.
    pub const ANY: u64 = 2;
    /// As `NEXT`, after directories were left: this for one, one more for each further one.
    pub const LEAVE: u64 = 3;
}

/// Bits of [`column::DIFFERS`].
mod differs {
    /// Checksum and lengths.
    pub const DATA: u64 = 1;
    /// The name.
    pub const NAME: u64 = 2;
    /// The time is not that of the member before, but that of the base's.
    pub const TIME_OF_BASE: u64 = 4;
    /// The time is neither.
    pub const TIME: u64 = 8;
    /// Version needed, flags, method.
    pub const METHOD: u64 = 16;
    /// Version made by, disk, attributes.
    pub const ATTRIBUTES: u64 = 32;
    /// Extra field and comment of the record.
    pub const EXTRA: u64 = 64;
    /// Extra field of the local header.
    pub const LOCAL_EXTRA: u64 = 128;
    /// How the local header is written.
    pub const FORM: u64 = 256;
    /// All of them are below this.
    pub const END: u64 = 512;
}

fn broken() -> Failure {
    failure!(PackageCorrupt, "the zip framing of the delta is damaged")
}
