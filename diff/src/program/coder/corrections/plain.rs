//! The decisions of corrections by mixers of one layer.

use super::super::binary::Binary;
use super::super::mixing::{Mixer, Selected, hash};
use super::differences::Differences;
use super::{Decisions, OfBlock, OfByte, OfGroup};

/// Probabilities of one context, as powers of two.
const BLOCK_BITS: u32 = 14;
const GROUP_BITS: u32 = 16;
const BYTE_BITS: u32 = 16;

type BlockMixer = Mixer<4, { 1 << BLOCK_BITS }, 64>;
type GroupMixer = Mixer<5, { 1 << GROUP_BITS }, 128>;
type ByteMixer = Mixer<6, { 1 << BYTE_BITS }, 256>;

/// Mixers, with a model of differences.
#[derive(Debug, Clone)]
pub(in super::super) struct Plain<D> {
    blocks: BlockMixer,
    groups: GroupMixer,
    bytes: ByteMixer,
    differences: D,
}

impl<D: Differences> Decisions for Plain<D> {
    const MEMORY: u64 = BlockMixer::MEMORY + GroupMixer::MEMORY + ByteMixer::MEMORY + D::MEMORY;

    fn new() -> Self {
        let (blocks, groups, bytes) = (Mixer::new(), Mixer::new(), Mixer::new());
        Self { blocks, groups, bytes, differences: D::new() }
    }

    fn again(self) -> Self {
        let Self { blocks, groups, bytes, differences } = self;
        let (blocks, groups, bytes) = (blocks.again(), groups.again(), bytes.again());
        Self { blocks, groups, bytes, differences: differences.again() }
    }

    fn block<B: Binary>(&mut self, binary: &mut B, value: bool, of: &OfBlock) -> bool {
        let OfBlock { past, fold, since, marked, zeros, text, len, .. } = *of;
        let contexts = [
            hash(past & 0xffff, 0, BLOCK_BITS),
            hash(fold, 1 | (past & 3) << 8, BLOCK_BITS),
            hash(since | marked << 8 | (past & 3) << 16, 2, BLOCK_BITS),
            hash(zeros >> 2 | text >> 2 << 4 | (past & 7) << 8 | len << 16, 3, BLOCK_BITS),
        ];
        let selected = Selected {
            weights: (past & 7 | marked.min(7) << 3) as usize,
            correction: (past & 255) as usize,
        };
        self.blocks.code(binary, value, &contexts, selected)
    }

    fn group<B: Binary>(&mut self, binary: &mut B, value: bool, of: &OfGroup) -> bool {
        let OfGroup { past, place, any, fold, first, second, plain, right_bytes } = *of;
        let contexts = [
            hash(past & 0xffff, 0, GROUP_BITS),
            hash(fold, 1 | (past & 3) << 8 | place << 16, GROUP_BITS),
            hash(first, second, GROUP_BITS),
            hash(first & 0xff_ffff, 3 | (past & 1) << 8, GROUP_BITS),
            hash(past & 15 | plain << 8 | right_bytes.min(63) << 12, 4, GROUP_BITS),
        ];
        let selected = Selected {
            weights: (past & 15 | place << 4 | any << 6) as usize,
            correction: (past & 255) as usize,
        };
        self.groups.code(binary, value, &contexts, selected)
    }

    fn byte<B: Binary>(&mut self, binary: &mut B, value: bool, of: &OfByte) -> bool {
        let OfByte { past, class, position, byte, given, any, right_bytes, .. } = *of;
        let ([before, _], [next, second], [d1, ..]) = (of.before, of.behind, of.last);
        let contexts = [
            hash(byte | before << 8, past & 1 | class << 8, BYTE_BITS),
            hash(past & 0xffff, 1, BYTE_BITS),
            hash(past & 15 | d1 << 4 | (position & 3) << 12 | class << 16, 2, BYTE_BITS),
            hash(right_bytes.min(15) | any << 4 | byte >> 4 << 8 | next << 16, 3, BYTE_BITS),
            hash(before | byte << 8 | next << 16 | given << 24, second << 2 | past & 3, BYTE_BITS),
            hash(past & 0xff | position << 8 | class << 16, 5, BYTE_BITS),
        ];
        let selected = Selected {
            weights: (past & 15 | position << 4 | any << 7) as usize,
            correction: (past & 255) as usize,
        };
        self.bytes.code(binary, value, &contexts, selected)
    }

    fn difference<B: Binary>(&mut self, binary: &mut B, value: u8, of: &OfByte) -> u8 {
        self.differences.code(binary, value, of)
    }
}
