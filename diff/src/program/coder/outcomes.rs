//! What came of histories: of each one of a byte, in each context (docs/delta-format.md, "Corrections in layers" and
//! "Literals by mixing").

use super::mixing::moved;

/// Decisions after which what came of a history moves no more slowly.
const LIMIT: u32 = 255;

/// A slot for each history, in each of `N` contexts: 22 bits of probability, 10 of count.
#[derive(Debug, Clone)]
pub(super) struct Outcomes<const N: usize>(Box<[[u32; 256]; N]>);

impl<const N: usize> Outcomes<N> {
    /// Bytes of memory.
    pub(super) const MEMORY: u64 = N as u64 * 1024;

    /// `first` is what comes of each history at first.
    pub(super) fn new(first: &[u32; 256]) -> Self {
        Self(Box::new([*first; N]))
    }

    /// What came of a history of a context.
    #[inline(always)]
    pub(super) fn of(&self, number: usize, history: u8) -> u32 {
        self.0[number][usize::from(history)]
    }

    /// A decision came of a history of a context.
    #[inline(always)]
    pub(super) fn learn(&mut self, number: usize, history: u8, decision: bool) {
        let outcome = &mut self.0[number][usize::from(history)];
        *outcome = moved(*outcome, decision, LIMIT);
    }
}

#[cfg(test)]
mod tests {
    use super::super::mixing::HALF;
    use super::*;

    #[test]
    fn what_comes_of_a_history_is_of_its_context() {
        let mut outcomes = Outcomes::<2>::new(&[HALF; 256]);
        (0..20).for_each(|_| outcomes.learn(1, 7, false));
        assert!(outcomes.of(1, 7) < HALF / 4);
        assert_eq!([outcomes.of(0, 7), outcomes.of(1, 8)], [HALF; 2]);
    }
}
