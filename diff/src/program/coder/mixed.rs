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
mod encode {
    use std::cell::Cell;

    use super::super::super::limits::BLOCK_LEN;
    use super::super::binary::Writer;
    use super::{
        ByClass, ByteModel, CorrectionModel, InLayers, LayeredModel, LiteralModel, Plain, Sort,
        Stand,
    };

    /// The models that are written.
    #[derive(Debug)]
    enum Model {
        ByClass(Box<CorrectionModel<Plain<ByClass>>>),
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
            let model = match in_layers {
                false => Model::ByClass(Box::new(CorrectionModel::new())),
                true => Model::InLayers(Box::new(CorrectionModel::new())),
            };
            let writer = Writer::new();
            Self { model, writer, ended: 0, open: [[0; BLOCK_LEN]; 3], open_len: 0 }
        }

        /// A fresh stream, by class as before, in the memory of this one.
        fn again(self) -> Self {
            match self.model {
                Model::ByClass(model) => {
                    let model = Model::ByClass(Box::new(model.again()));
                    let writer = Writer::new();
                    Self { model, writer, ended: 0, open: [[0; BLOCK_LEN]; 3], open_len: 0 }
                }
                _ => Self::new(false),
            }
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
                Model::ByClass(model) => model.code(writer, bytes, classes, Some(wanted)),
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
    /// where in it literals begin, ascending, and where they stand. In layers if they have a sort.
    pub(crate) fn encode_literals(
        window_log: u8,
        sort: Option<Sort>,
        dictionary: &[u8],
        pieces: &[&[u8]],
        marks: &[Vec<(usize, Stand)>],
    ) -> Vec<Vec<u8>> {
        let literals = 1 << window_log.min(30);
        match sort {
            None => {
                let model = LiteralModel::new(dictionary.to_vec(), literals);
                let stand = |model: &mut LiteralModel, stand: Stand| model.stand(stand.place);
                encode(model, pieces, marks, stand, LiteralModel::code)
            }
            Some(sort) => {
                let model = LayeredModel::new(sort, dictionary.to_vec(), literals);
                encode(model, pieces, marks, LayeredModel::stand, LayeredModel::code)
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
}

#[cfg(all(test, feature = "encode"))]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::super::super::limits::BLOCK_LEN;
    use super::*;
    use proptest::prelude::*;

    /// Predicted bytes, classes and wanted bytes of an op.
    type Edit = (Vec<u8>, Vec<u8>, Vec<u8>);

    fn edit() -> impl Strategy<Value = Edit> {
        let byte = (
            prop_oneof![3 => Just(7u8), 1 => any::<u8>()],
            0u8..3,
            prop_oneof![9 => Just(0u8), 1 => any::<u8>()],
        );
        prop::collection::vec(byte, 1..300).prop_map(|bytes| {
            let predicted = bytes.iter().map(|byte| byte.0).collect();
            let classes = bytes.iter().map(|byte| byte.1).collect();
            let wanted = bytes.iter().map(|byte| byte.0.wrapping_add(byte.2)).collect();
            (predicted, classes, wanted)
        })
    }

    fn coded(pieces: &[Vec<Edit>], part: usize, in_layers: bool) -> Vec<Vec<u8>> {
        let mut writer = CorrectionWriter::new(in_layers);
        let piece = |edits: &Vec<Edit>| {
            for (predicted, classes, wanted) in edits {
                for at in (0..wanted.len()).step_by(part) {
                    let range = at..(at + part).min(wanted.len());
                    let of = |bytes: &Vec<u8>| bytes[range.clone()].to_vec();
                    writer.push(&of(predicted), &of(classes), &of(wanted));
                }
                writer.end_op();
            }
            writer.finish_piece()
        };
        pieces.iter().map(piece).collect()
    }

    proptest! {
        #[test]
        fn corrections_come_back_in_any_cut(
            pieces in prop::collection::vec(prop::collection::vec(edit(), 0..4), 1..4),
            written in 1usize..90,
            read in 1usize..4,
            in_layers: bool,
        ) {
            let coded = coded(&pieces, written, in_layers);
            let how = if in_layers { Corrections::InLayers } else { Corrections::ByClass };
            let mut reader = CorrectionReader::new(how);
            for (coded, edits) in coded.iter().zip(&pieces) {
                reader.begin(coded);
                for (predicted, classes, wanted) in edits {
                    let mut bytes = predicted.clone();
                    let step = read * BLOCK_LEN;
                    for (bytes, classes) in bytes.chunks_mut(step).zip(classes.chunks(step)) {
                        reader.correct(coded, bytes, classes).unwrap();
                    }
                    prop_assert_eq!(&bytes, wanted);
                }
                reader.finish_piece(coded).unwrap();
            }
        }

        #[test]
        fn bytes_come_back(pieces in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..200), 1..4)) {
            let refs: Vec<&[u8]> = pieces.iter().map(Vec::as_slice).collect();
            let mut reader = ByteReader::new();
            for (coded, piece) in encode_bytes(&refs).iter().zip(&pieces) {
                let mut out = vec![0; piece.len()];
                let (first, second) = out.split_at_mut(piece.len() / 3);
                reader.begin(coded);
                reader.pull(coded, first).unwrap();
                reader.pull(coded, second).unwrap();
                reader.finish_piece(coded).unwrap();
                prop_assert_eq!(&out, piece);
            }
        }

        #[test]
        fn literals_come_back(
            pieces in prop::collection::vec(prop::collection::vec(97u8..101, 0..200), 1..4),
            dictionary in prop::collection::vec(97u8..101, 0..900),
            place: Option<prop::sample::Index>,
            sort in prop_oneof![Just(None), Just(Some(Sort::Text)), Just(Some(Sort::X86_64))],
        ) {
            let refs: Vec<&[u8]> = pieces.iter().map(Vec::as_slice).collect();
            let place = place.map(|place| place.index(dictionary.len() + 10));
            let stand = |place, end| Stand { place, len: 70, end };
            let marks = vec![(0, stand(None, None)), (20, stand(place, Some(400))), (90, stand(Some(3), place))];
            let marks = vec![marks; pieces.len()];
            let mut reader = LiteralReader::new(10, sort, dictionary.clone());
            let coded = encode_literals(10, sort, &dictionary, &refs, &marks);
            for ((coded, piece), marks) in coded.iter().zip(&pieces).zip(&marks) {
                let mut out = vec![0; piece.len()];
                reader.begin(coded);
                let ends = [20, 90, 200].map(|end: usize| end.min(piece.len()));
                let mut at = 0;
                for (end, (_, stand)) in ends.into_iter().zip(marks).filter(|(end, _)| *end > 0) {
                    if at < end {
                        reader.stand(*stand);
                    }
                    reader.pull(coded, &mut out[at..end]).unwrap();
                    at = end;
                }
                reader.finish_piece(coded).unwrap();
                prop_assert_eq!(&out, piece);
            }
        }

        #[test]
        fn any_coded_bytes_give_something_or_an_error(coded: Vec<u8>, classes: Vec<u8>) {
            for how in [Corrections::First, Corrections::ByClass, Corrections::InLayers] {
                let mut reader = CorrectionReader::new(how);
                reader.begin(&coded);
                let mut bytes = classes.clone();
                let corrected = reader.correct(&coded, &mut bytes, &classes);
                prop_assert!(corrected.is_ok() || coded.len() <= classes.len() * 20);
            }
            let mut reader = ByteReader::new();
            reader.begin(&coded);
            let mut out = [0; 300];
            let pulled = reader.pull(&coded, &mut out);
            prop_assert_eq!(pulled.is_err(), reader.reading.check(&coded).is_err());
        }
    }

    #[test]
    fn what_is_right_costs_almost_nothing() {
        let bytes: Vec<u8> =
            (0..100_000u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 9) as u8).collect();
        for in_layers in [false, true] {
            let mut writer = CorrectionWriter::new(in_layers);
            writer.push(&bytes, &[], &bytes);
            assert!(writer.finish_piece().len() < 20);
        }
    }

    #[test]
    fn the_same_change_of_the_same_bytes_becomes_cheap() {
        let predicted: Vec<u8> =
            (0..64_000u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 9) as u8 & 3).collect();
        let wanted: Vec<u8> =
            predicted.iter().map(|&byte| if byte == 2 { 77 } else { byte }).collect();
        for in_layers in [false, true] {
            let mut writer = CorrectionWriter::new(in_layers);
            writer.push(&predicted, &[], &wanted);
            let len = writer.finish_piece().len();
            assert!(len < 2_000, "{len}");
        }
    }

    #[test]
    fn literals_like_the_dictionary_cost_little() {
        let words: Vec<u8> = (0..3000u32)
            .flat_map(|i| format!("w{} ", i.wrapping_mul(7919) % 997).into_bytes())
            .collect();
        let text = &words[4000..9000];
        for sort in [None, Some(Sort::Text)] {
            let len = |dictionary: &[u8], place: Option<usize>| {
                let stand = Stand { place, len: text.len(), end: None };
                encode_literals(14, sort, dictionary, &[text], &[vec![(0, stand)]]).concat().len()
            };
            let (alone, with, told) = (len(&[], None), len(&words, None), len(&words, Some(4000)));
            assert!(alone > 400 && with < 60 && told < 10, "{alone} {with} {told}");
        }
    }

    #[test]
    fn readers_forget_what_they_read() {
        let words: Vec<u8> = (0..900u32).flat_map(|i| (i * i % 777).to_le_bytes()).collect();
        let pieces = [&words[..], &words[300..900]];
        let (all, few) = (words.clone(), words[40..50].to_vec());
        let mut spare = LiteralReader::new(11, None, all.clone());
        let (first, layered) = (None, Some(Sort::X86_64));
        let streams = [
            (12, first, few.clone()),
            (12, layered, all.clone()),
            (11, Some(Sort::Text), few),
            (12, layered, Vec::new()),
            (12, first, all),
            (13, first, Vec::new()),
        ];
        for (window_log, sort, dictionary) in streams {
            let coded = encode_literals(window_log, sort, &dictionary, &[pieces[1]], &[]).remove(0);
            let mut reader = spare.again(window_log, sort, dictionary);
            let mut out = vec![0; pieces[1].len()];
            reader.begin(&coded);
            reader.pull(&coded, &mut out).unwrap();
            reader.finish_piece(&coded).unwrap();
            assert_eq!(out, pieces[1], "{window_log}");
            spare = reader;
        }
        let (mut bytes, mut out) = (ByteReader::new(), vec![0; words.len()]);
        let coded = encode_bytes(&[&words]).remove(0);
        for _ in 0..2 {
            bytes = bytes.again();
            bytes.begin(&coded);
            bytes.pull(&coded, &mut out).unwrap();
            assert_eq!(out, words);
        }
        let mut corrections = CorrectionReader::new(Corrections::First);
        for in_layers in [false, true, true, false, false] {
            let mut writer = CorrectionWriter::new(in_layers);
            writer.push(&vec![7; words.len()], &[], &words);
            let corrected = writer.finish_piece();
            let how = if in_layers { Corrections::InLayers } else { Corrections::ByClass };
            corrections = corrections.again(how);
            corrections.begin(&corrected);
            out.fill(7);
            corrections.correct(&corrected, &mut out, &[]).unwrap();
            assert_eq!(out, words);
        }
    }

    #[test]
    fn what_was_measured_before_does_not_count() {
        let words: Vec<u8> = (0..900u32).flat_map(|i| (i * i % 777).to_le_bytes()).collect();
        let len = |bytes: &[u8]| {
            let Ok(len) = measured(|writer| {
                writer.push(&vec![7; bytes.len()], &[], bytes);
                Ok::<_, std::convert::Infallible>(())
            });
            len
        };
        let first = len(&words);
        assert!(first > 500 && len(&words[..100]) < first / 4);
        assert_eq!(len(&words), first);
        assert!(measured(|_| Err(())).is_err());
        assert_eq!(len(&words), first);
    }

    #[test]
    fn literals_have_a_window() {
        for sort in [None, Some(Sort::Text)] {
            let coded = encode_literals(11, sort, &[], &[&[5; 1100]], &[]).remove(0);
            for (window_log, fits) in [(10, false), (11, true)] {
                let mut reader = LiteralReader::new(window_log, sort, Vec::new());
                reader.begin(&coded);
                assert_eq!(reader.pull(&coded, &mut [0; 1100]).is_ok(), fits);
            }
        }
    }

    #[test]
    fn pieces_are_taken_exactly() {
        let coded = encode_bytes(&[b"some bytes that are coded"]).remove(0);
        for len in [9, 90] {
            let mut reader = ByteReader::new();
            reader.begin(&coded);
            let mut out = vec![0; len];
            let done = reader.pull(&coded, &mut out).and_then(|()| reader.finish_piece(&coded));
            assert!(done.is_err(), "{len}");
        }
    }
}
