//! Dictionaries for the literals of an executable: what stands in the base around the places where they are new.

use super::super::similar::Cover;
use super::Tables;
use crate::matching;

/// Bytes of a target whose literals share a dictionary.
const PART: u64 = 6 << 20;
/// The base is chosen from in pieces of this many bytes.
const BUCKET: u64 = 64 << 10;
/// Literals that are too few to need a dictionary.
const FEW: u64 = 512;
/// Buckets on each side of a place where literals stand that help too.
const AROUND: usize = 2;

/// Literals that share a dictionary.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Part {
    /// Where the first of them begin in the target's file.
    pub(super) first: u64,
    /// Offsets and lengths in the base's file, ascending, without overlap.
    pub(super) ranges: Vec<(u64, u64)>,
}

/// The parts of a target's file of `len` bytes, of which covers say where it stands in the base's file of `base_len`
/// bytes. Covers lie in both files, ascending in the target without overlap. A dictionary for so many literals has at most
/// `most` bytes.
pub(super) fn parts(
    (len, base_len): (u64, u64),
    covers: impl Iterator<Item = Cover>,
    most: impl Fn(u64) -> u64,
) -> Vec<Part> {
    let mut parts: Vec<(Part, Votes)> = Vec::new();
    let (mut at, mut place) = (0, 0);
    let end = Cover { target: len, base: base_len, len: 0 };
    for cover in covers.chain([end]) {
        let literals = cover.target - at;
        if literals > 0 {
            if parts.last().is_none_or(|(part, _)| part.first / PART != at / PART) {
                parts.push((Part { first: at, ranges: Vec::new() }, Votes::new(base_len)));
            }
            if let Some((_, votes)) = parts.last_mut() {
                // Where what stands before the literals ends, and where what stands behind them begins.
                votes.literals += literals;
                votes.add(place, literals);
                votes.add(cover.base, literals);
            }
        }
        (at, place) = (cover.target + cover.len, cover.base + cover.len);
    }
    let done = |(part, votes): (Part, Votes)| {
        let ranges = votes.ranges(base_len, most(votes.literals));
        Part { ranges, ..part }
    };
    parts.into_iter().filter(|(_, votes)| votes.literals >= FEW).map(done).collect()
}

/// Covers of a target's file with those of its tables.
pub(super) fn merged(covers: impl Iterator<Item = Cover>, tables: Option<&Tables>) -> Vec<Cover> {
    let of = |cover: matching::Cover| Cover {
        target: cover.target as u64,
        base: cover.base as u64,
        len: cover.len as u64,
    };
    let mut all: Vec<Cover> = covers.collect();
    if let Some(tables) = tables {
        all.extend(tables.covers().map(of));
    }
    all.sort_by_key(|cover| cover.target);
    all
}

/// How many literals each bucket of the base is near to.
struct Votes {
    buckets: Vec<u64>,
    literals: u64,
}

impl Votes {
    fn new(base_len: u64) -> Self {
        Self { buckets: vec![0; base_len.div_ceil(BUCKET) as usize], literals: 0 }
    }

    fn add(&mut self, place: u64, literals: u64) {
        let bucket = (place / BUCKET) as usize;
        let near = bucket.saturating_sub(AROUND)..self.buckets.len().min(bucket + AROUND + 1);
        for at in near {
            self.buckets[at] += literals / (1 + at.abs_diff(bucket) as u64);
        }
    }

    /// The buckets with most votes, of `most` bytes together; neighbours joined.
    fn ranges(&self, base_len: u64, most: u64) -> Vec<(u64, u64)> {
        let mut order: Vec<usize> =
            (0..self.buckets.len()).filter(|&at| self.buckets[at] > 0).collect();
        order.sort_by_key(|&at| std::cmp::Reverse(self.buckets[at]));
        order.truncate((most / BUCKET) as usize);
        order.sort_unstable();
        let mut ranges: Vec<(u64, u64)> = Vec::new();
        for at in order {
            let start = at as u64 * BUCKET;
            let len = BUCKET.min(base_len - start);
            match ranges.last_mut() {
                Some(last) if last.0 + last.1 == start => last.1 += len,
                _ => ranges.push((start, len)),
            }
        }
        ranges
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::program::limits::DICTIONARY_LEN;

    fn parts(len: u64, base_len: u64, covers: impl Iterator<Item = Cover>) -> Vec<Part> {
        super::parts((len, base_len), covers, |_| DICTIONARY_LEN)
    }

    const MIB: u64 = 1 << 20;

    fn cover(target: u64, base: u64, len: u64) -> Cover {
        Cover { target, base, len }
    }

    #[test]
    fn what_stands_around_literals_is_taken() {
        let covers = [cover(0, 0, MIB), cover(MIB + FEW, MIB, MIB - FEW)];
        let found = parts(2 * MIB, 2 * MIB, covers.into_iter());
        let range = (MIB - 2 * BUCKET, 5 * BUCKET);
        assert_eq!(found, [Part { first: MIB, ranges: vec![range] }]);
    }

    #[test]
    fn each_part_has_a_dictionary_of_its_own() {
        // Every 64 KiB of the target begins with literals; the base is twice as long.
        let covers =
            |count: u64| (0..count).map(|n| cover(n * BUCKET + 100, 2 * n * BUCKET, BUCKET - 100));
        let found = parts(8 * MIB, 16 * MIB, covers(128));
        let firsts: Vec<u64> = found.iter().map(|part| part.first).collect();
        assert_eq!(firsts, [0, PART]);
        for part in &found {
            let len: u64 = part.ranges.iter().map(|range| range.1).sum();
            assert!(len <= DICTIONARY_LEN);
            assert!(part.ranges.windows(2).all(|pair| pair[0].0 + pair[0].1 < pair[1].0));
        }
        assert_eq!(found[0].ranges[0].0, 0);
        assert!(found[1].ranges[0].0 > 10 * MIB);
    }

    #[test]
    fn a_short_dictionary_is_what_is_nearest() {
        let covers = [cover(0, 0, MIB), cover(MIB + FEW, MIB, MIB - FEW)];
        let found = super::parts((2 * MIB, 2 * MIB), covers.into_iter(), |_| 3 * BUCKET);
        assert_eq!(found[0].ranges, [(MIB - BUCKET, 3 * BUCKET)]);
    }

    #[test]
    fn nothing_is_needed_without_literals() {
        assert_eq!(parts(MIB, MIB, [cover(0, 0, MIB)].into_iter()), []);
        assert_eq!(parts(FEW - 1, 70, std::iter::empty()), []);
        let all = parts(FEW, 70, std::iter::empty());
        assert_eq!(all, [Part { first: 0, ranges: vec![(0, 70)] }]);
    }
}
