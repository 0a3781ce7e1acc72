//! LZMA (the raw LZMA2 format of .xz) with a preset dictionary, in pieces cut at ends of chunks.

use std::io::{self, Read};

use dd_inspect::failure::Failure;
use lzma_rust2::Lzma2Reader;

use super::damaged;

/// Memory of a reader beside window and dictionary: probabilities and one coded chunk.
pub(crate) const CONTEXT: u64 = 128 << 10;

/// The coded bytes of a piece, taken from the front.
#[derive(Debug, Default)]
struct Coded {
    bytes: Vec<u8>,
    at: usize,
}

impl Read for Coded {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let mut rest = self.bytes.get(self.at..).unwrap_or_default();
        let len = rest.read(buf)?;
        self.at += len;
        Ok(len)
    }
}

/// Decodes a stream whose coded bytes come in pieces.
pub(crate) struct LzmaReader {
    reader: Lzma2Reader<Coded>,
}

impl LzmaReader {
    /// A reader whose window holds the dictionary and 2^`window_log` bytes.
    pub(crate) fn new(window_log: u8, dictionary: &[u8]) -> Self {
        let reach = reach(window_log, dictionary.len());
        let dictionary = (!dictionary.is_empty()).then_some(dictionary);
        Self { reader: Lzma2Reader::new(Coded::default(), reach, dictionary) }
    }

    /// The next piece follows.
    pub(crate) fn begin(&mut self, bytes: Vec<u8>) {
        *self.reader.inner_mut() = Coded { bytes, at: 0 };
    }

    /// Fills `out`.
    pub(crate) fn pull(&mut self, out: &mut [u8]) -> Result<(), Failure> {
        self.reader.read_exact(out).map_err(|_| damaged())
    }

    /// Checks that the piece was taken whole, and forgets it.
    pub(crate) fn finish_piece(&mut self) -> Result<(), Failure> {
        let coded = std::mem::take(self.reader.inner_mut());
        if coded.at == coded.bytes.len() { Ok(()) } else { Err(damaged()) }
    }
}

/// The farthest that a match may reach back.
fn reach(window_log: u8, dictionary_len: usize) -> u32 {
    u32::try_from((1usize << window_log.min(30)) + dictionary_len).unwrap_or(u32::MAX)
}

#[cfg(feature = "encode")]
pub(crate) use encode::{Effort, Shape, encode_lzma};

#[cfg(feature = "encode")]
mod encode {
    use std::io::Write;

    use dd_inspect::failure;
    use dd_inspect::failure::Failure;
    use lzma_rust2::{EncodeMode, Lzma2Options, Lzma2Writer, LzmaOptions, MfType};

    /// A dictionary so many times as long as what it helps is searched in a quicker way.
    const LONG: usize = 4;

    /// How thoroughly matches are searched.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub(crate) enum Effort {
        /// The usual.
        Usual,
        /// More for what resembles its dictionary much.
        Text,
        /// The most.
        Most,
    }

    /// What is coded.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
    pub(crate) enum Shape {
        /// Bytes that follow from those before.
        #[default]
        Bytes,
        /// Words of 4 bytes: a byte follows from its place in them too.
        Words,
    }

    impl Shape {
        /// Bits of the byte before, and of the place of a literal and of a match, that select contexts.
        fn properties(self) -> (u32, u32, u32) {
            match self {
                Self::Bytes => (3, 0, 2),
                Self::Words => (2, 2, 2),
            }
        }
    }

    /// Codes pieces as one stream; returns the coded bytes of each.
    pub(crate) fn encode_lzma(
        (effort, shape): (Effort, Shape),
        window_log: u8,
        dictionary: &[u8],
        pieces: &[&[u8]],
    ) -> Result<Vec<Vec<u8>>, Failure> {
        let len: usize = pieces.iter().map(|piece| piece.len()).sum();
        let reach = super::reach(window_log, dictionary.len());
        let needed =
            u32::try_from((len + dictionary.len()).next_multiple_of(16)).unwrap_or(u32::MAX);
        let (finder, depth) = if effort == Effort::Usual && dictionary.len() / LONG > len {
            (MfType::Hc4, 48)
        } else {
            (MfType::Bt4, 0)
        };
        let nice = if effort == Effort::Most { 273 } else { 96 };
        let size = reach.min(needed.max(1 << 12));
        let (lc, lp, pb) = shape.properties();
        let mut lzma = LzmaOptions::new(size, lc, lp, pb, EncodeMode::Normal, nice, finder, depth);
        lzma.preset_dict = (!dictionary.is_empty()).then(|| dictionary.to_vec());
        let options = Lzma2Options { lzma_options: lzma, chunk_size: None };
        let mut writer = Lzma2Writer::new(Vec::new(), options);
        let failed = |error| failure!(Unexpected, "LZMA: {error}");
        let mut coded = Vec::with_capacity(pieces.len());
        for piece in pieces {
            writer.write_all(piece).and_then(|()| writer.flush()).map_err(failed)?;
            coded.push(std::mem::take(writer.inner_mut()));
        }
        Ok(coded)
    }
}

#[cfg(all(test, feature = "encode"))]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn decode(
        window: u8,
        dictionary: &[u8],
        coded: &[Vec<u8>],
        lens: &[usize],
    ) -> Result<Vec<Vec<u8>>, Failure> {
        let mut reader = LzmaReader::new(window, dictionary);
        let mut pieces = Vec::new();
        for (coded, len) in coded.iter().zip(lens) {
            let mut piece = vec![0; *len];
            let (first, second) = piece.split_at_mut(len / 3);
            reader.begin(coded.clone());
            reader.pull(first)?;
            reader.pull(second)?;
            reader.finish_piece()?;
            pieces.push(piece);
        }
        Ok(pieces)
    }

    fn noise(len: u32) -> Vec<u8> {
        (0..len).flat_map(|i| (i.wrapping_mul(2_654_435_761) >> 7).to_le_bytes()).collect()
    }

    #[test]
    fn a_dictionary_and_the_pieces_before_are_used() {
        let text = noise(60_000);
        let pieces = [&text[..], &text[..90_000]];
        for effort in [Effort::Usual, Effort::Most] {
            let coded = encode_lzma((effort, Shape::Bytes), 19, &text, &pieces).unwrap();
            assert!(coded.iter().all(|coded| coded.len() < 1000), "{effort:?}");
            let lens = [text.len(), 90_000];
            assert_eq!(decode(19, &text, &coded, &lens).unwrap(), pieces);
            let other = decode(19, &text[1..], &coded, &lens);
            assert!(other.is_err() || other.unwrap() != pieces);
        }
    }

    #[test]
    fn matches_reach_over_the_window_and_the_dictionary_only() {
        let text = noise(5_000);
        let coded =
            encode_lzma((Effort::Most, Shape::Bytes), 16, &[], &[&[&text[..], &text[..]].concat()])
                .unwrap();
        assert!(decode(16, &[], &coded, &[2 * text.len()]).is_ok());
        assert!(decode(10, &[], &coded, &[2 * text.len()]).is_err());
    }

    #[test]
    fn more_or_less_content_than_declared_is_refused() {
        let coded = encode_lzma((Effort::Usual, Shape::Bytes), 12, &[], &[&noise(200)]).unwrap();
        assert!(decode(12, &[], &coded, &[800]).is_ok());
        assert!(decode(12, &[], &coded, &[801]).is_err());
        let mut long = coded.clone();
        long[0].push(0);
        assert!(decode(12, &[], &long, &[800]).is_err());
        let mut short = coded;
        short[0].pop();
        assert!(decode(12, &[], &short, &[800]).is_err());
    }

    proptest! {
        #[test]
        fn round_trip(pieces in prop::collection::vec(prop::collection::vec(0u8..3, 1..3000), 1..5), dictionary in prop::collection::vec(0u8..3, 0..500)) {
            let refs: Vec<&[u8]> = pieces.iter().map(|piece| &piece[..]).collect();
            let lens: Vec<usize> = pieces.iter().map(Vec::len).collect();
            let coded = encode_lzma((Effort::Usual, Shape::Words), 14, &dictionary, &refs).unwrap();
            prop_assert_eq!(decode(14, &dictionary, &coded, &lens).unwrap(), pieces);
        }

        #[test]
        fn any_bytes_give_something_or_an_error(coded: Vec<u8>, len in 0usize..5000) {
            if let Ok(pieces) = decode(12, b"abc", &[coded], &[len]) {
                prop_assert_eq!(pieces[0].len(), len);
            }
        }
    }
}
