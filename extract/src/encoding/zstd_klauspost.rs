//! Zstandard frames as klauspost/compress writes them.

use std::fmt;
use std::io::{self, Write};

use serde::{Deserialize, Serialize};

use super::Encoder;
use crate::zstd::{Klauspost, Level, MAX_BLOCK_LEN, Release};

/// How klauspost/compress is told to compress.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct KlauspostParams {
    /// The first release that writes these bytes.
    pub release: Release,
    /// The level.
    pub level: Level,
    /// Bytes of content in a first block of its own, fewer than in the others; 0 without one.
    #[serde(skip_serializing_if = "super::is_zero", default)]
    pub first_block: u64,
}

impl KlauspostParams {
    /// What a reader must have: `klauspost-zstd-1.17.8`.
    pub fn feature(&self) -> String {
        feature(self.release)
    }

    /// Memory that compressing takes, in bytes.
    pub fn memory(&self) -> u64 {
        self.level.memory(u64::MAX)
    }

    /// Whether an encoder has these parameters.
    ///
    /// # Errors
    /// Invalid data for a first block that is too long, or a release that is not known at that level.
    pub(super) fn check(&self) -> io::Result<()> {
        check_level(self.release, self.level)?;
        if self.first_block < self.level.block_len() as u64 {
            return Ok(());
        }
        let message = format!("no first block has {} bytes", self.first_block);
        Err(io::Error::new(io::ErrorKind::InvalidData, message))
    }
}

/// The feature that a release's encoder is.
pub(super) fn feature(release: Release) -> String {
    format!("klauspost-zstd-{}", release.name())
}

/// Whether a release is known at a level; invalid data if not.
pub(super) fn check_level(release: Release, level: Level) -> io::Result<()> {
    if level.releases().contains(&release) {
        return Ok(());
    }
    let message = format!("level {} of release {} is not known", level.name(), release.name());
    Err(io::Error::new(io::ErrorKind::InvalidData, message))
}

/// The features that encoders of this module are.
pub(super) fn features() -> impl Iterator<Item = String> {
    Release::ALL.into_iter().map(feature)
}

impl fmt::Display for KlauspostParams {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "klauspost {} level {}", self.release.name(), self.level.name())?;
        match self.first_block {
            0 => Ok(()),
            len => write!(f, " after {len} bytes"),
        }
    }
}

/// Writes one frame, then the file's last bytes.
pub(super) struct KlauspostEncoder<W, R> {
    encoder: Klauspost,
    coded: Vec<u8>,
    out: W,
    tail: R,
}

impl<W: Write, R> KlauspostEncoder<W, R> {
    pub(super) fn new(out: W, params: KlauspostParams, tail: R) -> io::Result<Self> {
        params.check()?;
        let encoder = Klauspost::new(params.release, params.level, params.first_block);
        Ok(Self { encoder, coded: Vec::new(), out, tail })
    }

    fn pass_on(&mut self) -> io::Result<()> {
        self.out.write_all(&self.coded)?;
        self.coded.clear();
        Ok(())
    }
}

impl<W: Write, R> Write for KlauspostEncoder<W, R> {
    fn write(&mut self, plain: &[u8]) -> io::Result<usize> {
        // Not more at once than what has room in one block's output.
        let plain = &plain[..plain.len().min(MAX_BLOCK_LEN)];
        self.encoder.write(plain, &mut self.coded);
        self.pass_on()?;
        Ok(plain.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        // A flush of the encoder would end a block.
        Ok(())
    }
}

impl<W: Write + Send, R: io::Read + Send> Encoder<W> for KlauspostEncoder<W, R> {
    fn finish(mut self: Box<Self>) -> io::Result<W> {
        self.encoder.finish(&mut self.coded);
        self.pass_on()?;
        let Self { mut out, mut tail, .. } = *self;
        io::copy(&mut tail, &mut out)?;
        Ok(out)
    }
}
