//! New code, in which addresses stand as such: what is the same wherever it stands can so be found again.
//!
//! The fields of instructions that say a distance are turned into what they mean and back. How long an
//! instruction is never depends on its field, so the same fields are found in both forms; but of one that the end cuts
//! off, bytes that look like an instruction may be turned. A writer checks that what it turned comes back.

use super::instruction::{LONGEST, decode};
use super::params::{Area, Content};
use super::rows::Rows;
use super::space::Space;

/// Bytes before the literals that a sweep begins with, so that it is in step with the instructions.
pub(crate) const LEAD: usize = 64;

/// The code of a target's file.
pub(super) struct NewCode<'a> {
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
                (Content::Code, _) => self.turn_area(turn, bytes, first, from),
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
        NewCode { space: &space(), areas: &areas }.turn(turn, &mut bytes, lead, at);
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

    proptest! {
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
