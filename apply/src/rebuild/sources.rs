//! What a program reads.

use std::io;
use std::sync::Arc;

use dd_diff::program::Sources;
use dd_inspect::range::ReadAt;

/// Contents of layers as the sources of a program, in its order.
pub(super) struct LayerSources(pub(super) Vec<Arc<dyn ReadAt>>);

impl Sources for LayerSources {
    fn len(&self, index: usize) -> u64 {
        self.0.get(index).map_or(0, |layer| layer.size())
    }

    fn read_at(&self, index: usize, offset: u64, buf: &mut [u8]) -> io::Result<()> {
        let layer = self.0.get(index).ok_or(io::ErrorKind::InvalidInput)?;
        layer.read_exact_at(buf, offset)
    }
}

/// A part of a file that can be read at any offset.
#[derive(Debug)]
pub(super) struct FilePart {
    pub(super) file: Arc<std::fs::File>,
    pub(super) offset: u64,
    pub(super) size: u64,
}

impl ReadAt for FilePart {
    fn size(&self) -> u64 {
        self.size
    }

    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        if offset.checked_add(buffer.len() as u64).is_none_or(|end| end > self.size) {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        std::os::unix::fs::FileExt::read_exact_at(&*self.file, buffer, self.offset + offset)
    }
}

/// Reads a content from its beginning to its end.
#[derive(Clone)]
pub(super) struct InOrder {
    content: Arc<dyn ReadAt>,
    position: u64,
}

impl InOrder {
    pub(super) fn new(content: Arc<dyn ReadAt>) -> Self {
        Self { content, position: 0 }
    }
}

impl io::Read for InOrder {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = usize::try_from(self.content.size() - self.position).unwrap_or(usize::MAX);
        let n = buffer.len().min(left);
        self.content.read_exact_at(&mut buffer[..n], self.position)?;
        self.position += n as u64;
        Ok(n)
    }
}
