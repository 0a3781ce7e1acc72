//! What the delta program asks of the code around it: bytes of sources, computed bytes, encoders.

use std::fmt;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use dd_inspect::failure::Failure;

use super::columns::Columns;

/// The uncompressed base layers that a payload reads, in the order of its head.
pub trait Sources {
    /// The length in bytes of a source.
    fn len(&self, index: usize) -> u64;

    /// Fills `buf` from `offset` on. The caller stays within [`Sources::len`].
    fn read_at(&self, index: usize, offset: u64, buf: &mut [u8]) -> io::Result<()>;
}

impl<S: Sources + ?Sized> Sources for &S {
    fn len(&self, index: usize) -> u64 {
        (**self).len(index)
    }

    fn read_at(&self, index: usize, offset: u64, buf: &mut [u8]) -> io::Result<()> {
        (**self).read_at(index, offset, buf)
    }
}

impl<S: Sources + ?Sized> Sources for Arc<S> {
    fn len(&self, index: usize) -> u64 {
        (**self).len(index)
    }

    fn read_at(&self, index: usize, offset: u64, buf: &mut [u8]) -> io::Result<()> {
        (**self).read_at(index, offset, buf)
    }
}

/// Sources held in memory.
#[derive(Debug, Clone, Default)]
pub struct MemorySources(pub Vec<Vec<u8>>);

impl Sources for MemorySources {
    fn len(&self, index: usize) -> u64 {
        self.0.get(index).map_or(0, |bytes| bytes.len() as u64)
    }

    fn read_at(&self, index: usize, offset: u64, buf: &mut [u8]) -> io::Result<()> {
        let bytes = usize::try_from(offset)
            .ok()
            .and_then(|start| self.0.get(index)?.get(start..start.checked_add(buf.len())?))
            .ok_or(io::ErrorKind::UnexpectedEof)?;
        buf.copy_from_slice(bytes);
        Ok(())
    }
}

/// What ops read: a base layer by its place in the head, or a kept object by its place among them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Source {
    /// An uncompressed base layer.
    Base(u32),
    /// Bytes that the payload made before.
    Kept(u32),
}

impl Source {
    /// The number that stands for it in a payload: twice the place, plus one for a kept object.
    pub const fn number(self) -> u64 {
        match self {
            Self::Base(place) => place as u64 * 2,
            Self::Kept(place) => place as u64 * 2 + 1,
        }
    }

    /// The source with this number.
    pub fn from_number(number: u64) -> Option<Self> {
        let place = u32::try_from(number / 2).ok()?;
        Some(if number.is_multiple_of(2) { Self::Base(place) } else { Self::Kept(place) })
    }
}

/// What a generator reads of the sources: base layers, and kept objects that are complete.
pub trait SourceBytes {
    /// The length in bytes of a source, or `None` where there is no such source now.
    fn len(&self, source: Source) -> Option<u64>;

    /// Fills `buf` from `offset` on; a range outside of the source is an error.
    fn read_at(&mut self, source: Source, offset: u64, buf: &mut [u8]) -> Result<(), Failure>;
}

/// What a generated tar header says of the content that follows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entry {
    /// Length in bytes of the content, without padding: what an op of length "rest" gives.
    pub content_len: u64,
    /// Source and offset of the content of the base's entry, where the next COPY or EDIT is expected.
    pub base: Option<(Source, u64)>,
    /// The time of its last change, in seconds since 1970, 0 if the header does not say; none where it stays the time
    /// that was said last.
    pub mtime: Option<u64>,
}

/// A generator that computes bytes from columns; those that need none, or a model, are built in.
///
/// One instance serves one output (the layer, or one kept object) from its first byte to its last.
pub trait Generator: Send {
    /// Appends the next piece to `out`, at most [`super::limits::GENERATED_LEN`] bytes.
    ///
    /// # Errors
    /// Values that no producer writes, or reads outside of a source.
    fn generate(
        &mut self,
        columns: &mut Columns,
        sources: &mut dyn SourceBytes,
        out: &mut Vec<u8>,
    ) -> Result<Option<Entry>, Failure>;
}

/// Makes generators by id.
pub trait Generators: Send + Sync {
    /// Whether [`Generators::open`] knows this id.
    fn knows(&self, id: u64) -> bool;

    /// A fresh generator, or `None` for an unknown id.
    fn open(&self, id: u64) -> Option<Box<dyn Generator>>;
}

/// An encoder under way: plain bytes in, encoded bytes out.
pub trait Encoder: Send {
    /// Takes plain bytes (at most 256 KiB a call) and appends what it has encoded so far.
    fn write(&mut self, plain: &[u8], out: &mut Vec<u8>) -> Result<(), Failure>;

    /// Appends the rest after the last plain byte.
    fn finish(&mut self, out: &mut Vec<u8>) -> Result<(), Failure>;
}

/// Makes encoders by id (ENTER 1 and later ids; 0 is built in).
pub trait Encoders: Send + Sync {
    /// The memory in bytes that one encoder of this id counts as, a constant of the format; `None` for
    /// an unknown id.
    fn memory(&self, id: u64) -> Option<u64>;

    /// A fresh encoder with these parameters and this content of the `exact` stream.
    ///
    /// # Errors
    /// Parameters that the encoder does not have.
    fn open(&self, id: u64, params: &[u8], exact: &[u8]) -> Result<Box<dyn Encoder>, Failure>;
}

/// No generators beside the built-in ones, no encoders.
#[derive(Debug, Clone, Copy, Default)]
pub struct Nothing;

impl Generators for Nothing {
    fn knows(&self, _: u64) -> bool {
        false
    }

    fn open(&self, _: u64) -> Option<Box<dyn Generator>> {
        None
    }
}

impl Encoders for Nothing {
    fn memory(&self, _: u64) -> Option<u64> {
        None
    }

    fn open(&self, id: u64, _: &[u8], _: &[u8]) -> Result<Box<dyn Encoder>, Failure> {
        Err(super::ids::unknown("encoding", id))
    }
}

/// What a decoder works with beside payload and sources.
#[derive(Clone)]
pub struct Tools {
    /// Generators that are not built in.
    pub generators: Arc<dyn Generators>,
    /// Encoders.
    pub encoders: Arc<dyn Encoders>,
    /// Where the scratch file of kept objects is made, unlinked at once, when it is needed.
    pub scratch_dir: PathBuf,
}

impl fmt::Debug for Tools {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tools").field("scratch_dir", &self.scratch_dir).finish_non_exhaustive()
    }
}

impl Tools {
    /// Built-in generators only, no encoders, scratch in `scratch_dir`.
    pub fn basic(scratch_dir: impl Into<PathBuf>) -> Self {
        Self {
            generators: Arc::new(Nothing),
            encoders: Arc::new(Nothing),
            scratch_dir: scratch_dir.into(),
        }
    }
}
