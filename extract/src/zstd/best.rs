//! How matches are chosen at klauspost's strongest level, from release 1.17.8 on.
//!
//! Two hash tables, of 8 and of 4 bytes, with two places for a hash. Of all candidates at a position and shortly behind it the one is
//! taken that should cost the fewest bits less what its content costs as literals.

use super::Level;
use super::block::{self, MIN_MATCH, Sequence};
use super::finder::Found;

const LONG_BITS: u32 = 22;
const SHORT_BITS: u32 = 18;
/// Memory of the tables, in bytes.
pub(super) const TABLES: u64 = (1 << LONG_BITS | 1 << SHORT_BITS) * size_of::<Places>() as u64;
/// Multipliers for hashes of 8 and 4 bytes.
const PRIME_8: u64 = 0xcf1b_bcdc_b7a5_6463;
const PRIME_4: u32 = 2_654_435_761;
/// Bytes of a block in whose end no match begins, and of the shortest one that is searched.
const MARGIN: usize = 12;
const FEWEST: usize = 16;
/// From this length on nothing better is looked for.
const GOOD_ENOUGH: i32 = 250;
/// The last distances are used once a block has this many matches.
const BEFORE_REPEATS: usize = 3;
/// What a match costs that saves nothing.
const USELESS: i32 = 131_074 * 8;
/// Matches grow backwards to this length.
const MAX_LEN: i32 = 131_074;
/// Where a match ends it is looked for again, but for so many first bytes.
const SKIPPED: i32 = 2;

/// The last two positions with a hash; 0 is out of reach.
type Places = [u32; 2];

/// The tables.
#[derive(Debug)]
pub(super) struct Tables {
    long: Vec<Places>,
    short: Vec<Places>,
}

impl Tables {
    pub(super) fn new() -> Self {
        Self { long: vec![[0; 2]; 1 << LONG_BITS], short: vec![[0; 2]; 1 << SHORT_BITS] }
    }

    /// Forgets everything.
    pub(super) fn clear(&mut self) {
        // Not both at a time, and pages that nobody touched yet.
        (self.long, self.short) = (Vec::new(), Vec::new());
        *self = Self::new();
    }

    /// Counts positions from a later one on; those before are out of reach.
    pub(super) fn rebase(&mut self, less: u32) {
        for place in self.long.iter_mut().chain(&mut self.short).flatten() {
            *place = place.saturating_sub(less);
        }
    }
}

/// A match: where it begins and where its content stands before; `repeat` is 0 for none at all, -1 for one by its distance, else the number of
/// a distance used lately, plus 4 without literals before it.
#[derive(Debug, Clone, Copy)]
struct Match {
    from: i32,
    start: i32,
    len: i32,
    repeat: i32,
    cost: i32,
}

/// The search in one block.
pub(super) struct Search<'a> {
    pub content: &'a [u8],
    /// The position of the first byte of `content`.
    pub base: u32,
    pub tables: &'a mut Tables,
    pub found: &'a mut Found,
    /// Content before this is told by sequences.
    pub emitted: i32,
    distances: [i32; 3],
    /// What a literal costs, in 1024ths of a bit.
    literal: i32,
}

impl<'a> Search<'a> {
    /// A search of the block that begins at `block` and ends with `content`.
    pub(super) fn new(
        content: &'a [u8],
        block: usize,
        base: u32,
        tables: &'a mut Tables,
        found: &'a mut Found,
    ) -> Self {
        Self {
            content,
            base,
            tables,
            found,
            emitted: block as i32,
            distances: [0; 3],
            literal: literal_cost(&content[block..]),
        }
    }

    /// Searches the block; the end of its last match.
    pub(super) fn run(mut self) -> usize {
        let block = &self.content[self.emitted as usize..];
        if let [first, rest @ ..] = block
            && rest.len() >= MIN_MATCH as usize
            && rest.iter().all(|byte| byte == first)
        {
            // One run.
            let start = self.emitted + 1;
            self.push(start, rest.len() as i32, 1 + 3);
            return self.emitted as usize;
        }
        if block.len() < FEWEST {
            return self.emitted as usize;
        }
        let end = self.content.len() as i32 - MARGIN as i32;
        let mut at = self.emitted;
        while at < end {
            let (best, next) = self.best(at, end);
            if best.len < 4 {
                at = next;
                continue;
            }
            let indexed = at + 1;
            at = self.take(best, indexed, end);
        }
        self.emitted as usize
    }

    /// The best match at a position or up to three bytes behind it, and where the search goes on without one.
    fn best(&mut self, at: i32, end: i32) -> (Match, i32) {
        let repeats = self.found.sequences.len() >= BEFORE_REPEATS;
        let here = self.word(at);
        let (long, short) = (long_hash(here), short_hash(here));
        let (by_long, by_short) = (self.tables.long[long], self.tables.short[short]);
        let mut best = Match { from: 0, start: at, len: 0, repeat: 0, cost: USELESS };
        for place in by_long.into_iter().chain(by_short) {
            self.improve(&mut best, self.from(place), at, here as u32, -1);
        }
        if repeats && best.len < GOOD_ENOUGH {
            let [first, second, third] = self.distances;
            if at == self.emitted {
                self.improve(&mut best, at - second, at, here as u32, 1 | 4);
                self.improve(&mut best, at - third, at, here as u32, 2 | 4);
                if first > 1 {
                    self.improve(&mut best, at - (first - 1), at, here as u32, 3 | 4);
                }
            }
            for ahead in [1, 3] {
                if best.repeat > 0 || ahead == 3 && best.repeat == 0 {
                    break;
                }
                let (at, here) = (at + ahead, (here >> (8 * ahead)) as u32);
                for (distance, repeat) in [(first, 1), (second, 2), (third, 3)] {
                    self.improve(&mut best, at - distance, at, here, repeat);
                }
            }
        }
        let own = self.base + at as u32;
        self.tables.long[long] = [own, by_long[0]];
        self.tables.short[short] = [own, by_short[0]];
        if best.len >= GOOD_ENOUGH {
            return (best, at);
        }
        if best.len < 4 {
            return (best, at + 1 + ((at - self.emitted) >> 9));
        }
        let by_short = self.tables.short[short_hash(here >> 8)];
        let (next, after) = (self.word(at + 1), self.word(at + 2));
        let by_next = self.tables.long[long_hash(next)];
        let by_after = self.tables.long[long_hash(after)];
        self.improve(&mut best, self.from(by_short[0]), at + 1, next as u32, -1);
        for place in by_next {
            self.improve(&mut best, self.from(place), at + 1, next as u32, -1);
        }
        for place in by_after {
            self.improve(&mut best, self.from(place), at + 2, after as u32, -1);
        }
        let behind = best.start + best.len;
        if best.start > at - SKIPPED && behind < end {
            let places = self.tables.long[long_hash(self.word(behind))];
            for place in places {
                let from = self.from(place).saturating_sub(best.len - SKIPPED);
                if from < 0 {
                    break;
                }
                let start = best.start + SKIPPED;
                let here = self.word(start) as u32;
                self.improve(&mut best, from, start, here, -1);
            }
        }
        (best, at)
    }

    /// Takes a match instead of the best one so far, if it is one and better.
    fn improve(&self, best: &mut Match, mut from: i32, mut start: i32, here: u32, repeat: i32) {
        let distance = start.wrapping_sub(from);
        let window = Level::Best.window_len() as i32;
        if distance >= window || distance <= 0 || self.half_word(from) != here {
            return;
        }
        if best.len > 16 {
            let left = self.content.len() as i32 - (best.start + best.len);
            if left <= 0 {
                return;
            }
            let ahead = best.len - (start - best.start) - 8;
            if left > 2
                && ahead > 4
                && self.half_word(from + ahead) != self.half_word(start + ahead)
            {
                return;
            }
        }
        let mut len = 4 + self.common(start + 4, from + 4);
        // Repeats are the best as they are: with other literals before them their numbers would mean something else.
        if best.repeat <= 0 {
            let first = (start - window).max(0);
            while from > first
                && start > self.emitted
                && len < MAX_LEN
                && self.content[from as usize - 1] == self.content[start as usize - 1]
            {
                (from, start, len) = (from - 1, start - 1, len + 1);
            }
        }
        let found = self.priced(Match { from, start, len, repeat, cost: 0 });
        let moved = ((found.start - best.start) * self.literal) >> 10;
        if best.cost >= USELESS || found.cost - best.cost + moved < 0 {
            *best = found;
        }
    }

    /// The match with what it costs, in bits by the predefined tables, less its content as literals.
    fn priced(&self, found: Match) -> Match {
        let offset = match found.repeat {
            ..0 => (found.start - found.from) as u32 + 3,
            repeat => repeat as u32 & 3,
        };
        let cost = block::predefined_cost(found.len as u32 - MIN_MATCH, offset) as i32;
        let cost = cost - ((found.len.wrapping_mul(self.literal)) >> 10);
        if cost > 0 { Match { len: 0, cost: USELESS, ..found } } else { Match { cost, ..found } }
    }

    /// Takes a match and notes the positions in it from one on; where the search goes on.
    fn take(&mut self, best: Match, indexed: i32, end: i32) -> i32 {
        let [first, second, third] = self.distances;
        let (offset, last) = if best.repeat > 0 {
            self.distances = match best.repeat {
                2 | 5 => [second, first, third],
                3 | 6 => [third, first, second],
                7 => [first - 1, first, second],
                _ => [first, second, third],
            };
            (best.repeat as u32 & 3, end + 4)
        } else {
            let distance = best.start - best.from;
            self.distances = [distance, first, second];
            (distance as u32 + 3, end - 4)
        };
        self.push(best.start, best.len, offset);
        for at in indexed..self.emitted.min(last) {
            let here = self.word(at);
            for (table, hash) in [
                (&mut self.tables.long, long_hash(here)),
                (&mut self.tables.short, short_hash(here)),
            ] {
                table[hash] = [self.base + at as u32, table[hash][0]];
            }
        }
        self.emitted
    }

    fn push(&mut self, start: i32, len: i32, offset: u32) {
        let literals = start - self.emitted;
        self.found.push_literals(self.content, self.emitted as usize, start as usize);
        self.found.sequences.push(Sequence {
            literals: literals as u32,
            length: len as u32 - MIN_MATCH,
            offset,
        });
        self.emitted = start + len;
    }

    /// Where the content of a place stands; far before the window if it is out of reach.
    fn from(&self, place: u32) -> i32 {
        place.cast_signed().wrapping_sub(self.base.cast_signed())
    }

    fn word(&self, at: i32) -> u64 {
        let word = self.content.get(at as usize..).and_then(<[u8]>::first_chunk);
        word.map_or(0, |word| u64::from_le_bytes(*word))
    }

    fn half_word(&self, at: i32) -> u32 {
        let word = self.content.get(at as usize..).and_then(<[u8]>::first_chunk);
        word.map_or(0, |word| u32::from_le_bytes(*word))
    }

    /// How many bytes are the same at two positions, the first being the later one.
    fn common(&self, at: i32, from: i32) -> i32 {
        super::search::common(self.content, at as usize, from as usize) as i32
    }
}

fn long_hash(word: u64) -> usize {
    (word.wrapping_mul(PRIME_8) >> (64 - LONG_BITS)) as usize
}

fn short_hash(word: u64) -> usize {
    ((word as u32).wrapping_mul(PRIME_4) >> (32 - SHORT_BITS)) as usize
}

/// What a literal of a block costs by its entropy, in 1024ths of a bit; a bit at least.
fn literal_cost(block: &[u8]) -> i32 {
    let mut counts = [0u32; 256];
    block.iter().for_each(|byte| counts[usize::from(*byte)] += 1);
    let all = 1.0 / block.len() as f64;
    let of = |count: &u32| {
        let count = f64::from(*count);
        (-log2(count * all) * count).ceil()
    };
    let bits: f64 = counts.iter().filter(|count| **count > 0).map(of).sum();
    ((bits.ceil() as i64 * 1024 / (block.len() as i64).max(1)) as i32).max(1024)
}

/// The logarithm to base 2 as Go computes it, whose parts are FreeBSD's `e_log.c`: the same on every machine.
fn log2(x: f64) -> f64 {
    let bits = x.to_bits();
    // A fraction in 0.5..1, and its exponent.
    let exponent = ((bits >> 52) & 0x7ff) as i32 - 1022;
    let fraction = f64::from_bits((bits & !(0x7ff << 52)) | (1022 << 52));
    if fraction == 0.5 {
        return f64::from(exponent - 1);
    }
    ln(fraction) * (1.0 / std::f64::consts::LN_2) + f64::from(exponent)
}

/// The natural logarithm of a number in 0.5..1.
fn ln(x: f64) -> f64 {
    const HIGH: f64 = f64::from_bits(0x3fe6_2e42_fee0_0000);
    const LOW: f64 = f64::from_bits(0x3dea_39ef_3579_3c76);
    const PARTS: [u64; 7] = [
        0x3fe5_5555_5555_5593,
        0x3fd9_9999_9997_fa04,
        0x3fd2_4924_9422_9359,
        0x3fcc_71c5_1d8e_78af,
        0x3fc7_4664_96cb_03de,
        0x3fc3_9a09_d078_c69f,
        0x3fc2_f112_df3e_5244,
    ];
    let (mut f, mut k) = (x, 0.0);
    if f < std::f64::consts::FRAC_1_SQRT_2 {
        f *= 2.0;
        k = -1.0;
    }
    f -= 1.0;
    let s = f / (2.0 + f);
    let s2 = s * s;
    let s4 = s2 * s2;
    let [l1, l2, l3, l4, l5, l6, l7] = PARTS.map(f64::from_bits);
    let t1 = s2 * (l1 + s4 * (l3 + s4 * (l5 + s4 * l7)));
    let t2 = s4 * (l2 + s4 * (l4 + s4 * l6));
    let half = 0.5 * f * f;
    k * HIGH - ((half - (s * (half + (t1 + t2)) + k * LOW)) - f)
}
