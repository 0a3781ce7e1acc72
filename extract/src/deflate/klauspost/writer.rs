//! How klauspost/compress writes blocks: a code stays open over many blocks as long as it pays.

use super::Class;
use crate::deflate::bits::BitWriter;
use crate::deflate::huffman::Code;
use crate::deflate::symbols::{
    Codes, Counts, DISTANCE_RANGES, DISTANCES, END, Header, LENGTH_RANGES, LITERALS, Token,
    stored_size, write_stored,
};

/// Blocks of fewer tokens may use the fixed codes.
const FEW_TOKENS: usize = 250;
/// What the header of a literal-only block is taken to cost, in bits.
const GUESSED_HEADER: u64 = 70 * 8;

/// A dynamic code whose end of block was not written yet.
#[derive(Debug)]
struct Open {
    codes: Codes,
    literals_only: bool,
}

/// Writes blocks.
#[derive(Debug)]
pub(super) struct BlockWriter {
    class: Class,
    /// A new code must save more than one in 2^penalty bits.
    penalty: u32,
    open: Option<Open>,
    /// The size of the last dynamic header, in bits.
    header_size: u64,
    fixed: Codes,
    pub(super) bits: BitWriter,
}

impl BlockWriter {
    pub(super) fn new(class: Class, penalty: u32) -> Self {
        Self {
            class,
            penalty,
            open: None,
            header_size: 0,
            fixed: Codes::fixed(),
            bits: BitWriter::default(),
        }
    }

    /// Writes the end of the open block, if there is one.
    fn close(&mut self) {
        if let Some(open) = self.open.take() {
            open.codes.put_literal(END, &mut self.bits);
        }
    }

    /// The text as it is.
    pub(super) fn stored(&mut self, text: &[u8]) {
        self.close();
        write_stored(text, false, &mut self.bits);
    }

    /// The mark of a flush: an empty stored block.
    pub(super) fn flush(&mut self) {
        self.stored(&[]);
    }

    /// The end of the stream: an empty block with the fixed codes.
    pub(super) fn finish(&mut self) {
        self.close();
        self.bits.put(0b011, 3);
        self.bits.put(0, 7);
        self.bits.align();
    }

    /// A block of tokens for this text; the text is unknown where it can't be stored.
    pub(super) fn tokens(&mut self, tokens: &[Token], text: Option<&[u8]>, sync: bool) {
        let text = text.filter(|text| text.len() <= 65535);
        let mut counts = Counts::of(tokens);
        let exact = self.class.exact_headers() || sync;
        counts.literals[END] = u32::from(exact);
        if self
            .open
            .as_ref()
            .is_some_and(|open| open.literals_only || !covers(&open.codes, &counts))
        {
            self.close();
        }
        if exact && counts.distances.iter().all(|&count| count == 0) {
            counts.distances[0] = 1;
        }
        let extra = if text.is_some() || self.open.is_some() { counts.extra_bits() } else { 0 };
        let few = tokens.len() + usize::from(sync) < FEW_TOKENS;
        if self.open.is_some() && self.settle_open(tokens, text, sync, &counts, extra, few) {
            return;
        }
        if self.open.is_none() && self.settle_new(tokens, text, sync, &mut counts, extra, few) {
            return;
        }
        if let Some(open) = &self.open {
            open.codes.write(tokens, &mut self.bits);
        }
        if sync {
            self.close();
        }
    }

    /// Whether the block was written otherwise than by the open code; closes it where a new one is better.
    fn settle_open(
        &mut self,
        tokens: &[Token],
        text: Option<&[u8]>,
        sync: bool,
        counts: &Counts,
        extra: u64,
        few: bool,
    ) -> bool {
        let Some(open) = &self.open else { return false };
        let mut new = self.header_size + estimate(counts, tokens.len() + usize::from(sync));
        new += u64::from(open.codes.literals.lens[END]) + (new >> self.penalty);
        let reuse = open.codes.cost(counts) + extra;
        let size = if new < reuse {
            self.close();
            new
        } else {
            reuse
        };
        let stored = text.filter(|text| stored_size(text.len()) <= size);
        let fixed = 3 + self.fixed.cost(counts) + extra;
        if few && fixed + 7 < size {
            match stored {
                Some(text) => self.stored(text),
                None => self.fixed(tokens),
            }
            return true;
        }
        if let Some(text) = stored {
            self.stored(text);
            return true;
        }
        false
    }

    /// Makes a new code and writes its header, unless the block is better written otherwise (true).
    fn settle_new(
        &mut self,
        tokens: &[Token],
        text: Option<&[u8]>,
        sync: bool,
        counts: &mut Counts,
        extra: u64,
        few: bool,
    ) -> bool {
        counts.literals[END] = 1;
        let codes = Codes::optimal(counts);
        let header = if self.class.exact_headers() || sync {
            Header::exact(&codes)
        } else {
            Header::new(&codes, LITERALS, DISTANCES)
        };
        let size = header.size() + codes.cost(counts) + extra;
        let fixed = 3 + self.fixed.cost(counts) + extra;
        if few && fixed <= size {
            match text.filter(|text| stored_size(text.len()) <= fixed) {
                Some(text) => self.stored(text),
                None => self.fixed(tokens),
            }
            return true;
        }
        if let Some(text) = text.filter(|text| stored_size(text.len()) <= size) {
            self.stored(text);
            return true;
        }
        header.write(&mut self.bits);
        if !sync {
            self.header_size = header.size();
        }
        self.open = Some(Open { codes, literals_only: false });
        false
    }

    fn fixed(&mut self, tokens: &[Token]) {
        self.close();
        self.bits.put(0b010, 3);
        self.fixed.write(tokens, &mut self.bits);
        self.fixed.put_literal(END, &mut self.bits);
    }

    /// A block of literals alone.
    pub(super) fn literals(&mut self, text: &[u8], sync: bool) {
        let mut counts = Counts::of_bytes(text);
        if text.len() > 1024 && text.len() <= 65535 && is_even(&counts, text.len()) {
            return self.stored(text);
        }
        counts.literals[END] = 1;
        let code = Code::optimal(&counts.literals, 15);
        let mut size = code.cost(&counts.literals);
        size += if self.open.is_some() { self.header_size } else { GUESSED_HEADER };
        size += size >> self.penalty;
        if text.len() <= 65535 && stored_size(text.len()) <= size {
            return self.stored(text);
        }
        if self
            .open
            .as_ref()
            .is_some_and(|open| reuse_size(&open.codes, &counts).is_none_or(|reuse| size < reuse))
        {
            self.close();
        }
        if self.open.is_none() {
            let mut distances = Code::empty();
            distances.lens[0] = 1;
            let codes = Codes { literals: code, distances };
            let header = Header::new(&codes, END + 1, 1);
            header.write(&mut self.bits);
            self.header_size = header.size();
            self.open = Some(Open { codes, literals_only: true });
        }
        if let Some(open) = &self.open {
            for &byte in text {
                open.codes.put_literal(usize::from(byte), &mut self.bits);
            }
        }
        if sync {
            self.close();
        }
    }
}

/// Whether all symbols in use have a code.
fn covers(codes: &Codes, counts: &Counts) -> bool {
    let literals = counts.literals.iter().zip(&codes.literals.lens);
    let distances = counts.distances.iter().zip(&codes.distances.lens);
    literals.chain(distances).all(|(&count, &len)| count == 0 || len > 0)
}

/// Bits of the literals by a code that may lack some of them.
fn reuse_size(codes: &Codes, counts: &Counts) -> Option<u64> {
    let mut size = 0;
    for (&count, &len) in counts.literals[..END].iter().zip(&codes.literals.lens) {
        if count > 0 && len == 0 {
            return None;
        }
        size += u64::from(count) * u64::from(len);
    }
    Some(size)
}

/// Whether bytes are spread so evenly that no code can help.
fn is_even(counts: &Counts, len: usize) -> bool {
    let average = len as f64 / 256.0;
    let limit = (len * 2) as f64;
    let mut sum = 0.0;
    for &count in &counts.literals[..256] {
        let difference = f64::from(count) - average;
        sum += difference * difference;
        if sum > limit {
            return false;
        }
    }
    sum < limit
}

/// The estimated size in bits of a block with a code of its own, without the header: an entropy in 32-bit floats,
/// operation by operation as the original does it.
fn estimate(counts: &Counts, tokens: usize) -> u64 {
    let mut bits = 0f32;
    let share = 1.0 / tokens as f32;
    let add = |bits: &mut f32, share: f32, count: u32| {
        if count > 0 {
            let n = count as f32;
            *bits += (-fast_log2(n * share)).clamp(1.0, 15.0) * n;
        }
    };
    for &count in &counts.literals[..END] {
        add(&mut bits, share, count);
    }
    bits += 15.0;
    let mut extra = 0;
    let mut matches = 0;
    for (&count, range) in counts.literals[END + 1..].iter().zip(&LENGTH_RANGES) {
        add(&mut bits, share, count);
        extra += u64::from(count) * u64::from(range.extra);
        matches += count;
    }
    if matches > 0 {
        let share = 1.0 / matches as f32;
        for (&count, range) in counts.distances.iter().zip(&DISTANCE_RANGES) {
            add(&mut bits, share, count);
            extra += u64::from(count) * u64::from(range.extra);
        }
    }
    bits as u64 + extra
}

/// A quadratic approximation of the binary logarithm.
fn fast_log2(value: f32) -> f32 {
    let bits = value.to_bits();
    let exponent = ((bits >> 23) & 255) as i32 - 128;
    let mantissa = f32::from_bits((bits & 0x807f_ffff) + (127 << 23));
    exponent as f32 + ((-0.344_848_43 * mantissa + 2.024_665_8) * mantissa - 0.674_877_6)
}
