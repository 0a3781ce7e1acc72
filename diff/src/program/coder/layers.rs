//! Two layers of weights: sets for the same inputs, each selected by a context of its own, and weights for what these say.
//!
//! As in the later versions of PAQ (M. Mahoney), in integers. Every constant here is part of the format
//! (docs/delta-format.md, "Literals by mixing" and "Corrections in layers").

use super::squash::squashed;
use super::table;

/// Where weights of the second layer end.
const MOST: i32 = (1 << 18) - 1;
/// Selections of the second layer.
const SECOND: usize = 256;

/// What layers begin with, and how fast they learn.
#[derive(Debug, Clone, Copy)]
pub(super) struct LayersShape<const SETS: usize> {
    /// How many weights there are of each set; powers of two.
    pub(super) sizes: [usize; SETS],
    /// Weights at first: of 2^14, and of 2^16.
    pub(super) first: i16,
    pub(super) second: i32,
    /// At most 8.
    pub(super) first_rate: i32,
    pub(super) second_rate: i32,
}

impl<const SETS: usize> LayersShape<SETS> {
    /// Bytes of memory with so many inputs.
    pub(super) const fn memory(&self, inputs: usize) -> u64 {
        let (mut sets, mut i) = (0, 0);
        while i < SETS {
            sets += self.sizes[i];
            i += 1;
        }
        (sets * inputs * 2 + SECOND * SETS * 4) as u64
    }
}

/// Weighs inputs: stretched probabilities, −2047 to 2047.
#[derive(Debug, Clone)]
pub(super) struct Layers<const INPUTS: usize, const SETS: usize> {
    shape: LayersShape<SETS>,
    first: [Vec<[i16; INPUTS]>; SETS],
    second: Vec<[i32; SETS]>,
}

/// Which weights: of each set, and of the second layer.
#[derive(Debug, Clone, Copy)]
pub(super) struct SelectedWeights<const SETS: usize> {
    pub(super) sets: [usize; SETS],
    pub(super) second: usize,
}

/// What a decision was found to be.
#[derive(Debug, Clone, Copy)]
pub(super) struct Weighed<const SETS: usize> {
    selected: SelectedWeights<SETS>,
    outputs: [i32; SETS],
    /// Stretched, −2047 to 2047.
    pub(super) output: i32,
}

impl<const INPUTS: usize, const SETS: usize> Layers<INPUTS, SETS> {
    pub(super) fn new(shape: LayersShape<SETS>) -> Self {
        Self {
            shape,
            first: shape.sizes.map(|size| vec![[shape.first; INPUTS]; size]),
            second: vec![[shape.second; SETS]; SECOND],
        }
    }

    /// Forgets everything.
    pub(super) fn again(self) -> Self {
        let Self { shape, mut first, second } = self;
        for (set, size) in first.iter_mut().zip(shape.sizes) {
            *set = table(std::mem::take(set), size, [shape.first; INPUTS]);
        }
        Self { shape, first, second: table(second, SECOND, [shape.second; SETS]) }
    }

    /// Weighs inputs; of what is selected the low bits count.
    #[inline(always)]
    pub(super) fn weigh(
        &self,
        inputs: &[i16; INPUTS],
        mut selected: SelectedWeights<SETS>,
    ) -> Weighed<SETS> {
        selected.second %= SECOND;
        let mut outputs = [0; SETS];
        let mut sum = 0;
        for (i, output) in outputs.iter_mut().enumerate() {
            selected.sets[i] &= self.shape.sizes[i] - 1;
            *output = dot(inputs, &self.first[i][selected.sets[i]]);
            sum += *output * self.second[selected.second][i];
        }
        Weighed { selected, outputs, output: (sum >> 16).clamp(-2047, 2047) }
    }

    /// All that weighed learn what the decision was.
    #[inline(always)]
    pub(super) fn learn(&mut self, inputs: &[i16; INPUTS], weighed: &Weighed<SETS>, value: bool) {
        let Weighed { selected, outputs, output } = weighed;
        let LayersShape { first_rate, second_rate, .. } = self.shape;
        let goal = if value { 4095 } else { 0 };
        let error = (goal - squashed(*output)) * second_rate;
        let second = &mut self.second[selected.second];
        for i in 0..SETS {
            let moved = second[i] + ((outputs[i] * error + (1 << 13)) >> 14);
            second[i] = moved.clamp(-MOST, MOST);
            let error = ((goal - squashed(outputs[i])) * first_rate) as i16;
            learn(inputs, &mut self.first[i][selected.sets[i]], error);
        }
    }
}

#[inline(always)]
fn dot<const INPUTS: usize>(inputs: &[i16; INPUTS], weights: &[i16; INPUTS]) -> i32 {
    let mut sums = [0i32; 8];
    for (inputs, weights) in inputs.as_chunks::<8>().0.iter().zip(weights.as_chunks::<8>().0) {
        for lane in 0..8 {
            let product = i32::from(inputs[lane]) * i32::from(weights[lane]);
            sums[lane] = sums[lane].wrapping_add(product);
        }
    }
    let sum = sums.iter().fold(0i32, |all, sum| all.wrapping_add(*sum));
    (sum >> 14).clamp(-2047, 2047)
}

#[inline(always)]
fn learn<const INPUTS: usize>(inputs: &[i16; INPUTS], weights: &mut [i16; INPUTS], error: i16) {
    for i in 0..INPUTS {
        let twice = ((i32::from(inputs[i] * 2) * i32::from(error)) >> 16) as i16;
        weights[i] = weights[i].saturating_add((twice + 1) >> 1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHAPE: LayersShape<4> = LayersShape {
        sizes: [8; 4],
        first: 1 << 11,
        second: 65_536 / 3,
        first_rate: 6,
        second_rate: 3,
    };
    const INPUTS: usize = 40;

    #[test]
    fn the_second_layer_follows_the_set_that_is_right() {
        let mut layers = Layers::<INPUTS, 4>::new(SHAPE);
        let inputs = [500; INPUTS];
        // All sets but the first see decisions of two kinds with the same weights.
        let selected = |turn: usize| SelectedWeights { sets: [turn % 2, 1, 2, 3], second: 7 };
        for turn in 0..4000 {
            let weighed = layers.weigh(&inputs, selected(turn));
            layers.learn(&inputs, &weighed, turn % 2 == 0);
        }
        let weights = layers.second[7];
        assert!(weights[0] > weights[1] && weights[0] > SHAPE.second, "{weights:?}");
        assert!(layers.weigh(&inputs, selected(0)).output > 1000);
        assert!(layers.weigh(&inputs, selected(1)).output < -1000);
    }

    #[test]
    fn weights_stay_in_bounds() {
        let mut layers = Layers::<INPUTS, 4>::new(SHAPE);
        let selected = SelectedWeights { sets: [0; 4], second: 0 };
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
