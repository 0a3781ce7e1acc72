//! Instructions for x86-64: contexts of the last ones, and of where in one the next byte stands.

use super::super::instruction::Following;
use super::super::layers::LayersShape;
use super::super::mixing::spread;
use super::sorts::{Bytes, OfBit};

pub(super) const CONTEXTS: usize = 12;
pub(super) const SETS: usize = 4;

/// Instructions so far.
#[derive(Debug, Clone, Copy, Default)]
pub(in super::super) struct Instructions {
    bytes: u128,
    following: Following,
}

impl Bytes<CONTEXTS, SETS> for Instructions {
    const SHAPE: LayersShape<SETS> = LayersShape {
        sizes: [1024, 256, 4096, 2048],
        first: 1 << 11,
        second: 65_536 / 3,
        first_rate: 6,
        second_rate: 3,
    };

    #[inline(always)]
    fn last16(&self) -> u128 {
        self.bytes
    }

    #[inline(always)]
    fn push(&mut self, byte: u8) {
        self.bytes = self.bytes << 8 | u128::from(byte);
        self.following.push(byte);
    }

    #[inline(always)]
    fn contexts(&self) -> [u32; CONTEXTS] {
        let low = self.bytes as u32;
        let [a, b, c, d, e, f, g, h] = self.following.contexts(low);
        let [two, three, far] =
            [low & 0xffff, low & 0xff_ffff, low >> 16].map(|bytes| spread(bytes, 0));
        [two, three, far, a, b, c, d, e, f, g, h, 0]
    }

    #[inline(always)]
    fn phase(&self) -> usize {
        self.following.phase()
    }

    #[inline(always)]
    fn begun(&self) -> u32 {
        self.following.begun()
    }

    #[inline(always)]
    fn sets(&self, of: &OfBit) -> [usize; SETS] {
        let state = self.following.state() as usize;
        let (phase, left, is_address) = (state & 15, state >> 4 & 7, state >> 8);
        let class = of.class.min(7);
        let place = phase << 8 | left << 5 | class << 2 | is_address << 1 | usize::from(of.upper);
        [of.expected(), of.tree, place, self.following.opcode() | (phase & 7) << 8]
    }
}
