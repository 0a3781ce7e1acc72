//! Lengths of x86-64 instructions, and where in them an address stands: part of the format, never to be
//! changed (docs/delta-format.md, "x86-64").
//!
//! Opcode maps as in the manuals of AMD and Intel. What the tables do not know as an instruction of 64-bit mode
//! has no length; a sweep goes on at the next byte.

/// Bytes of the longest instruction.
pub(super) const LONGEST: usize = 15;

/// An instruction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Instruction {
    pub(crate) len: usize,
    /// A field of four bytes that says an address as its distance from the end of the instruction.
    pub(super) field: Option<(usize, Form)>,
}

/// What an instruction does with the address in its field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// Calls it.
    Call,
    /// Goes there.
    Jump,
    /// Goes there on a condition.
    Branch,
    /// Takes the address itself.
    Lea,
    /// Reads or writes what stands there.
    Memory,
}

/// What follows an opcode.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Shape {
    Invalid,
    /// So many bytes.
    Plain(usize),
    /// Operands in a ModRM byte, then so many bytes.
    Operands(usize),
    /// The distance of a target.
    Target(Form),
}

/// Immediates of two or four bytes, by the prefix that makes operands short.
struct Prefixes {
    short: bool,
    wide: bool,
    short_address: bool,
}

impl Prefixes {
    fn immediate(&self) -> usize {
        if self.short && !self.wide { 2 } else { 4 }
    }
}

/// The instruction at the start of `code`; `None` if there is none or its end is not there.
pub(crate) fn decode(code: &[u8]) -> Option<Instruction> {
    let code = code.get(..LONGEST).unwrap_or(code);
    let mut prefixes = Prefixes { short: false, wide: false, short_address: false };
    let mut at = 0;
    let mut opcode = *code.first()?;
    while let 0x66 | 0x67 | 0xf0 | 0xf2 | 0xf3 | 0x2e | 0x36 | 0x3e | 0x26 | 0x64 | 0x65 = opcode {
        prefixes.short |= opcode == 0x66;
        prefixes.short_address |= opcode == 0x67;
        at += 1;
        opcode = *code.get(at)?;
    }
    if opcode & 0xf0 == 0x40 {
        prefixes.wide = opcode & 8 != 0;
        at += 1;
        opcode = *code.get(at)?;
    }
    at += 1;
    let shape = match opcode {
        0x0f => two_bytes(code, &mut at)?,
        0xc5 => {
            at += 2;
            vector(1, *code.get(at - 1)?)
        }
        0xc4 => {
            at += 3;
            vector(code.get(at - 3)? & 31, *code.get(at - 1)?)
        }
        0x62 => {
            at += 4;
            vector(code.get(at - 4)? & 7, *code.get(at - 1)?)
        }
        // XOP of AMD, else POP with operands.
        0x8f if code.get(at)? & 31 >= 8 => {
            at += 3;
            match code.get(at - 3)? & 31 {
                8 => Shape::Operands(1),
                9 => Shape::Operands(0),
                10 => Shape::Operands(4),
                _ => Shape::Invalid,
            }
        }
        _ => one_byte(opcode, &prefixes, code.get(at).copied()),
    };
    match shape {
        Shape::Invalid => None,
        Shape::Plain(behind) => whole(code, at + behind, None),
        Shape::Target(form) => whole(code, at + 4, Some((at, form))),
        Shape::Operands(behind) => {
            let form = if opcode == 0x8d { Form::Lea } else { Form::Memory };
            let (len, is_field) = operands(code, at)?;
            let field = (is_field && !prefixes.short_address).then_some((at + 1, form));
            whole(code, at + len + behind, field)
        }
    }
}

fn whole(code: &[u8], len: usize, field: Option<(usize, Form)>) -> Option<Instruction> {
    (len <= code.len()).then_some(Instruction { len, field })
}

/// Bytes of a ModRM byte and what belongs to it; whether that is an address by its distance.
fn operands(code: &[u8], at: usize) -> Option<(usize, bool)> {
    let modrm = *code.get(at)?;
    let (mode, place) = (modrm >> 6, modrm & 7);
    if mode == 3 {
        return Some((1, false));
    }
    let scaled = usize::from(place == 4);
    let base = if scaled == 1 { code.get(at + 1)? & 7 } else { place };
    let distance = match (mode, base) {
        (0, 5) | (2, _) => 4,
        (1, _) => 1,
        _ => 0,
    };
    Some((1 + scaled + distance, mode == 0 && place == 5))
}

fn one_byte(opcode: u8, prefixes: &Prefixes, next: Option<u8>) -> Shape {
    let z = prefixes.immediate();
    // TEST has an immediate, what shares its opcode has none.
    let tests = next.is_some_and(|modrm| modrm & 0x30 == 0);
    match opcode {
        0x00..=0x3f => match opcode & 7 {
            0..=3 => Shape::Operands(0),
            4 => Shape::Plain(1),
            5 => Shape::Plain(z),
            _ => Shape::Invalid,
        },
        0x50..=0x5f | 0x6c..=0x6f | 0x90..=0x99 | 0x9b..=0x9f => Shape::Plain(0),
        0x63 | 0x84..=0x8f | 0xd0..=0xd3 | 0xd8..=0xdf | 0xfe | 0xff => Shape::Operands(0),
        0x68 | 0xa9 => Shape::Plain(z),
        0x69 | 0x81 | 0xc7 => Shape::Operands(z),
        0x6a | 0x70..=0x7f | 0xa8 | 0xb0..=0xb7 | 0xcd | 0xe0..=0xe7 | 0xeb => Shape::Plain(1),
        0x6b | 0x80 | 0x83 | 0xc0 | 0xc1 | 0xc6 => Shape::Operands(1),
        0xa0..=0xa3 => Shape::Plain(if prefixes.short_address { 4 } else { 8 }),
        0xa4..=0xa7 | 0xaa..=0xaf | 0xc3 | 0xc9 | 0xcb | 0xcc | 0xcf | 0xd7 | 0xec..=0xef => {
            Shape::Plain(0)
        }
        0xf1 | 0xf4 | 0xf5 | 0xf8..=0xfd => Shape::Plain(0),
        0xb8..=0xbf => Shape::Plain(if prefixes.wide { 8 } else { z }),
        0xc2 | 0xca => Shape::Plain(2),
        0xc8 => Shape::Plain(3),
        0xe8 => Shape::Target(Form::Call),
        0xe9 => Shape::Target(Form::Jump),
        0xf6 => Shape::Operands(usize::from(tests)),
        0xf7 => Shape::Operands(if tests { z } else { 0 }),
        _ => Shape::Invalid,
    }
}

/// What follows 0F; `at` moves behind the opcode.
fn two_bytes(code: &[u8], at: &mut usize) -> Option<Shape> {
    let opcode = *code.get(*at)?;
    *at += 1;
    Some(match opcode {
        0x38 | 0x3a => {
            *at += 1;
            Shape::Operands(usize::from(opcode == 0x3a))
        }
        _ => escaped(opcode),
    })
}

/// What follows 0F and an opcode that names no further map.
fn escaped(opcode: u8) -> Shape {
    match opcode {
        0x80..=0x8f => Shape::Target(Form::Branch),
        0x05..=0x09 | 0x0b | 0x0e | 0x30..=0x37 | 0x77 => Shape::Plain(0),
        0xa0..=0xa2 | 0xa8..=0xaa | 0xc8..=0xcf => Shape::Plain(0),
        0x04 | 0x0a | 0x0c | 0x24..=0x27 | 0x39 | 0x3b..=0x3f | 0xa6 | 0xa7 => Shape::Invalid,
        0x0f | 0x70..=0x73 | 0xa4 | 0xac | 0xba | 0xc2 | 0xc4..=0xc6 => Shape::Operands(1),
        _ => Shape::Operands(0),
    }
}

/// What stands before an opcode: 66, REX.W and 67.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Before {
    pub(crate) short: bool,
    pub(crate) wide: bool,
    pub(crate) short_address: bool,
}

/// Whether a ModRM byte follows an opcode, and how many bytes come behind that and what belongs to it; of what is no
/// instruction nothing. Maps: 0 none, 1 behind 0F, 2 behind 0F 38, 3 behind 0F 3A, 4 and more those of vector prefixes.
pub(crate) fn behind_opcode(
    map: u8,
    opcode: u8,
    before: Before,
    operands: Option<u8>,
) -> (bool, u8) {
    let Before { short, wide, short_address } = before;
    let shape = match map {
        0 => one_byte(opcode, &Prefixes { short, wide, short_address }, operands),
        1 => escaped(opcode),
        2 => Shape::Operands(0),
        3 => Shape::Operands(1),
        _ => vector(map - VECTOR_MAPS, opcode),
    };
    match shape {
        Shape::Invalid => (false, 0),
        Shape::Plain(behind) => (false, behind as u8),
        Shape::Target(_) => (false, 4),
        Shape::Operands(behind) => (true, behind as u8),
    }
}

/// Maps of vector prefixes count from here.
pub(crate) const VECTOR_MAPS: u8 = 4;

/// What follows an opcode with a VEX or EVEX prefix, by its map.
fn vector(map: u8, opcode: u8) -> Shape {
    match (map, opcode) {
        (1, 0x77) => Shape::Plain(0),
        (1, 0x70..=0x73 | 0xc2 | 0xc4..=0xc6) | (3, _) => Shape::Operands(1),
        (1 | 2 | 5 | 6, _) => Shape::Operands(0),
        _ => Shape::Invalid,
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn of(code: &[u8]) -> Option<(usize, Option<(usize, Form)>)> {
        let padded = [code, &[0; LONGEST]].concat();
        decode(&padded).map(|instruction| (instruction.len, instruction.field))
    }

    #[test]
    fn lengths_are_those_of_the_manual() {
        let known: [(&[u8], usize); 20] = [
            (&[0x90], 1),
            (&[0x55], 1),
            (&[0x48, 0x89, 0xe5], 3),
            (&[0x48, 0x83, 0xec, 0x10], 4),
            (&[0x8b, 0x44, 0x24, 8], 4),
            (&[0x8b, 0x84, 0x24, 8, 0, 0, 0], 7),
            (&[0x8b, 0x04, 0x25, 8, 0, 0, 0], 7),
            (&[0x66, 0x81, 0xc1, 1, 2], 5),
            (&[0x48, 0xb8, 1, 2, 3, 4, 5, 6, 7, 8], 10),
            (&[0xb8, 1, 2, 3, 4], 5),
            (&[0xf6, 0xc1, 1], 3),
            (&[0xf7, 0xd8], 2),
            (&[0xc5, 0xf8, 0x77], 3),
            (&[0xc5, 0xfd, 0x6f, 0x07], 4),
            (&[0xc4, 0xe3, 0x7d, 0x39, 0xc1, 1], 6),
            (&[0x62, 0xf1, 0x7c, 0x48, 0x10, 0x47, 1], 7),
            (&[0x0f, 0x1f, 0x84, 0, 0, 0, 0, 0], 8),
            (&[0x66, 0x0f, 0x3a, 0x0f, 0xc1, 8], 6),
            (&[0xc8, 1, 2, 3], 4),
            (&[0x8f, 0xe9, 0x78, 0x01, 0xc8], 5),
        ];
        for (code, len) in known {
            assert_eq!(of(code), Some((len, None)), "{code:x?}");
        }
    }

    #[test]
    fn fields_with_addresses_are_found() {
        assert_eq!(of(&[0xe8, 0, 0, 0, 0]), Some((5, Some((1, Form::Call)))));
        assert_eq!(of(&[0xe9, 0, 0, 0, 0]), Some((5, Some((1, Form::Jump)))));
        assert_eq!(of(&[0x0f, 0x84, 0, 0, 0, 0]), Some((6, Some((2, Form::Branch)))));
        assert_eq!(of(&[0x48, 0x8d, 0x05, 0, 0, 0, 0]), Some((7, Some((3, Form::Lea)))));
        assert_eq!(of(&[0x80, 0x3d, 1, 0, 0, 0, 9]), Some((7, Some((2, Form::Memory)))));
        assert_eq!(
            of(&[0x48, 0xc7, 0x05, 1, 0, 0, 0, 9, 0, 0, 0]),
            Some((11, Some((3, Form::Memory))))
        );
        // Without the base register of a scaled index it is an address, not a distance.
        assert_eq!(of(&[0x8b, 0x04, 0x25, 8, 0, 0, 0]), Some((7, None)));
    }

    #[test]
    fn what_is_no_instruction_has_no_length() {
        for code in [&[0x06_u8][..], &[0x62, 0xf0, 0, 0, 0], &[0x0f, 0x0a], &[0x66; LONGEST]] {
            assert_eq!(of(code), None, "{code:x?}");
        }
        assert_eq!(decode(&[0xe8, 0, 0, 0]), None);
        assert_eq!(decode(&[]), None);
    }
}
