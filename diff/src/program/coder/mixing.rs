//! Context mixing: several predictions of one decision are weighed into one, and all learn from it.
//!
//! The way of PAQ (M. Mahoney, "Adaptive Weighing of Context Models for Lossless Data Compression",
//! 2005) in integers: each context has an adaptive probability; these are stretched, ln(p / (1 − p)), added
//! with weights that a small context selects, and squashed again; a last table corrects what comes out. Every constant here
//! is part of the format (docs/delta-format.md, "Mixing").

use super::binary::Binary;
use super::refinement::Refinement;
use super::squash::{squashed, stretched};
use super::table;

/// A probability of a half with no experience: 22 bits of probability, 10 of count.
pub(super) const HALF: u32 = 1 << 31;
/// Decisions after which a probability learns no more slowly.
const LIMIT: u32 = 22;
/// The most that such a limit may be.
const MOST: usize = 255;
/// How fast weights learn.
const RATE: i16 = 14;
/// Weights of 1.
const ONE: i32 = 1 << 14;

/// Of each count what [`step`] says.
static STEPS: [u32; MOST + 1] = {
    let mut table = [0; MOST + 1];
    let mut count = 0;
    while count < table.len() {
        table[count] = 131_072 / (2 * count as u32 + 3);
        count += 1;
    }
    table
};

/// By how much of 65536 a probability moves after so many decisions, at most 255: about 1 / (count + 1.5).
#[inline(always)]
pub(super) fn step(count: u32) -> u32 {
    STEPS[count as usize & MOST]
}

/// A slot after a decision; its count grows up to `limit`, at most 255.
#[inline(always)]
pub(super) fn moved(slot: u32, value: bool, limit: u32) -> u32 {
    let (before, count) = (i64::from(slot >> 10), (slot & 1023).min(limit));
    let goal = if value { (1i64 << 22) - 1 } else { 0 };
    let after = before + (((goal - before) * i64::from(step(count))) >> 16);
    (after as u32) << 10 | (count + u32::from(count < limit))
}

/// Some slots after a decision, like [`moved`]. Without branches, so that it is done side by side.
#[inline(always)]
fn moved_all<const N: usize>(slots: &[u32; N], value: bool, limit: u32) -> [u32; N] {
    let counts = slots.map(|slot| (slot & 1023).min(limit));
    let steps = counts.map(step);
    // A slot moves by a part of the way that is left to the goal; from above 0 like from below 1.
    let flip = u32::from(value).wrapping_neg();
    let up = u64::from(!flip & 0xffff);
    let mut moved = [0u32; N];
    for i in 0..N {
        let way = (slots[i] ^ flip) >> 10;
        let part = ((u64::from(way) * u64::from(steps[i]) + up) >> 16) as u32;
        let left = way.wrapping_sub(part) << 10;
        moved[i] = ((left ^ flip) & !1023) | (counts[i] + u32::from(counts[i] < limit));
    }
    moved
}

/// Spreads two numbers over `bits` bits.
#[inline]
pub(super) fn hash(a: u32, b: u32, bits: u32) -> u32 {
    let mixed = a.wrapping_mul(0x9e37_79b1) ^ b.wrapping_mul(0x85eb_ca6b);
    mixed.wrapping_mul(0xc2b2_ae35) >> (32 - bits)
}

/// Spreads two numbers over 32 bits, the low ones too.
#[inline(always)]
pub(super) fn spread(a: u32, b: u32) -> u32 {
    let hash = hash(a, b, 32);
    hash ^ hash >> 16
}

/// Corrections of a mixer.
const CORRECTIONS: usize = 256;
/// Inputs that are weighed side by side: contexts of a decision, and zeros behind them.
const LANES: usize = 8;

/// The probabilities of one context; 16 that belong together are one line of the cache.
#[derive(Debug, Clone)]
#[repr(align(64))]
struct Slots<const SIZE: usize>([u32; SIZE]);

/// Predicts one kind of decision from `N` contexts (at most 8), each with `SIZE` probabilities, and `WEIGHTS` sets of weights; both
/// are powers of two. Sizes are known when it is compiled, so that the inner loop checks no bounds.
#[derive(Debug, Clone, Default)]
pub(super) struct Mixer<const N: usize, const SIZE: usize, const WEIGHTS: usize> {
    slots: Vec<Slots<SIZE>>,
    weights: Vec<[i16; LANES]>,
    refinement: Refinement<CORRECTIONS>,
}

/// What selects the weights and the last correction of a decision.
#[derive(Debug, Clone, Copy)]
pub(super) struct Selected {
    pub(super) weights: usize,
    pub(super) correction: usize,
}

impl<const N: usize, const SIZE: usize, const WEIGHTS: usize> Mixer<N, SIZE, WEIGHTS> {
    /// Bits of a context.
    const BITS: u32 = SIZE.trailing_zeros();
    /// Bytes of memory.
    pub(super) const MEMORY: u64 =
        (N * SIZE * 4 + WEIGHTS * LANES * 2) as u64 + Refinement::<CORRECTIONS>::MEMORY;

    /// A mixer without experience.
    pub(super) fn new() -> Self {
        Self::default().again()
    }

    /// Forgets what it learned.
    pub(super) fn again(self) -> Self {
        const { assert!(SIZE.is_power_of_two() && WEIGHTS.is_power_of_two() && N <= LANES) };
        Self {
            slots: table(self.slots, N, Slots([HALF; SIZE])),
            weights: table(self.weights, WEIGHTS, [(ONE * 3 / 2 / N as i32) as i16; LANES]),
            refinement: self.refinement.again(),
        }
    }

    /// Codes one decision. Of the contexts the low bits count.
    #[inline(always)]
    pub(super) fn code<B: Binary>(
        &mut self,
        binary: &mut B,
        value: bool,
        contexts: &[u32; N],
        selected: Selected,
    ) -> bool {
        let (Some(slots), Some(weights)) =
            (self.slots.first_chunk_mut::<N>(), self.weights.first_chunk_mut::<WEIGHTS>())
        else {
            return value;
        };
        let weights = &mut weights[selected.weights % WEIGHTS];
        let mut old = [0u32; LANES];
        let mut inputs = [0i16; LANES];
        for i in 0..N {
            old[i] = slots[i].0[contexts[i] as usize % SIZE];
            inputs[i] = stretched(old[i]);
        }
        let mut dot = 0i32;
        for i in 0..LANES {
            dot += i32::from(inputs[i]) * i32::from(weights[i]);
        }
        let output = (dot >> 14).clamp(-2047, 2047);
        let probability = squashed(output);
        let (corrected, point) = self.refinement.refine(output, selected.correction);
        let of_both = (probability + (corrected >> 4) * 3) * 4;
        let value = binary.code(value, of_both.clamp(16, 65_520) as u32);

        self.refinement.learn(point, value);
        // Both factors have 16 bits.
        let error = (i32::from(value) << 12) - probability;
        for i in 0..LANES {
            let way = i32::from(inputs[i] * RATE) * i32::from(error as i16);
            weights[i] = weights[i].saturating_add(((way + 0x8000) >> 16) as i16);
        }
        let new = moved_all(&old, value, LIMIT);
        for i in 0..N {
            slots[i].0[contexts[i] as usize % SIZE] = new[i];
        }
        value
    }

    /// Codes a byte, its high half first. The contexts are hashes of 32 bits; each selects 16 probabilities that lie together.
    #[inline]
    pub(super) fn code_byte<B: Binary>(
        &mut self,
        binary: &mut B,
        value: u8,
        contexts: &[u32; N],
        selected: usize,
    ) -> u8 {
        let mut tree = 1u32;
        for half in 0..2 {
            let before = if half == 0 { 0 } else { tree };
            let mut lines = [0; N];
            for i in 0..N {
                lines[i] = hash(contexts[i], before, Self::BITS - 4) << 4;
            }
            let mut node = 1u32;
            for bit in (0..4).rev() {
                let mut at = lines;
                for at in &mut at {
                    *at |= node;
                }
                let is_set = value >> (bit + 4 - 4 * half) & 1 == 1;
                let correction = tree as usize;
                let weights = correction | selected << 8;
                let is_set = self.code(binary, is_set, &at, Selected { weights, correction });
                tree = tree << 1 | u32::from(is_set);
                node = node << 1 | u32::from(is_set);
            }
        }
        tree as u8
    }
}

#[cfg(all(test, feature = "encode"))]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::super::binary::{Reader, Reading, Writer};
    use super::*;

    #[test]
    fn slots_move_together_as_one_by_one() {
        let mut state = 1u32;
        for limit in [22, 60, 127, 255] {
            let mut slots = [HALF; 4];
            for turn in 0..20_000u32 {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                // Long runs of the same, so that the ends are reached.
                let value =
                    if turn >> 10 & 1 == 1 { state >> 30 == 0 } else { turn >> 11 & 1 == 1 };
                let one_by_one = slots.map(|slot| moved(slot, value, limit));
                slots = moved_all(&slots, value, limit);
                assert_eq!(slots, one_by_one, "{limit} {turn}");
                if turn % 700 == 0 {
                    slots[turn as usize % 4] = state | 1;
                }
            }
        }
    }

    #[test]
    fn repetition_becomes_cheap_and_comes_back() {
        let bytes: Vec<u8> = (0..4000).map(|i| b"abcdabce"[i % 8]).collect();
        let context = |bytes: &[u8], i: usize| {
            let byte = |back: usize| i.checked_sub(back).map_or(0, |at| u32::from(bytes[at]));
            [byte(1), byte(1) | byte(2) << 8 | byte(3) << 16, 7, 9]
        };
        let mut writer = Writer::new();
        let mut mixer = Mixer::<4, 4096, 256>::new();
        for i in 0..bytes.len() {
            mixer.code_byte(&mut writer, bytes[i], &context(&bytes, i), 0);
        }
        let coded = writer.finish();
        assert!(coded.len() < 300, "{}", coded.len());
        let mut reading = Reading::new(&coded);
        let mut mixer = Mixer::<4, 4096, 256>::new();
        let mut back = Vec::new();
        for i in 0..bytes.len() {
            let mut reader = Reader { reading: &mut reading, coded: &coded };
            let byte = mixer.code_byte(&mut reader, 0, &context(&back, i), 0);
            back.push(byte);
        }
        assert_eq!(back, bytes);
        reading.finish(&coded).unwrap();
    }
}
