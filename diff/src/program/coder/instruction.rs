//! Where in an instruction for x86-64 the next byte stands, and what the instructions before it were.
//!
//! Bytes are taken one after the other; instructions are those of the tables of the models
//! (docs/delta-format.md, "Literals by mixing"). The idea is that of the models of x86 code of paq8 (M. Mahoney and others).

use super::super::model::x86_64::{Before, VECTOR_MAPS, behind_opcode};
use super::mixing::spread;

/// What the next byte is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Phase {
    /// A prefix or an opcode.
    #[default]
    Start = 0,
    /// The opcode behind REX.
    Opcode = 1,
    /// What follows 0F.
    Escaped = 2,
    Operands = 3,
    Scaled = 4,
    Distance = 5,
    Immediate = 6,
    /// The opcode of a map that was named.
    Mapped = 7,
    /// The rest of a prefix of vector instructions.
    Vector = 8,
}

/// The longest instruction.
const LONGEST: u8 = 15;

/// The instruction that the next byte belongs to, as far as it came.
#[derive(Debug, Clone, Copy, Default)]
struct Present {
    phase: Phase,
    /// Bytes so far.
    len: u8,
    /// Bytes that are left of the field or prefix.
    left: u8,
    /// Bytes behind the operands.
    behind: u8,
    /// The field is the distance of an address.
    is_address: bool,
    short: bool,
    short_address: bool,
    rex: u8,
    map: u8,
    opcode: u8,
    operands: u8,
    scaled: u8,
    /// Hashes of its bytes but those of fields, and of those of the present field.
    bytes: u32,
    field: u32,
}

/// Follows instructions.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Following {
    now: Present,
    /// What the last four instructions were, 16 bits each, and their operands; the latest lowest.
    ended: u64,
    operands: u32,
}

impl Following {
    pub(super) fn phase(&self) -> usize {
        self.now.phase as usize
    }

    /// The phase, the bytes left of a field, and whether that is the distance of an address; 9 bits.
    pub(super) fn state(&self) -> u32 {
        let Present { phase, left, is_address, .. } = self.now;
        phase as u32 | u32::from(left) << 4 | u32::from(is_address) << 8
    }

    pub(super) fn opcode(&self) -> usize {
        self.now.opcode.into()
    }

    /// The ModRM byte, 0 without one.
    pub(super) fn operands(&self) -> u32 {
        self.now.operands.into()
    }

    /// A hash of the instruction so far and the one before.
    pub(super) fn with_last(&self) -> u32 {
        spread(self.so_far(), self.ended as u32 & 0xffff)
    }

    fn so_far(&self) -> u32 {
        spread(self.now.bytes, self.state() ^ self.now.field)
    }

    /// A hash of the instruction so far, without bytes of fields.
    pub(super) fn begun(&self) -> u32 {
        self.now.bytes ^ self.state()
    }

    /// Contexts of the next byte; `recent` are the last four bytes, the latest lowest.
    #[inline]
    pub(super) fn contexts(&self, recent: u32) -> [u32; 8] {
        let Present { rex, map, opcode, operands, scaled, field, .. } = self.now;
        let (state, opcode) = (self.state(), u32::from(opcode));
        let (first, second) = (self.ended as u32, (self.ended >> 32) as u32);
        let so_far = self.so_far();
        let coarse = |keys: u32| keys & 0xf7f8_f7f8;
        [
            so_far,
            spread(so_far, first),
            spread(so_far, spread(first, second & 0xffff)),
            spread(state | u32::from(map) << 20, opcode | (recent & 0xff00) << 8),
            spread(spread(state, self.operands & 0xffff), opcode | u32::from(rex) << 8),
            spread(state, first & 0xffff | recent << 16),
            spread(
                spread(state, field),
                u32::from(operands & 0xc7) | u32::from(scaled) << 8 | 2 << 24,
            ),
            spread(spread(opcode, state ^ field), spread(coarse(first), coarse(second))),
        ]
    }

    /// Takes a byte.
    #[inline]
    pub(super) fn push(&mut self, byte: u8) {
        let now = &mut self.now;
        now.len += 1;
        if now.len > LONGEST {
            return self.end();
        }
        if matches!(now.phase, Phase::Distance | Phase::Immediate) {
            now.field = spread(now.field, u32::from(byte) + 1);
        } else {
            now.field = 0;
            now.bytes = spread(now.bytes, u32::from(byte) + 1);
        }
        match now.phase {
            Phase::Start => match byte {
                0x66 => now.short = true,
                0x67 => now.short_address = true,
                0xf0 | 0xf2 | 0xf3 | 0x2e | 0x36 | 0x3e | 0x26 | 0x64 | 0x65 => {}
                0x40..=0x4f => (now.rex, now.phase) = (byte, Phase::Opcode),
                _ => self.opens(byte),
            },
            Phase::Opcode => self.opens(byte),
            Phase::Escaped if matches!(byte, 0x38 | 0x3a) => {
                (now.map, now.phase) = (if byte == 0x38 { 2 } else { 3 }, Phase::Mapped);
            }
            Phase::Escaped | Phase::Mapped => self.names(byte),
            Phase::Vector => {
                // The first byte of a long prefix has the map; before it the map is that of the prefix itself.
                if now.map == 0 {
                    now.map = VECTOR_MAPS + (byte & if now.left == 3 { 7 } else { 31 });
                }
                now.left -= 1;
                if now.left == 0 {
                    now.phase = Phase::Mapped;
                }
            }
            Phase::Operands => self.operates(byte),
            Phase::Scaled => {
                now.scaled = byte;
                self.reaches(byte & 7);
            }
            Phase::Distance => {
                now.left -= 1;
                if now.left == 0 {
                    (now.field, now.is_address) = (0, false);
                    self.closes();
                }
            }
            Phase::Immediate => {
                now.left -= 1;
                if now.left == 0 {
                    self.end();
                }
            }
        }
    }

    /// An opcode, or a byte that names a map.
    fn opens(&mut self, byte: u8) {
        let now = &mut self.now;
        match byte {
            0x0f => (now.map, now.phase) = (1, Phase::Escaped),
            0xc5 => {
                (now.map, now.left, now.phase) = (VECTOR_MAPS + 1, 1, Phase::Vector);
            }
            0xc4 => (now.left, now.phase) = (2, Phase::Vector),
            0x62 => (now.left, now.phase) = (3, Phase::Vector),
            _ => self.names(byte),
        }
    }

    /// What follows by the tables: whether operands, and how many bytes.
    fn behind(&self, operands: Option<u8>) -> (bool, u8) {
        let Present { short, short_address, rex, map, opcode, .. } = self.now;
        let before = Before { short, wide: rex & 8 != 0, short_address };
        behind_opcode(map, opcode, before, operands)
    }

    /// The opcode.
    fn names(&mut self, byte: u8) {
        self.now.opcode = byte;
        let (has_operands, behind) = self.behind(None);
        let now = &mut self.now;
        now.is_address = matches!((now.map, byte), (0, 0xe8 | 0xe9) | (1, 0x80..=0x8f));
        if has_operands {
            now.phase = Phase::Operands;
        } else {
            now.behind = behind;
            self.closes();
        }
    }

    /// A ModRM byte.
    fn operates(&mut self, byte: u8) {
        self.now.operands = byte;
        self.now.behind = self.behind(Some(byte)).1;
        if byte >> 6 != 3 && byte & 7 == 4 {
            self.now.phase = Phase::Scaled;
        } else {
            self.reaches(byte & 7);
        }
    }

    /// The distance that belongs to a ModRM byte, by the low bits of it or of the SIB byte.
    fn reaches(&mut self, base: u8) {
        let now = &mut self.now;
        now.left = match now.operands >> 6 {
            0 if base == 5 => 4,
            1 => 1,
            2 => 4,
            _ => 0,
        };
        if now.left > 0 {
            now.is_address = now.operands & 0xc7 == 5;
            now.phase = Phase::Distance;
        } else {
            self.closes();
        }
    }

    /// What comes behind operands, or the end.
    fn closes(&mut self) {
        let now = &mut self.now;
        if now.behind > 0 {
            (now.left, now.phase) = (now.behind, Phase::Immediate);
        } else {
            self.end();
        }
    }

    fn end(&mut self) {
        let Present { map, opcode, operands, rex, .. } = self.now;
        let key = u32::from(opcode) << 3
            ^ u32::from(map) << 11
            ^ u32::from(operands >> 6)
            ^ if rex != 0 { 4 } else { 0 };
        self.ended = self.ended << 16 | u64::from(key & 0xffff);
        self.operands = self.operands << 8 | u32::from(operands);
        self.now = Present::default();
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::model::x86_64::decode;
    use super::*;
    use proptest::prelude::*;

    fn phases(code: &[u8]) -> Vec<Phase> {
        let mut following = Following::default();
        let mut phases = Vec::new();
        for &byte in code {
            phases.push(following.now.phase);
            following.push(byte);
        }
        assert_eq!(following.now.phase, Phase::Start, "{code:x?}");
        phases
    }

    #[test]
    fn each_part_of_an_instruction_is_known() {
        use Phase::*;
        // mov rax, [rsp + 8]; call; movups xmm0, [rax + 0x100]; vpand; test cl, 1
        assert_eq!(
            phases(&[0x48, 0x8b, 0x44, 0x24, 8]),
            [Start, Opcode, Operands, Scaled, Distance]
        );
        assert_eq!(
            phases(&[0xe8, 1, 2, 3, 4]),
            [Start, Immediate, Immediate, Immediate, Immediate]
        );
        let moved = [0x0f, 0x10, 0x80, 0, 1, 0, 0];
        assert_eq!(phases(&moved)[..4], [Start, Escaped, Operands, Distance]);
        assert_eq!(
            phases(&[0xc4, 0xe2, 0x79, 0x17, 0xc1]),
            [Start, Vector, Vector, Mapped, Operands]
        );
        assert_eq!(phases(&[0xf6, 0xc1, 1]), [Start, Operands, Immediate]);
        assert_eq!(phases(&[0x66, 0xc7, 0, 1, 2]), [Start, Start, Operands, Immediate, Immediate]);
    }

    #[test]
    fn addresses_are_told_from_other_fields() {
        let is_address = |code: &[u8]| {
            let mut following = Following::default();
            code.iter().for_each(|&byte| following.push(byte));
            following.state() >> 8 == 1
        };
        assert!(is_address(&[0xe8]) && is_address(&[0x0f, 0x84]) && is_address(&[0x8d, 5]));
        assert!(!is_address(&[0x8d, 0x85]) && !is_address(&[0xb8]));
        // An immediate behind an address.
        assert!(is_address(&[0x80, 5, 1]) && !is_address(&[0x80, 5, 1, 2, 3, 4]));
    }

    #[test]
    fn what_came_before_makes_other_contexts() {
        let contexts = |code: &[u8]| {
            let mut following = Following::default();
            code.iter().for_each(|&byte| following.push(byte));
            following.contexts(0)
        };
        let (push, pop) = (contexts(&[0x55, 0x48]), contexts(&[0x5d, 0x48]));
        assert_eq!(push[0], pop[0]);
        assert!(push[1] != pop[1] && push[7] != pop[7]);
    }

    proptest! {
        #[test]
        fn instructions_end_where_the_models_see_it(code: [u8; 15]) {
            let len = decode(&code).map(|instruction| instruction.len);
            let is_prefix = |byte: &&u8| matches!(
                **byte,
                0x40..=0x4f | 0x66 | 0x67 | 0xf0 | 0xf2 | 0xf3 | 0x2e | 0x36 | 0x3e | 0x26 | 0x64 | 0x65
            );
            let opcode = code.iter().find(|byte| !is_prefix(byte));
            // The models tell XOP from POP.
            prop_assume!(len.is_some() && opcode != Some(&0x8f));
            let mut following = Following::default();
            let mut ends = (1..).zip(code).filter_map(|(len, byte)| {
                let before = following.ended;
                following.push(byte);
                (before != following.ended || following.now.len == 0).then_some(len)
            });
            prop_assert_eq!(ends.next(), len);
        }
    }
}
