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
use super::slots::{NEW, after, history};
use super::{Decisions, OfBlock, OfByte, OfGroup};

/// Slots of one context, as a power of two: of decisions, and of differences.
const BITS: u32 = 16;
const DIFFERENCE_BITS: u32 = 17;
/// Classes of predicted bytes.
const CLASSES: usize = 256;
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
        let OfBlock { past, fold, since, marked, zeros, text, len, first } = *of;
        let contexts = [
            spread(past & 0xffff, 0),
            spread(fold, 1 | (past & 3) << 8),
            spread(since | marked << 8 | (past & 3) << 16, 2),
            spread(zeros >> 2 | text >> 2 << 4 | (past & 7) << 8 | len << 16, 3),
            spread(past & 63, marked | zeros << 8),
            spread(first, 5),
            spread(fold, since),
        ];
        let selection = Selection {
            sets: [past & 7 | marked.min(7) << 3, past],
            second: marked.min(15) | (past & 7) << 4,
            refined: past & 255,
        };
        self.blocks.code(binary, value, &contexts, selection)
    }

    fn group<B: Binary>(&mut self, binary: &mut B, value: bool, of: &OfGroup) -> bool {
        let OfGroup { past, place, any, fold, first, second, plain, right_bytes } = *of;
        let (state, phase) = (self.place(), self.following.phase() as u32);
        let contexts = [
            spread(past & 0xffff, 0),
            spread(fold, 1 | (past & 3) << 8 | place << 16),
            spread(first, second),
            spread(first & 0xff_ffff, 3 | (past & 1) << 8),
            spread(past & 15 | plain << 8 | right_bytes.min(63) << 12, 4),
            spread(state, first & 0xffff),
            spread(fold, past & 255),
            spread(state, fold),
        ];
        let selection = Selection {
            sets: [past & 15 | place << 4 | any << 6, phase << 4 | past & 15],
            second: place | any << 2 | (past & 7) << 3,
            refined: past & 255,
        };
        self.groups.code(binary, value, &contexts, selection)
    }

    fn byte<B: Binary>(&mut self, binary: &mut B, value: bool, of: &OfByte) -> bool {
        let OfByte { past, class, position, byte, given, any, right_bytes, .. } = *of;
        let ([before, _], [next, second], [d1, ..]) = (of.before, of.behind, of.last);
        let (state, phase) = (self.place(), self.following.phase() as u32);
        let contexts = [
            spread(byte | before << 8, past & 1 | class << 8),
            spread(past & 0xffff, 1),
            spread(past & 15 | d1 << 4 | (position & 3) << 12 | class << 16, 2),
            spread(right_bytes.min(15) | any << 4 | byte >> 4 << 8 | next << 16, 3),
            spread(before | byte << 8 | next << 16 | given << 24, second << 2 | past & 3),
            spread(past & 255 | position << 8 | class << 16, 5),
            spread(self.following.with_last(), past & 3),
            spread(state, self.following.operands() | byte << 8 | (past & 3) << 16),
            spread(byte, d1 | class << 8 | (past & 7) << 16),
        ];
        let selection = Selection {
            sets: [
                past & 15 | position << 4 | any << 7,
                self.class(class) | (past & 3) << 8,
                phase << 8 | self.following.opcode() as u32,
            ],
            second: any | (past & 7) << 1 | phase << 4,
            refined: past & 255 | u32::from(class > 0) << 8 | any << 9,
        };
        self.bytes.code(binary, value, &contexts, selection)
    }

    fn difference<B: Binary>(&mut self, binary: &mut B, value: u8, of: &OfByte) -> u8 {
        let OfByte { class, position, byte, given, last: [d1, d2, _, d4], .. } = *of;
        let ([before, _], [next, after]) = (of.before, of.behind);
        let (near, right_bytes) = (of.past & 7, of.right_bytes.min(15));
        let own = u32::from(self.last[class as usize % CLASSES]);
        let follows = if near & 1 == 1 { d1 | 1 << 8 } else { 0 };
        let state = self.place() | self.following.operands() << 20;
        let contexts = [
            spread(d1, near | class << 8),
            spread(byte | next << 8 | after << 16, 1 | near << 8),
            spread(given | before << 8 | byte << 16, 2 | (near & 1) << 8),
            spread(d4 | right_bytes << 8 | d2 << 16, 3),
            spread(own | class << 8 | (near & 1) << 16, 4),
            spread(byte | class << 8 | follows << 16, 5),
            spread(class | position << 8 | near << 16, 6),
            7,
            spread(state, byte | 8 << 8),
            spread(spread(self.field, class), 9),
        ];
        let (set, class_of) = (super::differences::weights(class, near) as u32, self.class(class));
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
