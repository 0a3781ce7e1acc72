//! The writer: ops with their bytes in, a payload out.
//!
//! Units, slices, expected offsets, coders and the needs that the head declares are found here; the
//! bytes depend on the calls and [`WriterOptions`] alone, not on threads.

mod bases;
mod chain;
mod choice;
mod dictionaries;
mod finish;
mod kept;
mod ledger;
mod model;
mod ops;
mod quoted;
mod unit;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use dd_inspect::digest::DiffId;
use dd_inspect::failure;
use dd_inspect::failure::Failure;

use super::coder::CorrectionWriter;
use super::columns::ColumnWriter;
use super::head::{Head, KeptObject};
use super::hooks::{Encoders, Entry, Source, Sources};
use super::limits;
use super::meter::Meter;
use super::op::{Computed, Literal, Op};
use super::quoted::Digests;
use bases::Bases;
use chain::{Chains, Dictionary};
pub use choice::{Choice, Coders};
use finish::Spool;
use kept::keep;
use ledger::Ledger;
pub use ledger::Owner;
use unit::{ClosedUnit, OpenUnit};

/// Corrections are looked at in pieces of this length.
const EDIT_PIECE: usize = 64 << 10;

/// Coded bytes of corrections up to which [`Coders::Quick`] codes them by mixing, which takes 30 times as long for each
/// that differs.
const QUICK_MIXED: usize = 128 << 10;

/// What the producer of a payload chooses.
#[derive(Clone)]
pub struct WriterOptions {
    /// Which coders are tried, and how hard.
    pub choice: Choice,
    /// Says which encodings there are and what memory they count as.
    pub encoders: Arc<dyn Encoders>,
    /// Where the payload waits until its head can be written.
    pub spool_dir: PathBuf,
}

impl fmt::Debug for WriterOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WriterOptions")
            .field("choice", &self.choice)
            .field("spool_dir", &self.spool_dir)
            .finish_non_exhaustive()
    }
}

/// What a payload came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PayloadSummary {
    /// What the payload declares of itself.
    pub head: Head,
    /// Length of the payload in bytes.
    pub payload_len: u64,
    /// For each kind of stream its raw and its coded length.
    pub streams: BTreeMap<u64, (u64, u64)>,
    /// Coded bytes by whom they belong to ([`PayloadWriter::charge`]). What belongs to nobody is left out:
    /// head, frames, and ops without owner.
    pub costs: BTreeMap<Owner, u64>,
}

/// Writes one payload.
///
/// Adjacent ops that can be one are made one, so content may be given in pieces. Ops of no length are
/// none. Every method fails when the ops cannot be those of a payload: ranges outside of their source,
/// an encoding left that was not entered, an object longer than declared.
pub struct PayloadWriter<S> {
    options: WriterOptions,
    bases: Bases<S>,
    dictionaries: BTreeMap<u64, Dictionary>,
    chains: Chains,
    /// Codes the corrections of the open chain as they come.
    mixing: Option<CorrectionWriter>,
    /// There are too many corrections to be coded so.
    mixes_no_more: bool,
    unit: OpenUnit,
    closed: VecDeque<ClosedUnit>,
    units_begun: u64,
    ops: u64,
    kept: Vec<KeptObject>,
    output_len: u64,
    slots: u64,
    digests: Digests,
    /// The time of the last tar header.
    mtime: u64,
    /// Where bytes of a source go on that are read one after the other.
    following: BTreeMap<Source, u64>,
    ids: BTreeSet<(u64, u64)>,
    meter: Meter,
    /// Memory of the streams that can be continued, by kind.
    streams_held: BTreeMap<u64, u64>,
    /// Those of them that nothing continues.
    streams_ended: BTreeSet<u64>,
    /// Generators in use, each in the layer or in kept objects.
    generators: BTreeSet<(bool, u64)>,
    /// Peaks of memory by unit, without kept objects.
    peaks: Vec<u64>,
    spool: Spool,
    totals: BTreeMap<u64, (u64, u64)>,
    ledger: Ledger,
}

impl<S> fmt::Debug for PayloadWriter<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PayloadWriter")
            .field("options", &self.options)
            .field("units_begun", &self.units_begun)
            .field("output_len", &self.output_len)
            .finish_non_exhaustive()
    }
}

impl<S: Sources + Sync> PayloadWriter<S> {
    /// A writer over these base layers (diff_id and length), whose content `bytes` gives in the same
    /// order for dictionaries.
    pub fn new(options: WriterOptions, bases: Vec<(DiffId, u64)>, bytes: S) -> Self {
        Self {
            mixing: None,
            mixes_no_more: false,
            spool: Spool::new(&options.spool_dir),
            options,
            bases: Bases::new(bases, bytes),
            dictionaries: BTreeMap::new(),
            chains: Chains::default(),
            unit: OpenUnit::new(None, None),
            closed: VecDeque::new(),
            units_begun: 0,
            ops: 0,
            kept: Vec::new(),
            output_len: 0,
            slots: 0,
            digests: Digests::default(),
            mtime: 0,
            following: BTreeMap::new(),
            ids: BTreeSet::new(),
            meter: Meter::unbounded(),
            streams_held: BTreeMap::new(),
            streams_ended: BTreeSet::new(),
            generators: BTreeSet::new(),
            peaks: Vec::new(),
            totals: BTreeMap::new(),
            ledger: Ledger::default(),
        }
    }

    /// The source that stands for a base layer of the caller; the head lists it from now on.
    ///
    /// # Errors
    /// No such base layer.
    pub fn base(&mut self, index: usize) -> Result<Source, Failure> {
        self.bases.take(index).ok_or_else(|| wrong("no such base layer"))
    }

    /// What follows belongs to this owner.
    ///
    /// It is charged its part of each stream by the bytes that it puts there; of corrections by those
    /// that are not zero. An op that continues the one before belongs with it.
    pub fn charge(&mut self, owner: Option<Owner>) {
        self.unit.owner = owner;
    }

    /// Bytes of a source.
    pub fn copy(&mut self, source: Source, offset: u64, len: u64) -> Result<(), Failure> {
        self.check_range(source, offset, len)?;
        self.push(Op::Copy { source, offset, len })
    }

    /// Bytes of a source, to which `corrections` are added, wrapping.
    ///
    /// The predicted bytes are not known here, so coders that look at them are not tried: see
    /// [`PayloadWriter::edit_predicted`].
    pub fn edit(&mut self, source: Source, offset: u64, corrections: &[u8]) -> Result<(), Failure> {
        self.check_range(source, offset, corrections.len() as u64)?;
        let mut offset = offset;
        for piece in corrections.chunks(EDIT_PIECE) {
            let len = piece.len() as u64;
            self.push(Op::Edit { model: 0, source, offset, len })?;
            self.unit.corrections(piece);
            self.unit.predictions_unknown();
            offset += len;
            self.cut_slice_if_full()?;
        }
        Ok(())
    }

    /// Bytes of a source as `predicted` by a model (its place in the unit; 0 for the bytes themselves), and
    /// what they are to be. `classes` has one byte for each that says how it was predicted; empty
    /// stands for class 0 everywhere.
    ///
    /// Each call with a model other than 0 begins an op of its own. Where a slice is full, an op ends a whole number of
    /// blocks ([`limits::BLOCK_LEN`]) after the first byte.
    pub fn edit_predicted(
        &mut self,
        model: u64,
        source: Source,
        offset: u64,
        predicted: &[u8],
        classes: &[u8],
        wanted: &[u8],
    ) -> Result<(), Failure> {
        let fits = |other: &[u8]| other.len() == wanted.len();
        if !fits(predicted) || !(classes.is_empty() || fits(classes)) {
            return Err(wrong("a prediction has another length than its bytes"));
        }
        self.check_range(source, offset, wanted.len() as u64)?;
        if model != 0 {
            self.flush_op()?;
        }
        let mut at = 0;
        while at < wanted.len() {
            let piece = at..wanted.len().min(at + EDIT_PIECE);
            let len = piece.len() as u64;
            self.push(Op::Edit { model, source, offset: offset + at as u64, len })?;
            let pairs = wanted[piece.clone()].iter().zip(&predicted[piece.clone()]);
            let corrections: Vec<u8> = pairs.map(|(a, b)| a.wrapping_sub(*b)).collect();
            self.unit.corrections(&corrections);
            let in_layers = self.options.choice.layers_corrections();
            if self.may_mix() {
                let mixing = self.mixing.get_or_insert_with(|| CorrectionWriter::new(in_layers));
                let classes = classes.get(piece.clone()).unwrap_or_default();
                mixing.push(&predicted[piece.clone()], classes, &wanted[piece.clone()]);
            }
            self.cut_slice_if_full()?;
            at = piece.end;
        }
        Ok(())
    }

    /// Whether corrections are still coded by mixing: where there is little time, only few are.
    fn may_mix(&mut self) -> bool {
        if !self.options.choice.mixing {
            return false;
        }
        let coded = self.mixing.as_ref().map_or(0, CorrectionWriter::coded_len);
        if self.options.choice.coders == Coders::Quick && coded > QUICK_MIXED {
            self.mixes_no_more = true;
            self.mixing = None;
        }
        !self.mixes_no_more
    }

    /// Literal bytes.
    pub fn literal(&mut self, kind: Literal, mut bytes: &[u8]) -> Result<(), Failure> {
        while !bytes.is_empty() {
            let (piece, rest) = bytes.split_at(bytes.len().min(self.unit.room()));
            self.push(Op::Literal { kind, len: piece.len() as u64 })?;
            self.unit.bytes(kind.stream(), piece);
            self.cut_slice_if_full()?;
            bytes = rest;
        }
        Ok(())
    }

    /// The content, `len` bytes, of a compressed range of a source.
    pub fn open(
        &mut self,
        opening: u64,
        source: Source,
        offset: u64,
        coded_len: u64,
        len: u64,
    ) -> Result<(), Failure> {
        self.check_range(source, offset, coded_len)?;
        if len == 0 || len > coded_len.saturating_mul(limits::OPENED_RATIO) {
            return Err(wrong("the content of an opened range is too long"));
        }
        self.push(Op::Open { opening, source, offset, coded_len, len })
    }

    /// Zero bytes.
    pub fn zeros(&mut self, len: u64) -> Result<(), Failure> {
        self.push(Op::Computed { kind: Computed::Zeros, len })
    }

    /// The next piece of a generator that works from columns.
    ///
    /// `describe` puts the columns of the piece and says what the generator will say of the entry; or it
    /// puts nothing, says none, and false is returned. `out_len` is the length of the piece.
    pub fn generate(
        &mut self,
        generator: u64,
        out_len: u64,
        describe: impl FnOnce(&mut ColumnWriter) -> Option<Entry>,
    ) -> Result<bool, Failure> {
        if out_len > limits::GENERATED_LEN as u64 {
            return Err(wrong("a generated piece is too long"));
        }
        self.flush_op()?;
        let before = self.unit.columns.len();
        let Some(entry) = describe(&mut self.unit.columns) else { return Ok(false) };
        self.unit.columns_grew(self.unit.columns.len() - before);
        if let Some((source, _)) = entry.base {
            keep(&mut self.kept, source, self.units_begun);
        }
        self.emit_generated(Op::Generate { generator }, out_len, Some(entry))?;
        Ok(true)
    }

    /// Generators read so many bytes of sources beside what a piece of theirs may read as a rule.
    ///
    /// # Errors
    /// There is no end to it.
    pub fn reads(&mut self, bytes: u64) -> Result<(), Failure> {
        self.meter.work(bytes)
    }

    /// A digest slot that nothing uses yet.
    pub fn new_slot(&mut self) -> Result<u64, Failure> {
        if self.slots == limits::SLOTS {
            return Err(failure!(Limit, "a delta has at most {} digest slots", limits::SLOTS));
        }
        self.slots += 1;
        Ok(self.slots - 1)
    }

    /// What follows is hashed into a slot, until [`PayloadWriter::leave`].
    pub fn enter_digest(&mut self, slot: u64) -> Result<(), Failure> {
        self.enter(Op::EnterDigest { slot }, &[])
    }

    /// The hexadecimal digits of a slot.
    pub fn digest_hex(&mut self, slot: u64) -> Result<(), Failure> {
        self.flush_op()?;
        self.emit_generated(Op::DigestHex { slot }, 64, None)
    }

    /// What follows goes through an encoder, until [`PayloadWriter::leave`], and becomes
    /// `encoded_len` bytes. `exact` is what the encoder takes beside its parameters.
    pub fn enter_encoding(
        &mut self,
        encoding: u64,
        params: &[u8],
        exact: &[u8],
        encoded_len: u64,
    ) -> Result<(), Failure> {
        let (exact_len, params) = (exact.len() as u64, params.to_vec());
        if exact_len > limits::EXACT_LEN || params.len() as u64 > limits::PARAMS_LEN {
            return Err(wrong("an encoding has too many parameters"));
        }
        self.enter(Op::Enter { encoding, params, exact_len, encoded_len }, exact)
    }

    fn enter(&mut self, op: Op, exact: &[u8]) -> Result<(), Failure> {
        self.flush_op()?;
        if self.unit.depth() == limits::DEPTH {
            return Err(wrong("encodings are nested too deep"));
        }
        if self.unit.depth() == 0 && !self.unit.has_room_for_models() {
            self.next_unit()?;
        }
        if !exact.is_empty() && exact.len() > self.unit.room() {
            self.cut_slice()?;
        }
        self.unit.bytes(super::ids::stream::EXACT, exact);
        self.emit(op)
    }

    /// Ends the innermost digest or encoding.
    pub fn leave(&mut self) -> Result<(), Failure> {
        self.flush_op()?;
        if self.unit.depth() == 0 {
            return Err(wrong("no encoding is entered"));
        }
        self.emit(Op::Leave)
    }

    /// Literal bytes, at most 64 KiB, that are one op.
    pub fn new_code(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        self.flush_op()?;
        if bytes.len() > self.unit.room() {
            self.cut_slice()?;
        }
        self.push(Op::Literal { kind: Literal::Code, len: bytes.len() as u64 })?;
        self.unit.bytes(Literal::Code.stream(), bytes);
        self.flush_op()?;
        self.cut_slice_if_full()
    }

    fn check_range(&self, source: Source, offset: u64, len: u64) -> Result<(), Failure> {
        let source_len = match source {
            Source::Base(place) => self.bases.len(place),
            Source::Kept(index) => self
                .kept
                .get(index as usize)
                .map(|object| object.size)
                .filter(|_| self.unit.kept != Some(index)),
        };
        let end = offset.checked_add(len);
        match (source_len, end) {
            (Some(source_len), Some(end)) if end <= source_len => Ok(()),
            _ => Err(wrong("a range lies outside of its source")),
        }
    }
}

/// A use of the writer that makes no payload.
fn wrong(what: &str) -> Failure {
    failure!(Unexpected, "writing a delta: {what}")
}
