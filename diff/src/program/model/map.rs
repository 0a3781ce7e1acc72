//! Where bytes of a base's file went: intervals of it with their places in the target's file.

use std::collections::BinaryHeap;

/// A range of the base's file that an op reads, and where the op puts it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Interval {
    pub(crate) base: u32,
    pub(crate) target: u32,
    pub(crate) len: u32,
}

/// A map without overlap: each part with where its first byte went.
#[derive(Debug, Clone, Default)]
pub(crate) struct Map {
    /// Base, target and end in the base, ascending.
    parts: Vec<(u32, u32, u32)>,
    /// For each 2^`shift` places of the base the number of its first part, and behind the last ones that of all.
    starts: Vec<u32>,
    shift: u32,
}

/// Parts that share an entry of the index on average.
const SHARED: usize = 4;

impl Map {
    /// Memory of a map of so many intervals while it is made: their list, their heap and their parts.
    pub(crate) const MEMORY: u64 = 64;

    /// Intervals in the order of their ops. Those that follow one another in both files are one.
    pub(crate) fn joined(intervals: impl Iterator<Item = Interval>) -> Vec<Interval> {
        let mut joined: Vec<Interval> = Vec::new();
        for next in intervals {
            match joined.last_mut() {
                Some(last)
                    if last.base.checked_add(last.len) == Some(next.base)
                        && last.target.checked_add(last.len) == Some(next.target) =>
                {
                    last.len = last.len.saturating_add(next.len);
                }
                _ => joined.push(next),
            }
        }
        joined
    }

    /// The map of intervals that are joined. Where intervals overlap, the longest counts; among these the first.
    pub(crate) fn new(joined: &[Interval]) -> Self {
        // Stable: the first op stays first among those that begin together.
        let mut order: Vec<u32> = (0..joined.len() as u32).collect();
        let of = |number: u32| joined.get(number as usize).copied();
        order.sort_by_key(|&number| of(number).map_or(0, |interval| interval.base));
        let mut map = Self::default();
        // Those that are open, the longest first, then the one whose op comes first.
        let mut open: BinaryHeap<(u32, std::cmp::Reverse<u32>)> = BinaryHeap::new();
        let mut at = 0;
        for number in order {
            let Some(next) = of(number) else { continue };
            map.fill(&mut open, &mut at, next.base, of);
            at = next.base;
            open.push((next.len, std::cmp::Reverse(number)));
        }
        map.fill(&mut open, &mut at, u32::MAX, of);
        map.index();
        map
    }

    /// Makes the index of the parts.
    fn index(&mut self) {
        let last = self.parts.last().map_or(0, |part| part.0);
        let most = (self.parts.len() / SHARED) as u32;
        self.shift = (0..31).find(|shift| last >> shift <= most).unwrap_or(31);
        self.starts = Vec::with_capacity((last >> self.shift) as usize + 2);
        for (number, part) in (0u32..).zip(&self.parts) {
            self.starts.resize(self.starts.len().max((part.0 >> self.shift) as usize + 1), number);
        }
        self.starts.push(self.parts.len() as u32);
    }

    /// How many parts begin at or before a place.
    #[inline]
    fn until(&self, place: u32) -> usize {
        let last = self.starts.len().saturating_sub(2);
        let entry = ((place >> self.shift) as usize).min(last);
        let (Some(&first), Some(&end)) = (self.starts.get(entry), self.starts.get(entry + 1))
        else {
            return 0;
        };
        let parts = self.parts.get(first as usize..end as usize).unwrap_or_default();
        first as usize + parts.partition_point(|part| part.0 <= place)
    }

    /// Takes parts up to `until` from what is open.
    fn fill(
        &mut self,
        open: &mut BinaryHeap<(u32, std::cmp::Reverse<u32>)>,
        at: &mut u32,
        until: u32,
        of: impl Fn(u32) -> Option<Interval>,
    ) {
        while *at < until {
            let Some(&(_, number)) = open.peek() else { return };
            let best = of(number.0);
            let end = best.map_or(0, |best| best.base.saturating_add(best.len));
            let Some(best) = best.filter(|_| end > *at) else {
                open.pop();
                continue;
            };
            let end = end.min(until);
            self.put(*at, best.target.wrapping_add(*at - best.base), end);
            *at = end;
        }
    }

    fn put(&mut self, base: u32, target: u32, end: u32) {
        match self.parts.last_mut() {
            Some(last) if last.2 == base && last.1.wrapping_add(base - last.0) == target => {
                last.2 = end;
            }
            _ => self.parts.push((base, target, end)),
        }
    }

    /// Base, target and end in the base of each part.
    #[cfg(feature = "encode")]
    pub(crate) fn parts(&self) -> &[(u32, u32, u32)] {
        &self.parts
    }

    /// Where a place of the base's file went, and whether an interval says so; between two intervals
    /// the nearer one counts, in the middle the first.
    pub(crate) fn find(&self, place: u32) -> (u32, bool) {
        let next = self.until(place);
        let before = next.checked_sub(1).and_then(|last| self.parts.get(last));
        let moved = |part: &(u32, u32, u32)| part.1.wrapping_add(place.wrapping_sub(part.0));
        match (before, self.parts.get(next)) {
            (Some(before), _) if place < before.2 => (moved(before), true),
            (Some(before), Some(after)) if after.0 - place < place - before.2 => {
                (moved(after), false)
            }
            (Some(before), _) => (moved(before), false),
            (None, Some(after)) => (moved(after), false),
            (None, None) => (place, false),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn made(intervals: impl Iterator<Item = Interval>) -> Map {
        Map::new(&Map::joined(intervals))
    }

    fn interval(base: u32, target: u32, len: u32) -> Interval {
        Interval { base, target, len }
    }

    #[test]
    fn the_longest_counts_and_then_the_first() {
        let map = made(
            [interval(0, 1000, 10), interval(5, 2000, 20), interval(15, 3000, 10)].into_iter(),
        );
        assert_eq!(map.parts, [(0, 1000, 5), (5, 2000, 25)]);
        let map = made([interval(0, 50, 10), interval(0, 70, 10)].into_iter());
        assert_eq!(map.parts, [(0, 50, 10)]);
    }

    #[test]
    fn a_part_of_a_longer_one_is_all_that_is_hidden() {
        let map = made([interval(0, 100, 30), interval(10, 500, 5)].into_iter());
        assert_eq!(map.parts, [(0, 100, 30)]);
        let map = made([interval(10, 500, 50), interval(0, 100, 30)].into_iter());
        assert_eq!(map.parts, [(0, 100, 10), (10, 500, 60)]);
    }

    #[test]
    fn the_index_has_few_parts_in_an_entry() {
        // Near one another at first, then far apart, then at the end of all places.
        let places = (0..500u32).map(|i| i * 3).chain((1..900).map(|i| i << 21));
        let places: Vec<u32> = places.chain((1..99).map(|i| u32::MAX - 500 + i * 4)).collect();
        let map = made(places.iter().map(|&base| interval(base, base ^ 0x55, 2)));
        assert_eq!(map.parts.len(), places.len());
        assert!((100..=places.len() / SHARED + 2).contains(&map.starts.len()));
        for &place in places.iter().chain(&[u32::MAX]) {
            for at in [place.saturating_sub(1), place, place.saturating_add(1)] {
                let until = map.parts.partition_point(|part| part.0 <= at);
                assert_eq!(map.until(at), until, "{at}");
            }
        }
    }

    #[test]
    fn between_parts_the_nearer_one_counts() {
        let map = made([interval(10, 110, 10), interval(30, 230, 10)].into_iter());
        let found = |place| map.find(place);
        assert_eq!(found(9), (109, false));
        assert_eq!(found(10), (110, true));
        assert_eq!(found(19), (119, true));
        assert_eq!(found(25), (125, false));
        assert_eq!(found(26), (226, false));
        assert_eq!(found(99), (299, false));
        assert_eq!(Map::default().find(7), (7, false));
    }

    proptest! {
        #[test]
        fn every_byte_follows_the_longest(
            intervals in prop::collection::vec((0u32..300, any::<u32>(), 1u32..60), 0..30),
            cut in 0usize..30,
        ) {
            let mut list: Vec<Interval> =
                intervals.iter().map(|&(base, target, len)| interval(base, target, len)).collect();
            let map = made(list.iter().copied());
            for place in 0..400 {
                let mut best: Option<Interval> = None;
                for one in &list {
                    let inside = one.base <= place && place < one.base + one.len;
                    if inside && best.is_none_or(|best| one.len > best.len) {
                        best = Some(*one);
                    }
                }
                let (target, known) = map.find(place);
                prop_assert_eq!(known, best.is_some());
                if let Some(best) = best {
                    prop_assert_eq!(target, best.target.wrapping_add(place - best.base));
                }
            }
            // An op that was cut is the same map.
            if let Some(one) = list.get(cut).copied().filter(|one| one.len > 1) {
                let at = one.len / 2;
                let fits = one.target.checked_add(one.len).is_some();
                let second = interval(one.base + at, one.target.wrapping_add(at), one.len - at);
                list.splice(cut..=cut, [interval(one.base, one.target, at), second]);
                if fits {
                    prop_assert_eq!(made(list.into_iter()).parts, map.parts);
                }
            }
        }
    }
}
