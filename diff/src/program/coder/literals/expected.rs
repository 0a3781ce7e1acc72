//! What bytes pointers and places of the dictionary expect, and how far that is to be trusted.

use super::super::mixing::{HALF, hash, moved};
use super::super::squash::stretched;
use super::super::table;
use super::pointers::{POINTERS, Pointers};

/// Decisions after which slots of what is expected learn no more slowly.
const SLOW: u32 = 255;
const FAST: u32 = 127;
/// Slots of pointers by their lengths and by what they expect; those of the two places in the base likewise.
const BY_LEN: usize = POINTERS << 9;
const BY_EXPECTED: usize = POINTERS << 16;
const BY_PLACE: usize = 1 << 16;
/// Places in the base: the standing place, and the one that what follows is counted back from.
pub(super) const PLACES: usize = 2;
/// Which of what is expected are pointers.
const OF_POINTERS: u8 = (1 << POINTERS) - 1;
/// What no byte is.
const NONE: u32 = 256;

/// A place of the dictionary whose bytes are expected.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Place {
    /// Of the expected byte; 0 is none.
    pub(super) at: usize,
    /// Whether the bytes before were other ones, the last one lowest.
    pub(super) wrong: u32,
}

impl Place {
    fn byte(&self, history: &[u8]) -> Option<u8> {
        if self.at > 0 { history.get(self.at).copied() } else { None }
    }

    /// Moves on behind a byte.
    pub(super) fn pass(&mut self, expected: Option<u8>, byte: u8, end: usize) {
        if self.at > 0 {
            self.wrong = self.wrong << 1 | u32::from(expected != Some(byte));
            self.at = if self.at + 1 < end { self.at + 1 } else { 0 };
        }
    }
}

/// What a byte is coded under.
pub(super) struct Expected {
    /// What each pointer expects, then each place; and which of them the bits so far are like, the first one lowest.
    bytes: [u8; POINTERS + PLACES],
    right: u8,
    /// Slots of the pointers and places, without the bit.
    by_len: [usize; POINTERS],
    by_expected: [usize; POINTERS],
    by_place: [usize; 2 * PLACES],
    /// By the length of each pointer, from 3: those that expect have at least four bytes.
    classes: [usize; POINTERS],
    /// The last byte.
    pub(super) last: u32,
}

impl Expected {
    /// What is expected of the next byte, behind the last byte and in a phase of an instruction; there were `since` literals
    /// since the last place was told, and `left` are left.
    pub(super) fn new(
        pointers: &Pointers,
        history: &[u8],
        places: &[Place; PLACES],
        (since, left): (usize, usize),
        (last, phase): (u8, usize),
    ) -> Self {
        let pointed = pointers.expected(history);
        let last = u32::from(last);
        let [here, there] = places.map(|place| place.byte(history));
        let (mut bytes, mut right) = ([0; POINTERS + PLACES], 0);
        for (i, byte) in pointed.into_iter().chain([here, there]).enumerate() {
            bytes[i] = byte.unwrap_or(0);
            right |= u8::from(byte.is_some()) << i;
        }
        let (mut by_len, mut by_expected) = ([0; POINTERS], [0; POINTERS]);
        let mut classes = [0; POINTERS];
        for (i, pointer) in pointers.all.iter().enumerate() {
            let byte = pointed[i].map_or(0, u32::from);
            by_len[i] = i << 9 | pointer.len.min(63) << 3 | ((pointer.wrong & 3) as usize) << 1;
            by_expected[i] = i << 16 | (hash(byte | last << 8, 0, 15) << 1) as usize;
            classes[i] = match pointer.len {
                few @ ..=15 => 2 + few / 4,
                16..=31 => 6,
                32..=63 => 7,
                _ => 8,
            };
        }
        let [standing, coming] = places.map(|place| place.wrong);
        let [here, there] = [here, there].map(|byte| byte.map_or(0, u32::from));
        let (since, left) = (since.min(15), left.min(127));
        let of_here =
            here | (standing & 3) << 8 | (since.min(3) as u32) << 10 | (phase as u32) << 12;
        let of_there = there | (coming & 3) << 8 | (left.min(31) as u32) << 10;
        let by_place = [
            since << 9 | ((standing & 255) as usize) << 1,
            (hash(of_here, 5, 15) << 1) as usize,
            left << 9 | ((coming & 255) as usize) << 1,
            (hash(of_there, 5, 15) << 1) as usize,
        ];
        Self { bytes, right, by_len, by_expected, by_place, classes, last }
    }

    /// The first byte that a pointer expects, and that of the standing place.
    #[inline(always)]
    pub(super) fn first_and_here(&self) -> [u32; 2] {
        let first = match self.right & OF_POINTERS {
            0 => NONE,
            pointers => self.bytes[pointers.trailing_zeros() as usize].into(),
        };
        let here = if self.is_right(POINTERS) { self.bytes[POINTERS].into() } else { NONE };
        [first, here]
    }

    #[inline(always)]
    pub(super) fn is_right(&self, i: usize) -> bool {
        self.right >> i & 1 == 1
    }

    /// What each place expects.
    pub(super) fn of_places(&self) -> [Option<u8>; PLACES] {
        [0, 1].map(|i| self.is_right(POINTERS + i).then_some(self.bytes[POINTERS + i]))
    }

    /// A bit was this one: what expected the other is right no more.
    #[inline(always)]
    pub(super) fn pass(&mut self, bit: u32, value: bool) {
        let set = self.bytes.iter().rev().fold(0, |set, byte| set << 1 | byte >> bit & 1);
        self.right &= if value { set } else { !set };
    }

    /// The class of the first pointer that is right so far, 0 without one, and how many others are.
    #[inline(always)]
    pub(super) fn class(&self) -> (usize, usize) {
        match self.right & OF_POINTERS {
            0 => (0, 0),
            pointers => {
                let first = pointers.trailing_zeros() as usize;
                (self.classes[first], pointers.count_ones() as usize - 1)
            }
        }
    }
}

/// Slots of what is expected.
#[derive(Debug, Clone, Default)]
pub(super) struct ExpectedSlots {
    by_len: Vec<u32>,
    by_expected: Vec<u32>,
    by_place: [Vec<u32>; 2 * PLACES],
}

impl ExpectedSlots {
    /// Bytes of memory.
    pub(super) const MEMORY: u64 = (BY_LEN + BY_EXPECTED + 2 * PLACES * BY_PLACE) as u64 * 4;

    /// Slots without experience, in the memory of others.
    pub(super) fn again(self) -> Self {
        Self {
            by_len: table(self.by_len, BY_LEN, HALF),
            by_expected: table(self.by_expected, BY_EXPECTED, HALF),
            by_place: self.by_place.map(|slots| table(slots, BY_PLACE, HALF)),
        }
    }

    /// What pointers say by length, then by what they expect, and places; what is not expected (any more) stays as it is.
    #[inline(always)]
    pub(super) fn inputs(&self, expected: &Expected, bit: u32, inputs: &mut [i16]) {
        for i in 0..POINTERS {
            if !expected.is_right(i) {
                continue;
            }
            let is_set = usize::from(expected.bytes[i] >> bit & 1);
            inputs[i] = stretched(self.by_len[expected.by_len[i] | is_set]);
            inputs[POINTERS + i] = stretched(self.by_expected[expected.by_expected[i] | is_set]);
        }
        for i in 0..PLACES {
            if !expected.is_right(POINTERS + i) {
                continue;
            }
            let is_set = usize::from(expected.bytes[POINTERS + i] >> bit & 1);
            for j in [2 * i, 2 * i + 1] {
                inputs[2 * POINTERS + j] =
                    stretched(self.by_place[j][expected.by_place[j] | is_set]);
            }
        }
    }

    /// Slots of what is expected learn a decision.
    #[inline(always)]
    pub(super) fn learn(&mut self, expected: &Expected, bit: u32, value: bool) {
        for i in 0..POINTERS {
            if !expected.is_right(i) {
                continue;
            }
            let is_set = usize::from(expected.bytes[i] >> bit & 1);
            let slot = &mut self.by_len[expected.by_len[i] | is_set];
            *slot = moved(*slot, value, SLOW);
            let slot = &mut self.by_expected[expected.by_expected[i] | is_set];
            *slot = moved(*slot, value, FAST);
        }
        for i in 0..PLACES {
            if !expected.is_right(POINTERS + i) {
                continue;
            }
            let is_set = usize::from(expected.bytes[POINTERS + i] >> bit & 1);
            for (j, limit) in [(2 * i, SLOW), (2 * i + 1, FAST)] {
                let slot = &mut self.by_place[j][expected.by_place[j] | is_set];
                *slot = moved(*slot, value, limit);
            }
        }
    }
}
