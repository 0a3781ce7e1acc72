//! DEFLATE encoders of other programs, reproduced bit for bit (RFC 1951).

pub(crate) mod bits;
mod blocks;
mod chains;
mod gnu;
mod go_fast;
mod go_lazy;
pub(crate) mod header;
mod huffman;
mod klauspost;
pub(crate) mod parse;
mod pgzip;
pub(crate) mod symbols;
pub(crate) mod tokens;
mod window;
pub(crate) use symbols::byte_counts;
pub(crate) use window::boxed;

pub(crate) use bits::BitWriter;
pub use blocks::{Block, Blocks, PieceCoder, blocks_held};
pub use gnu::Gnu;
use go_fast::{Effort, GoFast};
use go_lazy::GoLazy;
pub use klauspost::{Class, Klauspost};
pub use pgzip::Piece;

/// An encoder of Go's compress/flate, Go 1.16 to 1.26.
#[derive(Debug)]
pub struct Go(GoLevel);

#[derive(Debug)]
enum GoLevel {
    Fast(GoFast),
    Lazy(Box<GoLazy>),
}

impl Go {
    /// An encoder of a level: -2 (Huffman only), 0 to 9; -1 is 6.
    pub fn new(level: i8) -> Self {
        Self(match level {
            -2 => GoLevel::Fast(GoFast::new(Effort::HuffmanOnly)),
            0 => GoLevel::Fast(GoFast::new(Effort::Store)),
            1 => GoLevel::Fast(GoFast::new(Effort::Fast)),
            level => GoLevel::Lazy(Box::new(GoLazy::new(u8::try_from(level).unwrap_or(6)))),
        })
    }

    /// Takes in the next bytes of the text; appends what is ready.
    pub fn write(&mut self, text: &[u8], out: &mut Vec<u8>) {
        match &mut self.0 {
            GoLevel::Fast(fast) => fast.write(text, out),
            GoLevel::Lazy(lazy) => lazy.write(text, out),
        }
    }

    /// Ends the block and appends the mark of a flush.
    pub fn flush(&mut self, out: &mut Vec<u8>) {
        match &mut self.0 {
            GoLevel::Fast(fast) => fast.flush(out),
            GoLevel::Lazy(lazy) => lazy.flush(out),
        }
    }

    /// Appends the rest.
    pub fn finish(&mut self, out: &mut Vec<u8>) {
        match &mut self.0 {
            GoLevel::Fast(fast) => fast.finish(out),
            GoLevel::Lazy(lazy) => lazy.finish(out),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::io::Read;

    use dd_inspect::digest::Digest;
    use proptest::prelude::*;

    use super::*;

    const CLASSES: [Class; 4] = [Class::V1_15_11, Class::V1_18_0, Class::V1_18_2, Class::Go1_27];

    const OLDER: [Class; 7] = [
        Class::V1_10_2,
        Class::V1_12_2,
        Class::V1_12_3,
        Class::V1_14_0,
        Class::V1_14_3,
        Class::V1_15_0,
        Class::V1_15_10,
    ];

    /// Words, runs and noise from a linear congruence.
    fn sample(len: usize) -> Vec<u8> {
        let mut state = 7u32;
        let mut next = move || {
            state = state.wrapping_mul(1_103_515_245).wrapping_add(12_345);
            state >> 16
        };
        let mut text = Vec::with_capacity(len + 64);
        while text.len() < len {
            match next() % 8 {
                0 => text.extend((0..next() % 40).map(|_| next() as u8)),
                1 => text.extend(std::iter::repeat_n(next() as u8, next() as usize % 300)),
                2 if text.len() > 600 => {
                    let from = text.len() - 1 - next() as usize % 600.min(text.len());
                    for i in 0..next() as usize % 60 {
                        text.push(text[from + i]);
                    }
                }
                _ => text.extend_from_slice(
                    [&b"layer "[..], b"config", b"manifest of ", b"\0\0\0"][next() as usize % 4],
                ),
            }
        }
        text.truncate(len);
        text
    }

    fn go(level: i8, pieces: &[&[u8]]) -> Vec<u8> {
        let (mut encoder, mut out) = (Go::new(level), Vec::new());
        pieces.iter().for_each(|piece| encoder.write(piece, &mut out));
        encoder.finish(&mut out);
        out
    }

    fn klauspost(level: i8, class: Class, pieces: &[&[u8]]) -> Vec<u8> {
        let (mut encoder, mut out) = (Klauspost::new(level, class), Vec::new());
        pieces.iter().for_each(|piece| encoder.write(piece, &mut out));
        encoder.finish(&mut out);
        out
    }

    fn pgzip(threads: usize, block: usize, text: &[u8]) -> Vec<u8> {
        let (mut encoder, mut out) =
            (Piece { level: 5, class: Class::V1_15_11 }.blocks(block, threads), Vec::new());
        encoder.write(text, &mut out);
        encoder.finish(&mut out);
        out
    }

    fn gnu(level: u8, pieces: &[&[u8]]) -> Vec<u8> {
        let (mut encoder, mut out) = (Gnu::new(level), Vec::new());
        pieces.iter().for_each(|piece| encoder.write(piece, &mut out));
        encoder.finish(&mut out);
        out
    }

    fn inflate(coded: &[u8]) -> Vec<u8> {
        let mut text = Vec::new();
        flate2::read::DeflateDecoder::new(coded).read_to_end(&mut text).unwrap();
        text
    }

    #[test]
    fn every_level_gives_the_text_back_however_it_is_cut() {
        for len in [0, 1, 4, 16, 17, 127, 128, 129, 65535, 65536, 70_000, 200_000, 400_000] {
            let text = sample(len);
            let cut = len / 3;
            let pieces = [&text[..cut], &text[cut..len - cut / 2], &text[len - cut / 2..]];
            for level in -2..=9 {
                let whole = go(level, &[&text]);
                assert!(inflate(&whole) == text, "go {level} {len}");
                assert!(go(level, &pieces) == whole, "go {level} {len} in pieces");
                for class in CLASSES.into_iter().chain(OLDER) {
                    if len > 200_000 && class < Class::V1_15_11 {
                        continue;
                    }
                    let whole = klauspost(level, class, &[&text]);
                    assert!(inflate(&whole) == text, "{class:?} {level} {len}");
                    assert!(
                        klauspost(level, class, &pieces) == whole,
                        "{class:?} {level} {len} in pieces"
                    );
                }
            }
        }
    }

    #[test]
    fn gnu_gzip_gives_the_text_back_however_it_is_cut() {
        for len in [0, 1, 2, 3, 261, 262, 263, 65_274, 65_275, 65_534, 65_536, 65_798, 300_000] {
            let text = sample(len);
            let (start, end) = text.split_at(len / 3);
            for level in 1..=9 {
                let whole = gnu(level, &[&text]);
                assert!(inflate(&whole) == text, "{level} {len}");
                assert!(gnu(level, &[start, end]) == whole, "{level} {len} in pieces");
            }
        }
    }

    #[test]
    fn threads_make_no_difference() {
        for len in [0, 5, 1 << 16, (1 << 16) + 1, 300_000] {
            let text = sample(len);
            let one = pgzip(1, 1 << 16, &text);
            assert!(inflate(&one) == text);
            assert!(pgzip(3, 1 << 16, &text) == one);
        }
    }

    #[test]
    fn short_texts_are_as_the_originals_write_them() {
        assert_eq!(go(6, &[]), [1, 0, 0, 0xff, 0xff]);
        assert_eq!(klauspost(5, Class::V1_18_2, &[]), [3, 0]);
        assert_eq!(pgzip(1, 1 << 20, b""), [0, 0, 0, 0xff, 0xff, 3, 0]);
    }

    /// Checked against the originals by digests of theirs: in `tests/vectors.rs`, and for the other releases when the encoders
    /// were written.
    #[test]
    fn the_bytes_never_change() {
        let text = sample(300_000);
        let levels =
            |encode: &dyn Fn(i8) -> Vec<u8>| (-2..=9).flat_map(encode).collect::<Vec<u8>>();
        let go = levels(&|level| go(level, &[&text]));
        let classes: Vec<u8> = CLASSES
            .iter()
            .flat_map(|&class| levels(&|level| klauspost(level, class, &[&text])))
            .collect();
        let older: Vec<u8> = OLDER
            .iter()
            .flat_map(|&class| [5, 6, 1, 3].map(|level| klauspost(level, class, &[&text])).concat())
            .collect();
        let gnu = (1..=9).flat_map(|level| gnu(level, &[&text])).collect();
        let digests = [go, classes, pgzip(1, 1 << 18, &text), older, gnu]
            .map(|coded| Digest::of(&coded).hex()[..16].to_owned());
        assert_eq!(
            digests,
            [
                "93dd548ab1ad91dc",
                "f6a5b9522490371c",
                "edf996e5060ea23f",
                "eb4cb25b56062240",
                "e9cad0ee271b2891"
            ]
        );
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]
        #[test]
        fn any_text_comes_back(text in prop::collection::vec(0u8..4, 0..3000), level in -2i8..=9) {
            prop_assert_eq!(&inflate(&go(level, &[&text])), &text);
            prop_assert_eq!(&inflate(&gnu(level.clamp(1, 9).cast_unsigned(), &[&text])), &text);
            for class in CLASSES {
                prop_assert_eq!(&inflate(&klauspost(level, class, &[&text])), &text);
            }
        }
    }
}
