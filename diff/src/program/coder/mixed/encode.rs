//! Writers of streams coded by mixing.

use std::cell::Cell;

use super::super::super::limits::BLOCK_LEN;
use super::super::binary::Writer;
use super::{ByteModel, CodeModel, CorrectionModel, InLayers, Plain, Sort, Stand, TextModel};

/// The models that are written.
#[derive(Debug)]
enum Model {
    Plain(Box<CorrectionModel<Plain>>),
    InLayers(Box<CorrectionModel<InLayers>>),
}

/// Writes corrections; the bytes of an op may come in any parts.
#[derive(Debug)]
pub(crate) struct CorrectionWriter {
    model: Model,
    writer: Writer,
    /// Coded bytes of the pieces that ended.
    ended: usize,
    /// Predicted bytes, classes and wanted bytes of the block that is not full.
    open: [[u8; BLOCK_LEN]; 3],
    open_len: usize,
}

impl CorrectionWriter {
    /// A fresh stream, in layers or by class.
    pub(crate) fn new(in_layers: bool) -> Self {
        Self::with(match in_layers {
            false => Model::Plain(Box::new(CorrectionModel::new())),
            true => Model::InLayers(Box::new(CorrectionModel::new())),
        })
    }

    /// A fresh stream, by class as before, in the memory of this one.
    fn again(self) -> Self {
        match self.model {
            Model::Plain(model) => Self::with(Model::Plain(Box::new(model.again()))),
            Model::InLayers(_) => Self::new(false),
        }
    }

    fn with(model: Model) -> Self {
        let writer = Writer::new();
        Self { model, writer, ended: 0, open: [[0; BLOCK_LEN]; 3], open_len: 0 }
    }

    /// Appends bytes of an op; `classes` may be empty.
    pub(crate) fn push(&mut self, predicted: &[u8], classes: &[u8], wanted: &[u8]) {
        for (i, (&predicted, &wanted)) in predicted.iter().zip(wanted).enumerate() {
            let class = classes.get(i).copied().unwrap_or(0);
            for (row, byte) in self.open.iter_mut().zip([predicted, class, wanted]) {
                row[self.open_len] = byte;
            }
            self.open_len += 1;
            if self.open_len == BLOCK_LEN {
                self.end_op();
            }
        }
    }

    /// The op ends: what follows begins a block.
    pub(crate) fn end_op(&mut self) {
        let len = std::mem::take(&mut self.open_len);
        let [mut predicted, classes, wanted] = self.open;
        let (classes, wanted) = (&classes[..len], &wanted[..len]);
        let (writer, bytes) = (&mut self.writer, &mut predicted[..len]);
        match &mut self.model {
            Model::Plain(model) => model.code(writer, bytes, classes, Some(wanted)),
            Model::InLayers(model) => model.code(writer, bytes, classes, Some(wanted)),
        }
    }

    /// The coded bytes of the piece that ends here.
    pub(crate) fn finish_piece(&mut self) -> Vec<u8> {
        self.end_op();
        let coded = self.writer.finish();
        self.ended += coded.len();
        coded
    }

    /// Coded bytes so far, but for what waits in the coder.
    pub(crate) fn coded_len(&self) -> usize {
        self.ended + self.writer.len()
    }
}

thread_local! {
    /// The coder with which this thread measured last.
    static MEASURING: Cell<Option<CorrectionWriter>> = const { Cell::new(None) };
}

/// To how many bytes corrections are coded. Each thread keeps its tables for the next time: the C library would keep what many
/// of them gave up.
///
/// # Errors
/// What `push` fails with.
pub(crate) fn measured<E>(
    push: impl FnOnce(&mut CorrectionWriter) -> Result<(), E>,
) -> Result<usize, E> {
    let spare = MEASURING.take().map(CorrectionWriter::again);
    let mut writer = spare.unwrap_or_else(|| CorrectionWriter::new(false));
    push(&mut writer)?;
    let len = writer.finish_piece().len();
    MEASURING.set(Some(writer));
    Ok(len)
}

/// Codes pieces of one stream; returns the coded bytes of each.
pub(crate) fn encode_bytes(pieces: &[&[u8]]) -> Vec<Vec<u8>> {
    let (mut model, mut writer) = (ByteModel::new(), Writer::new());
    let piece = |bytes: &&[u8]| {
        for &byte in *bytes {
            model.code(&mut writer, byte);
        }
        writer.finish()
    };
    pieces.iter().map(piece).collect()
}

/// Codes pieces of one stream, at most 2^`window_log` bytes; returns the coded bytes of each. `marks` say for each piece
/// where in it literals begin, ascending, and where they stand.
pub(crate) fn encode_literals(
    window_log: u8,
    sort: Sort,
    dictionary: &[u8],
    pieces: &[&[u8]],
    marks: &[Vec<(usize, Stand)>],
) -> Vec<Vec<u8>> {
    let literals = 1 << window_log.min(30);
    match sort {
        Sort::Text => {
            let model = TextModel::new(dictionary.to_vec(), literals);
            encode(model, pieces, marks, TextModel::stand, TextModel::code)
        }
        Sort::X86_64 => {
            let model = CodeModel::new(dictionary.to_vec(), literals);
            encode(model, pieces, marks, CodeModel::stand, CodeModel::code)
        }
    }
}

/// Codes pieces by a model, which is told where literals stand.
fn encode<M>(
    mut model: M,
    pieces: &[&[u8]],
    marks: &[Vec<(usize, Stand)>],
    stand: impl Fn(&mut M, Stand),
    code: impl Fn(&mut M, &mut Writer, u8) -> u8,
) -> Vec<Vec<u8>> {
    let mut writer = Writer::new();
    let mut coded = Vec::with_capacity(pieces.len());
    for (number, piece) in pieces.iter().enumerate() {
        let mut marks = marks.get(number).into_iter().flatten().peekable();
        for (at, &byte) in piece.iter().enumerate() {
            while let Some((_, place)) = marks.next_if(|mark| mark.0 <= at) {
                stand(&mut model, *place);
            }
            code(&mut model, &mut writer, byte);
        }
        coded.push(writer.finish());
    }
    coded
}
