//! What holds an address, and the classes of its bytes.

use super::aarch64;
use super::x86_64::Form;

/// What holds an address; part of the class of its bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Four bytes of an instruction of x86-64.
    Code(Form),
    /// Bits of an instruction of AArch64; one that adds to a page stands so many instructions behind the one that takes it.
    Word(aarch64::Form, u8),
    Pointer,
    Near,
    FromStart,
    Symbol,
    Name,
    /// A table of exceptions.
    Table,
    /// How far from the start of a table a place of the file is.
    Offset,
    /// How far before it a place of the file is; its own place moves by `change`.
    Back,
    /// Bytes from the address `change` to the target.
    Span(Begin, Unit),
    /// The same in the low six bits of a byte.
    Short(Begin, Unit),
}

/// What stands where a span begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Begin {
    /// The first byte of something.
    First,
    /// The end of what stands before.
    Behind,
}

/// What a span counts: bytes, or instructions of so many bytes as a power of two.
pub(super) type Unit = u8;

impl Kind {
    /// The class of the first byte.
    pub(super) fn class(self, known: Known) -> u8 {
        match self {
            Self::Back => 241,
            Self::Span(..) => 245,
            Self::Short(..) => 249,
            Self::Word(form, _) if form.class().1 => 5 + (self.number() * 3 + known as u8) * 8,
            _ => 1 + (self.number() * 3 + known as u8) * 8,
        }
    }

    fn number(self) -> u8 {
        match self {
            Self::Code(form) => form as u8,
            Self::Word(form, _) => form.class().0,
            Self::Pointer => 5,
            Self::Near => 6,
            Self::FromStart | Self::Table => 7,
            Self::Symbol => 8,
            Self::Name | Self::Offset => 9,
            Self::Back | Self::Span(..) | Self::Short(..) => 10,
        }
    }
}

/// How a target was found; part of the class.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Known {
    Learned = 0,
    Mapped = 1,
    Near = 2,
}
