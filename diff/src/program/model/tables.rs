//! Tables of symbols in a model.

use dd_inspect::failure::Failure;

use super::super::input::out_of_range;
use super::exceptions::{Exceptions, Where, first};
use super::index::{HEAD, Index, ROW, Row};
use super::params::{Area, Content, Params, SymbolTables};
use super::space::Space;
use super::symbol::{Values, Wanted};
use super::symbols::Symbols;
use super::version::Version;
use super::{Executable, Kind, Read, SYMBOL};

/// Work of a row of the base: it is moved and sorted.
const WORK_ROW: u64 = 64;
/// Work of a byte of tables of exceptions and of descriptions that name them.
const WORK_TABLES: u64 = 8;
/// Bytes by which what is kept of descriptions grows at least.
const KEPT_STEP: usize = 64 << 10;

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

/// What the fifth version adds.
impl Executable {
    /// Bytes of the target's file that stand at `at`: those of frame descriptions are kept, one after the other.
    pub(crate) fn note(&mut self, at: u64, bytes: &[u8]) {
        if self.params.version < Version::Fifth {
            return;
        }
        let Some(frames) = first(&self.params.new, Content::Frames) else { return };
        let end = frames.offset + frames.len;
        let next = frames.offset + self.told_frames.len() as u64;
        let from = next.checked_sub(at).and_then(|from| usize::try_from(from).ok());
        let new = from.and_then(|from| bytes.get(from..)).unwrap_or_default();
        let new = new.get(..end.saturating_sub(next) as usize).unwrap_or(new);
        if self.told_frames.capacity() - self.told_frames.len() < new.len() {
            self.told_frames.reserve_exact(new.len().max(KEPT_STEP));
        }
        self.told_frames.extend_from_slice(new);
    }

    /// Fills `out` with tables of exceptions from `values`; `wanted` are all of the target's. Returns the work beside that of the
    /// bytes.
    pub(crate) fn exceptions(
        &mut self,
        values: &mut impl Values,
        out: &mut [u8],
        wanted: Option<&[u8]>,
        read: &mut Read<'_>,
    ) -> Result<u64, Failure> {
        let mut work = 0;
        let mut exceptions = match self.exceptions.take() {
            Some(exceptions) => exceptions,
            None => Box::new(self.new_exceptions(read, &mut work)?),
        };
        let went = Where { covers: &self.covers, map: &self.map };
        exceptions.fill(values, out, wanted, &went)?;
        work += exceptions.take_work();
        self.exceptions = Some(exceptions);
        Ok(work)
    }

    fn new_exceptions(&self, read: &mut Read<'_>, work: &mut u64) -> Result<Exceptions, Failure> {
        let of = |areas: &[Area], content| {
            let area = first(areas, content).copied();
            area.ok_or_else(|| out_of_range("an area of tables of exceptions"))
        };
        let (areas, new) = (&self.params.areas, &self.params.new);
        let (from, frames) = (of(areas, Content::Exceptions)?, of(areas, Content::Frames)?);
        let (to, new_frames) = (of(new, Content::Exceptions)?, of(new, Content::Frames)?);
        let mut bytes = vec![0; from.len as usize];
        read(from.offset, &mut bytes)?;
        let mut descriptions = vec![0; frames.len as usize];
        read(frames.offset, &mut descriptions)?;
        *work += WORK_TABLES * (from.len + frames.len + new_frames.len);
        let base = (&self.base, &from, (&descriptions[..], frames.offset));
        let target = (&self.target, &to, (&self.told_frames[..], new_frames.offset));
        let made = Exceptions::new(self.params.machine, base, &bytes, target);
        made.ok_or_else(|| out_of_range("an area of tables of exceptions"))
    }
}
