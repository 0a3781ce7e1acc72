//! Functions whose exceptions are handled, as descriptions of frames name them.

use super::super::params::Area;
use super::super::space::{Place, Space};

/// A function with its table: places of the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Function {
    pub(super) table: u32,
    pub(super) code: u32,
    pub(super) len: u32,
}

/// The functions that descriptions name whose tables stand in an area, by the places of these, each once. `bytes` stand at
/// `offset` of the file.
pub(super) fn functions(bytes: &[u8], offset: u64, space: &Space, tables: &Area) -> Vec<Function> {
    let mut found = Vec::new();
    let mut at = 0;
    while let Some(len) = four(bytes, at).filter(|&len| len > 0) {
        let end = (at + 4).saturating_add(len as usize);
        if bytes.len() < end {
            break;
        }
        found.extend(function(bytes, at, end, (offset, space)).filter(|function| {
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
    (offset, space): (u64, &Space),
) -> Option<Function> {
    if end < at + 21 || four(bytes, at + 4)? == 0 || bytes.get(at + 16) != Some(&4) {
        return None;
    }
    let place = |at: usize| {
        let address = space.address(offset + at as u64)?;
        let distance = i64::from(four(bytes, at)? as i32) as u64;
        match space.place(address.wrapping_add(distance))? {
            Place::File(place) => Some(place),
            Place::Memory(..) => None,
        }
    };
    let (code, len) = (place(at + 8)?, four(bytes, at + 12)?);
    code.checked_add(len)?;
    Some(Function { table: place(at + 17)?, code, len })
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

    fn found(bytes: &[u8]) -> Vec<(u32, u32, u32)> {
        let segment = Segment { offset: 0, len: 3000, address: 0x40_0000, extra: 0 };
        let area = Area { offset: 2000, len: 500, content: Content::Exceptions };
        let found = functions(bytes, 1000, &Space::new(&[segment]), &area);
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
