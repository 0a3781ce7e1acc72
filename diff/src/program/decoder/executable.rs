//! Runs of ops that give plain bytes, and what their model of executables makes of them.
//!
//! Where bytes of a base's file went is known before the first of them: at the start of a run its ops are read
//! ahead.

use std::io::Read;

use dd_inspect::failure::Failure;

use super::super::columns::Columns;
use super::super::hooks::{Source, SourceBytes, Sources};
use super::super::ids::stream;
use super::super::input::out_of_range;
use super::super::limits::BLOCK_LEN;
use super::super::meter;
use super::super::model::params::Params;
use super::super::model::symbol::Values;
use super::super::model::version::Version;
use super::super::model::{
    self, Executable, Interval, LEAD, STRETCH, WORK_BYTE, WORK_SYMBOLS, index_memory,
};
use super::super::op::{Computed, Literal, Op};
use super::super::stream::Stream;
use super::super::streams::Range;
use super::run::absent;
use super::unit::Unit;
use super::{Decoder, View};

/// Ops that give plain bytes, one after the other in a unit.
#[derive(Debug)]
pub(super) struct Run {
    /// Bytes that it gave.
    made: u64,
    /// Its model, by the place in the unit, from 1.
    model: Option<(u64, Box<Executable>)>,
    held: u64,
    /// The last bytes that it gave, at most [`LEAD`]; where the model needs them.
    last: Vec<u8>,
}

impl Run {
    /// These bytes were given.
    pub(super) fn made(&mut self, bytes: &[u8]) {
        if let Some((_, executable)) = &mut self.model {
            executable.note(self.made, bytes);
        }
        self.made = self.made.saturating_add(bytes.len() as u64);
        if self.turns_code() {
            let kept = self.last.len().saturating_sub(LEAD.saturating_sub(bytes.len().min(LEAD)));
            self.last.drain(..kept);
            let new = bytes.len().saturating_sub(LEAD);
            self.last.extend_from_slice(bytes.get(new..).unwrap_or_default());
        }
    }

    /// Whether literals of code are turned.
    pub(super) fn turns_code(&self) -> bool {
        let model = self.model.as_ref();
        model.is_some_and(|(_, executable)| executable.params().version != Version::First)
    }
}

impl<R: Read, S: Sources> Decoder<R, S> {
    /// An op begins: the run goes on, begins or ends.
    pub(super) fn note_run(&mut self, unit: &mut Unit, op: &Op) -> Result<(), Failure> {
        let Some(len) = op.plain_len() else {
            self.end_run(unit);
            return Ok(());
        };
        if unit.run.is_some() {
            return Ok(());
        }
        let rest = unit.rest.now().saturating_sub(len);
        let model = match first_model(op) {
            Some(model) => Some(model),
            None => {
                let mut found = None;
                unit.control.look_ahead(rest, |op| {
                    found = first_model(op);
                    found.is_none() && op.plain_len().is_some()
                });
                found
            }
        };
        let run = match model {
            Some(model) => self.run_with(unit, model, op, rest)?,
            None => Run { made: 0, model: None, held: 0, last: Vec::new() },
        };
        unit.run = Some(run);
        Ok(())
    }

    /// A run with a model, which begins with `op`; `rest` is what is left of the entry behind that.
    fn run_with(
        &mut self,
        unit: &mut Unit,
        model: u64,
        op: &Op,
        rest: u64,
    ) -> Result<Run, Failure> {
        let params = usize::try_from(model - 1).ok().and_then(|place| unit.models.get(place));
        let params = params.ok_or_else(|| out_of_range("a model"))?;
        let mut intervals = Vec::new();
        let (mut made, mut reading, mut has_index) = (0, 0, false);
        let mut take = |op: &Op| {
            let Some(len) = op.plain_len() else { return false };
            reading += u64::from(matches!(op, Op::Copy { .. } | Op::Edit { .. }));
            has_index |= matches!(op, Op::Computed { kind: Computed::FrameIndex, .. });
            intervals.extend(interval(op, params, made));
            made = made.saturating_add(len);
            true
        };
        take(op);
        unit.control.look_ahead(rest, take);
        let index = if has_index { index_memory(params) } else { 0 };
        let tables = meter::model_tables(params);
        let held = meter::model(reading) + tables + index;
        let (params, intervals) = (params.clone(), intervals.into_iter());
        let spare = self.spares.tables.take();
        self.hold(held)?;
        self.meter.work(meter::ready(meter::model(0) + tables))?;
        let executable = match spare {
            Some(spare) => Executable::again(*spare, params, intervals),
            None => Executable::new(params, intervals),
        };
        Ok(Run { made: 0, model: Some((model, Box::new(executable))), held, last: Vec::new() })
    }

    /// The run is over.
    pub(super) fn end_run(&mut self, unit: &mut Unit) {
        if let Some(run) = unit.run.take() {
            self.meter.release(run.held);
            if let Some((_, executable)) = run.model {
                self.spares.tables.keep(Box::new(executable.give_up()), model::MEMORY);
            }
        }
    }

    /// Checks an EDIT with a model.
    pub(super) fn begin_executable(
        &mut self,
        unit: &Unit,
        model: u64,
        source: Source,
        offset: u64,
        len: u64,
    ) -> Result<(), Failure> {
        let fits = unit.run.as_ref().is_some_and(|run| {
            run.model.as_ref().is_some_and(|(used, executable)| {
                let params = executable.params();
                *used == model
                    && params.has(source, offset, len)
                    && params.target(run.made, len).is_some()
            })
        });
        if !fits {
            return Err(out_of_range("an EDIT with a model"));
        }
        self.meter.work(len.saturating_mul(WORK_BYTE))
    }

    /// Counts what turning literals of code costs, if they are turned.
    pub(super) fn begin_literals(
        &mut self,
        unit: &Unit,
        kind: Literal,
        len: u64,
    ) -> Result<(), Failure> {
        if kind == Literal::Code && unit.run.as_ref().is_some_and(Run::turns_code) {
            self.meter.work(len.saturating_mul(WORK_BYTE))?;
        }
        Ok(())
    }

    /// Gives records of symbols.
    pub(super) fn symbols(&mut self, unit: &mut Unit, chunk: &mut [u8]) -> Result<(), Failure> {
        self.rows(unit, chunk, |executable, values, chunk, read| {
            executable.symbols(values, chunk, |_| None, read)
        })
    }

    /// Gives rows of the table that finds frame descriptions.
    pub(super) fn index(&mut self, unit: &mut Unit, chunk: &mut [u8]) -> Result<(), Failure> {
        self.rows(unit, chunk, |executable, values, chunk, read| {
            executable.index(values, chunk, |_| None, read)
        })
    }

    /// Gives tables of exceptions.
    pub(super) fn exceptions(&mut self, unit: &mut Unit, chunk: &mut [u8]) -> Result<(), Failure> {
        let version = unit.run.as_ref().and_then(|run| run.model.as_ref());
        let version = version.map(|(_, executable)| executable.params().version);
        if version < Some(Version::Fifth) {
            return Err(out_of_range("tables of exceptions"));
        }
        self.rows(unit, chunk, |executable, values, chunk, read| {
            executable.exceptions(values, chunk, None, read)
        })
    }

    /// Gives whole rows of a table that a model makes.
    fn rows(
        &mut self,
        unit: &mut Unit,
        chunk: &mut [u8],
        make: impl FnOnce(
            &mut Executable,
            &mut Given<'_>,
            &mut [u8],
            &mut super::super::model::Read<'_>,
        ) -> Result<u64, Failure>,
    ) -> Result<(), Failure> {
        let (_, executable) = with_symbols(&mut unit.run)?;
        self.meter.work((chunk.len() as u64).saturating_mul(WORK_SYMBOLS))?;
        let (source, file) = (executable.params().source, executable.params().offset);
        let mut view = View {
            sources: &self.sources,
            count: self.head.sources.len(),
            kept: &self.kept,
            meter: &mut self.meter,
            free: u64::MAX,
        };
        let raw = self.streams.get_mut((stream::RAW - stream::TEXT) as usize);
        let mut values = Given { columns: &mut unit.columns, raw: raw.and_then(Option::as_mut) };
        let work = make(executable, &mut values, chunk, &mut |at, buf| {
            view.read_at(source, file.wrapping_add(at), buf)
        })?;
        self.meter.work(work)
    }

    /// Gives names of symbols.
    pub(super) fn names(&mut self, unit: &mut Unit, chunk: &mut [u8]) -> Result<(), Failure> {
        let (at, executable) = with_symbols(&mut unit.run)?;
        let names = executable.names(at, chunk.len());
        chunk.copy_from_slice(names.ok_or_else(|| out_of_range("a name of a symbol"))?);
        Ok(())
    }

    /// Turns literals of code into what they are in the target's file, if the run has a model that does.
    pub(super) fn finish_literals(&mut self, unit: &mut Unit, chunk: &mut [u8]) {
        let Some(run) = unit.run.as_mut().filter(|run| run.turns_code()) else { return };
        let Some((_, executable)) = &run.model else { return };
        let (mut at, mut last) = (run.made, run.last.clone());
        for part in chunk.chunks_mut(STRETCH) {
            let lead = last.len();
            self.spare.clear();
            self.spare.extend_from_slice(&last);
            self.spare.extend_from_slice(part);
            executable.finish_literals(&mut self.spare, lead, at);
            part.copy_from_slice(self.spare.get(lead..).unwrap_or_default());
            at = at.saturating_add(part.len() as u64);
            last.clear();
            last.extend_from_slice(part.get(part.len().saturating_sub(LEAD)..).unwrap_or_default());
        }
    }

    /// Turns a range of a dictionary into what new code looks like.
    pub(super) fn move_dictionary(
        &mut self,
        unit: &mut Unit,
        range: &Range,
        bytes: &mut [u8],
    ) -> Result<(), Failure> {
        let model =
            unit.run.as_mut().filter(|run| run.turns_code()).and_then(|run| run.model.as_mut());
        let (_, executable) = model.ok_or_else(|| out_of_range("a dictionary without a model"))?;
        let Params { source, offset: file, machine, .. } = *executable.params();
        if !executable.params().has(range.source, range.offset, range.len) {
            return Ok(());
        }
        self.meter.work(range.len.saturating_mul(WORK_BYTE))?;
        let mut view = self.view(u64::MAX);
        executable.dictionary(range.offset - file, bytes, &mut |at, buf| {
            view.meter.work(machine.work(buf.len()))?;
            view.read_at(source, file.wrapping_add(at), buf)
        })
    }

    /// Turns bytes of a base's file, which stand at `offset` of its source, into the target's.
    pub(super) fn predict(
        &mut self,
        unit: &mut Unit,
        offset: u64,
        chunk: &mut [u8],
    ) -> Result<(), Failure> {
        let Some(run) = &mut unit.run else { return Err(out_of_range("a model")) };
        let Some((_, executable)) = &mut run.model else { return Err(out_of_range("a model")) };
        let (mut spare, mut classes) =
            (std::mem::take(&mut self.spare), std::mem::take(&mut self.classes));
        let Params { source, offset: file, machine, .. } = *executable.params();
        let mut base = offset.wrapping_sub(file);
        let mut target = run.made;
        let mut raw = Vec::new();
        for stretch in chunk.chunks_mut(STRETCH) {
            let mut view = self.view(u64::MAX);
            executable.begin(base, target, stretch, &mut |at, buf| {
                view.meter.work(machine.work(buf.len()))?;
                view.read_at(source, file.wrapping_add(at), buf)
            })?;
            spare.clear();
            spare.extend_from_slice(stretch);
            classes.clear();
            classes.resize(stretch.len(), 0);
            let corrections = self.stream(stream::CORRECTIONS)?.as_mut();
            let corrections = corrections.ok_or_else(|| absent(stream::CORRECTIONS))?;
            let mut at = 0;
            while at < stretch.len() {
                let end = executable.next_end(at, stretch.len(), BLOCK_LEN);
                executable.predict(stretch, &mut classes, end);
                let (Some(bytes), Some(classes)) = (stretch.get_mut(at..end), classes.get(at..end))
                else {
                    break;
                };
                corrections.correct(bytes, classes, &mut raw)?;
                executable.learn(stretch, &spare, end);
                at = end;
            }
            base = base.wrapping_add(stretch.len() as u64);
            target = target.wrapping_add(stretch.len() as u64);
        }
        (self.spare, self.classes) = (spare, classes);
        Ok(())
    }
}

/// What symbols are made from.
struct Given<'a> {
    columns: &'a mut Columns,
    raw: Option<&'a mut Stream>,
}

impl Values for Given<'_> {
    fn integer(&mut self, column: u8, _: u64) -> Result<u64, Failure> {
        self.columns.varint(column)
    }

    fn bytes(&mut self, bytes: &mut [u8]) -> Result<(), Failure> {
        self.raw.as_mut().ok_or_else(|| absent(stream::RAW))?.fill(bytes)
    }
}

/// Bytes that a run gave, and its model, which has tables of symbols.
fn with_symbols(run: &mut Option<Run>) -> Result<(u64, &mut Executable), Failure> {
    let run = run.as_mut().and_then(|run| Some((run.made, &mut run.model.as_mut()?.1)));
    let run = run.filter(|(_, executable)| executable.params().version >= Version::Fourth);
    run.map(|(at, executable)| (at, &mut **executable)).ok_or_else(|| out_of_range("symbols"))
}

/// The model of an EDIT, if that is not the bytes themselves.
fn first_model(op: &Op) -> Option<u64> {
    match op {
        Op::Edit { model, .. } if *model != 0 => Some(*model),
        _ => None,
    }
}

/// What an op that comes after `made` bytes of its run says of a base's file.
fn interval(op: &Op, params: &Params, made: u64) -> Option<Interval> {
    match op {
        Op::Copy { source, offset, len } | Op::Edit { source, offset, len, .. }
            if params.has(*source, *offset, *len) =>
        {
            Some(Interval {
                base: (offset - params.offset) as u32,
                target: params.target(made, *len)?,
                len: *len as u32,
            })
        }
        _ => None,
    }
}
