//! Finds what of a target stands in a base, differences allowed.
//!
//! Pure functions over bytes. The result is a list of covers: ranges of the target that resemble
//! ranges of the base closely enough that sending their differences costs less than sending them.

mod index;
mod prune;
mod scan;

use std::borrow::Cow;
use std::convert::Infallible;
use std::ops::Range;

use rayon::prelude::*;

use index::Index;
pub(crate) use index::common_prefix;
pub use prune::Costs;
pub(crate) use prune::Scored;

/// A range of the target that resembles a range of the base.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cover {
    /// Where it begins in the target.
    pub target: usize,
    /// Where it begins in the base.
    pub base: usize,
    /// Bytes in it.
    pub len: usize,
}

impl Cover {
    /// Where it ends in the target.
    pub fn target_end(&self) -> usize {
        self.target + self.len
    }

    /// Where it ends in the base.
    pub fn base_end(&self) -> usize {
        self.base + self.len
    }
}

/// How far a search goes for each place of the target.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reach {
    /// Bytes that the shortest match to be found has.
    pub key: usize,
    /// Positions of the base that are looked at for each of the target.
    pub candidates: usize,
    /// How many of 16 bytes ahead may differ for an alignment to be followed without a search; 0
    /// searches at every difference.
    pub trust: usize,
}

/// How thoroughly to search.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Effort {
    /// How far for each place of the target.
    pub reach: Reach,
    /// Bytes of memory for the index of the base; a larger base is indexed at fewer positions.
    pub memory: usize,
    /// Of so many positions of the base one is indexed, or fewer; matches that are found have as many bytes more, up to 8.
    pub every: usize,
}

/// Bytes of a target that are searched as one: parts are searched side by side.
///
/// Constant, so that the result does not depend on the number of threads.
const PART: usize = 4 << 20;

/// A target that is searched in parts, so that it need not be held as a whole.
pub(crate) trait Target: Sync {
    /// What reading a part fails with.
    type Error: Send;

    /// Bytes of it.
    fn len(&self) -> usize;

    /// The bytes of a range, which lies inside.
    fn part(&self, range: Range<usize>) -> Result<Cow<'_, [u8]>, Self::Error>;
}

impl Target for [u8] {
    type Error = Infallible;

    fn len(&self) -> usize {
        <[u8]>::len(self)
    }

    fn part(&self, range: Range<usize>) -> Result<Cow<'_, [u8]>, Infallible> {
        Ok(Cow::Borrowed(&self[range]))
    }
}

/// The covers of a target, ascending and without overlap in the target.
///
/// Takes time linear in the sizes of both, `effort.memory` and 32 bytes a cover of memory.
pub fn covers(base: &[u8], target: &[u8], effort: &Effort, costs: &Costs) -> Vec<Cover> {
    let Ok(found) = scored(base, target, effort, costs);
    found.into_iter().map(|scored| scored.cover).collect()
}

/// The same of a target that is read in parts, each by one thread, with the bytes that differ in each cover.
///
/// # Errors
/// What reading the target fails with.
pub(crate) fn scored<T: Target + ?Sized>(
    base: &[u8],
    target: &T,
    effort: &Effort,
    costs: &Costs,
) -> Result<Vec<Scored>, T::Error> {
    let len = target.len();
    if base.len() < effort.reach.key || len < effort.reach.key {
        return Ok(Vec::new());
    }
    let index = Index::new(base, effort);
    let search = |from: usize| {
        let part = target.part(from..len.min(from + PART))?;
        let found = scan::scan(&index, base, &part, from, effort);
        let mut kept = prune::prune(base, &part, found, costs);
        kept.iter_mut().for_each(|scored| scored.cover.target += from);
        Ok(kept)
    };
    let parts: Result<Vec<Vec<Scored>>, T::Error> =
        (0..len).into_par_iter().step_by(PART).map(search).collect();
    drop(index);
    prune::join_parts(base, target, parts?, costs)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const EFFORT: Effort =
        Effort { reach: Reach { key: 8, candidates: 8, trust: 4 }, memory: 1 << 20, every: 1 };

    /// Bytes without structure, the same for a seed.
    fn noise(seed: u64, len: usize) -> Vec<u8> {
        let mut state = seed | 1;
        let next = |_| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            (state >> 32) as u8
        };
        (0..len).map(next).collect()
    }

    fn covered(covers: &[Cover]) -> usize {
        covers.iter().map(|cover| cover.len).sum()
    }

    fn check(base: &[u8], target: &[u8], covers: &[Cover]) {
        let mut end = 0;
        for cover in covers {
            assert!(cover.len > 0 && cover.target >= end, "{covers:?}");
            end = cover.target_end();
            assert!(cover.base_end() <= base.len() && end <= target.len(), "{covers:?}");
        }
    }

    #[test]
    fn equal_bytes_are_one_cover() {
        let bytes = noise(1, 3 * PART / 2);
        let found = covers(&bytes, &bytes, &EFFORT, &Costs::BYTES);
        assert_eq!(found, [Cover { target: 0, base: 0, len: bytes.len() }]);
    }

    #[test]
    fn scattered_differences_do_not_break_a_cover() {
        let base = noise(2, 20_000);
        let mut target = base.clone();
        for at in (100..target.len()).step_by(37) {
            target[at] ^= 0x55;
        }
        assert_eq!(
            covers(&base, &target, &EFFORT, &Costs::BYTES),
            [Cover { target: 0, base: 0, len: 20_000 }]
        );
    }

    #[test]
    fn moved_inserted_and_removed_parts_are_found() {
        let base = noise(3, 30_000);
        let target =
            [&base[20_000..30_000], &noise(4, 500)[..], &base[..9_000], &base[12_000..13_000]];
        let found = covers(&base, &target.concat(), &EFFORT, &Costs::BYTES);
        check(&base, &target.concat(), &found);
        assert_eq!(found.len(), 3);
        assert!(covered(&found).abs_diff(20_000) < 40, "{found:?}");
        assert_eq!(found[0].base, 20_000);
    }

    #[test]
    fn unrelated_bytes_have_no_cover() {
        assert_eq!(covers(&noise(5, 50_000), &noise(6, 50_000), &EFFORT, &Costs::BYTES), []);
        assert_eq!(covers(b"", b"abc", &EFFORT, &Costs::BYTES), []);
        assert_eq!(covers(b"abcdefghijkl", b"", &EFFORT, &Costs::BYTES), []);
    }

    #[test]
    fn parts_that_do_not_fit_the_memory_are_still_found() {
        let base = noise(7, 400_000);
        let target = [&base[300_000..], &base[..100_000]].concat();
        let found = covers(&base, &target, &Effort { memory: 16 << 10, ..EFFORT }, &Costs::BYTES);
        check(&base, &target, &found);
        assert!(covered(&found) > 199_000, "{found:?}");
    }

    #[test]
    fn repetition_costs_no_more_than_its_length() {
        let base = vec![0; 300_000];
        let target = [&base[..], b"end", &base[..]].concat();
        let found = covers(&base, &target, &EFFORT, &Costs::BYTES);
        check(&base, &target, &found);
        assert!(covered(&found) > 590_000, "{found:?}");
    }

    proptest! {
        #[test]
        fn covers_are_ascending_and_inside(
            base in proptest::collection::vec(0_u8..4, 0..2000),
            edits in proptest::collection::vec((0_usize..2000, 0_usize..2000, 0_u8..4), 0..8),
            key in 4_usize..13,
            trust in 0_usize..9,
        ) {
            let mut target = base.clone();
            for (from, to, byte) in edits {
                let (from, to) = (from.min(target.len()), to.min(target.len()));
                target.rotate_left(from);
                target.insert(to, byte);
            }
            let effort = Effort { reach: Reach { key, trust, ..EFFORT.reach }, ..EFFORT };
            check(&base, &target, &covers(&base, &target, &effort, &Costs::BYTES));
        }
    }
}
