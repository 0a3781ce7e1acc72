//! Literals by context mixing, with content of a base as dictionary.
//!
//! A byte follows from the bytes before it, as in the literals so far and in what the dictionary has near the place
//! that the literals stand in for; from what followed the same bytes elsewhere; from what the base has at that place, and before what
//! follows the literals. What contexts remember are histories; sets of weights say something that a second layer weighs
//! (docs/delta-format.md, "Literals by mixing"). Of each sort of bytes the contexts are others, instructions of x86-64 above all.

mod blocks;
mod expected;
mod histories;
mod lines;
mod pointers;
mod sorts;
mod text;
mod x86_64;

use std::array::from_fn;

use super::binary::Binary;
use super::layers::{Layers, SelectedWeights};
use super::mixing::{hash, spread};
use super::refinement::Refinement;
use super::squash::squashed;
use blocks::{BLOCK, Blocks};
use expected::{Expected, ExpectedSlots, PLACES, Place};
use lines::{Half, Lines, Taken};
use pointers::POINTERS;
pub(super) use pointers::Pointers;
pub(crate) use sorts::Sort;
use sorts::{Bytes, OfBit};

/// Inputs beside those of contexts: of pointers, of places, and one that is always the same.
const OF_EXPECTED: usize = 2 * POINTERS + 2 * PLACES;
const SAME: i16 = 256;
const REFINED: usize = 1 << 10;

/// The models of each sort.
pub(super) type TextModel = LiteralModel<text::Text, { text::CONTEXTS }, 32, { text::SETS }>;
pub(super) type CodeModel =
    LiteralModel<x86_64::Instructions, { x86_64::CONTEXTS }, 40, { x86_64::SETS }>;

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
pub(super) struct LiteralModel<B, const CONTEXTS: usize, const INPUTS: usize, const SETS: usize> {
    /// The dictionary and the literals so far, and the most of both.
    history: Vec<u8>,
    most: usize,
    dictionary_len: usize,
    recent: B,
    pointers: Pointers,
    /// Where the literals stand, and where they come to.
    places: [Place; PLACES],
    /// Literals since the last place was told, and those that are left.
    since: usize,
    left: usize,
    /// The blocks of the dictionary that were learned.
    learned: Blocks,
    lines: Lines<CONTEXTS>,
    slots: ExpectedSlots,
    layers: Layers<INPUTS, SETS>,
    refinements: [Refinement<REFINED>; 3],
}

impl<B, const CONTEXTS: usize, const INPUTS: usize, const SETS: usize>
    LiteralModel<B, CONTEXTS, INPUTS, SETS>
where
    B: Bytes<CONTEXTS, SETS>,
{
    /// Where inputs of contexts end, two of each, and where those of what is expected do.
    const EXPECTED: usize = 2 * CONTEXTS;
    const ALWAYS: usize = Self::EXPECTED + OF_EXPECTED;

    /// Bytes of memory beside history and pointers, the blocks of the largest dictionary among them.
    pub(super) const MEMORY: u64 = ExpectedSlots::MEMORY
        + Blocks::MEMORY
        + B::SHAPE.memory(INPUTS)
        + Lines::<CONTEXTS>::MEMORY
        + 3 * Refinement::<REFINED>::MEMORY;

    /// A model with a dictionary, for at most so many literals.
    pub(super) fn new(dictionary: Vec<u8>, literals: usize) -> Self {
        let empty = Self {
            history: Vec::new(),
            most: 0,
            dictionary_len: 0,
            recent: B::default(),
            pointers: Pointers::default(),
            places: [Place::default(); PLACES],
            since: 0,
            left: 0,
            learned: Blocks::default(),
            lines: Lines::default(),
            slots: ExpectedSlots::default(),
            layers: Layers::new(B::SHAPE),
            refinements: Default::default(),
        };
        empty.again(dictionary, literals)
    }

    /// Forgets everything, and begins with this dictionary.
    pub(super) fn again(self, dictionary: Vec<u8>, literals: usize) -> Self {
        const { assert!(Self::ALWAYS < INPUTS && INPUTS.is_multiple_of(8)) };
        // The former history goes before the new one takes its room.
        drop(self.history);
        let (dictionary_len, most) = (dictionary.len(), dictionary.len() + literals);
        let mut history = dictionary;
        history.shrink_to(most);
        history.reserve_exact(literals);
        Self {
            pointers: self.pointers.again(&history, most as u64),
            history,
            most,
            dictionary_len,
            recent: B::default(),
            places: [Place::default(); PLACES],
            since: 0,
            left: 0,
            learned: self.learned.again(dictionary_len),
            lines: self.lines.again(),
            slots: self.slots.again(),
            layers: self.layers.again(),
            refinements: self.refinements.map(Refinement::again),
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
            self.recent = B::before(&self.history, at);
            self.pointers.reset();
            self.learn_about(at);
        }
    }

    /// Learns the blocks of the dictionary about a place that were not learned yet.
    fn learn_about(&mut self, place: usize) {
        for block in self.learned.about(place, self.dictionary_len) {
            let Some(start) = self.learned.take(block) else { continue };
            let mut recent = B::before(&self.history, start);
            let mut contexts = [[0; BLOCK]; CONTEXTS];
            let Some(bytes) = self.history.get(start..start + BLOCK) else { return };
            for (at, &byte) in bytes.iter().enumerate() {
                for (row, context) in contexts.iter_mut().zip(recent.contexts()) {
                    row[at] = context;
                }
                recent.push(byte);
            }
            for (number, contexts) in contexts.iter().take(CONTEXTS - 1).enumerate() {
                self.lines.learn_bytes(number, bytes, contexts);
            }
        }
    }

    /// Codes one byte; there must be room for it.
    pub(super) fn code(&mut self, binary: &mut impl Binary, value: u8) -> u8 {
        // What does not wait for what is expected comes into the cache first.
        let mut contexts = self.recent.contexts();
        let halves = |contexts: &[u32; CONTEXTS], before| -> [Half; CONTEXTS] {
            from_fn(|number| Lines::<CONTEXTS>::half(number, contexts[number], before))
        };
        self.lines.touch(&halves(&contexts, 0));
        let last16 = self.recent.last16();
        self.pointers.look(&self.history, last16);
        let (told, before) = ((self.since, self.left), (last16 as u8, self.recent.phase()));
        let mut expected = Expected::new(&self.pointers, &self.history, &self.places, told, before);
        let [first, here] = expected.first_and_here();
        contexts[CONTEXTS - 1] = spread(first | here << 9, 0);
        let places = expected.of_places();
        let mut tree = 1;
        for half in 0..2 {
            let before = if half == 0 { 0 } else { tree };
            let mut taken = self.lines.take(&halves(&contexts, before));
            let mut node = 1;
            for bit in (0..4).rev() {
                let bit = bit + 4 - 4 * half;
                let is_set = value >> bit & 1 == 1;
                let place = (tree, node, bit);
                let is_set = self.code_bit(binary, is_set, (&mut expected, &mut taken), place);
                tree = tree << 1 | u32::from(is_set);
                node = node << 1 | usize::from(is_set);
            }
            self.lines.put(&taken);
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
    fn selected(&self, expected: &Expected, tree: u32, bit: u32) -> SelectedWeights<SETS> {
        let (class, others) = expected.class();
        let standing = match expected.is_right(POINTERS) {
            true => 1 + (self.places[0].wrong & 7) as usize,
            false => 0,
        };
        let of = OfBit { class, others, standing, tree: tree as usize, upper: bit > 3 };
        let second = self.recent.phase() << 4 | usize::from(class > 0) << 3 | bit as usize;
        SelectedWeights { sets: self.recent.sets(&of), second }
    }

    /// Codes a bit of a byte: `node` are the bits of the half so far behind a 1.
    #[inline(always)]
    fn code_bit(
        &mut self,
        binary: &mut impl Binary,
        value: bool,
        (expected, taken): (&mut Expected, &mut Taken<CONTEXTS>),
        (tree, node, bit): (u32, usize, u32),
    ) -> bool {
        let inputs = self.inputs(expected, taken, node, bit);
        let selected = self.selected(expected, tree, bit);
        let weighed = self.layers.weigh(&inputs, selected);
        let [first, here] = expected.first_and_here();
        let contexts = [
            hash(here | first << 9, tree, 10),
            hash(expected.last | tree << 8, 3, 10),
            hash(self.recent.begun(), tree, 10),
        ];
        let refined: [_; 3] =
            from_fn(|i| self.refinements[i].refine(weighed.output, contexts[i] as usize));
        let sum =
            squashed(weighed.output) * 16 + refined.iter().map(|refined| refined.0).sum::<i32>();
        let value = binary.code(value, (sum >> 2).clamp(16, 65_520) as u32);
        for (refinement, (_, point)) in self.refinements.iter_mut().zip(refined) {
            refinement.learn(point, value);
        }
        self.layers.learn(&inputs, &weighed, value);
        self.lines.learn(taken, node, value);
        self.slots.learn(expected, bit, value);
        expected.pass(bit, value);
        value
    }

    /// What contexts say, pointers by length and by what they expect, and places; 0 for what is not expected (any more).
    #[inline(always)]
    fn inputs(
        &self,
        expected: &Expected,
        taken: &Taken<CONTEXTS>,
        node: usize,
        bit: u32,
    ) -> [i16; INPUTS] {
        let mut inputs = [0; INPUTS];
        self.lines.inputs(taken, node, &mut inputs[..Self::EXPECTED]);
        self.slots.inputs(expected, bit, &mut inputs[Self::EXPECTED..Self::ALWAYS]);
        inputs[Self::ALWAYS] = SAME;
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
        let (text, instructions) = (len(Sort::Text), len(Sort::X86_64));
        // Of these 16,000 are the bytes of fields.
        assert!(instructions < 16_500 && text > 17_500, "{instructions} {text}");
    }

    #[test]
    fn a_place_of_the_dictionary_is_kept_inside() {
        let mut model = TextModel::new(vec![7; 300], 16);
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
