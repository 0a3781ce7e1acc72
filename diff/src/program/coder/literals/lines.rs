//! What was learned in each context: lines of histories, and what came of each history.

use std::hint::black_box;

use super::super::mixing::spread;
use super::super::outcomes::Outcomes;
use super::super::squash::stretched;
use super::super::table;
use super::histories::{AT_FIRST, NONE, after, known};

/// What tells whose line it is, and 15 histories: those of half a byte.
type Line = [u8; 16];
/// Lines that half a byte may have in a context; one line of the cache.
const WAYS: usize = 4;

#[derive(Debug, Clone, Copy)]
#[repr(align(64))]
struct Bucket([Line; WAYS]);

/// Half a byte in a context: where its line may be, and what tells that it is its.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Half {
    bucket: usize,
    check: u8,
}

/// Lines of half a byte in all contexts, while its bits are coded.
#[derive(Debug, Clone, Copy)]
pub(super) struct Taken<const N: usize> {
    lines: [Line; N],
    places: [(usize, usize); N],
}

/// Buckets of a context, as a power of two: always as many, so that one model's serve the next.
const BITS: u32 = 14;

/// Lines of `N` contexts.
#[derive(Debug, Clone)]
pub(super) struct Lines<const N: usize> {
    buckets: Vec<Bucket>,
    outcomes: Outcomes<N>,
}

impl<const N: usize> Default for Lines<N> {
    /// No lines yet.
    fn default() -> Self {
        Self { buckets: Vec::new(), outcomes: Outcomes::new(&AT_FIRST) }
    }
}

impl<const N: usize> Lines<N> {
    /// Bytes of memory.
    pub(super) const MEMORY: u64 = ((N as u64) << BITS) * 64 + Outcomes::<N>::MEMORY;

    /// Lines without experience, in the memory of others.
    pub(super) fn again(self) -> Self {
        let empty = Bucket([[0; 16]; WAYS]);
        Self { buckets: table(self.buckets, N << BITS, empty), outcomes: Outcomes::new(&AT_FIRST) }
    }

    /// `before` are the bits of the byte so far behind a 1, 0 at its start.
    #[inline(always)]
    pub(super) fn half(number: usize, context: u32, before: u32) -> Half {
        let hash = match before {
            0 => context,
            _ => spread(context, before),
        };
        let bucket = number << BITS | (hash >> (32 - BITS)) as usize;
        Half { bucket, check: (hash >> 8) as u8 }
    }

    /// Brings lines into the cache, all at once, that will be taken one after the other.
    #[inline(always)]
    pub(super) fn touch<'a>(&self, halves: impl IntoIterator<Item = &'a Half>) {
        let mut all = 0;
        for half in halves {
            if let Some(bucket) = self.buckets.get(half.bucket) {
                all ^= bucket.0[0][0];
            }
        }
        black_box(all);
    }

    /// The line of a half in its bucket: the first that is its; if none is, the first of those that know least becomes it.
    #[inline(always)]
    fn take_one(&mut self, half: Half) -> (&mut Line, usize) {
        let Bucket(lines) = &mut self.buckets[half.bucket];
        if let Some(way) = lines.iter().position(|line| line[0] == half.check) {
            return (&mut lines[way], way);
        }
        let least = |(way, line): (usize, &Line)| (known(line[1]), way);
        let (_, way) = lines.iter().enumerate().map(least).min().unwrap_or_default();
        let line = &mut lines[way];
        *line = [0; 16];
        line[0] = half.check;
        (line, way)
    }

    /// The lines of half a byte.
    #[inline(always)]
    pub(super) fn take(&mut self, halves: &[Half; N]) -> Taken<N> {
        let mut taken = Taken { lines: [[0; 16]; N], places: [(0, 0); N] };
        self.touch(halves);
        for (number, half) in halves.iter().enumerate() {
            let (line, way) = self.take_one(*half);
            (taken.lines[number], taken.places[number]) = (*line, (half.bucket, way));
        }
        taken
    }

    /// Lines that were taken come back with what they learned.
    #[inline(always)]
    pub(super) fn put(&mut self, taken: &Taken<N>) {
        for (line, (bucket, way)) in taken.lines.iter().zip(taken.places) {
            self.buckets[bucket].0[way % WAYS] = *line;
        }
    }

    /// What histories say: how far from a half, −512 to 511, 0 for what remembers nothing; then stretched.
    #[inline(always)]
    pub(super) fn inputs(&self, taken: &Taken<N>, node: usize, inputs: &mut [i16]) {
        let (far, sure) = inputs.split_at_mut(N);
        for (number, (far, sure)) in far.iter_mut().zip(sure).enumerate() {
            let history = taken.lines[number][node % 16];
            let outcome = self.outcomes.of(number, history);
            *far = if history == NONE { 0 } else { ((outcome >> 20) as i16 - 2048) / 4 };
            *sure = stretched(outcome);
        }
    }

    /// A decision comes of histories, and becomes part of them.
    #[inline(always)]
    pub(super) fn learn(&mut self, taken: &mut Taken<N>, node: usize, decision: bool) {
        for number in 0..N {
            let history = &mut taken.lines[number][node % 16];
            self.outcomes.learn(number, *history, decision);
            *history = after(*history, decision);
        }
    }

    /// One context learns bytes that are not coded: they become part of its histories.
    pub(super) fn learn_bytes(&mut self, number: usize, bytes: &[u8], contexts: &[u32]) {
        const AT_ONCE: usize = 16;
        for (bytes, contexts) in bytes.chunks(AT_ONCE).zip(contexts.chunks(AT_ONCE)) {
            let mut halves = [[Half::default(); 2]; AT_ONCE];
            for ((halves, byte), context) in halves.iter_mut().zip(bytes).zip(contexts) {
                halves[0] = Self::half(number, *context, 0);
                halves[1] = Self::half(number, *context, u32::from(byte >> 4) | 16);
            }
            self.touch(halves.iter().flatten());
            for (halves, byte) in halves.iter().zip(bytes) {
                self.learn_half(halves[0], byte >> 4);
                self.learn_half(halves[1], byte & 15);
            }
        }
    }

    /// A line learns four bits.
    #[inline(always)]
    fn learn_half(&mut self, half: Half, bits: u8) {
        let (line, _) = self.take_one(half);
        let mut node = 1;
        for bit in (0..4).rev() {
            let decision = bits >> bit & 1 == 1;
            line[node % 16] = after(line[node % 16], decision);
            node = node << 1 | usize::from(decision);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONTEXTS: usize = 5;

    #[test]
    fn of_the_lines_of_a_bucket_the_one_that_knows_least_is_replaced() {
        let mut lines = Lines::<CONTEXTS>::default().again();
        let half = |check| Half { bucket: 6, check };
        let way = |lines: &mut Lines<CONTEXTS>, check| lines.take_one(half(check)).1;
        for check in 1..=4 {
            assert_eq!(way(&mut lines, check), usize::from(check) - 1);
            // Each knows one decision at its first node, the third two.
            (0..1 + check / 3 % 2).for_each(|_| lines.learn_half(half(check), 5));
        }
        lines.learn_half(half(1), 5);
        assert_eq!(way(&mut lines, 5), 1);
        assert_eq!((way(&mut lines, 1), way(&mut lines, 3), way(&mut lines, 4)), (0, 2, 3));
        assert_eq!(way(&mut lines, 2), 1);
    }

    #[test]
    fn what_was_learned_is_said() {
        let mut lines = Lines::<CONTEXTS>::default().again();
        for _ in 0..4 {
            lines.learn_bytes(3, &[0xa5; 20], &[77; 20]);
        }
        let halves = std::array::from_fn(|number| Lines::<CONTEXTS>::half(number, 77, 0));
        let mut taken = lines.take(&halves);
        let mut inputs = [0; 2 * CONTEXTS];
        lines.inputs(&taken, 1, &mut inputs);
        assert!(inputs[3] > 450 && inputs[CONTEXTS + 3] > 1000, "{inputs:?}");
        assert_eq!((inputs[2], inputs[CONTEXTS + 2]), (0, 1));
        lines.inputs(&taken, 3, &mut inputs);
        assert!(inputs[3] < -450, "{inputs:?}");
        (0..9).for_each(|_| lines.learn(&mut taken, 1, false));
        lines.put(&taken);
        assert_eq!(lines.take(&halves).lines, taken.lines);
    }
}
