//! The headers of blocks (RFC 1951, sections 3.2.4 and 3.2.7).

use super::bits::BitWriter;
use super::huffman::Code;
use super::symbols::{Codes, END};

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
    fn runs_are_coded_greedily() {
        assert_eq!(run_lengths(&[0; 140]), [(18, 127), (0, 0), (0, 0)]);
        assert_eq!(run_lengths(&[5; 9]), [(5, 0), (16, 3), (5, 0), (5, 0)]);
        assert_eq!(run_lengths(&[0, 0, 0, 1]), [(17, 0), (1, 0)]);
    }
}
