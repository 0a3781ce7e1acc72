//! Streams coded by mixing, piece by piece: the model lives on, the arithmetic coder begins anew.

use dd_inspect::failure::Failure;

use super::binary::{Reader, Reading};
use super::bytes::ByteModel;
use super::corrections::{CorrectionModel, InLayers, Plain};
use super::damaged;
use super::literals::{CodeModel, Pointers, Sort, Stand, TextModel};

/// Memory that a stream of corrections by mixing counts as.
pub(crate) const CORRECTIONS_MEMORY: u64 = 8 << 20;
/// Memory that one counts as that is coded in layers.
pub(crate) const IN_LAYERS_MEMORY: u64 = 13 << 20;
/// Memory that a stream of bytes by mixing counts as.
pub(crate) const BYTES_MEMORY: u64 = 5 << 19;

/// Memory that streams of literals by mixing count as, by their sort, beside window, dictionary and the tables of pointers.
const TEXT_MEMORY: u64 = 12 << 20;
const CODE_MEMORY: u64 = 15 << 20;

/// Memory that a stream of literals by mixing counts as, beside its dictionary.
pub(crate) fn literals_memory(sort: Sort, window: u64, dictionary_len: u64) -> u64 {
    let own = match sort {
        Sort::Text => TEXT_MEMORY,
        Sort::X86_64 => CODE_MEMORY,
    };
    own + window + Pointers::memory(window + dictionary_len)
}

const _: () = assert!(TextModel::MEMORY < TEXT_MEMORY);
const _: () = assert!(CodeModel::MEMORY < CODE_MEMORY);
const _: () = assert!(CorrectionModel::<Plain>::MEMORY < CORRECTIONS_MEMORY);
const _: () = assert!(CorrectionModel::<InLayers>::MEMORY < IN_LAYERS_MEMORY);
const _: () = assert!(ByteModel::MEMORY < BYTES_MEMORY);

/// Reads corrections.
#[derive(Debug)]
pub(crate) struct CorrectionReader {
    model: Model,
    reading: Reading,
}

/// The model of one of the coders.
#[derive(Debug)]
enum Model {
    Plain(Box<CorrectionModel<Plain>>),
    InLayers(Box<CorrectionModel<InLayers>>),
}

/// How corrections are coded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Corrections {
    /// In one layer.
    Plain,
    /// In two layers.
    InLayers,
}

impl CorrectionReader {
    /// A fresh stream; [`CorrectionReader::begin`] comes next.
    pub(crate) fn new(how: Corrections) -> Self {
        let model = match how {
            Corrections::Plain => Model::Plain(Box::new(CorrectionModel::new())),
            Corrections::InLayers => Model::InLayers(Box::new(CorrectionModel::new())),
        };
        Self { model, reading: Reading::default() }
    }

    /// A fresh stream like [`CorrectionReader::new`], in the memory of one that was given up.
    pub(crate) fn again(self, how: Corrections) -> Self {
        let model = match (self.model, how) {
            (Model::Plain(model), Corrections::Plain) => Model::Plain(Box::new(model.again())),
            (Model::InLayers(model), Corrections::InLayers) => {
                Model::InLayers(Box::new(model.again()))
            }
            (other, how) => {
                drop(other);
                return Self::new(how);
            }
        };
        Self { model, reading: Reading::default() }
    }

    /// The next piece follows.
    pub(crate) fn begin(&mut self, coded: &[u8]) {
        self.reading = Reading::new(coded);
    }

    /// Turns predicted bytes into wanted ones.
    pub(crate) fn correct(
        &mut self,
        coded: &[u8],
        bytes: &mut [u8],
        classes: &[u8],
    ) -> Result<(), Failure> {
        let mut reader = Reader { reading: &mut self.reading, coded };
        match &mut self.model {
            Model::Plain(model) => model.code(&mut reader, bytes, classes, None),
            Model::InLayers(model) => model.code(&mut reader, bytes, classes, None),
        }
        self.reading.check(coded)
    }

    /// Checks that the piece was taken whole.
    pub(crate) fn finish_piece(&self, coded: &[u8]) -> Result<(), Failure> {
        self.reading.finish(coded)
    }
}

/// Reads bytes.
#[derive(Debug)]
pub(crate) struct ByteReader {
    model: ByteModel,
    reading: Reading,
}

impl ByteReader {
    /// A fresh stream; [`ByteReader::begin`] comes next.
    pub(crate) fn new() -> Self {
        Self { model: ByteModel::new(), reading: Reading::default() }
    }

    /// A fresh stream in the memory of one that was given up.
    pub(crate) fn again(self) -> Self {
        Self { model: self.model.again(), reading: Reading::default() }
    }

    /// The next piece follows.
    pub(crate) fn begin(&mut self, coded: &[u8]) {
        self.reading = Reading::new(coded);
    }

    /// Fills `out`.
    pub(crate) fn pull(&mut self, coded: &[u8], out: &mut [u8]) -> Result<(), Failure> {
        fill(&mut self.reading, coded, out, |reader| self.model.code(reader, 0))
    }

    /// Checks that the piece was taken whole.
    pub(crate) fn finish_piece(&self, coded: &[u8]) -> Result<(), Failure> {
        self.reading.finish(coded)
    }
}

/// Decodes bytes; what is coded is checked to be there now and then.
#[inline(always)]
fn fill(
    reading: &mut Reading,
    coded: &[u8],
    out: &mut [u8],
    mut code: impl FnMut(&mut Reader<'_>) -> u8,
) -> Result<(), Failure> {
    for part in out.chunks_mut(4096) {
        for byte in part {
            *byte = code(&mut Reader { reading: &mut *reading, coded });
        }
        reading.check(coded)?;
    }
    Ok(())
}

/// Reads literals.
#[derive(Debug)]
pub(crate) struct LiteralReader {
    model: Literals,
    reading: Reading,
}

/// The model of one sort.
#[derive(Debug)]
enum Literals {
    Text(Box<TextModel>),
    Code(Box<CodeModel>),
}

impl Literals {
    fn new(sort: Sort, dictionary: Vec<u8>, literals: usize) -> Self {
        match sort {
            Sort::Text => Self::Text(Box::new(TextModel::new(dictionary, literals))),
            Sort::X86_64 => Self::Code(Box::new(CodeModel::new(dictionary, literals))),
        }
    }

    /// In the memory of one that was given up, if that was of this sort.
    fn again(self, sort: Sort, dictionary: Vec<u8>, literals: usize) -> Self {
        match (self, sort) {
            (Self::Text(model), Sort::Text) => {
                Self::Text(Box::new(model.again(dictionary, literals)))
            }
            (Self::Code(model), Sort::X86_64) => {
                Self::Code(Box::new(model.again(dictionary, literals)))
            }
            (other, sort) => {
                drop(other);
                Self::new(sort, dictionary, literals)
            }
        }
    }

    fn has_room(&self, literals: usize) -> bool {
        match self {
            Self::Text(model) => model.has_room(literals),
            Self::Code(model) => model.has_room(literals),
        }
    }
}

impl LiteralReader {
    /// A fresh stream of at most 2^`window_log` bytes; [`LiteralReader::begin`] comes next.
    pub(crate) fn new(window_log: u8, sort: Sort, dictionary: Vec<u8>) -> Self {
        let model = Literals::new(sort, dictionary, 1 << window_log.min(30));
        Self { model, reading: Reading::default() }
    }

    /// A fresh stream like [`LiteralReader::new`], in the memory of one that was given up.
    pub(crate) fn again(self, window_log: u8, sort: Sort, dictionary: Vec<u8>) -> Self {
        let model = self.model.again(sort, dictionary, 1 << window_log.min(30));
        Self { model, reading: Reading::default() }
    }

    /// Memory for the dictionary of the next stream.
    pub(crate) fn take_history(&mut self) -> Vec<u8> {
        match &mut self.model {
            Literals::Text(model) => model.take_history(),
            Literals::Code(model) => model.take_history(),
        }
    }

    /// The next piece follows.
    pub(crate) fn begin(&mut self, coded: &[u8]) {
        self.reading = Reading::new(coded);
    }

    /// Literals begin.
    pub(crate) fn stand(&mut self, stand: Stand) {
        match &mut self.model {
            Literals::Text(model) => model.stand(stand),
            Literals::Code(model) => model.stand(stand),
        }
    }

    /// Fills `out`.
    pub(crate) fn pull(&mut self, coded: &[u8], out: &mut [u8]) -> Result<(), Failure> {
        if !self.model.has_room(out.len()) {
            return Err(damaged());
        }
        match &mut self.model {
            Literals::Text(model) => fill(&mut self.reading, coded, out, |r| model.code(r, 0)),
            Literals::Code(model) => fill(&mut self.reading, coded, out, |r| model.code(r, 0)),
        }
    }

    /// Checks that the piece was taken whole.
    pub(crate) fn finish_piece(&self, coded: &[u8]) -> Result<(), Failure> {
        self.reading.finish(coded)
    }
}

#[cfg(feature = "encode")]
pub(crate) use encode::{CorrectionWriter, encode_bytes, encode_literals, measured};

#[cfg(feature = "encode")]
mod encode;

#[cfg(all(test, feature = "encode"))]
#[allow(clippy::unwrap_used)]
mod tests;
