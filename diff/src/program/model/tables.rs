//! Tables of symbols in a model.

use dd_inspect::failure::Failure;

use super::super::input::out_of_range;
use super::params::SymbolTables;
use super::symbol::{Values, Wanted};
use super::symbols::Symbols;
use super::{Executable, Kind, Read, SYMBOL};

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
