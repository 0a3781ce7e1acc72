//! The decisions of corrections by mixing in two layers, which knows instructions of x86-64
//! (docs/delta-format.md, "Corrections in layers").

use super::super::binary::Binary;
use super::super::instruction::Following;
use super::super::layers::{Layers, LayersShape, SelectedWeights};
use super::super::mixing::{HALF, spread};
use super::super::outcomes::Outcomes;
use super::super::refinement::Refinement;
use super::super::squash::{squashed, stretched};
use super::super::table;
use super::decisions::{Decisions, OfBlock, OfByte, OfGroup};
use super::differences::{self, CLASSES};
use super::slots::{NEW, after, history};

/// Slots of one context, as a power of two: of decisions, and of differences.
const BITS: u32 = 16;
const DIFFERENCE_BITS: u32 = 17;
const REFINED: usize = 1 << 10;

/// Weights of `N` contexts at first, and how fast they learn.
const fn shape<const SETS: usize>(contexts: usize, sizes: [usize; SETS]) -> LayersShape<SETS> {
    let first = ((1 << 14) * 3 / 4 / contexts) as i16;
    LayersShape { sizes, first, second: 65_536 / SETS as i32, first_rate: 8, second_rate: 2 }
}

const BLOCKS: LayersShape<2> = shape(7, [64, 256]);
const GROUPS: LayersShape<2> = shape(8, [128, 256]);
const BYTES: LayersShape<3> = shape(9, [256, 1024, 4096]);
const DIFFERENCES: LayersShape<3> = shape(10, [4096, 2048, 2048]);

/// Weighs decisions of one kind by `N` contexts, which give `INPUTS` inputs.
#[derive(Debug, Clone)]
struct Weighing<const N: usize, const INPUTS: usize, const SETS: usize> {
    bits: u32,
    slots: Vec<u32>,
    /// What came of each history of slots.
    outcomes: Outcomes<N>,
    layers: Layers<INPUTS, SETS>,
    refinement: Refinement<REFINED>,
}

/// What selects weights, and the last correction.
struct Selection<const SETS: usize> {
    sets: [u32; SETS],
    second: u32,
    refined: u32,
}

impl<const N: usize, const INPUTS: usize, const SETS: usize> Weighing<N, INPUTS, SETS> {
    const fn memory(bits: u32, shape: &LayersShape<SETS>) -> u64 {
        ((N as u64) << bits) * 4
            + Outcomes::<N>::MEMORY
            + shape.memory(INPUTS)
            + Refinement::<REFINED>::MEMORY
    }

    fn new(bits: u32, shape: LayersShape<SETS>) -> Self {
        const { assert!(2 * N <= INPUTS) };
        Self {
            bits,
            slots: vec![NEW; N << bits],
            outcomes: Outcomes::new(&[HALF; 256]),
            layers: Layers::new(shape),
            refinement: Refinement::default(),
        }
    }

    /// Forgets everything.
    fn again(self) -> Self {
        Self {
            bits: self.bits,
            slots: table(self.slots, N << self.bits, NEW),
            outcomes: Outcomes::new(&[HALF; 256]),
            layers: self.layers.again(),
            refinement: self.refinement.again(),
        }
    }

    /// Codes one decision; of contexts and what is selected the low bits count.
    #[inline(always)]
    fn code<B: Binary>(
        &mut self,
        binary: &mut B,
        value: bool,
        contexts: &[u32; N],
        selection: Selection<SETS>,
    ) -> bool {
        let mut places = [0; N];
        let mut inputs = [0i16; INPUTS];
        for number in 0..N {
            let place = contexts[number] as usize & ((1 << self.bits) - 1);
            places[number] = number << self.bits | place;
            let slot = self.slots[places[number]];
            inputs[number] = stretched(slot);
            inputs[N + number] = stretched(self.outcomes.of(number, history(slot)));
        }
        let Selection { sets, second, refined } = selection;
        let sets = sets.map(|set| set as usize);
        let weighed = self.layers.weigh(&inputs, SelectedWeights { sets, second: second as usize });
        let (corrected, point) = self.refinement.refine(weighed.output, refined as usize);
        let probability = (squashed(weighed.output) * 16 + 3 * corrected) >> 2;
        let value = binary.code(value, probability.clamp(16, 65_520) as u32);
        self.refinement.learn(point, value);
        self.layers.learn(&inputs, &weighed, value);
        for (number, place) in places.into_iter().enumerate() {
            let slot = &mut self.slots[place];
            self.outcomes.learn(number, history(*slot), value);
            *slot = after(*slot, value);
        }
        value
    }
}

/// Decisions in layers.
#[derive(Debug, Clone)]
pub(in super::super) struct InLayers {
    blocks: Weighing<7, 16, 2>,
    groups: Weighing<8, 16, 2>,
    bytes: Weighing<9, 24, 3>,
    differences: Weighing<10, 24, 3>,
    following: Following,
    /// The last difference of each class.
    last: Box<[u8; CLASSES]>,
    /// Differences of the present field so far.
    field: u32,
}

/// Contexts of their numbers.
#[inline(always)]
fn hashed<const N: usize>(numbers: [(u32, u32); N]) -> [u32; N] {
    numbers.map(|(a, b)| spread(a, b))
}

impl InLayers {
    /// The class of a byte; for one without, the phase of its instruction and whether it belongs to an address.
    fn class(&self, class: u32) -> u32 {
        let state = self.following.state();
        if class == 0 { state & 15 | state >> 8 << 4 } else { class }
    }

    /// The opcode of the instruction, and the state in it.
    fn place(&self) -> u32 {
        self.following.state() | (self.following.opcode() as u32) << 12
    }
}

impl Decisions for InLayers {
    const MEMORY: u64 = Weighing::<7, 16, 2>::memory(BITS, &BLOCKS)
        + Weighing::<8, 16, 2>::memory(BITS, &GROUPS)
        + Weighing::<9, 24, 3>::memory(BITS, &BYTES)
        + Weighing::<10, 24, 3>::memory(DIFFERENCE_BITS, &DIFFERENCES)
        + CLASSES as u64;

    fn new() -> Self {
        Self {
            blocks: Weighing::new(BITS, BLOCKS),
            groups: Weighing::new(BITS, GROUPS),
            bytes: Weighing::new(BITS, BYTES),
            differences: Weighing::new(DIFFERENCE_BITS, DIFFERENCES),
            following: Following::default(),
            last: Box::new([0; CLASSES]),
            field: 0,
        }
    }

    fn again(self) -> Self {
        Self {
            blocks: self.blocks.again(),
            groups: self.groups.again(),
            bytes: self.bytes.again(),
            differences: self.differences.again(),
            following: Following::default(),
            last: Box::new([0; CLASSES]),
            field: 0,
        }
    }

    fn block<B: Binary>(&mut self, binary: &mut B, value: bool, of: &OfBlock) -> bool {
        let OfBlock { past, fold, since, marked, zeros, first, .. } = *of;
        let [a, b, c, d] = hashed(of.contexts());
        let [e, f, g] = hashed([(past & 63, marked | zeros << 8), (first, 5), (fold, since)]);
        let selection = Selection {
            sets: [of.weights(), past],
            second: marked.min(15) | (past & 7) << 4,
            refined: past & 255,
        };
        self.blocks.code(binary, value, &[a, b, c, d, e, f, g], selection)
    }

    fn group<B: Binary>(&mut self, binary: &mut B, value: bool, of: &OfGroup) -> bool {
        let OfGroup { past, place, any, fold, first, .. } = *of;
        let (state, phase) = (self.place(), self.following.phase() as u32);
        let [a, b, c, d, e] = hashed(of.contexts());
        let [f, g, h] = hashed([(state, first & 0xffff), (fold, past & 255), (state, fold)]);
        let selection = Selection {
            sets: [of.weights(), phase << 4 | past & 15],
            second: place | any << 2 | (past & 7) << 3,
            refined: past & 255,
        };
        self.groups.code(binary, value, &[a, b, c, d, e, f, g, h], selection)
    }

    fn byte<B: Binary>(&mut self, binary: &mut B, value: bool, of: &OfByte) -> bool {
        let OfByte { past, class, byte, any, last: [d1, ..], .. } = *of;
        let (state, phase) = (self.place(), self.following.phase() as u32);
        let [a, b, c, d, e, f] = hashed(of.contexts());
        let [g, h, i] = hashed([
            (self.following.with_last(), past & 3),
            (state, self.following.operands() | byte << 8 | (past & 3) << 16),
            (byte, d1 | class << 8 | (past & 7) << 16),
        ]);
        let selection = Selection {
            sets: [
                of.weights(),
                self.class(class) | (past & 3) << 8,
                phase << 8 | self.following.opcode() as u32,
            ],
            second: any | (past & 7) << 1 | phase << 4,
            refined: past & 255 | u32::from(class > 0) << 8 | any << 9,
        };
        self.bytes.code(binary, value, &[a, b, c, d, e, f, g, h, i], selection)
    }

    fn difference<B: Binary>(&mut self, binary: &mut B, value: u8, of: &OfByte) -> u8 {
        let (class, byte) = (of.class, of.byte);
        let own = self.last[class as usize % CLASSES];
        let [a, b, c, d, e, f, g] = hashed(differences::contexts(of, own));
        let state = self.place() | self.following.operands() << 20;
        let [h, i] = hashed([(state, byte | 8 << 8), (spread(self.field, class), 9)]);
        let contexts = [a, b, c, d, e, f, g, 7, h, i];
        let (set, class_of) = (differences::weights(of), self.class(class));
        let phase = self.following.phase() as u32 & 7;
        let mut tree = 1;
        for bit in (0..8).rev() {
            let mut of_bits = [0; 10];
            for ((of_bits, context), number) in of_bits.iter_mut().zip(contexts).zip(0..) {
                *of_bits = spread(context, tree | number << 16);
            }
            let selection = Selection {
                sets: [set << 8 | tree, class_of & 255 | bit << 8, phase << 8 | tree],
                second: class_of.min(63) | (bit & 3) << 6,
                refined: tree | u32::from(class > 0) << 8,
            };
            let is_set = value >> bit & 1 == 1;
            let is_set = self.differences.code(binary, is_set, &of_bits, selection);
            tree = tree << 1 | u32::from(is_set);
        }
        let difference = tree as u8;
        self.last[class as usize % CLASSES] = difference;
        difference
    }

    fn pass(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|&byte| self.following.push(byte));
    }

    fn pass_one(&mut self, byte: u8, class: u32, difference: u8) {
        self.following.push(byte);
        if class & 7 == 1 {
            self.field = 0;
        }
        self.field = if class > 0 { self.field << 8 | u32::from(difference) } else { 0 };
    }
}
