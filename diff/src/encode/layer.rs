//! A layer as the encoder sees it: its bytes and where files stand in them.

use std::fmt;
use std::io;
use std::sync::Arc;

use dd_inspect::digest::{DiffId, Digest};
use dd_inspect::range::ReadAt;
use dd_inspect::record::{Entry, EntryKind};

/// An uncompressed layer and its entries.
#[derive(Clone)]
pub struct Layer {
    /// The layer's identifier.
    pub diff_id: DiffId,
    /// Its bytes.
    pub bytes: Arc<dyn ReadAt>,
    /// Its entries by their place in the tar; entries that overlap or lie outside are left out. What no
    /// entry covers is handled as bytes.
    pub files: Arc<[File]>,
}

impl fmt::Debug for Layer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { diff_id, files, .. } = self;
        f.debug_struct("Layer")
            .field("diff_id", diff_id)
            .field("files", &files.len())
            .finish_non_exhaustive()
    }
}

/// One entry of a layer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct File {
    /// Its path as stored.
    pub path: Box<[u8]>,
    /// What it is.
    pub kind: EntryKind,
    /// Where its header begins.
    pub header_offset: u64,
    /// Where its content begins.
    pub content_offset: u64,
    /// Bytes of content.
    pub size: u64,
    /// The digest of its content, if it has any.
    pub digest: Option<Digest>,
}

impl File {
    /// What an `entry` record says; none if its path is not readable.
    pub fn from_record(entry: &Entry) -> Option<Self> {
        Some(Self {
            path: entry.path.bytes()?.into(),
            kind: entry.kind,
            header_offset: entry.header_offset,
            content_offset: entry.content_offset,
            size: entry.size,
            digest: entry.digest,
        })
    }

    /// Where its content ends.
    pub fn end(&self) -> u64 {
        self.content_offset.saturating_add(self.size)
    }

    /// The path without `./` or `/` at its start and `/` at its end: layers differ in that.
    pub fn name(&self) -> &[u8] {
        let mut name = &self.path[..];
        while let Some(rest) = name.strip_prefix(b"./").or_else(|| name.strip_prefix(b"/")) {
            name = rest;
        }
        name.strip_suffix(b"/").unwrap_or(name)
    }
}

impl Layer {
    /// A layer with those of its entries that can be used.
    pub fn new(diff_id: DiffId, bytes: Arc<dyn ReadAt>, mut files: Vec<File>) -> Self {
        let len = bytes.size();
        files.sort_by_key(|file| file.header_offset);
        let mut end = 0;
        files.retain(|file| {
            let usable = file.header_offset >= end
                && file.content_offset > file.header_offset
                && file.content_offset.checked_add(file.size).is_some_and(|end| end <= len);
            if usable {
                end = file.end();
            }
            usable
        });
        Self { diff_id, bytes, files: files.into() }
    }

    /// The bytes of a range.
    ///
    /// # Errors
    /// What reading fails with; a range outside of the layer is `UnexpectedEof`.
    pub fn read(&self, offset: u64, len: u64) -> io::Result<Vec<u8>> {
        if offset.checked_add(len).is_none_or(|end| end > self.bytes.size()) {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let len = usize::try_from(len).map_err(|_| io::ErrorKind::OutOfMemory)?;
        let mut bytes = vec![0; len];
        self.bytes.read_exact_at(&mut bytes, offset)?;
        Ok(bytes)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn file(path: &str, header_offset: u64, size: u64) -> File {
        File {
            path: path.as_bytes().into(),
            kind: EntryKind::File,
            header_offset,
            content_offset: header_offset + 512,
            size,
            digest: None,
        }
    }

    #[test]
    fn entries_that_overlap_or_lie_outside_are_left_out() {
        let files = vec![
            file("b", 1024, 100),
            file("a", 0, 10),
            file("c", 1100, 1),
            file("d", 2048, 1 << 40),
        ];
        let layer = Layer::new(DiffId::of(b""), Arc::new(vec![0_u8; 4096]), files);
        let names: Vec<&[u8]> = layer.files.iter().map(File::name).collect();
        assert_eq!(names, [b"a", b"b"]);
        assert_eq!(layer.read(4000, 96).unwrap().len(), 96);
        assert!(layer.read(4000, 97).is_err());
        assert!(layer.read(u64::MAX, 97).is_err());
    }

    #[test]
    fn names_are_independent_of_the_form_of_paths() {
        for path in ["./usr/bin/", "/usr/bin", "usr/bin", ".//usr/bin"] {
            assert_eq!(file(path, 0, 0).name(), b"usr/bin", "{path}");
        }
    }
}
