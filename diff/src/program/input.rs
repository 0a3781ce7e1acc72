//! Reading a payload in order: bytes, integers, and blocks of bounded length.

use std::io::{self, Read};

use dd_inspect::failure;
use dd_inspect::failure::Failure;

use super::varint;

/// Bytes read ahead.
const BUFFER_LEN: usize = 64 << 10;

/// A payload and how far it was read.
#[derive(Debug)]
pub(crate) struct Input<R> {
    reader: R,
    buffer: Box<[u8]>,
    start: usize,
    end: usize,
    read: u64,
}

impl<R: Read> Input<R> {
    pub(crate) fn new(reader: R) -> Self {
        Self { reader, buffer: vec![0; BUFFER_LEN].into(), start: 0, end: 0, read: 0 }
    }

    /// Bytes of the payload that were taken so far.
    pub(crate) fn position(&self) -> u64 {
        self.read - (self.end - self.start) as u64
    }

    /// Reads ahead when nothing is left; returns whether there is anything.
    fn fill(&mut self) -> Result<bool, Failure> {
        while self.start == self.end {
            match self.reader.read(&mut self.buffer) {
                Ok(0) => return Ok(false),
                Ok(n) => {
                    (self.start, self.end) = (0, n.min(BUFFER_LEN));
                    self.read += self.end as u64;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(io_failure("reading the delta", error)),
            }
        }
        Ok(true)
    }

    pub(crate) fn byte(&mut self) -> Result<u8, Failure> {
        if !self.fill()? {
            return Err(ends_early());
        }
        let byte = self.buffer[self.start];
        self.start += 1;
        Ok(byte)
    }

    /// An integer of at most `max`; `what` names it in the error.
    pub(crate) fn varint(&mut self, what: &str, max: u64) -> Result<u64, Failure> {
        varint::take(|| self.byte())?
            .filter(|&value| value <= max)
            .ok_or_else(|| out_of_range(what))
    }

    /// Appends `len` bytes to `out`, which grows only as bytes arrive.
    pub(crate) fn bytes(&mut self, len: u64, out: &mut Vec<u8>) -> Result<(), Failure> {
        let mut left = len;
        while left > 0 {
            if !self.fill()? {
                return Err(ends_early());
            }
            let n = left.min((self.end - self.start) as u64) as usize;
            out.extend_from_slice(&self.buffer[self.start..self.start + n]);
            self.start += n;
            left -= n as u64;
        }
        Ok(())
    }

    /// Whether the payload has been read to its end.
    pub(crate) fn is_at_end(&mut self) -> Result<bool, Failure> {
        Ok(!self.fill()?)
    }
}

/// The error for an integer that cannot be right.
pub(crate) fn out_of_range(what: &str) -> Failure {
    failure!(PackageCorrupt, "{what} is out of range")
}

fn ends_early() -> Failure {
    failure!(PackageCorrupt, "the delta ends early")
}

/// An I/O error with what was done, in the category of the failure inside it.
pub(crate) fn io_failure(doing: &str, error: io::Error) -> Failure {
    failure::classify(&anyhow::Error::from(error).context(doing.to_owned()))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use dd_inspect::failure::Category;

    #[test]
    fn reads_in_order_and_counts() {
        let mut input = Input::new(&[7, 0xac, 2, 1, 2, 3, 4][..]);
        assert_eq!(input.byte().unwrap(), 7);
        assert_eq!(input.varint("x", 300).unwrap(), 300);
        let mut out = vec![0];
        input.bytes(3, &mut out).unwrap();
        assert_eq!(out, [0, 1, 2, 3]);
        assert_eq!(input.position(), 6);
        assert!(!input.is_at_end().unwrap());
        input.byte().unwrap();
        assert!(input.is_at_end().unwrap());
        assert_eq!(input.byte().unwrap_err().message, "the delta ends early");
    }

    #[test]
    fn integers_have_a_bound() {
        let mut input = Input::new(&[6][..]);
        let error = input.varint("the count", 5).unwrap_err();
        assert_eq!(error.message, "the count is out of range");
        assert_eq!(error.category, Category::PackageCorrupt);
    }

    #[test]
    fn a_declared_length_does_not_allocate() {
        let mut out = Vec::new();
        assert!(Input::new(&[1, 2][..]).bytes(u64::MAX, &mut out).is_err());
        assert_eq!(out, [1, 2]);
    }

    #[test]
    fn failures_of_the_reader_keep_their_category() {
        struct Broken;
        impl Read for Broken {
            fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
                Err(io::Error::other(failure!(DigestMismatch, "the payload is not what it was")))
            }
        }
        let error = Input::new(Broken).byte().unwrap_err();
        assert_eq!(error.category, Category::DigestMismatch);
        assert_eq!(error.message, "reading the delta: the payload is not what it was");
    }
}
