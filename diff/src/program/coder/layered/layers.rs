//! Two layers of weights: sets for the same inputs, each selected by a context of its own, and weights for what these say.
//!
//! As in the later versions of PAQ (M. Mahoney), in integers. Every constant here is part of the format
//! (docs/delta-format.md, "Literals in layers").

use super::super::mixing::squashed;

/// Inputs of a decision: stretched probabilities, −2047 to 2047.
pub(super) const INPUTS: usize = 40;
/// Sets that say something of each decision, and how many there are of each.
pub(super) const SETS: usize = 4;
const SIZES: [usize; SETS] = [1024, 256, 4096, 2048];
/// Weights of the second layer.
const SECOND: usize = 256;
/// At first: 1/8 of 2^14 and 1/3 of 2^16.
const FIRST_WEIGHT: i16 = 1 << 11;
const SECOND_WEIGHT: i32 = 65_536 / 3;
/// Where weights of the second layer end.
const MOST: i32 = (1 << 18) - 1;
/// How fast both learn.
const FIRST_RATE: i32 = 6;
const SECOND_RATE: i32 = 3;

type Weights = [i16; INPUTS];

/// Weighs inputs.
#[derive(Debug, Clone)]
pub(super) struct Layers {
    first: [Vec<Weights>; SETS],
    second: Vec<[i32; SETS]>,
}

/// Which weights: of each set, and of the second layer.
#[derive(Debug, Clone, Copy)]
pub(super) struct Selected {
    pub(super) sets: [usize; SETS],
    pub(super) second: usize,
}

/// What a decision was found to be.
#[derive(Debug, Clone, Copy)]
pub(super) struct Weighed {
    selected: Selected,
    outputs: [i32; SETS],
    /// Stretched, −2047 to 2047.
    pub(super) output: i32,
}

impl Layers {
    /// Bytes of memory.
    pub(super) const MEMORY: u64 = {
        let (mut sets, mut i) = (0, 0);
        while i < SETS {
            sets += SIZES[i];
            i += 1;
        }
        (sets * INPUTS * 2 + SECOND * SETS * 4) as u64
    };

    pub(super) fn new() -> Self {
        Self {
            first: SIZES.map(|size| vec![[FIRST_WEIGHT; INPUTS]; size]),
            second: vec![[SECOND_WEIGHT; SETS]; SECOND],
        }
    }

    /// Weighs inputs; of what is selected the low bits count.
    #[inline(always)]
    pub(super) fn weigh(&self, inputs: &[i16; INPUTS], mut selected: Selected) -> Weighed {
        selected.second %= SECOND;
        let mut outputs = [0; SETS];
        let mut sum = 0;
        for i in 0..SETS {
            selected.sets[i] %= SIZES[i];
            outputs[i] = dot(inputs, &self.first[i][selected.sets[i]]);
            sum += outputs[i] * self.second[selected.second][i];
        }
        Weighed { selected, outputs, output: (sum >> 16).clamp(-2047, 2047) }
    }

    /// All that weighed learn what the decision was.
    #[inline(always)]
    pub(super) fn learn(&mut self, inputs: &[i16; INPUTS], weighed: &Weighed, value: bool) {
        let Weighed { selected, outputs, output } = weighed;
        let goal = if value { 4095 } else { 0 };
        let error = (goal - squashed(*output)) * SECOND_RATE;
        let second = &mut self.second[selected.second];
        for i in 0..SETS {
            let moved = second[i] + ((outputs[i] * error + (1 << 13)) >> 14);
            second[i] = moved.clamp(-MOST, MOST);
            let error = ((goal - squashed(outputs[i])) * FIRST_RATE) as i16;
            learn(inputs, &mut self.first[i][selected.sets[i]], error);
        }
    }
}

#[inline(always)]
fn dot(inputs: &[i16; INPUTS], weights: &Weights) -> i32 {
    let mut sum = 0i32;
    for i in 0..INPUTS {
        sum = sum.wrapping_add(i32::from(inputs[i]) * i32::from(weights[i]));
    }
    (sum >> 14).clamp(-2047, 2047)
}

#[inline(always)]
fn learn(inputs: &[i16; INPUTS], weights: &mut Weights, error: i16) {
    for i in 0..INPUTS {
        let twice = ((i32::from(inputs[i] * 2) * i32::from(error)) >> 16) as i16;
        weights[i] = weights[i].saturating_add((twice + 1) >> 1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_second_layer_follows_the_set_that_is_right() {
        let mut layers = Layers::new();
        let inputs = [500; INPUTS];
        // All sets but the first see decisions of two kinds with the same weights.
        let selected = |turn: usize| Selected { sets: [turn % 2, 1, 2, 3], second: 7 };
        for turn in 0..4000 {
            let weighed = layers.weigh(&inputs, selected(turn));
            layers.learn(&inputs, &weighed, turn % 2 == 0);
        }
        let weights = layers.second[7];
        assert!(weights[0] > weights[1] && weights[0] > SECOND_WEIGHT, "{weights:?}");
        assert!(layers.weigh(&inputs, selected(0)).output > 1000);
        assert!(layers.weigh(&inputs, selected(1)).output < -1000);
    }

    #[test]
    fn weights_stay_in_bounds() {
        let mut layers = Layers::new();
        let selected = Selected { sets: [0; SETS], second: 0 };
        for turn in 0..20_000 {
            let inputs = [if turn % 2 == 0 { 2047 } else { -2047 }; INPUTS];
            let weighed = layers.weigh(&inputs, selected);
            layers.learn(&inputs, &weighed, turn % 2 == 0);
            assert!((-2047..=2047).contains(&weighed.output));
        }
        for turn in 0..20_000 {
            let inputs = [2047; INPUTS];
            let weighed = layers.weigh(&inputs, selected);
            layers.learn(&inputs, &weighed, turn % 3 == 0);
        }
        assert!(layers.second[0].iter().all(|weight| (-MOST..=MOST).contains(weight)));
    }
}
