//! Slots that remember their last decisions beside a probability, and what came of like histories
//! (docs/delta-format.md, "Corrections in layers").

use super::super::mixing::{HALF, moved};
use super::super::squash::stretched;

/// A slot without experience: a probability of a half (18 bits), no history (a 1 alone, of 8 bits), no count (6 bits).
pub(super) const NEW: u32 = 1 << 31 | 1 << 6;
/// Decisions after which a slot learns no more slowly, and one of a history.
const LIMIT: u32 = 30;
const HISTORY_LIMIT: u32 = 255;
/// By how much of 65536 a slot moves after so many decisions.
static STEPS: [i32; 32] = {
    let mut steps = [0; 32];
    let mut count = 0;
    while count < steps.len() {
        steps[count] = 131_072 / (2 * count as i32 + 3);
        count += 1;
    }
    steps
};

/// Decisions of a slot that count.
#[inline(always)]
fn count(slot: u32) -> u32 {
    slot & 63
}

/// What a slot remembers of its last decisions: up to seven behind a 1.
#[inline(always)]
fn history(slot: u32) -> usize {
    (slot >> 6 & 255) as usize
}

/// A slot after a decision.
#[inline(always)]
fn after(slot: u32, value: bool) -> u32 {
    let (probability, count) = ((slot >> 14) as i32, count(slot).min(LIMIT));
    let goal = if value { (1 << 18) - 1 } else { 0 };
    let step = i64::from(goal - probability) * i64::from(STEPS[count as usize % 32]);
    let probability = (probability + (step >> 16) as i32) as u32;
    let longer = (slot >> 6 & 255) << 1 | u32::from(value);
    let history = if longer > 255 { longer & 127 | 128 } else { longer };
    probability << 14 | history << 6 | (count + u32::from(count < LIMIT))
}

/// What came of each history, for each of `N` contexts.
#[derive(Debug, Clone, Default)]
pub(super) struct Histories<const N: usize>(Vec<[u32; 256]>);

impl<const N: usize> Histories<N> {
    /// Bytes of memory.
    pub(super) const MEMORY: u64 = N as u64 * 1024;

    pub(super) fn new() -> Self {
        Self(vec![[HALF; 256]; N])
    }

    /// What a slot of a context says, and what came of histories like its; stretched.
    #[inline(always)]
    pub(super) fn said(&self, number: usize, slot: u32) -> [i16; 2] {
        [stretched(slot), stretched(self.0[number][history(slot)])]
    }

    /// A slot of a context learns a decision.
    #[inline(always)]
    pub(super) fn learn(&mut self, number: usize, slot: &mut u32, value: bool) {
        let of_history = &mut self.0[number][history(*slot)];
        *of_history = moved(*of_history, value, HISTORY_LIMIT);
        *slot = after(*slot, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_remember_what_came_last() {
        let slot = [true, false, true].into_iter().fold(NEW, after);
        assert_eq!((history(slot), count(slot)), (0b1101, 3));
        let slot = (0..40).fold(slot, |slot, _| after(slot, true));
        assert_eq!((history(slot), count(slot)), (255, LIMIT));
        assert!(slot >> 14 > 250_000);
        let slot = (0..1000).fold(slot, |slot, _| after(slot, false));
        assert_eq!(history(slot), 128);
        assert!(slot >> 14 < 100);
    }

    #[test]
    fn slots_of_like_histories_tell_of_each_other() {
        let mut histories = Histories::<2>::new();
        for _ in 0..20 {
            let mut slot = NEW;
            histories.learn(1, &mut slot, true);
            histories.learn(1, &mut slot, false);
        }
        let once = after(NEW, true);
        assert!(histories.said(1, once)[1] < -500 && histories.said(1, once)[0] > 0);
        assert_eq!(histories.said(0, once)[1], stretched(HALF));
    }
}
