//! Where slices and units end.

use dd_inspect::failure;
use dd_inspect::failure::Failure;

use super::super::control::ControlStreams;
use super::super::hooks::{Source, Sources};
use super::super::ids::stream;
use super::super::limits::CONTROL_LEN;
use super::chain::{PartRef, Piece};
use super::kept::keep;
use super::ledger::Shares;
use super::slice::ClosedSlice;
use super::unit::{ClosedUnit, OpenUnit};
use super::{PayloadWriter, wrong};

/// A unit is cut where no encoding is open after so many ops, bytes of control and columns, or bytes of slices.
const FULL_OPS: u64 = 1 << 17;
const FULL_CONTROL: usize = 3 << 20;
const FULL_SLICES: usize = 32 << 20;

impl<S: Sources + Sync> PayloadWriter<S> {
    /// Writes the op that could have been made longer, and cuts the unit if it is full.
    pub(super) fn flush_op(&mut self) -> Result<(), Failure> {
        self.emit_last()?;
        let unit = &self.unit;
        let control = unit.control.len_so_far() + unit.columns.len();
        let full =
            unit.ops >= FULL_OPS || control >= FULL_CONTROL || unit.slices_len >= FULL_SLICES;
        if full && unit.frames.depth() == 0 && !unit.in_model {
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

    pub(super) fn cut_slice_if_full(&mut self) -> Result<(), Failure> {
        if self.unit.slice.is_full() { self.cut_slice() } else { Ok(()) }
    }

    /// Ends the slice; its streams go to their chains.
    pub(super) fn cut_slice(&mut self) -> Result<(), Failure> {
        self.emit_last()?;
        let slice = std::mem::take(&mut self.unit.slice);
        if slice.ops == 0 {
            return Ok(());
        }
        self.unit.slices_len += slice.len();
        let (ops, mut parts) = (slice.ops, Vec::new());
        for (kind, piece, shares) in slice.into_streams(self.mixing.finish_piece()) {
            parts.push(self.append(kind, piece, shares));
            if kind == stream::CORRECTIONS && !self.chains.is_open(kind) {
                self.mixing.end_chain();
            }
        }
        self.unit.slices.push(ClosedSlice { ops, parts });
        Ok(())
    }

    /// Adds a piece to the chain of its kind.
    fn append(&mut self, kind: u64, piece: Piece, shares: Shares) -> PartRef {
        let dictionary = self.dictionaries.get(&kind);
        for range in dictionary.iter().flat_map(|dictionary| &dictionary.ranges) {
            keep(&mut self.kept, range.source, self.units_begun);
        }
        let part = self.chains.append(kind, dictionary, piece);
        self.ledger.wait(part.chain, part.piece, shares);
        part
    }

    /// Ends the unit; the caller opens the next one.
    pub(super) fn close_unit(&mut self) -> Result<(), Failure> {
        self.cut_slice()?;
        let unit = std::mem::take(&mut self.unit);
        if unit.frames.depth() > 0 {
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
        let mut control = Vec::new();
        for ((kind, raw), shares) in streams.filter(|((_, raw), _)| !raw.is_empty()) {
            let piece = Piece::Bytes { bytes: raw, marks: Vec::new() };
            control.push(self.append(kind, piece, shares));
            self.chains.close(kind);
        }
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
            frames_peak: unit.frames.peak() + unit.models_peak,
            digests: unit.digests,
        });
        self.drain(false)
    }
}
