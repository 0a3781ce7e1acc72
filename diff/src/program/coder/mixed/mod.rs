//! Streams coded by mixing, piece by piece: the model lives on, the arithmetic coder begins anew.

use dd_inspect::failure::Failure;

use super::binary::{Reader, Reading};
use super::bytes::ByteModel;
use super::corrections::{ByClass, CorrectionModel, First, InLayers, Plain};
use super::damaged;
use super::layered::{LayeredModel, Sort, Stand};
use super::literals::LiteralModel;
use super::pointers::Pointers;

/// Memory that a stream of corrections by mixing counts as.
pub(crate) const CORRECTIONS_MEMORY: u64 = 7 << 20;
/// Memory that one counts as whose differences are coded by their classes.
pub(crate) const BY_CLASS_MEMORY: u64 = 8 << 20;
/// Memory that one counts as that is coded in layers.
pub(crate) const IN_LAYERS_MEMORY: u64 = 13 << 20;
/// Memory that a stream of bytes by mixing counts as.
pub(crate) const BYTES_MEMORY: u64 = 5 << 19;

/// Memory that a stream of literals by mixing counts as, beside its window, its dictionary and the tables of pointers.
const LITERALS_MEMORY: u64 = 9 << 20;

/// Memory that a stream of literals by mixing counts as, beside its dictionary.
pub(crate) fn literals_memory(window: u64, dictionary_len: u64) -> u64 {
    LITERALS_MEMORY + window + Pointers::memory(window + dictionary_len)
}

/// The same in layers.
const LAYERED_MEMORY: u64 = 15 << 20;

/// Memory that a stream of literals by mixing in layers counts as, beside its dictionary.
pub(crate) fn layered_memory(window: u64, dictionary_len: u64) -> u64 {
    LAYERED_MEMORY + window + Pointers::memory(window + dictionary_len)
}

const _: () = assert!(LiteralModel::MEMORY < LITERALS_MEMORY);
const _: () = assert!(LayeredModel::MEMORY < LAYERED_MEMORY);
const _: () = assert!(CorrectionModel::<Plain<First>>::MEMORY < CORRECTIONS_MEMORY);
const _: () = assert!(CorrectionModel::<Plain<ByClass>>::MEMORY < BY_CLASS_MEMORY);
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
    First(Box<CorrectionModel<Plain<First>>>),
    ByClass(Box<CorrectionModel<Plain<ByClass>>>),
    InLayers(Box<CorrectionModel<InLayers>>),
}

/// How corrections are coded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Corrections {
    /// As they first were.
    First,
    /// With differences by class.
    ByClass,
    /// In two layers.
    InLayers,
}

impl CorrectionReader {
    /// A fresh stream; [`CorrectionReader::begin`] comes next.
    pub(crate) fn new(how: Corrections) -> Self {
        let model = match how {
            Corrections::First => Model::First(Box::new(CorrectionModel::new())),
            Corrections::ByClass => Model::ByClass(Box::new(CorrectionModel::new())),
            Corrections::InLayers => Model::InLayers(Box::new(CorrectionModel::new())),
        };
        Self { model, reading: Reading::default() }
    }

    /// A fresh stream like [`CorrectionReader::new`], in the memory of one that was given up.
    pub(crate) fn again(self, how: Corrections) -> Self {
        let model = match (self.model, how) {
            (Model::First(model), Corrections::First) => Model::First(Box::new(model.again())),
            (Model::ByClass(model), Corrections::ByClass) => {
                Model::ByClass(Box::new(model.again()))
            }
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
            Model::First(model) => model.code(&mut reader, bytes, classes, None),
            Model::ByClass(model) => model.code(&mut reader, bytes, classes, None),
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

/// The model of one of the two coders.
#[derive(Debug)]
enum Literals {
    First(Box<LiteralModel>),
    Layered(Box<LayeredModel>),
}

impl Literals {
    fn has_room(&self, literals: usize) -> bool {
        match self {
            Self::First(model) => model.has_room(literals),
            Self::Layered(model) => model.has_room(literals),
        }
    }
}

impl LiteralReader {
    /// A fresh stream of at most 2^`window_log` bytes, in layers if these have a sort; [`LiteralReader::begin`] comes next.
    pub(crate) fn new(window_log: u8, sort: Option<Sort>, dictionary: Vec<u8>) -> Self {
        let literals = 1 << window_log.min(30);
        let model = match sort {
            None => Literals::First(Box::new(LiteralModel::new(dictionary, literals))),
            Some(sort) => {
                Literals::Layered(Box::new(LayeredModel::new(sort, dictionary, literals)))
            }
        };
        Self { model, reading: Reading::default() }
    }

    /// A fresh stream like [`LiteralReader::new`], in the memory of one that was given up.
    pub(crate) fn again(self, window_log: u8, sort: Option<Sort>, dictionary: Vec<u8>) -> Self {
        let literals = 1 << window_log.min(30);
        let model = match (self.model, sort) {
            (Literals::First(model), None) => {
                Literals::First(Box::new(model.again(dictionary, literals)))
            }
            (Literals::Layered(model), Some(sort)) => {
                Literals::Layered(Box::new(model.again(sort, dictionary, literals)))
            }
            (other, sort) => {
                drop(other);
                return Self::new(window_log, sort, dictionary);
            }
        };
        Self { model, reading: Reading::default() }
    }

    /// Memory for the dictionary of the next stream.
    pub(crate) fn take_history(&mut self) -> Vec<u8> {
        match &mut self.model {
            Literals::First(model) => model.take_history(),
            Literals::Layered(model) => model.take_history(),
        }
    }

    /// The next piece follows.
    pub(crate) fn begin(&mut self, coded: &[u8]) {
        self.reading = Reading::new(coded);
    }

    /// Literals begin.
    pub(crate) fn stand(&mut self, stand: Stand) {
        match &mut self.model {
            Literals::First(model) => model.stand(stand.place),
            Literals::Layered(model) => model.stand(stand),
        }
    }

    /// Fills `out`.
    pub(crate) fn pull(&mut self, coded: &[u8], out: &mut [u8]) -> Result<(), Failure> {
        if !self.model.has_room(out.len()) {
            return Err(damaged());
        }
        match &mut self.model {
            Literals::First(model) => fill(&mut self.reading, coded, out, |r| model.code(r, 0)),
            Literals::Layered(model) => fill(&mut self.reading, coded, out, |r| model.code(r, 0)),
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
