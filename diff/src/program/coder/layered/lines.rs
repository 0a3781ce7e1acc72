//! What was learned in each context: lines of probabilities, and of what came of like histories.

use std::hint::black_box;

use super::super::slots::{Histories, NEW, count};
use super::super::table;
use super::{CONTEXTS, spread};

/// 15 slots, and before these what tells whose line it is; one line of the cache.
#[derive(Debug, Clone, Copy)]
#[repr(align(64))]
struct Line([u32; 16]);

const EMPTY: Line = {
    let mut line = [NEW; 16];
    line[0] = 0;
    Line(line)
};

/// Half a byte in a context: where its line may be, and what tells that it is its.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Half {
    place: usize,
    check: u32,
}

/// Lines of a context, as a power of two: always as many, so that one model's serve the next.
const BITS: u32 = 14;

/// Lines of all contexts.
#[derive(Debug, Clone, Default)]
pub(super) struct Lines {
    lines: Vec<Line>,
    histories: Histories<CONTEXTS>,
}

impl Lines {
    /// Bytes of memory.
    pub(super) const MEMORY: u64 = ((CONTEXTS as u64) << BITS) * 64 + Histories::<CONTEXTS>::MEMORY;

    /// Lines without experience, in the memory of others.
    pub(super) fn again(self) -> Self {
        Self { lines: table(self.lines, CONTEXTS << BITS, EMPTY), histories: Histories::new() }
    }

    /// `before` are the bits of the byte so far behind a 1, 0 at its start.
    #[inline(always)]
    pub(super) fn half(number: usize, context: u32, before: u32) -> Half {
        let hash = spread(context, before);
        let place = number << BITS | (hash >> (32 - BITS)) as usize;
        Half { place, check: hash & 0x3fff | 1 }
    }

    /// Brings lines into the cache, all at once, that will be taken one after the other.
    #[inline(always)]
    pub(super) fn touch(&self, halves: &[Half]) {
        let mut all = 0;
        for half in halves {
            if let Some(line) = self.lines.get(half.place) {
                all ^= line.0[0];
            }
        }
        black_box(all);
    }

    /// The line of a half: one of two; if neither is its, the one with less experience becomes it.
    #[inline(always)]
    pub(super) fn take(&mut self, half: Half) -> usize {
        let Half { place, check } = half;
        let is_its = |place: usize| self.lines.get(place).is_some_and(|line| line.0[0] == check);
        if is_its(place) {
            return place;
        }
        let other = place ^ 1;
        if is_its(other) {
            return other;
        }
        let known = |place: usize| self.lines.get(place).map_or(0, |line| count(line.0[1]));
        let place = if known(other) < known(place) { other } else { place };
        if let Some(line) = self.lines.get_mut(place) {
            *line = EMPTY;
            line.0[0] = check;
        }
        place
    }

    /// What the slots of the lines say, then what came of histories like theirs; stretched.
    #[inline(always)]
    pub(super) fn inputs(&self, places: &[usize; CONTEXTS], node: usize, inputs: &mut [i16]) {
        let (direct, by_history) = inputs.split_at_mut(CONTEXTS);
        for number in 0..CONTEXTS {
            let slot = self.lines[places[number]].0[node];
            [direct[number], by_history[number]] = self.histories.said(number, slot);
        }
    }

    /// The slots learn a decision.
    #[inline(always)]
    pub(super) fn learn(&mut self, places: &[usize; CONTEXTS], node: usize, value: bool) {
        for (number, &place) in places.iter().enumerate() {
            self.learn_one(number, place, node, value);
        }
    }

    #[inline(always)]
    fn learn_one(&mut self, number: usize, place: usize, node: usize, value: bool) {
        self.histories.learn(number, &mut self.lines[place].0[node], value);
    }

    /// One context learns bytes that are not coded.
    pub(super) fn learn_bytes(&mut self, number: usize, bytes: &[u8], contexts: &[u32]) {
        const AT_ONCE: usize = 16;
        for (bytes, contexts) in bytes.chunks(AT_ONCE).zip(contexts.chunks(AT_ONCE)) {
            let mut halves = [Half::default(); 2 * AT_ONCE];
            for ((halves, byte), context) in halves.chunks_exact_mut(2).zip(bytes).zip(contexts) {
                halves[0] = Self::half(number, *context, 0);
                halves[1] = Self::half(number, *context, u32::from(byte >> 4) | 16);
            }
            self.touch(&halves);
            for (halves, byte) in halves.chunks_exact(2).zip(bytes) {
                self.learn_half(number, halves[0], byte >> 4);
                self.learn_half(number, halves[1], byte & 15);
            }
        }
    }

    /// A line learns four bits.
    #[inline(always)]
    fn learn_half(&mut self, number: usize, half: Half, bits: u8) {
        let place = self.take(half);
        let mut node = 1;
        for bit in (0..4).rev() {
            let value = bits >> bit & 1 == 1;
            self.learn_one(number, place, node, value);
            node = node << 1 | usize::from(value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_two_lines_the_one_with_less_experience_is_replaced() {
        let mut lines = Lines::default().again();
        let half = |check| Half { place: 6, check };
        let first = lines.take(half(1));
        assert_eq!(first, 6);
        lines.learn_half(0, half(1), 5);
        let second = lines.take(half(3));
        assert_eq!(second, 7);
        assert_eq!((lines.take(half(1)), lines.take(half(3))), (6, 7));
        lines.learn_half(0, half(3), 5);
        lines.learn_half(0, half(3), 5);
        assert_eq!(lines.take(half(5)), 6);
    }

    #[test]
    fn what_was_learned_is_said() {
        let mut lines = Lines::default().again();
        for _ in 0..4 {
            lines.learn_bytes(3, &[0xa5; 20], &[77; 20]);
        }
        let mut places = [0; CONTEXTS];
        for (number, place) in places.iter_mut().enumerate() {
            *place = lines.take(Lines::half(number, 77, 0));
        }
        let mut inputs = [0; 2 * CONTEXTS];
        lines.inputs(&places, 1, &mut inputs);
        assert!(inputs[3] > 1000 && inputs[CONTEXTS + 3] > 1000, "{inputs:?}");
        assert_eq!((inputs[2], inputs[CONTEXTS + 2]), (1, 1));
        lines.inputs(&places, 3, &mut inputs);
        assert!(inputs[3] < -1000, "{inputs:?}");
    }
}
