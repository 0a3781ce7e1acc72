//! Where the next COPY or EDIT is expected: on the same diagonal as the last one of its source.
//!
//! Content that was replaced by as many bytes, or is framed by generated headers of the base's size,
//! leaves the distance between output and source as it was. All arithmetic is modulo 2^64.

use std::collections::HashMap;

use super::hooks::{Entry, Source};
use super::op::Op;

/// The state of the prediction in a unit.
#[derive(Debug, Clone, Default)]
pub(crate) struct Predictor {
    /// Bytes that ops of the unit gave.
    made: u64,
    last: Option<Source>,
    /// For each source the distance from `made` to the offset that is expected.
    distances: HashMap<Source, u64>,
    /// What is remembered while ops are read ahead.
    ahead: Option<Ahead>,
}

/// What goes back to what it was, and what counts until then.
#[derive(Debug, Clone)]
struct Ahead {
    made: u64,
    last: Option<Source>,
    distances: HashMap<Source, u64>,
}

impl Predictor {
    /// The expected source: the last one, at first the first base layer.
    pub(crate) fn source(&self) -> Source {
        self.last.unwrap_or(Source::Base(0))
    }

    /// The expected offset in a source.
    pub(crate) fn offset(&self, source: Source) -> u64 {
        let ahead = self.ahead.as_ref().and_then(|ahead| ahead.distances.get(&source));
        let distance = ahead.or_else(|| self.distances.get(&source)).copied();
        distance.map_or(0, |distance| self.made.wrapping_add(distance))
    }

    /// An op gave its bytes. Those of generators and numbered digests are counted by [`Predictor::skip`].
    pub(crate) fn made(&mut self, op: &Op) {
        match op {
            Op::Copy { source, offset, .. } | Op::Edit { source, offset, .. } => {
                self.expect(*source, *offset);
            }
            // What follows in the source is expected after the compressed range.
            Op::Open { source, offset, coded_len, len, .. } => {
                self.expect(*source, offset.wrapping_add(*coded_len).wrapping_sub(*len));
            }
            _ => {}
        }
        self.skip(op.said_len());
    }

    /// So many bytes were given.
    pub(crate) fn skip(&mut self, len: u64) {
        self.made = self.made.wrapping_add(len);
    }

    /// A header was generated whose bytes were counted: the content of the base's entry is expected.
    pub(crate) fn entry(&mut self, entry: &Entry) {
        if let Some((source, offset)) = entry.base {
            self.expect(source, offset);
        }
    }

    /// Ops are read ahead until [`Predictor::go_back`].
    pub(crate) fn go_ahead(&mut self) {
        let (made, last) = (self.made, self.last);
        self.ahead = Some(Ahead { made, last, distances: HashMap::new() });
    }

    /// Forgets what was read ahead.
    pub(crate) fn go_back(&mut self) {
        if let Some(ahead) = self.ahead.take() {
            (self.made, self.last) = (ahead.made, ahead.last);
        }
    }

    fn expect(&mut self, source: Source, offset: u64) {
        self.last = Some(source);
        let distances = match &mut self.ahead {
            Some(ahead) => &mut ahead.distances,
            None => &mut self.distances,
        };
        distances.insert(source, offset.wrapping_sub(self.made));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::program::op::Literal;

    #[test]
    fn replaced_bytes_keep_the_diagonal() {
        let (a, b) = (Source::Base(0), Source::Base(1));
        let mut predictor = Predictor::default();
        assert_eq!((predictor.source(), predictor.offset(b)), (a, 0));
        predictor.made(&Op::Copy { source: b, offset: 100, len: 20 });
        predictor.made(&Op::Literal { kind: Literal::Raw, len: 5 });
        predictor.made(&Op::EnterDigest { slot: 0 });
        assert_eq!((predictor.source(), predictor.offset(b), predictor.offset(a)), (b, 125, 0));
        predictor.skip(7);
        predictor.entry(&Entry { content_len: 0, base: Some((a, 9)), mtime: Some(0) });
        assert_eq!((predictor.source(), predictor.offset(a), predictor.offset(b)), (a, 9, 132));
    }

    #[test]
    fn what_follows_an_opened_range_is_expected() {
        let a = Source::Base(0);
        let mut predictor = Predictor::default();
        predictor.made(&Op::Open { opening: 0, source: a, offset: 100, coded_len: 20, len: 500 });
        assert_eq!((predictor.source(), predictor.offset(a)), (a, 120));
        predictor.skip(3);
        assert_eq!(predictor.offset(a), 123);
    }

    #[test]
    fn what_was_read_ahead_is_forgotten() {
        let (a, b) = (Source::Base(0), Source::Base(1));
        let mut predictor = Predictor::default();
        predictor.made(&Op::Copy { source: a, offset: 100, len: 20 });
        predictor.go_ahead();
        assert_eq!(predictor.offset(a), 120);
        predictor.made(&Op::Copy { source: b, offset: 7, len: 1 });
        predictor.made(&Op::Copy { source: a, offset: 7, len: 1 });
        assert_eq!((predictor.source(), predictor.offset(a), predictor.offset(b)), (a, 8, 9));
        predictor.go_back();
        assert_eq!((predictor.source(), predictor.offset(a), predictor.offset(b)), (a, 120, 0));
    }

    #[test]
    fn arithmetic_wraps() {
        let a = Source::Kept(7);
        let mut predictor = Predictor::default();
        predictor.made(&Op::Copy { source: a, offset: u64::MAX, len: u64::MAX });
        assert_eq!(predictor.offset(a), u64::MAX - 1);
    }
}
