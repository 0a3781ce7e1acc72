//! The deflate streams of pigz: zlib's, in blocks that end at whole bytes.
//!
//! With several threads each block is encoded by itself, with the last 32 KiB before it as dictionary; with one the
//! stream goes on.

use dd_inspect::failure::Failure;

use super::zlib::{Deflater, ZlibParams};
use crate::deflate::{Block, Blocks, PieceCoder};

/// memLevel, which pigz leaves as zlib has it.
const MEM_LEVEL: u8 = 8;

/// Encodes a block by itself.
#[derive(Debug, Clone, Copy)]
pub(super) struct Piece {
    level: u8,
}

impl Piece {
    fn try_encode(
        self,
        dictionary: &[u8],
        text: &[u8],
        last: bool,
        out: &mut Vec<u8>,
    ) -> Result<(), Failure> {
        let mut deflater = Deflater::new(ZlibParams { level: self.level, mem_level: MEM_LEVEL })?;
        if !dictionary.is_empty() {
            deflater.dictionary(dictionary)?;
        }
        deflater.write(text, out)?;
        if last { deflater.finish(out) } else { deflater.end_block(out) }
    }
}

impl PieceCoder for Piece {
    type Encoder = ();

    const TAIL: usize = 32 << 10;
    const EMPTY_LAST: bool = false;

    fn tail(text: &[u8]) -> &[u8] {
        text
    }

    fn encode(self, (): &mut (), block: &Block, out: &mut Vec<u8>) {
        // zlib begins or the first of all streams has failed; what is missing is seen by its digest.
        let _ = self.try_encode(&block.dictionary, &block.text, block.last, out);
    }
}

/// An encoder of pigz's stream.
#[derive(Debug)]
pub(super) enum Pigz {
    /// With several threads.
    Many(Blocks<Piece>),
    /// With one.
    One {
        /// The stream.
        deflater: Deflater,
        /// Bytes in a block.
        block: usize,
        /// Bytes until its end.
        left: usize,
    },
}

impl Pigz {
    /// An encoder with blocks of at least 32 KiB; `threads` of this process, none for a stream as one thread of pigz writes it.
    ///
    /// # Errors
    /// As [`Deflater::new`].
    pub(super) fn new(level: u8, block: usize, threads: Option<usize>) -> Result<Self, Failure> {
        let deflater = Deflater::new(ZlibParams { level, mem_level: MEM_LEVEL })?;
        Ok(match threads {
            Some(threads) => Self::Many(Blocks::new(Piece { level }, block, threads)),
            None => Self::One { deflater, block, left: block },
        })
    }

    /// Takes plain bytes and appends what is ready.
    ///
    /// # Errors
    /// As [`Deflater::write`].
    pub(super) fn write(&mut self, mut plain: &[u8], out: &mut Vec<u8>) -> Result<(), Failure> {
        match self {
            Self::Many(blocks) => blocks.write(plain, out),
            Self::One { deflater, block, left } => {
                while !plain.is_empty() {
                    if *left == 0 {
                        deflater.end_block(out)?;
                        *left = *block;
                    }
                    let (now, rest) = plain.split_at(plain.len().min(*left));
                    deflater.write(now, out)?;
                    *left -= now.len();
                    plain = rest;
                }
            }
        }
        Ok(())
    }

    /// Appends the rest.
    ///
    /// # Errors
    /// As [`Deflater::finish`].
    pub(super) fn finish(self, out: &mut Vec<u8>) -> Result<(), Failure> {
        match self {
            Self::Many(mut blocks) => {
                blocks.finish(out);
                Ok(())
            }
            Self::One { deflater, .. } => deflater.finish(out),
        }
    }
}
