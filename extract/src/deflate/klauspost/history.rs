//! The text that levels 1 to 6 search, and the hashes they find it by.

use crate::deflate::window::{boxed, load32};

/// The longest distance.
pub(super) const REACH: usize = 32768;
/// Tables are rebased beyond this position.
const REBASE: u32 = 1 << 31;
/// Positions begin here, so that an empty slot of a table is out of reach.
const FIRST: u32 = 1 << 16;
/// Bytes of text that are held at most before the beginning is given up, five blocks. Where that is shows: a slip at level 4 counts
/// from there.
const CAPACITY: usize = 5 * 65535;
/// The text and some zeros.
const TEXT_LEN: usize = (1 << 19) + 8;

/// A position in the text; 0 in an empty slot.
pub(super) type Slot = u32;
/// Recent text; zeros follow it.
pub(super) type Text = [u8; TEXT_LEN];

/// Recent text.
#[derive(Debug)]
pub(super) struct History {
    pub(super) text: Box<Text>,
    pub(super) len: usize,
    /// The position of the first byte of `text`.
    pub(super) base: u32,
}

impl History {
    pub(super) fn new() -> Self {
        Self { text: boxed(0), len: 0, base: FIRST }
    }

    /// Appends a block, of at most 2^16 bytes, which begins at the place returned.
    pub(super) fn append(&mut self, block: &[u8]) -> usize {
        if self.len + block.len() > CAPACITY {
            let gone = self.len - REACH;
            self.text.copy_within(gone..self.len, 0);
            self.len = REACH;
            self.base += gone as u32;
        }
        let start = self.len;
        self.len += block.len();
        self.text[start..self.len].copy_from_slice(block);
        self.text[self.len..][..8].fill(0);
        start
    }

    /// Forgets everything.
    pub(super) fn drop_all(&mut self) {
        self.base += self.len as u32 + REACH as u32;
        self.len = 0;
    }

    /// What must be subtracted from all slots, if positions have become too large.
    pub(super) fn rebase(&mut self) -> Option<u32> {
        let excess = (self.base > REBASE).then(|| self.base - FIRST)?;
        self.base = FIRST;
        Some(excess)
    }
}

/// The text of a search and where it stands.
#[derive(Debug, Clone, Copy)]
pub(super) struct View<'a> {
    pub(super) text: &'a Text,
    pub(super) len: usize,
    pub(super) base: u32,
}

impl View<'_> {
    #[inline(always)]
    pub(super) fn slot(&self, at: usize) -> Slot {
        self.base.wrapping_add(at as u32)
    }

    /// How far before a place a slot points. What is farther than [`REACH`] may stand before the text, or nowhere.
    #[inline(always)]
    pub(super) fn distance(&self, slot: Slot, at: usize) -> usize {
        self.slot(at).wrapping_sub(slot) as usize
    }

    /// The place of a candidate for the four bytes at `at`, if it is less than `reach` back, at most [`REACH`] + 1, and equal.
    #[inline(always)]
    pub(super) fn within(&self, reach: usize, slot: Slot, at: usize, four: u32) -> Option<usize> {
        let distance = self.distance(slot, at);
        if distance >= reach {
            return None;
        }
        let place = at.wrapping_sub(distance);
        (load32(self.text, place) == four && distance <= at).then_some(place)
    }

    /// The same for less than [`REACH`].
    #[inline(always)]
    pub(super) fn near(&self, slot: Slot, at: usize, four: u32) -> Option<usize> {
        self.within(REACH, slot, at, four)
    }
}

/// The hash of four bytes that older releases use at level 1.
#[inline(always)]
pub(super) fn hash4_old(x: u64, bits: u32) -> usize {
    ((x as u32).wrapping_mul(0x1e35_a7bd) >> (32 - bits)) as usize
}

#[inline(always)]
pub(super) fn hash4(x: u64, bits: u32) -> usize {
    ((x as u32).wrapping_mul(2_654_435_761) >> (32 - bits)) as usize
}

#[inline(always)]
pub(super) fn hash5(x: u64, bits: u32) -> usize {
    ((x << 24).wrapping_mul(889_523_592_379) >> (64 - bits)) as usize
}

#[inline(always)]
pub(super) fn hash7(x: u64, bits: u32) -> usize {
    ((x << 8).wrapping_mul(58_295_818_150_454_627) >> (64 - bits)) as usize
}
