//! Corrections by context mixing: what predicted bytes become, under what they are and how they were
//! predicted.
//!
//! A block of predicted bytes is right as a whole, or its groups of 8 bytes are, or single bytes; for each
//! that is not its difference is coded. Each of these has contexts of its own (docs/delta-format.md, "Corrections by mixing").

mod differences;

use super::super::limits::BLOCK_LEN;
use super::binary::Binary;
use super::mixing::{Mixer, Selected, hash};
use differences::Wrong;
pub(super) use differences::{ByClass, Differences, First};

/// Bytes of a group.
const GROUP: usize = 8;
/// Probabilities of one context, as powers of two.
const BLOCK_BITS: u32 = 14;
const GROUP_BITS: u32 = 16;
const BYTE_BITS: u32 = 16;

type Blocks = Mixer<4, { 1 << BLOCK_BITS }, 64>;
type Groups = Mixer<5, { 1 << GROUP_BITS }, 128>;
type Bytes = Mixer<6, { 1 << BYTE_BITS }, 256>;

/// The model, with one of differences; it lives on from block to block and from slice to slice.
#[derive(Debug, Clone)]
pub(super) struct CorrectionModel<D> {
    blocks: Blocks,
    groups: Groups,
    bytes: Bytes,
    differences: D,
    /// Which blocks, groups and bytes were wrong, the last one lowest.
    wrong_blocks: u32,
    wrong_groups: u32,
    wrong_bytes: u32,
    /// Blocks since the last wrong one.
    right_blocks: u32,
    /// Bytes since the last wrong one.
    right_bytes: u32,
    /// The last differences, the latest first.
    last: [u8; 4],
    /// The two predicted bytes before the block, and the byte that came before it.
    before: [u8; 2],
    given: u8,
}

/// A block: what was predicted and how, and what it is to be.
struct Block<'a> {
    predicted: &'a [u8],
    classes: &'a [u8],
    before: [u8; 2],
}

impl Block<'_> {
    fn class(&self, at: usize) -> u32 {
        self.classes.get(at).copied().map_or(0, u32::from)
    }

    /// The predicted byte so many places behind `at`.
    fn after(&self, at: usize, distance: usize) -> u32 {
        self.predicted.get(at + distance).copied().map_or(0, u32::from)
    }

    /// The predicted byte 1 or 2 places before `at`.
    fn ahead(&self, at: usize, distance: usize) -> u32 {
        let byte = match at.checked_sub(distance) {
            Some(place) => self.predicted.get(place).copied(),
            None => self.before.get(2 + at - distance).copied(),
        };
        byte.map_or(0, u32::from)
    }

    /// Four predicted bytes from `at` on, but not beyond `end`.
    fn four(&self, at: usize, end: usize) -> u32 {
        let byte = |i: usize| if at + i < end { self.after(at, i) } else { 0 };
        byte(0) | byte(1) << 8 | byte(2) << 16 | byte(3) << 24
    }
}

fn fold(classes: &[u8]) -> u32 {
    classes.iter().fold(0, |sum, &class| sum.wrapping_mul(31).wrapping_add(u32::from(class)))
}

impl<D: Differences> CorrectionModel<D> {
    /// Bytes of memory.
    pub(super) const MEMORY: u64 = Blocks::MEMORY + Groups::MEMORY + Bytes::MEMORY + D::MEMORY;

    pub(super) fn new() -> Self {
        Self::with(Mixer::new(), Mixer::new(), Mixer::new(), D::new())
    }

    /// Forgets everything.
    pub(super) fn again(self) -> Self {
        let Self { blocks, groups, bytes, differences, .. } = self;
        Self::with(blocks.again(), groups.again(), bytes.again(), differences.again())
    }

    fn with(blocks: Blocks, groups: Groups, bytes: Bytes, differences: D) -> Self {
        Self {
            blocks,
            groups,
            bytes,
            differences,
            wrong_blocks: 0,
            wrong_groups: 0,
            wrong_bytes: 0,
            right_blocks: 0,
            right_bytes: 0,
            last: [0; 4],
            before: [0; 2],
            given: 0,
        }
    }

    /// Codes blocks of [`BLOCK_LEN`] bytes, the last of which may be shorter. `bytes` are predicted and
    /// become the wanted ones; a writer knows these already.
    pub(super) fn code<B: Binary>(
        &mut self,
        binary: &mut B,
        bytes: &mut [u8],
        classes: &[u8],
        wanted: Option<&[u8]>,
    ) {
        let mut at = 0;
        for block in bytes.chunks_mut(BLOCK_LEN) {
            let end = at + block.len();
            let mut predicted = [0; BLOCK_LEN];
            let (predicted, _) = predicted.split_at_mut(block.len());
            predicted.copy_from_slice(block);
            if let Some(wanted) = wanted.and_then(|wanted| wanted.get(at..end)) {
                block.copy_from_slice(wanted);
            }
            let classes = classes.get(at..end).unwrap_or_default();
            self.code_block(binary, &Block { predicted, classes, before: self.before }, block);
            for &byte in predicted.iter().skip(predicted.len().saturating_sub(2)) {
                self.before = [self.before[1], byte];
            }
            self.given = block.last().copied().unwrap_or(0);
            at = end;
        }
    }

    fn code_block<B: Binary>(&mut self, binary: &mut B, block: &Block<'_>, wanted: &mut [u8]) {
        let len = block.predicted.len();
        let marked = block.classes.iter().filter(|&&class| class != 0).count() as u32;
        let count =
            |is: fn(u8) -> bool| block.predicted.iter().filter(|&&byte| is(byte)).count() as u32;
        let zeros = count(|byte| byte == 0);
        let text = count(|byte| (32..127).contains(&byte));
        let since = match self.right_blocks {
            few @ 0..12 => few,
            many => 39 - many.min(1 << 20).leading_zeros(),
        };
        let past = self.wrong_blocks;
        let contexts = [
            hash(past & 0xffff, 0, BLOCK_BITS),
            hash(fold(block.classes), 1 | (past & 3) << 8, BLOCK_BITS),
            hash(since | marked << 8 | (past & 3) << 16, 2, BLOCK_BITS),
            hash(zeros >> 2 | text >> 2 << 4 | (past & 7) << 8 | (len as u32) << 16, 3, BLOCK_BITS),
        ];
        let selected = Selected {
            weights: (past & 7 | marked.min(7) << 3) as usize,
            correction: (past & 255) as usize,
        };
        let is_right = self.blocks.code(binary, block.predicted == wanted, &contexts, selected);
        self.wrong_blocks = past << 1 | u32::from(!is_right);
        if is_right {
            wanted.copy_from_slice(block.predicted);
            self.right_blocks = self.right_blocks.saturating_add(1);
            self.right_bytes = self.right_bytes.saturating_add(len as u32);
            self.wrong_groups <<= 4;
            self.wrong_bytes <<= 8;
            return;
        }
        self.right_blocks = 0;
        let mut any = false;
        for start in (0..len).step_by(GROUP) {
            let end = (start + GROUP).min(len);
            // Where all others are right, the last one is wrong.
            let is_right =
                (any || end < len) && self.code_group(binary, block, wanted, (start, end), any);
            self.wrong_groups = self.wrong_groups << 1 | u32::from(!is_right);
            if is_right {
                if let (Some(to), Some(from)) =
                    (wanted.get_mut(start..end), block.predicted.get(start..end))
                {
                    to.copy_from_slice(from);
                }
                self.wrong_bytes <<= 4;
                self.right_bytes = self.right_bytes.saturating_add((end - start) as u32);
                continue;
            }
            any = true;
            self.code_bytes(binary, block, wanted, (start, end));
        }
    }

    fn code_group<B: Binary>(
        &mut self,
        binary: &mut B,
        block: &Block<'_>,
        wanted: &[u8],
        (start, end): (usize, usize),
        any: bool,
    ) -> bool {
        let place = (start / GROUP) as u32;
        let (first, second) = (block.four(start, end), block.four(start + 4, end));
        let predicted = block.predicted.get(start..end).unwrap_or_default();
        let plain = predicted.iter().filter(|&&byte| byte == 0 || byte == 255).count() as u32;
        let past = self.wrong_groups;
        let contexts = [
            hash(past & 0xffff, 0, GROUP_BITS),
            hash(
                fold(block.classes.get(start..end).unwrap_or_default()),
                1 | (past & 3) << 8 | place << 16,
                GROUP_BITS,
            ),
            hash(first, second, GROUP_BITS),
            hash(first & 0xff_ffff, 3 | (past & 1) << 8, GROUP_BITS),
            hash(past & 15 | plain << 8 | self.right_bytes.min(63) << 12, 4, GROUP_BITS),
        ];
        let selected = Selected {
            weights: (past & 15 | place << 4 | u32::from(any) << 6) as usize,
            correction: (past & 255) as usize,
        };
        self.groups.code(binary, wanted.get(start..end) == Some(predicted), &contexts, selected)
    }

    fn code_bytes<B: Binary>(
        &mut self,
        binary: &mut B,
        block: &Block<'_>,
        wanted: &mut [u8],
        (start, end): (usize, usize),
    ) {
        let mut any = false;
        let mut given = match start.checked_sub(1) {
            Some(before) => wanted.get(before).copied().unwrap_or(0),
            None => self.given,
        };
        for at in start..end {
            let Some(place) = wanted.get_mut(at) else { return };
            let predicted = block.after(at, 0) as u8;
            let is_right = (any || at + 1 < end)
                && self.code_is_right(binary, block, *place == predicted, (at, any, given));
            if is_right {
                *place = predicted;
                self.wrong_bytes <<= 1;
                self.right_bytes = self.right_bytes.saturating_add(1);
            } else {
                let difference = place.wrapping_sub(predicted);
                let difference = self.code_difference(binary, block, difference, at, given);
                *place = predicted.wrapping_add(difference);
                any = true;
                self.last = [difference, self.last[0], self.last[1], self.last[2]];
                self.wrong_bytes = self.wrong_bytes << 1 | 1;
                self.right_bytes = 0;
            }
            given = *place;
        }
    }

    fn code_is_right<B: Binary>(
        &mut self,
        binary: &mut B,
        block: &Block<'_>,
        value: bool,
        (at, any, given): (usize, bool, u8),
    ) -> bool {
        let (past, class) = (self.wrong_bytes, block.class(at));
        let position = (at % GROUP) as u32;
        let byte = block.after(at, 0);
        let (next, second) = (block.after(at, 1), block.after(at, 2));
        let last = u32::from(self.last[0]);
        let contexts = [
            hash(byte | block.ahead(at, 1) << 8, past & 1 | class << 8, BYTE_BITS),
            hash(past & 0xffff, 1, BYTE_BITS),
            hash(past & 15 | last << 4 | (position & 3) << 12 | class << 16, 2, BYTE_BITS),
            hash(
                self.right_bytes.min(15) | u32::from(any) << 4 | byte >> 4 << 8 | next << 16,
                3,
                BYTE_BITS,
            ),
            hash(
                block.ahead(at, 1) | byte << 8 | next << 16 | u32::from(given) << 24,
                second << 2 | past & 3,
                BYTE_BITS,
            ),
            hash(past & 0xff | position << 8 | class << 16, 5, BYTE_BITS),
        ];
        let selected = Selected {
            weights: (past & 15 | position << 4 | u32::from(any) << 7) as usize,
            correction: (past & 255) as usize,
        };
        self.bytes.code(binary, value, &contexts, selected)
    }

    fn code_difference<B: Binary>(
        &mut self,
        binary: &mut B,
        block: &Block<'_>,
        value: u8,
        at: usize,
        given: u8,
    ) -> u8 {
        let wrong = Wrong {
            at,
            class: block.class(at),
            byte: block.after(at, 0),
            before: [block.ahead(at, 1), block.ahead(at, 2)],
            behind: [block.after(at, 1), block.after(at, 2)],
            given: u32::from(given),
            near: self.wrong_bytes & 7,
            right_bytes: self.right_bytes.min(15),
            last: self.last.map(u32::from),
        };
        self.differences.code(binary, &wrong, value)
    }
}
