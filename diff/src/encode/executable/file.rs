//! An executable where it lies, so that a large one need not be held.

use std::fmt;
use std::io;
use std::ops::Range;

use dd_inspect::failure;
use dd_inspect::failure::Failure;
use dd_inspect::range::ReadAt;

/// A file in a layer.
#[derive(Clone, Copy)]
pub(crate) struct File<'a> {
    bytes: &'a dyn ReadAt,
    offset: u64,
    len: u64,
}

impl fmt::Debug for File<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { offset, len, .. } = self;
        f.debug_struct("File").field("offset", offset).field("len", len).finish_non_exhaustive()
    }
}

impl<'a> File<'a> {
    /// The `len` bytes from `offset` on.
    pub(crate) fn new(bytes: &'a dyn ReadAt, offset: u64, len: u64) -> Self {
        Self { bytes, offset, len }
    }

    /// Bytes of it.
    pub(crate) fn len(&self) -> u64 {
        self.len
    }

    /// The bytes of a range of it.
    ///
    /// # Errors
    /// What reading fails with; `UnexpectedEof` for a range that does not lie inside.
    pub(crate) fn read(&self, range: Range<u64>) -> io::Result<Vec<u8>> {
        let len = range.end.checked_sub(range.start).filter(|_| range.end <= self.len);
        let len = len.and_then(|len| usize::try_from(len).ok());
        let mut bytes = vec![0; len.ok_or(io::ErrorKind::UnexpectedEof)?];
        self.fill(range.start, &mut bytes)?;
        Ok(bytes)
    }

    /// All of it.
    ///
    /// # Errors
    /// What reading fails with.
    pub(crate) fn whole(&self) -> io::Result<Vec<u8>> {
        self.read(0..self.len)
    }

    /// Fills a buffer from `at` on.
    ///
    /// # Errors
    /// As for [`File::read`].
    pub(crate) fn fill(&self, at: u64, buf: &mut [u8]) -> io::Result<()> {
        let end = at.checked_add(buf.len() as u64);
        if end.is_none_or(|end| end > self.len) {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.bytes.read_exact_at(buf, self.offset + at)
    }

    /// Reads it for a model.
    pub(crate) fn reader(self) -> impl FnMut(u64, &mut [u8]) -> Result<(), Failure> {
        move |at, buf| {
            self.fill(at, buf)
                .map_err(|error| failure!(Io, "reading an executable at {at}: {error}"))
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_file_ends_where_it_does() {
        let layer: Vec<u8> = (0..100).collect();
        let file = File::new(&layer, 10, 50);
        assert_eq!(file.read(5..8).unwrap(), [15, 16, 17]);
        assert_eq!(file.whole().unwrap(), layer[10..60]);
        let reversed = Range { start: 10, end: 9 };
        for range in [45..51, 60..61, reversed, u64::MAX..u64::MAX] {
            assert!(file.read(range).is_err());
        }
        let mut buf = [0; 2];
        assert!(file.fill(49, &mut buf).is_err());
        assert!(file.fill(u64::MAX, &mut buf).is_err());
        file.reader()(48, &mut buf).unwrap();
        assert_eq!(buf, [58, 59]);
    }
}
