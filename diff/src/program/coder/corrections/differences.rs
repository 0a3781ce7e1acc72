//! By how much a byte that was predicted wrongly is wrong.

use super::super::binary::Binary;
use super::super::mixing::{Mixer, hash};
use super::decisions::OfByte;

/// Probabilities of one context, as a power of two.
const BITS: u32 = 17;
/// Classes of predicted bytes.
pub(super) const CLASSES: usize = 256;

type DifferenceMixer = Mixer<8, { 1 << BITS }, { 16 << 8 }>;

/// A model of differences: weights by the byte's place in a field, among the contexts the last difference of its class.
#[derive(Debug, Clone)]
pub(super) struct Differences {
    mixer: DifferenceMixer,
    last: Box<[u8; CLASSES]>,
}

impl Differences {
    /// Bytes of memory.
    pub(super) const MEMORY: u64 = DifferenceMixer::MEMORY + CLASSES as u64;

    pub(super) fn new() -> Self {
        Self { mixer: Mixer::new(), last: Box::new([0; CLASSES]) }
    }

    /// Forgets everything.
    pub(super) fn again(self) -> Self {
        Self { mixer: self.mixer.again(), last: Box::new([0; CLASSES]) }
    }

    /// Codes the difference of a wrong byte.
    pub(super) fn code<B: Binary>(&mut self, binary: &mut B, value: u8, of: &OfByte) -> u8 {
        let own = &mut self.last[of.class as usize % CLASSES];
        let [a, b, c, d, e, f, g] = contexts(of, *own).map(|(a, b)| hash(a, b, 32));
        let contexts = [a, b, c, d, e, f, g, 7];
        *own = self.mixer.code_byte(binary, value, &contexts, weights(of) as usize);
        *own
    }
}

/// The numbers of contexts; `own` is the last difference of the byte's class.
#[inline(always)]
pub(super) fn contexts(of: &OfByte, own: u8) -> [(u32, u32); 7] {
    let OfByte { class, position, byte, given, last: [d1, d2, _, d4], .. } = *of;
    let ([before, _], [next, after]) = (of.before, of.behind);
    let (near, right_bytes) = (of.past & 7, of.right_bytes.min(15));
    let follows = if near & 1 == 1 { d1 | 1 << 8 } else { 0 };
    [
        (d1, near | class << 8),
        (byte | next << 8 | after << 16, 1 | near << 8),
        (given | before << 8 | byte << 16, 2 | (near & 1) << 8),
        (d4 | right_bytes << 8 | d2 << 16, 3),
        (u32::from(own) | class << 8 | (near & 1) << 16, 4),
        (byte | class << 8 | follows << 16, 5),
        (class | position << 8 | near << 16, 6),
    ]
}

/// The number of the weights: by the place in a field of 4 bytes, or in one of those that have 8; else by what was
/// wrong before.
pub(super) fn weights(of: &OfByte) -> u32 {
    match of.class {
        0 => of.past & 3,
        class @ 1..=120 => 4 + ((class - 1) & 3),
        class @ 121..=240 => 8 + ((class - 1) & 3),
        _ => 12,
    }
}
