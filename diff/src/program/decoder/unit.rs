//! Units and slices: what stands before and between the ops.

use std::io::Read;

use dd_inspect::failure;
use dd_inspect::failure::Failure;

use super::super::columns::Columns;
use super::super::control::{ControlReader, Rest};
use super::super::hooks::{Source, Sources};
use super::super::ids::{Registry, coder, stream};
use super::super::input::out_of_range;
use super::super::limits::{PARAMS_LEN, SLICE_LEN, UNIT_MODELS, UNIT_OPS};
use super::super::meter;
use super::super::model::params::Params;
use super::super::model::version::of_id;
use super::super::op::Op;
use super::super::stream::Stream;
use super::super::streams::Record;
use super::executable::Run;
use super::run::Active;
use super::stack::Frame;
use super::{Decoder, SourceBytes, View};

/// What a unit makes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Output {
    Layer,
    Kept(u32),
}

/// A unit being run.
pub(super) struct Unit {
    pub(super) output: Output,
    pub(super) control: ControlReader,
    pub(super) columns: Columns,
    pub(super) rest: Rest,
    pub(super) frames: Vec<Frame>,
    pub(super) active: Option<Active>,
    /// Parameters of its models.
    pub(super) models: Vec<Params>,
    /// Ops that give plain bytes, one after the other; only where there are models.
    pub(super) run: Option<Run>,
    ops_left: u64,
    slice_ops_left: u64,
    slices_left: u64,
    /// Memory of control and columns, and of the slice's coded bytes.
    held: u64,
    slice_held: u64,
}

impl Unit {
    /// What comes behind an op of `len` bytes in its slice, if that is content of a source.
    pub(super) fn next_place(&mut self, len: u64) -> Option<(Source, u64)> {
        if self.slice_ops_left == 0 {
            return None;
        }
        let mut next = None;
        self.control.look_ahead(self.rest.now().saturating_sub(len), |op| {
            if let Op::Copy { source, offset, .. } | Op::Edit { source, offset, .. } = op {
                next = Some((*source, *offset));
            }
            false
        });
        next
    }
}

impl<R: Read, S: Sources> Decoder<R, S> {
    pub(super) fn begin_unit(&mut self) -> Result<Unit, Failure> {
        let number = self.units_read;
        self.units_read += 1;
        let output = self.begin_output(number)?;
        let mut models = Vec::new();
        let mut models_held = 0;
        for _ in 0..self.input.varint("the number of models", UNIT_MODELS)? {
            let id = self.input.varint("a model", u64::MAX)?;
            let params_len = self.input.varint("the length of a model's parameters", PARAMS_LEN)?;
            let model = of_id(id).filter(|_| self.head.lists(Registry::Model, id));
            let model = model.ok_or_else(|| out_of_range("a model"))?;
            let held = meter::model_params(params_len);
            self.hold(held)?;
            models_held += held;
            let mut params = Vec::new();
            self.input.bytes(params_len, &mut params)?;
            models.push(Params::parse(&params, model)?);
        }
        let ops = self.input.varint("the number of ops", UNIT_OPS)?;
        self.ops_read = self.ops_read.saturating_add(ops);
        let slices = self.input.varint("the number of slices", ops)?;
        if slices == 0 || self.ops_read > self.head.ops {
            return Err(out_of_range("the number of ops"));
        }
        let (control, columns, held) = self.read_control()?;
        Ok(Unit {
            output,
            control: ControlReader::new(control),
            columns,
            rest: Rest::default(),
            frames: Vec::new(),
            active: None,
            models,
            run: None,
            ops_left: ops,
            slice_ops_left: 0,
            slices_left: slices,
            held: held + models_held,
            slice_held: 0,
        })
    }

    fn begin_output(&mut self, number: u64) -> Result<Output, Failure> {
        let kept_before = self.kept.in_memory();
        self.kept.release_before(number);
        self.meter.release(kept_before - self.kept.in_memory());
        let output = match self.input.varint("the output of a unit", 1 << 32)? {
            0 => Output::Layer,
            place => Output::Kept((place - 1) as u32),
        };
        if self.making.is_some_and(|index| output != Output::Kept(index)) {
            return Err(failure!(PackageCorrupt, "a kept object is not complete"));
        }
        if self.kept.begins_in(number).is_some_and(|index| output != Output::Kept(index)) {
            return Err(failure!(PackageCorrupt, "a kept object is not begun"));
        }
        if let Output::Kept(index) = output {
            let kept_before = self.kept.in_memory();
            let passed = self.kept.begin(index, number)?;
            self.meter.work(meter::passed(passed))?;
            self.hold(self.kept.in_memory() - kept_before)?;
            if self.making != Some(index) {
                self.end_kept_generators();
            }
            self.making = Some(index);
        }
        Ok(output)
    }

    /// A kept object is complete.
    fn end_kept_generators(&mut self) {
        for (id, _) in self.kept_generators.drain(..) {
            self.meter.release(meter::generator(id));
        }
    }

    /// One step of a unit; false when it is finished.
    pub(super) fn step_unit(&mut self, unit: &mut Unit) -> Result<bool, Failure> {
        if unit.active.is_some() {
            self.produce(unit)?;
        } else if unit.slice_ops_left > 0 {
            unit.slice_ops_left -= 1;
            let op = unit.control.next(unit.rest.now())?;
            self.begin_op(unit, op)?;
        } else {
            self.end_slice(unit)?;
            if unit.slices_left == 0 {
                self.end_unit(unit)?;
                return Ok(false);
            }
            self.begin_slice(unit)?;
        }
        Ok(true)
    }

    fn end_unit(&mut self, unit: &mut Unit) -> Result<(), Failure> {
        if unit.ops_left > 0 || !unit.control.is_used_up() || !unit.columns.is_used_up() {
            return Err(failure!(PackageCorrupt, "the ops do not take all of the unit's control"));
        }
        if !unit.frames.is_empty() {
            return Err(failure!(PackageCorrupt, "an encoding is not left"));
        }
        if matches!(unit.output, Output::Kept(index) if self.kept.is_complete(index)) {
            self.making = None;
            self.end_kept_generators();
        }
        self.end_run(unit);
        self.meter.release(unit.held);
        Ok(())
    }

    fn begin_slice(&mut self, unit: &mut Unit) -> Result<(), Failure> {
        let ops = self.input.varint("the number of ops of a slice", unit.ops_left)?;
        if ops == 0 {
            return Err(out_of_range("the number of ops of a slice"));
        }
        unit.slices_left -= 1;
        unit.ops_left -= ops;
        unit.slice_ops_left = ops;
        let records = Record::parse_all(&mut self.input, stream::TEXT..=stream::EXACT, &self.head)?;
        let coded = records.iter().fold(0u64, |sum, record| sum.saturating_add(record.coded_len));
        if coded > SLICE_LEN {
            return Err(out_of_range("the length of a slice"));
        }
        unit.slice_held = coded;
        // Streams that are replaced are given up before any of the new ones is opened.
        for record in records.iter().filter(|record| !record.continued) {
            if let Some(before) = self.stream(record.kind)?.take() {
                self.meter.release(before.held);
                before.give_up(&mut self.spares);
            }
        }
        self.hold(coded)?;
        for record in &records {
            let mut coded = Vec::new();
            self.input.bytes(record.coded_len, &mut coded)?;
            self.meter.work(meter::decoding(record.coder, record.raw_len))?;
            let apart = Stream::apart(record.coder, &coded)?;
            self.hold(apart)?;
            unit.slice_held += apart;
            let mut stream = self.open_stream(unit, record)?;
            stream.begin(coded, record.raw_len)?;
            *self.stream(record.kind)? = Some(stream);
        }
        Ok(())
    }

    /// The stream that a record continues, or a fresh one.
    fn open_stream(&mut self, unit: &mut Unit, record: &Record) -> Result<Stream, Failure> {
        if record.continued {
            let before = self.stream(record.kind)?.take();
            return before.filter(|stream| stream.is_continued_by(record)).ok_or_else(|| {
                failure!(PackageCorrupt, "a stream is continued that was not begun")
            });
        }
        if coder::is_moved(record.coder) && !unit.run.as_ref().is_some_and(Run::turns_code) {
            return Err(out_of_range("a dictionary without a model"));
        }
        self.spares.claim(record);
        self.hold(record.memory())?;
        self.meter.work(meter::ready(record.memory()))?;
        let len = record.dictionary_len();
        let loaded = meter::loaded(record.coder, len);
        self.hold(loaded)?;
        self.meter.work(meter::loading(record.coder, len))?;
        let dictionary = self.read_dictionary(unit, record)?;
        let stream = Stream::fresh(record, dictionary, &mut self.spares);
        self.meter.release(loaded);
        stream
    }

    /// The ranges of a dictionary after a zero byte, so that none is taken for a trained one; with room for the literals of a
    /// stream that goes on behind it.
    fn read_dictionary(&mut self, unit: &mut Unit, record: &Record) -> Result<Vec<u8>, Failure> {
        let len = record.dictionary_len() as usize;
        let mut bytes = self.spares.room(record.coder, len + record.room());
        bytes.resize(len, 0);
        let mut at = 1;
        for range in &record.dictionary {
            let end = at + range.len as usize;
            let place = bytes.get_mut(at..end).ok_or_else(|| out_of_range("a dictionary"))?;
            self.view(u64::MAX).read_at(range.source, range.offset, place)?;
            if coder::is_moved(record.coder) {
                self.move_dictionary(unit, range, place)?;
            }
            at = end;
        }
        Ok(bytes)
    }

    fn end_slice(&mut self, unit: &mut Unit) -> Result<(), Failure> {
        for stream in self.streams.iter_mut().flatten() {
            stream.finish()?;
        }
        self.meter.release(std::mem::take(&mut unit.slice_held));
        Ok(())
    }

    /// The place of a slice's stream of this kind.
    pub(super) fn stream(&mut self, kind: u64) -> Result<&mut Option<Stream>, Failure> {
        let index = kind.checked_sub(stream::TEXT).and_then(|index| usize::try_from(index).ok());
        index.and_then(|index| self.streams.get_mut(index)).ok_or_else(|| out_of_range("a stream"))
    }

    /// The sources; `free` bytes of reading count as no work.
    pub(super) fn view(&mut self, free: u64) -> View<'_, S> {
        View {
            sources: &self.sources,
            count: self.head.sources.len(),
            kept: &self.kept,
            meter: &mut self.meter,
            free,
        }
    }
}
