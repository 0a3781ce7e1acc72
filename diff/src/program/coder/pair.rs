//! Two sets of weights for the same inputs, each selected by a context of its own; what comes out is their mean.
//!
//! Two coarse contexts that say different things weigh better than one that has both: each set sees all decisions
//! of its kind. Every constant here is part of the format (docs/delta-format.md, "Literals by mixing").

use super::mixing::{POINTS, points, squashed};
use super::table;

/// Inputs of a decision: stretched probabilities, −2047 to 2047.
pub(super) const INPUTS: usize = 16;
/// Sets that each context selects one of.
const FIRST: usize = 1024;
const SECOND: usize = 256;
/// Weights of 1/4, of 2^14.
const QUARTER: i16 = 1 << 12;

type Weights = [i16; INPUTS];

/// Weighs inputs.
#[derive(Debug, Clone, Default)]
pub(super) struct Pair {
    first: Vec<Weights>,
    second: Vec<Weights>,
}

/// What a decision was found to be.
#[derive(Debug, Clone, Copy)]
pub(super) struct Weighed {
    sets: [usize; 2],
    outputs: [i32; 2],
}

impl Weighed {
    /// The mean, stretched: −2047 to 2047.
    pub(super) fn mean(&self) -> i32 {
        (self.outputs[0] + self.outputs[1]) >> 1
    }
}

impl Pair {
    /// Bytes of memory.
    pub(super) const MEMORY: u64 = ((FIRST + SECOND) * INPUTS * 2) as u64;

    /// Forgets what it learned.
    pub(super) fn again(self) -> Self {
        let weights = [QUARTER; INPUTS];
        Self {
            first: table(self.first, FIRST, weights),
            second: table(self.second, SECOND, weights),
        }
    }

    /// Weighs inputs by the sets of these numbers, modulo 1024 and 256.
    #[inline(always)]
    pub(super) fn weigh(&self, inputs: &[i16; INPUTS], sets: [usize; 2]) -> Weighed {
        let sets = [sets[0] % FIRST, sets[1] % SECOND];
        let outputs = [dot(inputs, &self.first[sets[0]]), dot(inputs, &self.second[sets[1]])];
        Weighed { sets, outputs }
    }

    /// Both sets learn what the decision was.
    #[inline(always)]
    pub(super) fn learn(&mut self, inputs: &[i16; INPUTS], weighed: Weighed, value: bool) {
        let Weighed { sets, outputs } = weighed;
        learn(inputs, &mut self.first[sets[0]], outputs[0], value);
        learn(inputs, &mut self.second[sets[1]], outputs[1], value);
    }
}

#[inline(always)]
fn dot(inputs: &[i16; INPUTS], weights: &Weights) -> i32 {
    let mut sum = 0i32;
    for i in 0..INPUTS {
        sum += i32::from(inputs[i]) * i32::from(weights[i]);
    }
    (sum >> 14).clamp(-2047, 2047)
}

#[inline(always)]
fn learn(inputs: &[i16; INPUTS], weights: &mut Weights, output: i32, value: bool) {
    let goal = if value { 4095 } else { 0 };
    let error = ((goal - squashed(output)) * 8) as i16;
    for i in 0..INPUTS {
        let twice = ((i32::from(inputs[i] * 2) * i32::from(error)) >> 16) as i16;
        weights[i] = weights[i].saturating_add((twice + 1) >> 1);
    }
}

/// Corrects probabilities by what came of them, in each of some contexts.
#[derive(Debug, Clone, Default)]
pub(super) struct Refinement<const SIZE: usize> {
    points: Vec<[u16; POINTS]>,
}

/// A place of a refinement, to learn at.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place {
    context: usize,
    point: usize,
}

impl<const SIZE: usize> Refinement<SIZE> {
    /// Bytes of memory.
    pub(super) const MEMORY: u64 = (SIZE * POINTS * 2) as u64;

    /// Forgets what it learned.
    pub(super) fn again(self) -> Self {
        const { assert!(SIZE.is_power_of_two()) };
        Self { points: table(self.points, SIZE, points()) }
    }

    /// What a stretched probability (−2047 to 2047) came to in a context, of 65536.
    #[inline(always)]
    pub(super) fn refine(&self, stretched: i32, context: usize) -> (i32, Place) {
        let context = context % SIZE;
        let place = (stretched + 2048) as usize % 4096;
        let (low, part) = (place >> 7, (place & 127) as i32);
        let points = &self.points[context];
        let value = i32::from(points[low]) * (128 - part) + i32::from(points[low + 1]) * part;
        (value >> 7, Place { context, point: low + (part >> 6) as usize })
    }

    /// The nearer point learns what the decision was.
    #[inline(always)]
    pub(super) fn learn(&mut self, place: Place, value: bool) {
        let point = &mut self.points[place.context][place.point];
        let goal = if value { 65_535 } else { 0 };
        *point = (i32::from(*point) + ((goal - i32::from(*point)) >> 6)) as u16;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_follow_the_input_that_is_right() {
        let mut pair = Pair::default().again();
        let mut inputs = [0; INPUTS];
        for turn in 0..4000i32 {
            let value = turn % 3 == 0;
            // The first one tells, the second one tells the opposite, the third one something else.
            inputs[0] = if value { 800 } else { -800 };
            inputs[1] = -inputs[0];
            inputs[2] = if turn % 2 == 0 { 900 } else { -900 };
            let weighed = pair.weigh(&inputs, [turn as usize % 2, 5]);
            pair.learn(&inputs, weighed, value);
        }
        inputs[..3].copy_from_slice(&[800, -800, 900]);
        assert!(pair.weigh(&inputs, [0, 5]).mean() > 1000);
        assert_eq!(pair.weigh(&inputs, [7, 7]).mean(), 225);
        let weights = pair.second[5];
        assert!(weights[0] > QUARTER && weights[1] < 0 && weights[15] == QUARTER, "{weights:?}");
    }

    #[test]
    fn weights_stay_in_bounds() {
        let mut pair = Pair::default().again();
        for _ in 0..10_000 {
            let weighed = pair.weigh(&[2047; INPUTS], [0, 0]);
            pair.learn(&[2047; INPUTS], weighed, true);
            let weighed = pair.weigh(&[-2047; INPUTS], [0, 0]);
            pair.learn(&[-2047; INPUTS], weighed, true);
        }
        let weighed = pair.weigh(&[2047; INPUTS], [0, 0]);
        assert!((-2047..=2047).contains(&weighed.mean()));
    }

    #[test]
    fn a_refinement_learns_how_sure_one_may_be() {
        let mut refinement = Refinement::<4>::default().again();
        let (start, _) = refinement.refine(0, 1);
        assert!((32_000..33_600).contains(&start), "{start}");
        for _ in 0..500 {
            let (_, place) = refinement.refine(0, 1);
            refinement.learn(place, true);
        }
        assert!(refinement.refine(0, 1).0 > 60_000);
        assert_eq!(refinement.refine(0, 2).0, start);
        assert!(refinement.refine(2047, 5).0 > refinement.refine(-2047, 5).0);
    }
}
