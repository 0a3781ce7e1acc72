//! The payloads of the package, for one thread or several.

use std::fmt;
use std::io::{self, Read};
use std::sync::{Mutex, MutexGuard, PoisonError};

use anyhow::Context;
use dd_inspect::failure;
use dd_inspect::failure::Failure;
use dd_inspect::package::{Kept, Reader};

/// The logarithm of the longest window of a blob's own zstd frame (8 MiB).
const WINDOW_LOG: u32 = 23;

/// The blobs of an open package.
pub struct Blobs {
    reader: Mutex<Option<Reader>>,
}

impl fmt::Debug for Blobs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Blobs").finish_non_exhaustive()
    }
}

impl Blobs {
    /// The blobs of this package.
    pub fn new(reader: Reader) -> Self {
        Self { reader: Mutex::new(Some(reader)) }
    }

    fn lock(&self) -> MutexGuard<'_, Option<Reader>> {
        self.reader.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Says that no other blobs will be read.
    pub fn want_only(&self, numbers: &[u32]) {
        if let Some(reader) = &mut *self.lock() {
            reader.want_only(numbers);
        }
    }

    /// A blob, verified before it is given, kept so that other blobs can be read meanwhile.
    ///
    /// # Errors
    /// `package-corrupt`, or no scratch space.
    pub fn keep(&self, number: u32) -> anyhow::Result<Box<dyn Read + Send>> {
        let mut reader = self.lock();
        let reader = open(&mut reader)?;
        let packed = is_packed(reader, number);
        let kept: Kept = reader.keep(number)?;
        unpack(Box::new(kept.reader()), packed)
    }

    /// Reads a blob as it comes, verified while it is read. No other can be read meanwhile.
    ///
    /// # Errors
    /// As [`Blobs::keep`], and what `read` fails with.
    pub fn stream<T>(
        &self,
        number: u32,
        read: impl FnOnce(Box<dyn Read + Send + '_>) -> anyhow::Result<T>,
    ) -> anyhow::Result<T> {
        let mut reader = self.lock();
        let reader = open(&mut reader)?;
        let packed = is_packed(reader, number);
        read(unpack(Box::new(reader.blob(number)?), packed)?)
    }

    /// Reads the package to its end and checks that it ends as it should. No blob can be read after that.
    ///
    /// # Errors
    /// `package-corrupt`.
    pub fn finish(&self) -> anyhow::Result<()> {
        self.lock().take().map_or(Ok(()), Reader::finish)
    }
}

fn open(reader: &mut Option<Reader>) -> anyhow::Result<&mut Reader> {
    reader.as_mut().context("the package was read to its end")
}

fn is_packed(reader: &Reader, number: u32) -> bool {
    reader.blobs().get(number as usize).is_some_and(|blob| blob.zstd)
}

fn unpack<'a>(
    blob: Box<dyn Read + Send + 'a>,
    packed: bool,
) -> anyhow::Result<Box<dyn Read + Send + 'a>> {
    if !packed {
        return Ok(blob);
    }
    let mut decoder = zstd::Decoder::new(blob)?;
    decoder.window_log_max(WINDOW_LOG)?;
    Ok(Box::new(Frame(decoder)))
}

/// A broken frame is a broken package.
struct Frame<R>(R);

impl<R: Read> Read for Frame<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.read(buffer).map_err(|e| match e.get_ref() {
            Some(inner) if inner.is::<Failure>() => e,
            _ if e.raw_os_error().is_some() || e.kind() == io::ErrorKind::Interrupted => e,
            _ => io::Error::other(
                failure!(PackageCorrupt, "the package is damaged: a blob of it cannot be unpacked: {e}"; "get the package again"),
            ),
        })
    }
}
