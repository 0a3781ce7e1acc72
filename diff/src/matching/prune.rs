//! Leaves out the covers that cost more than they save.

use super::{Cover, PART, Target};

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
    /// The same of instructions of 4 bytes, of which one that differs is dear, and new ones are cheap.
    pub const WORDS: Self = Self { literal: 5, cover: 200, difference: 16 };
    /// Of text: its literals are coded with what stands around them in the base, at a fifth of a byte each.
    pub const TEXT: Self = Self { literal: 3, cover: 160, difference: 28 };
    /// Of all else.
    pub const BYTES: Self = Self { literal: 9, cover: 160, difference: 28 };

    /// What covers of a target and its literals, all bytes beside these, cost in bytes, without differences.
    pub(crate) fn beside(&self, covers: &[Cover], target_len: usize) -> usize {
        let covered = covers.iter().map(|cover| cover.len).sum();
        let literals = target_len.saturating_sub(covered);
        (self.cover as usize * covers.len() + self.literal as usize * literals) / 16
    }
}

/// A cover, and how many of its bytes differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Scored {
    pub(crate) cover: Cover,
    pub(crate) differing: usize,
}

impl Scored {
    /// What the cover saves against literals.
    pub(crate) fn gain(&self, costs: &Costs) -> isize {
        let (len, differing) = (self.cover.len as isize, self.differing as isize);
        costs.literal * len - costs.cover - costs.difference * differing
    }

    /// Goes on up to the end of the next one, with so many bytes that differ between both.
    fn join(&mut self, next: &Self, between: usize) {
        self.cover.len = next.cover.target_end() - self.cover.target;
        self.differing += between + next.differing;
    }
}

/// Joins neighbours of one alignment, then drops covers that do not pay and joins again what a
/// dropped one had separated.
pub(crate) fn prune(base: &[u8], target: &[u8], covers: Vec<Cover>, costs: &Costs) -> Vec<Scored> {
    let mut kept: Vec<Scored> = Vec::with_capacity(covers.len());
    for cover in covers {
        let differing = differences(
            &base[cover.base..cover.base_end()],
            &target[cover.target..cover.target_end()],
        );
        let scored = Scored { cover, differing };
        if scored.gain(costs) < 0 {
            continue;
        }
        let between = kept.last().filter(|last| follows(&last.cover, &cover)).map(|last| {
            let gap = last.cover.target_end()..cover.target;
            (differences(&base[last.cover.base_end()..cover.base], &target[gap.clone()]), gap.len())
        });
        match (kept.last_mut(), between) {
            (Some(last), Some((between, gap))) if joins(between, gap, costs) => {
                last.join(&scored, between);
            }
            _ => kept.push(scored),
        }
    }
    kept
}

/// The covers of all parts of a target; those that meet where two parts do are joined as inside of one.
///
/// # Errors
/// What reading the target fails with.
pub(crate) fn join_parts<T: Target + ?Sized>(
    base: &[u8],
    target: &T,
    parts: Vec<Vec<Scored>>,
    costs: &Costs,
) -> Result<Vec<Scored>, T::Error> {
    let mut all: Vec<Scored> = Vec::new();
    for part in parts {
        let mut part = part.into_iter();
        if let (Some(last), Some(first)) = (all.last_mut(), part.as_slice().first())
            && follows(&last.cover, &first.cover)
            && first.cover.target - last.cover.target_end() <= PART
        {
            let gap = last.cover.target_end()..first.cover.target;
            let bytes = target.part(gap.clone())?;
            let between = differences(&base[last.cover.base_end()..first.cover.base], &bytes);
            if joins(between, gap.len(), costs) {
                last.join(first, between);
                part.next();
            }
        }
        all.extend(part);
    }
    Ok(all)
}

/// Whether two covers follow one alignment.
fn follows(last: &Cover, next: &Cover) -> bool {
    next.base.checked_sub(last.base_end()) == Some(next.target - last.target_end())
}

/// Whether so many bytes between two covers of one alignment, some of which differ, cost less as differences.
fn joins(differing: usize, gap: usize, costs: &Costs) -> bool {
    costs.difference * differing as isize <= costs.literal * gap as isize + costs.cover
}

fn differences(base: &[u8], target: &[u8]) -> usize {
    base.iter().zip(target).filter(|(a, b)| a != b).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cover(target: usize, base: usize, len: usize) -> Cover {
        Cover { target, base, len }
    }

    fn prune(base: &[u8], target: &[u8], covers: Vec<Cover>, costs: &Costs) -> Vec<Cover> {
        let kept = super::prune(base, target, covers, costs);
        kept.into_iter().map(|scored| scored.cover).collect()
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

    #[test]
    fn covers_and_literals_cost_beside_differences() {
        let costs = Costs { literal: 8, cover: 240, difference: 14 };
        assert_eq!(costs.beside(&[cover(0, 7, 20), cover(50, 7, 30)], 150), 30 + 50);
        assert_eq!(costs.beside(&[], 0), 0);
    }

    #[test]
    fn parts_are_joined_where_they_meet() {
        let base = [0; 100];
        let mut target = [0; 100];
        target[48..52].fill(1);
        let scored = |cover| Scored { cover, differing: 0 };
        let join = |first, second| {
            let parts = vec![vec![scored(first)], vec![], vec![scored(second)]];
            let Ok(joined) = join_parts(&base, &target[..], parts, &Costs::BYTES);
            joined
        };
        let one = join(cover(0, 0, 48), cover(52, 52, 48));
        assert_eq!(one, [Scored { cover: cover(0, 0, 100), differing: 4 }]);
        assert_eq!(join(cover(0, 0, 48), cover(52, 50, 48)).len(), 2);
        // Most of what lies between differs.
        target[20..80].fill(1);
        let scored = |cover| Scored { cover, differing: 0 };
        let parts = vec![vec![scored(cover(0, 0, 20))], vec![scored(cover(80, 80, 20))]];
        let Ok(joined) = join_parts(&base, &target[..], parts, &Costs::BYTES);
        assert_eq!(joined.len(), 2);
    }
}
