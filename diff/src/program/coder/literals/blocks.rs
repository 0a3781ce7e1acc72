//! Which blocks of a dictionary a model of literals has learned: those about the places where literals stand, each once
//! (docs/delta-format.md, "Literals by mixing").

use std::ops::Range;

use super::super::super::limits;
use super::super::table;

/// Bytes of a dictionary that are learned at once, and what is learned about a place: so many bytes before and behind it.
pub(super) const BLOCK: usize = 64;
const BEFORE: usize = 256;
const BEHIND: usize = 768;

/// For each whole block whether it was learned.
#[derive(Debug, Clone, Default)]
pub(super) struct Blocks(Vec<bool>);

impl Blocks {
    /// Bytes of memory for the largest dictionary.
    pub(super) const MEMORY: u64 = limits::DICTIONARY_LEN / BLOCK as u64;

    /// None is learned of a dictionary of so many bytes.
    pub(super) fn again(self, dictionary_len: usize) -> Self {
        Self(table(self.0, dictionary_len / BLOCK, false))
    }

    /// The blocks about a place of a dictionary of so many bytes; there is at least one byte.
    pub(super) fn about(&self, place: usize, dictionary_len: usize) -> Range<usize> {
        let first = place.saturating_sub(BEFORE) / BLOCK;
        let end = (place + BEHIND).min(dictionary_len - 1) / BLOCK;
        first..end.min(self.0.len())
    }

    /// Where a block begins that is learned now; none if it was before.
    pub(super) fn take(&mut self, block: usize) -> Option<usize> {
        let learned = self.0.get_mut(block)?;
        (!std::mem::replace(learned, true)).then_some(block * BLOCK)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_about_a_place_are_taken_once() {
        let mut blocks = Blocks::default().again(2000);
        assert_eq!(blocks.about(1000, 2000), 11..27);
        assert_eq!((blocks.about(10, 2000), blocks.about(1999, 2000)), (0..12, 27..31));
        assert_eq!((blocks.take(3), blocks.take(3), blocks.take(31)), (Some(192), None, None));
        assert_eq!(blocks.again(200).take(2), Some(128));
    }
}
