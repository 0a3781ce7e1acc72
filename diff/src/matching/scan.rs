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
        let word = u64::from_le_bytes(*x) ^ u64::from_le_bytes(*y);
        differing += differing_bytes(word).count_ones();
        (left, right) = (a, b);
    }
    let rest = left.iter().zip(right).filter(|(a, b)| a != b).count();
    len - rest - differing as usize
}

/// The highest bit of each byte that is not 0.
fn differing_bytes(word: u64) -> u64 {
    const LOW: u64 = 0x7f7f_7f7f_7f7f_7f7f;
    (((word & LOW) + LOW) | word) & !LOW
}

/// Bytes before an anchor that are taken from the cover before it at most.
const REACH: usize = 16 << 10;

/// Extends each anchor to both sides; where two meet, the border lies where most bytes agree.
fn extend(base: &[u8], target: &[u8], anchors: &[Anchor]) -> Vec<Cover> {
    let mut covers: Vec<Cover> = Vec::with_capacity(anchors.len());
    for (number, anchor) in anchors.iter().enumerate() {
        let after = anchors.get(number + 1).map_or(target.len(), |next| next.target);
        // The cover before was extended forwards up to here at most; it may claim too much.
        let (before, limit) = covers.last().map_or((0, 0), |previous| {
            let limit = (previous.target + 1).max(anchor.target.saturating_sub(REACH));
            (previous.target_end(), limit.min(previous.target_end()))
        });
        let mut start = anchor.target - extend_back(base, target, anchor, limit);
        if let Some(previous) = covers.last_mut()
            && start < before
        {
            start = split(base, target, previous, anchor, start);
            previous.len = start - previous.target;
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
    best_length(words(&base[base_at.min(base.len())..], &target[from..to]))
}

/// The same before an anchor, not beyond `limit`.
fn extend_back(base: &[u8], target: &[u8], anchor: &Anchor, limit: usize) -> usize {
    let before = &target[limit.min(anchor.target)..anchor.target];
    let words = base[..anchor.base].rchunks(Word::LEN).zip(before.rchunks(Word::LEN));
    best_length(words.map(|(a, b)| Word::ending(a, b)))
}

/// How far beyond its best an extension is followed.
const PATIENCE: i32 = 256;

fn best_length(words: impl Iterator<Item = Word>) -> usize {
    let (mut score, mut best, mut length, mut place) = (0, 0, 0, 0);
    for word in words {
        let course = word.course();
        if score + course.most > best {
            (best, length) = (score + course.most, place + course.at);
        }
        // So far below the best, nothing in the rest of the word reaches it: where in it the end lies makes no difference.
        if score + course.least < best - PATIENCE {
            break;
        }
        score += course.sum;
        place += word.len;
    }
    length
}

/// Where between `from` and an anchor the previous cover ends best.
fn split(base: &[u8], target: &[u8], previous: &Cover, anchor: &Anchor, from: usize) -> usize {
    let until = previous.target_end().min(anchor.target).max(from);
    let wanted = &target[from..until];
    let firsts = words(&base[previous.base + (from - previous.target)..], wanted);
    let seconds = words(&base[anchor.base - (anchor.target - from)..], wanted);
    let (mut score, mut best, mut border, mut at) = (0, 0, from, from);
    for (first, second) in firsts.zip(seconds) {
        let mut differing = first.agrees ^ second.agrees;
        while differing != 0 {
            let place = differing.trailing_zeros();
            differing &= differing - 1;
            score += if first.agrees >> place & 1 == 1 { 1 } else { -1 };
            if score > best {
                (best, border) = (score, at + place as usize + 1);
            }
        }
        at += first.len;
    }
    border
}

/// Up to eight places of two strings: which of them agree.
#[derive(Debug, Clone, Copy)]
struct Word {
    /// A bit for each place, from the lowest on.
    agrees: u8,
    len: usize,
}

/// The places of two strings, as far as both go.
fn words(a: &[u8], b: &[u8]) -> impl Iterator<Item = Word> {
    a.chunks(Word::LEN).zip(b.chunks(Word::LEN)).map(|(a, b)| Word::new(a, b))
}

impl Word {
    const LEN: usize = 8;

    /// The first bytes of two strings of up to eight.
    fn new(a: &[u8], b: &[u8]) -> Self {
        let len = a.len().min(b.len());
        let agrees = match (a.first_chunk(), b.first_chunk()) {
            (Some(a), Some(b)) => agreeing_bits(*a, *b),
            _ => (0..len).fold(0, |bits, place| bits | u8::from(a[place] == b[place]) << place),
        };
        Self { agrees, len }
    }

    /// The last ones, the very last first.
    fn ending(a: &[u8], b: &[u8]) -> Self {
        let len = a.len().min(b.len());
        let word = Self::new(&a[a.len() - len..], &b[b.len() - len..]);
        Self { agrees: word.agrees.reverse_bits() >> (Self::LEN - len), len }
    }

    /// How its places go, in their order.
    fn course(self) -> Course {
        match COURSES.get(usize::from(self.agrees)) {
            Some(course) if self.len == Self::LEN => *course,
            _ => Course::new(self.agrees, self.len),
        }
    }
}

/// How agreements less differences go along a word.
#[derive(Debug, Clone, Copy)]
struct Course {
    /// All of them.
    sum: i32,
    /// The most that they come to behind a place of it, and the first such place's end.
    most: i32,
    at: usize,
    /// The least.
    least: i32,
}

/// The courses of whole words.
static COURSES: [Course; 256] = {
    let mut courses = [Course::new(0, Word::LEN); 256];
    let mut agrees = 0;
    while agrees < courses.len() {
        courses[agrees] = Course::new(agrees as u8, Word::LEN);
        agrees += 1;
    }
    courses
};

impl Course {
    const fn new(agrees: u8, len: usize) -> Self {
        let mut course = Self { sum: 0, most: i32::MIN, at: 0, least: i32::MAX };
        let mut place = 0;
        while place < len {
            course.sum += if agrees >> place & 1 == 1 { 1 } else { -1 };
            place += 1;
            if course.sum > course.most {
                (course.most, course.at) = (course.sum, place);
            }
            if course.sum < course.least {
                course.least = course.sum;
            }
        }
        course
    }
}

/// A bit for each byte that both words have.
fn agreeing_bits(a: [u8; 8], b: [u8; 8]) -> u8 {
    /// Multiplied by this, the lowest bit of the nth byte comes to stand in the nth bit of the highest.
    const GATHER: u64 = 0x0102_0408_1020_4080;
    let differing = differing_bytes(u64::from_le_bytes(a) ^ u64::from_le_bytes(b)) >> 7;
    !((differing.wrapping_mul(GATHER) >> 56) as u8)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Bytes of which half agree with others of the same kind.
    fn noisy(len: usize) -> impl Strategy<Value = Vec<u8>> {
        prop::collection::vec(prop_oneof![2 => Just(7u8), 1 => any::<u8>(), 1 => Just(9)], len)
    }

    /// The same as [`best_length`], byte after byte.
    fn slowly(agreements: impl Iterator<Item = bool>) -> usize {
        let (mut score, mut best, mut length) = (0, 0, 0);
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

        #[test]
        fn words_end_where_bytes_do(
            (base, target) in (0usize..1200).prop_flat_map(|len| (noisy(len), noisy(len))),
            at in 0usize..100,
        ) {
            let at = at.min(base.len());
            let forward = extend_forward(&base, &target, at, 0, target.len());
            let agrees = base[at..].iter().zip(&target).map(|(a, b)| a == b);
            prop_assert_eq!(forward, slowly(agrees));
            let anchor = Anchor { target: target.len(), base: base.len() - at, len: 0 };
            let back = extend_back(&base, &target, &anchor, at);
            let agrees = base[..anchor.base].iter().rev().zip(target[at..].iter().rev());
            prop_assert_eq!(back, slowly(agrees.map(|(a, b)| a == b)));
        }

        #[test]
        fn borders_are_where_most_bytes_agree(
            (base, target) in (2usize..300).prop_flat_map(|len| (noisy(len), noisy(len))),
            from in 1usize..300,
            ahead in 0usize..9,
        ) {
            let previous = Cover { target: 0, base: 0, len: target.len() };
            let anchor = Anchor { target: target.len(), base: base.len() - ahead.min(base.len()), len: 0 };
            let from = from.clamp(anchor.target - anchor.base, target.len());
            let score = |at: usize| {
                let firsts = (from..at).filter(|&at| base[at] == target[at]).count();
                let seconds = (from..at).filter(|&at| base[at + anchor.base - anchor.target] == target[at]);
                firsts as isize - seconds.count() as isize
            };
            let best = (from..=target.len()).rev().max_by_key(|&at| score(at));
            prop_assert_eq!(Some(split(&base, &target, &previous, &anchor, from)), best);
        }
    }
}
