//! The documents blob: raw documents and file skeletons, one after the other.

use std::collections::HashMap;
use std::io::{Read, Write};

use anyhow::Context;
use dd_inspect::digest::{Digest, Hasher};
use dd_inspect::fail;
use dd_inspect::package::{BlobKind, Part, Range};
use dd_inspect::range::FileRange;
use dd_inspect::record::{Archive, Location};
use dd_inspect::store::{ObjectWriter, Store};

use crate::container::{Blob, Source};

/// Bytes that are gathered in memory; more go to the store.
const MAX_IN_MEMORY: usize = 16 << 20;

/// The documents being gathered.
#[derive(Debug)]
pub struct Documents {
    store: Store,
    memory: Vec<u8>,
    object: Option<ObjectWriter>,
    hasher: Hasher,
    known: HashMap<Digest, Range>,
}

impl Documents {
    /// No documents yet; large ones will lie in the store.
    pub fn new(store: Store) -> Self {
        Self {
            store,
            memory: Vec::new(),
            object: None,
            hasher: Hasher::new(),
            known: HashMap::new(),
        }
    }

    /// Bytes gathered so far.
    pub fn size(&self) -> u64 {
        self.hasher.len()
    }

    fn write(&mut self, bytes: &[u8]) -> anyhow::Result<()> {
        self.hasher.update(bytes);
        if let Some(object) = &mut self.object {
            return object.write_all(bytes).context("writing documents into the store");
        }
        self.memory.extend_from_slice(bytes);
        if self.memory.len() > MAX_IN_MEMORY {
            let mut object = self.store.writer()?;
            object.write_all(&self.memory).context("writing documents into the store")?;
            self.memory = Vec::new();
            self.object = Some(object);
        }
        Ok(())
    }

    /// Adds a range of a file.
    fn copy(&mut self, location: &Location) -> anyhow::Result<Range> {
        let offset = self.size();
        let mut input = FileRange::at(location)?;
        let mut buffer = vec![0; 64 << 10];
        loop {
            match input.read(&mut buffer).context("reading a document")? {
                0 => return Ok(Range { offset, len: self.size() - offset }),
                n => self.write(&buffer[..n])?,
            }
        }
    }

    /// Adds a document, once.
    ///
    /// # Errors
    /// Its location cannot be read, or its content has another digest.
    pub fn add(&mut self, location: &Location, digest: Option<Digest>) -> anyhow::Result<Range> {
        if let Some(range) = digest.and_then(|digest| self.known.get(&digest)) {
            return Ok(*range);
        }
        if let Some(wanted) = digest {
            let (found, _) = dd_inspect::digest::hash_reader(FileRange::at(location)?)?;
            if found != wanted {
                fail!(DigestMismatch, "a document has digest {found}, its record says {wanted}"; "run the whole pipeline again");
            }
        }
        let range = self.copy(location)?;
        if let Some(digest) = digest {
            self.known.insert(digest, range);
        }
        Ok(range)
    }

    /// Adds the skeleton of an archive: all of its tar but the layers in `cuts`.
    ///
    /// # Errors
    /// The tar cannot be read; the cuts overlap or are not inside it.
    pub fn add_skeleton(&mut self, archive: &Archive, cuts: &[Cut]) -> anyhow::Result<Skeleton> {
        let Some(size) = archive.tar.size() else {
            fail!(Usage, "the archive {} was not fetched", archive.key; "run dd-extract before dd-pack")
        };
        let offset = self.size();
        let mut skeleton =
            Skeleton { tar: archive.tar.clone(), offset, pieces: Vec::new(), parts: Vec::new() };
        let mut at = 0;
        for cut in cuts {
            let end =
                cut.offset.checked_add(cut.size).filter(|end| *end <= size && cut.offset >= at);
            let Some(end) = end else {
                fail!(Usage, "the members of {} overlap", archive.key; "records must be those of dd-inspect")
            };
            self.add_piece(&mut skeleton, at, cut.offset - at, Some(cut.layer))?;
            at = end;
        }
        self.add_piece(&mut skeleton, at, size - at, None)?;
        Ok(skeleton)
    }

    fn add_piece(
        &mut self,
        skeleton: &mut Skeleton,
        at: u64,
        len: u64,
        layer: Option<u32>,
    ) -> anyhow::Result<()> {
        let piece = skeleton.tar.part(at, len).context("a part of the archive is not inside it")?;
        let range = self.copy(&piece)?;
        skeleton.pieces.push((at, range));
        if len > 0 || layer.is_some() {
            skeleton.parts.push(Part { bytes: len, layer });
        }
        Ok(())
    }

    /// The blob.
    ///
    /// # Errors
    /// The store cannot be written.
    pub fn finish(self) -> anyhow::Result<Blob> {
        let Some(object) = self.object else {
            return Ok(Blob::of(BlobKind::Documents, self.memory));
        };
        let size = self.hasher.len();
        let (digest, range) = object.commit(Some(self.hasher.finish()))?;
        let source = Source::Location(range.location());
        Ok(Blob { kind: BlobKind::Documents, zstd: false, digest, size, source })
    }
}

/// A member of an archive's tar that is a layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cut {
    /// Where its content begins in the tar.
    pub offset: u64,
    /// Bytes.
    pub size: u64,
    /// The layer's number.
    pub layer: u32,
}

/// A tar without its layers, among the documents.
#[derive(Debug)]
pub struct Skeleton {
    tar: Location,
    /// Where it begins among the documents.
    pub offset: u64,
    /// Where each piece begins in the tar, and its range of the documents.
    pieces: Vec<(u64, Range)>,
    /// The tar's parts.
    pub parts: Vec<Part>,
}

impl Skeleton {
    /// The range of the documents that holds these bytes of the archive; none if they lie elsewhere.
    pub fn find(&self, location: &Location) -> Option<Range> {
        let (offset, size) = within(location, &self.tar)?;
        let next = self.pieces.partition_point(|(start, _)| *start <= offset);
        let (start, range) = self.pieces.get(next.checked_sub(1)?)?;
        let inside = offset - start;
        (inside.checked_add(size)? <= range.len)
            .then_some(Range { offset: range.offset + inside, len: size })
    }
}

/// Where a location lies inside another one of the same file.
pub fn within(location: &Location, whole: &Location) -> Option<(u64, u64)> {
    let (
        Location::File { file, file_base64, offset, size, .. },
        Location::File {
            file: other,
            file_base64: other_base64,
            offset: start,
            size: whole_size,
            ..
        },
    ) = (location, whole)
    else {
        return None;
    };
    let inside = offset.checked_sub(*start)?;
    let fits = inside.checked_add(*size).is_some_and(|end| end <= *whole_size);
    (file == other && file_base64 == other_base64 && fits).then_some((inside, *size))
}
