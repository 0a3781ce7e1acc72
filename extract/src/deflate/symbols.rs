//! The alphabets of DEFLATE and their codes (RFC 1951, sections 3.2.5 and 3.2.6).

use super::bits::BitWriter;
use super::huffman::Code;
use super::tokens::{HEADS, Token};

/// Literals, end of block and lengths.
pub(crate) const LITERALS: usize = 286;
/// Distances.
pub(crate) const DISTANCES: usize = 30;
/// The end of a block.
pub(crate) const END: usize = 256;

/// A symbol of a length or distance: its number above the first, extra bits, and the least value.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Range {
    pub(crate) extra: u8,
    pub(crate) base: u16,
}

pub(crate) const LENGTH_RANGES: [Range; 29] = length_ranges();
pub(crate) const DISTANCE_RANGES: [Range; DISTANCES] = distance_ranges();
const LENGTH_SYMBOLS: [u8; 256] = length_symbols();
const DISTANCE_SYMBOLS: [u8; 512] = distance_symbols();

const fn length_ranges() -> [Range; 29] {
    let mut ranges = [Range { extra: 0, base: 0 }; 29];
    let (mut i, mut base) = (0, 0u16);
    while i < 28 {
        let extra = if i < 8 { 0 } else { i / 4 - 1 };
        ranges[i] = Range { extra: extra as u8, base };
        base += 1 << extra;
        i += 1;
    }
    ranges[28] = Range { extra: 0, base: 255 };
    ranges
}

const fn distance_ranges() -> [Range; DISTANCES] {
    let mut ranges = [Range { extra: 0, base: 0 }; DISTANCES];
    let (mut i, mut base) = (0, 0u16);
    while i < DISTANCES {
        let extra = if i < 4 { 0 } else { i / 2 - 1 };
        ranges[i] = Range { extra: extra as u8, base };
        base = base.wrapping_add(1 << extra);
        i += 1;
    }
    ranges
}

const fn length_symbols() -> [u8; 256] {
    let mut symbols = [0; 256];
    let (mut i, mut symbol) = (0, 0);
    while i < 256 {
        while symbol < 28 && LENGTH_RANGES[symbol + 1].base as usize <= i {
            symbol += 1;
        }
        symbols[i] = symbol as u8;
        i += 1;
    }
    symbols
}

/// By distance - 1 below 256, then by (distance - 1) / 128.
const fn distance_symbols() -> [u8; 512] {
    let mut symbols = [0; 512];
    let (mut i, mut symbol) = (0, 0);
    while i < 256 {
        while symbol < 29 && DISTANCE_RANGES[symbol + 1].base as usize <= i {
            symbol += 1;
        }
        symbols[i] = symbol as u8;
        i += 1;
    }
    symbol = 0;
    i = 0;
    while i < 256 {
        while symbol < 29 && DISTANCE_RANGES[symbol + 1].base as usize <= i * 128 {
            symbol += 1;
        }
        symbols[256 + i] = symbol as u8;
        i += 1;
    }
    symbols
}

/// The symbol of a length, counted from 257.
#[inline]
pub(crate) fn length_symbol(len: usize) -> usize {
    LENGTH_SYMBOLS[(len - 3) & 0xff] as usize
}

/// The symbol of a distance.
#[inline]
pub(crate) fn distance_symbol(distance: usize) -> usize {
    let d = (distance - 1) & 0x7fff;
    DISTANCE_SYMBOLS[if d < 256 { d } else { 256 + (d >> 7) }] as usize
}

/// Distance symbols and two more.
const REACHES: usize = 32;

/// The symbol of a distance - 1, below [`REACHES`].
#[inline(always)]
fn reach_symbol(reach: u32) -> usize {
    let far = 256 + (reach >> 7 & 0xff) as usize;
    DISTANCE_SYMBOLS[if reach < 256 { reach as usize } else { far }] as usize % REACHES
}

/// What is written for a distance: a code and, above it, what the distance is above the least with this symbol.
#[derive(Debug, Clone, Copy, Default)]
struct Reach {
    bits: u16,
    base: u16,
    len: u8,
    /// Bits with the extra ones.
    all: u8,
}

/// How often each byte occurs. Neighbours are counted in several tables, so that the same byte twice in a row need not wait
/// for itself.
pub(crate) fn byte_counts(text: &[u8]) -> [u32; 256] {
    let mut tables = [[0u32; 256]; 4];
    for four in text.chunks(4) {
        for (&byte, counts) in four.iter().zip(&mut tables) {
            counts[usize::from(byte)] += 1;
        }
    }
    std::array::from_fn(|byte| tables.iter().map(|counts| counts[byte]).sum())
}

/// How often each symbol of a block occurs.
#[derive(Debug, Clone)]
pub(crate) struct Counts {
    pub(crate) literals: [u32; LITERALS],
    pub(crate) distances: [u32; DISTANCES],
}

impl Counts {
    pub(crate) const fn zero() -> Self {
        Self { literals: [0; LITERALS], distances: [0; DISTANCES] }
    }

    /// The symbols of tokens, without an end of block.
    pub(crate) fn of(tokens: &[Token]) -> Self {
        // Neighbours are counted in two tables, so that the same symbol twice in a row need not wait for itself.
        let mut heads = [[0u32; HEADS]; 2];
        // What the upper half counts are literals.
        let mut reaches = [0u32; 2 * REACHES];
        let mut count = |heads: &mut [u32; HEADS], token: Token| {
            heads[token.head()] += 1;
            let literal = REACHES + token.head() % REACHES;
            let match_only = token.match_mask() as usize;
            let place = reach_symbol(token.reach()) & match_only | literal & !match_only;
            reaches[place % (2 * REACHES)] += 1;
        };
        let [even, odd] = &mut heads;
        let mut pairs = tokens.chunks_exact(2);
        for pair in &mut pairs {
            count(even, pair[0]);
            count(odd, pair[1]);
        }
        pairs.remainder().iter().for_each(|&token| count(even, token));
        let mut counts = Self::zero();
        let sums = even.iter().zip(&*odd).map(|(even, odd)| even + odd);
        for (head, sum) in sums.enumerate() {
            let length = head.checked_sub(256);
            let symbol = length.map_or(head, |length| END + 1 + LENGTH_SYMBOLS[length] as usize);
            counts.literals[symbol] += sum;
        }
        counts.distances.copy_from_slice(&reaches[..DISTANCES]);
        counts
    }

    /// The bytes of a text as literals, without an end of block.
    pub(crate) fn of_bytes(text: &[u8]) -> Self {
        let mut counts = Self::zero();
        counts.literals[..256].copy_from_slice(&byte_counts(text));
        counts
    }

    /// Counts each symbol that does not occur once; how many literals and lengths these are.
    pub(crate) fn fill(&mut self) -> usize {
        let absent = self.literals.iter().filter(|&&count| count == 0).count();
        for count in self.literals.iter_mut().chain(&mut self.distances) {
            *count = (*count).max(1);
        }
        absent
    }

    /// Extra bits of all lengths and distances.
    pub(crate) fn extra_bits(&self) -> u64 {
        let lengths = self.literals[END + 1..].iter().zip(&LENGTH_RANGES);
        let distances = self.distances.iter().zip(&DISTANCE_RANGES);
        lengths
            .chain(distances)
            .map(|(&count, range)| u64::from(count) * u64::from(range.extra))
            .sum()
    }
}

/// A pair of codes for a block.
#[derive(Debug, Clone)]
pub(crate) struct Codes {
    pub(crate) literals: Code<LITERALS>,
    pub(crate) distances: Code<DISTANCES>,
}

impl Codes {
    /// The optimal codes.
    pub(crate) fn optimal(counts: &Counts) -> Self {
        Self {
            literals: Code::optimal(&counts.literals, 15),
            distances: Code::optimal(&counts.distances, 15),
        }
    }

    /// The fixed codes (RFC 1951, section 3.2.6).
    pub(crate) fn fixed() -> Self {
        let lens: [u8; 288] = std::array::from_fn(|symbol| match symbol {
            0..=143 => 8,
            144..=255 => 9,
            256..=279 => 7,
            _ => 8,
        });
        let full = Code::canonical(lens);
        let mut literals = Code::empty();
        literals.bits.copy_from_slice(&full.bits[..LITERALS]);
        literals.lens.copy_from_slice(&full.lens[..LITERALS]);
        let full = Code::<32>::canonical([5; 32]);
        let mut distances = Code::empty();
        distances.bits.copy_from_slice(&full.bits[..DISTANCES]);
        distances.lens.copy_from_slice(&full.lens[..DISTANCES]);
        Self { literals, distances }
    }

    /// The codes with these lengths.
    pub(crate) fn of_lens(literals: &[u8], distances: &[u8]) -> Self {
        let mut codes = Self { literals: Code::empty(), distances: Code::empty() };
        codes.literals.lens.iter_mut().zip(literals).for_each(|(to, from)| *to = *from);
        codes.distances.lens.iter_mut().zip(distances).for_each(|(to, from)| *to = *from);
        Self {
            literals: Code::canonical(codes.literals.lens),
            distances: Code::canonical(codes.distances.lens),
        }
    }

    /// Bits of the symbols, without extra bits.
    pub(crate) fn cost(&self, counts: &Counts) -> u64 {
        self.literals.cost(&counts.literals) + self.distances.cost(&counts.distances)
    }

    /// Writes tokens.
    pub(crate) fn write(&self, tokens: &[Token], bits: &mut BitWriter) {
        let heads = self.heads();
        let reaches: [Reach; REACHES] = std::array::from_fn(|symbol| {
            let Some(range) = DISTANCE_RANGES.get(symbol) else { return Reach::default() };
            let len = self.distances.lens[symbol];
            let bits = self.distances.bits[symbol];
            Reach { bits, base: range.base, len, all: len + range.extra }
        });
        bits.put_words(tokens.iter(), |token| {
            let head = heads[token.head()];
            let (value, len) = (u64::from(head & 0xff_ffff), head >> 24);
            let reach = &reaches[reach_symbol(token.reach())];
            let extra = u64::from(token.reach().wrapping_sub(u32::from(reach.base)));
            // Literals and matches follow each other without a rule: a branch would be guessed wrong too often.
            let far = (extra << reach.len | u64::from(reach.bits)) & token.match_mask();
            let more = u32::from(reach.all) & token.match_mask() as u32;
            [(far << len | value, len + more)]
        });
    }

    /// Literals, and lengths with their extra bits: 24 bits of value at most, and the number of bits above.
    fn heads(&self) -> [u32; HEADS] {
        std::array::from_fn(|head| {
            let length = head.checked_sub(256);
            let symbol = length.map(|length| LENGTH_SYMBOLS[length] as usize);
            let place = symbol.map_or(head, |symbol| END + 1 + symbol);
            let (bits, len) = (u32::from(self.literals.bits[place]), self.literals.lens[place]);
            let (Some(length), Some(symbol)) = (length, symbol) else {
                return bits | u32::from(len) << 24;
            };
            let range = LENGTH_RANGES[symbol];
            let extra = (length as u32 - u32::from(range.base)) << len;
            bits | extra | u32::from(len + range.extra) << 24
        })
    }

    /// Writes bytes as literals.
    pub(crate) fn write_bytes(&self, text: &[u8], bits: &mut BitWriter) {
        let words: [u32; 256] = std::array::from_fn(|byte| {
            u32::from(self.literals.bits[byte]) | u32::from(self.literals.lens[byte]) << 16
        });
        bits.put_words(text.iter(), |byte| {
            let word = words[*byte as usize];
            [(u64::from(word & 0xffff), word >> 16)]
        });
    }

    /// Writes a token.
    #[inline]
    pub(crate) fn put(&self, token: Token, bits: &mut BitWriter) {
        let Some((len, distance)) = token.parts() else {
            return self.put_literal(token.byte() as usize, bits);
        };
        let symbol = length_symbol(len);
        self.put_literal(END + 1 + symbol, bits);
        let range = LENGTH_RANGES[symbol];
        bits.put(len as u32 - 3 - u32::from(range.base), u32::from(range.extra));
        let symbol = distance_symbol(distance);
        bits.put(u32::from(self.distances.bits[symbol]), u32::from(self.distances.lens[symbol]));
        let range = DISTANCE_RANGES[symbol];
        bits.put(distance as u32 - 1 - u32::from(range.base), u32::from(range.extra));
    }

    /// Writes a literal, or the end of a block.
    #[inline]
    pub(crate) fn put_literal(&self, symbol: usize, bits: &mut BitWriter) {
        bits.put(u32::from(self.literals.bits[symbol]), u32::from(self.literals.lens[symbol]));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn symbols_follow_rfc_1951() {
        assert_eq!(
            (length_symbol(3), length_symbol(11), length_symbol(257), length_symbol(258)),
            (0, 8, 27, 28)
        );
        assert_eq!((distance_symbol(1), distance_symbol(5), distance_symbol(6)), (0, 4, 4));
        assert_eq!(
            (distance_symbol(256), distance_symbol(257), distance_symbol(32768)),
            (15, 16, 29)
        );
        assert_eq!(DISTANCE_RANGES[29].base, 24576);
        assert_eq!(LENGTH_RANGES[27].base + 3, 227);
    }
}
