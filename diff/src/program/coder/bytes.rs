//! Bytes by context mixing: for streams of small numbers, and for few bytes of any sort.
//!
//! What a byte is follows from those before it and from its place in an integer of the format: the bytes
//! of this integer so far, with the one or two integers before (docs/delta-format.md, "Bytes by mixing").

use super::binary::Binary;
use super::mixing::{Mixer, hash};

/// Probabilities of one context, as a power of two.
const BITS: u32 = 16;
/// Sets of weights.
const WEIGHTS: usize = 4 << 8;

type ByteMixer = Mixer<8, { 1 << BITS }, WEIGHTS>;

/// The model; it lives on from piece to piece.
#[derive(Debug, Clone)]
pub(super) struct ByteModel {
    bytes: ByteMixer,
    /// The last eight bytes, the latest lowest.
    before: u64,
    /// Bytes of the present integer so far: their number and a hash of them.
    begun: u32,
    begun_hash: u32,
    /// Hashes of the last two integers.
    integers: [u32; 2],
}

impl ByteModel {
    /// Bytes of memory.
    pub(super) const MEMORY: u64 = ByteMixer::MEMORY;

    pub(super) fn new() -> Self {
        Self::with(Mixer::new())
    }

    /// Forgets everything.
    pub(super) fn again(self) -> Self {
        Self::with(self.bytes.again())
    }

    fn with(bytes: ByteMixer) -> Self {
        Self { bytes, before: 0, begun: 0, begun_hash: 0, integers: [0; 2] }
    }

    /// Codes one byte.
    pub(super) fn code<B: Binary>(&mut self, binary: &mut B, value: u8) -> u8 {
        let (low, high) = (self.before as u32, (self.before >> 32) as u32);
        let [last, second] = self.integers;
        let contexts = [
            hash(self.begun, 1, 32),
            hash(self.begun_hash, self.begun.min(255) | 2 << 8, 32),
            hash(self.begun_hash, last ^ 3 << 28, 32),
            hash(self.begun_hash, hash(last, second, 32) ^ 4 << 28, 32),
            hash(low & 0xff, 5, 32),
            hash(low & 0xffff, 6, 32),
            hash(low & 0xff_ffff, 7, 32),
            hash(low, high & 0xffff | 8 << 24, 32),
        ];
        let byte = self.bytes.code_byte(binary, value, &contexts, self.begun.min(3) as usize);
        self.before = self.before << 8 | u64::from(byte);
        if byte < 0x80 {
            self.integers = [hash(self.begun_hash, u32::from(byte), 32), last];
            (self.begun, self.begun_hash) = (0, 0);
        } else {
            self.begun_hash = hash(self.begun_hash, u32::from(byte) | 1 << 8, 32);
            self.begun = self.begun.saturating_add(1);
        }
        byte
    }
}
