//! How matches are chosen in one block, at the two quicker levels.
//!
//! The default level has two hash tables, of 8 and of 5 bytes; the fastest has one, of 6 bytes, and looks at two
//! positions at once. Both have one place for a hash and use the last two distances.

use super::block::{MIN_MATCH, Sequence};
use super::finder::{Found, Place};

pub(super) const LONG_BITS: u32 = 17;
pub(super) const SHORT_BITS: u32 = 15;
/// Multipliers for hashes of 5, 6 and 8 bytes.
const PRIME_5: u64 = 889_523_592_379;
const PRIME_6: u64 = 227_718_039_650_203;
const PRIME_8: u64 = 0xcf1b_bcdc_b7a5_6463;
/// The last distances are used once a block has this many matches.
const BEFORE_REPEATS: usize = 3;

/// The table by eight bytes, which the default level has.
pub(super) type Long = [Place; 1 << LONG_BITS];
/// The table by five bytes, or at the fastest level six.
pub(super) type Short = [Place; 1 << SHORT_BITS];

/// The search in one block.
pub(super) struct Search<'a> {
    pub window_len: usize,
    pub content: &'a [u8],
    pub base: u32,
    pub long: &'a mut Long,
    pub short: &'a mut Short,
    pub found: &'a mut Found,
    /// Content before this is told by sequences.
    pub emitted: usize,
    /// The search ends here.
    pub end: usize,
    /// The last two distances.
    pub distances: [usize; 2],
}

/// The shortest block that is searched, and how many last bytes of it no match begins in.
pub(super) fn limits(fastest: bool) -> (usize, usize) {
    if fastest { (10, 8) } else { (16, 10) }
}

impl Search<'_> {
    /// Searches the block; the end of its last match.
    pub(super) fn run(self, fastest: bool, alone: bool) -> usize {
        if fastest { self.run_at::<true>(alone) } else { self.run_at::<false>(alone) }
    }

    fn run_at<const FASTEST: bool>(mut self, alone: bool) -> usize {
        let mut at = self.emitted;
        while at < self.end {
            let repeats = self.found.sequences.len() >= BEFORE_REPEATS;
            let next = if FASTEST {
                self.next_of_two(&mut at, repeats)
            } else {
                self.next_match(&mut at, repeats)
            };
            let Some((start, from)) = next else { break };
            self.take::<FASTEST>(start, from);
            at = self.emitted;
            if at >= self.end {
                break;
            }
            if repeats || alone && self.found.sequences.len() >= BEFORE_REPEATS {
                if FASTEST {
                    self.take_second_distance::<FASTEST>(None);
                } else {
                    // In a text of one block klauspost computes this hash once, before the loop.
                    let fixed = alone.then(|| short_hash(word(self.content, at)));
                    while self.emitted < self.end && self.take_second_distance::<FASTEST>(fixed) {}
                }
                at = self.emitted;
            }
        }
        self.emitted
    }

    /// The next match that is not at the last distance, at the default level: where it begins and where its content
    /// stands before. Matches at the last distance are taken on the way.
    #[inline(always)]
    fn next_match(&mut self, at: &mut usize, repeats: bool) -> Option<(usize, usize)> {
        while *at < self.end {
            let here = word(self.content, *at);
            let place = self.place(*at, here);
            let long = std::mem::replace(&mut self.long[long_hash(here)], place);
            let short = std::mem::replace(&mut self.short[short_hash(here)], place);
            if repeats && self.take_last_distance(*at, 1, here) {
                *at = self.emitted;
                continue;
            }
            if let Some(from) = self.reach(*at, here, long) {
                return Some((*at, from));
            }
            if let Some(from) = self.reach(*at, here, short) {
                let next = word(self.content, *at + 1);
                let place = self.place(*at + 1, next);
                let long = std::mem::replace(&mut self.long[long_hash(next)], place);
                return Some(match self.reach(*at + 1, next, long) {
                    Some(from) => (*at + 1, from),
                    None => (*at, from),
                });
            }
            *at += 1 + ((*at - self.emitted) >> 7);
        }
        None
    }

    /// The same at the fastest level.
    #[inline(always)]
    fn next_of_two(&mut self, at: &mut usize, repeats: bool) -> Option<(usize, usize)> {
        while *at < self.end {
            let here = word(self.content, *at);
            let next = here >> 8;
            let (first_hash, second_hash) = (fast_hash(here), fast_hash(next));
            let (first, second) = (self.short[first_hash], self.short[second_hash]);
            self.short[first_hash] = self.place(*at, here);
            self.short[second_hash] = self.place(*at + 1, next);
            if repeats && self.take_last_distance(*at, 2, here) {
                *at = self.emitted;
                continue;
            }
            if let Some(from) = self.reach(*at, here, first) {
                return Some((*at, from));
            }
            if let Some(from) = self.reach(*at + 1, next, second) {
                return Some((*at + 1, from));
            }
            *at += 2 + ((*at - self.emitted) >> 5);
        }
        None
    }

    /// Takes a match at the last distance, if there is one so many bytes ahead; `here` is the word at `at`.
    #[inline(always)]
    fn take_last_distance(&mut self, at: usize, ahead: usize, here: u64) -> bool {
        let mut start = at + ahead;
        let Some(mut from) = start.checked_sub(self.distances[0]) else { return false };
        if half_word(self.content, from) != (here >> (8 * ahead)) as u32 {
            return false;
        }
        let end = start + 4 + self.common(start + 4, from + 4);
        let first = at.saturating_sub(self.window_len);
        // At least one literal stays: without any, the last distance would mean the one before it.
        while from > first
            && start > self.emitted + 1
            && self.content[from - 1] == self.content[start - 1]
        {
            from -= 1;
            start -= 1;
        }
        self.push(start, end - start, 1);
        true
    }

    /// Takes a match, as long as it goes in both directions; the default level notes some of its positions.
    #[inline(always)]
    fn take<const FASTEST: bool>(&mut self, mut start: usize, mut from: usize) {
        self.distances = [start - from, self.distances[0]];
        let end = start + 4 + self.common(start + 4, from + 4);
        let first = start.saturating_sub(self.window_len);
        while from > first
            && start > self.emitted
            && self.content[from - 1] == self.content[start - 1]
        {
            from -= 1;
            start -= 1;
        }
        self.push(start, end - start, (start - from) as u32 + 3);
        if FASTEST || end >= self.end {
            return;
        }
        for at in [start + 1, end - 2] {
            let here = word(self.content, at);
            self.long[long_hash(here)] = self.place(at, here);
        }
        for at in [start + 1, end - 2] {
            let here = word(self.content, at) >> 8;
            self.short[short_hash(here)] = self.place(at + 1, here);
        }
    }

    /// Takes a match at the second distance that follows at once, if there is one; `fixed` is the hash to note it
    /// under, if it is not its own.
    #[inline(always)]
    fn take_second_distance<const FASTEST: bool>(&mut self, fixed: Option<usize>) -> bool {
        let at = self.emitted;
        let here = word(self.content, at);
        let Some(from) = at.checked_sub(self.distances[1]) else { return false };
        if half_word(self.content, from) != here as u32 {
            return false;
        }
        let len = 4 + self.common(at + 4, from + 4);
        let place = self.place(at, here);
        if FASTEST {
            self.short[fast_hash(here)] = place;
        } else {
            self.long[long_hash(here)] = place;
            let hash = fixed.unwrap_or_else(|| short_hash(here));
            self.short[hash % self.short.len()] = place;
        }
        self.push(at, len, 1);
        self.distances.swap(0, 1);
        true
    }

    #[inline(always)]
    fn push(&mut self, start: usize, len: usize, offset: u32) {
        let literals = start - self.emitted;
        self.found.push_literals(self.content, self.emitted, start);
        self.found.sequences.push(Sequence {
            literals: literals as u32,
            length: len as u32 - MIN_MATCH,
            offset,
        });
        self.emitted = start + len;
    }

    #[inline(always)]
    fn place(&self, at: usize, here: u64) -> Place {
        u64::from(self.base + at as u32) << 32 | (here & 0xffff_ffff)
    }

    /// Where the content of a place stands, if it is in the window and begins with the same four bytes.
    #[inline(always)]
    fn reach(&self, at: usize, here: u64, place: Place) -> Option<usize> {
        let distance = (self.base + at as u32) - (place >> 32) as u32;
        if distance as usize >= self.window_len || place as u32 != here as u32 {
            return None;
        }
        at.checked_sub(distance as usize)
    }

    #[inline(always)]
    fn common(&self, at: usize, from: usize) -> usize {
        common(self.content, at, from)
    }
}

/// How many bytes are the same at two positions, the first being the later one.
#[inline(always)]
pub(super) fn common(content: &[u8], at: usize, from: usize) -> usize {
    let end = content.len();
    let mut len = 0;
    while at + len + 8 <= end {
        let difference = word(content, at + len) ^ word(content, from + len);
        if difference != 0 {
            return len + (difference.trailing_zeros() / 8) as usize;
        }
        len += 8;
    }
    let (text, before) = (&content[at + len..], &content[from + len..]);
    len + text.iter().zip(before).take_while(|(a, b)| a == b).count()
}

#[inline(always)]
fn word(bytes: &[u8], at: usize) -> u64 {
    bytes[at..].first_chunk().map_or(0, |word| u64::from_le_bytes(*word))
}

#[inline(always)]
fn half_word(bytes: &[u8], at: usize) -> u32 {
    bytes[at..].first_chunk().map_or(0, |word| u32::from_le_bytes(*word))
}

#[inline(always)]
fn long_hash(word: u64) -> usize {
    (word.wrapping_mul(PRIME_8) >> (64 - LONG_BITS)) as usize
}

#[inline(always)]
fn short_hash(word: u64) -> usize {
    ((word << 24).wrapping_mul(PRIME_5) >> (64 - SHORT_BITS)) as usize
}

#[inline(always)]
fn fast_hash(word: u64) -> usize {
    ((word << 16).wrapping_mul(PRIME_6) >> (64 - SHORT_BITS)) as usize
}
