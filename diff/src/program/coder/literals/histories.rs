//! Histories of decisions in one byte each, and what comes of each at first (docs/delta-format.md, "Literals by mixing").
//!
//! The idea is that of the bit histories of PAQ6 and ZPAQ (M. Mahoney): a context remembers which decisions came, and what
//! that means is learned apart, for all that remember the same. What is remembered here is another: few decisions as they were, of
//! more how many of the last kind came in a row.

use super::super::mixing::HALF;

/// What remembers nothing.
pub(super) const NONE: u8 = 0;
/// Decisions that are remembered as they were.
const FEW: u32 = 4;
/// The most of a row that is told from one more: when all decisions were alike, and when there were others before.
const ALIKE: u8 = 41;
const AFTER: u8 = 60;

/// What a history remembers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Remembered {
    /// Up to four decisions behind a 1.
    Few(u8),
    /// So many, at least five, and all of them this one.
    Alike(u8, u8),
    /// So many of this one in a row, and before them the other.
    After(u8, u8),
}

use Remembered::{After, Alike, Few};

/// The first number of a history of each sort but the first, and where they end.
const FIRST_ALIKE: u8 = (2 << FEW) - 1;
const FIRST_AFTER: u8 = FIRST_ALIKE + 2 * (ALIKE - FEW as u8);
const END: usize = FIRST_AFTER as usize + 2 * AFTER as usize;

impl Remembered {
    const fn number(self) -> u8 {
        match self {
            Few(all) => all - 1,
            Alike(last, row) => FIRST_ALIKE + 2 * (row - FEW as u8 - 1) + last,
            After(last, row) => FIRST_AFTER + 2 * (row - 1) + last,
        }
    }

    const fn of(number: u8) -> Self {
        if number < FIRST_ALIKE {
            Few(number + 1)
        } else if number < FIRST_AFTER {
            let number = number - FIRST_ALIKE;
            Alike(number & 1, number / 2 + FEW as u8 + 1)
        } else {
            let number = number - FIRST_AFTER;
            After(number & 1, number / 2 + 1)
        }
    }

    /// The last decision, how many of it came in a row, and whether the other came before.
    const fn last(self) -> (u8, u8, bool) {
        match self {
            Few(1) => (0, 0, false),
            Few(all) => {
                let (last, len) = (all & 1, all.ilog2());
                let row = if last == 1 { all.trailing_ones() } else { all.trailing_zeros() };
                // The 1 before them is none of them.
                let row = if row > len { len } else { row };
                (last, row as u8, row < len)
            }
            Alike(last, row) => (last, row, false),
            After(last, row) => (last, row, true),
        }
    }

    const fn after(self, decision: u8) -> Self {
        let (last, row, other) = self.last();
        match self {
            Few(all) if all >> FEW == 0 => return Few(all << 1 | decision),
            _ if last != decision => return After(decision, 1),
            _ => {}
        }
        match other {
            false => Alike(last, if row < ALIKE { row + 1 } else { ALIKE }),
            true => After(last, if row < AFTER { row + 1 } else { AFTER }),
        }
    }
}

/// Each history behind a 0 and behind a 1.
static NEXT: [[u8; 2]; 256] = {
    let mut next = [[NONE; 2]; 256];
    let mut number = 0;
    while number < END {
        let history = Remembered::of(number as u8);
        next[number] = [history.after(0).number(), history.after(1).number()];
        number += 1;
    }
    next
};

/// How much each history knows: its row, and one more if there was the other before.
static KNOWN: [u8; 256] = {
    let mut known = [0; 256];
    let mut number = 0;
    while number < END {
        let (_, row, other) = Remembered::of(number as u8).last();
        known[number] = row + other as u8;
        number += 1;
    }
    known
};

/// What comes of each history at first: as if its row, one of the other before it if there was one, and two fifths of one of
/// each were all; 22 bits, and 10 of a count.
pub(super) static AT_FIRST: [u32; 256] = {
    let mut first = [HALF; 256];
    let mut number = 0;
    while number < END {
        let (last, row, other) = Remembered::of(number as u8).last();
        let (like, unlike) = (5 * row as u64 + 2, 5 * other as u64 + 2);
        let ones = if last == 1 { like } else { unlike };
        first[number] = (((ones << 22) / (like + unlike)) as u32) << 10;
        number += 1;
    }
    first
};

/// A history behind a decision.
#[inline(always)]
pub(super) fn after(history: u8, decision: bool) -> u8 {
    NEXT[usize::from(history)][usize::from(decision)]
}

/// How much a history knows, 0 to 61.
#[inline(always)]
pub(super) fn known(history: u8) -> u8 {
    KNOWN[usize::from(history)]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn behind(decisions: &[u8]) -> Remembered {
        let number =
            decisions.iter().fold(NONE, |history, decision| after(history, *decision == 1));
        Remembered::of(number)
    }

    #[test]
    fn few_decisions_are_remembered_and_then_the_row() {
        assert_eq!(behind(&[]), Few(1));
        assert_eq!(behind(&[1, 0, 0, 1]), Few(0b11001));
        assert_eq!(behind(&[1, 0, 0, 1, 1]), After(1, 2));
        assert_eq!(behind(&[0; 5]), Alike(0, 5));
        assert_eq!(behind(&[1; 99]), Alike(1, ALIKE));
        assert_eq!(behind(&[&[1; 99][..], &[0]].concat()), After(0, 1));
        assert_eq!(behind(&[&[1][..], &[0; 99]].concat()), After(0, AFTER));
    }

    #[test]
    fn each_number_is_one_history() {
        for number in 0..END as u8 {
            assert_eq!(Remembered::of(number).number(), number);
        }
        assert!(END <= 256 && NEXT.iter().flatten().all(|next| usize::from(*next) < END));
        assert_eq!((known(NONE), known(behind(&[0, 1, 1]).number())), (0, 3));
    }

    #[test]
    fn what_comes_at_first_is_what_came_last() {
        let at_first = |decisions: &[u8]| AT_FIRST[usize::from(behind(decisions).number())];
        assert_eq!(at_first(&[]), HALF);
        assert!(at_first(&[0]) < HALF && at_first(&[1]) > HALF);
        assert!(at_first(&[0, 1, 1]) < at_first(&[1, 1]));
    }
}
