//! The header of one entry: its extension blocks with their data, and its own block.

use dd_inspect::failure;
use dd_inspect::failure::Failure;

use super::block::{self, BLOCK, Block, FIELDS, SIZE};
use crate::program::{Source, SourceBytes};

/// Bytes that the header of an entry may have to be understood as one.
pub(crate) const GROUP_LEN: u64 = 256 << 10;

/// Extensions that one entry may have to be understood.
pub(crate) const EXTENSIONS: usize = 8;

/// A block, and the data after it if it is an extension.
#[derive(Debug, Clone)]
pub(crate) struct Part {
    pub block: Block,
    pub data: Vec<u8>,
}

/// The header of an entry.
#[derive(Debug, Clone)]
pub(crate) struct Group {
    pub extensions: Vec<Part>,
    pub main: Part,
}

impl Default for Group {
    /// The header that the first entry of an output is compared with.
    fn default() -> Self {
        Self { extensions: Vec::new(), main: Part { block: block::blank(), data: Vec::new() } }
    }
}

/// The size of an extension's data as its block says it, if it is one that is understood.
pub(crate) fn data_len(block: &Block) -> Option<usize> {
    let len = block::number(FIELDS[SIZE].of(block)).filter(|&len| len <= GROUP_LEN)?;
    usize::try_from(len).ok()
}

impl Group {
    /// Reads a header; none if what stands there is none that is understood.
    ///
    /// `read` fills a buffer from an offset on, or says that there are not so many bytes.
    fn read<E>(mut read: impl FnMut(u64, &mut [u8]) -> Result<bool, E>) -> Result<Option<Self>, E> {
        let mut extensions = Vec::new();
        let mut at = 0;
        loop {
            let mut block = [0; BLOCK];
            if !read(at, &mut block)? || block == [0; BLOCK] {
                return Ok(None);
            }
            at += BLOCK as u64;
            if !block::is_extension(&block) {
                let main = Part { block, data: Vec::new() };
                return Ok(Some(Self { extensions, main }));
            }
            let Some(len) = data_len(&block) else { return Ok(None) };
            let mut data = vec![0; len];
            if extensions.len() == EXTENSIONS || !read(at, &mut data)? {
                return Ok(None);
            }
            at += len.next_multiple_of(BLOCK) as u64;
            if at > GROUP_LEN {
                return Ok(None);
            }
            extensions.push(Part { block, data });
        }
    }

    /// The header that bytes consist of; none if they are anything else.
    pub(crate) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let read = |at: u64, buf: &mut [u8]| {
            let from = usize::try_from(at).ok();
            let found = from.and_then(|from| bytes.get(from..from.checked_add(buf.len())?));
            if let Some(found) = found {
                buf.copy_from_slice(found);
            }
            Ok::<_, std::convert::Infallible>(found.is_some())
        };
        let Ok(group) = Self::read(read);
        group.filter(|group| group.to_bytes() == bytes)
    }

    /// The header at an offset of a source.
    ///
    /// # Errors
    /// There is none.
    pub(crate) fn from_source(
        sources: &mut dyn SourceBytes,
        source: Source,
        offset: u64,
    ) -> Result<Self, Failure> {
        let len = sources.len(source).unwrap_or(0);
        let read = |at: u64, buf: &mut [u8]| {
            let from = offset.checked_add(at);
            let end = from.and_then(|from| from.checked_add(buf.len() as u64));
            match (from, end) {
                (Some(from), Some(end)) if end <= len => {
                    sources.read_at(source, from, buf).map(|()| true)
                }
                _ => Ok(false),
            }
        };
        Self::read(read)?
            .ok_or_else(|| failure!(PackageCorrupt, "no tar header at {offset} of {source:?}"))
    }

    /// Bytes of the header.
    pub(crate) fn len(&self) -> u64 {
        let extension = |part: &Part| BLOCK + part.data.len().next_multiple_of(BLOCK);
        (self.extensions.iter().map(extension).sum::<usize>() + BLOCK) as u64
    }

    /// The header's bytes.
    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(2 * BLOCK);
        for part in self.extensions.iter().chain([&self.main]) {
            bytes.extend_from_slice(&part.block);
            bytes.extend_from_slice(&part.data);
            bytes.resize(bytes.len().next_multiple_of(BLOCK), 0);
        }
        bytes
    }

    /// Bytes of content that follow in the tar, as far as the header tells.
    pub(crate) fn content_len(&self) -> u64 {
        if matches!(block::kind(&self.main.block), b'1'..=b'6') {
            return 0;
        }
        let records = self.extensions.iter().filter(|part| block::kind(&part.block) == b'x');
        let said = records.flat_map(|part| pax_size(&part.data)).last();
        said.or_else(|| block::wide_number(FIELDS[SIZE].of(&self.main.block))).unwrap_or(0)
    }

    /// The extension of this kind.
    pub(crate) fn extension(&self, kind: u8) -> Option<&Part> {
        self.extensions.iter().find(|part| block::kind(&part.block) == kind)
    }
}

/// The value of `size` in pax records (`LENGTH KEY=VALUE\n`).
fn pax_size(data: &[u8]) -> Option<u64> {
    let records = data.split(|&byte| byte == b'\n');
    let mut values = records.filter_map(|record| {
        let space = record.iter().position(|&byte| byte == b' ')?;
        record[space + 1..].strip_prefix(b"size=")
    });
    std::str::from_utf8(values.next_back()?).ok()?.parse().ok()
}
