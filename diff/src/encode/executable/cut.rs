//! Files without the tables that are made otherwise.

use std::ops::Range;

use crate::matching::Cover;
use crate::program::{Area, Content};

/// Ranges that are left out of a file, ascending, without overlap.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Cuts(pub(super) Vec<Range<usize>>);

impl Cuts {
    /// The file without the ranges.
    pub(super) fn without(&self, mut file: Vec<u8>) -> Vec<u8> {
        for range in self.0.iter().rev() {
            file.drain(range.clone());
        }
        file
    }

    /// Bytes of a file of so many without the ranges.
    pub(super) fn len_without(&self, len: usize) -> usize {
        len - self.0.iter().map(Range::len).sum::<usize>()
    }

    /// The ranges of the whole file that a range of the shorter one stands for.
    pub(super) fn pieces(&self, range: &Range<usize>) -> Vec<Range<usize>> {
        let mut pieces = Vec::new();
        let mut from = range.start;
        for place in self.places().filter(|place| range.start < *place && *place < range.end) {
            if place > from {
                pieces.push(self.place(from)..self.place(place - 1) + 1);
                from = place;
            }
        }
        if range.end > from {
            pieces.push(self.place(from)..self.place(range.end - 1) + 1);
        }
        pieces
    }

    /// Where the ranges were in the shorter file.
    fn places(&self) -> impl Iterator<Item = usize> {
        let mut gone = 0;
        self.0.iter().map(move |range| {
            let place = range.start - gone;
            gone += range.len();
            place
        })
    }

    /// Where a place of the shorter file is in the whole one.
    fn place(&self, at: usize) -> usize {
        self.0.iter().fold(at, |at, range| if at < range.start { at } else { at + range.len() })
    }
}

/// The covers of whole files that those of the shorter ones stand for: parts of them where one goes over a cut.
pub(super) fn whole(covers: &[Cover], base: &Cuts, target: &Cuts) -> Vec<Cover> {
    let mut found = Vec::with_capacity(covers.len() + 2);
    for cover in covers {
        let crossing = |at: usize, from: usize| at.checked_sub(from).filter(|at| *at < cover.len);
        let of_base = base.places().filter_map(|at| crossing(at, cover.base));
        let of_target = target.places().filter_map(|at| crossing(at, cover.target));
        let mut ends: Vec<usize> = of_base.chain(of_target).chain([cover.len]).collect();
        ends.sort_unstable();
        let mut from = 0;
        for end in ends {
            if end > from {
                found.push(Cover {
                    target: target.place(cover.target + from),
                    base: base.place(cover.base + from),
                    len: end - from,
                });
            }
            from = end;
        }
    }
    found
}

/// The parts of covers that do not stand in a range of the target.
pub(super) fn outside(covers: &[Cover], range: &Range<u64>) -> Vec<Cover> {
    let (start, end) = (range.start as usize, range.end as usize);
    let parts = covers.iter().flat_map(|cover| {
        let before = start.clamp(cover.target, cover.target_end()) - cover.target;
        let behind = end.clamp(cover.target, cover.target_end()) - cover.target;
        let part = |from: usize, to: usize| Cover {
            target: cover.target + from,
            base: cover.base + from,
            len: to.saturating_sub(from),
        };
        [part(0, before.min(behind)), part(behind.max(before), cover.len)]
    });
    parts.filter(|part| part.len > 0).collect()
}

/// Takes parts of instructions of 4 bytes off the ends of covers, where these lie in code of the target: as a literal an
/// instruction is worth more whole.
pub(super) fn to_words(covers: &mut Vec<Cover>, areas: &[Area]) {
    const LEN: usize = 4;
    let is_code = |at: usize| {
        let next = areas.partition_point(|area| area.offset <= at as u64);
        let area = next.checked_sub(1).and_then(|last| areas.get(last));
        area.is_some_and(|area| {
            area.content == Content::Code && (at as u64) < area.offset + area.len
        })
    };
    for cover in covers.iter_mut() {
        let (mut start, mut end) = (cover.target, cover.target_end());
        if is_code(start) {
            start = start.next_multiple_of(LEN).min(end);
        }
        if is_code(end) {
            end = (end / LEN * LEN).max(start);
        }
        cover.base += start - cover.target;
        (cover.target, cover.len) = (start, end - start);
    }
    covers.retain(|cover| cover.len > 0);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cover(target: usize, base: usize, len: usize) -> Cover {
        Cover { target, base, len }
    }

    fn one(range: Range<usize>) -> Cuts {
        Cuts(vec![range])
    }

    #[test]
    fn parts_outside_of_a_range_stay() {
        let covers = [cover(0, 5, 50), cover(60, 80, 90), cover(150, 40, 20)];
        assert_eq!(outside(&covers, &(50..60)), covers);
        assert_eq!(outside(&covers, &(0..200)), []);
        let wanted = [cover(0, 5, 10), cover(40, 45, 10), covers[1], covers[2]];
        assert_eq!(outside(&covers, &(10..40)), wanted);
        let wanted = [cover(0, 5, 30), cover(160, 50, 10)];
        assert_eq!(outside(&covers, &(30..160)), wanted);
    }

    #[test]
    fn a_range_of_the_shorter_file_is_pieces_of_the_whole() {
        let file: Vec<usize> = (0..200).collect();
        let several = Cuts(vec![0..10, 10..20, 50..60]);
        for cuts in [Cuts::default(), one(100..110), several, one(190..200)] {
            let gone = |at: &usize| cuts.0.iter().any(|cut| cut.contains(at));
            let short: Vec<usize> = file.iter().copied().filter(|at| !gone(at)).collect();
            assert_eq!(cuts.len_without(200), short.len());
            for (from, to) in [(0, short.len()), (0, 0), (3, 70), (90, 140), (40, 41), (99, 101)] {
                let pieces = cuts.pieces(&(from..to));
                let joined: Vec<usize> = pieces.into_iter().flatten().collect();
                assert_eq!(joined, short[from..to], "{cuts:?} {from} {to}");
            }
        }
    }

    #[test]
    fn code_is_covered_in_whole_instructions() {
        let area = |offset, len, content| Area { offset, len, content };
        let areas = [area(8, 92, Content::Code), area(100, 50, Content::Pointers)];
        let covered = |covers: &[Cover]| {
            let mut covers = covers.to_vec();
            to_words(&mut covers, &areas);
            covers
        };
        assert_eq!(covered(&[cover(13, 53, 20)]), [cover(16, 56, 16)]);
        assert_eq!(covered(&[cover(12, 50, 20)]), [cover(12, 50, 20)]);
        assert_eq!(
            covered(&[cover(13, 53, 3), cover(17, 53, 2), cover(21, 53, 5)]),
            [cover(24, 56, 0)][1..]
        );
        // Ends outside of code stay.
        let apart = [cover(1, 2, 6), cover(9, 9, 94), cover(105, 3, 14), cover(151, 9, 3)];
        assert_eq!(covered(&apart), [apart[0], cover(12, 12, 91), apart[2], apart[3]]);
    }

    #[test]
    fn covers_are_parted_where_something_was_left_out() {
        let (base, target) = (one(100..110), one(120..1120));
        let covers = [cover(0, 0, 50), cover(60, 80, 90), cover(150, 40, 20)];
        let wanted = [
            cover(0, 0, 50),
            cover(60, 80, 20),
            cover(80, 110, 40),
            cover(1120, 150, 30),
            cover(1150, 40, 20),
        ];
        assert_eq!(whole(&covers, &base, &target), wanted);
        assert_eq!(whole(&covers, &Cuts::default(), &Cuts::default()), covers);
        assert_eq!(base.without((0..120).collect()).len(), 110);
        let (base, target) = (Cuts(vec![100..110, 120..140]), Cuts::default());
        let wanted = [cover(0, 0, 100), cover(100, 110, 10), cover(110, 140, 30)];
        assert_eq!(whole(&[cover(0, 0, 140)], &base, &target), wanted);
        assert_eq!(base.without((0..150).collect()).len(), 120);
    }
}
