//! How a chain is coded: by what is tried, and comes out smallest.

use dd_inspect::failure::Failure;

use super::super::coder::{
    Sort, Stand, encode_bytes, encode_frame, encode_literals, encode_lzma, encode_sparse,
    window_log,
};
use super::super::ids::{coder, stream};
use super::super::streams::{Places, Range};
use super::chain::{Chain, Coded, Mark, Piece};
use super::choice::Choice;
use super::dictionaries::Dictionary;

/// Coded bytes that corrections by mixing may have in a slice, which leaves room for its other streams.
const PIECE_LEN: usize = 3 << 20;
/// Windows of sparse streams, where more does not pay.
const SMALL_WINDOW_LOG: u8 = 20;
/// Bytes by which corrections by mixing must be smaller, as a part of all: they are slower to read.
const MIXED_GAIN: usize = 64;

impl Chain {
    /// Codes its pieces; `read` gives the bytes of a dictionary.
    pub(super) fn code(
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
        let tried = self.tried;
        let mut all = Vec::new();
        if tried.bytes {
            all.push(Coded::new(coder::BYTES, &raw_lens, encode_bytes(&refs)));
        }
        if tried.literals.is_some() {
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
    use super::super::super::coder::Shape;
    use super::super::super::hooks::Source;
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
