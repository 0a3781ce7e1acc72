//! Sources as the caller has them: base layers, and bytes of kept objects.

use std::collections::BTreeMap;

use dd_inspect::digest::DiffId;
use dd_inspect::failure::Failure;

use super::super::hooks::{Source, Sources};
use super::super::input::io_failure;
use super::super::streams::Range;
use super::wrong;

/// The base layers of the caller, those of them that the payload reads, and their content.
#[derive(Debug)]
pub(super) struct Bases<S> {
    all: Vec<(DiffId, u64)>,
    /// Places in the head of the base layers in use, by the caller's index; and the other way round.
    places: BTreeMap<usize, u32>,
    used: Vec<usize>,
    bytes: S,
    /// Where `bytes` has the content of kept objects.
    kept: BTreeMap<u32, usize>,
}

impl<S: Sources> Bases<S> {
    pub(super) fn new(all: Vec<(DiffId, u64)>, bytes: S) -> Self {
        Self { all, places: BTreeMap::new(), used: Vec::new(), bytes, kept: BTreeMap::new() }
    }

    /// Takes a base layer into use; none if there is no such one.
    pub(super) fn take(&mut self, index: usize) -> Option<Source> {
        self.all.get(index)?;
        let next = self.used.len() as u32;
        let place = *self.places.entry(index).or_insert(next);
        if place == next {
            self.used.push(index);
        }
        Some(Source::Base(place))
    }

    /// The content of a kept object stands at `index`.
    pub(super) fn set_kept(&mut self, kept: u32, index: usize) {
        self.kept.insert(kept, index);
    }

    /// Diff_id and length of those in use, in the order of the head.
    pub(super) fn used(&self) -> impl Iterator<Item = (DiffId, u64)> {
        self.used.iter().filter_map(|&index| self.all.get(index).copied())
    }

    /// The length of one in use.
    pub(super) fn len(&self, place: u32) -> Option<u64> {
        let index = *self.used.get(place as usize)?;
        self.all.get(index).map(|base| base.1)
    }

    /// Whether the content of a source is known.
    pub(super) fn knows(&self, source: Source) -> bool {
        self.index(source).is_some()
    }

    fn index(&self, source: Source) -> Option<usize> {
        match source {
            Source::Base(place) => self.used.get(place as usize).copied(),
            Source::Kept(index) => self.kept.get(&index).copied(),
        }
    }

    /// The ranges of a dictionary after a zero byte; nothing for no bytes.
    pub(super) fn dictionary(&self, ranges: &[Range]) -> Result<Vec<u8>, Failure> {
        let len: u64 = ranges.iter().map(|range| range.len).sum();
        if len == 0 {
            return Ok(Vec::new());
        }
        let mut dictionary = vec![0; len as usize + 1];
        let mut at = 1;
        for range in ranges {
            let index = self.index(range.source).ok_or_else(|| wrong("a dictionary"))?;
            let end = at + range.len as usize;
            let room = dictionary.get_mut(at..end).ok_or_else(|| wrong("a dictionary"))?;
            let read = self.bytes.read_at(index, range.offset, room);
            read.map_err(|error| io_failure("reading a base layer", error))?;
            at = end;
        }
        Ok(dictionary)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::super::super::hooks::MemorySources;
    use super::*;

    fn bases() -> Bases<MemorySources> {
        let bytes = MemorySources(vec![b"first".to_vec(), b"second".to_vec(), b"kept".to_vec()]);
        let all = bytes.0[..2].iter().map(|base| (DiffId::of(base), base.len() as u64)).collect();
        Bases::new(all, bytes)
    }

    #[test]
    fn places_are_in_the_order_of_use() {
        let mut bases = bases();
        assert_eq!(bases.take(1), Some(Source::Base(0)));
        assert_eq!((bases.len(0), bases.len(1)), (Some(6), None));
        assert_eq!(bases.take(0), Some(Source::Base(1)));
        assert_eq!(bases.take(1), Some(Source::Base(0)));
        assert_eq!(bases.take(2), None);
        let used = [(DiffId::of(b"second"), 6), (DiffId::of(b"first"), 5)];
        assert_eq!(bases.used().collect::<Vec<_>>(), used);
    }

    #[test]
    fn dictionaries_stand_after_a_zero_byte() {
        let mut bases = bases();
        let second = bases.take(1).unwrap();
        let range = |source, offset, len| Range { source, offset, len };
        let ranges = [range(second, 1, 3), range(Source::Kept(4), 0, 4)];
        assert!(!bases.knows(Source::Kept(4)) && bases.dictionary(&ranges).is_err());
        bases.set_kept(4, 2);
        assert!(bases.knows(Source::Kept(4)));
        assert_eq!(bases.dictionary(&ranges).unwrap(), b"\0ecokept");
        assert_eq!(bases.dictionary(&[range(second, 1, 0)]).unwrap(), b"");
        assert!(bases.dictionary(&[range(second, 4, 3)]).is_err());
    }
}
