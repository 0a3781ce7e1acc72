//! Units under construction.

use super::super::columns::ColumnWriter;
use super::super::control::{ControlWriter, Rest};
use super::super::op::Op;
use super::chain::PartRef;
use super::frames::Frames;
use super::ledger::{Owner, Shares};
use super::model::Run;
use super::slice::{ClosedSlice, OpenSlice};

/// A unit whose ops are still being given.
#[derive(Debug, Default)]
pub(super) struct OpenUnit {
    /// The kept object that it makes; none for the layer.
    pub(super) kept: Option<u32>,
    /// Bytes of that object so far, in earlier units too.
    pub(super) kept_made: u64,
    pub(super) columns: ColumnWriter,
    pub(super) control: ControlWriter,
    pub(super) rest: Rest,
    pub(super) frames: Frames,
    /// Whom bytes are charged to.
    pub(super) owner: Option<Owner>,
    /// Shares of the control streams and the columns.
    pub(super) shares: [Shares; 6],
    /// An op that may still be made longer, and its owner.
    pub(super) last: Option<(Op, Option<Owner>)>,
    pub(super) ops: u64,
    /// Numbered digests that it enters.
    pub(super) digests: u64,
    pub(super) slice: OpenSlice,
    pub(super) slices: Vec<ClosedSlice>,
    /// Bytes of these slices before they are coded.
    pub(super) slices_len: usize,
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

    /// Bytes of a kind for the ops of the slice.
    pub(super) fn bytes(&mut self, kind: u64, bytes: &[u8]) {
        self.slice.put(self.owner, kind, bytes);
    }

    /// Corrections of an EDIT, whose bytes were `predicted` or not.
    pub(super) fn corrections(&mut self, corrections: &[u8], predicted: bool) {
        self.slice.correct(self.owner, corrections, predicted);
    }

    /// Puts an op into the control streams.
    pub(super) fn put(&mut self, op: &Op) {
        let predictor = &self.control.predictor;
        if let Op::Literal { kind, len } = op {
            let source = predictor.source();
            self.slice.mark(*kind, *len as usize, (source, predictor.offset(source)));
        }
        self.note_run(op);
        let lens = self.control.streams.raw.each_ref().map(Vec::len);
        self.control.put(op, self.rest.now());
        let raw = self.control.streams.raw.iter().zip(lens);
        for (shares, (raw, before)) in self.shares.iter_mut().zip(raw) {
            shares.add(self.owner, (raw.len() - before) as u64);
        }
        self.control.predictor.made(op);
    }

    /// Bytes were put into the columns.
    pub(super) fn columns_grew(&mut self, by: usize) {
        if let Some(shares) = self.shares.last_mut() {
            shares.add(self.owner, by as u64);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::hooks::Source;
    use super::super::super::ids::stream;
    use super::super::super::op::Literal;
    use super::super::chain::{Mark, Piece};
    use super::*;

    #[test]
    fn literals_stand_where_content_of_a_source_is_expected() {
        let mut unit = OpenUnit::new(None, None);
        unit.put(&Op::Copy { source: Source::Base(1), offset: 100, len: 20 });
        unit.bytes(stream::TEXT, b"text");
        unit.put(&Op::Literal { kind: Literal::Text, len: 4 });
        let pieces: Vec<_> = unit.slice.into_streams(None).map(|(_, piece, _)| piece).collect();
        let [Piece::Bytes { bytes, marks }] = &pieces[..] else { panic!("{pieces:?}") };
        let stand = |mark: &Mark| (mark.at, mark.len, mark.source, mark.offset);
        assert_eq!(bytes, b"text");
        assert_eq!(marks.iter().map(stand).collect::<Vec<_>>(), [(0, 4, Source::Base(1), 120)]);
    }
}
