//! A range of a file: what a `location` in a record refers to, opened.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context;

use crate::fail;
use crate::files::lasting_name;
use crate::record::Location;

/// Bytes that can be read at any offset by several threads at once.
pub trait ReadAt: Send + Sync {
    /// Bytes there are.
    fn size(&self) -> u64;

    /// Fills the buffer from `offset` on.
    ///
    /// # Errors
    /// `UnexpectedEof` if the range is not inside; else what reading fails with.
    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()>;
}

impl ReadAt for [u8] {
    fn size(&self) -> u64 {
        self.len() as u64
    }

    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        let range = usize::try_from(offset)
            .ok()
            .and_then(|start| self.get(start..start.checked_add(buffer.len())?))
            .ok_or(io::ErrorKind::UnexpectedEof)?;
        buffer.copy_from_slice(range);
        Ok(())
    }
}

impl ReadAt for Vec<u8> {
    fn size(&self) -> u64 {
        self.len() as u64
    }

    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        self.as_slice().read_exact_at(buffer, offset)
    }
}

/// A range of an open regular file. Cloning shares the file; each clone has its own position.
#[derive(Debug, Clone)]
pub struct FileRange {
    file: Arc<File>,
    path: Arc<Path>,
    offset: u64,
    size: u64,
    file_size: u64,
    mtime_ns: i128,
    position: u64,
}

/// The modification time of a file in nanoseconds since 1970.
fn mtime_ns(metadata: &std::fs::Metadata) -> i128 {
    i128::from(metadata.mtime()) * 1_000_000_000 + i128::from(metadata.mtime_nsec())
}

impl FileRange {
    /// Opens a whole regular file.
    ///
    /// # Errors
    /// It is absent, is no regular file, or cannot be opened.
    pub fn open(path: &Path) -> anyhow::Result<Self> {
        let path = lasting_name(path)?;
        let file = File::open(&path).with_context(|| format!("opening {}", path.display()))?;
        let metadata = file.metadata().with_context(|| format!("reading {}", path.display()))?;
        if !metadata.is_file() {
            fail!(NotAnImage, "{} is not a regular file", path.display());
        }
        Ok(Self {
            file: Arc::new(file),
            path: path.into(),
            offset: 0,
            size: metadata.len(),
            file_size: metadata.len(),
            mtime_ns: mtime_ns(&metadata),
            position: 0,
        })
    }

    /// Opens what a location refers to, and checks that the file is still the one that was looked at.
    ///
    /// # Errors
    /// `base-changed` if the file has another size or modification time, or the range is not inside;
    /// `usage` if the location is not a file's.
    pub fn at(location: &Location) -> anyhow::Result<Self> {
        let Some(path) = location.path() else {
            fail!(Usage, "a location names no file: {location:?}"; "the image was not fetched; run dd-extract first");
        };
        if !path.is_absolute() {
            fail!(Usage, "the location {} is not an absolute path", path.display());
        }
        let Location::File { offset, size, file_size, mtime_ns, .. } = location else {
            fail!(Usage, "a location names no file: {location:?}");
        };
        let mut range = Self::open(&path)?;
        if range.file_size != *file_size || range.mtime_ns != *mtime_ns {
            fail!(BaseChanged, "{} changed since it was inspected", path.display(); "run the whole pipeline again");
        }
        if offset.checked_add(*size).is_none_or(|end| end > *file_size) {
            fail!(Usage, "the location {}+{} is not inside {}", offset, size, path.display());
        }
        (range.offset, range.size) = (*offset, *size);
        Ok(range)
    }

    /// The part of this range from `offset` on with `size` bytes.
    ///
    /// # Errors
    /// `UnexpectedEof` if it is not inside.
    pub fn part(&self, offset: u64, size: u64) -> io::Result<Self> {
        if offset.checked_add(size).is_none_or(|end| end > self.size) {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(Self { offset: self.offset + offset, size, position: 0, ..self.clone() })
    }

    /// The location that refers to this range.
    pub fn location(&self) -> Location {
        Location::file(&self.path, self.offset, self.size, self.file_size, self.mtime_ns)
    }

    /// The file's path.
    pub fn path(&self) -> PathBuf {
        self.path.to_path_buf()
    }

    /// Where the range begins in the file.
    pub fn offset(&self) -> u64 {
        self.offset
    }

    /// The open file.
    pub fn as_file(&self) -> &File {
        &self.file
    }

    /// Whether the file still has the size and modification time that it had when it was opened.
    ///
    /// # Errors
    /// `base-changed` if not.
    pub fn check_unchanged(&self) -> anyhow::Result<()> {
        let metadata =
            self.file.metadata().with_context(|| format!("reading {}", self.path.display()))?;
        if metadata.len() != self.file_size || mtime_ns(&metadata) != self.mtime_ns {
            fail!(BaseChanged, "{} changed while it was read", self.path.display(); "run the whole pipeline again");
        }
        Ok(())
    }
}

impl ReadAt for FileRange {
    fn size(&self) -> u64 {
        self.size
    }

    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        if offset.checked_add(buffer.len() as u64).is_none_or(|end| end > self.size) {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.file.read_exact_at(buffer, self.offset + offset)
    }
}

impl Read for FileRange {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = self.size.saturating_sub(self.position);
        let wanted = buffer.len().min(usize::try_from(left).unwrap_or(usize::MAX));
        if wanted == 0 {
            return Ok(0);
        }
        let n = self.file.read_at(&mut buffer[..wanted], self.offset + self.position)?;
        if n == 0 {
            // The file got shorter: its end must not pass for the end of the range.
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.position += n as u64;
        Ok(n)
    }
}

impl Seek for FileRange {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let position = match to {
            SeekFrom::Start(offset) => Some(offset),
            SeekFrom::End(offset) => self.size.checked_add_signed(offset),
            SeekFrom::Current(offset) => self.position.checked_add_signed(offset),
        };
        self.position = position.ok_or(io::ErrorKind::InvalidInput)?;
        Ok(self.position)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::failure::{Category, classify};
    use std::io::Write;

    #[test]
    fn reads_a_part_and_notices_changes() {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(b"0123456789").unwrap();
        let whole = FileRange::open(file.path()).unwrap();
        let mut part = whole.part(3, 4).unwrap();
        let mut text = String::new();
        part.read_to_string(&mut text).unwrap();
        assert_eq!(text, "3456");
        assert!(part.read_exact_at(&mut [0; 2], 3).is_err());
        assert!(whole.part(8, 3).is_err());
        let location = part.location();
        FileRange::at(&location).unwrap();
        file.write_all(b"x").unwrap();
        let error = FileRange::at(&location).unwrap_err();
        assert_eq!(classify(&error).category, Category::BaseChanged);
        assert!(part.check_unchanged().is_err());
    }
}
