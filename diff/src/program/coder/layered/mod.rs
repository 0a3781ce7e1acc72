//! Literals by context mixing in two layers: slower and smaller than the first model of literals.
//!
//! What differs from that: contexts know the sort of bytes, instructions of x86-64 above all; each has what came of
//! its decisions and what came of like histories; four sets of weights say something that a second layer
//! weighs; and what follows the literals in the base is expected at their end (docs/delta-format.md, "Literals in layers").

mod contexts;
mod expected;
pub(super) mod instruction;
mod lines;

use super::binary::Binary;
use super::blocks::{BLOCK, Blocks};
use super::layers::{Layers, Selected, Shape};
use super::mixing::{hash, squashed};
use super::pair::Refinement;
use super::pointers::{POINTERS, Pointers};
use contexts::Recent;
pub(crate) use contexts::Sort;
use expected::{Expected, NONE, PLACES, Place, Slots};
use lines::{Half, Lines};

/// Contexts of bytes.
const CONTEXTS: usize = 12;
/// Inputs of a decision, and sets of weights.
const INPUTS: usize = 40;
const SETS: usize = 4;
const SHAPE: Shape<SETS> = Shape {
    sizes: [1024, 256, 4096, 2048],
    first: 1 << 11,
    second: 65_536 / 3,
    first_rate: 6,
    second_rate: 3,
};
/// Inputs of these, from their slots and from histories; then those of what is expected, and one that is always the same.
const OF_CONTEXTS: usize = 2 * CONTEXTS;
const ALWAYS: usize = OF_CONTEXTS + 2 * POINTERS + 2 * PLACES;
const SAME: i16 = 256;
const REFINED: usize = 1 << 10;
/// Spreads two numbers over 32 bits, the low ones too.
#[inline(always)]
pub(super) fn spread(a: u32, b: u32) -> u32 {
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

/// The model; it lives on from piece to piece.
#[derive(Debug, Clone)]
pub(super) struct LayeredModel {
    sort: Sort,
    /// The dictionary and the literals so far.
    history: Vec<u8>,
    dictionary_len: usize,
    /// Bytes that the history may have.
    most: usize,
    recent: Recent,
    pointers: Pointers,
    /// Where the literals stand, and where they come to.
    places: [Place; PLACES],
    /// Literals since the last place was told, and those that are left.
    since: usize,
    left: usize,
    /// The blocks of the dictionary that were learned.
    learned: Blocks,
    lines: Lines,
    slots: Slots,
    layers: Layers<INPUTS, SETS>,
    refinements: [Refinement<REFINED>; 3],
}

impl LayeredModel {
    /// Bytes of memory beside history and pointers, the blocks of the largest dictionary among them.
    pub(super) const MEMORY: u64 = Slots::MEMORY
        + Blocks::MEMORY
        + SHAPE.memory(INPUTS)
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
            dictionary_len,
            most,
            recent: Recent::new(sort),
            places: [Place::default(); PLACES],
            since: 0,
            left: 0,
            learned: Blocks::default().again(dictionary_len),
            lines: lines.again(),
            slots: Slots::new(),
            layers: Layers::new(SHAPE),
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
        for block in self.learned.about(place, self.dictionary_len) {
            let Some(start) = self.learned.take(block) else { continue };
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
        let told = (self.since, self.left);
        let mut expected =
            Expected::new(&self.pointers, &self.history, &self.places, told, &self.recent);
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

    /// Which weights: `tree` are the bits so far behind a 1, `bit` is the number of the next one from below.
    #[inline(always)]
    fn selected(&self, expected: &Expected, tree: u32, bit: u32) -> Selected<SETS> {
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
        self.slots.learn(expected, bit, value);
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
        self.slots.inputs(expected, bit, &mut inputs[OF_CONTEXTS..ALWAYS]);
        inputs[ALWAYS] = SAME;
        inputs
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
