//! A symbol, and what its columns hold (docs/delta-format.md, "Symbols and names").
//!
//! System V ABI, "Symbol Table": records of 24 bytes.

use dd_inspect::failure::Failure;

use super::SYMBOL;

/// Columns: what differs of a symbol, and then what it is.
pub(super) mod column {
    pub(in super::super) const FLAGS: u8 = 64;
    pub(in super::super) const WHICH: u8 = 65;
    pub(in super::super) const VALUE: u8 = 66;
    pub(in super::super) const SIZE: u8 = 67;
    pub(in super::super) const KIND: u8 = 68;
    pub(in super::super) const PLACE: u8 = 69;
    pub(in super::super) const LEN: u8 = 70;
    pub(in super::super) const NUMBERS: u8 = 71;
    pub(in super::super) const HASHES: u8 = 72;
    pub(in super::super) const LARGE: u8 = 73;
}

/// Bits of the flags.
pub(super) mod flag {
    pub(in super::super) const WHICH: u64 = 1;
    pub(in super::super) const VALUE: u64 = 2;
    pub(in super::super) const SIZE: u64 = 4;
    pub(in super::super) const KIND: u64 = 8;
    pub(in super::super) const PLACE: u64 = 16;
    pub(in super::super) const UNKNOWN: u64 = 32;
    pub(in super::super) const FIELDS: u64 = 64;
    pub(in super::super) const ALL: u64 = 127;
}

/// A section that stands for no place: a symbol in it means no address, nor one in section 0.
const ABSOLUTE: u16 = 0xfff1;

/// Values of columns: read, or written and given back.
pub(crate) trait Values {
    /// The next integer of a column.
    fn integer(&mut self, column: u8, wanted: u64) -> Result<u64, Failure>;
    /// The next bytes that follow from nothing.
    fn bytes(&mut self, bytes: &mut [u8]) -> Result<(), Failure>;
}

/// A symbol.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Symbol {
    /// Where its name stands among the names.
    pub(crate) name: u32,
    /// Kind, visibility and section.
    pub(crate) kind: [u8; 4],
    pub(crate) value: u64,
    pub(crate) size: u64,
}

impl Symbol {
    /// Reads a record.
    pub(crate) fn parse(record: &[u8; SYMBOL as usize]) -> Self {
        let [a, b, c, d, e, f, g, h, rest @ ..] = *record;
        let eight = |at: usize| rest.get(at..).and_then(|rest| rest.first_chunk::<8>().copied());
        Self {
            name: u32::from_le_bytes([a, b, c, d]),
            kind: [e, f, g, h],
            value: u64::from_le_bytes(eight(0).unwrap_or_default()),
            size: u64::from_le_bytes(eight(8).unwrap_or_default()),
        }
    }

    /// Its record.
    pub(super) fn record(&self) -> [u8; SYMBOL as usize] {
        let mut record = [0; SYMBOL as usize];
        let fields = self.name.to_le_bytes().into_iter().chain(self.kind);
        let fields = fields.chain(self.value.to_le_bytes()).chain(self.size.to_le_bytes());
        record.iter_mut().zip(fields).for_each(|(byte, field)| *byte = field);
        record
    }

    /// Whether it means an address.
    pub(super) fn has_address(&self) -> bool {
        !matches!(u16::from_le_bytes([self.kind[2], self.kind[3]]), 0 | ABSOLUTE)
    }
}

/// What a writer wants of a symbol.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Wanted<'a> {
    pub(crate) symbol: Symbol,
    pub(crate) name: &'a [u8],
    /// The base's symbol that it resembles, and whether the walk goes on there.
    pub(crate) like: Option<(u32, bool)>,
}
