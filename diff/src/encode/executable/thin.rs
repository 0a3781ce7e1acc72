//! No more covers than go into one unit.

use crate::matching::{Costs, Cover, Scored};
use crate::program::STRETCH;

/// Bytes of a cover that are written as one op: whole stretches.
pub(super) const PART: u64 = 4 << 20;

/// Ops that covers, ascending, and what stands between them in `len` bytes from `from` on take at most, where no slice ends.
/// Each is where a cover begins, and bytes of it.
pub(super) fn ops(from: u64, len: u64, covers: impl Iterator<Item = (u64, u64)>) -> u64 {
    let (mut at, mut ops) = (from, 0);
    for (target, len) in covers.chain([(from + len, 0)]) {
        ops += (target - at).div_ceil(STRETCH as u64) + len.div_ceil(PART);
        at = target + len;
    }
    ops
}

/// Leaves out covers that save least, until all of a target of `len` bytes takes at most `most` ops.
pub(super) fn thin(mut covers: Vec<Scored>, len: u64, most: u64, costs: &Costs) -> Vec<Scored> {
    let place = |cover: &Cover| (cover.target as u64, cover.len as u64);
    loop {
        let ops = ops(0, len, covers.iter().map(|scored| place(&scored.cover)));
        if ops <= most || covers.is_empty() {
            return covers;
        }
        // Without one there is an op less, most often two.
        let gone = ((ops - most).div_ceil(2) as usize).min(covers.len());
        let key = |scored: &Scored| (scored.gain(costs), scored.cover.target);
        let mut keys: Vec<_> = covers.iter().map(key).collect();
        let (_, &mut last, _) = keys.select_nth_unstable(gone - 1);
        covers.retain(|scored| key(scored) > last);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scored(target: usize, len: usize, differing: usize) -> Scored {
        Scored { cover: Cover { target, base: 0, len }, differing }
    }

    #[test]
    fn ops_are_those_of_covers_and_of_what_lies_between() {
        let ops = |covers: &[(u64, u64)]| ops(100, 1_000_000, covers.iter().copied());
        assert_eq!(ops(&[]), 16);
        assert_eq!(ops(&[(100, 1_000_000)]), 1);
        assert_eq!(ops(&[(100, 500_000), (500_100, 499_999)]), 3);
        assert_eq!(ops(&[(101, 999_999)]), 2);
    }

    #[test]
    fn what_saves_least_goes_first() {
        // Each with a gap before it.
        let covers: Vec<Scored> =
            (0..100).map(|n| scored(n * 1000 + 10, 990, n * 7 % 100)).collect();
        let kept = thin(covers.clone(), 100_000, 101, &Costs::CODE);
        let worst = kept.iter().map(|one| one.differing).max();
        let ops = ops(0, 100_000, kept.iter().map(|one| (one.cover.target as u64, 990)));
        assert!(ops <= 101 && kept.len() >= 50, "{ops}");
        assert_eq!(worst, Some(kept.len() - 1));
        assert_eq!(thin(covers.clone(), 100_000, 200, &Costs::CODE), covers);
        assert_eq!(thin(covers, 100_000, 1, &Costs::CODE), []);
    }
}
