//! What became of the beginnings of texts: a directory that moved gives all its entries new names in one way.
//!
//! GEN 20 writes such a text as "moved like that one" (docs/delta-format.md, "Moved names").

use std::collections::BTreeMap;

/// Moves of a column that are remembered.
const KNOWN: usize = 4;

/// Bytes of a beginning at most.
const LEN: usize = 4096;

/// A beginning and what takes its place.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Move {
    from: Vec<u8>,
    to: Vec<u8>,
}

impl Move {
    /// A text moved, cut to `limit` bytes.
    fn apply(&self, model: &[u8], limit: usize) -> Option<Vec<u8>> {
        let rest = model.strip_prefix(&self.from[..])?;
        let mut text = [&self.to[..], rest].concat();
        text.truncate(limit);
        Some(text)
    }
}

/// The latest moves of each column, the last one first.
#[derive(Debug, Clone, Default)]
pub(super) struct Moves(BTreeMap<u8, Vec<Move>>);

impl Moves {
    /// Integers below this stand for bytes as they are (0) and for moves (from 1).
    pub(super) const FORMS: u64 = 1 + KNOWN as u64;

    /// The text that a move of the column, by its place from 1, makes of the model's; it is the last one from
    /// now on. None if there is no such move of this text.
    pub(super) fn take(
        &mut self,
        column: u8,
        place: u64,
        model: &[u8],
        limit: usize,
    ) -> Option<Vec<u8>> {
        let moves = self.0.get_mut(&column)?;
        let place = usize::try_from(place.checked_sub(1)?).ok()?;
        let text = moves.get(place)?.apply(model, limit)?;
        if let Some(recent) = moves.get_mut(..=place) {
            recent.rotate_right(1);
        }
        Some(text)
    }

    /// The place, from 1, of the move that makes a text of the model's.
    #[cfg(feature = "encode")]
    pub(super) fn place(
        &self,
        column: u8,
        wanted: &[u8],
        model: &[u8],
        limit: usize,
    ) -> Option<u64> {
        let mut moves = self.0.get(&column)?.iter();
        let place = moves.position(|m| m.apply(model, limit).is_some_and(|text| text == wanted))?;
        Some(place as u64 + 1)
    }

    /// A text was put together whose last `end` bytes are the model's.
    pub(super) fn learn(&mut self, column: u8, model: &[u8], text: &[u8], end: usize) {
        let begin = |whole: &[u8]| whole.get(..whole.len().checked_sub(end)?).map(<[u8]>::to_vec);
        let (Some(from), Some(to)) = (begin(model), begin(text)) else { return };
        if from.len().max(to.len()) > LEN {
            return;
        }
        let moves = self.0.entry(column).or_default();
        moves.insert(0, Move { from, to });
        moves.truncate(KNOWN);
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn take(moves: &mut Moves, place: u64, model: &[u8]) -> Option<String> {
        let text = moves.take(1, place, model, 20)?;
        Some(String::from_utf8(text).unwrap())
    }

    #[test]
    fn a_move_goes_on() {
        let mut moves = Moves::default();
        assert_eq!(take(&mut moves, 1, b"app/b"), None);
        moves.learn(1, b"app/a", b"srv/lib/a", 2);
        assert_eq!(take(&mut moves, 1, b"app/b").unwrap(), "srv/lib/b");
        assert_eq!(take(&mut moves, 1, b"appendix").unwrap(), "srv/libendix");
        assert_eq!(take(&mut moves, 1, b"lib/b"), None);
        assert_eq!(take(&mut moves, 1, b"app/a/very/long/name").unwrap(), "srv/lib/a/very/long/");
        assert_eq!(moves.take(2, 1, b"app/b", 20), None);
        assert_eq!(take(&mut moves, 0, b"app/b"), None);
        assert_eq!(take(&mut moves, u64::MAX, b"app/b"), None);
    }

    #[test]
    fn the_latest_four_are_known() {
        let mut moves = Moves::default();
        for letter in [b'a', b'b', b'c', b'd', b'e'] {
            moves.learn(1, b"x/", &[letter, b'/'], 1);
        }
        let mut order = |place| take(&mut moves, place, b"x").unwrap_or_default();
        assert_eq!([4, 4, 1, 2, 5].map(&mut order), ["b", "c", "c", "b", ""]);
    }

    #[test]
    fn long_beginnings_and_wrong_ends_are_not_remembered() {
        let mut moves = Moves::default();
        moves.learn(1, &[b'a'; LEN + 2], b"b", 1);
        moves.learn(1, b"a", b"bcd", 2);
        assert_eq!(take(&mut moves, 1, b""), None);
    }
}
