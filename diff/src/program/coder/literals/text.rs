//! Text, and all that has no sort of its own: contexts of the last bytes and words.

use super::super::layers::LayersShape;
use super::super::mixing::spread;
use super::sorts::{Bytes, OfBit};

pub(super) const CONTEXTS: usize = 9;
pub(super) const SETS: usize = 2;

/// Text so far.
#[derive(Debug, Clone, Copy, Default)]
pub(in super::super) struct Text {
    bytes: u128,
    /// Of the letters, digits and underscores of words, as hashes: the word that the last byte belongs to, 0 if it belongs to none;
    /// the last word, and the one before.
    word: u32,
    last_word: u32,
    before: u32,
}

impl Bytes<CONTEXTS, SETS> for Text {
    const SHAPE: LayersShape<SETS> = LayersShape {
        sizes: [1024, 2048],
        first: 1280,
        second: 65_536 / 2,
        first_rate: 6,
        second_rate: 2,
    };

    #[inline(always)]
    fn last16(&self) -> u128 {
        self.bytes
    }

    #[inline(always)]
    fn push(&mut self, byte: u8) {
        self.bytes = self.bytes << 8 | u128::from(byte);
        if byte.is_ascii_alphanumeric() || byte == b'_' {
            if self.word == 0 {
                self.before = self.last_word;
            }
            self.word = spread(self.word, u32::from(byte) + 1);
            self.last_word = self.word;
        } else {
            self.word = 0;
        }
    }

    #[inline(always)]
    fn contexts(&self) -> [u32; CONTEXTS] {
        let (low, high) = (self.bytes as u32, (self.bytes >> 32) as u32);
        let last = low & 0xff;
        [
            spread(0, 0),
            spread(last, 0),
            spread(low & 0xffff, 0),
            spread(low & 0xff_ffff, 0),
            spread(low, 0),
            spread(low, high & 0xffff),
            spread(self.word, last),
            spread(spread(self.word, self.before), last),
            0,
        ]
    }

    #[inline(always)]
    fn sets(&self, of: &OfBit) -> [usize; SETS] {
        let last = self.bytes as usize & 0xff;
        [of.expected(), last | usize::from(of.upper) << 8 | of.class.min(3) << 9]
    }
}

#[cfg(test)]
mod tests {
    use super::super::sorts::LEAD;
    use super::*;

    fn contexts(bytes: &[u8]) -> [u32; CONTEXTS] {
        Text::before(bytes, bytes.len()).contexts()
    }

    #[test]
    fn contexts_see_words() {
        let [first, second, third] = [&b"the word"[..], b"a word", b"the other "].map(contexts);
        assert_eq!(first[6], second[6]);
        assert_ne!(first[7], second[7]);
        assert_ne!(first[6], third[6]);
        let (one, other) = (contexts(b"one two-thr"), contexts(b"other two:thr"));
        assert_eq!(one[7], other[7]);
    }

    #[test]
    fn what_is_far_before_does_not_count() {
        let (mut one, mut other) = (vec![1; 40], vec![2; 40]);
        let end: Vec<u8> = (0..LEAD as u8).collect();
        one.extend_from_slice(&end);
        other.extend_from_slice(&end);
        assert_eq!(contexts(&one), contexts(&other));
    }
}
