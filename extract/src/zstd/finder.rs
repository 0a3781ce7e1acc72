//! Finds matches as klauspost/compress zstd does: the content so far, and where a hash was seen last.

use super::Level;
use super::best;
use super::block::{MAX_BLOCK_LEN, Sequence};
use super::search::{self, Long, Search, Short};
use crate::deflate::boxed;

/// Content kept beyond the window, so that it is not moved for each block.
pub(super) const SLACK_LEN: usize = 3 << 20;
/// Positions are counted anew from here on.
const REBASE: u32 = 1 << 31;

/// Where content with a hash was seen last, in the high half, and its first four bytes. 0 is out of reach.
pub(super) type Place = u64;

/// Looks for matches in one text, block after block.
#[derive(Debug)]
pub(super) struct Finder {
    level: Level,
    content: Vec<u8>,
    /// Where the next block begins in it.
    block: usize,
    /// The position of the first byte of `content`.
    base: u32,
    long: Box<Long>,
    short: Box<Short>,
    /// What the strongest level has in their place.
    best: Option<best::Tables>,
    /// What was found in the last block.
    pub found: Found,
}

/// Literals are copied so many bytes at a time.
const AT_ONCE: usize = 16;

/// The sequences and literals of a block.
#[derive(Debug)]
pub(super) struct Found {
    pub sequences: Vec<Sequence>,
    literals: Box<[u8; MAX_BLOCK_LEN + AT_ONCE]>,
    literals_len: usize,
}

impl Found {
    fn new() -> Self {
        Self { sequences: Vec::new(), literals: boxed(0), literals_len: 0 }
    }

    fn clear(&mut self) {
        self.sequences.clear();
        self.literals_len = 0;
    }

    pub(super) fn literals(&self) -> &[u8] {
        &self.literals[..self.literals_len.min(MAX_BLOCK_LEN)]
    }

    /// Appends content as literals.
    #[inline(always)]
    pub(super) fn push_literals(&mut self, content: &[u8], start: usize, end: usize) {
        let (mut from, mut to) = (start, self.literals_len);
        self.literals_len += end - start;
        while from < end {
            let copied = match (
                content[from..].first_chunk::<AT_ONCE>(),
                self.literals[to..].first_chunk_mut(),
            ) {
                (Some(bytes), Some(room)) => {
                    *room = *bytes;
                    AT_ONCE
                }
                _ => {
                    self.literals[to..][..end - from].copy_from_slice(&content[from..end]);
                    end - from
                }
            };
            from += copied;
            to += copied;
        }
    }
}

impl Finder {
    pub(super) fn new(level: Level) -> Self {
        Self {
            level,
            content: Vec::with_capacity(level.window_len() + SLACK_LEN),
            block: 0,
            base: level.window_len() as u32,
            long: boxed(0),
            short: boxed(0),
            best: (level == Level::Best).then(best::Tables::new),
            found: Found::new(),
        }
    }

    /// Takes in content of the next block, which is no longer than the level's.
    pub(super) fn append(&mut self, text: &[u8]) {
        if self.block().is_empty() {
            self.make_room();
        }
        self.content.extend_from_slice(text);
    }

    /// Content that was taken in since the last block.
    pub(super) fn block(&self) -> &[u8] {
        &self.content[self.block..]
    }

    /// Finds the sequences of the block. `alone` is for a text of one block, which is searched a little differently.
    pub(super) fn find(&mut self, alone: bool) {
        let Self { level, content, block, base, long, short, best, found } = self;
        found.clear();
        if let Some(tables) = best {
            let emitted = best::Search::new(content, *block, *base, tables, found).run();
            return found.push_literals(content, emitted, content.len());
        }
        let mut emitted = *block;
        let fastest = *level == Level::Fastest;
        let (fewest, margin) = search::limits(fastest);
        if content.len() - *block >= fewest {
            let search = Search {
                window_len: level.window_len(),
                content,
                base: *base,
                long,
                short,
                found,
                emitted,
                end: content.len() - margin,
                distances: [0; 2],
            };
            emitted = search.run(fastest, alone);
        }
        found.push_literals(content, emitted, content.len());
    }

    /// The next block begins.
    pub(super) fn end_block(&mut self) {
        self.block = self.content.len();
    }

    /// Another text begins: what was seen before is out of reach.
    pub(super) fn reset(&mut self) {
        let (gone, window) = (self.content.len(), self.level.window_len());
        self.content.clear();
        self.block = 0;
        self.base += (gone + window) as u32;
        if self.base >= REBASE {
            self.long.fill(0);
            self.short.fill(0);
            self.best.iter_mut().for_each(best::Tables::clear);
            self.base = window as u32;
        }
    }

    /// Counts positions from here on.
    #[cfg(test)]
    pub(super) fn start_at(&mut self, base: u32) {
        self.base = base;
    }

    /// The position of the first byte that is kept.
    #[cfg(test)]
    pub(super) fn position(&self) -> u32 {
        self.base
    }

    fn make_room(&mut self) {
        let window = self.level.window_len();
        if self.content.len() + self.level.block_len() <= window + SLACK_LEN {
            return;
        }
        let gone = self.content.len().saturating_sub(window);
        self.content.drain(..gone);
        self.block -= gone;
        self.base += gone as u32;
        if self.base < REBASE {
            return;
        }
        let less = self.base - window as u32;
        self.best.iter_mut().for_each(|tables| tables.rebase(less));
        for place in self.long.iter_mut().chain(&mut *self.short) {
            let position = ((*place >> 32) as u32).saturating_sub(less);
            // What falls out of the window is out of reach.
            *place = u64::from(position) << 32 | (*place & 0xffff_ffff);
        }
        self.base -= less;
    }
}
