//! What the model of executables needs to know of an ELF file: segments, and what its sections hold.
//!
//! System V ABI, "Object Files", and its supplements for AMD64 and AArch64. A file that is not as it says gives nothing.

use std::ops::Range;

use super::go;
use crate::program::index::{HEAD, ROW};
use crate::program::{Area, Content, Machine, Segment};

/// An executable or a shared library.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Elf {
    pub(super) machine: Machine,
    pub(super) segments: Vec<Segment>,
    pub(super) areas: Vec<Area>,
    /// Where what a linker makes for the loader ends and the program begins.
    pub(super) lowest: u64,
    /// A table of symbols, and where their names stand behind it.
    pub(super) symbols: Option<(Area, Range<u64>)>,
    /// Where the rows of the table that finds frame descriptions stand.
    pub(super) index: Option<Range<u64>>,
    /// Where tables of exceptions stand.
    pub(super) exceptions: Option<Range<u64>>,
}

const X86_64: u16 = 62;
const AARCH64: u16 = 183;
const FIXED: u16 = 2;
const MOVABLE: u16 = 3;
const LOAD: u32 = 1;
const EXECUTABLE_SEGMENT: u32 = 1;

const PROGBITS: u32 = 1;
const SYMTAB: u32 = 2;
const STRTAB: u32 = 3;
const RELA: u32 = 4;
const DYNAMIC: u32 = 6;
const DYNSYM: u32 = 11;
const INIT_ARRAY: u32 = 14;
const FINI_ARRAY: u32 = 15;
const UNWIND: u32 = 0x7000_0001;
const LOADED: u64 = 2;
const EXECUTABLE: u64 = 4;

/// Sections that are looked at.
const SECTIONS: usize = 400;

struct Section<'a> {
    /// Its number, and that of the section that belongs to it.
    number: u32,
    link: u32,
    name: &'a [u8],
    kind: u32,
    flags: u64,
    offset: u64,
    len: u64,
}

/// Whether bytes begin an ELF file of a machine that has a model.
pub(crate) fn is_elf(head: &[u8]) -> bool {
    machine(head).is_some()
}

/// The machine of the ELF file that bytes begin.
fn machine(head: &[u8]) -> Option<Machine> {
    let is_elf = head.starts_with(b"\x7fELF\x02\x01\x01")
        && matches!(u16_at(head, 16), Some(FIXED | MOVABLE));
    match u16_at(head, 18).filter(|_| is_elf)? {
        X86_64 => Some(Machine::X86_64),
        AARCH64 => Some(Machine::AArch64),
        _ => None,
    }
}

impl Elf {
    /// Reads a file.
    pub(super) fn parse(file: &[u8]) -> Option<Self> {
        let machine = machine(file)?;
        let segments = segments(file)?;
        let mut sections = sections(file).unwrap_or_default();
        sections.retain(|section| section.len > 0);
        sections.sort_by_key(|section| section.offset);
        let overlap = |pair: &[Section<'_>]| pair[0].offset + pair[0].len > pair[1].offset;
        if sections.windows(2).any(overlap) || sections.len() > SECTIONS {
            return None;
        }
        let fixed = u16_at(file, 16) == Some(FIXED);
        let mut areas: Vec<Area> = Vec::new();
        let mut symbols = None;
        for (number, section) in sections.iter().enumerate() {
            let names = sections
                .get(number + 1)
                .filter(|next| next.kind == STRTAB && next.offset == section.offset + section.len);
            let table = go_table(file, section);
            if let Some(table) = table {
                areas.extend(table);
            } else if let Some(content) = content(section, names.is_some(), fixed) {
                let area = Area { offset: section.offset, len: section.len, content };
                areas.push(area);
                let names = sections.iter().find(|names| {
                    content == Content::Symbols
                        && names.number == section.link
                        && names.offset >= section.offset + section.len
                });
                if let Some(Section { offset, len, .. }) = names {
                    symbols.get_or_insert((area, *offset..offset + len));
                }
            }
        }
        if areas.iter().all(|area| area.content != Content::Code) {
            areas = code_of_segments(file)?;
        }
        // What follows from addresses needs one of its own.
        let has_address = |offset: u64| {
            let inside = |segment: &Segment| {
                (segment.offset..segment.offset + segment.len).contains(&offset)
            };
            segments.iter().any(inside)
        };
        let index = areas.iter().find(|area| area.content == Content::FromStart);
        let index = index.filter(|area| has_address(area.offset));
        let index = index.and_then(|area| rows(file, area));
        let is_program =
            |section: &&Section<'_>| section.kind == PROGBITS && section.name != b".interp";
        let lowest = sections.iter().find(is_program).map_or(0, |section| section.offset);
        let exceptions = sections.iter().find(|section| section.name == b".gcc_except_table");
        let exceptions = exceptions.filter(|section| has_address(section.offset));
        let exceptions = exceptions.map(|section| section.offset..section.offset + section.len);
        Some(Self { machine, segments, areas, lowest, symbols, index, exceptions })
    }
}

impl Elf {
    /// Has tables of exceptions made, if these stand behind the descriptions of frames that name them.
    pub(super) fn make_exceptions(&mut self) -> Option<()> {
        let range = self.exceptions.clone()?;
        let frames = self.areas.iter().position(|area| area.content == Content::Frames)?;
        let tables = self.areas.iter().position(|area| area.offset == range.start)?;
        let (areas, table) = self.areas.split_at_mut(tables);
        let table = table
            .first_mut()
            .filter(|table| frames < areas.len() && table.len == range.end - range.start)?;
        table.content = Content::Exceptions;
        Some(())
    }

    fn makes_exceptions(&self) -> bool {
        self.areas.iter().any(|area| area.content == Content::Exceptions)
    }

    /// The areas in which new bytes are turned, or that are looked at.
    pub(super) fn new_areas(&self) -> Vec<Area> {
        let is_turned = |area: &&Area| {
            use Content::{Code, Exceptions, Frames, FromStart, Functions, Symbols};
            let follows = self.makes_exceptions() && matches!(area.content, Frames | Exceptions);
            follows || matches!(area.content, Code | FromStart | Functions | Symbols)
        };
        self.areas.iter().filter(is_turned).copied().collect()
    }
}

fn go_table(file: &[u8], section: &Section<'_>) -> Option<Vec<Area>> {
    // A part of a file may lack the names.
    if !matches!(section.name, b".gopclntab" | b"") {
        return None;
    }
    go::areas(part(file, section.offset, section.len)?, section.offset)
}

/// Where the rows of a table of frame descriptions stand, if it is one of distances of four bytes.
fn rows(file: &[u8], area: &Area) -> Option<Range<u64>> {
    let table = part(file, area.offset, area.len)?;
    let len = ROW * u64::from(u32_at(table, HEAD as usize - 4)?);
    let fits = table.starts_with(&[1, 0x1b, 0x03, 0x3b]) && len > 0 && HEAD + len <= area.len;
    let start = area.offset + HEAD;
    fits.then_some(start..start + len)
}

/// What a section holds, if it is more than bytes.
fn content(section: &Section<'_>, names: bool, fixed: bool) -> Option<Content> {
    let executable = section.flags & EXECUTABLE != 0;
    Some(match (section.kind, section.name) {
        (PROGBITS, _) if executable => Content::Code,
        (SYMTAB, _) if names => Content::Symbols,
        (SYMTAB | DYNSYM | RELA | DYNAMIC, _) => Content::Pointers,
        (PROGBITS | UNWIND, b".eh_frame") => Content::Frames,
        (PROGBITS | UNWIND, b".eh_frame_hdr") => Content::FromStart,
        (PROGBITS, b".rodata") if !fixed => Content::Near,
        (PROGBITS | INIT_ARRAY | FINI_ARRAY, _) if section.flags & LOADED != 0 => Content::Pointers,
        _ => return None,
    })
}

fn segments(file: &[u8]) -> Option<Vec<Segment>> {
    let mut segments = Vec::new();
    for header in headers(file, 32, 54)? {
        if u32_at(header, 0)? == LOAD {
            let (offset, address) = (u64_at(header, 8)?, u64_at(header, 16)?);
            let (len, memory) = (u64_at(header, 32)?, u64_at(header, 40)?);
            part(file, offset, len)?;
            segments.push(Segment { offset, len, address, extra: memory.checked_sub(len)? });
        }
    }
    Some(segments)
}

fn code_of_segments(file: &[u8]) -> Option<Vec<Area>> {
    let mut areas = Vec::new();
    for header in headers(file, 32, 54)? {
        if u32_at(header, 0)? == LOAD && u32_at(header, 4)? & EXECUTABLE_SEGMENT != 0 {
            let (offset, len) = (u64_at(header, 8)?, u64_at(header, 32)?);
            part(file, offset, len)?;
            areas.push(Area { offset, len, content: Content::Code });
        }
    }
    Some(areas)
}

fn sections(file: &[u8]) -> Option<Vec<Section<'_>>> {
    let headers: Vec<&[u8]> = headers(file, 40, 58)?.collect();
    let names = headers.get(usize::from(u16_at(file, 62)?))?;
    let names = part(file, u64_at(names, 24)?, u64_at(names, 32)?).unwrap_or_default();
    let mut sections = Vec::new();
    for (number, header) in (0..).zip(headers) {
        let (kind, offset, len) = (u32_at(header, 4)?, u64_at(header, 24)?, u64_at(header, 32)?);
        // Sections without bytes in the file: none, and what is zeros in memory.
        if kind == 0 || kind == 8 {
            continue;
        }
        // What a part of a file does not have.
        if part(file, offset, len).is_none() {
            continue;
        }
        let name = names.get(u32_at(header, 0)? as usize..).unwrap_or_default();
        let name = name.split(|&byte| byte == 0).next()?;
        let (flags, link) = (u64_at(header, 8)?, u32_at(header, 40)?);
        sections.push(Section { number, link, name, kind, flags, offset, len });
    }
    Some(sections)
}

/// A range of a file.
fn part(file: &[u8], offset: u64, len: u64) -> Option<&[u8]> {
    file.get(usize::try_from(offset).ok()?..)?.get(..usize::try_from(len).ok()?)
}

/// The headers of a table: where its offset stands in the file's header, and then size and number of entries.
fn headers(file: &[u8], offset: usize, entries: usize) -> Option<impl Iterator<Item = &[u8]>> {
    let (size, count) = (u16_at(file, entries)?, u16_at(file, entries + 2)?);
    let table = file.get(usize::try_from(u64_at(file, offset)?).ok()?..)?;
    let table = table.get(..usize::from(size) * usize::from(count))?;
    (size >= 56).then(|| table.chunks_exact(usize::from(size)))
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    bytes.get(at..)?.first_chunk().map(|bytes| u16::from_le_bytes(*bytes))
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..)?.first_chunk().map(|bytes| u32::from_le_bytes(*bytes))
}

fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    bytes.get(at..)?.first_chunk().map(|bytes| u64::from_le_bytes(*bytes))
}
