//! Functions whose exceptions are handled, as descriptions of frames name them.

use super::super::params::Area;
use super::super::space::{Place, Space};
use super::super::version::Machine;

/// A function with its table: places of the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Function {
    pub(super) table: u32,
    pub(super) code: u32,
    pub(super) len: u32,
}

/// The functions that descriptions name whose tables stand in an area, by the places of these, each once. `bytes` stand at
/// `offset` of the file.
pub(super) fn functions(
    (bytes, offset): (&[u8], u64),
    machine: Machine,
    space: &Space,
    tables: &Area,
) -> Vec<Function> {
    let mut found = Vec::new();
    let mut at = 0;
    while let Some(len) = four(bytes, at).filter(|&len| len > 0) {
        let end = (at + 4).saturating_add(len as usize);
        if bytes.len() < end {
            break;
        }
        found.extend(function(bytes, at, end, (offset, space, machine)).filter(|function| {
            let inside = tables.offset..tables.offset + tables.len;
            inside.contains(&u64::from(function.table))
        }));
        at = end;
    }
    found.sort_by_key(|function| function.table);
    found.dedup_by_key(|function| function.table);
    found
}

/// The function of the description at `at..end`.
fn function(
    bytes: &[u8],
    at: usize,
    end: usize,
    (offset, space, machine): (u64, &Space, Machine),
) -> Option<Function> {
    let width = match (machine, bytes.get(at + 16)?) {
        (_, 4) => 4,
        (Machine::AArch64, 8) => 8,
        _ => return None,
    };
    if end < at + 17 + width || four(bytes, at + 4)? == 0 {
        return None;
    }
    let place = |at: usize, distance: u64| {
        let address = space.address(offset + at as u64)?;
        match space.place(address.wrapping_add(distance))? {
            Place::File(place) => Some(place),
            Place::Memory(..) => None,
        }
    };
    let short = |at| Some(i64::from(four(bytes, at)?.cast_signed()).cast_unsigned());
    let table = match width {
        4 => short(at + 17)?,
        _ => u64::from_le_bytes(*bytes.get(at + 17..)?.first_chunk()?),
    };
    let (code, len) = (place(at + 8, short(at + 8)?)?, four(bytes, at + 12)?);
    code.checked_add(len)?;
    Some(Function { table: place(at + 17, table)?, code, len })
}

fn four(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..)?.first_chunk().map(|bytes| u32::from_le_bytes(*bytes))
}

#[cfg(test)]
mod tests {
    use super::super::super::params::{Content, Segment};
    use super::*;

    /// A description of code at 16 × `n`, whose table is the `table`th byte of the area.
    fn description(at: usize, n: u32, table: u32) -> Vec<u8> {
        let mut out = 20u32.to_le_bytes().to_vec();
        out.extend((at as u32 + 4).to_le_bytes());
        out.extend((n * 16).wrapping_sub(1000 + at as u32 + 8).to_le_bytes());
        out.extend(16u32.to_le_bytes());
        out.push(4);
        out.extend((2000 + table).wrapping_sub(1000 + at as u32 + 17).to_le_bytes());
        out.extend([0; 3]);
        out
    }

    /// The same with eight bytes for the table's place.
    fn wide(at: usize, n: u32, table: u32) -> Vec<u8> {
        let mut out = description(at, n, table);
        out[16] = 8;
        let sign = out[20] >> 7;
        out.splice(21.., [0xff * sign; 4].into_iter().chain([0; 3]));
        out[0] += 4;
        out
    }

    fn found(bytes: &[u8]) -> Vec<(u32, u32, u32)> {
        found_for(Machine::X86_64, bytes)
    }

    fn found_for(machine: Machine, bytes: &[u8]) -> Vec<(u32, u32, u32)> {
        let segment = Segment { offset: 0, len: 3000, address: 0x40_0000, extra: 0 };
        let area = Area { offset: 2000, len: 500, content: Content::Exceptions };
        let found = functions((bytes, 1000), machine, &Space::new(&[segment]), &area);
        found.iter().map(|one| (one.table, one.code, one.len)).collect()
    }

    #[test]
    fn functions_with_tables_are_found() {
        let mut bytes = [&[20, 0, 0, 0][..], &[0; 20]].concat();
        for (n, table) in [(3, 40), (1, 0), (2, 40), (5, 600)] {
            bytes.extend(description(bytes.len(), n, table));
        }
        let wanted = [(2000, 16, 16), (2040, 48, 16)];
        assert_eq!(found(&bytes), wanted);
        // What ends the descriptions, and what is cut.
        let ended = [&bytes[..72], &[0; 4], &bytes[72..]].concat();
        assert_eq!(found(&ended), wanted);
        assert_eq!(found(&bytes[..71]), wanted[1..]);
        assert_eq!(found(&[]), []);
    }

    #[test]
    fn a_place_may_have_eight_bytes() {
        let bytes = [wide(0, 1, 0), wide(28, 3, 40), description(56, 5, 80)].concat();
        let wanted = [(2000, 16, 16), (2040, 48, 16), (2080, 80, 16)];
        assert_eq!(found_for(Machine::AArch64, &bytes), wanted);
        assert_eq!(found(&bytes), wanted[2..]);
        for (at, byte) in [(0, 20), (16, 7), (22, 9), (24, 0x80)] {
            let mut bytes = bytes[..28].to_vec();
            bytes[at] = byte;
            assert_eq!(found_for(Machine::AArch64, &bytes), [], "{at}");
        }
    }

    #[test]
    fn others_are_left() {
        let good = description(0, 3, 40);
        assert_eq!(found(&good).len(), 1);
        for (at, byte) in [(0, 12), (4, 0), (11, 0x7f), (16, 0), (20, 0x7f)] {
            let mut bytes = good.clone();
            bytes[at] = byte;
            assert_eq!(found(&bytes), [], "{at}");
        }
    }
}
