//! The writer: ops with their bytes in, a payload out.
//!
//! Units, slices, expected offsets, coders and the needs that the head declares are found here; the
//! bytes depend on the calls and [`WriterOptions`] alone, not on threads.

mod bases;
mod chain;
mod choice;
mod coding;
mod content;
mod cut;
mod dictionaries;
mod emit;
mod encodings;
mod finish;
mod frames;
mod kept;
mod ledger;
mod mixing;
mod model;
mod ops;
mod quoted;
mod slice;
mod unit;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use dd_inspect::digest::DiffId;
use dd_inspect::failure;
use dd_inspect::failure::Failure;

use super::columns::ColumnWriter;
use super::head::{Head, KeptObject};
use super::hooks::{Encoders, Entry, Source, Sources};
use super::limits;
use super::meter::Meter;
use super::op::Op;
use super::quoted::Digests;
use bases::Bases;
use chain::Chains;
pub use choice::{Choice, Coders};
use dictionaries::Dictionary;
use finish::Spool;
use kept::keep;
use ledger::Ledger;
pub use ledger::Owner;
use mixing::Mixing;
use unit::{ClosedUnit, OpenUnit};

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
    mixing: Mixing,
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
            mixing: Mixing::default(),
            spool: Spool::new(&options.spool_dir),
            chains: Chains::new(options.choice),
            options,
            bases: Bases::new(bases, bytes),
            dictionaries: BTreeMap::new(),
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
}

/// A use of the writer that makes no payload.
fn wrong(what: &str) -> Failure {
    failure!(Unexpected, "writing a delta: {what}")
}
