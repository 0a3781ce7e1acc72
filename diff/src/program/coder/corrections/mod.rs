//! Corrections by context mixing: what predicted bytes become, under what they are and how they were
//! predicted.
//!
//! A block of predicted bytes is right as a whole, or its groups of 8 bytes are, or single bytes; for each
//! that is not its difference is coded. Each of these has contexts of its own (docs/delta-format.md, "Corrections by mixing").

mod decisions;
mod differences;
mod layered;
mod plain;
mod slots;

use super::super::limits::BLOCK_LEN;
use super::binary::Binary;
use decisions::{Decisions, OfBlock, OfByte, OfGroup};
pub(super) use layered::InLayers;
pub(super) use plain::Plain;

/// Bytes of a group.
const GROUP: usize = 8;

/// The model; it lives on from block to block and from slice to slice.
#[derive(Debug, Clone)]
pub(super) struct CorrectionModel<D> {
    decisions: D,
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

/// A block: what was predicted and how, and the two predicted bytes before it.
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

impl<D: Decisions> CorrectionModel<D> {
    /// Bytes of memory.
    pub(super) const MEMORY: u64 = D::MEMORY;

    pub(super) fn new() -> Self {
        Self::with(D::new())
    }

    /// Forgets everything.
    pub(super) fn again(self) -> Self {
        Self::with(self.decisions.again())
    }

    fn with(decisions: D) -> Self {
        Self {
            decisions,
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
        let marked = block.classes.iter().filter(|&&class| class != 0).count() as u32;
        let count =
            |is: fn(u8) -> bool| block.predicted.iter().filter(|&&byte| is(byte)).count() as u32;
        let zeros = count(|byte| byte == 0);
        let text = count(|byte| (32..127).contains(&byte));
        let since = match self.right_blocks {
            few @ 0..12 => few,
            many => 39 - many.min(1 << 20).leading_zeros(),
        };
        let (past, len) = (self.wrong_blocks, block.predicted.len());
        let fold = fold(block.classes);
        let (first, len_of) = (block.four(0, len), len as u32);
        let of = OfBlock { past, fold, since, marked, zeros, text, len: len_of, first };
        let is_right = self.decisions.block(binary, block.predicted == wanted, &of);
        self.wrong_blocks = past << 1 | u32::from(!is_right);
        if is_right {
            wanted.copy_from_slice(block.predicted);
            self.right_blocks = self.right_blocks.saturating_add(1);
            self.right_bytes = self.right_bytes.saturating_add(len as u32);
            self.wrong_groups <<= 4;
            self.wrong_bytes <<= 8;
            self.decisions.pass(block.predicted);
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
                    self.decisions.pass(from);
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
        let of = OfGroup {
            past: self.wrong_groups,
            place,
            any: any.into(),
            fold: fold(block.classes.get(start..end).unwrap_or_default()),
            first,
            second,
            plain,
            right_bytes: self.right_bytes,
        };
        self.decisions.group(binary, wanted.get(start..end) == Some(predicted), &of)
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
            let of = self.of_byte(block, (at, any, given));
            let predicted = of.byte as u8;
            let is_right =
                (any || at + 1 < end) && self.decisions.byte(binary, *place == predicted, &of);
            let mut difference = 0;
            if is_right {
                *place = predicted;
                self.wrong_bytes <<= 1;
                self.right_bytes = self.right_bytes.saturating_add(1);
            } else {
                difference = place.wrapping_sub(predicted);
                difference = self.decisions.difference(binary, difference, &of);
                *place = predicted.wrapping_add(difference);
                any = true;
                self.last = [difference, self.last[0], self.last[1], self.last[2]];
                self.wrong_bytes = self.wrong_bytes << 1 | 1;
                self.right_bytes = 0;
            }
            given = *place;
            self.decisions.pass_one(given, of.class, difference);
        }
    }

    fn of_byte(&self, block: &Block<'_>, (at, any, given): (usize, bool, u8)) -> OfByte {
        OfByte {
            past: self.wrong_bytes,
            class: block.class(at),
            position: (at % GROUP) as u32,
            byte: block.after(at, 0),
            before: [block.ahead(at, 1), block.ahead(at, 2)],
            behind: [block.after(at, 1), block.after(at, 2)],
            given: given.into(),
            any: any.into(),
            right_bytes: self.right_bytes,
            last: self.last.map(u32::from),
        }
    }
}
