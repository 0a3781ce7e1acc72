//! Runs of ops that give plain bytes, and EDIT with the model of executables.
//!
//! Where bytes of a base's file went is known before the first of them: at the start of a run its ops are read
//! ahead.

use std::io::Read;

use dd_inspect::failure::Failure;

use super::super::hooks::{Source, SourceBytes, Sources};
use super::super::ids::stream;
use super::super::input::out_of_range;
use super::super::limits::BLOCK_LEN;
use super::super::meter;
use super::super::model::params::Params;
use super::super::model::{Executable, Interval, STRETCH, WORK_BYTE, WORK_PAGE};
use super::super::op::Op;
use super::Decoder;
use super::run::absent;
use super::unit::Unit;

/// COPY, EDIT, LIT and zeros that follow one another in a unit.
#[derive(Debug)]
pub(super) struct Run {
    /// Bytes that it gave.
    made: u64,
    /// Its model, by the place in the unit, from 1.
    model: Option<(u64, Box<Executable>)>,
    held: u64,
}

impl Run {
    /// So many bytes were given.
    pub(super) fn made(&mut self, len: u64) {
        self.made = self.made.saturating_add(len);
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
        let mut run = Run { made: 0, model: None, held: 0 };
        if let Some(model) = model {
            let params = usize::try_from(model - 1).ok().and_then(|place| unit.models.get(place));
            let params = params.ok_or_else(|| out_of_range("a model"))?;
            let mut intervals = Vec::new();
            let (mut made, mut reading) = (0, 0);
            let mut take = |op: &Op| {
                let Some(len) = op.plain_len() else { return false };
                reading += u64::from(matches!(op, Op::Copy { .. } | Op::Edit { .. }));
                intervals.extend(interval(op, params, made));
                made = made.saturating_add(len);
                true
            };
            take(op);
            unit.control.look_ahead(rest, take);
            run.held = meter::model(reading);
            self.meter.hold(run.held)?;
            let executable = Executable::new(params.clone(), intervals.into_iter());
            run.model = Some((model, Box::new(executable)));
        }
        unit.run = Some(run);
        Ok(())
    }

    /// The run is over.
    pub(super) fn end_run(&mut self, unit: &mut Unit) {
        if let Some(run) = unit.run.take() {
            self.meter.release(run.held);
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
        let (source, file) = (executable.params().source, executable.params().offset);
        let mut base = offset.wrapping_sub(file);
        let mut target = run.made;
        for stretch in chunk.chunks_mut(STRETCH) {
            let mut view = self.view(u64::MAX);
            executable.begin(base, target, stretch, &mut |at, buf| {
                view.meter.work(WORK_PAGE)?;
                view.read_at(source, file.wrapping_add(at), buf)
            })?;
            spare.clear();
            spare.extend_from_slice(stretch);
            classes.clear();
            classes.resize(stretch.len(), 0);
            let mut buf = std::mem::take(&mut self.chunk);
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
                corrections.correct(bytes, classes, &mut buf)?;
                executable.learn(stretch, &spare, end);
                at = end;
            }
            self.chunk = buf;
            base = base.wrapping_add(stretch.len() as u64);
            target = target.wrapping_add(stretch.len() as u64);
        }
        (self.spare, self.classes) = (spare, classes);
        Ok(())
    }
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
