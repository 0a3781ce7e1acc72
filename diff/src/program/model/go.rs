//! Finds what follows from addresses in the table of functions of a Go program (.gopclntab).
//!
//! As the linker writes it since Go 1.20 (cmd/link/internal/ld/pcln.go, runtime/symtab.go). A function's record is known
//! by what its fields say.

use super::Kind;
use super::map::Map;
use super::params::{Area, Content};
use super::stretch::{Reference, Stretch};

/// Bytes of a record before its lists.
const RECORD: u64 = 44;
/// Entries that each of a record's lists has at most.
const LIST: u64 = 31;

/// What records of functions mean by offsets: places of the base's file.
#[derive(Debug, Clone, Copy)]
pub(super) struct Tables {
    /// Where the code begins.
    text: u64,
    /// Names of functions, and values by place of the code: where they begin, bytes of them.
    names: (u64, u64),
    values: (u64, u64),
}

impl Tables {
    /// The tables that areas hold, if they are all there.
    pub(super) fn new(areas: &[Area]) -> Option<Self> {
        let find = |content| areas.iter().find(|area| area.content == content);
        let range = |content| find(content).map(|area| (area.offset, area.len));
        Some(Self {
            text: find(Content::Code)?.offset,
            names: range(Content::FunctionNames)?,
            values: range(Content::FunctionValues)?,
        })
    }
}

impl Stretch<'_> {
    /// Pairs of four bytes: the distance of a function from the first code, that of its record from the area's start.
    pub(super) fn functions(
        &self,
        area: &Area,
        (from, to): (u64, u64),
        (tables, map): (&Tables, &Map),
        list: &mut Vec<Reference>,
    ) {
        let at = |place: u64| (place - area.offset).is_multiple_of(8);
        for place in Self::places(from, to, 4).filter(|place| *place + 4 <= to) {
            if at(place) {
                list.extend(self.entry(place, tables, map));
            } else {
                list.extend(self.offset(place, (area.offset, u64::MAX), map));
            }
        }
    }

    /// Records of functions.
    pub(super) fn records(
        &self,
        (from, to): (u64, u64),
        (tables, map): (&Tables, &Map),
        list: &mut Vec<Reference>,
    ) {
        let mut place = from.next_multiple_of(4);
        while place + RECORD <= to {
            let Some(values) = self.record(place, to, tables) else {
                place += 4;
                continue;
            };
            list.extend(self.entry(place, tables, map));
            list.extend(self.offset(place + 4, tables.names, map));
            for field in [16, 20, 24] {
                list.extend(self.offset(place + field, tables.values, map));
            }
            for number in 0..values.0 {
                list.extend(self.offset(place + RECORD + 4 * number, tables.values, map));
            }
            place += RECORD + 4 * (values.0 + values.1);
        }
    }

    /// The lengths of both lists of the record at a place, if one stands there.
    fn record(&self, place: u64, to: u64, tables: &Tables) -> Option<(u64, u64)> {
        let word = |at: u64| self.four(place + at).map(|(_, value)| value & 0xffff_ffff);
        let start = self.from.address(tables.text)?;
        self.from.place(start.wrapping_add(word(0)?))?;
        let (values, last) = (word(28)?, word(40)?);
        let (others, pad) = (last >> 24, last >> 16 & 0xff);
        let has_names = word(4)? < tables.names.1;
        let has_values =
            [16, 20, 24].iter().all(|&at| word(at).is_some_and(|v| v < tables.values.1));
        let fits = values <= LIST && others <= LIST && pad == 0;
        let end = place + RECORD + 4 * (values.min(LIST) + others);
        (has_names && has_values && fits && end <= to).then_some((values, others))
    }

    /// The distance of a function from the first code.
    fn entry(&self, place: u64, tables: &Tables, map: &Map) -> Option<Reference> {
        let start = self.from.address(tables.text)?;
        let moved = self.to.address(u64::from(map.find(u32::try_from(tables.text).ok()?).0))?;
        self.behind_start(place, start, start.wrapping_sub(moved))
    }

    /// The distance of a place of the file from the start of a table.
    fn offset(&self, place: u64, (start, len): (u64, u64), map: &Map) -> Option<Reference> {
        let (at, value) = self.four(place)?;
        let value = value & 0xffff_ffff;
        let target = start.checked_add(value).filter(|_| value < len)?;
        u32::try_from(target).ok()?;
        let moved = u64::from(map.find(u32::try_from(start).ok()?).0);
        let change = start.wrapping_sub(moved);
        Some(Reference { at, width: 4, kind: Kind::Offset, target, change })
    }
}

#[cfg(all(test, feature = "encode"))]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::super::params::{Params, Segment, SymbolTables};
    use super::super::version::{Machine, Version};
    use super::super::{Executable, Interval};
    use crate::program::Source;

    use super::*;

    const FIRST: u64 = 0x40_0000;
    /// Where names, values, functions and records begin, and where they end.
    const NAMES: u64 = 4000;
    const VALUES: u64 = 4400;
    const FUNCTIONS: u64 = 4800;
    const RECORDS: u64 = 4800 + 20;
    const END: u64 = 5200;
    /// Bytes that are inserted into code at 1000, into names at 4100, into values at 4600.
    const SHIFT: u64 = 16;

    fn words(words: &[u64]) -> Vec<u8> {
        words.iter().flat_map(|&word| (word as u32).to_le_bytes()).collect()
    }

    /// Two functions with their records; with `shift` as they are when bytes were inserted.
    fn tables(shift: u64) -> Vec<u8> {
        let after = |value: u64, from: u64| if value >= from { value + shift } else { value };
        let value = |of: u64| after(of, 200);
        let record = |start: u64, name: u64, values: &[u64]| {
            let mut record =
                vec![after(start, 1000), after(name, 100), 8, 0, value(20), value(210)];
            record.extend([value(399), values.len() as u64, 3, 12, 2 << 24]);
            record.extend(values.iter().map(|&of| value(of)));
            record.extend([77, 0xffff_ffff]);
            words(&record)
        };
        let records = [record(500, 40, &[10, 300]), record(1200, 140, &[])];
        let second = 20 + records[0].len() as u64;
        let functions = words(&[500, 20, after(1200, 1000), second, after(1400, 1000)]);
        [functions, records.concat()].concat()
    }

    fn predicted(base: &[u8]) -> (Vec<u8>, Vec<u8>) {
        let area = |offset, end, content| Area { offset, len: end - offset, content };
        let segment = |len| Segment { offset: 0, len, address: FIRST, extra: 0 };
        let params = Params {
            source: Source::Base(0),
            offset: 0,
            len: END,
            target_len: END + 3 * SHIFT,
            base: vec![segment(END)],
            target: vec![segment(END + 3 * SHIFT)],
            lowest: 0,
            areas: vec![
                area(0, NAMES, Content::Code),
                area(NAMES, VALUES, Content::FunctionNames),
                area(VALUES, FUNCTIONS, Content::FunctionValues),
                area(FUNCTIONS, RECORDS, Content::Functions),
                area(RECORDS, END, Content::FunctionRecords),
            ],
            new: Vec::new(),
            symbols: SymbolTables::default(),
            machine: Machine::X86_64,
            version: Version::Third,
        };
        let places = [0, 1000, NAMES + 100, VALUES + 200, END];
        let parts = places.windows(2).zip(0..).map(|(pair, number)| Interval {
            base: pair[0] as u32,
            target: (pair[0] + number * SHIFT) as u32,
            len: (pair[1] - pair[0]) as u32,
        });
        let mut executable = Executable::new(params, parts);
        let mut read = |_: u64, _: &mut [u8]| Ok(());
        executable.begin(FUNCTIONS, FUNCTIONS + 3 * SHIFT, base, &mut read).unwrap();
        let (mut bytes, mut classes) = (base.to_vec(), vec![0; base.len()]);
        executable.predict(&mut bytes, &mut classes, base.len());
        (bytes, classes)
    }

    #[test]
    fn what_functions_say_is_predicted() {
        let base = tables(0);
        assert_ne!(base, tables(SHIFT));
        assert_eq!(predicted(&base).0, tables(SHIFT));
    }

    #[test]
    fn what_is_no_record_is_left() {
        let good = tables(0);
        let marked = |bytes: &[u8]| predicted(bytes).1[20..].iter().filter(|&&c| c != 0).count();
        // Start, name, three values and two of the list, of four bytes each; five without a list.
        assert_eq!(marked(&good), 4 * 12);
        for (at, byte) in [(23, 9), (27, 1), (38, 9), (48, 32), (62, 1), (63, 99)] {
            let mut base = good.clone();
            base[at] = byte;
            assert_eq!(predicted(&base).1[20], 0, "{at}");
        }
        assert_eq!(marked(&good[..40]), 0);
    }
}
