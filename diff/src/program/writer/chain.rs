//! Chains: a fresh stream and those that continue it, coded together, several chains at once.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

use dd_inspect::failure::Failure;
use rayon::prelude::*;

use super::super::coder::{
    Shape, Sort, SparseBuilder, Stand, encode_bytes, encode_frame, encode_literals, encode_lzma,
    encode_sparse, window_log,
};
use super::super::hooks::Source;
use super::super::ids::{coder, stream};
use super::super::model;
use super::super::streams::{Places, Range};
use super::choice::Choice;

/// A chain without dictionary ends at this length, one with a dictionary at the second, where the
/// dictionary falls out of the window.
const CHAIN_LEN: usize = 16 << 20;
const CHAIN_LEN_DICTIONARY: usize = 8 << 20;
/// Coded bytes that corrections by mixing may have in a slice, which leaves room for its other streams.
const PIECE_LEN: usize = 3 << 20;
/// Windows of sparse streams, where more does not pay.
const SMALL_WINDOW_LOG: u8 = 20;
/// Closed chains are coded when they reach this length together, with dictionaries that were turned.
const BATCH_LEN: usize = 48 << 20;

/// Literals begin here, in place of what a source has at an offset.
#[derive(Debug, Clone, Copy)]
pub(super) struct Mark {
    pub(super) at: usize,
    pub(super) source: Source,
    pub(super) offset: u64,
    /// How many they are, and what follows them in the slice, if that is content of a source.
    pub(super) len: usize,
    pub(super) next: Option<(Source, u64)>,
}

/// One slice's part of a chain, not coded.
#[derive(Debug)]
pub(super) enum Piece {
    /// Bytes, and where in them literals begin.
    Bytes { bytes: Vec<u8>, marks: Vec<Mark> },
    /// Corrections as runs and values, and coded by mixing where their predictions were known.
    Corrections { runs_and_values: (Vec<u8>, Vec<u8>), raw_len: u64, mixed: Option<Vec<u8>> },
}

impl Piece {
    pub(super) fn corrections(builder: SparseBuilder, mixed: Option<Vec<u8>>) -> Self {
        let raw_len = builder.raw_len();
        Self::Corrections { runs_and_values: builder.finish(), raw_len, mixed }
    }

    pub(super) fn raw_len(&self) -> u64 {
        match self {
            Self::Bytes { bytes, .. } => bytes.len() as u64,
            Self::Corrections { raw_len, .. } => *raw_len,
        }
    }

    /// Bytes that it takes in memory.
    fn len(&self) -> usize {
        match self {
            Self::Bytes { bytes, .. } => bytes.len(),
            Self::Corrections { runs_and_values: (runs, values), mixed, .. } => {
                runs.len() + values.len() + mixed.as_ref().map_or(0, Vec::len)
            }
        }
    }
}

/// A piece of a chain.
#[derive(Debug, Clone, Copy)]
pub(super) struct PartRef {
    pub(super) kind: u64,
    pub(super) chain: u64,
    pub(super) piece: usize,
}

/// A coded chain.
#[derive(Debug)]
pub(super) struct Coded {
    pub(super) coder: u64,
    pub(super) window_log: u8,
    pub(super) sort: Option<Sort>,
    pub(super) dictionary: Vec<Range>,
    /// Work of turning the dictionary.
    pub(super) turning: u64,
    pub(super) pieces: Vec<CodedPiece>,
}

#[derive(Debug)]
pub(super) struct CodedPiece {
    pub(super) raw_len: u64,
    pub(super) bytes: Vec<u8>,
    /// Bytes that a reader holds beside the coded ones.
    pub(super) apart: u64,
    pub(super) used: bool,
}

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
    fn held(&self) -> usize {
        self.moved.as_ref().map_or(0, |moved| moved.len())
    }

    /// A zero byte and the bytes of the ranges, which `read` gives where no model turned them.
    fn bytes(
        &self,
        read: &impl Fn(&[Range]) -> Result<Vec<u8>, Failure>,
    ) -> Result<Cow<'_, [u8]>, Failure> {
        Ok(match &self.moved {
            Some(moved) => Cow::Borrowed(moved),
            None => Cow::Owned(read(&self.ranges)?),
        })
    }

    /// The most work of turning its bytes.
    fn work(&self) -> u64 {
        let work = |range: &Range| {
            range.len * model::WORK_BYTE
                + range.len.div_ceil(model::PAGE) * model::WORK_PAGE
                + model::WORK_PAGE
        };
        self.moved.iter().flat_map(|_| &self.ranges).map(work).sum()
    }
}

#[derive(Debug, Default)]
struct Chain {
    kind: u64,
    dictionary: Dictionary,
    pieces: Vec<Piece>,
    len: usize,
}

/// All chains that are not written yet.
#[derive(Debug, Default)]
pub(super) struct Chains {
    next: u64,
    /// Open chains by kind.
    open: BTreeMap<u64, (u64, Chain)>,
    closed: Vec<(u64, Chain)>,
    closed_len: usize,
    coded: BTreeMap<u64, Coded>,
}

impl Chains {
    /// Adds a piece to the chain of its kind.
    pub(super) fn append(
        &mut self,
        kind: u64,
        dictionary: Option<&Dictionary>,
        piece: Piece,
    ) -> PartRef {
        let next = &mut self.next;
        let (number, chain) = self.open.entry(kind).or_insert_with(|| {
            *next += 1;
            (
                *next - 1,
                Chain {
                    kind,
                    dictionary: dictionary.cloned().unwrap_or_default(),
                    ..Chain::default()
                },
            )
        });
        chain.len += piece.len();
        chain.pieces.push(piece);
        let part = PartRef { kind, chain: *number, piece: chain.pieces.len() - 1 };
        let full =
            if chain.dictionary.ranges.is_empty() { CHAIN_LEN } else { CHAIN_LEN_DICTIONARY };
        if chain.len >= full {
            self.close(kind);
        }
        part
    }

    /// Ends the chain of a kind.
    pub(super) fn close(&mut self, kind: u64) {
        if let Some((number, chain)) = self.open.remove(&kind) {
            self.closed_len += chain.len + chain.dictionary.held();
            self.closed.push((number, chain));
        }
    }

    /// Whether the chain of a kind goes on.
    pub(super) fn is_open(&self, kind: u64) -> bool {
        self.open.contains_key(&kind)
    }

    /// Codes the closed chains if there is enough of them, or all chains at the end.
    pub(super) fn code(
        &mut self,
        end: bool,
        choice: Choice,
        read: &(impl Fn(&[Range]) -> Result<Vec<u8>, Failure> + Sync),
    ) -> Result<(), Failure> {
        if end {
            for kind in self.open.keys().copied().collect::<Vec<_>>() {
                self.close(kind);
            }
        } else if self.closed_len < BATCH_LEN {
            return Ok(());
        }
        self.closed_len = 0;
        let closed = std::mem::take(&mut self.closed);
        let coded: Result<Vec<_>, Failure> = closed
            .into_par_iter()
            .map(|(number, chain)| Ok((number, chain.code(choice, read)?)))
            .collect();
        self.coded.extend(coded?);
        Ok(())
    }

    /// Whether a piece is coded.
    pub(super) fn is_coded(&self, part: &PartRef) -> bool {
        self.coded.contains_key(&part.chain)
    }

    /// The chain of a piece that is coded.
    pub(super) fn coded(&mut self, part: &PartRef) -> Option<&mut Coded> {
        self.coded.get_mut(&part.chain)
    }

    /// Forgets a chain whose pieces were all written.
    pub(super) fn forget_used(&mut self, part: &PartRef) {
        if self.coded.get(&part.chain).is_some_and(|coded| coded.pieces.iter().all(|p| p.used)) {
            self.coded.remove(&part.chain);
        }
    }
}

impl Coded {
    /// A chain of one coder; `apart` for each piece what a reader holds of it beside the coded bytes.
    fn new(coder: u64, raw_lens: &[u64], bytes: Vec<Vec<u8>>) -> Self {
        let piece = |(bytes, &raw_len)| CodedPiece { raw_len, bytes, apart: 0, used: false };
        let pieces = bytes.into_iter().zip(raw_lens).map(piece).collect();
        Self { coder, window_log: 0, sort: None, dictionary: Vec::new(), turning: 0, pieces }
    }

    fn len(&self) -> usize {
        self.pieces.iter().map(|piece| piece.bytes.len()).sum()
    }
}

/// Bytes by which corrections by mixing must be smaller, as a part of all: they are slower to read.
const MIXED_GAIN: usize = 64;

impl Chain {
    fn code(
        self,
        choice: Choice,
        read: &impl Fn(&[Range]) -> Result<Vec<u8>, Failure>,
    ) -> Result<Coded, Failure> {
        let raw_lens: Vec<u64> = self.pieces.iter().map(Piece::raw_len).collect();
        if self.kind == stream::CORRECTIONS {
            return code_corrections(self.pieces, choice, &raw_lens);
        }
        let bytes = |piece| match piece {
            Piece::Bytes { bytes, marks } => (bytes, marks),
            Piece::Corrections { .. } => (Vec::new(), Vec::new()),
        };
        let (pieces, marks): (Vec<_>, Vec<_>) = self.pieces.into_iter().map(bytes).unzip();
        let refs: Vec<&[u8]> = pieces.iter().map(Vec::as_slice).collect();
        let raw_len: u64 = raw_lens.iter().sum();
        let dictionary_len = self.dictionary.ranges.iter().map(|range| range.len).sum();
        let tried = choice.tried(self.kind, raw_len, dictionary_len);
        let mut all = Vec::new();
        if tried.bytes {
            all.push(Coded::new(coder::BYTES, &raw_lens, encode_bytes(&refs)));
        }
        if tried.literals {
            let sort = sort_of(self.kind);
            let dictionary = self.dictionary.clone();
            all.push(mix_literals(&refs, &marks, &raw_lens, sort, dictionary, read)?);
        }
        if tried.search {
            all.push(code_literals(&refs, self.kind, choice, &raw_lens, self.dictionary, read)?);
        }
        let best = all.into_iter().min_by_key(Coded::len);
        let best = best.filter(|best| (best.len() as u64) < raw_len);
        Ok(best.unwrap_or_else(|| Coded::new(coder::STORED, &raw_lens, pieces)))
    }
}

/// What literals of a kind are, to a model of them.
fn sort_of(kind: u64) -> Sort {
    if kind == stream::CODE { Sort::X86_64 } else { Sort::Text }
}

/// By mixing, with what the dictionary has where the literals stand.
fn mix_literals(
    pieces: &[&[u8]],
    marks: &[Vec<Mark>],
    raw_lens: &[u64],
    sort: Sort,
    dictionary: Dictionary,
    read: &impl Fn(&[Range]) -> Result<Vec<u8>, Failure>,
) -> Result<Coded, Failure> {
    // The window is all that may come.
    let window_log = raw_lens.iter().sum::<u64>().next_power_of_two().ilog2().max(10) as u8;
    let places = Places::new(&dictionary.ranges);
    let place = |mark: &Mark| {
        let place = places.find(mark.source, mark.offset);
        let end = mark.next.and_then(|(source, offset)| places.find(source, offset));
        (mark.at, Stand { place, len: mark.len, end })
    };
    let marks: Vec<Vec<_>> = marks.iter().map(|marks| marks.iter().map(place).collect()).collect();
    let coded = encode_literals(window_log, sort, &dictionary.bytes(read)?, pieces, &marks);
    let moved = dictionary.moved.is_some();
    let coder = if moved { coder::LITERALS_MOVED } else { coder::LITERALS };
    let turning = dictionary.work();
    Ok(Coded {
        window_log,
        sort: Some(sort),
        turning,
        dictionary: dictionary.ranges,
        ..Coded::new(coder, raw_lens, coded)
    })
}

/// By zstd, or by LZMA where there is time. Zstd knows no dictionary that was turned: it takes the ranges as they are.
fn code_literals(
    pieces: &[&[u8]],
    kind: u64,
    choice: Choice,
    raw_lens: &[u64],
    mut dictionary: Dictionary,
    read: &impl Fn(&[Range]) -> Result<Vec<u8>, Failure>,
) -> Result<Coded, Failure> {
    let window_log = window_log(raw_lens.iter().sum(), choice.window_log);
    let (coder, bytes) = match choice.effort(kind) {
        None => {
            dictionary.moved = None;
            let before = &dictionary.bytes(read)?;
            (coder::ZSTD, encode_frame(choice.level, window_log, before, pieces)?)
        }
        Some(effort) => {
            let coder = if dictionary.moved.is_some() { coder::LZMA_MOVED } else { coder::LZMA };
            let (how, before) = ((effort, dictionary.shape), &dictionary.bytes(read)?);
            (coder, encode_lzma(how, window_log, before, pieces)?)
        }
    };
    let turning = dictionary.work();
    Ok(Coded {
        window_log,
        turning,
        dictionary: dictionary.ranges,
        ..Coded::new(coder, raw_lens, bytes)
    })
}

/// As runs and values, or by mixing where that is smaller.
fn code_corrections(
    pieces: Vec<Piece>,
    choice: Choice,
    raw_lens: &[u64],
) -> Result<Coded, Failure> {
    let (mut parts, mut mixed) = (Vec::new(), Some(Vec::new()));
    for piece in pieces {
        if let Piece::Corrections { runs_and_values, mixed: coded, .. } = piece {
            parts.push(runs_and_values);
            mixed = mixed.zip(coded).map(|(mut all, coded)| {
                all.push(coded);
                all
            });
        }
    }
    let max_window_log = choice.window_log.min(SMALL_WINDOW_LOG);
    let (bytes, window_log) = encode_sparse(choice.level, max_window_log, &parts)?;
    let mut sparse = Coded { window_log, ..Coded::new(coder::SPARSE, raw_lens, bytes) };
    for (piece, part) in sparse.pieces.iter_mut().zip(&parts) {
        piece.apart = (part.0.len() + part.1.len()) as u64;
    }
    let fits = |coded: &Vec<u8>| coded.len() <= PIECE_LEN;
    let mixed = mixed.filter(|mixed| mixed.iter().all(fits));
    let of_mixed = match choice.layers_corrections() {
        true => coder::CORRECTIONS_LAYERED,
        false => coder::CORRECTIONS,
    };
    let mixed = mixed.map(|mixed| Coded::new(of_mixed, raw_lens, mixed));
    Ok(match mixed {
        Some(mixed) if mixed.len() + sparse.len() / MIXED_GAIN < sparse.len() => mixed,
        _ => sparse,
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::super::choice::Coders;
    use super::*;

    #[test]
    fn zstd_takes_no_dictionary_that_was_turned() {
        let code = b"what was turned and what was not".repeat(20);
        let read = |_: &[Range]| Ok([&[0], &code[..]].concat());
        let ranges = vec![Range { source: Source::Base(0), offset: 3, len: code.len() as u64 }];
        let turned = Dictionary::moved(ranges.clone(), &vec![7; code.len()], Shape::Words);
        let plain = Dictionary { ranges: ranges.clone(), ..Dictionary::default() };
        let coded = |coders, dictionary: &Dictionary| {
            let choice = Choice { level: 3, coders, mixing: false, lzma: true, window_log: 20 };
            let lens = [code.len() as u64];
            code_literals(&[&code], stream::CODE, choice, &lens, dictionary.clone(), &read).unwrap()
        };
        for (coders, coder) in [(Coders::Quick, coder::ZSTD), (Coders::Usual, coder::LZMA_MOVED)] {
            let coded = coded(coders, &turned);
            assert_eq!((coded.coder, &coded.dictionary), (coder, &ranges));
            assert_eq!(coded.turning > 0, coder == coder::LZMA_MOVED);
        }
        let (quick, same) = (coded(Coders::Quick, &turned), coded(Coders::Quick, &plain));
        assert_eq!(quick.pieces[0].bytes, same.pieces[0].bytes);
        assert_eq!(coded(Coders::Usual, &plain).coder, coder::LZMA);
    }
}
