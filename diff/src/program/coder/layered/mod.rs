//! Literals by context mixing in two layers: slower and smaller than the first model of literals.
//!
//! What differs from that: contexts know the sort of bytes, instructions of x86-64 above all; each has what came of
//! its decisions and what came of like histories; four sets of weights say something that a second layer
//! weighs; and what follows the literals in the base is expected at their end (docs/delta-format.md, "Literals in layers").

mod contexts;
mod instruction;
mod layers;
mod lines;

use super::binary::Binary;
use super::mixing::{HALF, hash, moved, squashed, stretched};
use super::pair::Refinement;
use super::pointers::{POINTERS, Pointers};
use contexts::Recent;
pub(crate) use contexts::Sort;
use layers::{INPUTS, Layers, SETS, Selected};
use lines::{Half, Lines};

/// Contexts of bytes.
const CONTEXTS: usize = 12;
/// Inputs of these, from their slots and from histories; then those of what is expected, and one that is always the same.
const OF_CONTEXTS: usize = 2 * CONTEXTS;
const OF_PLACES: usize = OF_CONTEXTS + 2 * POINTERS;
const ALWAYS: usize = OF_PLACES + 4;
const SAME: i16 = 256;
/// Decisions after which slots of what is expected learn no more slowly.
const SLOW: u32 = 255;
const FAST: u32 = 127;
/// Bytes of a dictionary that are learned at once, and what is learned about a place: so many bytes before and behind it.
const BLOCK: usize = 64;
const BEFORE: usize = 256;
const BEHIND: usize = 512;
/// Slots of pointers by their lengths and by what they expect; those of the two places in the base likewise.
const BY_LEN: usize = POINTERS << 9;
const BY_EXPECTED: usize = POINTERS << 16;
const BY_PLACE: usize = 1 << 16;
/// Places in the base: the standing place, and the one that what follows is counted back from.
const PLACES: usize = 2;
const REFINED: usize = 1 << 10;
/// What no byte is.
const NONE: u32 = 256;

/// Spreads two numbers over 32 bits, the low ones too.
#[inline(always)]
fn spread(a: u32, b: u32) -> u32 {
    let hash = hash(a, b, 32);
    hash ^ hash >> 16
}

/// Where literals stand, and what follows them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Stand {
    /// The place of the dictionary that they stand in for, if it is known.
    pub(crate) place: Option<usize>,
    /// How many they are.
    pub(crate) len: usize,
    /// The place of the dictionary that has what follows them, if it is known.
    pub(crate) end: Option<usize>,
}

/// A place of the dictionary whose bytes are expected.
#[derive(Debug, Clone, Copy, Default)]
struct Place {
    /// Of the expected byte; 0 is none.
    at: usize,
    /// Whether the bytes before were other ones, the last one lowest.
    wrong: u32,
}

impl Place {
    fn byte(&self, history: &[u8]) -> Option<u8> {
        if self.at > 0 { history.get(self.at).copied() } else { None }
    }

    /// Moves on behind a byte.
    fn pass(&mut self, expected: Option<u8>, byte: u8, end: usize) {
        if self.at > 0 {
            self.wrong = self.wrong << 1 | u32::from(expected != Some(byte));
            self.at = if self.at + 1 < end { self.at + 1 } else { 0 };
        }
    }
}

/// The model; it lives on from piece to piece.
#[derive(Debug, Clone)]
pub(super) struct LayeredModel {
    sort: Sort,
    /// The dictionary and the literals so far.
    history: Vec<u8>,
    /// Bytes that it may have.
    most: usize,
    dictionary_len: usize,
    recent: Recent,
    pointers: Pointers,
    /// Where the literals stand, and where they come to.
    places: [Place; PLACES],
    /// Literals since the last place was told, and those that are left.
    since: usize,
    left: usize,
    /// The blocks of the dictionary that were learned.
    learned: Vec<bool>,
    lines: Lines,
    by_len: Vec<u32>,
    by_expected: Vec<u32>,
    by_place: [Vec<u32>; 2 * PLACES],
    layers: Layers,
    refinements: [Refinement<REFINED>; 3],
}

/// What a byte is coded under.
struct Expected {
    /// What each pointer expects, then each place, as long as the bits so far are like it.
    bytes: [Option<u8>; POINTERS + PLACES],
    /// Slots of the pointers and places, without the bit.
    by_len: [usize; POINTERS],
    by_expected: [usize; POINTERS],
    by_place: [usize; 2 * PLACES],
    /// By the length of each pointer, from 1.
    classes: [usize; POINTERS],
    /// Lines of the contexts.
    lines: [usize; CONTEXTS],
    last: usize,
    /// What instruction there is so far.
    begun: u32,
}

impl Expected {
    /// The first byte that a pointer expects, and that of the standing place.
    #[inline(always)]
    fn first_and_here(&self) -> [u32; 2] {
        let first = self.bytes[..POINTERS].iter().find_map(|byte| *byte);
        [first, self.bytes[POINTERS]].map(|byte| byte.map_or(NONE, u32::from))
    }

    fn is_right(&self, i: usize) -> bool {
        self.bytes[i].is_some()
    }

    /// The class of the first pointer that is right so far, 0 without one, and how many others are.
    #[inline(always)]
    fn class(&self) -> (usize, usize) {
        let Some(first) = (0..POINTERS).find(|i| self.is_right(*i)) else { return (0, 0) };
        let others = (first + 1..POINTERS).filter(|i| self.is_right(*i)).count();
        (self.classes[first], others)
    }
}

impl LayeredModel {
    /// Bytes of memory beside history and pointers, the blocks of the largest dictionary among them.
    pub(super) const MEMORY: u64 = (BY_LEN + BY_EXPECTED + 2 * PLACES * BY_PLACE) as u64 * 4
        + super::super::limits::DICTIONARY_LEN / BLOCK as u64
        + Layers::MEMORY
        + Lines::MEMORY
        + 3 * Refinement::<REFINED>::MEMORY;

    /// A model with a dictionary, for at most so many literals.
    pub(super) fn new(sort: Sort, dictionary: Vec<u8>, literals: usize) -> Self {
        let tables = (Lines::default(), Pointers::default());
        Self::with(tables, sort, dictionary, literals)
    }

    /// Forgets everything, and begins with this dictionary.
    pub(super) fn again(self, sort: Sort, dictionary: Vec<u8>, literals: usize) -> Self {
        Self::with((self.lines, self.pointers), sort, dictionary, literals)
    }

    /// A model in the memory of the largest tables of one that was given up.
    fn with(
        (lines, pointers): (Lines, Pointers),
        sort: Sort,
        mut history: Vec<u8>,
        literals: usize,
    ) -> Self {
        let (dictionary_len, most) = (history.len(), history.len() + literals);
        history.shrink_to(most);
        history.reserve_exact(literals);
        let refinement = Refinement::default().again();
        Self {
            sort,
            pointers: pointers.again(&history, most as u64),
            history,
            most,
            dictionary_len,
            recent: Recent::new(sort),
            places: [Place::default(); PLACES],
            since: 0,
            left: 0,
            learned: vec![false; dictionary_len / BLOCK],
            lines: lines.again(),
            by_len: vec![HALF; BY_LEN],
            by_expected: vec![HALF; BY_EXPECTED],
            by_place: std::array::from_fn(|_| vec![HALF; BY_PLACE]),
            layers: Layers::new(),
            refinements: [refinement.clone(), refinement.clone(), refinement],
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

    /// Literals begin.
    pub(super) fn stand(&mut self, stand: Stand) {
        let inside = |place: Option<usize>| {
            place.filter(|place| (1..self.dictionary_len).contains(place)).unwrap_or(0)
        };
        let (at, end) = (inside(stand.place), inside(stand.end));
        self.places = [at, end.saturating_sub(stand.len)].map(|at| Place { at, wrong: 0 });
        (self.since, self.left) = (0, stand.len);
        if at > 0 {
            self.recent = Recent::before(self.sort, &self.history, at);
            self.pointers.reset();
            self.learn_about(at);
        }
    }

    /// Learns the blocks of the dictionary about a place that were not learned yet.
    fn learn_about(&mut self, place: usize) {
        let first = place.saturating_sub(BEFORE) / BLOCK;
        let end = ((place + BEHIND).min(self.dictionary_len - 1) / BLOCK).min(self.learned.len());
        for block in first..end {
            if std::mem::replace(&mut self.learned[block], true) {
                continue;
            }
            let start = block * BLOCK;
            let mut recent = Recent::before(self.sort, &self.history, start);
            let mut contexts = [[0; BLOCK]; CONTEXTS];
            let Some(bytes) = self.history.get(start..start + BLOCK) else { return };
            for (at, &byte) in bytes.iter().enumerate() {
                for (row, context) in contexts.iter_mut().zip(recent.contexts(NONE, NONE)) {
                    row[at] = context;
                }
                recent.push(byte);
            }
            for number in self.sort.learned() {
                self.lines.learn_bytes(number, bytes, &contexts[number]);
            }
        }
    }

    /// Codes one byte; there must be room for it.
    pub(super) fn code<B: Binary>(&mut self, binary: &mut B, value: u8) -> u8 {
        self.pointers.look(&self.history, self.recent.bytes);
        let mut expected = self.expected();
        let [first, here] = expected.first_and_here();
        let contexts = self.recent.contexts(first, here);
        let places = [0, 1].map(|i| expected.bytes[POINTERS + i]);
        let mut tree = 1;
        for half in 0..2 {
            let before = if half == 0 { 0 } else { tree };
            let mut halves = [Half::default(); CONTEXTS];
            for number in 0..CONTEXTS {
                halves[number] = Lines::half(number, contexts[number], before);
            }
            self.lines.touch(&halves);
            expected.lines = halves.map(|half| self.lines.take(half));
            let mut node = 1;
            for bit in (0..4).rev() {
                let bit = bit + 4 - 4 * half;
                let is_set = value >> bit & 1 == 1;
                let is_set = self.code_bit(binary, is_set, &mut expected, (tree, node, bit));
                tree = tree << 1 | u32::from(is_set);
                node = node << 1 | usize::from(is_set);
            }
        }
        let byte = tree as u8;
        self.pointers.learn(&self.history, byte);
        for (place, expected) in self.places.iter_mut().zip(places) {
            place.pass(expected, byte, self.dictionary_len);
        }
        self.since += 1;
        self.left = self.left.saturating_sub(1);
        self.history.push(byte);
        self.recent.push(byte);
        byte
    }

    /// What is expected of the next byte.
    fn expected(&self) -> Expected {
        let pointed = self.pointers.expected(&self.history);
        let [here, there] = self.places.map(|place| place.byte(&self.history));
        let mut bytes = [here; POINTERS + PLACES];
        bytes[..POINTERS].copy_from_slice(&pointed);
        bytes[POINTERS + 1] = there;
        let (mut by_len, mut by_expected) = ([0; POINTERS], [0; POINTERS]);
        let mut classes = [0; POINTERS];
        for (i, pointer) in self.pointers.all.iter().enumerate() {
            let byte = pointed[i].map_or(0, u32::from);
            by_len[i] = i << 9 | pointer.len.min(63) << 3 | ((pointer.wrong & 3) as usize) << 1;
            by_expected[i] = i << 16 | (hash(byte | self.recent.last() << 8, 0, 15) << 1) as usize;
            classes[i] = match pointer.len {
                0 => 1,
                few @ 1..=15 => 2 + few / 4,
                16..=31 => 6,
                32..=63 => 7,
                _ => 8,
            };
        }
        let [standing, coming] = self.places.map(|place| place.wrong);
        let [here, there] = [here, there].map(|byte| byte.map_or(0, u32::from));
        let phase = self.recent.following.phase() as u32;
        let (since, left) = (self.since.min(15), self.left.min(127));
        let of_here = here | (standing & 3) << 8 | (since.min(3) as u32) << 10 | phase << 12;
        let of_there = there | (coming & 3) << 8 | (left.min(31) as u32) << 10;
        let by_place = [
            since << 9 | ((standing & 255) as usize) << 1,
            (hash(of_here, 5, 15) << 1) as usize,
            left << 9 | ((coming & 255) as usize) << 1,
            (hash(of_there, 5, 15) << 1) as usize,
        ];
        let last = self.recent.last() as usize;
        let begun = self.recent.following.begun();
        let lines = [0; CONTEXTS];
        Expected { bytes, by_len, by_expected, by_place, classes, lines, last, begun }
    }

    /// Which weights: `tree` are the bits so far behind a 1, `bit` is the number of the next one from below.
    #[inline(always)]
    fn selected(&self, expected: &Expected, tree: u32, bit: u32) -> Selected {
        let (class, others) = expected.class();
        let standing = match expected.is_right(POINTERS) {
            true => 1 + (self.places[0].wrong & 7) as usize,
            false => 0,
        };
        let (bit, upper) = (bit as usize, usize::from(bit > 3));
        let following = &self.recent.following;
        let sets = match self.sort {
            Sort::Text => {
                let left = if expected.is_right(POINTERS + 1) { 1 + self.left.min(7) } else { 0 };
                [
                    expected.last | upper << 8 | class.min(3) << 9,
                    left << 6 | class.min(7) << 3 | bit,
                ]
            }
            Sort::X86_64 => {
                let state = following.state() as usize;
                let (phase, left, is_address) = (state & 15, state >> 4 & 7, state >> 8);
                let place = phase << 8 | left << 5 | class.min(7) << 2 | is_address << 1 | upper;
                [place, following.opcode() | (phase & 7) << 8]
            }
        };
        let second = following.phase() << 4 | usize::from(class > 0) << 3 | bit;
        let [third, fourth] = sets;
        let sets: [usize; SETS] =
            [(class * 4 + others) << 4 | standing, tree as usize, third, fourth];
        Selected { sets, second }
    }

    /// Codes a bit of a byte: `node` are the bits of the half so far behind a 1.
    #[inline(always)]
    fn code_bit<B: Binary>(
        &mut self,
        binary: &mut B,
        value: bool,
        expected: &mut Expected,
        (tree, node, bit): (u32, usize, u32),
    ) -> bool {
        let inputs = self.inputs(expected, node, bit);
        let selected = self.selected(expected, tree, bit);
        let weighed = self.layers.weigh(&inputs, selected);
        let [first, here] = expected.first_and_here();
        let contexts = [
            hash(here | first << 9, tree, 10),
            hash(expected.last as u32 | tree << 8, 3, 10),
            hash(expected.begun, tree, 10),
        ];
        let mut sum = squashed(weighed.output) * 16;
        let mut points = [None; 3];
        for ((refinement, context), point) in self.refinements.iter().zip(contexts).zip(&mut points)
        {
            let (refined, place) = refinement.refine(weighed.output, context as usize);
            sum += refined;
            *point = Some(place);
        }
        let value = binary.code(value, (sum >> 2).clamp(16, 65_520) as u32);
        for (refinement, point) in self.refinements.iter_mut().zip(points) {
            if let Some(point) = point {
                refinement.learn(point, value);
            }
        }
        self.layers.learn(&inputs, &weighed, value);
        self.lines.learn(&expected.lines, node, value);
        self.learn_expected(expected, bit, value);
        for byte in &mut expected.bytes {
            *byte = byte.filter(|byte| byte >> bit & 1 == u8::from(value));
        }
        value
    }

    /// What contexts say, pointers by length and by what they expect, and places; 0 for what is not expected (any more).
    #[inline(always)]
    fn inputs(&self, expected: &Expected, node: usize, bit: u32) -> [i16; INPUTS] {
        let mut inputs = [0; INPUTS];
        self.lines.inputs(&expected.lines, node, &mut inputs[..OF_CONTEXTS]);
        for i in 0..POINTERS {
            let Some(byte) = expected.bytes[i] else { continue };
            let is_set = usize::from(byte >> bit & 1);
            inputs[OF_CONTEXTS + i] = stretched(self.by_len[expected.by_len[i] | is_set]);
            inputs[OF_CONTEXTS + POINTERS + i] =
                stretched(self.by_expected[expected.by_expected[i] | is_set]);
        }
        for i in 0..PLACES {
            let Some(byte) = expected.bytes[POINTERS + i] else { continue };
            let is_set = usize::from(byte >> bit & 1);
            for j in [2 * i, 2 * i + 1] {
                inputs[OF_PLACES + j] = stretched(self.by_place[j][expected.by_place[j] | is_set]);
            }
        }
        inputs[ALWAYS] = SAME;
        inputs
    }

    /// Slots of what is expected learn a decision.
    #[inline(always)]
    fn learn_expected(&mut self, expected: &Expected, bit: u32, value: bool) {
        for i in 0..POINTERS {
            let Some(byte) = expected.bytes[i] else { continue };
            let is_set = usize::from(byte >> bit & 1);
            let slot = &mut self.by_len[expected.by_len[i] | is_set];
            *slot = moved(*slot, value, SLOW);
            let slot = &mut self.by_expected[expected.by_expected[i] | is_set];
            *slot = moved(*slot, value, FAST);
        }
        for i in 0..PLACES {
            let Some(byte) = expected.bytes[POINTERS + i] else { continue };
            let is_set = usize::from(byte >> bit & 1);
            for (j, limit) in [(2 * i, SLOW), (2 * i + 1, FAST)] {
                let slot = &mut self.by_place[j][expected.by_place[j] | is_set];
                *slot = moved(*slot, value, limit);
            }
        }
    }
}

#[cfg(all(test, feature = "encode"))]
mod tests {
    use super::super::mixed::encode_literals;
    use super::*;

    /// Instructions in turns, each with four bytes that nothing tells.
    fn code() -> Vec<u8> {
        let mut state = 88_172_645_463_325_252u64;
        let mut next = || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state
        };
        let instructions = (0..4000).flat_map(|number| {
            let opcode = [&[0xe8][..], &[0x48, 0x8b, 0x85], &[0xba]][number % 3];
            [opcode, &(next() as u32).to_le_bytes()].concat()
        });
        instructions.collect()
    }

    #[test]
    fn instructions_are_known_by_what_they_are() {
        let code = code();
        let len = |sort| encode_literals(17, sort, &[], &[&code], &[]).concat().len();
        let (first, text, instructions) =
            (len(None), len(Some(Sort::Text)), len(Some(Sort::X86_64)));
        // Of these 16,000 are the bytes of fields.
        let all = format!("{instructions} {text} {first}");
        assert!(instructions < 16_500 && text > 17_500 && first > 17_500, "{all}");
    }

    #[test]
    fn a_place_of_the_dictionary_is_kept_inside() {
        let mut model = LayeredModel::new(Sort::Text, vec![7; 300], 16);
        for (place, len, end, places) in [
            (Some(299), 4, Some(299), [299, 295]),
            (Some(300), 4, Some(3), [0, 0]),
            (None, usize::MAX, None, [0, 0]),
        ] {
            model.stand(Stand { place, len, end });
            assert_eq!(model.places.map(|place| place.at), places);
        }
    }
}
