//! The deflate of GNU gzip.
//!
//! It is a relative of zlib's (both come from gzip 1.2.4): chains of positions whose next three bytes have the same hash, from
//! level 4 on with lazy evaluation. What differs: a hash of 15 bits, blocks of at most 32,767 tokens that may end early where
//! they compress well, and matches that are looked for past the end of the text, in what the window held before.

mod block;
mod tree;

use block::Block;

use super::bits::BitWriter;
use super::symbols::{Codes, Counts, DISTANCE_RANGES, END, distance_symbol, length_symbol};
use super::tokens::Token;
use super::window::{boxed, common, load32};

const HALF: usize = 1 << 15;
const WINDOW: usize = 2 * HALF;
const MIN_MATCH: usize = 3;
const MAX_MATCH: usize = 258;
/// Look-ahead that a search wants unless the text ends.
const LOOK_AHEAD: usize = MIN_MATCH + MAX_MATCH + 1;
/// The farthest match.
const REACH: usize = HALF - LOOK_AHEAD;
/// Matches of three bytes that are farther than this are not worth it.
const TOO_FAR: usize = 4096;
const HASH_BITS: u32 = 15;
const TOKENS: usize = (1 << 15) - 1;
/// After so many tokens each it is asked whether a block compresses well.
const ASKED_EACH: usize = 1 << 12;

/// What a level means.
#[derive(Debug, Clone, Copy)]
struct Effort {
    /// A quarter of the chain is enough after a match of this length.
    good: usize,
    /// Matches of this length are not improved; without lazy evaluation: the longest match whose positions are inserted.
    lazy: usize,
    nice: usize,
    chain: u32,
}

const fn effort(level: u8) -> Effort {
    let (good, lazy, nice, chain) = match level {
        1 => (4, 4, 8, 4),
        2 => (4, 5, 16, 8),
        3 => (4, 6, 32, 32),
        4 => (4, 4, 16, 16),
        5 => (8, 16, 32, 32),
        7 => (8, 32, 128, 256),
        8 => (32, 128, 258, 1024),
        9 => (32, 258, 258, 4096),
        _ => (8, 16, 128, 128),
    };
    Effort { good, lazy, nice, chain }
}

/// An encoder of a level, 1 to 9. The text comes whole windows at a time, as gzip reads a file.
#[derive(Debug)]
pub struct Gnu {
    level: u8,
    effort: Effort,
    window: Box<[u8; WINDOW + 8]>,
    at: usize,
    look_ahead: usize,
    /// Where the block begins; before the window if that has moved on.
    block_start: i64,
    /// Positions in the window; 0 stands for none, so that the first byte is never found.
    heads: Box<[u16; 1 << HASH_BITS]>,
    links: Box<[u16; HALF]>,
    hash: usize,
    length: usize,
    start: usize,
    pending: bool,
    tokens: Vec<Token>,
    counts: Counts,
    fixed: Codes,
    bits: BitWriter,
}

impl Gnu {
    /// An encoder of this level.
    pub fn new(level: u8) -> Self {
        Self {
            level,
            effort: effort(level),
            window: boxed(0),
            at: 0,
            look_ahead: 0,
            block_start: 0,
            heads: boxed(0),
            links: boxed(0),
            hash: 0,
            length: MIN_MATCH - 1,
            start: 0,
            pending: false,
            tokens: Vec::with_capacity(TOKENS),
            counts: Counts::zero(),
            fixed: Codes::fixed(),
            bits: BitWriter::default(),
        }
    }

    /// Takes in the next bytes of the text; appends what is ready.
    pub fn write(&mut self, mut text: &[u8], out: &mut Vec<u8>) {
        loop {
            let end = self.at + self.look_ahead;
            let n = text.len().min(WINDOW - end);
            self.window[end..end + n].copy_from_slice(&text[..n]);
            self.look_ahead += n;
            text = &text[n..];
            if text.is_empty() {
                return;
            }
            self.search(LOOK_AHEAD);
            self.move_on();
            self.bits.drain_to(out);
        }
    }

    /// Appends the rest.
    pub fn finish(&mut self, out: &mut Vec<u8>) {
        self.search(LOOK_AHEAD);
        self.move_on();
        let end = self.at + self.look_ahead;
        // Where the text ended is known only now.
        self.window[end..end + MIN_MATCH - 1].fill(0);
        self.search(1);
        if self.pending {
            self.literal(self.at - 1);
        }
        self.end_block(true);
        self.bits.align();
        self.bits.drain_to(out);
    }

    fn search(&mut self, look_ahead: usize) {
        if self.at == 0 && self.look_ahead >= look_ahead {
            self.restart_hash();
        }
        while self.look_ahead >= look_ahead {
            if self.level <= 3 {
                self.step_fast();
            } else {
                self.step_lazy();
            }
        }
    }

    /// Makes room: the upper half of the window moves down.
    fn move_on(&mut self) {
        if self.at < HALF + REACH {
            return;
        }
        self.window.copy_within(HALF..WINDOW, 0);
        self.at -= HALF;
        self.start = self.start.saturating_sub(HALF);
        self.block_start -= HALF as i64;
        for position in self.heads.iter_mut().chain(&mut *self.links) {
            *position = position.saturating_sub(HALF as u16);
        }
    }

    fn restart_hash(&mut self) {
        self.hash = 0;
        self.roll(self.window[self.at]);
        self.roll(self.window[self.at + 1]);
    }

    #[inline]
    fn roll(&mut self, byte: u8) {
        self.hash = (self.hash << 5 ^ usize::from(byte)) & ((1 << HASH_BITS) - 1);
    }

    /// Enters a position into its chain; what the head of the chain was.
    #[inline]
    fn insert(&mut self, at: usize) -> usize {
        self.roll(self.window[at + MIN_MATCH - 1]);
        let head = std::mem::replace(&mut self.heads[self.hash], at as u16);
        self.links[at & (HALF - 1)] = head;
        usize::from(head)
    }

    fn searched(&self, head: usize) -> bool {
        head != 0 && self.at - head <= REACH && self.at <= WINDOW - LOOK_AHEAD
    }

    fn step_fast(&mut self) {
        let head = self.insert(self.at);
        let mut length = 0;
        if self.searched(head) {
            length = self.longest(head, MIN_MATCH - 1).min(self.look_ahead);
        }
        if length < MIN_MATCH {
            let full = self.literal(self.at);
            self.at += 1;
            self.look_ahead -= 1;
            return self.end_if(full);
        }
        let full = self.matched(length, self.at - self.start);
        self.look_ahead -= length;
        if length <= self.effort.lazy {
            for at in self.at + 1..self.at + length {
                self.insert(at);
            }
            self.at += length;
        } else {
            self.at += length;
            self.restart_hash();
        }
        self.end_if(full);
    }

    fn step_lazy(&mut self) {
        let head = self.insert(self.at);
        let (before, start) = (self.length, self.start);
        self.length = MIN_MATCH - 1;
        if before < self.effort.lazy && self.searched(head) {
            self.length = self.longest(head, before).min(self.look_ahead);
            if self.length == MIN_MATCH && self.at - self.start > TOO_FAR {
                self.length -= 1;
            }
        }
        if before >= MIN_MATCH && self.length <= before {
            let full = self.matched(before, self.at - 1 - start);
            for at in self.at + 1..self.at + before - 1 {
                self.insert(at);
            }
            self.at += before - 1;
            self.look_ahead -= before - 1;
            self.pending = false;
            self.length = MIN_MATCH - 1;
            return self.end_if(full);
        }
        if self.pending {
            let full = self.literal(self.at - 1);
            self.end_if(full);
        }
        self.pending = true;
        self.at += 1;
        self.look_ahead -= 1;
    }

    /// The length of the best match that is longer than `best`, else that; its place is in `start`.
    #[inline]
    fn longest(&mut self, head: usize, mut best: usize) -> usize {
        let at = self.at;
        let limit = at.saturating_sub(REACH);
        let mut chain = self.effort.chain;
        if best >= self.effort.good {
            chain >>= 2;
        }
        let (window, links) = (&*self.window, &*self.links);
        let two = |at: usize| load32(window, at) as u16;
        let first = two(at);
        let mut last = two(at + best - 1);
        let mut candidate = head;
        loop {
            if two(candidate + best - 1) == last && two(candidate) == first {
                // Also what lies behind the end of the text is compared.
                let length = common(window, candidate, at, MAX_MATCH);
                if length > best {
                    self.start = candidate;
                    best = length;
                    if length >= self.effort.nice {
                        return length;
                    }
                    last = two(at + best - 1);
                }
            }
            candidate = usize::from(links[candidate & (HALF - 1)]);
            chain -= 1;
            if candidate <= limit || chain == 0 {
                return best;
            }
        }
    }

    /// Takes the byte at a place as a literal; whether the block is full.
    fn literal(&mut self, at: usize) -> bool {
        let byte = self.window[at];
        self.counts.literals[usize::from(byte)] += 1;
        self.tokens.push(Token::literal(byte));
        self.is_full()
    }

    /// Takes a match; whether the block is full.
    fn matched(&mut self, length: usize, distance: usize) -> bool {
        self.counts.literals[END + 1 + length_symbol(length)] += 1;
        self.counts.distances[distance_symbol(distance)] += 1;
        self.tokens.push(Token::matched(length, distance));
        self.is_full()
    }

    /// Whether the block has all the tokens that it may have, or has few matches and comes to less than half of its text.
    fn is_full(&self) -> bool {
        if self.level > 2 && self.tokens.len().is_multiple_of(ASKED_EACH) {
            let symbols = self.counts.distances.iter().zip(&DISTANCE_RANGES);
            let bits: u64 =
                symbols.map(|(&n, range)| u64::from(n) * (5 + u64::from(range.extra))).sum();
            let coded = (self.tokens.len() as u64 * 8 + bits) / 8;
            let matches: u32 = self.counts.distances.iter().sum();
            let text = self.at as i64 - self.block_start;
            if (matches as usize) < self.tokens.len() / 2 && (coded as i64) < text / 2 {
                return true;
            }
        }
        self.tokens.len() == TOKENS
    }

    fn end_if(&mut self, full: bool) {
        if full {
            self.end_block(false);
        }
    }

    fn end_block(&mut self, last: bool) {
        let text = usize::try_from(self.block_start).ok().map(|start| &self.window[start..self.at]);
        let block = Block { tokens: &self.tokens, text, last, fixed: &self.fixed };
        block.write(&mut self.counts, &mut self.bits);
        self.block_start = self.at as i64;
        self.tokens.clear();
        self.counts = Counts::zero();
    }
}
