//! Models of a unit.

use dd_inspect::failure::Failure;

use super::super::coder::Shape;
use super::super::columns::ColumnWriter;
use super::super::hooks::Sources;
use super::super::ids::{
    Registry,
    model::{BYTES, X86_64},
    stream,
};
use super::super::limits::{PARAMS_LEN, UNIT_MODELS, UNIT_OPS};
use super::super::meter;
use super::super::model::index_memory;
use super::super::model::params::Params;
use super::super::model::symbol::Values;
use super::super::model::version::{Machine, of_id};
use super::super::op::{Computed, Op};
use super::unit::OpenUnit;
use super::{PayloadWriter, wrong};

/// Ops that a unit may have when what needs a model is written, which leaves room for where slices are cut.
const MODEL_OPS: u64 = UNIT_OPS - 1024;

/// Ops that give plain bytes, one after the other.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Run {
    made: u64,
    /// Ops that read a source.
    reading: u64,
    /// Memory of the tables of symbols, and of a table of frame descriptions, if there will be one.
    symbols: u64,
    index: u64,
    has_model: bool,
}

/// What symbols are made from.
#[derive(Debug)]
pub struct Collected<'a> {
    columns: &'a mut ColumnWriter,
    raw: Vec<u8>,
}

impl Values for Collected<'_> {
    fn integer(&mut self, column: u8, wanted: u64) -> Result<u64, Failure> {
        self.columns.put_varint(column, wanted);
        Ok(wanted)
    }

    fn bytes(&mut self, bytes: &mut [u8]) -> Result<(), Failure> {
        self.raw.extend_from_slice(bytes);
        Ok(())
    }
}

impl OpenUnit {
    /// Whether a further model, with many ops, may begin in the unit: inside of an encoding none can end it.
    pub(super) fn has_room_for_models(&self) -> bool {
        (self.models.len() as u64) < UNIT_MODELS && self.ops < MODEL_OPS / 2
    }

    /// Whether a run with a model has given bytes.
    pub(super) fn in_run(&self) -> bool {
        self.in_model && self.run.made > 0
    }

    /// Whether new code is turned by the model.
    pub(super) fn turns_code(&self) -> bool {
        self.in_model && self.models.last().is_some_and(|(id, _)| !matches!(*id, BYTES | X86_64))
    }

    /// What new code is.
    pub(super) fn shape(&self) -> Shape {
        match self.models.last().and_then(|(id, _)| of_id(*id)) {
            Some((Machine::AArch64, _)) => Shape::Words,
            _ => Shape::Bytes,
        }
    }

    /// Counts an op in its run, or ends the run.
    pub(super) fn note_run(&mut self, op: &Op) {
        let Some(len) = op.plain_len() else {
            self.run = Run::default();
            return;
        };
        self.run.made += len;
        if let Op::Computed { kind: Computed::FrameIndex, .. } = op {
            self.run.symbols += std::mem::take(&mut self.run.index);
        }
        self.run.reading += u64::from(matches!(op, Op::Copy { .. } | Op::Edit { .. }));
        if self.run.has_model {
            self.models_peak =
                self.models_peak.max(meter::model(self.run.reading) + self.run.symbols);
        }
    }
}

impl<S: Sources + Sync> PayloadWriter<S> {
    /// What follows, at most `ops` ops that give plain bytes, is predicted by a model, until
    /// [`PayloadWriter::end_model`]; all of it goes into one unit. Returns the model's place in it; none where no model can
    /// begin.
    ///
    /// # Errors
    /// What writing a unit fails with.
    pub fn begin_model(
        &mut self,
        id: u64,
        ops: u64,
        params: Vec<u8>,
    ) -> Result<Option<u64>, Failure> {
        self.flush_op()?;
        if ops > MODEL_OPS || self.unit.in_model || params.len() as u64 > PARAMS_LEN {
            return Ok(None);
        }
        let full = self.unit.models.len() as u64 == UNIT_MODELS || self.unit.ops + ops > MODEL_OPS;
        if full || self.unit.run.made > 0 {
            if self.unit.frames.depth() > 0 {
                return Ok(None);
            }
            self.next_unit()?;
        }
        let model = of_id(id).ok_or_else(|| wrong("there is no such model"))?;
        let parsed = Params::parse(&params, model)?;
        let tables = meter::model_tables(&parsed);
        self.meter.work(meter::ready(meter::model(0) + tables))?;
        self.unit.run.symbols = tables;
        self.unit.run.index = index_memory(&parsed);
        self.ids.insert((Registry::Model as u64, id));
        self.unit.models.push((id, params));
        self.unit.run.has_model = true;
        self.unit.in_model = true;
        Ok(Some(self.unit.models.len() as u64))
    }

    /// Rows of a table, whole ones of `len` bytes together, whose columns `describe` puts.
    ///
    /// # Errors
    /// What `describe` or writing a unit fails with; no model was begun.
    pub fn rows(
        &mut self,
        kind: Computed,
        len: u64,
        describe: impl FnOnce(&mut Collected<'_>) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        self.flush_op()?;
        if !self.unit.in_model {
            return Err(wrong("a table without a model"));
        }
        let before = self.unit.columns.len();
        let mut collected = Collected { columns: &mut self.unit.columns, raw: Vec::new() };
        describe(&mut collected)?;
        let raw = collected.raw;
        self.unit.columns_grew(self.unit.columns.len() - before);
        if raw.len() > self.unit.slice.room() {
            self.cut_slice()?;
        }
        self.unit.bytes(stream::RAW, &raw);
        self.emit(Op::Computed { kind, len })?;
        self.cut_slice_if_full()
    }

    /// Names of symbols.
    ///
    /// # Errors
    /// What writing a unit fails with.
    pub fn names(&mut self, len: u64) -> Result<(), Failure> {
        self.push(Op::Computed { kind: Computed::Names, len })
    }

    /// What needed the model is written; `work` is what the model did beside the bytes that it predicted.
    ///
    /// # Errors
    /// What writing a unit fails with; no model was begun.
    pub fn end_model(&mut self, work: u64) -> Result<(), Failure> {
        if !std::mem::take(&mut self.unit.in_model) {
            return Err(wrong("no model was begun"));
        }
        self.meter.work(work)?;
        self.flush_op()
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::hooks::Source;
    use super::*;

    #[test]
    fn a_run_counts_what_reads_and_its_table() {
        let mut unit = OpenUnit { in_model: true, ..OpenUnit::default() };
        let copy = Op::Copy { source: Source::Base(0), offset: 0, len: 5 };
        let index = Op::Computed { kind: Computed::FrameIndex, len: 8 };
        unit.run = Run { index: 1000, has_model: true, ..Run::default() };
        for op in [&copy, &copy] {
            unit.note_run(op);
        }
        assert_eq!((unit.models_peak, unit.in_run()), (meter::model(2), true));
        for op in [&index, &index] {
            unit.note_run(op);
        }
        assert_eq!(unit.models_peak, meter::model(2) + 1000);
        unit.note_run(&Op::Leave);
        assert!(!unit.in_run());
        (0..5).for_each(|_| unit.note_run(&copy));
        assert_eq!(unit.models_peak, meter::model(2) + 1000);
    }
}
