//! Literals by context mixing, with content of a base as dictionary.
//!
//! A byte follows from the bytes before it, as in the literals so far and in what the dictionary has near the place
//! that the literals stand in for; from what followed the same bytes elsewhere; and from what the base has at that place
//! (docs/delta-format.md, "Literals by mixing").

use std::hint::black_box;

use super::binary::Binary;
use super::blocks::{BLOCK, Blocks};
use super::mixing::{HALF, hash, moved_all, moved_each, squashed, stretched};
use super::pair::{INPUTS, Pair, Refinement};
use super::pointers::{POINTERS, Pointers};
use super::table;

/// Contexts of bytes, and the lines of each as a power of two.
const CONTEXTS: usize = 7;
const LINE_BITS: u32 = 14;
/// Decisions after which a slot of a line, and one of a pointer, learns no more slowly.
const LINE_LIMIT: u32 = 60;
const POINTER_LIMIT: u32 = 255;
const EXPECTED_LIMIT: u32 = 127;
/// Slots of pointers by their lengths, and by what they expect; and those of the place in the base.
const BY_LEN: usize = POINTERS << 9;
const BY_EXPECTED: usize = POINTERS << 16;
const BY_PLACE: usize = 1 << 13;
const REFINED: usize = 1 << 10;

/// Such a limit of each input, in the order of [`LiteralModel::slots`].
const LIMITS: [u32; INPUTS] = {
    let mut limits = [POINTER_LIMIT; INPUTS];
    let mut i = 0;
    while i < INPUTS - 1 {
        if i < CONTEXTS {
            limits[i] = LINE_LIMIT;
        } else if i >= CONTEXTS + POINTERS {
            limits[i] = EXPECTED_LIMIT;
        }
        i += 1;
    }
    limits
};

/// A slot that is an input of 0.
const NO_SLOT: u32 = 2047 << 20;

/// What no byte is.
const NONE: u32 = 256;

/// The bytes before the next one.
#[derive(Debug, Clone, Copy, Default)]
struct Recent {
    /// The last 16, the latest lowest.
    bytes: u128,
    /// A hash of the letters, digits and underscores since the last other byte.
    word: u32,
}

impl Recent {
    /// Those before a place.
    fn before(history: &[u8], place: usize) -> Self {
        let bytes = history.get(place.saturating_sub(16)..place).unwrap_or_default();
        let mut recent = Self::default();
        bytes.iter().for_each(|&byte| recent.push(byte));
        recent
    }

    #[inline]
    fn push(&mut self, byte: u8) {
        self.bytes = self.bytes << 8 | u128::from(byte);
        let is_word = byte.is_ascii_alphanumeric() || byte == b'_';
        self.word = if is_word { hash(self.word, u32::from(byte) + 1, 32) } else { 0 };
    }

    fn last(&self) -> u32 {
        self.bytes as u32 & 0xff
    }

    /// Contexts of the next byte, the first of which is what is expected.
    #[inline]
    fn contexts(&self, expected: u32) -> [u32; CONTEXTS] {
        let (low, high) = (self.bytes as u32, (self.bytes >> 32) as u32);
        [
            of_expected(expected),
            hash(low & 0xff, 1, 32),
            hash(low & 0xffff, 2, 32),
            hash(low & 0xff_ffff, 3, 32),
            hash(low, 4, 32),
            hash(low, high & 0xffff | 5 << 24, 32),
            hash(self.word, low & 0xff | 7 << 16, 32),
        ]
    }
}

/// The context of what is expected.
#[inline(always)]
fn of_expected(expected: u32) -> u32 {
    hash(expected, 0, 32)
}

/// 15 slots, and before these what tells whose line it is; one line of the cache.
#[derive(Debug, Clone, Copy)]
#[repr(align(64))]
struct Line([u32; 16]);

/// Half a byte in a context: where its line is, and what tells that it is its.
#[derive(Debug, Clone, Copy, Default)]
struct Half {
    place: usize,
    check: u32,
}

impl Half {
    /// `before` are the bits of the byte so far behind a 1, 0 at its start.
    #[inline(always)]
    fn of(number: usize, context: u32, before: u32) -> Self {
        let hash = hash(context, before, 32);
        let place = number << LINE_BITS | (hash >> (32 - LINE_BITS)) as usize;
        Self { place, check: hash & 0x3fff | 1 }
    }
}

/// Probabilities of the halves of bytes, a line for each context.
#[derive(Debug, Clone, Default)]
struct Lines(Vec<Line>);

impl Lines {
    /// Makes a line that of the half, if it is not.
    #[inline(always)]
    fn take(&mut self, half: Half) -> usize {
        if let Some(line) = self.0.get_mut(half.place)
            && line.0[0] != half.check
        {
            *line = Line([HALF; 16]);
            line.0[0] = half.check;
        }
        half.place
    }

    /// Brings lines into the cache, all at once, that will be taken one after the other.
    #[inline(always)]
    fn touch(&self, halves: &[Half]) {
        let mut all = 0;
        for half in halves {
            if let Some(line) = self.0.get(half.place) {
                all ^= line.0[0];
            }
        }
        black_box(all);
    }

    /// All contexts but the first learn bytes that are not coded: one context after the other, so that its lines stay in the
    /// cache.
    fn learn(&mut self, contexts: &[([u32; CONTEXTS], u8); BLOCK]) {
        for number in 1..CONTEXTS {
            let mut halves = [Half::default(); 2 * BLOCK];
            for (halves, (contexts, byte)) in halves.chunks_exact_mut(2).zip(contexts) {
                halves[0] = Half::of(number, contexts[number], 0);
                halves[1] = Half::of(number, contexts[number], u32::from(byte >> 4) | 16);
            }
            self.touch(&halves);
            for (halves, (_, byte)) in halves.chunks_exact(2).zip(contexts) {
                self.learn_half(halves[0], byte >> 4);
                self.learn_half(halves[1], byte & 15);
            }
        }
    }

    /// A line learns four bits.
    #[inline(always)]
    fn learn_half(&mut self, half: Half, bits: u8) {
        let place = self.take(half);
        let Some(Line(line)) = self.0.get_mut(place) else { return };
        let bits = usize::from(bits & 15);
        let nodes = [1, 2 | bits >> 3, 4 | bits >> 2, 8 | bits >> 1];
        let values = [3, 2, 1, 0].map(|bit| bits >> bit & 1 == 1);
        let moved = moved_each(&nodes.map(|node| line[node]), &values, &[LINE_LIMIT; 4]);
        for (node, slot) in nodes.into_iter().zip(moved) {
            line[node] = slot;
        }
    }
}

/// Where the literals stand in for bytes of the dictionary.
#[derive(Debug, Clone, Copy, Default)]
struct Standing {
    /// The place of the expected byte; 0 is none.
    place: usize,
    /// Whether the bytes before were other ones, the last one lowest.
    wrong: u32,
}

/// The model; it lives on from piece to piece.
#[derive(Debug, Clone, Default)]
pub(super) struct LiteralModel {
    /// The dictionary and the literals so far, and the most of both.
    history: Vec<u8>,
    most: usize,
    dictionary_len: usize,
    recent: Recent,
    pointers: Pointers,
    standing: Standing,
    /// Literals since the last place was told.
    since: usize,
    /// The blocks of the dictionary that were learned.
    learned: Blocks,
    lines: Lines,
    by_len: Vec<u32>,
    by_expected: Vec<u32>,
    by_place: Vec<u32>,
    pair: Pair,
    refinement: Refinement<REFINED>,
}

/// What a byte is coded under.
struct Expected {
    /// What each pointer expects, as long as the bits so far are like it; then what the base has.
    bytes: [Option<u8>; POINTERS + 1],
    by_len: [usize; POINTERS],
    by_expected: [usize; POINTERS],
    by_place: usize,
    /// What each pointer, and the place in the base, says of the weights.
    classes: [usize; POINTERS + 1],
    /// Lines of the contexts.
    lines: [usize; CONTEXTS],
}

impl Expected {
    /// The first byte that a pointer expects, and that of the base.
    #[inline(always)]
    fn first_and_here(&self) -> [u32; 2] {
        let first = self.bytes[..POINTERS].iter().find_map(|byte| *byte);
        [first, self.bytes[POINTERS]].map(|byte| byte.map_or(NONE, u32::from))
    }

    /// Which weights: by the length of the first pointer that is right so far, by how many are, and by the place in the base.
    #[inline(always)]
    fn class(&self) -> usize {
        let right = |i: &usize| self.bytes[*i].is_some();
        let here = if right(&POINTERS) { self.classes[POINTERS] } else { 0 };
        let Some(first) = (0..POINTERS).find(right) else { return here };
        let others = (first + 1..POINTERS).filter(right).count();
        (self.classes[first] * 4 + others) * 16 + here
    }
}

impl LiteralModel {
    /// Bytes of memory beside history and pointers, the blocks of the largest dictionary among them.
    pub(super) const MEMORY: u64 = (CONTEXTS << LINE_BITS) as u64 * 64
        + (BY_LEN + BY_EXPECTED + BY_PLACE) as u64 * 4
        + Pair::MEMORY
        + Refinement::<REFINED>::MEMORY
        + Blocks::MEMORY;

    /// A model with a dictionary, for at most so many literals.
    pub(super) fn new(dictionary: Vec<u8>, literals: usize) -> Self {
        Self::default().again(dictionary, literals)
    }

    /// Forgets everything, and begins with this dictionary.
    pub(super) fn again(self, dictionary: Vec<u8>, literals: usize) -> Self {
        let most = dictionary.len() + literals;
        let mut history = dictionary;
        let dictionary_len = history.len();
        history.shrink_to(most);
        history.reserve_exact(literals);
        Self {
            pointers: self.pointers.again(&history, most as u64),
            learned: self.learned.again(dictionary_len),
            history,
            most,
            dictionary_len,
            recent: Recent::default(),
            standing: Standing::default(),
            since: 0,
            lines: Lines(table(self.lines.0, CONTEXTS << LINE_BITS, Line([HALF; 16]))),
            by_len: table(self.by_len, BY_LEN, HALF),
            by_expected: table(self.by_expected, BY_EXPECTED, HALF),
            by_place: table(self.by_place, BY_PLACE, HALF),
            pair: self.pair.again(),
            refinement: self.refinement.again(),
        }
    }

    /// The memory of its history, for the dictionary of the next.
    pub(super) fn take_history(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.history)
    }

    /// Whether so many more literals fit.
    pub(super) fn has_room(&self, literals: usize) -> bool {
        literals <= self.most.saturating_sub(self.history.len())
    }

    /// What follows stands in for what the dictionary has at a place (counted from 0); none where that is not known.
    pub(super) fn stand(&mut self, place: Option<usize>) {
        let place = place.filter(|place| (1..self.dictionary_len).contains(place));
        self.standing = Standing { place: place.unwrap_or(0), wrong: 0 };
        self.since = 0;
        if let Some(place) = place {
            self.recent = Recent::before(&self.history, place);
            self.pointers.reset();
            self.learn_about(place);
        }
    }

    /// Learns the blocks of the dictionary about a place that were not learned yet.
    fn learn_about(&mut self, place: usize) {
        for block in self.learned.about(place, self.dictionary_len) {
            let Some(start) = self.learned.take(block) else { continue };
            let mut recent = Recent::before(&self.history, start);
            let mut contexts = [([0; CONTEXTS], 0); BLOCK];
            for (context, &byte) in contexts.iter_mut().zip(&self.history[start..]) {
                *context = (recent.contexts(0), byte);
                recent.push(byte);
            }
            self.lines.learn(&contexts);
        }
    }

    /// Codes one byte; there must be room for it.
    pub(super) fn code<B: Binary>(&mut self, binary: &mut B, value: u8) -> u8 {
        let entries = self.pointers.entries(self.recent.bytes);
        let mut contexts = self.recent.contexts(0);
        let mut halves = [Half::default(); CONTEXTS];
        for number in 1..CONTEXTS {
            halves[number] = Half::of(number, contexts[number], 0);
        }
        self.lines.touch(&halves);
        self.pointers.look_at(entries, &self.history, self.recent.bytes);
        let mut expected = self.expected();
        let [first, here] = expected.first_and_here();
        contexts[0] = of_expected(first | here << 9);
        halves[0] = Half::of(0, contexts[0], 0);
        let mut tree = 1;
        for half in 0..2 {
            if half == 1 {
                for number in 0..CONTEXTS {
                    halves[number] = Half::of(number, contexts[number], tree);
                }
                self.lines.touch(&halves);
            }
            for (line, half) in expected.lines.iter_mut().zip(halves) {
                *line = self.lines.take(half);
            }
            let mut node = 1;
            for bit in (0..4).rev() {
                let bit = bit + 4 - 4 * half;
                let is_set =
                    self.code_bit(binary, value >> bit & 1 == 1, &mut expected, (tree, node, bit));
                tree = tree << 1 | u32::from(is_set);
                node = node << 1 | usize::from(is_set);
            }
        }
        let byte = tree as u8;
        self.pointers.learn(&self.history, byte);
        if self.standing.place > 0 {
            let right = here == u32::from(byte);
            self.standing.wrong = self.standing.wrong << 1 | u32::from(!right);
            let next = self.standing.place + 1;
            self.standing.place = if next < self.dictionary_len { next } else { 0 };
        }
        self.since += 1;
        self.history.push(byte);
        self.recent.push(byte);
        byte
    }

    /// What is expected of the next byte.
    fn expected(&self) -> Expected {
        let pointed = self.pointers.expected(&self.history);
        let Standing { place, wrong } = self.standing;
        let here = if place > 0 { self.history.get(place).copied() } else { None };
        let mut bytes = [here; POINTERS + 1];
        bytes[..POINTERS].copy_from_slice(&pointed);
        let (mut by_len, mut by_expected) = ([0; POINTERS], [0; POINTERS]);
        let mut classes = [1 + (wrong & 7) as usize; POINTERS + 1];
        for (i, pointer) in self.pointers.all.iter().enumerate() {
            let byte = pointed[i].map_or(0, u32::from);
            by_len[i] = i << 9 | pointer.len.min(63) << 3 | ((pointer.wrong & 3) as usize) << 1;
            by_expected[i] = i << 16 | (hash(byte | self.recent.last() << 8, 0, 15) << 1) as usize;
            let class = match pointer.len {
                0 => 0,
                few @ 1..=15 => 1 + few / 4,
                16..=31 => 5,
                32..=63 => 6,
                _ => 7,
            };
            classes[i] = 1 + class;
        }
        Expected {
            bytes,
            by_len,
            by_expected,
            by_place: self.since.min(15) << 9 | ((wrong & 255) as usize) << 1,
            classes,
            lines: [0; CONTEXTS],
        }
    }

    /// Codes a bit of a byte: `tree` are the bits so far behind a 1, `node` those of the half, `bit` its number from below.
    #[inline(always)]
    fn code_bit<B: Binary>(
        &mut self,
        binary: &mut B,
        value: bool,
        expected: &mut Expected,
        (tree, node, bit): (u32, usize, u32),
    ) -> bool {
        let slots = self.slots(expected, node, bit);
        let inputs = inputs(&slots);
        let weighed = self.pair.weigh(&inputs, [expected.class(), tree as usize]);
        let [first, here] = expected.first_and_here();
        let context = hash(here | first << 9, tree, REFINED.trailing_zeros()) as usize;
        let (refined, place) = self.refinement.refine(weighed.mean(), context);
        let probability = (squashed(weighed.mean()) * 16 + refined) >> 1;
        let value = binary.code(value, probability.clamp(16, 65_520) as u32);
        self.refinement.learn(place, value);
        self.pair.learn(&inputs, weighed, value);
        self.put_slots(&moved_all(&slots, value, &LIMITS), expected, node, bit);
        for byte in &mut expected.bytes {
            *byte = byte.filter(|byte| byte >> bit & 1 == u8::from(value));
        }
        value
    }

    /// The slots: of the contexts, of the pointers by length and by what they expect, of the place. Those of bytes that are
    /// not expected (any more) are [`NO_SLOT`].
    #[inline(always)]
    fn slots(&self, expected: &Expected, node: usize, bit: u32) -> [u32; INPUTS] {
        let mut slots = [NO_SLOT; INPUTS];
        for (slot, line) in slots.iter_mut().zip(&expected.lines) {
            *slot = self.lines.0[*line].0[node];
        }
        for i in 0..POINTERS {
            let Some(byte) = expected.bytes[i] else { continue };
            let is_set = usize::from(byte >> bit & 1);
            slots[CONTEXTS + i] = self.by_len[expected.by_len[i] | is_set];
            slots[CONTEXTS + POINTERS + i] = self.by_expected[expected.by_expected[i] | is_set];
        }
        if let Some(byte) = expected.bytes[POINTERS] {
            let is_set = usize::from(byte >> bit & 1);
            slots[INPUTS - 1] = self.by_place[expected.by_place | is_set];
        }
        slots
    }

    /// Puts the slots back.
    #[inline(always)]
    fn put_slots(&mut self, slots: &[u32; INPUTS], expected: &Expected, node: usize, bit: u32) {
        for (slot, line) in slots.iter().zip(expected.lines) {
            self.lines.0[line].0[node] = *slot;
        }
        for i in 0..POINTERS {
            let Some(byte) = expected.bytes[i] else { continue };
            let is_set = usize::from(byte >> bit & 1);
            self.by_len[expected.by_len[i] | is_set] = slots[CONTEXTS + i];
            self.by_expected[expected.by_expected[i] | is_set] = slots[CONTEXTS + POINTERS + i];
        }
        if let Some(byte) = expected.bytes[POINTERS] {
            let is_set = usize::from(byte >> bit & 1);
            self.by_place[expected.by_place | is_set] = slots[INPUTS - 1];
        }
    }
}

/// Stretched probabilities.
#[inline(always)]
fn inputs(slots: &[u32; INPUTS]) -> [i16; INPUTS] {
    let mut inputs = [0; INPUTS];
    for (input, slot) in inputs.iter_mut().zip(slots) {
        *input = stretched(*slot);
    }
    inputs
}
