//! What stands where in the table of functions of a Go program (.gopclntab).
//!
//! As the linker writes it since Go 1.20 (runtime/symtab.go: pcHeader). A table that is not as it says gives nothing.

use crate::program::{Area, Content};

/// Little-endian, instructions of any length, addresses of eight bytes.
const HEAD: [u8; 8] = [0xf1, 0xff, 0xff, 0xff, 0, 0, 1, 8];

/// The areas of a table at `offset` of its file.
pub(super) fn areas(table: &[u8], offset: u64) -> Option<Vec<Area>> {
    let word = |at: usize| table.get(at..)?.first_chunk().map(|bytes| u64::from_le_bytes(*bytes));
    let len = table.len() as u64;
    if !table.starts_with(&HEAD) {
        return None;
    }
    // Names, files of units, files, values, functions and their records follow one another.
    let count = word(8)?;
    let (names, units) = (word(32)?, word(40)?);
    let (values, functions) = (word(56)?, word(64)?);
    let records = functions.checked_add(count.checked_mul(8)?)?.checked_add(4)?;
    let areas = [
        (names, units, Content::FunctionNames),
        (values, functions, Content::FunctionValues),
        (functions, records, Content::Functions),
        (records, len, Content::FunctionRecords),
    ];
    let mut end = 0;
    let mut found = Vec::new();
    for (from, to, content) in areas {
        if from < end || to <= from || to > len {
            return None;
        }
        found.push(Area { offset: offset + from, len: to - from, content });
        end = to;
    }
    Some(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(words: [u64; 8]) -> Vec<u8> {
        let mut table = HEAD.to_vec();
        words.iter().for_each(|word| table.extend(word.to_le_bytes()));
        table.resize(500, 0);
        table
    }

    #[test]
    fn parts_follow_one_another() {
        let found = areas(&table([3, 1, 0x40_1000, 72, 100, 120, 140, 200]), 1000);
        let found: Vec<(u64, u64, Content)> = found
            .unwrap_or_default()
            .iter()
            .map(|area| (area.offset, area.len, area.content))
            .collect();
        assert_eq!(
            found,
            [
                (1072, 28, Content::FunctionNames),
                (1140, 60, Content::FunctionValues),
                (1200, 28, Content::Functions),
                (1228, 272, Content::FunctionRecords),
            ]
        );
    }

    #[test]
    fn tables_that_lie_are_bytes() {
        for words in [
            [u64::MAX, 1, 0, 72, 100, 120, 140, 200],
            [3, 1, 0, 72, 60, 120, 140, 200],
            [3, 1, 0, 72, 100, 120, 90, 200],
            [3, 1, 0, 72, 100, 120, 140, 600],
            [60, 1, 0, 72, 100, 120, 140, 200],
        ] {
            assert_eq!(areas(&table(words), 0), None);
        }
        assert_eq!(areas(&HEAD, 0), None);
        assert_eq!(areas(&[], 0), None);
    }
}
