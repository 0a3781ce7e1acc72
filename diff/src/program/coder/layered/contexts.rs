//! The contexts of a byte: what stands before it, by what sort of bytes these are.

use super::instruction::Following;
use super::{CONTEXTS, spread};

/// Bytes before a place from which the contexts there follow.
pub(super) const LEAD: usize = 64;

/// Sorts of bytes (docs/delta-format.md, "Literals in layers").
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sort {
    /// Text, and all that has no sort of its own.
    Text = 0,
    /// Instructions for x86-64.
    X86_64 = 1,
}

impl Sort {
    pub(crate) const fn from_number(number: u8) -> Option<Self> {
        match number {
            0 => Some(Self::Text),
            1 => Some(Self::X86_64),
            _ => None,
        }
    }

    /// Contexts, without the first, that learn from the dictionary: those that what is expected does not belong to.
    pub(super) fn learned(self) -> std::ops::Range<usize> {
        match self {
            Self::Text => 1..CONTEXTS - 2,
            Self::X86_64 => 1..CONTEXTS,
        }
    }
}

/// The letters, digits and underscores of words, as hashes.
#[derive(Debug, Clone, Copy, Default)]
struct Words {
    /// Of the word that the last byte belongs to; 0 if it belongs to none.
    present: u32,
    /// Of the last word and the one before.
    last: u32,
    before: u32,
}

impl Words {
    #[inline(always)]
    fn push(&mut self, byte: u8) {
        if byte.is_ascii_alphanumeric() || byte == b'_' {
            if self.present == 0 {
                self.before = self.last;
            }
            self.present = spread(self.present, u32::from(byte) + 1);
            self.last = self.present;
        } else {
            self.present = 0;
        }
    }
}

/// The bytes before the next one.
#[derive(Debug, Clone, Copy)]
pub(super) struct Recent {
    sort: Sort,
    /// The last 16, the latest lowest.
    pub(super) bytes: u128,
    words: Words,
    pub(super) following: Following,
}

impl Recent {
    pub(super) fn new(sort: Sort) -> Self {
        Self { sort, bytes: 0, words: Words::default(), following: Following::default() }
    }

    /// Those before a place.
    pub(super) fn before(sort: Sort, history: &[u8], place: usize) -> Self {
        let bytes = history.get(place.saturating_sub(LEAD)..place).unwrap_or_default();
        let mut recent = Self::new(sort);
        bytes.iter().for_each(|&byte| recent.push(byte));
        recent
    }

    #[inline]
    pub(super) fn push(&mut self, byte: u8) {
        self.bytes = self.bytes << 8 | u128::from(byte);
        match self.sort {
            Sort::Text => self.words.push(byte),
            Sort::X86_64 => self.following.push(byte),
        }
    }

    pub(super) fn last(&self) -> u32 {
        self.bytes as u32 & 0xff
    }

    /// Contexts of the next byte; `expected` and `here` are the bytes that a pointer and the standing place expect.
    #[inline]
    pub(super) fn contexts(&self, expected: u32, here: u32) -> [u32; CONTEXTS] {
        let (low, high) = (self.bytes as u32, (self.bytes >> 32) as u32);
        let both = expected | here << 9;
        let mut contexts = match self.sort {
            Sort::Text => {
                let Words { present, before, .. } = self.words;
                [
                    both,
                    low & 0xff,
                    low & 0xffff,
                    low & 0xff_ffff,
                    low,
                    spread(low, high & 0xffff),
                    spread(present, low & 0xff),
                    spread(spread(present, before), low & 0xff),
                    low >> 8 & 0xffff,
                    low >> 16,
                    spread(low & 0xffff, here),
                    spread(low & 0xff, both),
                ]
            }
            Sort::X86_64 => {
                let [a, b, c, d, e, f, g, h] = self.following.contexts(low);
                [both, low & 0xffff, low & 0xff_ffff, low >> 16, a, b, c, d, e, f, g, h]
            }
        };
        for (context, number) in contexts.iter_mut().zip(1..) {
            *context = spread(*context, number);
        }
        contexts
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn contexts(sort: Sort, bytes: &[u8]) -> [u32; CONTEXTS] {
        Recent::before(sort, bytes, bytes.len()).contexts(256, 256)
    }

    #[test]
    fn contexts_of_text_see_words() {
        let [first, second, third] =
            [&b"the word"[..], b"a word", b"the other "].map(|text| contexts(Sort::Text, text));
        assert_eq!(first[6], second[6]);
        assert_ne!(first[7], second[7]);
        assert_ne!(first[6], third[6]);
        let (one, other) =
            (contexts(Sort::Text, b"one two-thr"), contexts(Sort::Text, b"other two:thr"));
        assert_eq!(one[7], other[7]);
    }

    #[test]
    fn no_two_contexts_are_one() {
        for sort in [Sort::Text, Sort::X86_64] {
            let mut all = contexts(sort, &[0; 70]).to_vec();
            all.sort_unstable();
            all.dedup();
            assert_eq!(all.len(), CONTEXTS);
        }
    }

    #[test]
    fn what_is_far_before_does_not_count() {
        let (mut one, mut other) = (vec![1; 40], vec![2; 40]);
        let end: Vec<u8> = (0..LEAD as u8).collect();
        one.extend_from_slice(&end);
        other.extend_from_slice(&end);
        for sort in [Sort::Text, Sort::X86_64] {
            assert_eq!(contexts(sort, &one), contexts(sort, &other));
        }
    }
}
