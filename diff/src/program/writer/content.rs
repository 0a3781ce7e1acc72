//! Bytes of sources, literal bytes, zeros.

use dd_inspect::failure::Failure;

use super::super::hooks::{Source, Sources};
use super::super::limits;
use super::super::op::{Computed, Literal, Op};
use super::{PayloadWriter, wrong};

/// Corrections are looked at in pieces of this length.
const EDIT_PIECE: usize = 64 << 10;

impl<S: Sources + Sync> PayloadWriter<S> {
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
            self.unit.corrections(piece, false);
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
            self.unit.corrections(&corrections, true);
            let classes = classes.get(piece.clone()).unwrap_or_default();
            let (predicted, wanted) = (&predicted[piece.clone()], &wanted[piece.clone()]);
            self.mixing.push(self.options.choice, predicted, classes, wanted);
            self.cut_slice_if_full()?;
            at = piece.end;
        }
        Ok(())
    }

    /// Literal bytes.
    pub fn literal(&mut self, kind: Literal, mut bytes: &[u8]) -> Result<(), Failure> {
        while !bytes.is_empty() {
            let (piece, rest) = bytes.split_at(bytes.len().min(self.unit.slice.room()));
            self.push(Op::Literal { kind, len: piece.len() as u64 })?;
            self.unit.bytes(kind.stream(), piece);
            self.cut_slice_if_full()?;
            bytes = rest;
        }
        Ok(())
    }

    /// Literal bytes, at most 64 KiB, that are one op.
    pub fn new_code(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        self.flush_op()?;
        if bytes.len() > self.unit.slice.room() {
            self.cut_slice()?;
        }
        self.push(Op::Literal { kind: Literal::Code, len: bytes.len() as u64 })?;
        self.unit.bytes(Literal::Code.stream(), bytes);
        self.flush_op()?;
        self.cut_slice_if_full()
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

    /// A range must lie inside of its source, which is no kept object that is being made.
    pub(super) fn check_range(&self, source: Source, offset: u64, len: u64) -> Result<(), Failure> {
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
