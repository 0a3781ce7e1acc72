//! The decisions of corrections, and what each is coded under (docs/delta-format.md, "Corrections by mixing").

use super::super::binary::Binary;

/// A block that may be right.
#[derive(Debug, Clone, Copy)]
pub(in super::super) struct OfBlock {
    /// Which blocks were wrong, the last one lowest.
    pub(super) past: u32,
    /// A hash of its classes.
    pub(super) fold: u32,
    /// Right blocks since the last wrong one, by steps.
    pub(super) since: u32,
    /// Bytes with a class.
    pub(super) marked: u32,
    /// Predicted bytes that are 0.
    pub(super) zeros: u32,
    /// Predicted bytes that are letters and other printable characters.
    pub(super) text: u32,
    pub(super) len: u32,
    /// The first four predicted bytes, lowest first.
    pub(super) first: u32,
}

impl OfBlock {
    /// The numbers of contexts.
    #[inline(always)]
    pub(super) fn contexts(&self) -> [(u32, u32); 4] {
        let Self { past, fold, since, marked, zeros, text, len, .. } = *self;
        [
            (past & 0xffff, 0),
            (fold, 1 | (past & 3) << 8),
            (since | marked << 8 | (past & 3) << 16, 2),
            (zeros >> 2 | text >> 2 << 4 | (past & 7) << 8 | len << 16, 3),
        ]
    }

    /// The number of weights, of 64.
    #[inline(always)]
    pub(super) fn weights(&self) -> u32 {
        self.past & 7 | self.marked.min(7) << 3
    }
}

/// A group that may be right.
#[derive(Debug, Clone, Copy)]
pub(in super::super) struct OfGroup {
    /// Which groups were wrong, the last one lowest.
    pub(super) past: u32,
    /// Its place in the block.
    pub(super) place: u32,
    /// Whether one of the block was wrong.
    pub(super) any: u32,
    /// A hash of its classes.
    pub(super) fold: u32,
    /// The first and the second four predicted bytes, lowest first.
    pub(super) first: u32,
    pub(super) second: u32,
    /// Predicted bytes that are 0 or 255.
    pub(super) plain: u32,
    /// Right bytes since the last wrong one.
    pub(super) right_bytes: u32,
}

impl OfGroup {
    /// The numbers of contexts.
    #[inline(always)]
    pub(super) fn contexts(&self) -> [(u32, u32); 5] {
        let Self { past, place, fold, first, second, plain, right_bytes, .. } = *self;
        [
            (past & 0xffff, 0),
            (fold, 1 | (past & 3) << 8 | place << 16),
            (first, second),
            (first & 0xff_ffff, 3 | (past & 1) << 8),
            (past & 15 | plain << 8 | right_bytes.min(63) << 12, 4),
        ]
    }

    /// The number of weights, of 128.
    #[inline(always)]
    pub(super) fn weights(&self) -> u32 {
        self.past & 15 | self.place << 4 | self.any << 6
    }
}

/// A byte of a wrong group: it may be right, else it has a difference.
#[derive(Debug, Clone, Copy)]
pub(in super::super) struct OfByte {
    /// Which bytes were wrong, the last one lowest.
    pub(super) past: u32,
    pub(super) class: u32,
    /// Its place in the group.
    pub(super) position: u32,
    /// The predicted byte.
    pub(super) byte: u32,
    /// The predicted bytes before it, the nearer first, and behind it.
    pub(super) before: [u32; 2],
    pub(super) behind: [u32; 2],
    /// The byte that was given before.
    pub(super) given: u32,
    /// Whether one of the group was wrong.
    pub(super) any: u32,
    /// Right bytes since the last wrong one.
    pub(super) right_bytes: u32,
    /// The last differences, the latest first.
    pub(super) last: [u32; 4],
}

impl OfByte {
    /// The numbers of contexts of whether it is right.
    #[inline(always)]
    pub(super) fn contexts(&self) -> [(u32, u32); 6] {
        let Self { past, class, position, byte, given, any, right_bytes, .. } = *self;
        let ([before, _], [next, second], [d1, ..]) = (self.before, self.behind, self.last);
        [
            (byte | before << 8, past & 1 | class << 8),
            (past & 0xffff, 1),
            (past & 15 | d1 << 4 | (position & 3) << 12 | class << 16, 2),
            (right_bytes.min(15) | any << 4 | byte >> 4 << 8 | next << 16, 3),
            (before | byte << 8 | next << 16 | given << 24, second << 2 | past & 3),
            (past & 255 | position << 8 | class << 16, 5),
        ]
    }

    /// The number of weights, of 256.
    #[inline(always)]
    pub(super) fn weights(&self) -> u32 {
        self.past & 15 | self.position << 4 | self.any << 7
    }
}

/// Codes each decision under what is known; a writer gives its value, a reader gets it.
pub(in super::super) trait Decisions {
    /// Bytes of memory.
    const MEMORY: u64;

    fn new() -> Self;

    /// Forgets everything.
    fn again(self) -> Self;

    fn block<B: Binary>(&mut self, binary: &mut B, value: bool, of: &OfBlock) -> bool;
    fn group<B: Binary>(&mut self, binary: &mut B, value: bool, of: &OfGroup) -> bool;
    fn byte<B: Binary>(&mut self, binary: &mut B, value: bool, of: &OfByte) -> bool;

    /// The difference of a wrong byte.
    fn difference<B: Binary>(&mut self, binary: &mut B, value: u8, of: &OfByte) -> u8;

    /// These bytes are settled, all of them right.
    fn pass(&mut self, _: &[u8]) {}

    /// This byte of a wrong group is settled.
    fn pass_one(&mut self, _byte: u8, _class: u32, _difference: u8) {}
}
