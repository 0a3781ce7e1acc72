//! Levels 2 to 9 of Go's compress/flate, Go 1.16 to 1.26 ("go-a").
//!
//! Hash chains over four bytes in a window of 64 KiB, from level 4 on with lazy evaluation. The window is always filled
//! before the search goes on, as it is when a program writes everything at once.

use super::bits::BitWriter;
use super::chains::{Chains, LOOK_AHEAD, Limits, Link, MAX_MATCH, MIN_MATCH};
use super::header::{Header, stored_size, write_stored};
use super::symbols::{Codes, Counts, END};
use super::tokens::{Token, Tokens};

const TOKENS: usize = 1 << 14;
/// A match of four bytes at a longer distance than this is not worth it.
const TOO_FAR: usize = 4096;

/// What a level means.
#[derive(Debug, Clone, Copy)]
struct Effort {
    chain: u32,
    nice: usize,
    /// Matches of this length are not improved; none: no lazy evaluation.
    lazy: Option<usize>,
    /// Without lazy evaluation: the longest match whose inner positions are inserted.
    insert: usize,
}

const fn effort(level: u8) -> Effort {
    let (chain, nice, lazy, insert) = match level {
        2 => (8, 16, None, 5),
        3 => (32, 32, None, 6),
        4 => (16, 16, Some(4), 0),
        5 => (32, 32, Some(16), 0),
        7 => (256, 128, Some(32), 0),
        8 => (1024, 258, Some(128), 0),
        9 => (4096, 258, Some(258), 0),
        _ => (128, 128, Some(16), 0),
    };
    Effort { chain, nice, lazy, insert }
}

/// Where the search stands.
#[derive(Debug, Clone, Copy)]
struct State {
    at: usize,
    /// The chain of the last position that was entered.
    head: Link,
    /// The match at the position before, with lazy evaluation.
    length: usize,
    distance: usize,
    /// The byte before was not written yet.
    pending: bool,
}

/// An encoder of levels 2 to 9.
#[derive(Debug)]
pub(crate) struct GoLazy {
    effort: Effort,
    chains: Chains,
    state: State,
    tokens: Tokens,
    blocks: Blocks,
}

/// Writes blocks.
#[derive(Debug)]
struct Blocks {
    /// Where the block begins in the buffer, if that still holds it.
    start: Option<usize>,
    fixed: Codes,
    bits: BitWriter,
}

impl GoLazy {
    /// An encoder of this level, 2 to 9.
    pub(crate) fn new(level: u8) -> Self {
        let state = State { at: 0, head: 0, length: MIN_MATCH - 1, distance: 0, pending: false };
        let blocks = Blocks { start: Some(0), fixed: Codes::fixed(), bits: BitWriter::default() };
        let (chains, tokens) = (Chains::new(), Tokens::new());
        Self { effort: effort(level), chains, state, tokens, blocks }
    }

    pub(crate) fn write(&mut self, mut text: &[u8], out: &mut Vec<u8>) {
        loop {
            text = self.chains.append(text);
            if text.is_empty() {
                return;
            }
            self.search(false);
            self.blocks.bits.drain_to(out);
            let moved = self.chains.move_on(self.state.at);
            self.state.at -= moved;
            self.state.head = self.state.head.saturating_sub(moved as Link);
            self.blocks.start = self.blocks.start.and_then(|start| start.checked_sub(moved));
        }
    }

    pub(crate) fn flush(&mut self, out: &mut Vec<u8>) {
        self.end(false, out);
    }

    pub(crate) fn finish(&mut self, out: &mut Vec<u8>) {
        self.end(true, out);
    }

    fn end(&mut self, last: bool, out: &mut Vec<u8>) {
        // Bytes that came in since the search stopped may need room that it makes.
        self.search(true);
        write_stored(&[], last, &mut self.blocks.bits);
        self.blocks.bits.drain_to(out);
    }

    fn search(&mut self, last: bool) {
        match self.effort.lazy {
            Some(lazy) => self.search_lazily(lazy, last),
            None => self.search_greedily(last),
        }
        if last {
            self.end_of_text();
        }
    }

    fn end_of_text(&mut self) {
        if std::mem::take(&mut self.state.pending) {
            self.tokens.push(Token::literal(self.chains.byte(self.state.at - 1)));
        }
        if self.tokens.len() > 0 {
            self.blocks.write(&self.chains, &mut self.tokens, self.state.at);
        }
    }

    /// Levels 4 to 9: a match counts only if there is no longer one at the next position.
    fn search_lazily(&mut self, lazy: usize, last: bool) {
        let Self { effort, chains, state: kept, tokens, blocks } = self;
        let (end, mut state) = (chains.len, *kept);
        while state.at + (if last { 1 } else { LOOK_AHEAD }) <= end {
            let look_ahead = end - state.at;
            if look_ahead >= MIN_MATCH {
                state.head = chains.insert(chains.go_hash(state.at), state.at);
            }
            let (length, distance) = (state.length, state.distance);
            (state.length, state.distance) = (MIN_MATCH - 1, 0);
            if look_ahead > length && length < lazy {
                let found = find(chains, effort, &state, look_ahead);
                (state.length, state.distance) = found;
            }
            if length >= MIN_MATCH && state.length <= length {
                tokens.push(Token::matched(length, distance));
                let next = state.at + length - 1;
                insert(chains, state.at + 1, next);
                state.at = next;
                state.pending = false;
                state.length = MIN_MATCH - 1;
                blocks.write_full(chains, tokens, state.at);
                continue;
            }
            if state.pending {
                tokens.push(Token::literal(chains.byte(state.at - 1)));
                blocks.write_full(chains, tokens, state.at);
            }
            state.at += 1;
            state.pending = true;
        }
        *kept = state;
    }

    /// Levels 2 and 3: the first match counts.
    fn search_greedily(&mut self, last: bool) {
        let Self { effort, chains, state: kept, tokens, blocks } = self;
        let (end, mut state) = (chains.len, *kept);
        while state.at + (if last { 1 } else { LOOK_AHEAD }) <= end {
            let look_ahead = end - state.at;
            let (mut length, mut distance) = (MIN_MATCH - 1, 0);
            if look_ahead >= MIN_MATCH {
                state.head = chains.insert(chains.go_hash(state.at), state.at);
                (length, distance) = find(chains, effort, &state, look_ahead);
            }
            if length >= MIN_MATCH {
                tokens.push(Token::matched(length, distance));
                if length <= effort.insert {
                    insert(chains, state.at + 1, state.at + length);
                }
                state.at += length;
            } else {
                tokens.push(Token::literal(chains.byte(state.at)));
                state.at += 1;
            }
            blocks.write_full(chains, tokens, state.at);
        }
        *kept = state;
    }
}

/// Enters positions, as far as four bytes stand there.
#[inline(always)]
fn insert(chains: &mut Chains, from: usize, to: usize) {
    for at in from..to.min((chains.len + 1).saturating_sub(MIN_MATCH)) {
        chains.insert(chains.go_hash(at), at);
    }
}

/// Searches the chain for a match that is longer than three bytes.
#[inline(always)]
fn find(chains: &Chains, effort: &Effort, state: &State, look_ahead: usize) -> (usize, usize) {
    let most = look_ahead.min(MAX_MATCH);
    let limits = Limits { most, nice: effort.nice.min(most), chain: effort.chain };
    let accept = |n, distance| n > MIN_MATCH || distance <= TOO_FAR;
    chains.find(state.head, state.at, limits, accept)
}

impl Blocks {
    /// Ends a block before a place in the buffer, if it has all its tokens.
    #[inline(always)]
    fn write_full(&mut self, chains: &Chains, tokens: &mut Tokens, end: usize) {
        if tokens.len() == TOKENS {
            self.write(chains, tokens, end);
        }
    }

    /// Ends a block before a place in the buffer.
    fn write(&mut self, chains: &Chains, tokens: &mut Tokens, end: usize) {
        let mut counts = Counts::of(tokens.as_slice());
        counts.literals[END] += 1;
        if counts.distances.iter().all(|&count| count == 0) {
            counts.distances[0] = 1;
        }
        let text = self.start.map(|start| &chains.text[start..end]);
        let text = text.filter(|text| text.len() <= 65535);
        let codes = Codes::optimal(&counts);
        let header = Header::exact(&codes);
        let extra = if text.is_some() { counts.extra_bits() } else { 0 };
        let dynamic = header.size() + codes.cost(&counts) + extra;
        let fixed = 3 + self.fixed.cost(&counts) + extra;
        match text {
            Some(text) if stored_size(text.len()) < dynamic.min(fixed) => {
                write_stored(text, false, &mut self.bits);
            }
            _ => {
                let codes = if dynamic < fixed {
                    header.write(&mut self.bits);
                    &codes
                } else {
                    self.bits.put(0b010, 3);
                    &self.fixed
                };
                codes.write(tokens.as_slice(), &mut self.bits);
                codes.put_literal(END, &mut self.bits);
            }
        }
        self.start = Some(end);
        tokens.clear();
    }
}
