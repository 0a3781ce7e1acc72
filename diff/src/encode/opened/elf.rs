//! Compressed sections of ELF files (System V ABI, "Section Compression"): debugging information, which Go's linker compresses
//! by default, and GNU's tools on demand.
//!
//! What stands before the first of them is a member like the rest behind the last one: so a program is still compared by what
//! its addresses mean. A file whose sections overlap or whose tables lie outside of it is no container here.

use std::io;

use super::container::{Coding, Part, Parts, Role, Window, le};

/// Bytes of a file's header, of a section's header, and of what begins a compressed section.
const FILE_HEADER: u64 = 64;
const SECTION_HEADER: usize = 64;
const COMPRESSION_HEADER: u64 = 24;
/// Bytes of a zlib stream before and behind its deflate stream (RFC 1950, 2.2).
const ZLIB_HEADER: u64 = 2;
const ZLIB_TRAILER: u64 = 4;
/// Bytes of the names of sections that are read.
const MAX_NAMES: u64 = 1 << 16;
/// A section without bytes in the file.
const NO_BITS: u64 = 8;
/// The flag of compressed sections, and the type of compression by zlib.
const COMPRESSED: u64 = 1 << 11;
const ZLIB: u64 = 1;

/// A compressed section.
struct Section {
    name: Vec<u8>,
    offset: u64,
    len: u64,
    plain_len: u64,
}

/// Whether bytes begin an ELF file of 64 bits, the least byte first.
pub(super) fn is_elf(start: &[u8]) -> bool {
    start.starts_with(b"\x7fELF\x02\x01")
}

/// The parts of a file with compressed sections.
///
/// # Errors
/// What reading fails with; `UnexpectedEof` if its tables lie outside.
pub(super) fn parts(file: &Window<'_>) -> io::Result<Option<Vec<Part>>> {
    let sections = sections(file)?;
    if sections.is_empty() {
        return Ok(None);
    }
    let mut parts = Parts::default();
    let done = sections.iter().enumerate().try_for_each(|(number, section)| {
        if number == 0 {
            parts.push(section.offset, Role::Data, b"program", Coding::Stored)?;
        }
        let start = section.offset + COMPRESSION_HEADER + ZLIB_HEADER;
        let end = section.offset + section.len;
        parts.push(start, Role::Head, &section.name, Coding::Framing)?;
        let coding = Coding::Deflate(section.plain_len & 0xffff_ffff);
        parts.push(end - ZLIB_TRAILER, Role::Data, &section.name, coding)?;
        parts.push(end, Role::After, &section.name, Coding::Framing)
    });
    let done = done.and_then(|()| parts.push(file.len, Role::Data, b"rest", Coding::Stored));
    Ok(done.map(|()| parts.list))
}

/// The compressed sections, in their order in the file.
fn sections(file: &Window<'_>) -> io::Result<Vec<Section>> {
    let header = file.read(0, FILE_HEADER)?;
    let field = |at| le::<2>(&header, at).unwrap_or(0);
    let (size, count, names) = (field(58), field(60), field(62));
    if size != SECTION_HEADER as u64 || count == 0 {
        return Ok(Vec::new());
    }
    let table = file.read(le::<8>(&header, 40).unwrap_or(u64::MAX), size * count)?;
    let range = |header: &[u8]| Some((le::<8>(header, 24)?, le::<8>(header, 32)?));
    let names = table.chunks_exact(SECTION_HEADER).nth(names as usize).and_then(range);
    let names = match names {
        Some((offset, len)) if len <= MAX_NAMES => file.read(offset, len)?,
        _ => Vec::new(),
    };
    let mut sections = Vec::new();
    for header in table.chunks_exact(SECTION_HEADER) {
        let (Some(name), Some((offset, len))) = (le::<4>(header, 0), range(header)) else {
            continue;
        };
        let compressed = le::<8>(header, 8).is_some_and(|flags| flags & COMPRESSED != 0);
        let least = COMPRESSION_HEADER + ZLIB_HEADER + ZLIB_TRAILER;
        if !compressed || le::<4>(header, 4) == Some(NO_BITS) || len < least {
            continue;
        }
        let start = file.read(offset, COMPRESSION_HEADER)?;
        let (kind, plain_len) = (le::<4>(&start, 0), le::<8>(&start, 8).unwrap_or(0));
        let name = names.get(name as usize..).unwrap_or_default();
        let name = name.split(|&byte| byte == 0).next().unwrap_or_default().to_vec();
        if kind == Some(ZLIB) && offset.checked_add(len).is_some() {
            sections.push(Section { name, offset, len, plain_len });
        }
    }
    sections.sort_by_key(|section| section.offset);
    Ok(sections)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::encode::opened::container::{Kind, parts};
    use crate::encode::opened::samples::{elf, text};

    fn found(file: &Vec<u8>) -> Option<Vec<Part>> {
        parts(Kind::Elf, &Window { bytes: file, start: 0, len: file.len() as u64 }).unwrap()
    }

    fn sample() -> Vec<u8> {
        elf(
            &text(1, 300),
            &[(".debug_info", &text(2, 900)), (".debug_line", b"line")],
            &text(3, 50),
        )
    }

    #[test]
    fn parts_cover_the_file() {
        let file = sample();
        let parts = found(&file).unwrap();
        let roles: Vec<(Role, &[u8])> =
            parts.iter().map(|part| (part.label.role, &*part.label.name)).collect();
        use Role::{After, Data, Head};
        let (info, line) = (&b".debug_info"[..], &b".debug_line"[..]);
        let wanted = [
            (Data, &b"program"[..]),
            (Head, info),
            (Data, info),
            (After, info),
            (Head, line),
            (Data, line),
            (After, line),
            (Data, b"rest"),
        ];
        assert_eq!(roles, wanted);
        assert_eq!((parts[2].coding, parts[5].coding), (Coding::Deflate(900), Coding::Deflate(4)));
    }

    #[test]
    fn files_without_compressed_sections_are_none() {
        assert_eq!(found(&elf(&text(1, 300), &[], &text(3, 50))), None);
        assert!(is_elf(&sample()) && !is_elf(b"\x7fELF\x01\x01"));
    }

    #[test]
    fn every_cut_and_change_is_survived() {
        let file = sample();
        for len in 0..file.len() {
            found(&file[..len].to_vec());
            for bit in [1, 0x80] {
                let mut changed = file.clone();
                changed[len] ^= bit;
                if let Some(parts) = found(&changed) {
                    assert_eq!(parts.last().unwrap().range.end, file.len() as u64);
                }
            }
        }
    }
}
