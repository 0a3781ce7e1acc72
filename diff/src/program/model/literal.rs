//! New code, in which addresses stand as such: what is the same wherever it stands can so be found again.
//!
//! The fields of instructions that say a distance are turned into what they mean and back. How long an
//! instruction is never depends on its field, so the same fields are found in both forms; but of one that the end cuts
//! off, bytes that look like an instruction may be turned. A writer checks that what it turned comes back.

use super::aarch64::{self, Form};
use super::params::{Area, Content};
use super::rows::Rows;
use super::space::Space;
use super::version::Machine;
use super::x86_64::{LONGEST, decode};

/// Bytes before the literals that a sweep begins with, so that it is in step with the instructions.
pub(crate) const LEAD: usize = 64;

/// The code of a target's file.
pub(super) struct NewCode<'a> {
    pub(super) machine: Machine,
    pub(super) space: &'a Space,
    /// What stands where in the file, ascending.
    pub(super) areas: &'a [Area],
}

/// Which way a field is turned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Turn {
    /// Distances become addresses.
    ToAddress,
    /// Addresses become distances.
    ToDistance,
}

impl NewCode<'_> {
    /// Turns the fields of `bytes[lead..]`, which stand at `at` of the file; `bytes[..lead]`, at most
    /// [`LEAD`], are those before them, as they are in the file.
    pub(super) fn turn(&self, turn: Turn, bytes: &mut [u8], lead: usize, at: u64) {
        let end = at.saturating_add(bytes.len().saturating_sub(lead) as u64);
        for area in self.areas {
            let start = area.offset;
            let (from, to) = (start.max(at), (start + area.len).min(end));
            if from >= to {
                continue;
            }
            // Both lie in `bytes`: the first at most `lead` before `at`, the second not behind its end.
            let first = start.max(at.saturating_sub(lead as u64));
            let begin = (lead as u64 + first).saturating_sub(at) as usize;
            let stop = lead + (to - at) as usize;
            let Some(bytes) = bytes.get_mut(begin..stop) else { continue };
            match (area.content, Rows::of(area)) {
                (Content::Code, _) => match self.machine {
                    Machine::X86_64 => self.turn_area(turn, bytes, first, from),
                    Machine::AArch64 => self.turn_words(turn, bytes, first, from),
                },
                (_, Some(rows)) => rows.turn(turn, bytes, first, from),
                _ => {}
            }
        }
    }

    /// Turns the fields of code at `first` of the file that lie behind `from`.
    fn turn_area(&self, turn: Turn, code: &mut [u8], first: u64, from: u64) {
        let mut at = 0;
        while let Some(rest) = code.get(at..).filter(|rest| !rest.is_empty()) {
            let Some(instruction) = decode(rest.get(..LONGEST).unwrap_or(rest)) else {
                at += 1;
                continue;
            };
            if let Some((field, _)) = instruction.field {
                let place = first + (at + field) as u64;
                let behind = self.space.address(place);
                let behind =
                    behind.map(|address| address.wrapping_add((instruction.len - field) as u64));
                let bytes = code.get_mut(at + field..).and_then(|rest| rest.first_chunk_mut::<4>());
                if let (Some(behind), Some(bytes)) = (behind.filter(|_| place >= from), bytes) {
                    let base = self.space.distance(behind);
                    *bytes = match turn {
                        Turn::ToAddress => {
                            u32::from_le_bytes(*bytes).wrapping_add(base).to_be_bytes()
                        }
                        Turn::ToDistance => {
                            u32::from_be_bytes(*bytes).wrapping_sub(base).to_le_bytes()
                        }
                    };
                }
            }
            at += instruction.len;
        }
    }

    /// Turns the instructions of 4 bytes in code at `first` of the file that lie behind `from`.
    fn turn_words(&self, turn: Turn, code: &mut [u8], first: u64, from: u64) {
        let from = from.next_multiple_of(aarch64::LEN as u64);
        let skipped = from.saturating_sub(first) as usize;
        let words = code.get_mut(skipped..).unwrap_or_default().chunks_exact_mut(aarch64::LEN);
        for (place, bytes) in (from..).step_by(aarch64::LEN).zip(words) {
            let Some(bytes) = bytes.first_chunk_mut::<{ aarch64::LEN }>() else { continue };
            let word = u32::from_le_bytes(*bytes);
            let Some(form) = Form::of(word).filter(|form| form.is_turned()) else { continue };
            let Some(here) = self.space.address(place) else { continue };
            let (number, own) = (form.number(word), form.turned(self.space, here));
            let number = match turn {
                Turn::ToAddress => number.wrapping_add(own),
                Turn::ToDistance => number.wrapping_sub(own),
            };
            *bytes = form.with(word, number).to_le_bytes();
        }
    }
}

impl Form {
    /// Whether its number is turned.
    pub(super) fn is_turned(self) -> bool {
        matches!(self, Self::Call | Self::Page)
    }

    /// The number that says an address where it is turned: instructions or pages from the first address of a file.
    pub(super) fn turned(self, space: &Space, address: u64) -> u32 {
        if self == Self::Page { space.pages(address) } else { space.distance(address) >> 2 }
    }
}

#[cfg(all(test, feature = "encode"))]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::super::params::Segment;
    use super::*;
    use proptest::prelude::*;

    const FIRST: u64 = 0x40_0000;

    fn space() -> Space {
        Space::new(&[Segment { offset: 0, len: 100_000, address: FIRST, extra: 0 }])
    }

    fn turned(turn: Turn, bytes: &[u8], lead: usize, at: u64, areas: &[(u64, u64)]) -> Vec<u8> {
        let code = |&(offset, len): &(u64, u64)| Area { offset, len, content: Content::Code };
        let areas: Vec<Area> = areas.iter().map(code).collect();
        let mut bytes = bytes.to_vec();
        NewCode { machine: Machine::X86_64, space: &space(), areas: &areas }
            .turn(turn, &mut bytes, lead, at);
        bytes
    }

    #[test]
    fn a_call_says_what_it_calls() {
        let code = [0xe8, 0x10, 0, 0, 0, 0x90];
        let address = turned(Turn::ToAddress, &code, 0, 1000, &[(0, 2000)]);
        assert_eq!(address, [0xe8, 0, 0, 0x03, 0xfd, 0x90]);
        assert_eq!(turned(Turn::ToDistance, &address, 0, 1000, &[(0, 2000)]), code);
        let branch = [0x0f, 0x84, 1, 0, 0, 0, 0xe9, 0, 0, 0, 0];
        let address = turned(Turn::ToAddress, &branch, 0, 1000, &[(0, 2000)]);
        assert_eq!(address, [0x0f, 0x84, 0, 0, 0x03, 0xef, 0xe9, 0, 0, 0x03, 0xf3]);
    }

    #[test]
    fn what_lies_outside_stays() {
        let code = [0xe8, 0x10, 0, 0, 0];
        for areas in [&[][..], &[(0, 1000)], &[(1005, 10)], &[(0, 1004)], &[(1001, 10)]] {
            assert_eq!(turned(Turn::ToAddress, &code, 0, 1000, areas), code, "{areas:?}");
        }
        // There is no memory for it.
        assert_eq!(turned(Turn::ToAddress, &code, 0, 200_000, &[(0, 300_000)]), code);
    }

    #[test]
    fn an_instruction_may_begin_before() {
        // 48 8d 05 and four bytes: the field is new, what stands before it is not.
        let code = [0x48, 0x8d, 0x05, 0x10, 0, 0, 0];
        let areas = [(900, 200)];
        let turned_to = turned(Turn::ToAddress, &code, 3, 1003, &areas);
        assert_eq!(turned_to, [0x48, 0x8d, 0x05, 0, 0, 0x03, 0xff]);
        // A field that begins before stays.
        assert_eq!(turned(Turn::ToAddress, &code, 4, 1004, &areas), code);
    }

    #[test]
    fn calls_and_pages_of_words_are_turned() {
        let areas = [Area { offset: 0, len: 9999, content: Content::Code }];
        let turned = |turn, words: &[u32], lead: usize, at| -> Vec<u32> {
            let mut bytes: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
            let (machine, space) = (Machine::AArch64, &space());
            NewCode { machine, space, areas: &areas }.turn(turn, &mut bytes, lead, at);
            bytes.chunks(4).map(|word| u32::from_le_bytes(word.try_into().unwrap())).collect()
        };
        // BL, B, B.NE, ADRP and ADD: from 0x401000 on, the BL 4 bytes behind.
        let words = [0xd503_201f, 0x97ff_ffff, 0x1400_0002, 0x5400_0021, 0xb000_0021, 0x911f_c021];
        let there = turned(Turn::ToAddress, &words, 0, 4096);
        let wanted = [0xd503_201f, 0x9400_0400, 0x1400_0002, 0x5400_0021, 0xd000_0021, 0x911f_c021];
        assert_eq!(there, wanted);
        assert_eq!(turned(Turn::ToDistance, &there, 0, 4096), words);
        // What stands before, or is cut, stays.
        let half = turned(Turn::ToAddress, &words, 8, 4104);
        assert_eq!((half[1], half[4]), (words[1], wanted[4]));
        assert_eq!(turned(Turn::ToAddress, &words, 6, 4102)[1], words[1]);
        assert_eq!(turned(Turn::ToAddress, &words, 0, 4097)[1], words[1]);
    }

    proptest! {
        #[test]
        fn words_come_back(
            tops in prop::collection::vec(prop_oneof![Just(0x94u8), Just(0xb0), any::<u8>()], 0..40),
            rest: u64,
            lead in 0usize..=LEAD,
            at in 64u64..1000,
        ) {
            let words = tops.iter().zip(1..).flat_map(|(&top, n)| {
                (u32::from(top) << 24 | rest.wrapping_mul(n) as u32 >> 8).to_le_bytes()
            });
            let code: Vec<u8> = words.collect();
            let lead = lead.min(code.len());
            let areas = [Area { offset: 30, len: 970, content: Content::Code }];
            let (machine, space) = (Machine::AArch64, &Space::new(&[Segment {
                offset: 0, len: 900, address: rest >> 1, extra: 0,
            }]));
            let new = NewCode { machine, space, areas: &areas };
            let mut bytes = code.clone();
            new.turn(Turn::ToAddress, &mut bytes, lead, at);
            prop_assert_eq!(&bytes[..lead], &code[..lead]);
            new.turn(Turn::ToDistance, &mut bytes, lead, at);
            prop_assert_eq!(bytes, code);
        }

        #[test]
        fn what_is_turned_comes_back(
            code in prop::collection::vec(prop_oneof![2 => Just(0xe8u8), 1 => Just(0x8du8), 3 => any::<u8>()], 0..300),
            lead in 0usize..=LEAD,
            at in 64u64..1000,
            start in 0u64..1200,
        ) {
            // No instruction is cut off.
            let code = [code, vec![0x90; LONGEST]].concat();
            let lead = lead.min(code.len());
            let area = [(start, 2000)];
            let there = turned(Turn::ToAddress, &code, lead, at, &area);
            prop_assert_eq!(&there[..lead], &code[..lead]);
            prop_assert_eq!(turned(Turn::ToDistance, &there, lead, at, &area), code);
        }
    }
}
