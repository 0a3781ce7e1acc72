//! Levels 1 to 6 of klauspost/compress flate: what they search and when they enter positions into their tables.

mod one_hash;
mod two_hashes;

use super::Class;
use super::history::{History, REACH, Slot, View};
use crate::deflate::tokens::{Token, Tokens};
use crate::deflate::window::{boxed, common, common_before};

const MAX_MATCH: usize = 258;

/// Slots by the hash of 4 or 5 bytes: of 17 bits at level 2, else of 15.
type Short = [Slot; 1 << 17];
/// The newest position and the one before: by the hash of 7 bytes, of 15 bits; at level 3 of 5, of 16 bits.
type Long = [[Slot; 2]; 1 << 16];

/// A match: where it stands, where its text stands before, and its length.
#[derive(Debug, Clone, Copy)]
struct Match {
    at: usize,
    from: usize,
    len: usize,
}

/// The search of one level, 1 to 6.
#[derive(Debug)]
pub(super) struct Search {
    level: u8,
    class: Class,
    history: History,
    /// A search stops so many bytes before the end of its block.
    margin: usize,
    short: Box<Short>,
    long: Box<Long>,
}

/// The search of one block.
struct Run<'a> {
    class: Class,
    view: View<'a>,
    short: &'a mut Short,
    long: &'a mut Long,
    tokens: &'a mut Tokens,
    /// Text before this is told by tokens.
    emitted: usize,
    /// The search ends here.
    limit: usize,
}

impl Search {
    pub(super) fn new(level: u8, class: Class) -> Self {
        Self {
            level,
            class,
            history: History::new(class.history_len()),
            margin: if level == 3 && !class.hashes_five_bytes() { 7 } else { 11 },
            short: boxed(0),
            long: boxed([0; 2]),
        }
    }

    /// Forgets the text before.
    pub(super) fn drop_history(&mut self) {
        self.history.drop_all();
    }

    /// The tokens of the next block; none if it has no match.
    pub(super) fn block(&mut self, block: &[u8], tokens: &mut Tokens) {
        tokens.clear();
        if let Some(excess) = self.history.rebase() {
            let rebase = |slot: &mut Slot| *slot = slot.saturating_sub(excess);
            self.short.iter_mut().for_each(rebase);
            self.long.iter_mut().flatten().for_each(rebase);
        }
        let start = self.history.append(block);
        if block.len() < self.margin + 2 {
            return;
        }
        let History { text, len, base, .. } = &self.history;
        let run = Run {
            class: self.class,
            view: View { text, len: *len, base: *base },
            short: &mut self.short,
            long: &mut self.long,
            tokens,
            emitted: start,
            limit: len - self.margin,
        };
        let emitted = match (self.level, self.class.hashes_five_bytes()) {
            (1, true) => run.level_1_2::<1, true>(start),
            (1, false) => run.level_1_2::<1, false>(start),
            (2, true) => run.level_1_2::<2, true>(start),
            (2, false) => run.level_1_2::<2, false>(start),
            (3, true) => run.level_3::<true>(start),
            (3, false) => run.level_3::<false>(start),
            (4, _) => run.level_4(start),
            (5, _) => run.level_5(start),
            _ => run.level_6(start),
        };
        if !tokens.as_slice().is_empty() {
            tokens.push_literals(&text[emitted..*len]);
        }
    }
}

impl Run<'_> {
    /// The length of a match whose first four bytes are known to be equal, at most 258.
    #[inline(always)]
    fn capped(&self, from: usize, at: usize) -> usize {
        let most = (self.view.len - at).min(MAX_MATCH);
        4 + common(self.view.text, from + 4, at + 4, most - 4)
    }

    /// A match of all bytes in common from two places on, of which four are known to be equal.
    #[inline(always)]
    fn whole(&self, at: usize, from: usize) -> Match {
        Match { at, from, len: 4 + self.extent(from + 4, at + 4) }
    }

    /// Bytes in common from two places on, at most to the end of the block.
    #[inline(always)]
    fn extent(&self, from: usize, at: usize) -> usize {
        common(self.view.text, from, at, self.view.len - at)
    }

    /// Extends a match backwards and emits it and the literals before it; its end and its whole length.
    #[inline(always)]
    fn emit(&mut self, found: Match) -> (usize, usize) {
        let Match { at, from, len } = found;
        let text = self.view.text;
        let back = common_before(text, at, from, from.min(at - self.emitted));
        let (at, len) = (at - back, len + back);
        self.tokens.push_literals(&text[self.emitted..at]);
        let (distance, end) = (found.at - from, at + len);
        let mut left = len;
        while left > 0 {
            let piece = match left {
                0..=MAX_MATCH => left,
                262.. if self.class.long_pieces() => MAX_MATCH,
                _ => MAX_MATCH - 3,
            };
            self.tokens.push(Token::matched(piece, distance));
            left -= piece;
        }
        self.emitted = end;
        (end, len)
    }

    #[inline(always)]
    fn set(&mut self, hash: usize, at: usize) -> Slot {
        let slot = self.view.slot(at);
        std::mem::replace(&mut self.short[hash], slot)
    }

    #[inline(always)]
    fn push(&mut self, hash: usize, at: usize) -> [Slot; 2] {
        let slot = self.view.slot(at);
        let old = self.long[hash];
        self.long[hash] = [slot, old[0]];
        old
    }

    /// The place of a slot that is at most a whole reach back and has these four bytes.
    #[inline(always)]
    fn reached(&self, slot: Slot, at: usize, four: u32) -> Option<usize> {
        self.view.within(REACH + 1, slot, at, four)
    }
}
