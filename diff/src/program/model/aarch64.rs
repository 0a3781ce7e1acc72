//! A64 instructions that say an address: part of the format, never to be changed (docs/delta-format.md, "AArch64").
//!
//! Arm Architecture Reference Manual for A-profile (DDI 0487), C4.1 "A64 instruction set encoding" and C6.2, under the
//! names of the instructions.

/// Bytes of an instruction.
pub(super) const LEN: usize = 4;

/// What an instruction does with the address in its field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// BL: calls it.
    Call,
    /// B: goes there.
    Jump,
    /// B.cond, CBZ, CBNZ: goes there on a condition.
    Branch,
    /// TBZ, TBNZ: the same, nearer.
    Test,
    /// LDR, LDRSW, PRFM (literal): reads what stands there.
    Literal,
    /// ADR: takes the address itself.
    Address,
    /// ADRP: takes the address of its page of 4096 bytes.
    Page,
    /// ADD of 64 bits: adds the low 12 bits of the address to that of its page.
    Add,
    /// LDR and STR of all kinds with an unsigned offset: reads or writes what stands so many bytes, shifted right by this
    /// many bits, behind a page.
    Access(u8),
}

/// The bits of a field that is not in two parts: the lowest one, and how many.
#[derive(Debug, Clone, Copy)]
struct Bits(u32, u32);

impl Form {
    /// The form of an instruction, if it has a field.
    pub(super) fn of(word: u32) -> Option<Self> {
        Some(match word >> 24 {
            0x94..=0x97 => Self::Call,
            0x14..=0x17 => Self::Jump,
            0x54 | 0x34 | 0x35 | 0xb4 | 0xb5 => Self::Branch,
            0x36 | 0x37 | 0xb6 | 0xb7 => Self::Test,
            0x10 | 0x30 | 0x50 | 0x70 => Self::Address,
            0x90 | 0xb0 | 0xd0 | 0xf0 => Self::Page,
            // Not shifted by 12 bits.
            0x91 if word & 0x00c0_0000 == 0 => Self::Add,
            top if top & 0x3b == 0x18 => Self::Literal,
            top if top & 0x3b == 0x39 => {
                // A vector of 16 bytes has the size of a byte, and a further bit.
                let is_whole = word & 0x0480_0000 == 0x0480_0000 && word >> 30 == 0;
                Self::Access(if is_whole { 4 } else { (word >> 30) as u8 })
            }
            _ => return None,
        })
    }

    /// Where its field is; none of one in two parts.
    fn bits(self) -> Option<Bits> {
        match self {
            Self::Call | Self::Jump => Some(Bits(0, 26)),
            Self::Branch | Self::Literal => Some(Bits(5, 19)),
            Self::Test => Some(Bits(5, 14)),
            Self::Add | Self::Access(_) => Some(Bits(10, 12)),
            Self::Address | Self::Page => None,
        }
    }

    /// The bits of its field.
    #[cfg(feature = "encode")]
    pub(super) fn mask(self) -> u32 {
        self.with(0, u32::MAX)
    }

    /// The number in its field.
    pub(super) fn number(self, word: u32) -> u32 {
        match self.bits() {
            Some(Bits(lowest, count)) => word >> lowest & ((1 << count) - 1),
            None => word >> 29 & 3 | (word >> 5 & 0x7_ffff) << 2,
        }
    }

    /// The instruction with the low bits of another number in its field.
    pub(super) fn with(self, word: u32, number: u32) -> u32 {
        match self.bits() {
            Some(Bits(lowest, count)) => {
                let mask = ((1 << count) - 1) << lowest;
                word & !mask | number << lowest & mask
            }
            None => word & !0x60ff_ffe0 | (number & 3) << 29 | (number >> 2 & 0x7_ffff) << 5,
        }
    }

    /// The address that an instruction at `here` means; of one that adds to a page, what it adds.
    pub(super) fn target(self, word: u32, here: u64) -> u64 {
        let number = self.number(word);
        let signed = |bits: u32| i64::from((number << (32 - bits)).cast_signed() >> (32 - bits));
        match self {
            Self::Add => u64::from(number),
            Self::Access(shift) => u64::from(number) << shift,
            Self::Address => here.wrapping_add_signed(signed(21)),
            Self::Page => (here & !0xfff).wrapping_add_signed(signed(21) << 12),
            Self::Call | Self::Jump => here.wrapping_add_signed(signed(26) << 2),
            Self::Branch | Self::Literal => here.wrapping_add_signed(signed(19) << 2),
            Self::Test => here.wrapping_add_signed(signed(14) << 2),
        }
    }

    /// The instruction at `here` that means an address, as far as its field holds it.
    pub(super) fn meaning(self, word: u32, target: u64, here: u64) -> u32 {
        let number = match self {
            Self::Add => target & 0xfff,
            Self::Access(shift) => (target & 0xfff) >> shift,
            Self::Address => target.wrapping_sub(here),
            Self::Page => (target >> 12).wrapping_sub(here >> 12),
            _ => target.wrapping_sub(here) >> 2,
        };
        self.with(word, number as u32)
    }

    /// Whether it goes somewhere, as a rule in its own function.
    pub(super) fn is_local(self) -> bool {
        matches!(self, Self::Jump | Self::Branch | Self::Test)
    }

    /// Its part of a class: a number below 5, and whether it is the second one with that.
    pub(super) fn class(self) -> (u8, bool) {
        match self {
            Self::Call => (0, false),
            Self::Jump => (1, false),
            Self::Branch => (2, false),
            Self::Test => (2, true),
            Self::Page => (3, false),
            Self::Address | Self::Literal => (3, true),
            Self::Add => (4, false),
            Self::Access(_) => (4, true),
        }
    }
}

/// The register that an instruction writes, of those that have the address of a page.
pub(super) fn first(word: u32) -> usize {
    (word & 31) as usize
}

/// The register that an instruction adds to.
pub(super) fn second(word: u32) -> usize {
    (word >> 5 & 31) as usize
}

/// What an instruction leaves of what registers held.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Leaves {
    /// All.
    All,
    /// All but these registers; twice the same where it is one.
    AllBut(usize, usize),
    /// What a function that is called keeps: x19 to x29.
    Kept,
    /// Nothing: what follows is reached from elsewhere.
    Nothing,
}

/// What an instruction leaves of general registers, about: what is not in the table leaves all.
pub(super) fn leaves(word: u32) -> Leaves {
    let (one, pair) = (first(word), (word >> 10 & 31) as usize);
    match word >> 25 & 15 {
        // Data processing, immediate and register.
        0b1000 | 0b1001 | 0b0101 | 0b1101 => Leaves::AllBut(one, one),
        // Branches: BL, BLR; B, BR, RET.
        0b1010 | 0b1011 => match word >> 24 {
            0x94..=0x97 => Leaves::Kept,
            0x14..=0x17 => Leaves::Nothing,
            0xd6 if word >> 21 & 3 == 1 => Leaves::Kept,
            0xd6 => Leaves::Nothing,
            _ => Leaves::All,
        },
        // Loads of general registers; stores of them leave all.
        0b0100 | 0b1100 if word & 0x0400_0000 == 0 => match word >> 24 & 0x3b {
            0x28 | 0x29 if word & 1 << 22 != 0 => Leaves::AllBut(one, pair),
            0x38 | 0x39 if word & 3 << 22 != 0 => Leaves::AllBut(one, one),
            0x18 => Leaves::AllBut(one, one),
            0x08 if word & 1 << 22 != 0 => Leaves::AllBut(one, one),
            _ => Leaves::All,
        },
        _ => Leaves::All,
    }
}

#[cfg(all(test, feature = "encode"))]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    const HERE: u64 = 0x2a_0238;

    /// Instructions at `HERE`, with the addresses that GNU objdump says they mean; of those that add, what they add.
    const KNOWN: [(u32, Form, u64); 24] = [
        (0x97f9_e80a, Form::Call, 0x11_a260),
        (0x9442_16af, Form::Call, 0x132_5cf4),
        (0x1441_587d, Form::Jump, 0x12f_642c),
        (0x1400_000b, Form::Jump, 0x2a_0264),
        (0x5400_01a0, Form::Branch, 0x2a_026c),
        (0x54ff_fe41, Form::Branch, 0x2a_0200),
        (0xb400_0101, Form::Branch, 0x2a_0258),
        (0x35ff_ffe8, Form::Branch, 0x2a_0234),
        (0x3600_0048, Form::Test, 0x2a_0240),
        (0xb707_ffe8, Form::Test, 0x2a_0234),
        (0x5800_0048, Form::Literal, 0x2a_0240),
        (0x98ff_ffe8, Form::Literal, 0x2a_0234),
        (0x1c00_0041, Form::Literal, 0x2a_0240),
        (0x1000_0040, Form::Address, 0x2a_0240),
        (0x70ff_ffe0, Form::Address, 0x2a_0237),
        (0xb000_9bc1, Form::Page, 0x161_9000),
        (0x90ff_ffe0, Form::Page, 0x29_c000),
        (0x911f_c021, Form::Add, 0x7f0),
        (0xf947_fd08, Form::Access(3), 0xff8),
        (0xb940_0508, Form::Access(2), 4),
        (0x79c0_0508, Form::Access(1), 2),
        (0x3940_0508, Form::Access(0), 1),
        (0x3dc0_0500, Form::Access(4), 16),
        (0xfd00_0500, Form::Access(3), 8),
    ];

    #[test]
    fn fields_mean_what_the_manual_says() {
        for (word, form, target) in KNOWN {
            assert_eq!(Form::of(word), Some(form), "{word:x}");
            assert_eq!(form.target(word, HERE), target, "{word:x}");
            assert_eq!(form.meaning(word & !form.mask(), target, HERE), word, "{word:x}");
            assert_eq!(form.meaning(word | form.mask(), target, HERE), word, "{word:x}");
            assert_eq!(Form::of(word ^ form.mask()), Some(form), "{word:x}");
        }
    }

    #[test]
    fn what_has_no_field_has_no_form() {
        // NOP, RET, MOV, ADD of 32 bits and shifted, ADDS, SUB, LDP, LDUR, BR, MRS, UDF.
        for word in [
            0xd503_201f,
            0xd65f_03c0,
            0xaa14_03e0,
            0x1100_0421,
            0x9140_0421,
            0xb100_0421,
            0xd100_0421,
            0xa941_4ff4,
            0xf841_0261,
            0xd61f_0100,
            0xd53b_d048,
            0,
        ] {
            assert_eq!(Form::of(word), None, "{word:x}");
        }
    }

    #[test]
    fn a_field_holds_the_low_bits_of_what_it_cannot() {
        assert_eq!(Form::Test.meaning(0x3600_0048, HERE + (1 << 16), HERE), 0x3600_0008);
        assert_eq!(Form::Call.meaning(0x9400_0000, HERE - 4, HERE), 0x97ff_ffff);
        assert_eq!(Form::Access(3).meaning(0xf940_0108, 0x1ffc, HERE), 0xf947_fd08);
    }

    #[test]
    fn registers_are_left_as_they_are_or_not() {
        for (word, left) in [
            (0xd503_201f, Leaves::All),
            (0x5400_01a0, Leaves::All),
            (0xaa14_03e0, Leaves::AllBut(0, 0)),
            (0x9100_4261, Leaves::AllBut(1, 1)),
            (0xb000_9bc1, Leaves::AllBut(1, 1)),
            (0xf940_0013, Leaves::AllBut(19, 19)),
            (0xa941_4ff4, Leaves::AllBut(20, 19)),
            (0xa901_4ff4, Leaves::All),
            (0xf900_0013, Leaves::All),
            (0x3dc0_0500, Leaves::All),
            (0x5800_0048, Leaves::AllBut(8, 8)),
            (0xc85f_fc03, Leaves::AllBut(3, 3)),
            (0xc804_fc03, Leaves::All),
            (0x1e60_4020, Leaves::All),
            (0x97f9_e80a, Leaves::Kept),
            (0xd63f_0100, Leaves::Kept),
            (0x1400_000b, Leaves::Nothing),
            (0xd61f_0100, Leaves::Nothing),
            (0xd65f_03c0, Leaves::Nothing),
        ] {
            assert_eq!(leaves(word), left, "{word:x}");
        }
    }

    /// What GNU objdump prints of instructions, which stand at address 0 one after the other, where it is installed.
    fn disassembled(words: &[u32]) -> Option<Vec<String>> {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("code");
        let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
        std::fs::write(&file, bytes).unwrap();
        let mut command = std::process::Command::new("aarch64-linux-gnu-objdump");
        let output =
            command.args(["-Dz", "-b", "binary", "-m", "aarch64"]).arg(&file).output().ok()?;
        let text = String::from_utf8(output.stdout).unwrap();
        let lines = text.lines().filter_map(|line| line.splitn(3, '\t').nth(2));
        Some(lines.map(|line| line.split("//").next().unwrap_or(line).trim().to_owned()).collect())
    }

    /// The number at the end of an operand.
    fn last_number(text: &str) -> Option<u64> {
        let text = text.trim_end_matches(']').rsplit([' ', '\t', '#']).next()?;
        match text.strip_prefix("0x") {
            Some(digits) => u64::from_str_radix(digits, 16).ok(),
            None => text.parse().ok(),
        }
    }

    #[test]
    fn objdump_finds_the_same_fields() {
        let mut state = 1u64;
        let words: Vec<u32> = (0..40_000)
            .map(|_| {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                (state >> 32) as u32
            })
            .collect();
        let Some(lines) = disassembled(&words) else { return };
        assert_eq!(lines.len(), words.len());
        let mut seen = 0;
        for (number, (&word, line)) in words.iter().zip(&lines).enumerate() {
            let name = line.split(['\t', ' ']).next().unwrap();
            let is_plain = !line.contains(['[', '#']);
            // ADR of vectors is another instruction.
            let is_branch = !line.contains("\tz")
                && (matches!(name, "b" | "bl" | "cbz" | "cbnz" | "tbz" | "tbnz" | "adr" | "adrp")
                    || name.starts_with("b.")
                    || name.starts_with("bc.")
                    || matches!(name, "ldr" | "ldrsw" | "prfm") && is_plain);
            let form = Form::of(word);
            let found = form.map(|form| form.target(word, 4 * number as u64));
            if is_branch {
                assert_eq!(found, last_number(line), "{word:x} {line}");
                seen += 1;
            } else if let Some(form @ (Form::Add | Form::Access(_))) = form
                && !line.starts_with(".inst")
            {
                // Without a number it is 0; ADD of 0 from or to the stack is MOV.
                let has = line.contains('#');
                assert_eq!(found, if has { last_number(line) } else { Some(0) }, "{word:x} {line}");
                assert!(has || found == Some(0), "{form:?} {line}");
                seen += 1;
            } else {
                let unknown = line.starts_with(".inst") || name.starts_with("prfm");
                assert!(form.is_none() || unknown, "{word:x} {line}");
            }
        }
        assert!(seen > 5000, "{seen}");
    }
}
