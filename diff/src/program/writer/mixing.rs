//! Corrections that are coded by mixing as they come.

use super::super::coder::CorrectionWriter;
use super::choice::{Choice, Coders};

/// Coded bytes up to which [`Coders::Quick`] mixes, which takes 30 times as long for each correction that differs.
const QUICK_MIXED: usize = 128 << 10;

/// Codes the corrections of the open chain, as long as that is worth its time.
#[derive(Debug, Default)]
pub(super) struct Mixing {
    writer: Option<CorrectionWriter>,
    /// There are too many corrections to be coded so.
    no_more: bool,
}

impl Mixing {
    /// What was predicted, how, and what it is to be.
    pub(super) fn push(&mut self, choice: Choice, predicted: &[u8], classes: &[u8], wanted: &[u8]) {
        if self.no_more || !choice.mixing {
            return;
        }
        let coded = self.writer.as_ref().map_or(0, CorrectionWriter::coded_len);
        if choice.coders == Coders::Quick && coded > QUICK_MIXED {
            *self = Self { writer: None, no_more: true };
            return;
        }
        let in_layers = choice.layers_corrections();
        let writer = self.writer.get_or_insert_with(|| CorrectionWriter::new(in_layers));
        writer.push(predicted, classes, wanted);
    }

    /// An EDIT has all its corrections.
    pub(super) fn end_op(&mut self) {
        if let Some(writer) = &mut self.writer {
            writer.end_op();
        }
    }

    /// The coded bytes of a slice; none where its corrections are not coded so.
    pub(super) fn finish_piece(&mut self) -> Option<Vec<u8>> {
        self.writer.as_mut().map(CorrectionWriter::finish_piece)
    }

    /// The chain is at its end: what follows begins anew.
    pub(super) fn end_chain(&mut self) {
        self.writer = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn choice(coders: Coders, mixing: bool) -> Choice {
        Choice { level: 3, coders, mixing, lzma: true, window_log: 23 }
    }

    /// A piece that no model makes smaller.
    fn piece(seed: u64) -> Vec<u8> {
        let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
        let byte = |_| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            (state >> 20) as u8
        };
        (0..50_000).map(byte).collect()
    }

    fn pieces(choice: Choice, count: u64) -> Vec<bool> {
        let mut mixing = Mixing::default();
        let zeros = vec![0; 50_000];
        let piece = |seed| {
            mixing.push(choice, &zeros, &[], &piece(seed));
            mixing.end_op();
            mixing.finish_piece().is_some_and(|coded| coded.len() > 45_000)
        };
        (0..count).map(piece).collect()
    }

    #[test]
    fn much_is_left_to_others_where_there_is_little_time() {
        assert_eq!(pieces(choice(Coders::Quick, true), 5), [true, true, true, false, false]);
        assert_eq!(pieces(choice(Coders::Usual, true), 5), [true; 5]);
        assert_eq!(pieces(choice(Coders::Usual, false), 1), [false]);
    }

    #[test]
    fn a_chain_begins_anew() {
        let usual = choice(Coders::Usual, true);
        let (mut mixing, zeros, wanted) = (Mixing::default(), [0; 96], [1; 96]);
        let mut coded = || {
            mixing.push(usual, &zeros, &[], &wanted);
            let coded = mixing.finish_piece();
            mixing.end_chain();
            assert_eq!(mixing.finish_piece(), None);
            coded
        };
        assert_eq!(coded(), coded());
    }
}
