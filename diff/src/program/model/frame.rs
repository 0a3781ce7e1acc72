//! Finds what follows from addresses in the frame descriptions of a base's file (.eh_frame).
//!
//! System V ABI for AMD64, "Unwind Library Interface", and DWARF 4, 6.4. A description is known by what its own
//! fields say: there is no index, and one that is not wholly in the stretch is left.

use super::kind::{Begin, Kind, Unit};
use super::params::Area;
use super::stretch::{Reference, Stretch};
use super::version::Machine;

/// Bytes of the longest description, beside its length.
const LONGEST: u64 = 1 << 16;
/// References of a stretch behind which no advances are taken: what is counted for them has no more room.
const MOST: usize = 1 << 15;
/// Bytes before the address of the code that a description is for: its length and where its common part is.
const HEAD: u64 = 8;

/// A description.
struct Frame {
    /// Where it ends.
    end: u64,
    /// The address of the code, and bytes of that.
    code: u64,
    len: u64,
}

impl Stretch<'_> {
    /// The references of `from..to`, places of the file in the stretch.
    pub(super) fn frames(
        &self,
        area: &Area,
        (from, to): (u64, u64),
        code: (u64, u64),
        list: &mut Vec<Reference>,
    ) {
        let mut place = from.next_multiple_of(4);
        while place < to {
            let first = list.len();
            match self.near(place, code).map(|start| (start, self.frame(area, place, to, code))) {
                Some((start, Some((common, frame)))) => {
                    // The fields before this one stand before it.
                    list.push(common);
                    list.push(start);
                    list.push(Reference {
                        at: start.at + 4,
                        width: 4,
                        kind: Kind::Span(Begin::First, 0),
                        target: frame.code + frame.len,
                        change: frame.code,
                    });
                    self.advances(place + 8, &frame, list);
                    place = frame.end + HEAD;
                }
                other => {
                    list.extend(other.map(|(start, _)| start));
                    place += 4;
                }
            }
            debug_assert!(list.get(first..).is_some_and(|new| new.is_sorted_by_key(|r| r.at)));
        }
    }

    /// The description whose address of code stands at `place`, and the field that says its common part.
    fn frame(
        &self,
        area: &Area,
        place: u64,
        to: u64,
        code: (u64, u64),
    ) -> Option<(Reference, Frame)> {
        let begin = place.checked_sub(HEAD).filter(|&begin| begin >= self.base)?;
        let (_, len) = self.four(begin)?;
        let (at, back) = self.four(place - 4)?;
        let common = (place - 4).checked_sub(back).filter(|&common| common >= area.offset)?;
        if !(13..=LONGEST).contains(&len) || !len.is_multiple_of(4) || back == 0 {
            return None;
        }
        let end = (place - 4) + len;
        if end > to {
            return None;
        }
        let start = self.near(place, code)?.target;
        let (_, span) = self.four(place + 4)?;
        let span = span & 0xffff_ffff;
        let last = start.checked_add(span.checked_sub(1)?)?;
        if !self.is_code(last, code) {
            return None;
        }
        let moved = self.target.wrapping_sub(self.base);
        let common = Reference { at, width: 4, kind: Kind::Back, target: common, change: moved };
        Some((common, Frame { end, code: start, len: span }))
    }

    /// What a description says of its code behind its augmentation, which begins at `place`.
    fn advances(&self, place: u64, frame: &Frame, list: &mut Vec<Reference>) {
        let Some(rest) = self.bytes.get((place - self.base) as usize..) else { return };
        let rest = rest.get(..(frame.end - place) as usize).unwrap_or_default();
        let Some((&augmentation, _)) = rest.split_first() else { return };
        match (self.machine, augmentation) {
            (_, 4) => list.extend(self.pointed(place + 1, 4)),
            (Machine::AArch64, 8) => list.extend(self.pointed(place + 1, 8)),
            _ => {}
        }
        let mut program = Program { bytes: rest, at: 1 + usize::from(augmentation) };
        let unit = self.machine.unit(Program { ..program });
        let (mut address, mut begin) = (frame.code, Begin::First);
        while let Some((at, width, advance)) = program.next_advance() {
            if list.len() >= MOST {
                return;
            }
            let next = address.wrapping_add(advance << unit);
            let at = (place - self.base) as u32 + at as u32;
            let kind = if width == 0 { Kind::Short(begin, unit) } else { Kind::Span(begin, unit) };
            list.push(Reference { at, width: width.max(1), kind, target: next, change: address });
            (address, begin) = (next, Begin::Behind);
        }
    }

    /// So many bytes, 4 or 8, that say the distance of anything in the file from their own place.
    fn pointed(&self, place: u64, width: u8) -> Option<Reference> {
        let (at, value) = if width == 4 { self.four(place)? } else { self.eight(place)? };
        let (address, change) = self.field(place)?;
        let target = address.wrapping_add(value);
        self.from.place(target).filter(|_| value != 0)?;
        Some(Reference { at, width, kind: Kind::FromStart, target, change })
    }
}

impl Machine {
    /// What advances count: where instructions have 4 bytes, these, unless all of them could be bytes. What says it stands
    /// in the common part, which may not be in the stretch.
    fn unit(self, mut program: Program<'_>) -> Unit {
        match self {
            Self::X86_64 => 0,
            Self::AArch64 => loop {
                match program.next_advance() {
                    Some((_, _, advance)) if advance % 4 != 0 => return 2,
                    Some(_) => {}
                    None => return 0,
                }
            },
        }
    }
}

/// Instructions of a description.
struct Program<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Program<'_> {
    /// Where the next advance stands, the bytes of its operand (0: six bits of the instruction), and what it
    /// says; none at the end and behind what is not known.
    fn next_advance(&mut self) -> Option<(usize, u8, u64)> {
        loop {
            let at = self.at;
            let opcode = *self.bytes.get(at)?;
            self.at += 1;
            match opcode {
                0x40..=0x7f => return Some((at, 0, u64::from(opcode & 0x3f))),
                0x02 => return self.operand(1),
                0x03 => return self.operand(2),
                0x04 => return self.operand(4),
                0x80..=0xbf | 0x06..=0x08 | 0x0d | 0x0e | 0x13 | 0x2e => self.skip(1)?,
                0x05 | 0x09 | 0x0c | 0x11 | 0x12 => self.skip(2)?,
                0x00 | 0x0a | 0x0b | 0x2d | 0xc0..=0xff => {}
                _ => return None,
            }
        }
    }

    fn operand(&mut self, width: u8) -> Option<(usize, u8, u64)> {
        let at = self.at;
        self.at += usize::from(width);
        let bytes = self.bytes.get(at..self.at)?;
        Some((at, width, super::stretch::value(bytes)))
    }

    /// Goes over so many LEB128 integers.
    fn skip(&mut self, integers: usize) -> Option<()> {
        for _ in 0..integers {
            while self.bytes.get(self.at)? & 0x80 != 0 {
                self.at += 1;
            }
            self.at += 1;
        }
        Some(())
    }
}

#[cfg(all(test, feature = "encode"))]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::super::params::{Content, Params, Segment, SymbolTables};
    use super::super::version::{Machine, Version};
    use super::super::{Executable, Interval};
    use super::*;
    use crate::program::Source;

    const FIRST: u64 = 0x40_0000;
    /// Where descriptions begin; the code lies before, data at `DATA`.
    const FRAMES: u64 = 4096;
    const DATA: u64 = 8192;
    /// What is inserted into the code before `AT`, and before `DATA`.
    const AT: u64 = 1000;
    const SHIFT: u64 = 16;

    /// A common part, then descriptions of the code `(start, len, data, advances)`.
    fn frames(frames: Frames<'_>, shift: u64) -> Vec<u8> {
        let mut out = vec![0x14, 0, 0, 0, 0, 0, 0, 0];
        out.extend([0; 16]);
        for &(start, len, data, advances) in frames {
            let here = FRAMES + shift + out.len() as u64;
            let mut body = (here + 4 - FRAMES - shift).to_le_bytes()[..4].to_vec();
            body.extend(&start.wrapping_sub(here + 8).to_le_bytes()[..4]);
            body.extend(&len.to_le_bytes()[..4]);
            body.push(if data == 0 { 0 } else { 4 });
            if data > 0 {
                body.extend(&(data - here - 17).to_le_bytes()[..4]);
            }
            body.extend(advances);
            body.resize(body.len().next_multiple_of(4), 0);
            out.extend(&(body.len() as u64).to_le_bytes()[..4]);
            out.append(&mut body);
        }
        out
    }

    type Frames<'a> = &'a [(u64, u64, u64, &'a [u8])];

    /// What is predicted of `base` over a map in which [`SHIFT`] bytes are inserted twice; the classes.
    fn predicted(base: &[u8]) -> (Vec<u8>, Vec<u8>) {
        predicted_for(Machine::X86_64, base)
    }

    fn predicted_for(machine: Machine, base: &[u8]) -> (Vec<u8>, Vec<u8>) {
        let mut executable = model(machine, base.len() as u64);
        let mut read = |_: u64, _: &mut [u8]| Ok(());
        executable.begin(FRAMES, FRAMES + SHIFT, base, &mut read).unwrap();
        let (mut bytes, mut classes) = (base.to_vec(), vec![0; base.len()]);
        executable.predict(&mut bytes, &mut classes, base.len());
        (bytes, classes)
    }

    fn model(machine: Machine, len: u64) -> Executable {
        let segment = |extra| Segment { offset: 0, len: 90_000, address: FIRST, extra };
        let area = |offset, end, content| Area { offset, len: end - offset, content };
        let params = Params {
            source: Source::Base(0),
            offset: 0,
            len: 90_000,
            target_len: 90_000 + 2 * SHIFT,
            base: vec![segment(0)],
            target: vec![segment(2 * SHIFT)],
            lowest: 0,
            areas: vec![
                area(0, FRAMES, Content::Code),
                area(FRAMES, FRAMES + len, Content::Frames),
            ],
            new: Vec::new(),
            symbols: SymbolTables::default(),
            machine,
            version: Version::Second,
        };
        let interval = |base: u64, target: u64, end: u64| Interval {
            base: base as u32,
            target: target as u32,
            len: (end - base) as u32,
        };
        let map = [
            interval(0, 0, AT),
            interval(AT, AT + SHIFT, DATA),
            interval(DATA, DATA + 2 * SHIFT, 90_000),
        ];
        Executable::new(params, map.into_iter())
    }

    #[test]
    fn what_follows_from_addresses_is_predicted() {
        // The second piece of code has bytes inserted at 1000, 40 bytes behind its start.
        let base = frames(
            &[
                (100, 50, 0, &[0x41]),
                (960, 100, 9000, &[0x68, 2, 60, 0x0e, 16]),
                (1100, 8, 0, &[3, 7, 0]),
            ],
            0,
        );
        let wanted = frames(
            &[
                (100, 50, 0, &[0x41]),
                (960, 116, 9000 + 2 * SHIFT, &[0x68, 2, 76, 0x0e, 16]),
                (1116, 8, 0, &[3, 7, 0]),
            ],
            SHIFT,
        );
        assert_eq!(predicted(&base).0, wanted);
    }

    #[test]
    fn advances_may_count_instructions() {
        // 11 and 1 instructions; 16 bytes are inserted behind the tenth.
        let base = frames(&[(960, 100, 0, &[0x40 | 11, 0x41])], 0);
        let wanted = frames(&[(960, 116, 0, &[0x40 | 15, 0x41])], SHIFT);
        assert_eq!(predicted_for(Machine::AArch64, &base).0, wanted);
        assert_ne!(predicted(&base).0, wanted);
        // All of these may be bytes.
        let base = frames(&[(960, 100, 0, &[0x40 | 44, 2, 4])], 0);
        let wanted = frames(&[(960, 116, 0, &[0x40 | 60, 2, 4])], SHIFT);
        assert_eq!(predicted_for(Machine::AArch64, &base).0, wanted);
    }

    #[test]
    fn what_is_pointed_to_may_have_eight_bytes() {
        let wide = |data: u64, shift: u64| {
            let mut bytes = frames(&[(100, 50, data, &[0x44])], shift);
            bytes[24] += 4;
            bytes[24 + 16] = 8;
            bytes.splice(24 + 21..24 + 21, [0; 4]);
            bytes
        };
        let (base, wanted) = (wide(9000, 0), wide(9000 + 2 * SHIFT, SHIFT));
        assert_eq!(predicted_for(Machine::AArch64, &base).0, wanted);
        assert_ne!(predicted(&base).0, wanted);
    }

    #[test]
    fn advances_are_bounded() {
        let base = frames(&[(100, 50, 0, &[0x40; 60_000])], 0);
        let mut executable = model(Machine::X86_64, base.len() as u64);
        let mut read = |_: u64, _: &mut [u8]| Ok(());
        executable.begin(FRAMES, FRAMES, &base, &mut read).unwrap();
        assert_eq!(executable.addresses(), MOST);
    }

    #[test]
    fn a_span_that_does_not_fit_stays() {
        let base = frames(&[(980, 100, 0, &[0x40 | 60, 2, 250])], 0);
        // 60 and 16 are more than six bits hold, 250 and 16 more than a byte.
        let (bytes, _) = predicted(&base);
        assert_eq!(bytes[24 + 17], 0x40 | 60);
        assert_eq!(bytes[24 + 12], 116);
    }

    #[test]
    fn what_is_no_description_is_left() {
        let good = frames(&[(100, 50, 0, &[0x41])], 0);
        assert!(predicted(&good).1.contains(&245));
        for (at, byte) in [(24, 0xff), (27, 0xff), (26, 9), (28, 0), (29, 9), (36, 0), (38, 1)] {
            let mut base = good.clone();
            base[at] = byte;
            let classes = predicted(&base).1;
            assert!(!classes.contains(&245), "{at}");
        }
    }
}
