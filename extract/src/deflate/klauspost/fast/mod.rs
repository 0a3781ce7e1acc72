//! Levels 1 to 6 of klauspost/compress flate: what they search and when they enter positions into their tables.

mod one_hash;
mod two_hashes;

use super::Class;
use super::history::{History, REACH, Slot, hash4, hash4_old, hash5};
use crate::deflate::go_lazy::common_prefix;
use crate::deflate::symbols::Token;

const MAX_MATCH: usize = 258;

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
    short: Vec<Slot>,
    /// The newest position and the one before.
    long: Vec<[Slot; 2]>,
    /// The last distance, at level 6.
    repeat: usize,
}

impl Search {
    pub(super) fn new(level: u8, class: Class) -> Self {
        let (short, long) = match level {
            1 => (15, None),
            2 => (17, None),
            3 => (0, Some(16)),
            _ => (15, Some(15)),
        };
        Self {
            level,
            class,
            history: History::new(class.history_len()),
            margin: if level == 3 && !class.hashes_five_bytes() { 7 } else { 11 },
            short: vec![0; 1 << short],
            long: long.map_or_else(Vec::new, |bits: u32| vec![[0; 2]; 1 << bits]),
            repeat: 1,
        }
    }

    /// Forgets the text before.
    pub(super) fn drop_history(&mut self) {
        self.history.drop_all();
    }

    /// The tokens of the next block; none if it has no match.
    pub(super) fn block(&mut self, block: &[u8], tokens: &mut Vec<Token>) {
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
        self.repeat = 1;
        let mut emitted = start;
        match self.level {
            1 | 2 => self.level_1_2(start, &mut emitted, tokens),
            3 => self.level_3(start, &mut emitted, tokens),
            4 => self.level_4(start, &mut emitted, tokens),
            5 => self.level_5(start, &mut emitted, tokens),
            _ => self.level_6(start, &mut emitted, tokens),
        }
        if !tokens.is_empty() {
            tokens.extend(self.history.text[emitted..].iter().map(|&byte| Token::literal(byte)));
        }
    }

    fn limit(&self) -> usize {
        self.history.text.len() - self.margin
    }

    /// Bytes in common from two places on, at most to the end of the block.
    #[inline]
    fn extent(&self, from: usize, at: usize) -> usize {
        common_prefix(&self.history.text[from..], &self.history.text[at..])
    }

    /// The length of a match whose first four bytes are known to be equal, at most 258.
    #[inline]
    fn capped(&self, from: usize, at: usize) -> usize {
        let text = &self.history.text;
        let end = text.len().min(at + MAX_MATCH);
        4 + common_prefix(&text[from + 4..], &text[at + 4..end])
    }

    /// Extends a match backwards and emits it and the literals before it; its end and its whole length.
    fn emit(&self, found: Match, emitted: &mut usize, tokens: &mut Vec<Token>) -> (usize, usize) {
        let Match { mut at, mut from, mut len } = found;
        let text = &self.history.text;
        while from > 0 && at > *emitted && text[from - 1] == text[at - 1] {
            at -= 1;
            from -= 1;
            len += 1;
        }
        tokens.extend(text[*emitted..at].iter().map(|&byte| Token::literal(byte)));
        let (distance, end, whole) = (at - from, at + len, len);
        while len > 0 {
            let piece = match len {
                0..=MAX_MATCH => len,
                262.. if self.class.long_pieces() => MAX_MATCH,
                _ => MAX_MATCH - 3,
            };
            tokens.push(Token::matched(piece, distance));
            len -= piece;
        }
        *emitted = end;
        (end, whole)
    }

    /// A match of all bytes in common from two places on, of which four are known to be equal.
    #[inline]
    fn whole(&self, at: usize, from: usize) -> Match {
        Match { at, from, len: 4 + self.extent(from + 4, at + 4) }
    }

    #[inline]
    fn set(&mut self, hash: usize, at: usize) -> Slot {
        let slot = self.history.slot(at);
        std::mem::replace(&mut self.short[hash], slot)
    }

    #[inline]
    fn push(&mut self, hash: usize, at: usize) -> [Slot; 2] {
        let slot = self.history.slot(at);
        let old = self.long[hash];
        self.long[hash] = [slot, old[0]];
        old
    }

    /// The place of a slot that is at most a whole reach back and has these four bytes.
    #[inline]
    fn reached(&self, slot: Slot, at: usize, four: u32) -> Option<usize> {
        let place = self.history.place(slot);
        let place = usize::try_from(place).ok().filter(|_| at as i64 - place <= REACH)?;
        (self.history.load32(place) == four).then_some(place)
    }

    /// The hash of levels 1 to 3.
    #[inline]
    fn hash(&self, x: u64) -> usize {
        let bits = match self.level {
            1 => 15,
            2 => 17,
            _ => 16,
        };
        match self.level {
            _ if self.class.hashes_five_bytes() => hash5(x, bits),
            1 => hash4_old(x, bits),
            _ => hash4(x, bits),
        }
    }
}
