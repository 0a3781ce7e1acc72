//! Levels 1, 0 and -2 (Huffman only) of Go's compress/flate, Go 1.16 to 1.26 ("go-a").

use std::ops::Range;

use super::bits::BitWriter;
use super::header::{Header, stored_size, write_stored};
use super::symbols::{Codes, Counts, END};
use super::tokens::{Token, Tokens};
use super::window::{boxed, common, load32};

const BLOCK: usize = 65535;
const TABLE_BITS: u32 = 14;
const MAX_DISTANCE: u32 = 32768;
/// A search stops so many bytes before the end of its block.
const MARGIN: usize = 15;
/// Shorter blocks are not searched, and what was before them is forgotten.
const MIN_BLOCK: usize = 128;
/// Two blocks, and some bytes more.
const TEXT_LEN: usize = (1 << 17) + 8;
/// Positions are counted anew from here on.
const REBASE: u32 = 1 << 31;

/// How a block of the text becomes tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Effort {
    /// Level 0.
    Store,
    /// Level -2.
    HuffmanOnly,
    /// Level 1.
    Fast,
}

/// An encoder of blocks of 65,535 bytes.
#[derive(Debug)]
pub(crate) struct GoFast {
    effort: Effort,
    /// The block before, as far as matches may be in it, and the block that is being filled.
    text: Box<[u8; TEXT_LEN]>,
    /// Where the block begins.
    start: usize,
    /// Where the text ends.
    end: usize,
    matcher: Matcher,
    tokens: Tokens,
    bits: BitWriter,
}

impl GoFast {
    pub(crate) fn new(effort: Effort) -> Self {
        Self {
            effort,
            text: boxed(0),
            start: 0,
            end: 0,
            matcher: Matcher::new(),
            tokens: Tokens::new(),
            bits: BitWriter::default(),
        }
    }

    pub(crate) fn write(&mut self, mut text: &[u8], out: &mut Vec<u8>) {
        while !text.is_empty() {
            let (now, later) = text.split_at(text.len().min(self.start + BLOCK - self.end));
            self.text[self.end..][..now.len()].copy_from_slice(now);
            self.end += now.len();
            text = later;
            if self.end == self.start + BLOCK {
                self.block();
                self.bits.drain_to(out);
            }
        }
    }

    pub(crate) fn flush(&mut self, out: &mut Vec<u8>) {
        self.close(false, out);
    }

    pub(crate) fn finish(&mut self, out: &mut Vec<u8>) {
        self.close(true, out);
    }

    fn close(&mut self, last: bool, out: &mut Vec<u8>) {
        if self.end > self.start {
            self.block();
        }
        write_stored(&[], last, &mut self.bits);
        self.bits.drain_to(out);
    }

    fn block(&mut self) {
        let (block, bits) = (&self.text[self.start..self.end], &mut self.bits);
        let len = block.len();
        // How much of the text the next block knows.
        let mut kept = 0;
        self.matcher.rebase();
        match self.effort {
            Effort::Store => write_stored(block, false, bits),
            Effort::HuffmanOnly => write_literals(block, bits),
            Effort::Fast if len < MIN_BLOCK => {
                if len <= 16 {
                    write_stored(block, false, bits);
                } else {
                    write_literals(block, bits);
                }
                self.matcher.position += MAX_DISTANCE;
            }
            Effort::Fast => {
                self.matcher.search(&self.text, self.start..self.end, &mut self.tokens);
                if self.tokens.len() > len - len / 16 {
                    write_literals(block, bits);
                } else {
                    write_tokens(self.tokens.as_slice(), block, bits);
                }
                kept = len;
            }
        }
        self.text.copy_within(self.end - kept..self.end, 0);
        (self.start, self.end) = (kept, kept);
    }
}

fn write_literals(text: &[u8], bits: &mut BitWriter) {
    let mut counts = Counts::of_bytes(text);
    counts.literals[END] = 1;
    counts.distances[0] = 1;
    if let Some(codes) = open(&counts, text, bits) {
        codes.write_bytes(text, bits);
        codes.put_literal(END, bits);
    }
}

fn write_tokens(tokens: &[Token], text: &[u8], bits: &mut BitWriter) {
    let mut counts = Counts::of(tokens);
    counts.literals[END] = 1;
    if counts.distances.iter().all(|&count| count == 0) {
        counts.distances[0] = 1;
    }
    if let Some(codes) = open(&counts, text, bits) {
        codes.write(tokens, bits);
        codes.put_literal(END, bits);
    }
}

/// Writes the header of a dynamic block, or all of a stored one if that is hardly larger.
fn open(counts: &Counts, text: &[u8], bits: &mut BitWriter) -> Option<Codes> {
    let codes = Codes::optimal(counts);
    let header = Header::exact(&codes);
    let size = header.size() + codes.cost(counts);
    if stored_size(text.len()) < size + size / 16 {
        write_stored(text, false, bits);
        return None;
    }
    header.write(bits);
    Some(codes)
}

/// The search of level 1: one candidate for each hash of four bytes, in this block and the one before.
#[derive(Debug)]
struct Matcher {
    /// By hash: a position in the text, in the high half, and the four bytes there.
    table: Box<[u64; 1 << TABLE_BITS]>,
    /// The position at which the next block begins.
    position: u32,
}

#[inline(always)]
fn hash(four: u32) -> usize {
    (four.wrapping_mul(0x1e35_a7bd) >> (32 - TABLE_BITS)) as usize
}

impl Matcher {
    fn new() -> Self {
        Self { table: boxed(0), position: BLOCK as u32 }
    }

    /// Keeps positions small; what is out of reach stays so.
    fn rebase(&mut self) {
        let Some(less) = self.position.checked_sub(REBASE) else { return };
        let less = less + REBASE - BLOCK as u32;
        for entry in self.table.iter_mut() {
            let position = ((*entry >> 32) as u32).saturating_sub(less);
            *entry = u64::from(position) << 32 | (*entry & 0xffff_ffff);
        }
        self.position -= less;
    }

    /// The tokens of a block of at least [`MIN_BLOCK`] bytes, which stands at these places.
    fn search(&mut self, text: &[u8; TEXT_LEN], block: Range<usize>, tokens: &mut Tokens) {
        tokens.clear();
        let Range { start, end } = block;
        let emitted = self.search_from(text, start, end, tokens);
        tokens.push_literals(&text[emitted..end]);
        self.position += (end - start) as u32;
    }

    /// The tokens up to the last match; where that ends.
    fn search_from(
        &mut self,
        text: &[u8; TEXT_LEN],
        start: usize,
        end: usize,
        tokens: &mut Tokens,
    ) -> usize {
        let table = &mut *self.table;
        let base = self.position.wrapping_sub(start as u32);
        // Enters four bytes; how far back the same stood before under their hash, if that is in reach.
        let mut look_up = |four: u32, at: usize| {
            let position = base.wrapping_add(at as u32);
            let entry = u64::from(position) << 32 | u64::from(four);
            let before = std::mem::replace(&mut table[hash(four)], entry);
            let distance = position.wrapping_sub((before >> 32) as u32);
            (before as u32 == four && distance <= MAX_DISTANCE).then_some(distance as usize)
        };
        let limit = end - MARGIN;
        let (mut at, mut emitted) = (start, start);
        loop {
            // The next place with a match, in growing steps.
            let (mut next, mut skip) = (at, 32);
            let mut four = load32(text, at);
            let mut distance = loop {
                at = next;
                let step = skip >> 5;
                next += step;
                skip += step;
                if next > limit {
                    return emitted;
                }
                let ahead = load32(text, next);
                if let Some(distance) = look_up(four, at) {
                    break distance;
                }
                four = ahead;
            };
            tokens.push_literals(&text[emitted..at]);
            loop {
                // What stood before the text that is kept is not compared.
                let most = (end - at - 4).min(258 - 4);
                let from = (at + 4).checked_sub(distance);
                let len = 4 + from.map_or(0, |from| common(text, from, at + 4, most));
                tokens.push(Token::matched(len, distance));
                at += len;
                emitted = at;
                if at >= limit {
                    return emitted;
                }
                look_up(load32(text, at - 1), at - 1);
                match look_up(load32(text, at), at) {
                    Some(next) => distance = next,
                    None => break,
                }
            }
            at += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_are_counted_anew_in_time() {
        let text: Vec<u8> =
            (0..3 * BLOCK as u32).map(|at| (at.wrapping_mul(at) >> 7) as u8).collect();
        let coded = |position: u32| {
            let (mut encoder, mut out) = (GoFast::new(Effort::Fast), Vec::new());
            encoder.matcher.position = position;
            encoder.write(&text, &mut out);
            encoder.finish(&mut out);
            (out, encoder.matcher.position)
        };
        let (expected, _) = coded(BLOCK as u32);
        for before in [1, BLOCK as u32, 2 * BLOCK as u32] {
            let (out, position) = coded(REBASE - before);
            assert!(out == expected && position < REBASE, "{before}");
        }
    }

    #[test]
    fn nothing_is_known_after_a_short_piece() {
        let (mut encoder, mut out) = (GoFast::new(Effort::Fast), Vec::new());
        let text: Vec<u8> = (0..4000u32).map(|at| ((at * at) >> 5) as u8).collect();
        encoder.write(&text, &mut out);
        encoder.flush(&mut out);
        encoder.write(&text[..100], &mut out);
        encoder.flush(&mut out);
        let before = out.len();
        encoder.write(&text, &mut out);
        encoder.flush(&mut out);
        let mut alone = Vec::new();
        let mut encoder = GoFast::new(Effort::Fast);
        encoder.write(&text, &mut alone);
        encoder.flush(&mut alone);
        assert!(out[before..] == alone);
    }
}
