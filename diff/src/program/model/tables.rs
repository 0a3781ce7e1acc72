//! Tables of symbols in a model.

use dd_inspect::failure::Failure;

use super::super::input::out_of_range;
use super::index::{HEAD, Index, ROW, Row};
use super::params::{Area, Content, Params, SymbolTables};
use super::space::Space;
use super::symbol::{Values, Wanted};
use super::symbols::Symbols;
use super::{Executable, Kind, Read, SYMBOL};

/// Work of a row of the base: it is moved and sorted.
const WORK_ROW: u64 = 64;

/// The first area of distances from its start.
fn index(areas: &[Area]) -> Option<&Area> {
    areas.iter().find(|area| area.content == Content::FromStart)
}

/// Memory of a table of frame descriptions.
pub(crate) fn index_memory(params: &Params) -> u64 {
    let len = |areas| index(areas).map_or(0, |area| 2 * area.len);
    len(&params.areas) + 2 * len(&params.new)
}

/// The address at which that begins.
fn index_start(areas: &[Area], space: &Space) -> Option<u64> {
    space.address(index(areas)?.offset)
}

/// The table of frame descriptions.
impl Executable {
    /// Fills `rows` from `values`. Returns the work beside that of the rows.
    pub(crate) fn index(
        &mut self,
        values: &mut impl Values,
        rows: &mut [u8],
        wanted: impl Fn(usize) -> Option<Row>,
        read: &mut Read<'_>,
    ) -> Result<u64, Failure> {
        let mut work = 0;
        let mut index = match self.index.take() {
            Some(index) => index,
            None => Box::new(self.moved_index(read, &mut work)?),
        };
        let (rows, rest) = rows.as_chunks_mut::<{ ROW as usize }>();
        if !rest.is_empty() {
            return Err(out_of_range("the length of a table"));
        }
        for (number, row) in rows.iter_mut().enumerate() {
            let (code, frame) = index.next(values, wanted(number))?;
            *row = (u64::from(code) | u64::from(frame) << 32).to_le_bytes();
        }
        self.index = Some(index);
        Ok(work)
    }

    /// What the table tells of the code of descriptions in the stretch, whose bytes go to `target`.
    pub(super) fn learn_frames(&mut self, target: u64) {
        let Some(index) = &self.index else { return };
        let start = index_start(&self.params.new, &self.target);
        let Some(start) = start else { return };
        for &(at, code_of_base) in &self.frames {
            let frame = (target + u64::from(at)).checked_sub(8);
            let frame = frame.and_then(|frame| self.target.address(frame));
            let frame = frame.map(|address| address.wrapping_sub(start) as u32);
            let Some(code) = frame.and_then(|frame| index.code(frame)) else { continue };
            let code = start.wrapping_add(i64::from(code as i32) as u64);
            let pair = self.base.relative(code_of_base).zip(self.target.relative(code));
            if let Some((base, target)) = pair {
                self.learned.tell(base, target);
            }
        }
    }

    /// The base's table as its rows moved.
    fn moved_index(&self, read: &mut Read<'_>, work: &mut u64) -> Result<Index, Failure> {
        let Some(base) = index(&self.params.areas) else {
            return Err(out_of_range("a table of frame descriptions"));
        };
        let from = index_start(&self.params.areas, &self.base);
        let to = index_start(&self.params.new, &self.target);
        let (Some(from), Some(to)) = (from, to) else {
            return Err(out_of_range("a table of frame descriptions"));
        };
        let mut bytes = vec![0; base.len.saturating_sub(HEAD) as usize];
        read(base.offset + HEAD, &mut bytes)?;
        *work += WORK_ROW * (base.len / ROW);
        let moved = |distance: u32| {
            let address = from.wrapping_add(i64::from(distance as i32) as u64);
            self.base.place(address)?;
            Some(self.moved(address, Kind::FromStart).0.wrapping_sub(to) as u32)
        };
        let (rows, _) = bytes.as_chunks::<{ ROW as usize }>();
        let row = |row: &[u8; ROW as usize]| {
            let row = u64::from_le_bytes(*row);
            Some((moved(row as u32)?, moved((row >> 32) as u32)?))
        };
        let mut moved = Vec::with_capacity(rows.len());
        moved.extend(rows.iter().filter_map(row));
        let count = index(&self.params.new).map_or(0, |area| area.len / ROW);
        Ok(Index::new(moved, count))
    }
}

/// What the fourth version adds.
impl Executable {
    /// Fills `records` from `values`. Returns the work beside that of the records.
    pub(crate) fn symbols<'a>(
        &mut self,
        values: &mut impl Values,
        records: &mut [u8],
        mut wanted: impl FnMut(usize) -> Option<Wanted<'a>>,
        read: &mut Read<'_>,
    ) -> Result<u64, Failure> {
        let mut work = 0;
        if self.params.symbols.count == 0 {
            return Err(out_of_range("the count of symbols"));
        }
        let mut symbols = match self.symbols.take() {
            Some(symbols) => symbols,
            None => Box::new(self.tables(read, &mut work)?),
        };
        let moved = |address: u64| self.moved(address, Kind::Symbol).0;
        let (records, rest) = records.as_chunks_mut::<{ SYMBOL as usize }>();
        if !rest.is_empty() {
            return Err(out_of_range("the length of symbols"));
        }
        for (number, record) in records.iter_mut().enumerate() {
            *record = symbols.next(values, &moved, wanted(number).as_ref())?;
        }
        work += symbols.take_work();
        self.symbols = Some(symbols);
        Ok(work)
    }

    /// The base's tables.
    fn tables(&self, read: &mut Read<'_>, work: &mut u64) -> Result<Symbols, Failure> {
        let SymbolTables { base, base_names, count, names } = self.params.symbols;
        let (offset, len) = base.map_or((0, 0), |area| (area.offset, area.len));
        let (mut symbols, mut texts) = (vec![0; len as usize], vec![0; base_names.1 as usize]);
        read(offset, &mut symbols)?;
        read(base_names.0, &mut texts)?;
        *work += len + base_names.1 + names.1;
        Ok(Symbols::new(symbols, texts, count, names.1 as usize))
    }

    /// Names of symbols that stand at `at` of the target's file, as far as symbols told them.
    pub(crate) fn names(&self, at: u64, len: usize) -> Option<&[u8]> {
        self.symbols.as_ref()?.names(at.checked_sub(self.params.symbols.names.0)?, len)
    }
}
