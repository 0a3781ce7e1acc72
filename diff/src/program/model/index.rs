//! The sorted table that finds frame descriptions (.eh_frame_hdr), made from that of a base.
//!
//! Linux Standard Base, "Exception Frame Header": rows of two distances from the table's start, that of code and that of its
//! description. What moved is sorted again; rows that are new, gone or elsewhere are told.

use std::collections::HashMap;

use dd_inspect::failure::Failure;

use super::super::input::out_of_range;
use super::super::varint;
use super::symbol::Values;

/// Bytes of a row, and of what stands before the first one.
pub(crate) const ROW: u64 = 8;
pub(crate) const HEAD: u64 = 12;

/// Columns: what differs of a row, and then what it is.
mod column {
    pub(super) const FLAGS: u8 = 74;
    pub(super) const GONE: u8 = 75;
    pub(super) const CODE: u8 = 76;
    pub(super) const FRAME: u8 = 77;
}

/// Bits of the flags.
mod flag {
    pub(super) const GONE: u64 = 1;
    pub(super) const CODE: u64 = 2;
    pub(super) const FRAME: u64 = 4;
    pub(super) const NEW: u64 = 8;
    pub(super) const ALL: u64 = 15;
}

/// Rows of the target that are looked at to find one of the base.
#[cfg(feature = "encode")]
const AHEAD: usize = 64;

/// Distances of code and of its description.
pub(crate) type Row = (u32, u32);

/// A table in progress.
#[derive(Debug, Clone)]
pub(crate) struct Index {
    /// Rows of the base as they moved.
    rows: Vec<Row>,
    next: usize,
    last: Row,
    /// Descriptions of the target with their code.
    told: HashMap<u32, u32>,
    /// Rows that are still to come.
    left: u64,
}

impl Index {
    /// A table of at most so many rows over those of a base that moved.
    pub(super) fn new(mut rows: Vec<Row>, count: u64) -> Self {
        rows.sort_unstable_by_key(|row| (row.0 as i32, row.1));
        Self { rows, next: 0, last: (0, 0), told: HashMap::new(), left: count }
    }

    /// The next row.
    pub(crate) fn next(
        &mut self,
        values: &mut impl Values,
        wanted: Option<Row>,
    ) -> Result<Row, Failure> {
        self.left = self.left.checked_sub(1).ok_or_else(|| out_of_range("the count of rows"))?;
        let plan = wanted.map(|row| self.plan(row)).unwrap_or_default();
        let flags = values.integer(column::FLAGS, plan.flags)?;
        if flags > flag::ALL {
            return Err(out_of_range("what differs of a row"));
        }
        if flags & flag::GONE != 0 {
            let gone = values.integer(column::GONE, plan.gone)?;
            self.next = self.next.saturating_add(usize::try_from(gone).unwrap_or(usize::MAX));
        }
        let mut row = self.last;
        if flags & flag::NEW == 0 {
            row = self.rows.get(self.next).copied().unwrap_or(row);
            self.next = self.next.saturating_add(1);
        }
        let mut change = |flag: u64, column: u8, value: &mut u32, plan: u64| {
            if flags & flag != 0 {
                let change = varint::unzigzag(values.integer(column, plan)?);
                *value = value.wrapping_add(change as u32);
            }
            Ok(())
        };
        change(flag::CODE, column::CODE, &mut row.0, plan.code)?;
        change(flag::FRAME, column::FRAME, &mut row.1, plan.frame)?;
        self.last = row;
        self.told.insert(row.1, row.0);
        Ok(row)
    }

    /// The code of a description.
    pub(super) fn code(&self, frame: u32) -> Option<u32> {
        self.told.get(&frame).copied()
    }
}

/// What the columns of a row are to hold.
#[derive(Debug, Default)]
struct Plan {
    flags: u64,
    gone: u64,
    code: u64,
    frame: u64,
}

impl Index {
    #[cfg(not(feature = "encode"))]
    fn plan(&self, _: Row) -> Plan {
        Plan::default()
    }

    #[cfg(feature = "encode")]
    fn plan(&self, wanted: Row) -> Plan {
        let rest = self.rows.get(self.next..).unwrap_or_default();
        let ahead = rest.get(..AHEAD).unwrap_or(rest);
        let both = ahead.iter().position(|row| *row == wanted);
        let one = || ahead.iter().position(|row| row.0 == wanted.0 || row.1 == wanted.1);
        let mut plan = Plan::default();
        let from = match both.or_else(one) {
            Some(gone) => {
                plan.gone = gone as u64;
                ahead.get(gone).copied().unwrap_or_default()
            }
            None => {
                plan.flags |= flag::NEW;
                self.last
            }
        };
        let mut note = |flag: u64, differs: bool| plan.flags |= if differs { flag } else { 0 };
        note(flag::GONE, plan.gone != 0);
        note(flag::CODE, from.0 != wanted.0);
        note(flag::FRAME, from.1 != wanted.1);
        let change = |now: u32, then: u32| varint::zigzag(i64::from(now.wrapping_sub(then) as i32));
        plan.code = change(wanted.0, from.0);
        plan.frame = change(wanted.1, from.1);
        plan
    }
}

#[cfg(all(test, feature = "encode"))]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::super::symbols::tests::Tape;
    use super::*;

    /// Writes rows over those of a base and reads them again. Returns the flags.
    fn flags(base: &[Row], rows: &[Row]) -> Vec<u64> {
        let mut tape = Tape::default();
        let make = |tape: &mut Tape| {
            let mut index = Index::new(base.to_vec(), rows.len() as u64);
            for row in rows {
                let wanted = (!tape.reads).then_some(*row);
                assert_eq!(index.next(tape, wanted).unwrap(), *row);
            }
            for row in rows {
                assert!(rows.iter().any(|of| of.1 == row.1 && index.code(row.1) == Some(of.0)));
            }
            assert_eq!(index.code(12_345), None);
            assert!(index.next(tape, None).is_err());
        };
        make(&mut tape);
        let of = |&(column, value): &(u8, u64)| (column == column::FLAGS).then_some(value);
        let flags = tape.integers.iter().filter_map(of).collect();
        tape.reads = true;
        make(&mut tape);
        assert!(tape.integers.is_empty());
        flags
    }

    const MINUS: u32 = u32::MAX - 99;

    #[test]
    fn what_moved_is_sorted_again() {
        assert_eq!(
            flags(&[(7, 90), (MINUS, 80), (5, 70)], &[(MINUS, 80), (5, 70), (7, 90)]),
            [0; 3]
        );
    }

    #[test]
    fn what_is_gone_or_new_or_elsewhere_is_told() {
        let base = [(10, 90), (20, 80), (30, 70)];
        assert_eq!(flags(&base, &[(10, 90), (30, 70)]), [0, flag::GONE]);
        let new = flag::NEW | flag::CODE | flag::FRAME;
        assert_eq!(
            flags(&base, &[(10, 90), (15, 99), (20, 80), (31, 70)]),
            [0, new, 0, flag::CODE]
        );
        assert_eq!(flags(&[], &[(1, 2)]), [new]);
        assert_eq!(flags(&base[..1], &[(10, 91), (10, 91)]), [flag::FRAME, flag::NEW]);
    }

    #[test]
    fn what_no_writer_gives_is_refused_or_survived() {
        let read = |integers: Vec<(u8, u64)>| {
            let mut tape = Tape { integers: integers.into(), reads: true, ..Tape::default() };
            Index::new(vec![(1, 2)], 1).next(&mut tape, None)
        };
        assert!(read(vec![(column::FLAGS, flag::ALL + 1)]).is_err());
        let gone = vec![(column::FLAGS, flag::GONE), (column::GONE, u64::MAX)];
        assert_eq!(read(gone).unwrap(), (0, 0));
    }
}
