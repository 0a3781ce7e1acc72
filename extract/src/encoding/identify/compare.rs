//! Runs an encoding and compares what it writes with the very bytes.

use std::fmt;
use std::io::{self, Read, Write};
use std::ops::Range;

use dd_inspect::range::ReadAt;

use crate::encoding::Encoding;

/// Content that shows whether a candidate fits.
pub(super) const PREFIX_LEN: u64 = 1 << 20;

const PIECE_LEN: usize = 64 << 10;

/// Reads a range from its beginning.
pub(super) struct RangeReader<'a> {
    source: &'a dyn ReadAt,
    range: Range<u64>,
}

impl<'a> RangeReader<'a> {
    pub(super) fn new(source: &'a dyn ReadAt, range: Range<u64>) -> Self {
        Self { source, range }
    }
}

impl Read for RangeReader<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = self.range.end.saturating_sub(self.range.start);
        let len = buffer.len().min(usize::try_from(left).unwrap_or(usize::MAX));
        self.source.read_exact_at(&mut buffer[..len], self.range.start)?;
        self.range.start += len as u64;
        Ok(len)
    }
}

/// A writer that fails with [`Differs`] at the first byte that is not the expected one.
pub(super) struct Compare<'a> {
    expected: &'a dyn ReadAt,
    /// Where the next byte is expected.
    pub(super) position: u64,
    buffer: Vec<u8>,
}

#[derive(Debug)]
struct Differs;

impl fmt::Display for Differs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the encoder writes other bytes")
    }
}

impl std::error::Error for Differs {}

/// Whether a comparison ended because the bytes differ, or the corrections do not fit.
fn differs(error: &io::Error) -> bool {
    error.get_ref().is_some_and(|inner| inner.is::<Differs>())
        || matches!(error.kind(), io::ErrorKind::InvalidData | io::ErrorKind::Unsupported)
}

impl<'a> Compare<'a> {
    pub(super) fn new(expected: &'a dyn ReadAt, position: u64) -> Self {
        Self { expected, position, buffer: Vec::new() }
    }
}

impl Write for Compare<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let len = bytes.len().min(PIECE_LEN);
        let bytes = &bytes[..len];
        if self.position.saturating_add(len as u64) > self.expected.size() {
            return Err(io::Error::other(Differs));
        }
        self.buffer.resize(len, 0);
        self.expected.read_exact_at(&mut self.buffer, self.position)?;
        if self.buffer != bytes {
            return Err(io::Error::other(Differs));
        }
        self.position += len as u64;
        Ok(len)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Encodes a range of `plain`. If that gives the bytes of `expected` from `start` on: where they end.
pub(super) fn encodes_to(
    encoding: &Encoding,
    corrections: impl Read + Send,
    plain: &dyn ReadAt,
    range: Range<u64>,
    expected: &dyn ReadAt,
    start: u64,
) -> io::Result<Option<u64>> {
    let run = || {
        let mut encoder = encoding.encoder(Compare::new(expected, start), corrections)?;
        copy(plain, range.clone(), &mut encoder)?;
        Ok(encoder.finish()?.position)
    };
    settle(run())
}

/// Whether an encoding of the first content gives the first bytes of `expected`.
pub(super) fn begins(
    encoding: &Encoding,
    plain: &dyn ReadAt,
    expected: &dyn ReadAt,
) -> io::Result<bool> {
    let run = || {
        let mut encoder = encoding.encoder(Compare::new(expected, 0), io::empty())?;
        copy(plain, 0..plain.size().min(PREFIX_LEN), &mut encoder)
    };
    Ok(settle(run())?.is_some())
}

/// None for a comparison that found a difference.
pub(super) fn settle<T>(result: io::Result<T>) -> io::Result<Option<T>> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(e) if differs(&e) => Ok(None),
        Err(e) => Err(e),
    }
}

/// Writes a range of the content.
pub(super) fn copy(
    plain: &dyn ReadAt,
    range: Range<u64>,
    out: &mut (impl Write + ?Sized),
) -> io::Result<()> {
    let mut reader = RangeReader::new(plain, range);
    let mut buffer = vec![0; PIECE_LEN];
    loop {
        match reader.read(&mut buffer)? {
            0 => return Ok(()),
            n => out.write_all(&buffer[..n])?,
        }
    }
}
