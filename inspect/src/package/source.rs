//! The blobs of a package, whatever order they lie in.
//!
//! From a stream, blobs are taken as they come. A blob that comes before it is asked for is kept: in memory
//! while they are few and small, else in an unlinked scratch file. A plain tar on disk is read where it lies.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::fs::File;
use std::io::{self, BufReader, Read, Write};
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use anyhow::Context;

use super::members::{Members, Skip, broken, corrupt, cut_off};
use super::reader::Options;
use crate::digest::{Digest, Hasher, Mismatch};
use crate::failure::Failure;
use crate::range::ReadAt;
use crate::{fail, failure};

/// Bytes of kept blobs that stay in memory, all together.
const MAX_IN_MEMORY: u64 = 4 << 20;
/// Largest window of the package's zstd frame, as a power of two: 8 MiB (RFC 8878, section 3.1.1.1.2).
const MAX_WINDOW_LOG: u32 = 23;
/// Bytes after the end of a package that are looked at; all of them must be zero.
const TRAILER_LEN: u64 = 1 << 20;

type Bytes = BufReader<Box<dyn Read + Send>>;

/// The package's tar: plain, or inside a zstd frame.
enum Input {
    Plain(Bytes),
    Zstd(zstd::Decoder<'static, Bytes>),
}

impl Read for Input {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Plain(input) => input.read(buffer),
            Self::Zstd(input) => input.read(buffer).map_err(|e| match e.kind() {
                _ if e.raw_os_error().is_some() => e,
                io::ErrorKind::UnexpectedEof => cut_off(),
                io::ErrorKind::Interrupted => e,
                _ => corrupt(&format!("its zstd frame is broken ({e})")),
            }),
        }
    }
}

impl Skip for Input {}

/// Bytes that can be read again: in memory, or a range of a file.
#[derive(Clone)]
pub struct Kept {
    place: Place,
    size: u64,
}

#[derive(Clone)]
enum Place {
    Memory(Arc<[u8]>),
    File(Arc<File>, u64),
}

impl fmt::Debug for Kept {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Kept").field("size", &self.size).finish_non_exhaustive()
    }
}

impl Kept {
    pub(super) fn in_memory(bytes: Vec<u8>) -> Self {
        Self { size: bytes.len() as u64, place: Place::Memory(bytes.into()) }
    }

    pub(super) fn in_file(file: Arc<File>, offset: u64, size: u64) -> Self {
        Self { place: Place::File(file, offset), size }
    }

    /// A reader from the beginning to the end.
    pub fn reader(&self) -> KeptReader {
        KeptReader { kept: self.clone(), position: 0 }
    }
}

impl ReadAt for Kept {
    fn size(&self) -> u64 {
        self.size
    }

    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        match &self.place {
            Place::Memory(bytes) => bytes.as_ref().read_exact_at(buffer, offset),
            Place::File(file, start) => {
                if offset.checked_add(buffer.len() as u64).is_none_or(|end| end > self.size) {
                    return Err(io::ErrorKind::UnexpectedEof.into());
                }
                file.read_exact_at(buffer, start + offset)
            }
        }
    }
}

/// Reads kept bytes in order.
#[derive(Debug, Clone)]
pub struct KeptReader {
    kept: Kept,
    position: u64,
}

impl Read for KeptReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = usize::try_from(self.kept.size - self.position).unwrap_or(usize::MAX);
        let n = buffer.len().min(left).min(256 << 10);
        self.kept.read_exact_at(&mut buffer[..n], self.position)?;
        self.position += n as u64;
        Ok(n)
    }
}

impl Skip for KeptReader {
    fn skip(&mut self, n: u64) -> io::Result<()> {
        let position = self.position.checked_add(n).filter(|position| *position <= self.kept.size);
        self.position = position.ok_or_else(cut_off)?;
        Ok(())
    }
}

/// Keeps bytes for later.
#[derive(Debug)]
pub(super) struct Keeper {
    options: Options,
    in_memory: u64,
    file: Option<Arc<File>>,
    end: u64,
}

impl Keeper {
    pub(super) fn new(options: Options) -> Self {
        Self { options, in_memory: 0, file: None, end: 0 }
    }

    /// Keeps exactly `size` bytes of a reader.
    pub(super) fn keep(&mut self, mut input: impl Read, size: u64) -> anyhow::Result<Kept> {
        if size <= MAX_IN_MEMORY - self.in_memory {
            let mut bytes = Vec::new();
            (&mut input).take(size).read_to_end(&mut bytes)?;
            self.in_memory += size;
            if bytes.len() as u64 != size {
                return Err(cut_off().into());
            }
            return Ok(Kept::in_memory(bytes));
        }
        if size > self.options.spool_limit.saturating_sub(self.end) {
            fail!(Limit, "the package's blobs need more than {} bytes of scratch space", self.options.spool_limit;
                "unpack it to a plain tar first (zstd -d), which is read where it lies");
        }
        let file = match &self.file {
            Some(file) => Arc::clone(file),
            None => {
                let directory = &self.options.scratch;
                let file = tempfile::tempfile_in(directory)
                    .with_context(|| format!("making a scratch file in {}", directory.display()))?;
                Arc::clone(self.file.insert(Arc::new(file)))
            }
        };
        let start = self.end;
        let mut at = Appending { file: &file, end: start };
        let copied =
            io::copy(&mut (&mut input).take(size), &mut at).context("writing scratch data")?;
        self.end = at.end;
        if copied != size {
            return Err(cut_off().into());
        }
        Ok(Kept::in_file(file, start, size))
    }
}

struct Appending<'a> {
    file: &'a File,
    end: u64,
}

impl Write for Appending<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let n = self.file.write_at(bytes, self.end)?;
        self.end += n as u64;
        Ok(n)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The blobs of a package.
pub(super) struct Source {
    stream: Option<Members<Input>>,
    kept: HashMap<Digest, Kept>,
    passed: HashSet<Digest>,
    unwanted: HashSet<Digest>,
    pub(super) keeper: Keeper,
}

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Source").field("kept", &self.kept).finish_non_exhaustive()
    }
}

impl Source {
    /// The blobs of a package that is read from its beginning.
    pub(super) fn stream(input: Box<dyn Read + Send>, options: Options) -> anyhow::Result<Self> {
        let mut input = input;
        let mut head = Vec::new();
        (&mut input).take(512).read_to_end(&mut head).context("reading the package")?;
        let kind = Kind::of(&head)?;
        let whole: Box<dyn Read + Send> = Box::new(io::Cursor::new(head).chain(input));
        let whole = BufReader::with_capacity(128 << 10, whole);
        let input = match kind {
            Kind::Plain => Input::Plain(whole),
            Kind::Zstd => {
                let mut decoder = zstd::Decoder::with_buffer(whole)?.single_frame();
                decoder.window_log_max(MAX_WINDOW_LOG)?;
                Input::Zstd(decoder)
            }
        };
        Ok(Self::new(Some(Members::new(input)), options))
    }

    fn new(stream: Option<Members<Input>>, options: Options) -> Self {
        Self {
            stream,
            kept: HashMap::new(),
            passed: HashSet::new(),
            unwanted: HashSet::new(),
            keeper: Keeper::new(options),
        }
    }

    /// The blobs of a plain tar on disk, and its `index.json`.
    pub(super) fn plain_file(file: File, options: Options) -> anyhow::Result<(Self, Vec<u8>)> {
        let file = Arc::new(file);
        let size = file.metadata()?.len();
        let whole = Kept::in_file(Arc::clone(&file), 0, size);
        let mut members = Members::new(whole.reader());
        let mut source = Self::new(None, options);
        let (mut index, mut image) = (None, false);
        while let Some(member) = members.next_file()? {
            if member.offset.checked_add(member.size).is_none_or(|end| end > size) {
                return Err(cut_off().into());
            }
            if member.name == INDEX {
                index = Some(small(&mut members, member.size)?);
            } else if member.name == DOCKER_INDEX {
                image = true;
            } else if let Some(digest) = blob_name(&member.name) {
                let kept = Kept::in_file(Arc::clone(&file), member.offset, member.size);
                source.kept.insert(digest, kept);
            }
        }
        let index = index.ok_or_else(|| no_package(image))?;
        check_zeros(members.input())?;
        Ok((source, index))
    }

    /// The content of `index.json`; blobs before it are kept.
    pub(super) fn index(&mut self) -> anyhow::Result<Vec<u8>> {
        let mut image = false;
        let wanted = |name: &str| {
            image |= name == DOCKER_INDEX;
            name == INDEX
        };
        match self.advance(wanted)? {
            Some((size, stream)) => small(stream, size),
            None => Err(no_package(image).into()),
        }
    }

    /// Blobs that nobody will ask for: they are passed over instead of kept.
    pub(super) fn unwanted(&mut self, digests: impl IntoIterator<Item = Digest>) {
        self.unwanted.extend(digests);
    }

    /// A blob, verified while it is read.
    pub(super) fn blob(&mut self, digest: Digest, size: u64) -> anyhow::Result<BlobReader<'_>> {
        if let Some(kept) = self.kept.get(&digest) {
            if kept.size != size {
                return Err(other_size(&digest, kept.size, size).into());
            }
            return Ok(BlobReader::new(Inner::Kept(kept.reader()), digest, size));
        }
        if self.passed.contains(&digest) {
            anyhow::bail!("the package's blob {digest} was read before and not kept");
        }
        match self.advance(|name| blob_name(name) == Some(digest))? {
            Some((found, _)) if found != size => Err(other_size(&digest, found, size).into()),
            Some((_, stream)) => Ok(BlobReader::new(Inner::Stream(stream), digest, size)),
            None => Err(broken(&format!("it lacks the blob {digest}")).into()),
        }
    }

    /// The same, kept so that it can be read again; verified.
    pub(super) fn keep(&mut self, digest: Digest, size: u64) -> anyhow::Result<Kept> {
        if let Some(kept) = self.kept.get(&digest).cloned() {
            io::copy(&mut self.blob(digest, size)?, &mut io::sink())?;
            return Ok(kept);
        }
        self.blob(digest, size)?;
        let Self { stream: Some(stream), keeper, .. } = self else {
            return Err(broken(&format!("it lacks the blob {digest}")).into());
        };
        let kept = keeper.keep(BlobReader::new(Inner::Stream(stream), digest, size), size)?;
        self.kept.insert(digest, kept.clone());
        Ok(kept)
    }

    /// Reads on to the file with the wanted name; other blobs are kept.
    fn advance(
        &mut self,
        mut wanted: impl FnMut(&str) -> bool,
    ) -> anyhow::Result<Option<(u64, &mut Members<Input>)>> {
        let Some(stream) = &mut self.stream else { return Ok(None) };
        while let Some(member) = stream.next_file()? {
            let digest = blob_name(&member.name);
            if let Some(digest) = digest {
                self.passed.insert(digest);
            }
            if wanted(&member.name) {
                return Ok(Some((member.size, stream)));
            }
            let Some(digest) = digest else { continue };
            if !self.unwanted.contains(&digest) && !self.kept.contains_key(&digest) {
                let kept = self.keeper.keep(&mut *stream, member.size)?;
                self.kept.insert(digest, kept);
            }
        }
        Ok(None)
    }

    /// Reads what is left and checks that the package ends as it should.
    pub(super) fn finish(mut self) -> anyhow::Result<()> {
        let Some(mut stream) = self.stream.take() else { return Ok(()) };
        while stream.next_file()?.is_some() {}
        let input = stream.input();
        check_zeros(input)?;
        if let Input::Zstd(decoder) = input {
            check_zeros(decoder.get_mut())?;
        }
        Ok(())
    }
}

pub(super) const INDEX: &str = "index.json";
/// The index of a docker-archive.
const DOCKER_INDEX: &str = "manifest.json";

/// The failure for a whole tar without `index.json`.
fn no_package(image: bool) -> Failure {
    if image {
        return not_a_package("this");
    }
    failure!(NotAnImage, "this is a tar without index.json, not a delta package"; "packages are written by dd-pack -o FILE")
}

/// The failure for a container image.
pub(super) fn not_a_package(what: &str) -> Failure {
    failure!(NotAnImage, "{what} is a container image, not a delta package"; "make a package of it with dd-pack, or give it as --base")
}

/// The name of a blob in an OCI layout.
pub(super) fn blob_path(digest: &Digest) -> String {
    format!("blobs/sha256/{}", digest.hex())
}

/// The digest that a blob's name in an OCI layout says.
fn blob_name(name: &str) -> Option<Digest> {
    let hex = name.strip_prefix("blobs/sha256/")?;
    format!("sha256:{hex}").parse().ok()
}

fn other_size(digest: &Digest, found: u64, size: u64) -> Failure {
    broken(&format!("its blob {digest} has {found} bytes, {size} were declared"))
}

fn small(input: impl Read, size: u64) -> anyhow::Result<Vec<u8>> {
    if size > super::reader::MAX_DOCUMENT_LEN {
        return Err(broken("its index.json is too large").into());
    }
    let mut bytes = Vec::new();
    input.take(size).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Only zeros may follow a package (it may come from a raw device).
fn check_zeros(input: &mut impl Read) -> anyhow::Result<()> {
    let mut rest = input.take(TRAILER_LEN);
    let mut buffer = vec![0; 16 << 10];
    loop {
        let n = match rest.read(&mut buffer) {
            Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
            result => result.context("reading the package's end")?,
        };
        if n == 0 {
            return Ok(());
        }
        if buffer[..n].iter().any(|b| *b != 0) {
            return Err(broken("something else follows it").into());
        }
    }
}

/// What the first bytes of a file say.
pub(super) enum Kind {
    Plain,
    Zstd,
}

impl Kind {
    pub(super) fn of(head: &[u8]) -> anyhow::Result<Self> {
        match head {
            [] => fail!(PackageCorrupt, "the package is empty"; "get the package again"),
            [0x28, 0xb5, 0x2f, 0xfd, ..] => Ok(Self::Zstd),
            _ if head.get(257..262) == Some(b"ustar") => Ok(Self::Plain),
            _ if head.len() < 512 && head.iter().all(|b| *b != 0) => {
                fail!(PackageCorrupt, "this is no delta package, or a part of one"; "packages are written by dd-pack -o FILE")
            }
            _ => {
                fail!(NotAnImage, "this is no delta package: it is neither a zstd frame nor a tar";
                "packages are written by dd-pack -o FILE")
            }
        }
    }
}

enum Inner<'a> {
    Stream(&'a mut Members<Input>),
    Kept(KeptReader),
}

/// The bytes of a blob. Its last bytes are given only when all of it has the declared digest; else the
/// read fails (`package-corrupt`).
pub struct BlobReader<'a> {
    inner: Inner<'a>,
    hasher: Hasher,
    digest: Digest,
    size: u64,
}

impl fmt::Debug for BlobReader<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BlobReader").field("digest", &self.digest).finish_non_exhaustive()
    }
}

impl<'a> BlobReader<'a> {
    fn new(inner: Inner<'a>, digest: Digest, size: u64) -> Self {
        Self { inner, hasher: Hasher::new(), digest, size }
    }

    /// Bytes in the blob.
    pub fn size(&self) -> u64 {
        self.size
    }
}

impl Read for BlobReader<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        if self.size == 0 && self.digest != Digest::of(b"") {
            return Err(corrupt(&format!("its blob {} is empty", self.digest)));
        }
        let left = usize::try_from(self.size - self.hasher.len()).unwrap_or(usize::MAX);
        let wanted = buffer.len().min(left);
        if wanted == 0 {
            return Ok(0);
        }
        let buffer = &mut buffer[..wanted];
        let n = match &mut self.inner {
            Inner::Stream(stream) => stream.read(buffer)?,
            Inner::Kept(kept) => kept.read(buffer)?,
        };
        if n == 0 {
            return Err(cut_off());
        }
        self.hasher.update(&buffer[..n]);
        if self.hasher.len() == self.size {
            let found = self.hasher.clone().finish();
            if found != self.digest {
                let mismatch = Mismatch::Digest { wanted: self.digest, found };
                return Err(corrupt(&format!("in one of its blobs {mismatch}")));
            }
        }
        Ok(n)
    }
}
