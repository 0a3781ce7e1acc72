//! Files that hold compressed members: what parts they are made of.

use std::io;
use std::ops::Range;

use dd_inspect::range::ReadAt;

use super::{elf, gzip, zip};

/// A range of bytes that are read like a file.
#[derive(Clone, Copy)]
pub(super) struct Window<'a> {
    pub bytes: &'a dyn ReadAt,
    pub start: u64,
    pub len: u64,
}

impl<'a> Window<'a> {
    /// The bytes of a range.
    pub(super) fn read(&self, offset: u64, len: u64) -> io::Result<Vec<u8>> {
        if offset.checked_add(len).is_none_or(|end| end > self.len) {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let len = usize::try_from(len).map_err(|_| io::ErrorKind::OutOfMemory)?;
        let mut bytes = vec![0; len];
        self.bytes.read_exact_at(&mut bytes, self.start + offset)?;
        Ok(bytes)
    }

    /// A range of it; what lies outside is cut off.
    pub(super) fn part(&self, range: &Range<u64>) -> Window<'a> {
        let start = range.start.min(self.len);
        let end = range.end.clamp(start, self.len);
        Window { bytes: self.bytes, start: self.start + start, len: end - start }
    }
}

/// What a part is for; parts of two files with the same label belong together.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Label {
    pub role: Role,
    /// The member's name.
    pub name: Box<[u8]>,
}

/// What a part is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Role {
    /// Before a member's data.
    Head,
    /// A member's data.
    Data,
    /// After a member's data.
    After,
    /// A member's record in a directory.
    Record,
    /// The end of the file.
    Tail,
}

/// How a part is coded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Coding {
    /// It is no member's data.
    Framing,
    /// Data as it is.
    Stored,
    /// A raw deflate stream; the length of its content as the file tells it, modulo 2^32.
    Deflate(u64),
}

/// A part of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Part {
    pub range: Range<u64>,
    pub label: Label,
    pub coding: Coding,
}

/// Parts under construction: they follow each other without a gap.
#[derive(Debug, Default)]
pub(super) struct Parts {
    pub list: Vec<Part>,
    pub end: u64,
}

impl Parts {
    /// Appends a part that ends at `end`; none if it would begin after that. An empty one is left out.
    pub(super) fn push(&mut self, end: u64, role: Role, name: &[u8], coding: Coding) -> Option<()> {
        if end < self.end {
            return None;
        }
        if end > self.end {
            let label = Label { role, name: name.into() };
            self.list.push(Part { range: self.end..end, label, coding });
            self.end = end;
        }
        Some(())
    }
}

/// Kinds of containers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Zip,
    Gzip,
    Elf,
}

/// What a file is by its first bytes; an archive may stand behind others (a script that starts it), and is known by its last ones.
pub(super) fn sniff(file: &Window<'_>) -> io::Result<Option<Kind>> {
    let start = file.read(0, file.len.min(6))?;
    Ok(match start[..] {
        [b'P', b'K', 3, 4, ..] => Some(Kind::Zip),
        [0x1f, 0x8b, 8, _, ..] => Some(Kind::Gzip),
        _ if elf::is_elf(&start) => Some(Kind::Elf),
        _ if zip::ends(file)? => Some(Kind::Zip),
        _ => None,
    })
}

/// The parts of a file, which cover it without gap; none if it is not what it looks like.
///
/// # Errors
/// What reading fails with.
pub(super) fn parts(kind: Kind, file: &Window<'_>) -> io::Result<Option<Vec<Part>>> {
    let parts = match kind {
        Kind::Zip => zip::parts(file),
        Kind::Gzip => gzip::parts(file),
        Kind::Elf => elf::parts(file),
    };
    match parts {
        Ok(parts) => Ok(parts.filter(|parts| covers(parts, file.len))),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(None),
        Err(error) => Err(error),
    }
}

fn covers(parts: &[Part], len: u64) -> bool {
    let end = parts.iter().try_fold(0, |end, part| {
        (part.range.start == end && part.range.end > end).then_some(part.range.end)
    });
    end == Some(len)
}

/// The little-endian integer of `N` bytes at a place.
pub(super) fn le<const N: usize>(bytes: &[u8], at: usize) -> Option<u64> {
    let bytes = bytes.get(at..at.checked_add(N)?)?;
    Some(bytes.iter().rev().fold(0, |value, &byte| value << 8 | u64::from(byte)))
}
