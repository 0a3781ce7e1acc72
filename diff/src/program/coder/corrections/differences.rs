//! By how much a byte that was predicted wrongly is wrong.

use super::super::binary::Binary;
use super::super::mixing::{Mixer, hash};

/// Probabilities of one context, as a power of two.
const BITS: u32 = 17;
/// Classes of predicted bytes.
const CLASSES: usize = 256;

/// A wrong byte.
#[derive(Debug, Clone, Copy)]
pub(in super::super) struct Wrong {
    /// Its place in the block.
    pub(super) at: usize,
    pub(super) class: u32,
    /// The predicted byte, those before it, the nearer first, and behind it.
    pub(super) byte: u32,
    pub(super) before: [u32; 2],
    pub(super) behind: [u32; 2],
    /// The byte that was given before.
    pub(super) given: u32,
    /// Which of the last three bytes were wrong.
    pub(super) near: u32,
    /// Right bytes since the last wrong one, at most 15.
    pub(super) right_bytes: u32,
    /// The last differences, the latest first.
    pub(super) last: [u32; 4],
}

/// A model of differences.
pub(super) trait Differences {
    /// Bytes of memory.
    const MEMORY: u64;

    fn new() -> Self;

    /// Forgets everything.
    fn again(self) -> Self;

    /// Codes the difference of a wrong byte.
    fn code<B: Binary>(&mut self, binary: &mut B, wrong: &Wrong, value: u8) -> u8;
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

    fn code<B: Binary>(&mut self, binary: &mut B, wrong: &Wrong, value: u8) -> u8 {
        let Wrong { class, byte, given, near, right_bytes, .. } = *wrong;
        let ([before, second], [next, after]) = (wrong.before, wrong.behind);
        let [last, third, _, fifth] = wrong.last;
        let contexts = [
            hash(last, near | class << 8, 32),
            hash(last | third << 8, 1 | near << 8, 32),
            hash(byte | before << 8 | second << 16, 2 | (near & 3) << 4 | class << 8, 32),
            hash(byte | next << 8 | after << 16, 3 | near << 8, 32),
            hash(given | before << 8 | byte << 16, 4 | (near & 1) << 8, 32),
            hash(fifth | right_bytes << 8 | third << 16, 5, 32),
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

    fn code<B: Binary>(&mut self, binary: &mut B, wrong: &Wrong, value: u8) -> u8 {
        let Wrong { at, class, byte, given, near, right_bytes, .. } = *wrong;
        let [last, third, _, fifth] = wrong.last;
        let own = &mut self.last[class as usize % CLASSES];
        let follows = if near & 1 == 1 { last | 1 << 8 } else { 0 };
        let contexts = [
            hash(last, near | class << 8, 32),
            hash(byte | wrong.behind[0] << 8 | wrong.behind[1] << 16, 1 | near << 8, 32),
            hash(given | wrong.before[0] << 8 | byte << 16, 2 | (near & 1) << 8, 32),
            hash(fifth | right_bytes << 8 | third << 16, 3, 32),
            hash(u32::from(*own) | class << 8 | (near & 1) << 16, 4, 32),
            hash(byte | class << 8 | follows << 16, 5, 32),
            hash(class | (at as u32 & 7) << 8 | near << 16, 6, 32),
            7,
        ];
        let difference = self.mixer.code_byte(binary, value, &contexts, weights(class, near));
        *own = difference;
        difference
    }
}

/// The number of the weights: by the place in a field of 4 bytes, or in one of those that have 8; else by what was wrong before.
pub(super) fn weights(class: u32, near: u32) -> usize {
    let number = match class {
        0 => near & 3,
        1..=120 => 4 + ((class - 1) & 3),
        121..=240 => 8 + ((class - 1) & 3),
        _ => 12,
    };
    number as usize
}
