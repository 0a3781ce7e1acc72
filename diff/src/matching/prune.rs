//! Leaves out the covers that cost more than they save.

use super::Cover;

/// What things cost in sixteenths of a byte, as they come out after coding: found by trying.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Costs {
    /// A byte sent as a literal.
    pub literal: isize,
    /// A cover's operation and position.
    pub cover: isize,
    /// A byte that differs inside a cover.
    pub difference: isize,
}

impl Costs {
    /// Of executables whose addresses a model moves: their new code has a dictionary that it moves alike.
    pub const CODE: Self = Self { literal: 7, cover: 240, difference: 14 };
    /// Of text: its literals are coded with what stands around them in the base, at a fifth of a byte each.
    pub const TEXT: Self = Self { literal: 3, cover: 160, difference: 28 };
    /// Of all else.
    pub const BYTES: Self = Self { literal: 9, cover: 160, difference: 28 };
}

/// Joins neighbours of one alignment, then drops covers that do not pay and joins again what a
/// dropped one had separated.
pub(crate) fn prune(base: &[u8], target: &[u8], covers: Vec<Cover>, costs: &Costs) -> Vec<Cover> {
    let mut kept: Vec<Cover> = Vec::with_capacity(covers.len());
    for cover in covers {
        if gain(base, target, &cover, costs) < 0 {
            continue;
        }
        match kept.last_mut() {
            Some(last) if joins(base, target, last, &cover, costs) => {
                last.len = cover.target_end() - last.target;
            }
            _ => kept.push(cover),
        }
    }
    kept
}

/// What a cover saves against literals.
fn gain(base: &[u8], target: &[u8], cover: &Cover, costs: &Costs) -> isize {
    let differing = differences(base, target, cover.base, cover.target, cover.len);
    costs.literal * cover.len as isize - costs.cover - costs.difference * differing
}

/// Whether two covers follow one alignment and what lies between costs less as differences.
fn joins(base: &[u8], target: &[u8], last: &Cover, next: &Cover, costs: &Costs) -> bool {
    if next.base.checked_sub(last.base_end()) != Some(next.target - last.target_end()) {
        return false;
    }
    let gap = next.target - last.target_end();
    let differing = differences(base, target, last.base_end(), last.target_end(), gap);
    costs.difference * differing <= costs.literal * gap as isize + costs.cover
}

fn differences(base: &[u8], target: &[u8], base_at: usize, target_at: usize, len: usize) -> isize {
    let base = &base[base_at..base_at + len];
    let target = &target[target_at..target_at + len];
    base.iter().zip(target).filter(|(a, b)| a != b).count() as isize
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cover(target: usize, base: usize, len: usize) -> Cover {
        Cover { target, base, len }
    }

    #[test]
    fn short_and_poor_covers_go() {
        let base = [0; 100];
        let mut target = [0; 100];
        target[30..70].fill(1);
        let poor = cover(20, 20, 60);
        assert_eq!(
            prune(&base, &target, vec![cover(0, 50, 8), poor, cover(80, 0, 20)], &Costs::BYTES),
            [cover(80, 0, 20)]
        );
    }

    #[test]
    fn one_alignment_is_one_cover() {
        let base = [0; 100];
        let mut target = [0; 100];
        target[40..44].fill(1);
        let parts = vec![cover(0, 0, 40), cover(44, 44, 56)];
        assert_eq!(prune(&base, &target, parts, &Costs::BYTES), [cover(0, 0, 100)]);
    }

    #[test]
    fn a_dropped_cover_no_longer_separates() {
        let base = [0; 100];
        let target = [0; 100];
        let parts = vec![cover(0, 0, 40), cover(42, 90, 3), cover(50, 50, 50)];
        assert_eq!(prune(&base, &target, parts, &Costs::BYTES), [cover(0, 0, 100)]);
    }
}
