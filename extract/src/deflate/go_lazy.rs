//! Levels 2 to 9 of Go's compress/flate, Go 1.16 to 1.26 ("go-a").
//!
//! Hash chains over four bytes in a window of 64 KiB, from level 4 on with lazy evaluation. The window is always filled
//! before the search goes on, as it is when a program writes everything at once.

use super::bits::BitWriter;
use super::symbols::{Codes, Counts, END, Header, Token, stored_size, write_stored};

const WINDOW: usize = 1 << 15;
const BUFFER: usize = 2 * WINDOW;
const MIN_MATCH: usize = 4;
const MAX_MATCH: usize = 258;
/// Look-ahead that a search wants unless the text ends.
const LOOK_AHEAD: usize = MIN_MATCH + MAX_MATCH;
/// Where the upper half of the buffer moves down.
const MOVE_AT: usize = BUFFER - LOOK_AHEAD;
const TOKENS: usize = 1 << 14;
const HASH_BITS: u32 = 17;

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

/// An encoder of levels 2 to 9.
#[derive(Debug)]
pub(crate) struct GoLazy {
    effort: Effort,
    buffer: Vec<u8>,
    /// Bytes of the text before the buffer's start.
    moved: usize,
    at: usize,
    /// Positions in the text plus one; 0 stands for none.
    heads: Vec<u32>,
    links: Vec<u32>,
    head: u32,
    length: usize,
    distance: usize,
    pending: bool,
    block_start: Option<usize>,
    tokens: Vec<Token>,
    fixed: Codes,
    bits: BitWriter,
}

impl GoLazy {
    /// An encoder of this level, 2 to 9.
    pub(crate) fn new(level: u8) -> Self {
        Self {
            effort: effort(level),
            buffer: Vec::with_capacity(BUFFER),
            moved: 0,
            at: 0,
            heads: vec![0; 1 << HASH_BITS],
            links: vec![0; WINDOW],
            head: 0,
            length: MIN_MATCH - 1,
            distance: 0,
            pending: false,
            block_start: Some(0),
            tokens: Vec::with_capacity(TOKENS),
            fixed: Codes::fixed(),
            bits: BitWriter::default(),
        }
    }

    pub(crate) fn write(&mut self, mut text: &[u8], out: &mut Vec<u8>) {
        loop {
            let n = text.len().min(BUFFER - self.buffer.len());
            self.buffer.extend_from_slice(&text[..n]);
            text = &text[n..];
            if text.is_empty() {
                return;
            }
            self.search(false);
            self.bits.drain_to(out);
            self.make_room();
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
        write_stored(&[], last, &mut self.bits);
        self.bits.drain_to(out);
    }

    fn make_room(&mut self) {
        if self.at < MOVE_AT {
            return;
        }
        self.buffer.drain(..WINDOW);
        self.at -= WINDOW;
        self.moved += WINDOW;
        self.block_start = self.block_start.and_then(|start| start.checked_sub(WINDOW));
    }

    fn search(&mut self, last: bool) {
        let end = self.buffer.len();
        loop {
            let look_ahead = end - self.at;
            if look_ahead < LOOK_AHEAD {
                if !last {
                    return;
                }
                if look_ahead == 0 {
                    self.end_of_text();
                    return;
                }
            }
            self.step(end, look_ahead);
        }
    }

    fn end_of_text(&mut self) {
        if std::mem::take(&mut self.pending) {
            self.tokens.push(Token::literal(self.buffer[self.at - 1]));
        }
        if !self.tokens.is_empty() {
            self.write_block(self.at);
        }
    }

    /// One position: insert, search, emit.
    fn step(&mut self, end: usize, look_ahead: usize) {
        if self.at + MIN_MATCH <= end {
            self.head = self.insert(self.at);
        }
        let (previous_length, previous_distance) = (self.length, self.distance);
        (self.length, self.distance) = (MIN_MATCH - 1, 0);
        let wanted = match self.effort.lazy {
            None => look_ahead >= MIN_MATCH,
            Some(lazy) => look_ahead > previous_length && previous_length < lazy,
        };
        if wanted {
            self.find(look_ahead);
        }
        match self.effort.lazy {
            None if self.length >= MIN_MATCH => {
                self.tokens.push(Token::matched(self.length, self.distance));
                if self.length <= self.effort.insert {
                    self.insert_range(self.at + 1, self.at + self.length, end);
                }
                self.at += self.length;
            }
            Some(_) if previous_length >= MIN_MATCH && self.length <= previous_length => {
                self.tokens.push(Token::matched(previous_length, previous_distance));
                let next = self.at + previous_length - 1;
                self.insert_range(self.at + 1, next, end);
                self.at = next;
                self.pending = false;
                self.length = MIN_MATCH - 1;
            }
            lazy => {
                let literal =
                    if lazy.is_none() { Some(self.at) } else { self.pending.then(|| self.at - 1) };
                if let Some(literal) = literal {
                    self.tokens.push(Token::literal(self.buffer[literal]));
                    if self.tokens.len() == TOKENS {
                        self.write_block(literal + 1);
                    }
                }
                self.at += 1;
                self.pending = lazy.is_some();
                return;
            }
        }
        if self.tokens.len() == TOKENS {
            self.write_block(self.at);
        }
    }

    /// Enters a position into its chain; what the head of the chain was.
    #[inline]
    fn insert(&mut self, at: usize) -> u32 {
        let four = [self.buffer[at], self.buffer[at + 1], self.buffer[at + 2], self.buffer[at + 3]];
        let hash = u32::from_be_bytes(four).wrapping_mul(0x1e35_a7bd) >> (32 - HASH_BITS);
        let position = (self.moved + at) as u32;
        let head = std::mem::replace(&mut self.heads[hash as usize], position.wrapping_add(1));
        self.links[at & (WINDOW - 1)] = head;
        head
    }

    fn insert_range(&mut self, from: usize, to: usize, end: usize) {
        for at in from..to.min(end.saturating_sub(MIN_MATCH - 1)) {
            self.insert(at);
        }
    }

    /// Searches the chain for a match that is longer than three bytes.
    fn find(&mut self, look_ahead: usize) {
        let at = self.at;
        let reach = at.saturating_sub(WINDOW);
        let most = look_ahead.min(MAX_MATCH);
        let nice = self.effort.nice.min(most);
        let (before, ours) = (&self.buffer[..at + most], &self.buffer[at..at + most]);
        let mut link = self.head;
        for _ in 0..self.effort.chain {
            let Some(candidate) =
                self.in_buffer(link).filter(|&candidate| candidate >= reach && candidate < at)
            else {
                return;
            };
            if before[candidate + self.length] == ours[self.length] {
                let n = common_prefix(&before[candidate..], ours);
                if n > self.length && (n > MIN_MATCH || at - candidate <= 4096) {
                    (self.length, self.distance) = (n, at - candidate);
                    if n >= nice {
                        return;
                    }
                }
            }
            if candidate == reach {
                return;
            }
            link = self.links[candidate & (WINDOW - 1)];
        }
    }

    /// The place in the buffer of a position from a chain.
    #[inline]
    fn in_buffer(&self, link: u32) -> Option<usize> {
        // Positions are kept modulo 2^32; what is in reach is less than 2^17 back.
        if link == 0 {
            return None;
        }
        let back = ((self.moved + self.at) as u32).wrapping_sub(link.wrapping_sub(1));
        self.at.checked_sub(back as usize)
    }

    /// Ends a block before a place in the buffer.
    fn write_block(&mut self, end: usize) {
        let mut counts = Counts::of(&self.tokens);
        counts.literals[END] += 1;
        if counts.distances.iter().all(|&count| count == 0) {
            counts.distances[0] = 1;
        }
        let text = self
            .block_start
            .map(|start| &self.buffer[start..end])
            .filter(|text| text.len() <= 65535);
        let codes = Codes::optimal(&counts);
        let header = Header::exact(&codes);
        let extra = if text.is_some() { counts.extra_bits() } else { 0 };
        let dynamic = header.size() + codes.cost(&counts) + extra;
        let fixed = 3 + self.fixed.cost(&counts) + extra;
        match text {
            Some(text) if stored_size(text.len()) < dynamic.min(fixed) => {
                write_stored(text, false, &mut self.bits)
            }
            _ => {
                let codes = if dynamic < fixed {
                    header.write(&mut self.bits);
                    &codes
                } else {
                    self.bits.put(0b010, 3);
                    &self.fixed
                };
                codes.write(&self.tokens, &mut self.bits);
                codes.put_literal(END, &mut self.bits);
            }
        }
        self.block_start = Some(end);
        self.tokens.clear();
    }
}

/// How many bytes two texts have in common at their beginning, at most as many as `ours` has.
#[inline]
pub(crate) fn common_prefix(theirs: &[u8], ours: &[u8]) -> usize {
    let len = ours.len().min(theirs.len());
    let (theirs, ours) = (&theirs[..len], &ours[..len]);
    let mut n = 0;
    while n + 8 <= len {
        let word = |text: &[u8]| u64::from_le_bytes(text[n..n + 8].try_into().unwrap_or_default());
        let difference = word(theirs) ^ word(ours);
        if difference != 0 {
            return n + difference.trailing_zeros() as usize / 8;
        }
        n += 8;
    }
    while n < len && theirs[n] == ours[n] {
        n += 1;
    }
    n
}
