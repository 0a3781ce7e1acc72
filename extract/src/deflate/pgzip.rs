//! The framing of klauspost/pgzip: independent blocks of the text, each with the end of the one before as dictionary.

use super::blocks::{Block, Blocks, PieceCoder};
use super::klauspost::{Class, Klauspost};

/// Encodes the blocks of the deflate stream that pgzip writes: header and trailer of the gzip file are not its matter.
#[derive(Debug, Clone, Copy)]
pub struct Piece {
    /// The level of klauspost's encoder.
    pub level: i8,
    /// Its release.
    pub class: Class,
}

impl Piece {
    /// An encoder with blocks of `block` bytes (1 MiB; 256 KiB before pgzip 1.2.2) on up to `threads` threads.
    pub fn blocks(self, block: usize, threads: usize) -> Blocks<Self> {
        Blocks::new(self, block, threads)
    }
}

impl PieceCoder for Piece {
    type Encoder = Option<Box<Klauspost>>;

    const TAIL: usize = 16 << 10;
    const EMPTY_LAST: bool = true;

    fn tail(text: &[u8]) -> &[u8] {
        if text.len() > Self::TAIL { text } else { &[] }
    }

    fn encode(self, encoder: &mut Self::Encoder, block: &Block, out: &mut Vec<u8>) {
        let encoder = match encoder {
            Some(encoder) => {
                encoder.reset();
                encoder
            }
            None => encoder.insert(Box::new(Klauspost::new(self.level, self.class))),
        };
        if !block.dictionary.is_empty() {
            encoder.dictionary(&block.dictionary);
        }
        encoder.write(&block.text, out);
        encoder.flush(out);
        if block.last {
            encoder.finish(out);
        }
    }
}
