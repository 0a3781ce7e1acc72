//! By how much a byte that was predicted wrongly is wrong.

use super::super::binary::Binary;
use super::super::mixing::{Mixer, hash};
use super::decisions::OfByte;

/// Probabilities of one context, as a power of two.
const BITS: u32 = 17;
/// Classes of predicted bytes.
pub(super) const CLASSES: usize = 256;

/// A model of differences.
pub(super) trait Differences {
    /// Bytes of memory.
    const MEMORY: u64;

    fn new() -> Self;

    /// Forgets everything.
    fn again(self) -> Self;

    /// Codes the difference of a wrong byte.
    fn code<B: Binary>(&mut self, binary: &mut B, value: u8, of: &OfByte) -> u8;
}

/// Contexts of the bytes and differences around.
#[derive(Debug, Clone)]
pub(in super::super) struct First(Mixer<6, { 1 << BITS }, 1024>);

impl Differences for First {
    const MEMORY: u64 = Mixer::<6, { 1 << BITS }, 1024>::MEMORY;

    fn new() -> Self {
        Self(Mixer::new())
    }

    fn again(self) -> Self {
        Self(self.0.again())
    }

    fn code<B: Binary>(&mut self, binary: &mut B, value: u8, of: &OfByte) -> u8 {
        let OfByte { class, byte, given, last: [d1, d2, _, d4], .. } = *of;
        let ([before, second], [next, after]) = (of.before, of.behind);
        let (near, right_bytes) = (of.past & 7, of.right_bytes.min(15));
        let contexts = [
            hash(d1, near | class << 8, 32),
            hash(d1 | d2 << 8, 1 | near << 8, 32),
            hash(byte | before << 8 | second << 16, 2 | (near & 3) << 4 | class << 8, 32),
            hash(byte | next << 8 | after << 16, 3 | near << 8, 32),
            hash(given | before << 8 | byte << 16, 4 | (near & 1) << 8, 32),
            hash(d4 | right_bytes << 8 | d2 << 16, 5, 32),
        ];
        self.0.code_byte(binary, value, &contexts, (near & 3) as usize)
    }
}

/// The same with the last difference of the byte's class, and weights by the byte's place in a field.
#[derive(Debug, Clone)]
pub(in super::super) struct ByClass {
    mixer: Mixer<8, { 1 << BITS }, { 16 << 8 }>,
    last: Box<[u8; CLASSES]>,
}

impl Differences for ByClass {
    const MEMORY: u64 = Mixer::<8, { 1 << BITS }, { 16 << 8 }>::MEMORY + CLASSES as u64;

    fn new() -> Self {
        Self { mixer: Mixer::new(), last: Box::new([0; CLASSES]) }
    }

    fn again(self) -> Self {
        Self { mixer: self.mixer.again(), last: Box::new([0; CLASSES]) }
    }

    fn code<B: Binary>(&mut self, binary: &mut B, value: u8, of: &OfByte) -> u8 {
        let own = &mut self.last[of.class as usize % CLASSES];
        let [a, b, c, d, e, f, g] = contexts(of, *own).map(|(a, b)| hash(a, b, 32));
        let contexts = [a, b, c, d, e, f, g, 7];
        *own = self.mixer.code_byte(binary, value, &contexts, weights(of) as usize);
        *own
    }
}

/// The numbers of contexts by class; `own` is the last difference of the byte's class.
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

/// The number of the weights by class: by the place in a field of 4 bytes, or in one of those that have 8; else by what was
/// wrong before.
pub(super) fn weights(of: &OfByte) -> u32 {
    match of.class {
        0 => of.past & 3,
        class @ 1..=120 => 4 + ((class - 1) & 3),
        class @ 121..=240 => 8 + ((class - 1) & 3),
        _ => 12,
    }
}
