//! Ops on their way into a unit: what each adds to its control, its needs and the ids in use.

use dd_inspect::failure;
use dd_inspect::failure::Failure;

use super::super::hooks::{Entry, Sources};
use super::super::limits::UNIT_OPS;
use super::super::meter::{self, OPENING, WORK_GENERATE, WORK_OP};
use super::super::model;
use super::super::op::{Computed, Literal, Op, ids_of};
use super::frames::Frame;
use super::kept::keep;
use super::ops::extend;
use super::{PayloadWriter, wrong};

impl<S: Sources + Sync> PayloadWriter<S> {
    /// Takes an op that gives bytes; it may become part of the one before.
    pub(super) fn push(&mut self, op: Op) -> Result<(), Failure> {
        if op.said_len() == 0 {
            return Ok(());
        }
        if self.unit.last.as_mut().is_some_and(|(last, _)| extend(last, &op)) {
            return Ok(());
        }
        self.flush_op()?;
        self.unit.last = Some((op, self.unit.owner));
        Ok(())
    }

    /// Writes the op that could have been made longer.
    pub(super) fn emit_last(&mut self) -> Result<(), Failure> {
        let Some((op, owner)) = self.unit.last.take() else { return Ok(()) };
        let now = std::mem::replace(&mut self.unit.owner, owner);
        self.emit(op)?;
        self.unit.owner = now;
        Ok(())
    }

    /// Writes an op that gives what it says.
    pub(super) fn emit(&mut self, op: Op) -> Result<(), Failure> {
        if let Op::Edit { .. } = op {
            self.mixing.end_op();
        }
        self.put(&op, op.said_len())?;
        match op {
            Op::EnterDigest { .. } => self.enter_frame(Frame::default()),
            Op::EnterHash { hash } => {
                let digest = Some((self.digests.enter(), hash.digest_len()));
                self.unit.digests += 1;
                self.enter_frame(Frame { digest, ..Frame::default() });
            }
            Op::Enter { encoding, params, exact_len, encoded_len } => {
                let memory = self.options.encoders.memory(encoding);
                let memory = memory.ok_or_else(|| wrong("there is no such encoding"))?;
                self.meter.work(meter::encoder_ready(memory))?;
                let held = memory + params.len() as u64 + exact_len;
                let encoded_len = Some(encoded_len);
                self.enter_frame(Frame { encoded_len, held, ..Frame::default() });
            }
            Op::Leave => self.leave_frame()?,
            _ => {}
        }
        Ok(())
    }

    fn enter_frame(&mut self, frame: Frame) {
        self.unit.rest.enter(frame.encoded_len.is_none());
        self.unit.frames.enter(frame);
    }

    fn leave_frame(&mut self) -> Result<(), Failure> {
        let frame = self.unit.frames.leave().ok_or_else(|| wrong("no encoding is entered"))?;
        if let Some((number, len)) = frame.digest {
            // Its bytes are of no use here.
            self.digests.fill(number, vec![0; len]);
        }
        let given = frame.encoded_len.unwrap_or(frame.given);
        if frame.encoded_len.is_some() {
            self.pass(given)?;
        }
        self.unit.rest.leave(given);
        Ok(())
    }

    /// Writes an op whose bytes a generator makes that knows their length, or a numbered digest.
    pub(super) fn emit_generated(
        &mut self,
        op: Op,
        len: u64,
        entry: Option<Entry>,
    ) -> Result<(), Failure> {
        if let Op::Generate { generator } = op {
            self.generators.insert((self.unit.kept.is_some(), generator));
            self.meter.work(WORK_GENERATE)?;
        }
        self.unit.control.predictor.skip(len);
        self.put(&op, len)?;
        if let Some(entry) = entry {
            self.mtime = entry.mtime.unwrap_or(self.mtime);
            self.unit.control.predictor.entry(&entry);
            self.unit.rest.entry(&entry);
        }
        Ok(())
    }

    /// Puts an op into the control, and counts the bytes that it gives.
    fn put(&mut self, op: &Op, len: u64) -> Result<(), Failure> {
        self.note(op)?;
        self.unit.put(op);
        self.unit.rest.produced(len);
        self.pass(len)
    }

    /// Counts an op, its ids and what it reads.
    fn note(&mut self, op: &Op) -> Result<(), Failure> {
        if self.unit.ops == UNIT_OPS {
            return Err(failure!(Limit, "an encoding has more than {UNIT_OPS} ops inside"));
        }
        self.unit.ops += 1;
        self.unit.slice.ops += 1;
        self.unit.slice.follow(op);
        self.meter.work(WORK_OP)?;
        let turns_code = self.unit.turns_code();
        self.meter.work(match op {
            Op::Edit { model: 1.., len, .. } => len.saturating_mul(model::WORK_BYTE),
            Op::Literal { kind: Literal::Code, len } if turns_code => {
                len.saturating_mul(model::WORK_BYTE)
            }
            Op::Computed {
                kind: Computed::Symbols | Computed::FrameIndex | Computed::Exceptions,
                len,
            } => len.saturating_mul(model::WORK_SYMBOLS),
            Op::Open { coded_len, .. } => *coded_len,
            _ => 0,
        })?;
        if let Op::Open { .. } = op {
            self.unit.frames.hold(OPENING);
        }
        if let Op::Copy { source, .. }
        | Op::Edit { source, .. }
        | Op::Following { source, .. }
        | Op::Open { source, .. } = op
        {
            keep(&mut self.kept, *source, self.units_begun);
        }
        self.ids
            .extend(ids_of(op).into_iter().flatten().map(|(registry, id)| (registry as u64, id)));
        Ok(())
    }

    /// Counts bytes on their way out.
    fn pass(&mut self, len: u64) -> Result<(), Failure> {
        let (entered, is_out) = self.unit.frames.pass(len);
        self.meter.work(len.saturating_mul(1 + entered))?;
        match self.unit.kept {
            _ if !is_out => {}
            None => self.output_len += len,
            Some(_) => self.unit.kept_made += len,
        }
        Ok(())
    }
}
