//! The decisions of corrections by mixers of one layer.

use super::super::binary::Binary;
use super::super::mixing::{Mixer, Selected, hash};
use super::decisions::{Decisions, OfBlock, OfByte, OfGroup};
use super::differences::Differences;

/// Probabilities of one context, as powers of two.
const BLOCK_BITS: u32 = 14;
const GROUP_BITS: u32 = 16;
const BYTE_BITS: u32 = 16;

type BlockMixer = Mixer<4, { 1 << BLOCK_BITS }, 64>;
type GroupMixer = Mixer<5, { 1 << GROUP_BITS }, 128>;
type ByteMixer = Mixer<6, { 1 << BYTE_BITS }, 256>;

/// The weights of a decision; the correction by which ones were wrong before.
fn selected(weights: u32, past: u32) -> Selected {
    Selected { weights: weights as usize, correction: (past & 255) as usize }
}

/// Mixers, with a model of differences.
#[derive(Debug, Clone)]
pub(in super::super) struct Plain {
    blocks: BlockMixer,
    groups: GroupMixer,
    bytes: ByteMixer,
    differences: Differences,
}

impl Decisions for Plain {
    const MEMORY: u64 =
        BlockMixer::MEMORY + GroupMixer::MEMORY + ByteMixer::MEMORY + Differences::MEMORY;

    fn new() -> Self {
        let (blocks, groups, bytes) = (Mixer::new(), Mixer::new(), Mixer::new());
        Self { blocks, groups, bytes, differences: Differences::new() }
    }

    fn again(self) -> Self {
        let Self { blocks, groups, bytes, differences } = self;
        let (blocks, groups, bytes) = (blocks.again(), groups.again(), bytes.again());
        Self { blocks, groups, bytes, differences: differences.again() }
    }

    fn block<B: Binary>(&mut self, binary: &mut B, value: bool, of: &OfBlock) -> bool {
        let contexts = of.contexts().map(|(a, b)| hash(a, b, BLOCK_BITS));
        self.blocks.code(binary, value, &contexts, selected(of.weights(), of.past))
    }

    fn group<B: Binary>(&mut self, binary: &mut B, value: bool, of: &OfGroup) -> bool {
        let contexts = of.contexts().map(|(a, b)| hash(a, b, GROUP_BITS));
        self.groups.code(binary, value, &contexts, selected(of.weights(), of.past))
    }

    fn byte<B: Binary>(&mut self, binary: &mut B, value: bool, of: &OfByte) -> bool {
        let contexts = of.contexts().map(|(a, b)| hash(a, b, BYTE_BITS));
        self.bytes.code(binary, value, &contexts, selected(of.weights(), of.past))
    }

    fn difference<B: Binary>(&mut self, binary: &mut B, value: u8, of: &OfByte) -> u8 {
        self.differences.code(binary, value, of)
    }
}
