//! Slices under construction.

use super::super::coder::SparseBuilder;
use super::super::hooks::Source;
use super::super::ids::stream;
use super::super::op::{Literal, Op};
use super::chain::{Mark, PartRef, Piece};
use super::ledger::{Owner, Shares};

/// A slice is cut when its bytes reach this length, which leaves room for a last piece and for what
/// coding may add.
const FULL: usize = 3 << 20;

/// A slice's streams before they are coded.
#[derive(Debug, Default)]
pub(super) struct OpenSlice {
    pub(super) ops: u64,
    /// TEXT, CODE, RAW and, after the place of the corrections, EXACT.
    bytes: [Vec<u8>; 5],
    corrections: SparseBuilder,
    shares: [Shares; 5],
    /// Where literals begin in these bytes, and what they stand in for.
    marks: [Vec<Mark>; 5],
    /// Where the literals stand that the last op takes.
    open_literals: Option<usize>,
    /// Some of the corrections were given without predictions.
    unpredicted: bool,
}

/// A slice whose streams wait to be coded.
#[derive(Debug)]
pub(super) struct ClosedSlice {
    pub(super) ops: u64,
    pub(super) parts: Vec<PartRef>,
}

fn place(kind: u64) -> usize {
    (kind - stream::TEXT) as usize
}

impl OpenSlice {
    /// Bytes of its streams.
    pub(super) fn len(&self) -> usize {
        self.bytes.iter().map(Vec::len).sum::<usize>() + self.corrections.len()
    }

    pub(super) fn is_full(&self) -> bool {
        self.len() >= FULL
    }

    /// Bytes that it still takes, at least 1.
    pub(super) fn room(&self) -> usize {
        FULL.saturating_sub(self.len()).max(1)
    }

    pub(super) fn put(&mut self, owner: Option<Owner>, kind: u64, bytes: &[u8]) {
        self.bytes[place(kind)].extend_from_slice(bytes);
        self.shares[place(kind)].add(owner, bytes.len() as u64);
    }

    /// Corrections; where they are not `predicted`, those of the slice cannot be coded by mixing.
    pub(super) fn correct(&mut self, owner: Option<Owner>, corrections: &[u8], predicted: bool) {
        self.corrections.push(corrections);
        let differing = corrections.iter().filter(|&&byte| byte != 0).count() as u64;
        self.shares[place(stream::CORRECTIONS)].add(owner, differing);
        self.unpredicted |= !predicted;
    }

    /// The last bytes of a kind are literals that an op takes now, where these source and offset are expected.
    pub(super) fn mark(&mut self, kind: Literal, len: usize, (source, offset): (Source, u64)) {
        let place = place(kind.stream());
        let at = self.bytes[place].len().saturating_sub(len);
        self.marks[place].push(Mark { at, source, offset, len, next: None });
        self.open_literals = Some(place);
    }

    /// An op follows the last one: if that takes literals, its content is what follows these.
    pub(super) fn follow(&mut self, op: &Op) {
        let Some(place) = self.open_literals.take() else { return };
        if let Op::Copy { source, offset, .. } | Op::Edit { source, offset, .. } = op
            && let Some(mark) = self.marks[place].last_mut()
        {
            mark.next = Some((*source, *offset));
        }
    }

    /// Its streams that are not empty: their kinds, and who put what there. `mixed` are its corrections coded by mixing.
    pub(super) fn into_streams(
        self,
        mixed: Option<Vec<u8>>,
    ) -> impl Iterator<Item = (u64, Piece, Shares)> {
        let pieces = self.bytes.into_iter().zip(self.marks);
        let mut pieces: Vec<_> =
            pieces.map(|(bytes, marks)| Piece::Bytes { bytes, marks }).collect();
        let mixed = mixed.filter(|_| !self.unpredicted);
        pieces[place(stream::CORRECTIONS)] = Piece::corrections(self.corrections, mixed);
        let streams = (stream::TEXT..).zip(pieces).zip(self.shares);
        let streams = streams.map(|((kind, piece), shares)| (kind, piece, shares));
        streams.filter(|(_, piece, _)| piece.raw_len() > 0)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    const HERE: (Source, u64) = (Source::Base(0), 5);

    fn marks(slice: OpenSlice) -> Vec<Mark> {
        match slice.into_streams(None).next().unwrap().1 {
            Piece::Bytes { marks, .. } => marks,
            Piece::Corrections { .. } => Vec::new(),
        }
    }

    #[test]
    fn there_is_always_room_for_a_byte() {
        let mut slice = OpenSlice::default();
        slice.put(None, stream::RAW, &vec![0; FULL / 2]);
        slice.correct(None, &[1; 4], true);
        assert_eq!((slice.room(), slice.is_full()), (FULL - slice.len(), false));
        slice.put(None, stream::EXACT, &vec![0; FULL / 2]);
        assert_eq!((slice.room(), slice.is_full()), (1, true));
    }

    #[test]
    fn what_follows_literals_is_content_of_a_source() {
        let copy = Op::Copy { source: Source::Base(1), offset: 9, len: 2 };
        let mut slice = OpenSlice::default();
        for next in [&Op::Leave, &copy] {
            slice.put(None, stream::TEXT, b"text");
            slice.mark(Literal::Text, 4, HERE);
            slice.follow(next);
            slice.follow(&copy);
        }
        let marks = marks(slice);
        assert_eq!(
            marks.iter().map(|mark| (mark.at, mark.len)).collect::<Vec<_>>(),
            [(0, 4), (4, 4)]
        );
        assert_eq!((marks[0].source, marks[0].offset), HERE);
        assert_eq!((marks[0].next, marks[1].next), (None, Some((Source::Base(1), 9))));
    }

    #[test]
    fn streams_come_by_kind() {
        let mut slice = OpenSlice::default();
        slice.put(Some(1), stream::EXACT, b"exact");
        slice.correct(Some(1), &[0, 0, 3], true);
        slice.put(Some(1), stream::TEXT, b"text");
        let streams = slice.into_streams(Some(vec![9]));
        let streams: Vec<_> = streams.map(|(kind, piece, _)| (kind, piece)).collect();
        let kinds: Vec<_> = streams.iter().map(|(kind, piece)| (*kind, piece.raw_len())).collect();
        assert_eq!(kinds, [(stream::TEXT, 4), (stream::CORRECTIONS, 3), (stream::EXACT, 5)]);
        assert!(
            matches!(&streams[1].1, Piece::Corrections { mixed: Some(mixed), .. } if *mixed == [9])
        );
    }

    #[test]
    fn corrections_of_what_was_not_predicted_are_not_mixed() {
        let mut slice = OpenSlice::default();
        slice.correct(None, &[1], false);
        slice.correct(None, &[1], true);
        let piece = slice.into_streams(Some(vec![9])).next().unwrap().1;
        assert!(matches!(piece, Piece::Corrections { mixed: None, .. }));
    }
}
