//! An index of a base: where each short string of it stands.
//!
//! Positions lie in buckets by the hash of their first [`Index::key`] bytes, in ascending order
//! inside a bucket (a counting sort, so building is linear). A bucket that holds more candidates than
//! are worth looking at gives those nearest to where a match is expected: in two versions of a file
//! that is almost always the right one.

use std::ops::Range;

use rayon::prelude::*;

/// Bytes of the base looked up as one string, at most.
const LONGEST_KEY: usize = 32;

/// A shard has at most two to the power of this many buckets.
const BUCKET_BITS: u32 = 19;

/// Most positions that one index holds.
const MOST_POSITIONS: usize = u32::MAX as usize - 1;

/// Positions of a base by the hash of the bytes that stand there.
#[derive(Debug)]
pub(crate) struct Index<'a> {
    base: &'a [u8],
    spacing: Spacing,
    /// The upper bits of a hash that choose the shard.
    shard_bits: u32,
    shards: Vec<Shard>,
}

/// The positions whose hashes begin with the same bits: small enough to be filled within the cache.
#[derive(Debug)]
struct Shard {
    /// Bits of a hash after those of the shard that choose the bucket.
    bits: u32,
    /// Where each bucket begins in `positions`; one more than there are buckets.
    starts: Vec<u32>,
    /// Positions in the base, divided by the step.
    positions: Vec<u32>,
}

/// Which strings of a base are indexed.
#[derive(Debug, Clone, Copy)]
struct Spacing {
    /// Bytes of each.
    key: usize,
    /// The distance from one to the next.
    step: usize,
}

/// An exact match of the base.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Match {
    pub base: usize,
    pub len: usize,
}

impl<'a> Index<'a> {
    /// Indexes the strings of `key` bytes (4 to 32) of a base, of every `step`th position where all of
    /// them would need more than `memory` bytes.
    pub(crate) fn new(base: &'a [u8], key: usize, memory: usize) -> Self {
        let spacing = Spacing::new(base.len(), key.clamp(4, LONGEST_KEY), memory);
        let places = spacing.places(base.len());
        let bits = (usize::BITS - (places / 2).leading_zeros()).clamp(4, 24);
        let shard_bits = bits.saturating_sub(BUCKET_BITS);
        let mut members: Vec<Vec<u32>> = vec![Vec::new(); 1 << shard_bits];
        for list in &mut members {
            list.reserve(places >> shard_bits);
        }
        for place in 0..places {
            if let Some(hash) = spacing.indexed(base, place) {
                // There are at most MOST_POSITIONS places.
                members[shard_of(hash, shard_bits)].push(place as u32);
            }
        }
        let hash_at = |place: u32| hash(&base[place as usize * spacing.step..][..spacing.key]);
        let fill = |members| Shard::fill(members, bits - shard_bits, shard_bits, hash_at);
        Self { base, spacing, shard_bits, shards: members.into_par_iter().map(fill).collect() }
    }

    /// The positions of the bytes with this hash, and others.
    fn positions(&self, hash: u64) -> &[u32] {
        let shard = &self.shards[shard_of(hash, self.shard_bits)];
        let bucket = shard.bucket(hash, self.shard_bits);
        &shard.positions[shard.starts[bucket] as usize..shard.starts[bucket + 1] as usize]
    }

    /// Bytes that a match has at least.
    pub(crate) fn key(&self) -> usize {
        self.spacing.key
    }

    /// The longest of the matches of `wanted` among `candidates` positions, those nearest to `hint`
    /// first; of equally long ones the nearest.
    pub(crate) fn longest(&self, wanted: &[u8], hint: usize, candidates: usize) -> Option<Match> {
        let wanted_key = wanted.get(..self.spacing.key)?;
        let positions = self.positions(hash(wanted_key));
        let mut best: Option<Match> = None;
        for place in Nearest::new(positions, hint / self.spacing.step).take(candidates) {
            let base = positions[place] as usize * self.spacing.step;
            let len = common_prefix(&self.base[base..], wanted);
            if len >= self.spacing.key && best.is_none_or(|best| len > best.len) {
                best = Some(Match { base, len });
            }
        }
        best
    }
}

fn shard_of(hash: u64, shard_bits: u32) -> usize {
    (hash >> 32 >> (32 - shard_bits)) as usize
}

impl Shard {
    /// Sorts its members, given in ascending order, into buckets.
    fn fill(members: Vec<u32>, bits: u32, shard_bits: u32, hash_at: impl Fn(u32) -> u64) -> Self {
        let mut shard =
            Self { bits, starts: vec![0; (1 << bits) + 1], positions: vec![0; members.len()] };
        for &place in &members {
            let bucket = shard.bucket(hash_at(place), shard_bits);
            shard.starts[bucket] += 1;
        }
        // Counts become ends; filling from the back turns the ends into starts.
        let mut sum = 0;
        for start in &mut shard.starts {
            sum += *start;
            *start = sum;
        }
        for &place in members.iter().rev() {
            let bucket = shard.bucket(hash_at(place), shard_bits);
            shard.starts[bucket] -= 1;
            shard.positions[shard.starts[bucket] as usize] = place;
        }
        shard
    }

    fn bucket(&self, hash: u64, shard_bits: u32) -> usize {
        ((hash << shard_bits) >> (64 - self.bits)) as usize
    }
}

impl Spacing {
    fn new(len: usize, key: usize, memory: usize) -> Self {
        // Four bytes a position, twice while it is built, and two for the buckets' starts.
        let affordable = (memory / 10).clamp(1 << 10, MOST_POSITIONS);
        let step = len.div_ceil(affordable).max(1);
        Self { step, key: LONGEST_KEY.min(key + (step - 1).min(8)) }
    }

    fn places(&self, len: usize) -> usize {
        len.saturating_sub(self.key - 1).div_ceil(self.step)
    }

    /// The hash of the `place`th position; none inside a run of one byte, where a match is found from
    /// the run's first position.
    fn indexed(&self, base: &[u8], place: usize) -> Option<u64> {
        let at = place * self.step;
        let bytes = &base[at..at + self.key];
        if self.step == 1 && at > 0 && bytes[0] == base[at - 1] && all_equal(bytes) {
            return None;
        }
        Some(hash(bytes))
    }
}

fn all_equal(bytes: &[u8]) -> bool {
    bytes.windows(2).all(|pair| pair[0] == pair[1])
}

/// A hash whose upper bits are well mixed (multiplication by a large odd number, folded).
fn hash(bytes: &[u8]) -> u64 {
    const FACTOR: u64 = 0x9e37_79b9_7f4a_7c15;
    let mut sum = 0_u64;
    let mut rest = bytes;
    while let Some((word, tail)) = rest.split_first_chunk::<8>() {
        sum = (sum ^ u64::from_le_bytes(*word)).wrapping_mul(FACTOR);
        sum ^= sum >> 29;
        rest = tail;
    }
    for &byte in rest {
        sum = (sum ^ u64::from(byte)).wrapping_mul(FACTOR);
    }
    (sum ^ (sum >> 32)).wrapping_mul(FACTOR)
}

/// The places of a sorted list, from the one nearest to a value outwards.
struct Nearest<'a> {
    positions: &'a [u32],
    value: usize,
    below: Range<usize>,
    above: Range<usize>,
}

impl<'a> Nearest<'a> {
    fn new(positions: &'a [u32], value: usize) -> Self {
        let middle = positions.partition_point(|&position| (position as usize) < value);
        Self { positions, value, below: 0..middle, above: middle..positions.len() }
    }
}

impl Iterator for Nearest<'_> {
    type Item = usize;

    fn next(&mut self) -> Option<usize> {
        let distance = |place: usize| (self.positions[place] as usize).abs_diff(self.value);
        let below = (!self.below.is_empty()).then(|| distance(self.below.end - 1));
        let above = (!self.above.is_empty()).then(|| distance(self.above.start));
        match (below, above) {
            (Some(below), Some(above)) if below < above => self.below.next_back(),
            (Some(_), None) => self.below.next_back(),
            _ => self.above.next(),
        }
    }
}

/// How many bytes two strings have in common from their start.
pub(crate) fn common_prefix(a: &[u8], b: &[u8]) -> usize {
    let mut len = 0;
    let (mut left, mut right) = (a, b);
    while let (Some((x, a)), Some((y, b))) =
        (left.split_first_chunk::<8>(), right.split_first_chunk::<8>())
    {
        let differing = u64::from_le_bytes(*x) ^ u64::from_le_bytes(*y);
        if differing != 0 {
            return len + (differing.trailing_zeros() / 8) as usize;
        }
        len += 8;
        (left, right) = (a, b);
    }
    len + left.iter().zip(right).take_while(|(x, y)| x == y).count()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn finds_the_longest_and_then_the_nearest() {
        let base = b"abcdefgh-----abcdefghij-----abcdefgh-";
        let index = Index::new(base, 8, 1 << 20);
        let longest = index.longest(b"abcdefghijk", 0, 8).unwrap();
        assert_eq!(longest, Match { base: 13, len: 10 });
        let nearest = index.longest(b"abcdefgh!", 30, 8).unwrap();
        assert_eq!(nearest, Match { base: 28, len: 8 });
        assert_eq!(index.longest(b"abcdefg", 0, 8), None);
        assert_eq!(index.longest(b"xxxxxxxxxx", 0, 8), None);
    }

    #[test]
    fn few_candidates_are_those_near_the_hint() {
        let base = b"abcdefgh-----abcdefghij-----abcdefgh-";
        let index = Index::new(base, 8, 1 << 20);
        assert_eq!(index.longest(b"abcdefghijk", 30, 1).unwrap().base, 28);
    }

    #[test]
    fn a_small_memory_thins_the_positions() {
        let base: Vec<u8> =
            (0..100_000_u32).flat_map(|n| n.wrapping_mul(77_777).to_le_bytes()).collect();
        let index = Index::new(&base, 8, 64 << 10);
        let step = index.spacing.step;
        assert!(step > 1);
        let shard = |shard: &Shard| shard.positions.len() * 4 + shard.starts.len() * 4;
        assert!(index.shards.iter().map(shard).sum::<usize>() <= 64 << 10);
        let found = (1000..1000 + step).find_map(|at| index.longest(&base[at..at + 500], at, 4));
        assert!(found.is_some());
    }

    #[test]
    fn runs_are_indexed_once() {
        let positions = |index: &Index<'_>| {
            index.shards.iter().map(|shard| shard.positions.len()).sum::<usize>()
        };
        let index_of = |len| positions(&Index::new(&vec![0; len], 8, 1 << 20));
        assert_eq!(index_of(5000), 1);
        assert_eq!(index_of(7), 0);
        assert_eq!(index_of(0), 0);
    }

    proptest! {
        #[test]
        fn every_match_is_one(
            base in proptest::collection::vec(0_u8..3, 0..300),
            wanted in proptest::collection::vec(0_u8..3, 0..100),
            hint in 0_usize..400,
        ) {
            let index = Index::new(&base, 4, 1 << 20);
            if let Some(found) = index.longest(&wanted, hint, 16) {
                prop_assert!(found.len >= index.key());
                prop_assert_eq!(&base[found.base..found.base + found.len], &wanted[..found.len]);
            }
        }

        #[test]
        fn common_prefix_counts(a in proptest::collection::vec(0_u8..2, 0..40), b in proptest::collection::vec(0_u8..2, 0..40)) {
            let slow = a.iter().zip(&b).take_while(|(x, y)| x == y).count();
            prop_assert_eq!(common_prefix(&a, &b), slow);
        }
    }
}
