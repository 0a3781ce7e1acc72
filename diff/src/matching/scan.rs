//! Finds where a target's alignment to the base changes, and extends the matches over differences.
//!
//! The way of bsdiff (C. Percival, "Naive differences of executable code", 2003): an exact match
//! becomes a new alignment only if it explains clearly more bytes than the alignment that is already
//! followed; each is then extended forwards and backwards as long as at least half of the bytes agree.

use super::index::{Index, Lookup, common_prefix};
use super::{Cover, Effort};

/// An exact match where a new alignment begins.
#[derive(Debug, Clone, Copy)]
struct Anchor {
    target: usize,
    base: usize,
    len: usize,
}

/// Covers of a part of a target, which begins at `from` of it; ascending and without overlap, by their places in the part.
pub(crate) fn scan(
    index: &Index<'_>,
    base: &[u8],
    target: &[u8],
    from: usize,
    effort: &Effort,
) -> Vec<Cover> {
    let anchors = find_anchors(index, base, target, from, effort);
    extend(base, target, &anchors)
}

/// Bytes that a new alignment must explain beyond the old one.
const MARGIN: usize = 5;

/// Bytes of a match that are compared when alignments are: enough to tell, and no more than a constant
/// for each byte of the target.
const COMPARED: usize = 512;

/// The look-ahead in which an alignment that agrees mostly is followed without a search.
const AHEAD: usize = 16;

/// Differing bytes after which an alignment that agrees again gets a new anchor: extending the last
/// one would not reach over them.
const GAP: usize = 32;

fn find_anchors(
    index: &Index<'_>,
    base: &[u8],
    target: &[u8],
    from: usize,
    effort: &Effort,
) -> Vec<Anchor> {
    let mut anchors: Vec<Anchor> = Vec::new();
    let mut lookup = Lookup::new(index, target);
    let (mut at, mut followed_to) = (0, 0);
    // Where the base stands if the last alignment goes on; the files' starts are aligned at first.
    let base_at = |anchor: Option<&Anchor>, at: usize| match anchor {
        Some(anchor) => Some(anchor.base + (at - anchor.target)),
        None if from == 0 => Some(at),
        None => None,
    };
    while at + index.key() <= target.len() {
        let aligned = base_at(anchors.last(), at).filter(|&aligned| aligned < base.len());
        let hint = aligned.unwrap_or(from + at);
        let followed = aligned.map_or(0, |aligned| common_prefix(&base[aligned..], &target[at..]));
        if followed >= index.key() {
            if anchors.is_empty() || at - followed_to > GAP {
                anchors.push(Anchor { target: at, base: hint, len: followed });
            }
            at += followed;
            followed_to = at;
            continue;
        }
        let agrees =
            |len: usize| aligned.map_or(0, |aligned| agreeing(base, aligned, &target[at..], len));
        if effort.reach.trust > 0 && agrees(AHEAD) + effort.reach.trust >= AHEAD {
            at += followed + 1;
            continue;
        }
        match lookup.longest(at, COMPARED, hint, effort.reach.candidates) {
            Some(found) if found.len > agrees(found.len) + MARGIN || aligned.is_none() => {
                anchors.push(Anchor { target: at, base: found.base, len: found.len });
                at += found.len;
                followed_to = at;
            }
            // What was found is not better: the next byte may be, up to where it stops agreeing.
            _ => at += followed.max(1),
        }
    }
    anchors
}

/// How many of the first `len` bytes agree.
fn agreeing(base: &[u8], at: usize, target: &[u8], len: usize) -> usize {
    let len = len.min(base.len() - at).min(target.len());
    let (mut left, mut right) = (&base[at..at + len], &target[..len]);
    let mut differing = 0;
    while let (Some((x, a)), Some((y, b))) =
        (left.split_first_chunk::<8>(), right.split_first_chunk::<8>())
    {
        differing += differing_bytes(u64::from_le_bytes(*x) ^ u64::from_le_bytes(*y));
        (left, right) = (a, b);
    }
    let rest = left.iter().zip(right).filter(|(a, b)| a != b).count();
    len - rest - differing as usize
}

/// How many bytes are not 0.
fn differing_bytes(word: u64) -> u32 {
    const LOW: u64 = 0x7f7f_7f7f_7f7f_7f7f;
    ((((word & LOW) + LOW) | word) & !LOW).count_ones()
}

/// Bytes before an anchor that are taken from the cover before it at most.
const REACH: usize = 16 << 10;

/// Extends each anchor to both sides; where two meet, the border lies where most bytes agree.
fn extend(base: &[u8], target: &[u8], anchors: &[Anchor]) -> Vec<Cover> {
    let mut covers: Vec<Cover> = Vec::with_capacity(anchors.len());
    for (number, anchor) in anchors.iter().enumerate() {
        let before = covers.last().map_or(0, Cover::target_end);
        let after = anchors.get(number + 1).map_or(target.len(), |next| next.target);
        let back = extend_back(base, target, anchor, before);
        let mut start = anchor.target - back;
        if let Some(previous) = covers.last_mut() {
            // The previous one was extended forwards up to here at most; it may claim too much.
            let limit = (previous.target + 1).max(anchor.target.saturating_sub(REACH));
            let reach = extend_back(base, target, anchor, limit);
            if reach > back {
                start = split(base, target, previous, anchor, anchor.target - reach);
                previous.len = start - previous.target;
            }
        }
        let end = anchor.target + anchor.len;
        let forward = extend_forward(base, target, anchor.base + anchor.len, end, after);
        covers.push(Cover {
            target: start,
            base: anchor.base - (anchor.target - start),
            len: end + forward - start,
        });
    }
    covers.retain(|cover| cover.len > 0);
    covers
}

/// How far the bytes after an anchor agree, the end being where agreements less differences are most.
fn extend_forward(base: &[u8], target: &[u8], base_at: usize, from: usize, to: usize) -> usize {
    let pairs = base[base_at.min(base.len())..].iter().zip(&target[from..to]);
    best_length(pairs.map(|(a, b)| a == b))
}

/// The same before an anchor, not beyond `limit`.
fn extend_back(base: &[u8], target: &[u8], anchor: &Anchor, limit: usize) -> usize {
    let limit = limit.min(anchor.target);
    let pairs = base[..anchor.base].iter().rev().zip(target[limit..anchor.target].iter().rev());
    best_length(pairs.map(|(a, b)| a == b))
}

/// How far beyond its best an extension is followed.
const PATIENCE: isize = 256;

fn best_length(agreements: impl Iterator<Item = bool>) -> usize {
    let (mut score, mut best, mut length) = (0_isize, 0, 0);
    for (place, agrees) in agreements.enumerate() {
        score += if agrees { 1 } else { -1 };
        if score > best {
            (best, length) = (score, place + 1);
        }
        if score < best - PATIENCE {
            break;
        }
    }
    length
}

/// Where between `from` and an anchor the previous cover ends best.
fn split(base: &[u8], target: &[u8], previous: &Cover, anchor: &Anchor, from: usize) -> usize {
    let until = previous.target_end().min(anchor.target);
    let (mut score, mut best, mut border) = (0_isize, 0, from);
    for at in from..until {
        let first = base[previous.base + (at - previous.target)];
        let second = base[anchor.base - (anchor.target - at)];
        score += isize::from(first == target[at]) - isize::from(second == target[at]);
        if score > best {
            (best, border) = (score, at + 1);
        }
    }
    border
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn agreeing_bytes_are_counted(
            base in prop::collection::vec(prop_oneof![Just(0u8), Just(0x80), Just(1)], 0..60),
            target in prop::collection::vec(prop_oneof![Just(0u8), Just(0x80), Just(1)], 0..60),
            at in 0usize..60,
            len in 0usize..60,
        ) {
            let at = at.min(base.len());
            let slow = base[at..].iter().zip(&target).take(len).filter(|(a, b)| a == b).count();
            prop_assert_eq!(agreeing(&base, at, &target, len), slow);
        }
    }
}
