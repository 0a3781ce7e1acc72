//! New rows of tables, in which numbers stand as differences to those of the row before.

use super::literal::Turn;
use super::params::{Area, Content};

/// A table of rows.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rows {
    start: u64,
    /// Bytes of a row.
    len: u64,
    /// Distance from a number of four bytes that is turned to the next one.
    step: u64,
}

impl Rows {
    /// The rows of an area, if it has such.
    pub(super) fn of(area: &Area) -> Option<Self> {
        let (len, step) = match area.content {
            Content::FromStart | Content::Functions => (8, 4),
            Content::Symbols => (24, 24),
            _ => return None,
        };
        Some(Self { start: area.offset, len, step })
    }

    /// Turns the numbers of `bytes`, which stand at `first` of the file, from `from` on: to differences, or back.
    pub(super) fn turn(&self, turn: Turn, bytes: &mut [u8], first: u64, from: u64) {
        let lowest = from.max(first + self.len);
        let next = self.start + (lowest - self.start).next_multiple_of(self.step);
        let end = first + bytes.len() as u64;
        let count = end.saturating_sub(next).saturating_sub(3).div_ceil(self.step);
        let mut one = |number: u64| {
            let at = (next - first + number * self.step) as usize;
            let Some((before, rest)) = bytes.split_at_mut_checked(at) else { return };
            let before =
                before.get(at - self.len as usize..).and_then(|row| row.first_chunk::<4>());
            if let (Some(before), Some(here)) = (before, rest.first_chunk_mut::<4>()) {
                let (before, value) = (u32::from_le_bytes(*before), u32::from_le_bytes(*here));
                *here = match turn {
                    Turn::ToAddress => value.wrapping_sub(before),
                    Turn::ToDistance => value.wrapping_add(before),
                }
                .to_le_bytes();
            }
        };
        match turn {
            // Each is turned before the one that it is the base of.
            Turn::ToAddress => (0..count).rev().for_each(one),
            Turn::ToDistance => (0..count).for_each(&mut one),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const START: u64 = 100;

    fn turned(content: Content, turn: Turn, bytes: &[u8], first: u64, from: u64) -> Vec<u8> {
        let mut bytes = bytes.to_vec();
        let area = Area { offset: START, len: 1000, content };
        if let Some(rows) = Rows::of(&area) {
            rows.turn(turn, &mut bytes, first, from);
        }
        bytes
    }

    #[test]
    fn numbers_become_differences() {
        let rows: Vec<u8> =
            [10u32, 100, 15, 90, 15, 95].iter().flat_map(|n| n.to_le_bytes()).collect();
        let wanted: Vec<u8> = [10u32, 100, 5, 90u32.wrapping_sub(100), 0, 5]
            .iter()
            .flat_map(|n| n.to_le_bytes())
            .collect();
        let there = turned(Content::FromStart, Turn::ToAddress, &rows, START, START);
        assert_eq!(there, wanted);
        // What stands before them is what it is in the file.
        let last = turned(Content::Functions, Turn::ToAddress, &rows, START, START + 16);
        assert_eq!(last, [&rows[..16], &wanted[16..]].concat());
        assert_eq!(turned(Content::Code, Turn::ToAddress, &rows, START, START), rows);
    }

    #[test]
    fn of_symbols_the_name_is_turned() {
        let symbol = |name: u8| [vec![name, 0, 0, 0], vec![7; 20]].concat();
        let there = turned(
            Content::Symbols,
            Turn::ToAddress,
            &[symbol(5), symbol(9)].concat(),
            START + 24,
            START + 24,
        );
        assert_eq!(there, [symbol(5), symbol(4)].concat());
    }

    proptest! {
        #[test]
        fn what_is_turned_comes_back(
            bytes: Vec<u8>,
            first in START..START + 50,
            lead in 0u64..64,
            number in 0usize..3,
        ) {
            let content = [Content::FromStart, Content::Functions, Content::Symbols][number];
            let from = first + lead;
            let there = turned(content, Turn::ToAddress, &bytes, first, from);
            prop_assert_eq!(turned(content, Turn::ToDistance, &there, first, from), bytes);
        }
    }
}
