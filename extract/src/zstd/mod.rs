//! klauspost/compress zstd at its default, fastest and strongest levels, reproduced bit for bit (RFC 8878): what skopeo, podman,
//! buildah, buildkit and containerd write by default, and what go-containerregistry writes.
//!
//! The facts were taken from the source of releases 1.14.2 to 1.19 (BSD-3-Clause; parts after zstd by Yann Collet):
//! the blocks' and the window's length, and the choices that `search`, `block`, `huffman` and `fse` describe.

mod best;
mod block;
mod finder;
mod fse;
mod huffman;
mod search;
mod xxhash;

use block::BlockWriter;
pub use block::MAX_BLOCK_LEN;
use finder::{Finder, SLACK_LEN};
use serde::{Deserialize, Serialize};
use xxhash::Xxh64;

/// Releases of klauspost/compress whose zstd encoders differ at the default level.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Release {
    /// 1.14.2 to 1.16.3.
    #[serde(rename = "1.14.2")]
    V1_14_2,
    /// 1.16.4 to 1.16.7.
    #[serde(rename = "1.16.4")]
    V1_16_4,
    /// 1.17.0 to 1.17.7.
    #[serde(rename = "1.17.0")]
    V1_17_0,
    /// 1.17.8 and later.
    #[serde(rename = "1.17.8")]
    V1_17_8,
}

impl Release {
    /// All, the usual ones first.
    pub const ALL: [Self; 4] = [Self::V1_17_8, Self::V1_17_0, Self::V1_16_4, Self::V1_14_2];

    /// `1.17.8`.
    pub fn name(self) -> &'static str {
        match self {
            Self::V1_14_2 => "1.14.2",
            Self::V1_16_4 => "1.16.4",
            Self::V1_17_0 => "1.17.0",
            Self::V1_17_8 => "1.17.8",
        }
    }
}

/// klauspost's levels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// Levels 1 and 2 of programs that count as zstd does. Releases before 1.14.4 differ.
    Fastest,
    /// Levels 3 to 5.
    #[default]
    Default,
    /// Levels from 10 on; zstd:chunked has it by default. Of releases from 1.17.8 on.
    Best,
}

impl Level {
    /// All, the usual ones first.
    pub const ALL: [Self; 3] = [Self::Default, Self::Fastest, Self::Best];

    /// The releases whose encoders write the level as they do here, the usual ones first.
    pub fn releases(self) -> &'static [Release] {
        match self {
            Self::Best => &[Release::V1_17_8],
            Self::Fastest | Self::Default => &Release::ALL,
        }
    }

    /// Memory that an encoder of this level takes at most for frames of so many bytes of content, in bytes.
    pub fn memory(self, content: u64) -> u64 {
        let tables = if self == Self::Best { best::TABLES } else { 0 };
        let held = (self.window_len() + SLACK_LEN) as u64;
        tables + held.min(content.saturating_add(MAX_BLOCK_LEN as u64)) + OTHERS
    }

    /// `default`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Fastest => "fastest",
            Self::Default => "default",
            Self::Best => "best",
        }
    }

    /// Distances are below this.
    pub fn window_len(self) -> usize {
        match self {
            Self::Fastest => 4 << 20,
            Self::Default | Self::Best => 8 << 20,
        }
    }

    /// The window as a frame header has it (RFC 8878, section 3.1.1.1.2).
    pub fn window_descriptor(self) -> u8 {
        window_descriptor(self.window_len())
    }

    /// Bytes of content in a block.
    pub fn block_len(self) -> usize {
        match self {
            Self::Fastest => 64 << 10,
            Self::Default | Self::Best => MAX_BLOCK_LEN,
        }
    }
}

/// The magic number of a frame.
const MAGIC: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];
/// Memory that an encoder takes beside content and large tables, in bytes: small tables, and a block on its way.
const OTHERS: u64 = 3 << 20;

/// Every release and level.
pub fn encoders() -> impl Iterator<Item = (Release, Level)> {
    let of = |level: Level| level.releases().iter().map(move |release| (*release, level));
    Level::ALL.into_iter().flat_map(of)
}

/// Writes one frame, or one after the other.
#[derive(Debug)]
pub struct Klauspost {
    release: Release,
    level: Level,
    finder: Finder,
    blocks: BlockWriter,
    /// The length of the block that is being filled.
    block_len: usize,
    begun: bool,
    first_alone: bool,
    check: Xxh64,
}

impl Klauspost {
    /// An encoder of a release at a level. `first_block` is the length of a first block of its own, at most that of
    /// the level's blocks, 0 without one: what was written to the encoder before it was told to read from somewhere is such a block.
    pub fn new(release: Release, level: Level, first_block: u64) -> Self {
        let first_alone = first_block > 0;
        let block_len = level.block_len();
        Self {
            release,
            level,
            finder: Finder::new(level),
            blocks: BlockWriter::new(release, level),
            block_len: match usize::try_from(first_block) {
                Ok(0) => block_len,
                first => first.map_or(block_len, |first| first.min(block_len)),
            },
            begun: false,
            first_alone,
            check: Xxh64::new(),
        }
    }

    /// Takes in the next bytes of the text; appends what is ready.
    pub fn write(&mut self, mut text: &[u8], out: &mut Vec<u8>) {
        self.check.update(text);
        while !text.is_empty() {
            let room = self.block_len - self.finder.block().len();
            let (head, tail) = text.split_at(text.len().min(room));
            self.finder.append(head);
            text = tail;
            if self.finder.block().len() == self.block_len {
                self.begin(out);
                self.block(false, false, out);
            }
        }
    }

    /// Appends the rest.
    pub fn finish(&mut self, out: &mut Vec<u8>) {
        if self.begun || self.first_alone || self.finder.block().is_empty() {
            self.begin(out);
            if self.first_alone && !self.finder.block().is_empty() {
                self.block(false, false, out);
            }
            if self.finder.block().is_empty() {
                block::raw(&[], true, out);
            } else {
                self.block(true, false, out);
            }
        } else {
            self.begin_alone(out);
            self.block(true, true, out);
        }
        out.extend_from_slice(&(self.check.finish() as u32).to_le_bytes());
    }

    /// Another frame begins, without a first block of its own.
    pub fn reset(&mut self) {
        self.finder.reset();
        self.blocks = BlockWriter::new(self.release, self.level);
        self.block_len = self.level.block_len();
        (self.begun, self.first_alone, self.check) = (false, false, Xxh64::new());
    }

    fn block(&mut self, last: bool, alone: bool, out: &mut Vec<u8>) {
        let Self { finder, blocks, .. } = self;
        finder.find(alone);
        let found = &finder.found;
        blocks.write(finder.block(), &found.sequences, found.literals(), last, out);
        finder.end_block();
        self.block_len = self.level.block_len();
        self.first_alone = false;
    }

    /// The header of a frame of unknown length (RFC 8878, section 3.1.1.1): a check sum, the window.
    fn begin(&mut self, out: &mut Vec<u8>) {
        if !std::mem::replace(&mut self.begun, true) {
            out.extend_from_slice(&MAGIC);
            out.extend([4, self.level.window_descriptor()]);
        }
    }

    /// The header of a frame of one block, whose length is known.
    fn begin_alone(&mut self, out: &mut Vec<u8>) {
        let len = self.finder.block().len();
        let single = len > 1024;
        let size = match len {
            0..256 => 0u8,
            256..0x1_0100 => 1,
            _ => 2,
        };
        out.extend_from_slice(&MAGIC);
        out.push(size << 6 | u8::from(single) << 5 | 4);
        if !single {
            let window = 1usize << (usize::BITS - len.leading_zeros());
            out.push(window_descriptor(window.max(1024)));
        }
        match size {
            0 => {}
            1 => out.extend_from_slice(&((len - 256) as u16).to_le_bytes()),
            _ => out.extend_from_slice(&(len as u32).to_le_bytes()),
        }
    }
}

/// A window of 2^(10 + exponent) bytes.
fn window_descriptor(window: usize) -> u8 {
    ((window.ilog2() - 10) << 3) as u8
}

#[cfg(test)]
mod tests;
