//! An index of a base: where each short string of it stands.
//!
//! Positions lie in buckets by the hash of their first [`Index::key`] bytes, in ascending order
//! inside a bucket (a counting sort, so building is linear). A bucket that holds more candidates than
//! are worth looking at gives those nearest to where a match is expected: in two versions of a file
//! that is almost always the right one.

use std::iter::repeat;
use std::ops::Range;

use rayon::prelude::*;

use super::Effort;

/// Bytes of the base looked up as one string, at most.
const LONGEST_KEY: usize = 32;

/// A shard has at most two to the power of this many buckets.
const BUCKET_BITS: u32 = 19;

/// Most positions that one index holds.
const MOST_POSITIONS: usize = u32::MAX as usize - 1;

/// Bits of a hash that are kept beside a position at most: a candidate with others is passed by without a look at the base.
const MOST_TAG_BITS: u32 = 8;

/// Bytes by which a match farther off must be longer: what is nearer goes on for longer, differences aside, and is named in less.
const FARTHER: usize = 4;

/// Positions passed by for each candidate looked at, at most.
const PASSED: usize = 4;

/// Parts of a base whose strings are hashed side by side.
const PARTS: usize = 8;

/// The shards are filled in two to the power of this many passes over the base, to save memory; the second where that is short.
const PASS_BITS: u32 = 1;
const MANY_PASS_BITS: u32 = 2;

/// Positions of a base by the hash of the bytes that stand there.
#[derive(Debug)]
pub(crate) struct Index<'a> {
    base: &'a [u8],
    spacing: Spacing,
    shape: Shape,
    shards: Vec<Shard>,
}

/// What the bits of a hash say, from the highest on; the lowest are the tag.
#[derive(Debug, Clone, Copy)]
struct Shape {
    /// Which shard.
    shard_bits: u32,
    /// Which bucket of it.
    bits: u32,
    /// Bits that stand below each place.
    tag_bits: u32,
}

/// A place and the hash of what stands there.
type Member = (u32, u32);

/// The positions whose hashes begin with the same bits: small enough to be filled within the cache.
#[derive(Debug)]
struct Shard {
    /// Where each bucket begins in `positions`; one more than there are buckets.
    starts: Vec<u32>,
    /// Places (positions in the base, divided by the step) and below each its tag.
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
    /// Indexes the strings of so many bytes (4 to 32) of a base, of fewer positions where more
    /// would need more memory than there is.
    pub(crate) fn new(base: &'a [u8], effort: &Effort) -> Self {
        let spacing = Spacing::new(base.len(), effort);
        let places = spacing.places(base.len());
        let bits = (usize::BITS - (places / 2).leading_zeros()).clamp(4, 24);
        let shard_bits = bits.saturating_sub(BUCKET_BITS);
        let tag_bits = (places as u32 | 1).leading_zeros().min(MOST_TAG_BITS);
        let shape = Shape { shard_bits, bits: bits - shard_bits, tag_bits };
        let pass_bits = if spacing.step == 1 { PASS_BITS } else { MANY_PASS_BITS };
        let in_pass = (1 << shard_bits >> pass_bits).max(1);
        let mut shards = Vec::with_capacity(1 << shard_bits);
        while shards.len() < 1 << shard_bits {
            let wanted = shards.len()..shards.len() + in_pass;
            let members = spacing.all_members(base, places, &wanted, shape);
            let fill = |number: usize| {
                Shard::fill(members.iter().filter_map(|part| part.get(number)), shape)
            };
            shards.par_extend((0..in_pass).into_par_iter().map(fill));
        }
        Self { base, spacing, shape, shards }
    }

    /// The positions of the bytes with this hash, and others.
    fn positions(&self, hash: u32) -> &'_ [u32] {
        let shard = &self.shards[self.shape.shard(hash)];
        let bucket = self.shape.bucket(hash);
        &shard.positions[shard.starts[bucket] as usize..shard.starts[bucket + 1] as usize]
    }

    /// Bytes that a match has at least.
    pub(crate) fn key(&self) -> usize {
        self.spacing.key
    }

    /// A match of `wanted` at one of `candidates` positions of its hash, those nearest to `hint` first, that none farther
    /// off is clearly longer than.
    fn longest(
        &self,
        bucket: Bucket<'_>,
        wanted: &[u8],
        hint: usize,
        candidates: usize,
    ) -> Option<Match> {
        let tag_bits = self.shape.tag_bits;
        if bucket.positions.len() < 2 && self.shape.tag(bucket.first) != bucket.tag {
            return None;
        }
        let mut best: Option<Match> = None;
        let nearest = Nearest::new(bucket.positions, tag_bits, hint / self.spacing.step);
        let is_alike = |position: &u32| self.shape.tag(*position) == bucket.tag;
        for position in nearest.take(PASSED * candidates).filter(is_alike).take(candidates) {
            let base = (position >> tag_bits) as usize * self.spacing.step;
            let len = common_prefix(&self.base[base..], wanted);
            if len >= self.spacing.key && best.is_none_or(|best| len > best.len + FARTHER) {
                best = Some(Match { base, len });
            }
        }
        best
    }
}

/// The positions that the strings at one place of a target may have.
#[derive(Debug, Clone, Copy, Default)]
struct Bucket<'a> {
    positions: &'a [u32],
    /// The first of them, fetched with the bucket.
    first: u32,
    tag: u32,
}

/// Places of a target whose buckets are fetched at once: waiting for memory is what a search takes long for.
const FETCHED: usize = 8;

/// Looks up strings of a target, most often at one place after the other.
#[derive(Debug)]
pub(crate) struct Lookup<'a> {
    index: &'a Index<'a>,
    target: &'a [u8],
    /// The place that the first bucket belongs to.
    from: usize,
    buckets: [Bucket<'a>; FETCHED],
}

impl<'a> Lookup<'a> {
    /// For one target.
    pub(crate) fn new(index: &'a Index<'a>, target: &'a [u8]) -> Self {
        Self { index, target, from: target.len(), buckets: [Bucket::default(); FETCHED] }
    }

    /// A match of the at most `len` bytes at a place, at one of `candidates` positions, those nearest to `hint`
    /// first, that none farther off is clearly longer than.
    pub(crate) fn longest(
        &mut self,
        at: usize,
        len: usize,
        hint: usize,
        candidates: usize,
    ) -> Option<Match> {
        let bucket = match self.buckets.get(at.wrapping_sub(self.from)) {
            Some(bucket) => *bucket,
            None => self.fetch(at),
        };
        let wanted = &self.target[at..(at + len).min(self.target.len())];
        self.index.longest(bucket, wanted, hint, candidates)
    }

    fn fetch(&mut self, at: usize) -> Bucket<'a> {
        self.from = at;
        let strings = self.target[at..].windows(self.index.key()).map(Some).chain(repeat(None));
        for (bucket, string) in self.buckets.iter_mut().zip(strings) {
            *bucket = string.map_or_else(Bucket::default, |string| {
                let hash = hash(string);
                let positions = self.index.positions(hash);
                let first = positions.first().copied().unwrap_or_default();
                Bucket { positions, first, tag: self.index.shape.tag(hash) }
            });
        }
        self.buckets[0]
    }
}

impl Shape {
    fn shard(self, hash: u32) -> usize {
        (u64::from(hash) >> (u32::BITS - self.shard_bits)) as usize
    }

    fn bucket(self, hash: u32) -> usize {
        (hash << self.shard_bits >> (u32::BITS - self.bits)) as usize
    }

    /// That of a hash or of a position.
    fn tag(self, hash: u32) -> u32 {
        hash & ((1 << self.tag_bits) - 1)
    }
}

impl Shard {
    /// Sorts its members, given in ascending order in several lists, into buckets.
    fn fill<'a>(
        members: impl DoubleEndedIterator<Item = &'a Vec<Member>> + Clone,
        shape: Shape,
    ) -> Self {
        let count = members.clone().map(Vec::len).sum();
        let (mut starts, mut positions) = (vec![0; (1 << shape.bits) + 1], vec![0; count]);
        for &(_, hash) in members.clone().flatten() {
            starts[shape.bucket(hash)] += 1;
        }
        // Counts become ends; filling from the back turns the ends into starts.
        let mut sum = 0;
        for start in &mut starts {
            sum += *start;
            *start = sum;
        }
        for &(place, hash) in members.rev().flat_map(|members| members.iter().rev()) {
            let start = &mut starts[shape.bucket(hash)];
            *start -= 1;
            positions[*start as usize] = place << shape.tag_bits | shape.tag(hash);
        }
        Self { starts, positions }
    }
}

impl Spacing {
    fn new(len: usize, effort: &Effort) -> Self {
        let key = effort.reach.key.clamp(4, LONGEST_KEY);
        // Four bytes a position, twice while it is built, and two for the buckets' starts.
        let affordable = (effort.memory / 10).clamp(1 << 10, MOST_POSITIONS);
        let step = len.div_ceil(affordable).max(effort.every).max(1);
        Self { step, key: LONGEST_KEY.min(key + (step - 1).min(8)) }
    }

    fn places(&self, len: usize) -> usize {
        len.saturating_sub(self.key - 1).div_ceil(self.step)
    }

    /// The places of the `wanted` shards, ascending in each, in parts of the base one behind the other.
    fn all_members(
        &self,
        base: &[u8],
        places: usize,
        wanted: &Range<usize>,
        shape: Shape,
    ) -> Vec<Vec<Vec<Member>>> {
        let part = places.div_ceil(PARTS).max(1);
        let members =
            |from: usize| self.members(base, from..places.min(from + part), wanted, shape);
        (0..places).into_par_iter().step_by(part).map(members).collect()
    }

    fn members(
        &self,
        base: &[u8],
        places: Range<usize>,
        wanted: &Range<usize>,
        shape: Shape,
    ) -> Vec<Vec<Member>> {
        // A little more than on average, so that few lists grow, which takes twice the memory.
        let expected = places.len() >> shape.shard_bits;
        let expected = expected + expected / 16 + 8;
        let mut members: Vec<Vec<Member>> =
            wanted.clone().map(|_| Vec::with_capacity(expected)).collect();
        for place in places {
            if let Some(hash) = self.indexed(base, place)
                && let Some(list) = members.get_mut(shape.shard(hash).wrapping_sub(wanted.start))
            {
                // There are at most MOST_POSITIONS places.
                list.push((place as u32, hash));
            }
        }
        members
    }

    /// The hash of the `place`th position; none inside a run of one byte, where a match is found from
    /// the run's first position.
    fn indexed(&self, base: &[u8], place: usize) -> Option<u32> {
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

/// A hash of 4 bytes or more, all of whose bits are well mixed: both halves of products, as in wyhash (Wang Yi, 2019).
fn hash(bytes: &[u8]) -> u32 {
    const FIRST: u64 = 0x9e37_79b9_7f4a_7c15;
    const SECOND: u64 = 0xc2b2_ae3d_27d4_eb4f;
    let fold = |a: u64, b: u64| {
        let product = u128::from(a ^ FIRST) * u128::from(b ^ SECOND);
        product as u64 ^ (product >> 64) as u64
    };
    let mut sum = 0;
    let mut rest = bytes;
    while let (true, Some((word, tail))) = (rest.len() > 16, rest.split_first_chunk::<8>()) {
        sum = fold(sum, u64::from_le_bytes(*word));
        rest = tail;
    }
    // The words at both ends of up to 16 bytes may overlap.
    let whole = match (rest.first_chunk::<8>(), rest.last_chunk::<8>()) {
        (Some(first), Some(last)) => {
            fold(u64::from_le_bytes(*first) ^ sum, u64::from_le_bytes(*last))
        }
        _ => match (rest.first_chunk::<4>(), rest.last_chunk::<4>()) {
            (Some(first), Some(last)) => {
                fold(u64::from(u32::from_le_bytes(*first)) ^ sum, u32::from_le_bytes(*last).into())
            }
            _ => fold(sum, rest.iter().fold(0, |word, &byte| word << 8 | u64::from(byte))),
        },
    };
    (whole >> 32) as u32
}

/// The positions of a sorted list, from the one nearest to a place outwards.
struct Nearest<'a> {
    positions: &'a [u32],
    tag_bits: u32,
    place: usize,
    below: Range<usize>,
    above: Range<usize>,
}

impl<'a> Nearest<'a> {
    fn new(positions: &'a [u32], tag_bits: u32, place: usize) -> Self {
        let is_below = |&position: &u32| ((position >> tag_bits) as usize) < place;
        let middle = positions.partition_point(is_below);
        Self { positions, tag_bits, place, below: 0..middle, above: middle..positions.len() }
    }
}

impl Iterator for Nearest<'_> {
    type Item = u32;

    fn next(&mut self) -> Option<u32> {
        let distance =
            |at: usize| ((self.positions[at] >> self.tag_bits) as usize).abs_diff(self.place);
        let below = (!self.below.is_empty()).then(|| distance(self.below.end - 1));
        let above = (!self.above.is_empty()).then(|| distance(self.above.start));
        let at = match (below, above) {
            (Some(below), Some(above)) if below < above => self.below.next_back(),
            (Some(_), None) => self.below.next_back(),
            _ => self.above.next(),
        };
        at.map(|at| self.positions[at])
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
    use crate::matching::Reach;
    use proptest::prelude::*;

    fn effort(key: usize, memory: usize) -> Effort {
        Effort { reach: Reach { key, candidates: 8, trust: 4 }, memory, every: 1 }
    }

    fn indexed(base: &[u8], key: usize, memory: usize) -> Index<'_> {
        Index::new(base, &effort(key, memory))
    }

    fn longest(index: &Index<'_>, wanted: &[u8], hint: usize, candidates: usize) -> Option<Match> {
        Lookup::new(index, wanted).longest(0, wanted.len(), hint, candidates)
    }

    #[test]
    fn finds_what_is_clearly_longest_and_then_the_nearest() {
        let base = b"abcdefgh-----abcdefghij-----abcdefgh--abcdefghijklm";
        let index = indexed(base, 8, 1 << 20);
        let clearly = longest(&index, b"abcdefghijklm", 0, 8).unwrap();
        assert_eq!(clearly, Match { base: 38, len: 13 });
        assert_eq!(longest(&index, b"abcdefghijk", 0, 8).unwrap(), Match { base: 0, len: 8 });
        let nearest = longest(&index, b"abcdefgh!", 30, 8).unwrap();
        assert_eq!(nearest, Match { base: 28, len: 8 });
        assert_eq!(longest(&index, b"abcdefg", 0, 8), None);
        assert_eq!(longest(&index, b"xxxxxxxxxx", 0, 8), None);
    }

    #[test]
    fn few_candidates_are_those_near_the_hint() {
        let base = b"abcdefgh-----abcdefghij-----abcdefgh-";
        let index = indexed(base, 8, 1 << 20);
        assert_eq!(longest(&index, b"abcdefghijk", 30, 1).unwrap().base, 28);
    }

    #[test]
    fn a_small_memory_thins_the_positions() {
        let base: Vec<u8> =
            (0..100_000_u32).flat_map(|n| n.wrapping_mul(77_777).to_le_bytes()).collect();
        let index = indexed(&base, 8, 64 << 10);
        let step = index.spacing.step;
        assert!(step > 1);
        let shard = |shard: &Shard| shard.positions.len() * 4 + shard.starts.len() * 4;
        assert!(index.shards.iter().map(shard).sum::<usize>() <= 64 << 10);
        let found = (1000..1000 + step).find_map(|at| longest(&index, &base[at..at + 500], at, 4));
        assert!(found.is_some());
    }

    #[test]
    fn fewer_positions_are_indexed_where_that_is_wanted() {
        let base: Vec<u8> =
            (0..1000_u32).flat_map(|n| n.wrapping_mul(77_777).to_le_bytes()).collect();
        let index = Index::new(&base, &Effort { every: 4, ..effort(8, 1 << 20) });
        assert_eq!((index.spacing.step, index.key()), (4, 11));
        assert!(longest(&index, &base[400..500], 400, 4).is_some());
        assert_eq!(longest(&index, &base[401..500], 401, 4), None);
    }

    #[test]
    fn runs_are_indexed_once() {
        let positions = |index: &Index<'_>| {
            index.shards.iter().map(|shard| shard.positions.len()).sum::<usize>()
        };
        let index_of = |len| positions(&indexed(&vec![0; len], 8, 1 << 20));
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
            let index = indexed(&base, 4, 1 << 20);
            if let Some(found) = longest(&index, &wanted, hint, 16) {
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
