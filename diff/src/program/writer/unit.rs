//! Units and slices under construction.

use dd_inspect::failure;
use dd_inspect::failure::Failure;

use super::super::coder::{CorrectionWriter, SparseBuilder};
use super::super::columns::ColumnWriter;
use super::super::control::{ControlStreams, ControlWriter, Rest};
use super::super::hooks::{Entry, Source, Sources};
use super::super::ids::{Registry, stream};
use super::super::limits::{CONTROL_LEN, UNIT_OPS};
use super::super::meter::{self, OPENING, WORK_GENERATE, WORK_OP};
use super::super::model;
use super::super::op::{Computed, Literal, Op, ids_of};
use super::chain::{Mark, PartRef, Piece};
use super::kept::keep;
use super::ledger::{Owner, Shares};
use super::model::Run;
use super::ops::extend;
use super::{PayloadWriter, wrong};

/// A slice is cut when its bytes reach this length, which leaves room for a last piece and for what
/// coding may add.
const SLICE_FULL: usize = 3 << 20;
/// A unit is cut where no encoding is open after so many ops, bytes of control and columns, or bytes of slices.
const UNIT_FULL_OPS: u64 = 1 << 17;
const UNIT_FULL_CONTROL: usize = 3 << 20;
const UNIT_FULL_SLICES: usize = 32 << 20;

/// An entered encoding.
#[derive(Debug, Default)]
struct Frame {
    /// The length that comes out, for an encoder.
    encoded_len: Option<u64>,
    /// The number and the length of a numbered digest.
    digest: Option<(usize, usize)>,
    given: u64,
    held: u64,
}

/// A slice's streams before they are coded.
#[derive(Debug, Default)]
struct OpenSlice {
    ops: u64,
    /// TEXT, CODE, RAW and, after the place of the corrections, EXACT.
    bytes: [Vec<u8>; 5],
    corrections: SparseBuilder,
    shares: [Shares; 5],
    /// Where literals begin in these bytes, and what they stand in for.
    marks: [Vec<Mark>; 5],
    /// Where the literals stand that the last op takes.
    open_literals: Option<usize>,
    /// Some of the corrections were given without predictions.
    unpredicted: bool,
}

impl OpenSlice {
    fn len(&self) -> usize {
        self.bytes.iter().map(Vec::len).sum::<usize>() + self.corrections.len()
    }
}

/// A slice whose streams wait to be coded.
#[derive(Debug)]
pub(super) struct ClosedSlice {
    pub(super) ops: u64,
    pub(super) parts: Vec<PartRef>,
}

/// A unit whose ops are still being given.
#[derive(Debug, Default)]
pub(super) struct OpenUnit {
    /// The kept object that it makes; none for the layer.
    pub(super) kept: Option<u32>,
    /// Bytes of that object so far, in earlier units too.
    pub(super) kept_made: u64,
    pub(super) columns: ColumnWriter,
    control: ControlWriter,
    rest: Rest,
    frames: Vec<Frame>,
    /// Whom bytes are charged to.
    pub(super) owner: Option<Owner>,
    /// Shares of the control streams and the columns.
    shares: [Shares; 6],
    /// An op that may still be made longer, and its owner.
    last: Option<(Op, Option<Owner>)>,
    pub(super) ops: u64,
    /// Numbered digests that it enters.
    digests: u64,
    slice: OpenSlice,
    slices: Vec<ClosedSlice>,
    slices_len: usize,
    /// Memory of encoders that are entered, and the most of it.
    frames_held: u64,
    frames_peak: u64,
    /// Ids and parameters of its models, and the most memory of one.
    pub(super) models: Vec<(u64, Vec<u8>)>,
    pub(super) models_peak: u64,
    /// What follows needs the last one.
    pub(super) in_model: bool,
    pub(super) run: Run,
}

/// A unit that waits until its slices are coded.
#[derive(Debug)]
pub(super) struct ClosedUnit {
    pub(super) kept: Option<u32>,
    pub(super) ops: u64,
    pub(super) control: Vec<PartRef>,
    pub(super) slices: Vec<ClosedSlice>,
    pub(super) models: Vec<(u64, Vec<u8>)>,
    /// The most memory of encoders that are entered and of a model.
    pub(super) frames_peak: u64,
    /// Numbered digests that it enters.
    pub(super) digests: u64,
}

impl OpenUnit {
    pub(super) fn new(kept: Option<u32>, owner: Option<Owner>) -> Self {
        Self { kept, owner, ..Self::default() }
    }

    /// Encodings entered.
    pub(super) fn depth(&self) -> usize {
        self.frames.len()
    }

    /// Bytes that the slice still takes, at least 1.
    pub(super) fn room(&self) -> usize {
        SLICE_FULL.saturating_sub(self.slice.len()).max(1)
    }

    pub(super) fn bytes(&mut self, kind: u64, bytes: &[u8]) {
        let place = (kind - stream::TEXT) as usize;
        self.slice.bytes[place].extend_from_slice(bytes);
        self.slice.shares[place].add(self.owner, bytes.len() as u64);
    }

    pub(super) fn corrections(&mut self, corrections: &[u8]) {
        self.slice.corrections.push(corrections);
        let differing = corrections.iter().filter(|&&byte| byte != 0).count() as u64;
        self.slice.shares[(stream::CORRECTIONS - stream::TEXT) as usize].add(self.owner, differing);
    }

    /// The last bytes of a kind are literals that an op takes now.
    fn mark(&mut self, kind: Literal, len: usize) {
        let place = (kind.stream() - stream::TEXT) as usize;
        let at = self.slice.bytes[place].len().saturating_sub(len);
        let source = self.control.predictor.source();
        let offset = self.control.predictor.offset(source);
        self.slice.marks[place].push(Mark { at, source, offset, len, next: None });
        self.slice.open_literals = Some(place);
    }

    /// An op follows the last one: if that takes literals, its content is what follows these.
    fn follow_literals(&mut self, op: &Op) {
        let Some(place) = self.slice.open_literals.take() else { return };
        if let Op::Copy { source, offset, .. } | Op::Edit { source, offset, .. } = op
            && let Some(mark) = self.slice.marks[place].last_mut()
        {
            mark.next = Some((*source, *offset));
        }
    }

    /// Puts an op into the control streams.
    fn put(&mut self, op: &Op) {
        let lens = self.control.streams.raw.each_ref().map(Vec::len);
        self.control.put(op, self.rest.now());
        let raw = self.control.streams.raw.iter().zip(lens);
        for (shares, (raw, before)) in self.shares.iter_mut().zip(raw) {
            shares.add(self.owner, (raw.len() - before) as u64);
        }
    }

    /// Bytes were put into the columns.
    pub(super) fn columns_grew(&mut self, by: usize) {
        if let Some(shares) = self.shares.last_mut() {
            shares.add(self.owner, by as u64);
        }
    }

    /// The corrections of the slice cannot be coded by mixing.
    pub(super) fn predictions_unknown(&mut self) {
        self.slice.unpredicted = true;
    }
}

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

    /// Writes the op that could have been made longer, and cuts the unit if it is full.
    pub(super) fn flush_op(&mut self) -> Result<(), Failure> {
        self.emit_last()?;
        let unit = &self.unit;
        let control = unit.control.len_so_far() + unit.columns.len();
        let full = unit.ops >= UNIT_FULL_OPS
            || control >= UNIT_FULL_CONTROL
            || unit.slices_len >= UNIT_FULL_SLICES;
        if full && unit.depth() == 0 && !unit.in_model {
            self.next_unit()?;
        }
        Ok(())
    }

    /// Ends the unit; the next one goes on with the same output.
    pub(super) fn next_unit(&mut self) -> Result<(), Failure> {
        let (kept, kept_made, owner) = (self.unit.kept, self.unit.kept_made, self.unit.owner);
        self.close_unit()?;
        self.unit = OpenUnit { kept_made, ..OpenUnit::new(kept, owner) };
        Ok(())
    }

    fn emit_last(&mut self) -> Result<(), Failure> {
        let Some((op, owner)) = self.unit.last.take() else { return Ok(()) };
        let now = std::mem::replace(&mut self.unit.owner, owner);
        self.emit(op)?;
        self.unit.owner = now;
        Ok(())
    }

    /// Writes an op that gives what its operands say.
    pub(super) fn emit(&mut self, op: Op) -> Result<(), Failure> {
        let len = op.said_len();
        if let (Op::Edit { .. }, Some(mixing)) = (&op, &mut self.mixing) {
            mixing.end_op();
        }
        self.note(&op)?;
        let unit = &mut self.unit;
        if let Op::Literal { kind, len } = op {
            unit.mark(kind, len as usize);
        }
        unit.note_run(&op);
        unit.put(&op);
        unit.control.predictor.made(&op);
        unit.rest.produced(len);
        self.pass(len)?;
        match op {
            Op::EnterDigest { .. } => {
                self.unit.frames.push(Frame::default());
                self.unit.rest.enter(true);
            }
            Op::EnterHash { hash } => {
                let digest = Some((self.digests.enter(), hash.digest_len()));
                self.unit.frames.push(Frame { digest, ..Frame::default() });
                self.unit.rest.enter(true);
                self.unit.digests += 1;
            }
            Op::Enter { encoding, params, exact_len, encoded_len } => {
                let memory = self.options.encoders.memory(encoding);
                let memory = memory.ok_or_else(|| wrong("there is no such encoding"))?;
                self.meter.work(meter::encoder_ready(memory))?;
                let held = memory + params.len() as u64 + exact_len;
                let encoded_len = Some(encoded_len);
                self.unit.frames.push(Frame { encoded_len, held, ..Frame::default() });
                self.unit.frames_held += held;
                self.unit.frames_peak = self.unit.frames_peak.max(self.unit.frames_held);
                self.unit.rest.enter(false);
            }
            Op::Leave => self.emit_leave()?,
            _ => {}
        }
        Ok(())
    }

    fn emit_leave(&mut self) -> Result<(), Failure> {
        let frame = self.unit.frames.pop().ok_or_else(|| wrong("no encoding is entered"))?;
        self.unit.frames_held -= frame.held;
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

    /// Writes an op whose bytes are computed.
    pub(super) fn emit_generated(
        &mut self,
        op: Op,
        len: u64,
        entry: Option<Entry>,
    ) -> Result<(), Failure> {
        self.note(&op)?;
        self.unit.note_run(&op);
        if let Op::Generate { generator } = op {
            self.generators.insert((self.unit.kept.is_some(), generator));
            self.meter.work(WORK_GENERATE)?;
        }
        if matches!(op, Op::Generate { .. } | Op::Digest { .. }) {
            self.unit.control.predictor.skip(len);
        }
        self.unit.put(&op);
        self.unit.control.predictor.made(&op);
        self.unit.rest.produced(len);
        self.pass(len)?;
        if let Some(entry) = entry {
            self.mtime = entry.mtime.unwrap_or(self.mtime);
            self.unit.control.predictor.entry(&entry);
            self.unit.rest.entry(&entry);
        }
        Ok(())
    }

    /// Counts an op, its ids and what it reads.
    fn note(&mut self, op: &Op) -> Result<(), Failure> {
        if self.unit.ops == UNIT_OPS {
            return Err(failure!(Limit, "an encoding has more than {UNIT_OPS} ops inside"));
        }
        self.unit.ops += 1;
        self.unit.slice.ops += 1;
        self.unit.follow_literals(op);
        self.meter.work(WORK_OP)?;
        if let Op::Edit { model: 1.., len, .. } = op {
            self.meter.work(len.saturating_mul(model::WORK_BYTE))?;
        }
        if let Op::Literal { kind: Literal::Code, len } = op
            && self.unit.turns_code()
        {
            self.meter.work(len.saturating_mul(model::WORK_BYTE))?;
        }
        if let Op::Computed {
            kind: Computed::Symbols | Computed::FrameIndex | Computed::Exceptions,
            len,
        } = op
        {
            self.meter.work(len.saturating_mul(model::WORK_SYMBOLS))?;
        }
        if let Op::Open { coded_len, .. } = op {
            self.meter.work(*coded_len)?;
            let unit = &mut self.unit;
            unit.frames_peak = unit.frames_peak.max(unit.frames_held + OPENING);
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
        self.meter.work(len)?;
        for frame in self.unit.frames.iter_mut().rev() {
            self.meter.work(len)?;
            frame.given += len;
            if frame.encoded_len.is_some() {
                return Ok(());
            }
        }
        match self.unit.kept {
            None => self.output_len += len,
            Some(_) => self.unit.kept_made += len,
        }
        Ok(())
    }

    pub(super) fn cut_slice_if_full(&mut self) -> Result<(), Failure> {
        if self.unit.slice.len() >= SLICE_FULL { self.cut_slice() } else { Ok(()) }
    }

    /// Ends the slice; its streams go to their chains.
    pub(super) fn cut_slice(&mut self) -> Result<(), Failure> {
        self.emit_last()?;
        let mut slice = std::mem::take(&mut self.unit.slice);
        if slice.ops == 0 {
            return Ok(());
        }
        self.unit.slices_len += slice.len();
        let mut parts = Vec::new();
        let streams = (stream::TEXT..).zip(slice.bytes).zip(slice.shares).zip(slice.marks);
        for (((kind, bytes), shares), marks) in streams {
            let piece = if kind == stream::CORRECTIONS {
                let mixed = self.mixing.as_mut().map(CorrectionWriter::finish_piece);
                let mixed = mixed.filter(|_| !slice.unpredicted);
                Piece::corrections(std::mem::take(&mut slice.corrections), mixed)
            } else {
                Piece::Bytes { bytes, marks }
            };
            if piece.raw_len() > 0 {
                let dictionary = self.dictionaries.get(&kind);
                for range in dictionary.iter().flat_map(|dictionary| &dictionary.ranges) {
                    keep(&mut self.kept, range.source, self.units_begun);
                }
                let part = self.chains.append(kind, dictionary, piece);
                self.ledger.wait(part.chain, part.piece, shares);
                parts.push(part);
                if kind == stream::CORRECTIONS && !self.chains.is_open(kind) {
                    self.mixing = None;
                }
            }
        }
        self.unit.slices.push(ClosedSlice { ops: slice.ops, parts });
        Ok(())
    }

    /// Ends the unit; the caller opens the next one.
    pub(super) fn close_unit(&mut self) -> Result<(), Failure> {
        self.cut_slice()?;
        let unit = std::mem::take(&mut self.unit);
        if unit.depth() > 0 {
            return Err(wrong("an encoding is still entered"));
        }
        if unit.ops == 0 {
            return Ok(());
        }
        let columns = unit.columns.finish();
        let ControlStreams { raw } = unit.control.streams;
        let held: usize = raw.iter().map(Vec::len).sum::<usize>() + columns.len();
        if held as u64 > CONTROL_LEN {
            return Err(failure!(
                Limit,
                "the ops inside one encoding need {held} bytes of control"
            ));
        }
        let streams = (stream::OPS..).zip(raw.into_iter().chain([columns])).zip(unit.shares);
        let control = streams
            .filter(|((_, raw), _)| !raw.is_empty())
            .map(|((kind, raw), shares)| {
                let part =
                    self.chains.append(kind, None, Piece::Bytes { bytes: raw, marks: Vec::new() });
                self.ledger.wait(part.chain, part.piece, shares);
                self.chains.close(kind);
                part
            })
            .collect();
        if let Some(index) = unit.kept {
            keep(&mut self.kept, Source::Kept(index), self.units_begun);
        }
        self.units_begun += 1;
        self.ops += unit.ops;
        self.closed.push_back(ClosedUnit {
            kept: unit.kept,
            ops: unit.ops,
            control,
            slices: unit.slices,
            models: unit.models,
            frames_peak: unit.frames_peak + unit.models_peak,
            digests: unit.digests,
        });
        self.drain(false)
    }

    /// Notes ids of the frame itself.
    pub(super) fn note_stream(&mut self, kind: u64, coder: u64) {
        self.ids.insert((Registry::Stream as u64, kind));
        self.ids.insert((Registry::Coder as u64, coder));
    }
}
