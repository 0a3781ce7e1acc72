//! Verification as a wrapper: bytes pass on to where they go and are hashed on the way.

use std::io::{self, Write};

use dd_inspect::digest::{Digest, Hasher, Mismatch};
use dd_inspect::failure::Failure;

/// A writer that takes exactly the declared bytes.
///
/// More bytes than declared fail at once, before they are written; [`Checked::finish`] compares the rest. The failure is
/// an [`io::Error`] of kind `InvalidData` with a [`Mismatch`] inside.
#[derive(Debug)]
pub struct Checked<W> {
    inner: W,
    hasher: Hasher,
    wanted: Digest,
    size: u64,
    failure: Option<Failure>,
}

impl<W: Write> Checked<W> {
    /// Wraps a writer that is to get `size` bytes with digest `wanted`.
    pub fn new(inner: W, wanted: Digest, size: u64) -> Self {
        Self { inner, hasher: Hasher::new(), wanted, size, failure: None }
    }

    /// Fails with this failure instead, and the mismatch after it.
    #[must_use]
    pub fn or(mut self, failure: Failure) -> Self {
        self.failure = Some(failure);
        self
    }

    fn invalid(&self, mismatch: Mismatch) -> io::Error {
        let Some(failure) = &self.failure else {
            return io::Error::new(io::ErrorKind::InvalidData, mismatch);
        };
        let message = format!("{}: {mismatch}", failure.message);
        io::Error::new(io::ErrorKind::InvalidData, Failure { message, ..failure.clone() })
    }

    /// Compares what was written with what was declared, and gives the writer back.
    ///
    /// # Errors
    /// There were fewer bytes, or others.
    pub fn finish(self) -> io::Result<W> {
        let found = self.hasher.len();
        if found != self.size {
            return Err(self.invalid(Mismatch::Size { wanted: self.size, found }));
        }
        let found = self.hasher.clone().finish();
        if found != self.wanted {
            return Err(self.invalid(Mismatch::Digest { wanted: self.wanted, found }));
        }
        Ok(self.inner)
    }
}

impl<W: Write> Write for Checked<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let found = self.hasher.len().saturating_add(bytes.len() as u64);
        if found > self.size {
            return Err(self.invalid(Mismatch::Size { wanted: self.size, found }));
        }
        let n = self.inner.write(bytes)?;
        self.hasher.update(&bytes[..n]);
        Ok(n)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

/// Whether an error says that content is not what was declared, in contrast to reading or writing that failed.
pub fn is_mismatch(error: &anyhow::Error) -> bool {
    error.chain().any(|cause| {
        let inside = cause.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        cause.is::<Mismatch>() || inside.is_some_and(|inner| inner.is::<Mismatch>())
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn tells_more_fewer_and_other_bytes() {
        let write = |bytes: &[u8]| {
            let mut out = Checked::new(Vec::new(), Digest::of(b"abc"), 3);
            out.write_all(bytes)?;
            out.finish()
        };
        assert_eq!(write(b"abc").unwrap(), b"abc");
        for bad in [&b"ab"[..], b"abd", b"abcd"] {
            let error = write(bad).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::InvalidData);
            assert!(is_mismatch(&error.into()));
        }
        assert!(!is_mismatch(&io::Error::from(io::ErrorKind::StorageFull).into()));
    }

    #[test]
    fn nothing_is_written_beyond_the_size() {
        let mut out = Checked::new(Vec::new(), Digest::of(b"abc"), 3);
        out.write_all(b"ab").unwrap();
        assert!(out.write_all(b"cd").is_err());
        assert_eq!(out.inner, b"ab");
    }
}
