//! Levels 1 to 6 of klauspost/compress flate: what they search and when they enter positions into their tables.

mod one_hash;
mod two_hashes;

use two_hashes::Both;

use super::Class;
use super::history::{History, REACH, Slot, View};
use crate::deflate::tokens::{Token, Tokens};
use crate::deflate::window::{boxed, common, common_before};

const MAX_MATCH: usize = 258;

/// A table of a level: the newest position by hash, or also the one before.
type Newest<const N: usize> = [Slot; N];
type NewestTwo<const N: usize> = [[Slot; 2]; N];

/// The tables of a level.
#[derive(Debug)]
enum Tables {
    One(Box<Newest<{ 1 << 15 }>>),
    Two(Box<Newest<{ 1 << 17 }>>),
    Three(Box<NewestTwo<{ 1 << 16 }>>),
    /// Levels 4 to 6.
    More(Box<Newest<{ 1 << 15 }>>, Box<NewestTwo<{ 1 << 15 }>>),
}

impl Tables {
    fn new(level: u8) -> Self {
        match level {
            1 => Self::One(boxed(0)),
            2 => Self::Two(boxed(0)),
            3 => Self::Three(boxed([0; 2])),
            _ => Self::More(boxed(0), boxed([0; 2])),
        }
    }

    fn subtract(&mut self, excess: u32) {
        let subtract = |slots: &mut [Slot]| {
            slots.iter_mut().for_each(|slot| *slot = slot.saturating_sub(excess));
        };
        match self {
            Self::One(newest) => subtract(&mut **newest),
            Self::Two(newest) => subtract(&mut **newest),
            Self::Three(two) => subtract(two.as_flattened_mut()),
            Self::More(newest, two) => {
                subtract(&mut **newest);
                subtract(two.as_flattened_mut());
            }
        }
    }
}

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
    tables: Tables,
}

/// The search of one block.
struct Run<'a> {
    class: Class,
    view: View<'a>,
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
            history: History::new(),
            margin: if level == 3 && !class.hashes_five_bytes() { 7 } else { 11 },
            tables: Tables::new(level),
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
            self.tables.subtract(excess);
        }
        let start = self.history.append(block);
        if block.len() < self.margin + 2 {
            return;
        }
        let History { text, len, base, .. } = &self.history;
        let run = Run {
            class: self.class,
            view: View { text, len: *len, base: *base },
            tokens,
            emitted: start,
            limit: len - self.margin,
        };
        let emitted = match (&mut self.tables, self.class.hashes_five_bytes()) {
            (Tables::One(table), true) => run.level_1_2::<1, true, _>(table, start),
            (Tables::One(table), false) => run.level_1_2::<1, false, _>(table, start),
            (Tables::Two(table), true) => run.level_1_2::<2, true, _>(table, start),
            (Tables::Two(table), false) => run.level_1_2::<2, false, _>(table, start),
            (Tables::Three(table), true) => run.level_3::<true>(table, start),
            (Tables::Three(table), false) => run.level_3::<false>(table, start),
            (Tables::More(short, long), _) => {
                let run = Both { run, short, long };
                match self.level {
                    4 => run.level_4(start),
                    5 => run.level_5(start),
                    _ => run.level_6(start),
                }
            }
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

    /// The place of a slot that is at most a whole reach back and has these four bytes.
    #[inline(always)]
    fn reached(&self, slot: Slot, at: usize, four: u32) -> Option<usize> {
        self.view.within(REACH + 1, slot, at, four)
    }
}

/// Enters a position; what stood there.
#[inline(always)]
fn set<const N: usize>(table: &mut Newest<N>, view: View<'_>, hash: usize, at: usize) -> Slot {
    std::mem::replace(&mut table[hash], view.slot(at))
}

/// Enters a position before the newest one; what stood there.
#[inline(always)]
fn push<const N: usize>(
    table: &mut NewestTwo<N>,
    view: View<'_>,
    hash: usize,
    at: usize,
) -> [Slot; 2] {
    let old = table[hash];
    table[hash] = [view.slot(at), old[0]];
    old
}
