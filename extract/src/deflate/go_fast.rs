//! Levels 1, 0 and -2 (Huffman only) of Go's compress/flate, Go 1.16 to 1.26 ("go-a").

use super::bits::BitWriter;
use super::go_lazy::common_prefix;
use super::symbols::{Codes, Counts, END, Header, Token, stored_size, write_stored};

const BLOCK: usize = 65535;
const TABLE_BITS: u32 = 14;
const MAX_DISTANCE: i64 = 32768;
/// A search stops so many bytes before the end of its block.
const MARGIN: usize = 15;
/// Shorter blocks are not searched.
const MIN_SEARCHED: usize = 17;

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
    buffer: Vec<u8>,
    matcher: Matcher,
    bits: BitWriter,
}

impl GoFast {
    pub(crate) fn new(effort: Effort) -> Self {
        let matcher = Matcher::new(if effort == Effort::Fast { 1 << TABLE_BITS } else { 0 });
        Self { effort, buffer: Vec::with_capacity(BLOCK), matcher, bits: BitWriter::default() }
    }

    pub(crate) fn write(&mut self, mut text: &[u8], out: &mut Vec<u8>) {
        while !text.is_empty() {
            let n = text.len().min(BLOCK - self.buffer.len());
            self.buffer.extend_from_slice(&text[..n]);
            text = &text[n..];
            if self.buffer.len() == BLOCK {
                self.block();
                self.bits.drain_to(out);
            }
        }
    }

    pub(crate) fn flush(&mut self, out: &mut Vec<u8>) {
        self.end(false, out);
    }

    pub(crate) fn finish(&mut self, out: &mut Vec<u8>) {
        self.end(true, out);
    }

    fn end(&mut self, last: bool, out: &mut Vec<u8>) {
        if !self.buffer.is_empty() {
            self.block();
        }
        write_stored(&[], last, &mut self.bits);
        self.bits.drain_to(out);
    }

    fn block(&mut self) {
        let text = std::mem::take(&mut self.buffer);
        match self.effort {
            Effort::Store => write_stored(&text, false, &mut self.bits),
            Effort::HuffmanOnly => self.write_literals(&text),
            Effort::Fast if text.len() < 128 => {
                if text.len() <= 16 {
                    write_stored(&text, false, &mut self.bits);
                } else {
                    self.write_literals(&text);
                }
                self.matcher.previous.clear();
            }
            Effort::Fast => {
                let tokens = self.matcher.search(&text);
                if tokens.len() > text.len() - text.len() / 16 {
                    self.write_literals(&text);
                } else {
                    self.write_tokens(&tokens, &text);
                }
                self.matcher.keep(&text);
            }
        }
        self.buffer = text;
        self.buffer.clear();
    }

    fn write_literals(&mut self, text: &[u8]) {
        let mut counts = Counts::of_bytes(text);
        counts.literals[END] = 1;
        counts.distances[0] = 1;
        if let Some(codes) = self.open(&counts, text) {
            for &byte in text {
                codes.put_literal(usize::from(byte), &mut self.bits);
            }
            codes.put_literal(END, &mut self.bits);
        }
    }

    fn write_tokens(&mut self, tokens: &[Token], text: &[u8]) {
        let mut counts = Counts::of(tokens);
        counts.literals[END] = 1;
        if counts.distances.iter().all(|&count| count == 0) {
            counts.distances[0] = 1;
        }
        if let Some(codes) = self.open(&counts, text) {
            codes.write(tokens, &mut self.bits);
            codes.put_literal(END, &mut self.bits);
        }
    }

    /// Writes the header of a dynamic block, or all of a stored one if that is hardly larger.
    fn open(&mut self, counts: &Counts, text: &[u8]) -> Option<Codes> {
        let codes = Codes::optimal(counts);
        let header = Header::exact(&codes);
        let size = header.size() + codes.cost(counts);
        if stored_size(text.len()) < size + size / 16 {
            write_stored(text, false, &mut self.bits);
            return None;
        }
        header.write(&mut self.bits);
        Some(codes)
    }
}

/// The search of level 1: one candidate for each hash of four bytes, in this block and the one before.
#[derive(Debug)]
struct Matcher {
    /// Position in the text and the four bytes there.
    table: Vec<(i64, u32)>,
    previous: Vec<u8>,
    /// Where the current block begins.
    start: i64,
}

fn hash(four: u32) -> usize {
    (four.wrapping_mul(0x1e35_a7bd) >> (32 - TABLE_BITS)) as usize
}

fn load32(text: &[u8], at: usize) -> u32 {
    u32::from_le_bytes([text[at], text[at + 1], text[at + 2], text[at + 3]])
}

impl Matcher {
    fn new(size: usize) -> Self {
        Self { table: vec![(0, 0); size], previous: Vec::new(), start: BLOCK as i64 }
    }

    /// The block was searched: it becomes the history of the next.
    fn keep(&mut self, text: &[u8]) {
        self.start += text.len() as i64;
        self.previous.clear();
        if text.len() >= MIN_SEARCHED {
            self.previous.extend_from_slice(text);
        }
    }

    /// What the table says of these four bytes: a distance in reach; and enters them.
    #[inline]
    fn look_up(&mut self, four: u32, at: usize) -> Option<i64> {
        let position = self.start + at as i64;
        let (candidate, bytes) = std::mem::replace(&mut self.table[hash(four)], (position, four));
        let distance = position - candidate;
        (distance <= MAX_DISTANCE && bytes == four).then_some(distance)
    }

    fn search(&mut self, text: &[u8]) -> Vec<Token> {
        let mut tokens = Vec::with_capacity(text.len() / 2);
        let mut emitted = 0;
        if text.len() >= MIN_SEARCHED {
            let limit = text.len() - MARGIN;
            let mut at = 0;
            'blocks: while let Some((found, mut distance)) = self.next_match(text, at, limit) {
                tokens.extend(text[emitted..found].iter().map(|&byte| Token::literal(byte)));
                at = found;
                loop {
                    let len = 4 + self.extent(text, at + 4, distance);
                    tokens.push(Token::matched(len, distance as usize));
                    at += len;
                    emitted = at;
                    if at >= limit {
                        break 'blocks;
                    }
                    let before = load32(text, at - 1);
                    self.table[hash(before)] = (self.start + at as i64 - 1, before);
                    match self.look_up(load32(text, at), at) {
                        Some(next) => distance = next,
                        None => break,
                    }
                }
                at += 1;
            }
        }
        tokens.extend(text[emitted..].iter().map(|&byte| Token::literal(byte)));
        tokens
    }

    /// The next place with a match, in growing steps.
    fn next_match(&mut self, text: &[u8], from: usize, limit: usize) -> Option<(usize, i64)> {
        let (mut at, mut skip) = (from, 32);
        loop {
            let step = skip >> 5;
            skip += step;
            if at + step > limit {
                return None;
            }
            if let Some(distance) = self.look_up(load32(text, at), at) {
                return Some((at, distance));
            }
            at += step;
        }
    }

    /// How far a match goes on from `at`, whose first four bytes are before it.
    fn extent(&self, text: &[u8], at: usize, distance: i64) -> usize {
        let ours = &text[at..text.len().min(at + 258 - 4)];
        let from = at as i64 - distance;
        if let Ok(from) = usize::try_from(from) {
            return common_prefix(&text[from..], ours);
        }
        let Ok(from) = usize::try_from(self.previous.len() as i64 + from) else { return 0 };
        let theirs = &self.previous[from..];
        let n = common_prefix(theirs, ours);
        if n < theirs.len() || n == ours.len() {
            return n;
        }
        n + common_prefix(text, &ours[n..])
    }
}
