//! Slots that remember their last decisions beside a probability (docs/delta-format.md, "Corrections in layers").

use super::super::mixing::step;

/// A slot without experience: a probability of a half (18 bits), no history (a 1 alone, of 8 bits), no count (6 bits).
pub(super) const NEW: u32 = 1 << 31 | 1 << 6;
/// Decisions after which a slot learns no more slowly.
const LIMIT: u32 = 30;

/// Decisions of a slot that count.
#[inline(always)]
fn count(slot: u32) -> u32 {
    slot & 63
}

/// What a slot remembers of its last decisions: up to seven behind a 1.
#[inline(always)]
pub(super) fn history(slot: u32) -> u8 {
    (slot >> 6) as u8
}

/// A slot after a decision.
#[inline(always)]
pub(super) fn after(slot: u32, value: bool) -> u32 {
    let (probability, count) = ((slot >> 14) as i32, count(slot).min(LIMIT));
    let goal = if value { (1 << 18) - 1 } else { 0 };
    let way = i64::from(goal - probability) * i64::from(step(count));
    let probability = (probability + (way >> 16) as i32) as u32;
    let longer = u32::from(history(slot)) << 1 | u32::from(value);
    let history = if longer > 255 { longer & 127 | 128 } else { longer };
    probability << 14 | history << 6 | (count + u32::from(count < LIMIT))
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
}
