//! How klauspost/compress writes blocks: a code stays open over many blocks as long as it pays.

use super::Class;
use crate::deflate::bits::BitWriter;
use crate::deflate::header::{Header, stored_size, write_stored};
use crate::deflate::huffman::Code;
use crate::deflate::symbols::{
    Codes, Counts, DISTANCE_RANGES, DISTANCES, END, LENGTH_RANGES, LITERALS,
};
use crate::deflate::tokens::Token;

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

/// A block of tokens.
struct Block<'a> {
    tokens: &'a [Token],
    text: Option<&'a [u8]>,
    sync: bool,
    counts: Counts,
    /// Extra bits, where they count.
    extra: u64,
    /// Tokens by which bits are estimated.
    estimated: usize,
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

    /// Begins another stream; what was written of the one before must have been taken.
    pub(super) fn reset(&mut self) {
        (self.open, self.header_size, self.bits) = (None, 0, BitWriter::default());
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
        let mut block = Block {
            tokens,
            text,
            sync,
            counts: Counts::of(tokens),
            extra: 0,
            estimated: tokens.len() + usize::from(sync && self.class.clamps_estimates()),
        };
        let exact = self.class.exact_headers() || sync;
        block.counts.literals[END] = u32::from(exact);
        if !sync && self.class.fills_codes() {
            block.estimated += block.counts.fill();
            if !self.class.clamps_estimates() && self.class.estimates_literals() {
                block.estimated -= 1;
            }
        }
        if self
            .open
            .as_ref()
            .is_some_and(|open| open.literals_only || !covers(&open.codes, &block.counts))
        {
            self.close();
        }
        if exact && block.counts.distances.iter().all(|&count| count == 0) {
            block.counts.distances[0] = 1;
        }
        if text.is_some() || self.open.is_some() || self.class.fills_codes() {
            block.extra = block.counts.extra_bits();
        }
        if self.open.is_some() && self.settle_open(&block) {
            return;
        }
        if self.open.is_none() && self.settle_new(&mut block) {
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
    fn settle_open(&mut self, block: &Block<'_>) -> bool {
        let Some(open) = &self.open else { return false };
        let estimate = estimate(&block.counts, block.estimated, self.class.clamps_estimates());
        let new = self.header_size + estimate;
        let owed = if self.class.fills_codes() { 0 } else { open.codes.literals.lens[END] };
        let new = new + u64::from(owed) + (new >> self.penalty);
        let reuse = open.codes.cost(&block.counts) + block.extra;
        let size = if new < reuse {
            self.close();
            new
        } else {
            reuse
        };
        if self.fixed_size(block).is_some_and(|fixed| fixed + 7 < size) {
            match block.text.filter(|text| self.stores(text, size)) {
                Some(text) => self.stored(text),
                None => self.fixed(block.tokens),
            }
            return true;
        }
        if let Some(text) = block.text.filter(|text| self.stores(text, size)) {
            self.stored(text);
            return true;
        }
        false
    }

    /// Makes a new code and writes its header, unless the block is better written otherwise (true).
    fn settle_new(&mut self, block: &mut Block<'_>) -> bool {
        block.counts.literals[END] = 1;
        let codes = Codes::optimal(&block.counts);
        let header = if self.class.exact_headers() || block.sync {
            Header::exact(&codes)
        } else {
            Header::new(&codes, LITERALS, DISTANCES)
        };
        let size = header.size() + codes.cost(&block.counts) + block.extra;
        if let Some(fixed) = self.fixed_size(block).filter(|&fixed| fixed <= size) {
            match block.text.filter(|text| self.stores(text, fixed)) {
                Some(text) => self.stored(text),
                None => self.fixed(block.tokens),
            }
            return true;
        }
        if let Some(text) = block.text.filter(|text| self.stores(text, size)) {
            self.stored(text);
            return true;
        }
        header.write(&mut self.bits);
        if !block.sync {
            self.header_size = header.size();
        }
        self.open = Some(Open { codes, literals_only: false });
        false
    }

    /// Bits of a block with the fixed codes, where they are tried.
    fn fixed_size(&self, block: &Block<'_>) -> Option<u64> {
        let few = block.tokens.len() + usize::from(block.sync) < FEW_TOKENS;
        let tried = !self.class.fills_codes() && (few || !self.class.spares_trials());
        tried.then(|| 3 + self.fixed.cost(&block.counts) + block.extra)
    }

    /// Whether a text is stored rather than written in so many bits.
    fn stores(&self, text: &[u8], size: u64) -> bool {
        let stored = stored_size(text.len());
        if self.class.fills_codes() { stored < size + (size >> 4) } else { stored <= size }
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
        let storable = text.len() <= 65535;
        if self.class.spares_trials()
            && storable
            && text.len() > 1024
            && is_even(&counts, text.len())
        {
            return self.stored(text);
        }
        let mut size = if self.open.is_some() { self.header_size } else { GUESSED_HEADER };
        let mut code = None;
        if self.class.estimates_literals() {
            size += literal_estimate(&counts, text.len()) + 15;
        } else {
            counts.literals[END] = 1;
            let optimal = Code::optimal(&counts.literals, 15);
            size += optimal.cost(&counts.literals);
            code = Some(optimal);
        }
        size += size >> self.penalty;
        let stored = stored_size(text.len());
        if storable && (stored < size || stored == size && !self.class.estimates_literals()) {
            return self.stored(text);
        }
        if self.class.estimates_literals() && !sync {
            size += fill_literals(&mut counts, text.len());
        }
        if self
            .open
            .as_ref()
            .is_some_and(|open| reuse_size(&open.codes, &counts).is_none_or(|reuse| size < reuse))
        {
            self.close();
        }
        if self.open.is_none() {
            counts.literals[END] = 1;
            let literals = code.unwrap_or_else(|| Code::optimal(&counts.literals, 15));
            self.open_literals(literals);
        }
        if let Some(open) = &self.open {
            open.codes.write_bytes(text, &mut self.bits);
        }
        if sync {
            self.close();
        }
    }

    /// Writes the header of a block of literals alone.
    fn open_literals(&mut self, literals: Code<LITERALS>) {
        let mut distances = Code::empty();
        distances.lens[0] = 1;
        let codes = Codes { literals, distances };
        let header = Header::new(&codes, END + 1, 1);
        header.write(&mut self.bits);
        self.header_size = header.size();
        self.open = Some(Open { codes, literals_only: true });
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
fn estimate(counts: &Counts, tokens: usize, clamped: bool) -> u64 {
    let mut bits = 0f32;
    let share = 1.0 / tokens as f32;
    let add = |bits: &mut f32, share: f32, count: u32| {
        if count > 0 {
            let n = count as f32;
            let each = -fast_log2(n * share);
            *bits += if clamped { each.clamp(1.0, 15.0) } else { each } * n;
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

/// The estimated size in bits of literals, as older releases take it.
fn literal_estimate(counts: &Counts, len: usize) -> u64 {
    let share = 1.0 / len as f32;
    let mut bits = 0f32;
    for &count in counts.literals[..END].iter().filter(|&&count| count > 0) {
        let n = count as f32;
        bits += (-fast_log2(n * share)).max(1.0) * n;
    }
    (bits + 0.99) as u64
}

/// Counts each byte that does not occur once; the estimated bits of these.
fn fill_literals(counts: &mut Counts, len: usize) -> u64 {
    let each = (-fast_log2(1.0 / len as f32)).max(1.0);
    let mut bits = 0f32;
    for count in counts.literals[..END].iter_mut().filter(|count| **count == 0) {
        *count = 1;
        bits += each;
    }
    (bits + 0.99) as u64
}

/// A quadratic approximation of the binary logarithm.
fn fast_log2(value: f32) -> f32 {
    let bits = value.to_bits();
    let exponent = ((bits >> 23) & 255) as i32 - 128;
    let mantissa = f32::from_bits((bits & 0x807f_ffff) + (127 << 23));
    exponent as f32 + ((-0.344_848_43 * mantissa + 2.024_665_8) * mantissa - 0.674_877_6)
}
