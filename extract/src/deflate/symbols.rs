//! The alphabets of DEFLATE and the header of a dynamic block (RFC 1951, sections 3.2.5 to 3.2.7).

use super::bits::BitWriter;
use super::huffman::Code;

/// Literals, end of block and lengths.
pub(crate) const LITERALS: usize = 286;
/// Distances.
pub(crate) const DISTANCES: usize = 30;
/// The end of a block.
pub(crate) const END: usize = 256;

/// A literal or a match, packed: bit 31 tells matches; then length - 3 (8 bits) and distance - 1 (15 bits).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Token(u32);

impl Token {
    pub(crate) const fn literal(byte: u8) -> Self {
        Self(byte as u32)
    }

    /// A match of 3 to 258 bytes at a distance of 1 to 32768.
    pub(crate) const fn matched(len: usize, distance: usize) -> Self {
        debug_assert!(len >= 3 && len <= 258 && distance >= 1 && distance <= 32768);
        Self(1 << 31 | (len as u32 - 3) << 15 | (distance as u32 - 1))
    }

    /// The length and distance of a match; none for a literal.
    pub(crate) const fn parts(self) -> Option<(usize, usize)> {
        if self.0 >> 31 == 0 {
            return None;
        }
        Some(((self.0 >> 15 & 0xff) as usize + 3, (self.0 & 0x7fff) as usize + 1))
    }

    pub(crate) const fn byte(self) -> u8 {
        self.0 as u8
    }
}

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
        let mut counts = Self::zero();
        for token in tokens {
            match token.parts() {
                None => counts.literals[token.byte() as usize] += 1,
                Some((len, distance)) => {
                    counts.literals[END + 1 + length_symbol(len)] += 1;
                    counts.distances[distance_symbol(distance)] += 1;
                }
            }
        }
        counts
    }

    /// The bytes of a text as literals, without an end of block.
    pub(crate) fn of_bytes(text: &[u8]) -> Self {
        let mut counts = Self::zero();
        for &byte in text {
            counts.literals[byte as usize] += 1;
        }
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
        for token in tokens {
            self.put(*token, bits);
        }
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

const CODE_LENGTHS: usize = 19;
pub(crate) const ORDER: [usize; CODE_LENGTHS] =
    [16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15];

/// The header of a dynamic block, ready to be written.
#[derive(Debug, Clone)]
pub(crate) struct Header {
    literals: usize,
    distances: usize,
    /// Symbol of the code-length alphabet and its extra value.
    symbols: Vec<(u8, u8)>,
    code: Code<CODE_LENGTHS>,
    code_lengths: usize,
    bits: u64,
}

impl Header {
    /// The header that declares so many literal and distance codes.
    pub(crate) fn new(codes: &Codes, literals: usize, distances: usize) -> Self {
        let mut lens = Vec::with_capacity(literals + distances);
        lens.extend_from_slice(&codes.literals.lens[..literals]);
        lens.extend_from_slice(&codes.distances.lens[..distances]);
        let symbols = run_lengths(&lens);
        let mut counts = [0; CODE_LENGTHS];
        for &(symbol, _) in &symbols {
            counts[symbol as usize] += 1;
        }
        let code = Code::optimal(&counts, 7);
        let used =
            ORDER.iter().rposition(|&symbol| code.lens[symbol] > 0).map_or(0, |last| last + 1);
        let code_lengths = used.max(4);
        let extra = 2 * counts[16] + 3 * counts[17] + 7 * counts[18];
        let bits = 3 + 5 + 5 + 4 + 3 * code_lengths as u64 + code.cost(&counts) + u64::from(extra);
        Self { literals, distances, symbols, code, code_lengths, bits }
    }

    /// The header that declares exactly the codes in use.
    pub(crate) fn exact(codes: &Codes) -> Self {
        let last = |lens: &[u8]| lens.iter().rposition(|&len| len > 0).map_or(0, |last| last + 1);
        let literals = last(&codes.literals.lens).max(END + 1);
        Self::new(codes, literals, last(&codes.distances.lens).max(1))
    }

    /// Its size in bits, the three bits of the block's type included.
    pub(crate) fn size(&self) -> u64 {
        self.bits
    }

    /// Writes it, block type included, for a block that is not the last.
    pub(crate) fn write(&self, bits: &mut BitWriter) {
        bits.put(0b100, 3);
        self.write_codes(bits);
    }

    /// Writes it without the three bits of the block's type.
    pub(crate) fn write_codes(&self, bits: &mut BitWriter) {
        bits.put(self.literals as u32 - 257, 5);
        bits.put(self.distances as u32 - 1, 5);
        bits.put(self.code_lengths as u32 - 4, 4);
        for &symbol in &ORDER[..self.code_lengths] {
            bits.put(u32::from(self.code.lens[symbol]), 3);
        }
        for &(symbol, extra) in &self.symbols {
            bits.put(
                u32::from(self.code.bits[symbol as usize]),
                u32::from(self.code.lens[symbol as usize]),
            );
            match symbol {
                16 => bits.put(u32::from(extra), 2),
                17 => bits.put(u32::from(extra), 3),
                18 => bits.put(u32::from(extra), 7),
                _ => {}
            }
        }
    }
}

/// Code lengths as symbols 0 to 18, greedily.
fn run_lengths(lens: &[u8]) -> Vec<(u8, u8)> {
    let mut symbols = Vec::with_capacity(lens.len());
    for run in lens.chunk_by(|a, b| a == b) {
        let (value, mut left) = (run[0], run.len());
        if value == 0 {
            while left >= 11 {
                let n = left.min(138);
                symbols.push((18, n as u8 - 11));
                left -= n;
            }
            if left >= 3 {
                symbols.push((17, left as u8 - 3));
                left = 0;
            }
        } else {
            symbols.push((value, 0));
            left -= 1;
            while left >= 3 {
                let n = left.min(6);
                symbols.push((16, n as u8 - 3));
                left -= n;
            }
        }
        symbols.extend(std::iter::repeat_n((value, 0), left));
    }
    symbols
}

/// Writes a stored block that is not the last (RFC 1951, section 3.2.4).
pub(crate) fn write_stored(text: &[u8], last: bool, bits: &mut BitWriter) {
    debug_assert!(text.len() <= 65535);
    bits.put(u32::from(last), 3);
    bits.align();
    let len = text.len() as u16;
    bits.put_bytes(&len.to_le_bytes());
    bits.put_bytes(&(!len).to_le_bytes());
    bits.put_bytes(text);
}

/// Bits of a stored block as the encoders estimate them: alignment counts as two bits.
pub(crate) fn stored_size(len: usize) -> u64 {
    (len as u64 + 5) * 8
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

    #[test]
    fn tokens_keep_their_parts() {
        assert_eq!(Token::matched(258, 32768).parts(), Some((258, 32768)));
        assert_eq!(Token::matched(3, 1).parts(), Some((3, 1)));
        assert_eq!((Token::literal(255).parts(), Token::literal(255).byte()), (None, 255));
    }

    #[test]
    fn runs_are_coded_greedily() {
        assert_eq!(run_lengths(&[0; 140]), [(18, 127), (0, 0), (0, 0)]);
        assert_eq!(run_lengths(&[5; 9]), [(5, 0), (16, 3), (5, 0), (5, 0)]);
        assert_eq!(run_lengths(&[0, 0, 0, 1]), [(17, 0), (1, 0)]);
    }
}
