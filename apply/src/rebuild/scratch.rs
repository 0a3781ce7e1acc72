//! Scratch space: unlinked files, counted, so that all of them together stay below a limit.

use std::fs::File;
use std::io::{self, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::Context;
use dd_inspect::failure;
use dd_inspect::range::ReadAt;

/// A place for scratch files. Clones count together.
#[derive(Debug, Clone)]
pub struct Scratch {
    directory: PathBuf,
    used: Arc<AtomicU64>,
    limit: u64,
}

impl Scratch {
    /// Scratch files in `directory`, at most `limit` bytes at one time.
    pub fn new(directory: &Path, limit: u64) -> Self {
        Self { directory: directory.to_owned(), used: Arc::default(), limit }
    }

    /// The directory.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// A new scratch file. It is gone when it is closed, however the process ends.
    ///
    /// # Errors
    /// It cannot be made.
    pub fn file(&self) -> anyhow::Result<ScratchFile> {
        let file = tempfile::tempfile_in(&self.directory)
            .with_context(|| format!("making a scratch file in {}", self.directory.display()))?;
        Ok(ScratchFile { file: Arc::new(file), size: 0, scratch: self.clone() })
    }

    fn take(&self, bytes: u64) -> io::Result<()> {
        let before = self.used.fetch_add(bytes, Ordering::Relaxed);
        if before.saturating_add(bytes) <= self.limit {
            return Ok(());
        }
        self.used.fetch_sub(bytes, Ordering::Relaxed);
        let limit = self.limit;
        Err(io::Error::other(
            failure!(Limit, "more than {limit} bytes of scratch space are needed"; "allow more with --scratch SIZE"),
        ))
    }
}

/// A scratch file: written from its beginning to its end, read anywhere.
#[derive(Debug)]
pub struct ScratchFile {
    file: Arc<File>,
    size: u64,
    scratch: Scratch,
}

impl Write for ScratchFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.scratch.take(bytes.len() as u64)?;
        let n = self.file.write_at(bytes, self.size).inspect_err(|_| {
            self.scratch.used.fetch_sub(bytes.len() as u64, Ordering::Relaxed);
        })?;
        self.scratch.used.fetch_sub((bytes.len() - n) as u64, Ordering::Relaxed);
        self.size += n as u64;
        Ok(n)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl ReadAt for ScratchFile {
    fn size(&self) -> u64 {
        self.size
    }

    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        self.file.read_exact_at(buffer, offset)
    }
}

impl Drop for ScratchFile {
    fn drop(&mut self) {
        self.scratch.used.fetch_sub(self.size, Ordering::Relaxed);
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use dd_inspect::failure::{Category, classify};

    #[test]
    fn files_count_together_and_leave_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let scratch = Scratch::new(dir.path(), 10);
        let mut first = scratch.file().unwrap();
        first.write_all(b"123456").unwrap();
        let mut second = scratch.file().unwrap();
        let error = second.write_all(b"12345").unwrap_err();
        assert_eq!(classify(&error.into()).category, Category::Limit);
        drop(first);
        second.write_all(b"12345").unwrap();
        let mut back = [0; 2];
        second.read_exact_at(&mut back, 3).unwrap();
        assert_eq!((&back, second.size()), (b"45", 5));
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
    }
}
