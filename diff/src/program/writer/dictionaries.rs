//! Dictionaries: ranges of sources that help to code literals.

use std::borrow::Cow;
use std::sync::Arc;

use dd_inspect::failure::Failure;

use super::super::coder::Shape;
use super::super::hooks::Sources;
use super::super::limits;
use super::super::model;
use super::super::op::Literal;
use super::super::streams::Range;
use super::{PayloadWriter, wrong};

/// What helps to code literals.
#[derive(Debug, Clone, Default)]
pub(super) struct Dictionary {
    pub(super) ranges: Vec<Range>,
    /// A zero byte and the bytes of the ranges, where a model turned them.
    pub(super) moved: Option<Arc<[u8]>>,
    /// What of it and of what it helps is coded.
    pub(super) shape: Shape,
}

impl Dictionary {
    /// Ranges whose bytes a model turned; none where there are no bytes.
    pub(super) fn moved(ranges: Vec<Range>, bytes: &[u8], shape: Shape) -> Self {
        if bytes.is_empty() {
            return Self::default();
        }
        Self { ranges, moved: Some([&[0], bytes].concat().into()), shape }
    }

    /// Bytes that wait with what it helps to code.
    pub(super) fn held(&self) -> usize {
        self.moved.as_ref().map_or(0, |moved| moved.len())
    }

    /// A zero byte and the bytes of the ranges, which `read` gives where no model turned them.
    pub(super) fn bytes(
        &self,
        read: &impl Fn(&[Range]) -> Result<Vec<u8>, Failure>,
    ) -> Result<Cow<'_, [u8]>, Failure> {
        Ok(match &self.moved {
            Some(moved) => Cow::Borrowed(moved),
            None => Cow::Owned(read(&self.ranges)?),
        })
    }

    /// The most work of turning its bytes.
    pub(super) fn work(&self) -> u64 {
        let work = |range: &Range| {
            range.len * model::WORK_BYTE
                + range.len.div_ceil(model::PAGE) * model::WORK_PAGE
                + model::WORK_PAGE
        };
        self.moved.iter().flat_map(|_| &self.ranges).map(work).sum()
    }
}

impl<S: Sources + Sync> PayloadWriter<S> {
    /// From here on these ranges, at most 8 MiB together, help to code literals.
    ///
    /// Without ranges for a kind, its literals are coded by themselves. Streams begin anew.
    pub fn group(&mut self, dictionaries: Vec<(Literal, Vec<Range>)>) -> Result<(), Failure> {
        let mut len = 0u64;
        for range in dictionaries.iter().flat_map(|(_, ranges)| ranges) {
            self.check_range(range.source, range.offset, range.len)?;
            len = len.saturating_add(range.len);
            if !self.bases.knows(range.source) {
                return Err(wrong("a dictionary lies in a kept object of unknown bytes"));
            }
        }
        if len > limits::DICTIONARY_LEN {
            return Err(wrong("the dictionaries are too long"));
        }
        self.cut_slice()?;
        for kind in [Literal::Text, Literal::Code, Literal::Raw] {
            self.chains.close(kind.stream());
        }
        let kinds = dictionaries.into_iter().filter(|(_, ranges)| !ranges.is_empty());
        let plain = |ranges| Dictionary { ranges, ..Dictionary::default() };
        self.dictionaries = kinds.map(|(kind, ranges)| (kind.stream(), plain(ranges))).collect();
        self.drain(false)
    }

    /// Whether literals of code are coded with dictionaries that a model turned ([`PayloadWriter::group_moved`]).
    pub fn turns_dictionaries(&self) -> bool {
        self.options.choice.turns_dictionaries()
    }

    /// The most bytes of a dictionary that helps to code so many literals of code.
    pub fn code_dictionary(&self, literals: u64) -> u64 {
        self.options.choice.code_dictionary(literals, self.chains.budget())
    }

    /// From here on these ranges of a base's file, at most 8 MiB together, help to code literals of its new
    /// code; `moved` are their bytes as the model turns them.
    ///
    /// # Errors
    /// No bytes were given since [`PayloadWriter::begin_model`]; what [`PayloadWriter::group`] fails with.
    pub fn group_moved(&mut self, ranges: Vec<Range>, moved: Vec<u8>) -> Result<(), Failure> {
        self.group(Vec::new())?;
        let len: u64 = ranges.iter().map(|range| range.len).sum();
        if !self.unit.in_run() || len != moved.len() as u64 || len > limits::DICTIONARY_LEN {
            return Err(wrong("a dictionary without a model"));
        }
        for range in &ranges {
            self.check_range(range.source, range.offset, range.len)?;
        }
        let dictionary = Dictionary::moved(ranges, &moved, self.unit.shape());
        self.dictionaries = [(Literal::Code.stream(), dictionary)].into();
        Ok(())
    }
}
