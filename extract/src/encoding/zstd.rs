//! Zstandard frames (RFC 8878) as libzstd writes them in a stream.
//!
//! What a level writes changes between releases of the library, so an encoding names its version.

use std::io::{self, Write};

use serde::{Deserialize, Serialize};
use zstd::stream::write::Encoder as Stream;

use super::Encoder;

/// The version of the library in this program.
pub fn library() -> &'static str {
    zstd::zstd_safe::version_string()
}

/// How libzstd is told to compress.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct ZstdParams {
    /// The library's version: `1.5.7`.
    pub library: String,
    /// 1 to 19.
    pub level: i32,
    /// The length of the content, if the library is told it before (then it stands in the frame's header).
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub content_size: Option<u64>,
    /// Whether the frame ends with a check sum.
    #[serde(skip_serializing_if = "std::ops::Not::not", default)]
    pub checksum: bool,
}

/// Levels above need hundreds of MiB.
const MAX_LEVEL: i32 = 19;

impl ZstdParams {
    /// Memory that compressing takes, in bytes: measured for levels 1–19 with contents above their window.
    pub fn memory(&self) -> u64 {
        match self.level {
            ..=2 => 4 << 20,
            3..=4 => 8 << 20,
            5..=9 => 24 << 20,
            10..=12 => 56 << 20,
            13..=15 => 80 << 20,
            _ => 112 << 20,
        }
    }
}

/// Writes one frame, then the file's last bytes.
pub(super) struct ZstdEncoder<W: Write, R> {
    stream: Stream<'static, W>,
    tail: R,
}

impl<W: Write, R> ZstdEncoder<W, R> {
    pub(super) fn new(out: W, params: &ZstdParams, tail: R) -> io::Result<Self> {
        if params.library != library() || !(1..=MAX_LEVEL).contains(&params.level) {
            let message = format!(
                "this program has zstd {} with levels 1 to {MAX_LEVEL}, not zstd {} with level {}",
                library(),
                params.library,
                params.level
            );
            return Err(io::Error::new(io::ErrorKind::Unsupported, message));
        }
        let mut stream = Stream::new(out, params.level)?;
        stream.include_checksum(params.checksum)?;
        stream.set_pledged_src_size(params.content_size)?;
        Ok(Self { stream, tail })
    }
}

impl<W: Write, R> Write for ZstdEncoder<W, R> {
    fn write(&mut self, plain: &[u8]) -> io::Result<usize> {
        self.stream.write(plain)
    }

    fn flush(&mut self) -> io::Result<()> {
        // Flushing the stream would end a block.
        Ok(())
    }
}

impl<W: Write + Send, R: io::Read + Send> Encoder<W> for ZstdEncoder<W, R> {
    fn finish(self: Box<Self>) -> io::Result<W> {
        let Self { stream, mut tail } = *self;
        let mut out = stream.finish()?;
        io::copy(&mut tail, &mut out)?;
        Ok(out)
    }
}
