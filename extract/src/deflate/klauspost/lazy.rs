//! Levels 7 to 9 of klauspost/compress flate: hash chains with lazy evaluation.

use super::Class;
use super::writer::BlockWriter;
use crate::deflate::chains::{Chains, LOOK_AHEAD, Limits, Link, MAX_MATCH, MIN_MATCH, WINDOW};
use crate::deflate::huffman::Code;
use crate::deflate::symbols::{DISTANCE_RANGES, LENGTH_RANGES, distance_symbol, length_symbol};
use crate::deflate::tokens::{Token, Tokens};
use crate::deflate::window::common;

const TOKENS: usize = 1 << 15;
/// Where the search at a match's end begins to compare.
const CHECK: usize = 2;
/// What a match must gain beside its own bits, in bits.
const MATCH_COST: i64 = 3;
/// A match must gain more than this, in bits.
const MIN_GAIN: i64 = 4;

/// The search of levels 7 to 9.
#[derive(Debug)]
pub(super) struct Lazy {
    class: Class,
    chain: u32,
    nice: usize,
    lazy: usize,
    chains: Chains,
    at: usize,
    head: Link,
    length: usize,
    distance: usize,
    pending: bool,
    /// Literals in a row.
    misses: u16,
    block_start: Option<usize>,
    tokens: Tokens,
    /// Bits of each byte as a literal, at level 9.
    literal_bits: Option<[u8; 256]>,
}

impl Lazy {
    pub(super) fn new(level: u8, class: Class) -> Self {
        let (chain, nice, lazy) = match level {
            7 => (24, 16, 12),
            8 => (64, 40, 30),
            _ => (1024, 258, 258),
        };
        Self {
            class,
            chain,
            nice,
            lazy,
            chains: Chains::new(),
            at: 0,
            head: 0,
            length: MIN_MATCH - 1,
            distance: 0,
            pending: false,
            misses: 0,
            block_start: Some(0),
            tokens: Tokens::new(),
            literal_bits: (level == 9).then_some([0; 256]),
        }
    }

    /// Begins another text.
    pub(super) fn reset(&mut self) {
        self.chains.clear();
        (self.at, self.head, self.length, self.distance) = (0, 0, MIN_MATCH - 1, 0);
        (self.pending, self.misses, self.block_start) = (false, 0, Some(0));
        self.tokens.clear();
        if let Some(bits) = &mut self.literal_bits {
            bits.fill(0);
        }
    }

    /// Makes text known that is not encoded: at most 32 KiB, before anything else.
    pub(super) fn dictionary(&mut self, text: &[u8]) {
        self.chains.append(text);
        for at in 0..text.len().saturating_sub(MIN_MATCH - 1) {
            self.chains.insert(self.chains.klauspost_hash(at), at);
        }
        self.at = text.len();
        // The first block counts the dictionary as its own text, so it is never stored.
        self.block_start = None;
    }

    pub(super) fn write(&mut self, mut text: &[u8], writer: &mut BlockWriter) {
        loop {
            text = self.chains.append(text);
            if text.is_empty() {
                return;
            }
            self.search(false, writer);
            let moved = self.chains.move_on(self.at);
            self.at -= moved;
            self.head = self.head.saturating_sub(moved as Link);
            self.block_start = self.block_start.and_then(|start| start.checked_sub(moved));
        }
    }

    /// Works off everything.
    pub(super) fn flush(&mut self, writer: &mut BlockWriter) {
        self.search(true, writer);
    }

    fn search(&mut self, last: bool, writer: &mut BlockWriter) {
        let end = self.chains.len;
        if end - self.at < LOOK_AHEAD && !last {
            return;
        }
        self.weigh_literals();
        loop {
            let look_ahead = end - self.at;
            if look_ahead < LOOK_AHEAD {
                if !last {
                    return;
                }
                if look_ahead == 0 {
                    if std::mem::take(&mut self.pending) {
                        self.tokens.push(Token::literal(self.chains.byte(self.at - 1)));
                    }
                    if self.tokens.len() > 0 {
                        self.write_block(writer, last);
                    }
                    return;
                }
            }
            self.step(end, look_ahead, last, writer);
        }
    }

    fn weigh_literals(&mut self) {
        let Some(bits) = &mut self.literal_bits else { return };
        let text = &self.chains.text[self.at..self.chains.len];
        let text = if self.class.weighs_all() { text } else { &text[..text.len().min(TOKENS)] };
        if text.is_empty() {
            return;
        }
        let mut counts = [0u32; 256];
        for &byte in text {
            counts[usize::from(byte)] = (counts[usize::from(byte)] + 1) & 0xffff;
        }
        let code = Code::optimal(&counts, 15);
        *bits = code.lens.map(|len| if len == 0 { self.class.missing_literal_bits() } else { len });
    }

    fn step(&mut self, end: usize, look_ahead: usize, last: bool, writer: &mut BlockWriter) {
        self.enter(end);
        let (mut length, mut distance) = (self.length, self.distance);
        (self.length, self.distance) = (MIN_MATCH - 1, 0);
        if look_ahead > length && length < self.lazy {
            self.find(look_ahead);
        }
        if length < MIN_MATCH || self.length > length {
            return self.no_match(end, last, writer);
        }
        let left = end.saturating_sub(self.at - 1 + length);
        if self.class.gives_up_first_bytes() {
            if length < MAX_MATCH - CHECK && left >= MIN_MATCH {
                (length, distance) =
                    self.check_end(length, distance, end, look_ahead, last, writer);
            }
        } else if left >= MIN_MATCH + CHECK {
            (length, distance) = self.check_whole(length, distance, look_ahead);
        }
        self.tokens.push(Token::matched(length, distance));
        let next = self.at + length - 1;
        for at in self.at + 1..next.min(end.saturating_sub(MIN_MATCH - 1)) {
            self.chains.insert(self.chains.klauspost_hash(at), at);
        }
        self.at = next;
        self.pending = false;
        self.length = MIN_MATCH - 1;
        self.write_full_block(writer, last);
        self.misses = 0;
    }

    /// Looks whether the text at the end of the match is known elsewhere with all of the match before it.
    fn check_whole(&self, length: usize, distance: usize, look_ahead: usize) -> (usize, usize) {
        let start = self.at - 1;
        let least = self.at.saturating_sub(WINDOW);
        let back = MIN_MATCH - CHECK;
        let head = self.chains.last(self.chains.klauspost_hash(start + length - back));
        let from = head.and_then(|head| (head + back).checked_sub(length));
        let Some(from) = from.filter(|&from| from > least && from < start) else {
            return (length, distance);
        };
        let found = common(&self.chains.text, from, start, look_ahead.min(MAX_MATCH));
        if found > length { (found, start - from) } else { (length, distance) }
    }

    /// Looks whether the text at the end of the match is known elsewhere with more before it.
    fn check_end(
        &mut self,
        length: usize,
        distance: usize,
        end: usize,
        look_ahead: usize,
        last: bool,
        writer: &mut BlockWriter,
    ) -> (usize, usize) {
        let start = self.at - 1;
        let least = self.at.saturating_sub(WINDOW) + CHECK;
        let Some(head) = self.chains.last(self.chains.klauspost_hash(start + length)) else {
            return (length, distance);
        };
        let Some(from) =
            head.checked_sub(length).filter(|&from| from > least && start != from + distance)
        else {
            return (length, distance);
        };
        if from > start {
            return (length, distance);
        }
        let most = look_ahead.min(MAX_MATCH + CHECK) - CHECK;
        let mut found = common(&self.chains.text, from + CHECK, start + CHECK, most);
        if found <= length {
            return (length, distance);
        }
        for i in (0..CHECK).rev() {
            if found >= MAX_MATCH || self.chains.byte(start + i) != self.chains.byte(from + i) {
                for owed in 0..=i {
                    self.tokens.push(Token::literal(self.chains.byte(start + owed)));
                    self.write_full_block(writer, last);
                    self.at += 1;
                    self.enter(end);
                }
                break;
            }
            found += 1;
        }
        (found, start - from)
    }

    /// No match to emit: the byte before goes out, after many of them more go out unsearched.
    fn no_match(&mut self, end: usize, last: bool, writer: &mut BlockWriter) {
        if self.length >= MIN_MATCH {
            self.misses = 0;
        }
        if !self.pending {
            self.at += 1;
            self.pending = true;
            return;
        }
        self.misses = self.misses.wrapping_add(1);
        self.tokens.push(Token::literal(self.chains.byte(self.at - 1)));
        self.write_full_block(writer, last);
        self.at += 1;
        let Some(excess) =
            usize::from(self.misses).checked_sub(self.chain as usize).filter(|&n| n > 0)
        else {
            return;
        };
        for _ in 0..1 + (excess >> 6) {
            if self.at + 1 >= end {
                break;
            }
            self.tokens.push(Token::literal(self.chains.byte(self.at - 1)));
            self.write_full_block(writer, last);
            self.enter(end);
            self.at += 1;
        }
        self.tokens.push(Token::literal(self.chains.byte(self.at - 1)));
        self.pending = false;
        self.write_full_block(writer, last);
    }

    fn write_full_block(&mut self, writer: &mut BlockWriter, last: bool) {
        if self.tokens.len() == TOKENS {
            self.write_block(writer, last);
        }
    }

    fn write_block(&mut self, writer: &mut BlockWriter, last: bool) {
        let text = self.block_start.map(|start| &self.chains.text[start..self.at]);
        writer.tokens(self.tokens.as_slice(), text, last);
        self.block_start = Some(self.at);
        self.tokens.clear();
    }

    /// Enters the current position and remembers what the head of its chain was.
    fn enter(&mut self, end: usize) {
        if self.at + MIN_MATCH <= end {
            self.head = self.chains.insert(self.chains.klauspost_hash(self.at), self.at);
        }
    }

    #[inline(always)]
    fn find(&mut self, look_ahead: usize) {
        let most = look_ahead.min(MAX_MATCH);
        let limits = Limits { most, nice: self.nice.min(most), chain: self.chain };
        let found = match &self.literal_bits {
            None => self.chains.find(self.head, self.at, limits, |_, _| true),
            Some(bits) => {
                let ours = &self.chains.text[self.at..self.at + most];
                let mut gain = MIN_GAIN;
                self.chains.find(self.head, self.at, limits, |n, distance| {
                    let new = gain_of(&ours[..n], distance, bits);
                    let better = new > gain;
                    gain = gain.max(new);
                    better
                })
            }
        };
        (self.length, self.distance) = found;
    }
}

/// What a match saves against literals, in bits, as the original estimates it: the distance's extra bits are those of
/// the next distance.
fn gain_of(text: &[u8], distance: usize, bits: &[u8; 256]) -> i64 {
    let literals: i64 = text.iter().map(|&byte| i64::from(bits[usize::from(byte)])).sum();
    let extra =
        if distance == WINDOW { 6 } else { DISTANCE_RANGES[distance_symbol(distance + 1)].extra };
    literals
        - i64::from(extra)
        - i64::from(LENGTH_RANGES[length_symbol(text.len())].extra)
        - MATCH_COST
}
