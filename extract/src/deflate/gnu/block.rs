//! A block as GNU gzip writes it: stored, with the fixed codes or with its own, whichever is shortest in whole bytes.

use super::tree;
use crate::deflate::bits::BitWriter;
use crate::deflate::header::{ORDER, write_stored};
use crate::deflate::huffman::Code;
use crate::deflate::symbols::{Codes, Counts, DISTANCES, END, LITERALS};
use crate::deflate::tokens::Token;

const CODE_LENGTHS: usize = 19;
/// Bits after each symbol that repeats a length.
const REPEAT_BITS: [u32; 3] = [2, 3, 7];

/// The codes of a block and how they are told.
struct Dynamic {
    codes: Codes,
    literals: usize,
    distances: usize,
    told: Vec<(u8, u8)>,
    code: Code<CODE_LENGTHS>,
    code_lengths: usize,
    bits: u64,
}

impl Dynamic {
    /// The codes for these symbols, the end of block among them.
    fn new(counts: &Counts) -> Self {
        let (literals, last_literal) = tree::lengths(&counts.literals, 15);
        let (distances, last_distance) = tree::lengths(&counts.distances, 15);
        let mut told = Vec::with_capacity(LITERALS + DISTANCES);
        tell(&literals[..=last_literal], &mut told);
        tell(&distances[..=last_distance], &mut told);
        let mut uses = [0u32; CODE_LENGTHS];
        for &(symbol, _) in &told {
            uses[usize::from(symbol)] += 1;
        }
        let (lens, _) = tree::lengths(&uses, 7);
        let code = Code::canonical(lens);
        let used = ORDER.iter().rposition(|&symbol| lens[symbol] > 0).map_or(0, |last| last + 1);
        let code_lengths = used.max(4);
        let repeats: u64 =
            (16..).zip(REPEAT_BITS).map(|(symbol, bits)| u64::from(uses[symbol] * bits)).sum();
        let codes = Codes::of_lens(&literals, &distances);
        let header = 5 + 5 + 4 + 3 * code_lengths as u64 + code.cost(&uses) + repeats;
        let bits = header + codes.cost(counts) + counts.extra_bits();
        let (literals, distances) = (last_literal + 1, last_distance + 1);
        Self { codes, literals, distances, told, code, code_lengths, bits }
    }

    fn write_header(&self, bits: &mut BitWriter) {
        bits.put(self.literals as u32 - 257, 5);
        bits.put(self.distances as u32 - 1, 5);
        bits.put(self.code_lengths as u32 - 4, 4);
        for &symbol in &ORDER[..self.code_lengths] {
            bits.put(u32::from(self.code.lens[symbol]), 3);
        }
        for &(symbol, extra) in &self.told {
            let at = usize::from(symbol);
            bits.put(u32::from(self.code.bits[at]), u32::from(self.code.lens[at]));
            if symbol >= 16 {
                bits.put(u32::from(extra), REPEAT_BITS[at - 16]);
            }
        }
    }
}

/// Lengths of one alphabet as symbols 0 to 18. A rest too short for a repetition is told length by length.
fn tell(lens: &[u8], told: &mut Vec<(u8, u8)>) {
    for run in lens.chunk_by(|a, b| a == b) {
        let (len, mut left) = (run[0], run.len());
        if len > 0 {
            told.push((len, 0));
            left -= 1;
        }
        let (least, most) = if len == 0 { (3, 138) } else { (3, 6) };
        while left >= least {
            let n = left.min(most);
            told.push(match (len, n) {
                (0, 3..=10) => (17, n as u8 - 3),
                (0, _) => (18, n as u8 - 11),
                _ => (16, n as u8 - 3),
            });
            left -= n;
        }
        told.extend(std::iter::repeat_n((len, 0), left));
    }
}

/// What a block is made of.
pub(super) struct Block<'a> {
    pub(super) tokens: &'a [Token],
    /// Its text, if that is still at hand.
    pub(super) text: Option<&'a [u8]>,
    pub(super) last: bool,
    pub(super) fixed: &'a Codes,
}

impl Block<'_> {
    /// Writes it; `counts` are the symbols of its tokens.
    pub(super) fn write(&self, counts: &mut Counts, bits: &mut BitWriter) {
        counts.literals[END] = 1;
        let dynamic = Dynamic::new(counts);
        let bytes = |bits: u64| (bits + 3).div_ceil(8);
        let own = bytes(dynamic.bits);
        let common = bytes(self.fixed.cost(counts) + counts.extra_bits());
        let stored = |text: &&[u8]| text.len() <= 65535 && text.len() as u64 + 4 <= own.min(common);
        if let Some(text) = self.text.filter(stored) {
            return write_stored(text, self.last, bits);
        }
        let codes = if common <= own {
            bits.put(0b010 | u32::from(self.last), 3);
            self.fixed
        } else {
            bits.put(0b100 | u32::from(self.last), 3);
            dynamic.write_header(bits);
            &dynamic.codes
        };
        codes.write(self.tokens, bits);
        codes.put_literal(END, bits);
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn lengths_are_told_in_runs() {
        let tell = |lens: &[u8]| {
            let mut told = Vec::new();
            super::tell(lens, &mut told);
            told
        };
        assert_eq!(tell(&[0; 140]), [(18, 127), (0, 0), (0, 0)]);
        assert_eq!(tell(&[0; 10]), [(17, 7)]);
        assert_eq!(tell(&[5; 9]), [(5, 0), (16, 3), (5, 0), (5, 0)]);
        assert_eq!(tell(&[5; 3]), [(5, 0), (5, 0), (5, 0)]);
    }
}
