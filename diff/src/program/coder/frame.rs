//! One zstd frame (RFC 8878) in pieces: each slice holds the next piece, cut at the end of a block.

use dd_inspect::failure;
use dd_inspect::failure::Failure;
#[cfg(feature = "encode")]
use zstd::zstd_safe::{CCtx, CParameter, get_error_name};
use zstd::zstd_safe::{DCtx, DParameter, InBuffer, OutBuffer};

use super::damaged;

/// Decodes a frame whose coded bytes come in pieces.
pub(crate) struct FrameReader {
    context: DCtx<'static>,
    ended: bool,
}

impl FrameReader {
    /// A reader of a frame with at most this window and with this raw dictionary.
    pub(crate) fn new(window_log: u8, dictionary: &[u8]) -> Result<Self, Failure> {
        let mut context = DCtx::try_create().ok_or_else(no_memory)?;
        context
            .set_parameter(DParameter::WindowLogMax(u32::from(window_log)))
            .map_err(|_| damaged())?;
        if !dictionary.is_empty() {
            context.load_dictionary(dictionary).map_err(|_| no_memory())?;
        }
        Ok(Self { context, ended: false })
    }

    /// Fills `out` from `coded[*at..]`.
    pub(crate) fn pull(
        &mut self,
        coded: &[u8],
        at: &mut usize,
        out: &mut [u8],
    ) -> Result<(), Failure> {
        let mut filled = 0;
        while let Some(room) = out.get_mut(filled..).filter(|room| !room.is_empty()) {
            let (taken, given) = self.step(coded, *at, room)?;
            if taken == 0 && given == 0 {
                return Err(damaged());
            }
            *at += taken;
            filled += given;
        }
        Ok(())
    }

    /// Takes the rest of the piece, which holds no more content.
    pub(crate) fn finish_piece(&mut self, coded: &[u8], mut at: usize) -> Result<(), Failure> {
        while at < coded.len() {
            let (taken, given) = self.step(coded, at, &mut [0])?;
            if taken == 0 || given > 0 {
                return Err(damaged());
            }
            at += taken;
        }
        Ok(())
    }

    fn step(&mut self, coded: &[u8], at: usize, out: &mut [u8]) -> Result<(usize, usize), Failure> {
        if self.ended {
            return Err(damaged());
        }
        let mut input = InBuffer::around(coded.get(at..).ok_or_else(damaged)?);
        let mut output = OutBuffer::around(out);
        let left = self.context.decompress_stream(&mut output, &mut input);
        self.ended = left.map_err(|_| damaged())? == 0;
        Ok((input.pos(), output.pos()))
    }
}

fn no_memory() -> Failure {
    failure!(Limit, "no memory for a zstd context")
}

/// The window that a frame with so much content has, as a power of two.
#[cfg(feature = "encode")]
pub(crate) fn window_log(content_len: u64, max: u8) -> u8 {
    let needed = 64 - content_len.saturating_sub(1).leading_zeros();
    (needed as u8).clamp(10, max)
}

/// Encodes pieces as one frame; returns the coded bytes of each.
#[cfg(feature = "encode")]
pub(crate) fn encode_frame(
    level: i32,
    window_log: u8,
    dictionary: &[u8],
    pieces: &[&[u8]],
) -> Result<Vec<Vec<u8>>, Failure> {
    let failed = |code| failure!(Unexpected, "zstd: {}", get_error_name(code));
    let mut context = CCtx::try_create().ok_or_else(no_memory)?;
    for parameter in [
        CParameter::CompressionLevel(level),
        CParameter::WindowLog(u32::from(window_log)),
        CParameter::ContentSizeFlag(false),
        CParameter::ChecksumFlag(false),
        CParameter::DictIdFlag(false),
    ] {
        context.set_parameter(parameter).map_err(failed)?;
    }
    let content_len = pieces.iter().map(|piece| piece.len() as u64).sum();
    context.set_pledged_src_size(Some(content_len)).map_err(failed)?;
    if !dictionary.is_empty() {
        // The tables of low levels are too small for a large dictionary.
        context.set_parameter(CParameter::EnableLongDistanceMatching(true)).map_err(failed)?;
        context.ref_prefix(dictionary).map_err(failed)?;
    }
    let mut buffer = vec![0; CCtx::out_size()];
    let mut coded = Vec::with_capacity(pieces.len());
    for (index, piece) in pieces.iter().enumerate() {
        let mut out = Vec::new();
        let mut input = InBuffer::around(piece);
        loop {
            let mut output = OutBuffer::around(&mut buffer[..]);
            let left = if input.pos() < piece.len() {
                context.compress_stream(&mut output, &mut input).map_err(failed)?.max(1)
            } else if index + 1 < pieces.len() {
                context.flush_stream(&mut output).map_err(failed)?
            } else {
                context.end_stream(&mut output).map_err(failed)?
            };
            out.extend_from_slice(output.as_slice());
            if left == 0 {
                break;
            }
        }
        coded.push(out);
    }
    Ok(coded)
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
        let mut reader = FrameReader::new(window, dictionary)?;
        let mut pieces = Vec::new();
        for (coded, len) in coded.iter().zip(lens) {
            let (mut piece, mut at) = (vec![0; *len], 0);
            let middle = len / 3;
            reader.pull(coded, &mut at, &mut piece[..middle])?;
            reader.pull(coded, &mut at, &mut piece[middle..])?;
            reader.finish_piece(coded, at)?;
            pieces.push(piece);
        }
        Ok(pieces)
    }

    #[test]
    fn a_dictionary_and_the_pieces_before_are_used() {
        let text: Vec<u8> = (0..60_000u32)
            .flat_map(|i| (i.wrapping_mul(2_654_435_761) >> 7).to_le_bytes())
            .collect();
        let pieces = [&text[..], &text[..90_000]];
        let coded = encode_frame(3, 20, &text, &pieces).unwrap();
        assert!(
            coded[0].len() < 1000 && coded[1].len() < 1000,
            "{} {}",
            coded[0].len(),
            coded[1].len()
        );
        let plain = decode(20, &text, &coded, &[text.len(), 90_000]).unwrap();
        assert_eq!(plain, pieces);
        assert!(
            decode(20, &text[1..], &coded, &[text.len(), 90_000])
                .is_err_and(|error| error.message.contains("damaged"))
                || decode(20, &text[1..], &coded, &[text.len(), 90_000]).unwrap() != pieces
        );
    }

    #[test]
    fn a_window_beyond_the_declared_is_refused() {
        let text = vec![7u8; 1 << 16];
        let coded = encode_frame(3, 16, &[], &[&text]).unwrap();
        assert!(decode(16, &[], &coded, &[text.len()]).is_ok());
        assert!(decode(15, &[], &coded, &[text.len()]).is_err());
    }

    #[test]
    fn more_or_less_content_than_declared_is_refused() {
        let coded = encode_frame(3, 10, &[], &[b"abcdef"]).unwrap();
        assert!(decode(10, &[], &coded, &[6]).is_ok());
        assert!(decode(10, &[], &coded, &[5]).is_err());
        assert!(decode(10, &[], &coded, &[7]).is_err());
        let mut long = coded.clone();
        long[0].push(0);
        assert!(decode(10, &[], &long, &[6]).is_err());
    }

    #[test]
    fn windows_fit_their_content() {
        assert_eq!(
            [0, 1024, 1025, 1 << 20, u64::MAX].map(|len| window_log(len, 23)),
            [10, 10, 11, 20, 23]
        );
    }

    proptest! {
        #[test]
        fn round_trip(pieces in prop::collection::vec(prop::collection::vec(0u8..3, 1..3000), 1..5), dictionary in prop::collection::vec(0u8..3, 0..500)) {
            let refs: Vec<&[u8]> = pieces.iter().map(|piece| &piece[..]).collect();
            let lens: Vec<usize> = pieces.iter().map(Vec::len).collect();
            let coded = encode_frame(5, 14, &dictionary, &refs).unwrap();
            prop_assert_eq!(decode(14, &dictionary, &coded, &lens).unwrap(), pieces);
        }
    }
}
