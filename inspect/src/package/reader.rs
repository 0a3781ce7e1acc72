//! Reading a package: its manifest, recipe and documents at once, then its payloads as they are asked for.

use std::collections::HashSet;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context;
use serde::Deserialize;

use super::members::broken;
use super::recipe::{MAX_RECIPE_LEN, MAX_SIZE, Range, Recipe};
use super::source::{BlobReader, INDEX, Kept, Kind, Source, blob_path, not_a_package};
use super::{ARTIFACT_TYPE, BlobKind, features};
use crate::digest::{Digest, hash_reader};
use crate::failure::Failure;
use crate::range::ReadAt;
use crate::{fail, failure};

/// Bytes that a document which is read into memory may have.
pub const MAX_DOCUMENT_LEN: u64 = 4 << 20;

/// How to read a package.
#[derive(Debug, Clone)]
pub struct Options {
    /// The directory of scratch files; they are unlinked at once.
    pub scratch: PathBuf,
    /// Bytes of blobs that may lie in scratch files.
    pub spool_limit: u64,
    /// Features that the caller has; a package that requires another is refused.
    pub features: Vec<String>,
}

impl Default for Options {
    /// /var/tmp, 64 GiB, all features of this release.
    fn default() -> Self {
        Self { scratch: "/var/tmp".into(), spool_limit: 64 << 30, features: features() }
    }
}

/// A blob that a package's manifest lists.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BlobInfo {
    /// What it is; none for a media type that is not known.
    pub kind: Option<BlobKind>,
    /// It is one zstd frame around what it is.
    pub zstd: bool,
    /// Its digest.
    pub digest: Digest,
    /// Bytes in it.
    pub size: u64,
}

/// The documents of a package.
#[derive(Debug, Clone)]
pub struct Documents(Kept);

impl Documents {
    /// One document.
    ///
    /// # Errors
    /// `limit` if it has more than 4 MiB; it is not inside the documents; reading failed.
    pub fn read(&self, range: Range) -> anyhow::Result<Vec<u8>> {
        if range.len > MAX_DOCUMENT_LEN {
            fail!(
                Limit,
                "a document of the package has {} bytes; at most {MAX_DOCUMENT_LEN} are read",
                range.len
            );
        }
        let mut bytes = vec![0; usize::try_from(range.len)?];
        self.read_exact_at(&mut bytes, range.offset)
            .context("reading a document of the package")?;
        Ok(bytes)
    }

    /// A reader of one document, whatever its size.
    pub fn reader(&self, range: Range) -> DocumentReader {
        DocumentReader { documents: self.clone(), range }
    }
}

/// Reads one document in order.
#[derive(Debug, Clone)]
pub struct DocumentReader {
    documents: Documents,
    range: Range,
}

impl Read for DocumentReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = buffer.len().min(usize::try_from(self.range.len).unwrap_or(usize::MAX));
        self.documents.read_exact_at(&mut buffer[..n], self.range.offset)?;
        self.range.offset += n as u64;
        self.range.len -= n as u64;
        Ok(n)
    }
}

impl ReadAt for Documents {
    fn size(&self) -> u64 {
        self.0.size()
    }

    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        self.0.read_exact_at(buffer, offset)
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Index {
    manifests: Vec<Descriptor>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Descriptor {
    media_type: String,
    digest: Digest,
    size: u64,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ArtifactManifest {
    artifact_type: Option<String>,
    config: Descriptor,
    layers: Vec<Descriptor>,
}

/// An open package. Its recipe is checked and its documents are there; the payloads are read as they come.
///
/// [`Reader::blob`] gives them fastest in the order of their numbers; any other order works, blobs in between are
/// kept in scratch space. A blob that was read once can be read again only if it was [kept](Reader::keep).
#[derive(Debug)]
pub struct Reader {
    source: Source,
    manifest_digest: Digest,
    blobs: Vec<BlobInfo>,
    recipe: Arc<Recipe>,
    documents: Documents,
}

impl Reader {
    /// Reads the beginning of a package, from a pipe too.
    ///
    /// # Errors
    /// `package-corrupt`, `unsupported` (its version or a feature, named), `limit`, `not-an-image` for an OCI
    /// image that is no package.
    pub fn open(input: impl Read + Send + 'static, options: &Options) -> anyhow::Result<Self> {
        let mut source = Source::stream(Box::new(input), options.clone())?;
        let index = source.index()?;
        Self::begin(source, &index, options)
    }

    /// The same for a file. A plain tar is read where it lies, in any order and as often as wanted.
    ///
    /// # Errors
    /// As [`Reader::open`].
    pub fn open_path(path: &Path, options: &Options) -> anyhow::Result<Self> {
        let open = || -> anyhow::Result<Self> {
            let mut file = File::open(path)?;
            if path.is_dir() {
                return Err(directory(path).into());
            }
            if !file.metadata()?.is_file() {
                return Self::open(file, options);
            }
            let mut head = Vec::new();
            (&mut file).take(512).read_to_end(&mut head)?;
            if matches!(Kind::of(&head)?, Kind::Plain) {
                let (source, index) = Source::plain_file(file, options.clone())?;
                return Self::begin(source, &index, options);
            }
            Self::open(io::Cursor::new(head).chain(file), options)
        };
        open().with_context(|| format!("reading the package {}", path.display()))
    }

    fn begin(mut source: Source, index: &[u8], options: &Options) -> anyhow::Result<Self> {
        let index: Index = parse(index, "index.json")?;
        let [descriptor] = &index.manifests[..] else {
            fail!(
                NotAnImage,
                "this is an OCI layout with {} images, not a delta package",
                index.manifests.len()
            )
        };
        let bytes = read_blob(source.blob(descriptor.digest, descriptor.size)?, MAX_DOCUMENT_LEN)?;
        let manifest: ArtifactManifest = parse(&bytes, "manifest")?;
        if manifest.artifact_type.as_deref() != Some(ARTIFACT_TYPE) {
            return Err(not_a_package("this").into());
        }
        let Descriptor { digest, size, .. } = manifest.config;
        read_blob(source.blob(digest, size)?, MAX_DOCUMENT_LEN)?;
        let blobs: Vec<_> = manifest.layers.iter().map(BlobInfo::new).collect();
        let total = blobs.iter().try_fold(0_u64, |sum, blob| sum.checked_add(blob.size));
        if total.is_none_or(|total| total >= MAX_SIZE) {
            return Err(broken("its manifest declares impossible sizes").into());
        }
        let (recipe, documents) = match &blobs[..] {
            [recipe, documents, ..]
                if recipe.kind == Some(BlobKind::Recipe)
                    && documents.kind == Some(BlobKind::Documents) =>
            {
                (recipe.clone(), documents.clone())
            }
            _ => return Err(broken("its first blobs are not recipe and documents").into()),
        };
        let json = read_blob(unpacked(&mut source, &recipe)?, MAX_RECIPE_LEN)?;
        let recipe = Recipe::parse(&json, &blobs, &options.features)?;
        let documents = keep_documents(&mut source, &documents, recipe.documents)?;
        check_documents(&recipe, &documents)?;
        let manifest_digest = descriptor.digest;
        Ok(Self { source, manifest_digest, blobs, recipe: Arc::new(recipe), documents })
    }

    /// The digest of the artifact's manifest.
    pub fn manifest_digest(&self) -> Digest {
        self.manifest_digest
    }

    /// The blobs, by number.
    pub fn blobs(&self) -> &[BlobInfo] {
        &self.blobs
    }

    /// The recipe.
    pub fn recipe(&self) -> Arc<Recipe> {
        Arc::clone(&self.recipe)
    }

    /// The documents.
    pub fn documents(&self) -> Documents {
        self.documents.clone()
    }

    /// Says that only these blobs will be asked for, so that no other is kept.
    pub fn want_only(&mut self, numbers: &[u32]) {
        let wanted: Vec<_> =
            numbers.iter().filter_map(|n| Some(self.blobs.get(*n as usize)?.digest)).collect();
        let rest = self.blobs.iter().map(|blob| blob.digest).filter(|d| !wanted.contains(d));
        let rest: Vec<_> = rest.collect();
        self.source.unwanted(rest);
    }

    /// A payload, verified while it is read: the last bytes come only if all are right.
    ///
    /// # Errors
    /// `package-corrupt` if it is not there; the number is out of range; it was read before and not kept.
    pub fn blob(&mut self, number: u32) -> anyhow::Result<BlobReader<'_>> {
        let blob = self.info(number)?;
        self.source.blob(blob.digest, blob.size)
    }

    /// The same, verified and kept so that it can be read at any offset and again: in memory while kept blobs have
    /// 4 MiB in all, else in scratch space.
    ///
    /// # Errors
    /// As [`Reader::blob`]; scratch space cannot be written.
    pub fn keep(&mut self, number: u32) -> anyhow::Result<Kept> {
        let blob = self.info(number)?;
        self.source.keep(blob.digest, blob.size)
    }

    /// A blob without its own zstd frame, if it has one.
    pub(super) fn unpacked(&mut self, number: u32) -> anyhow::Result<Box<dyn Read + '_>> {
        let blob = self.info(number)?;
        unpacked(&mut self.source, &blob)
    }

    fn info(&self, number: u32) -> anyhow::Result<BlobInfo> {
        let blob = self.blobs.get(number as usize);
        blob.cloned().ok_or_else(|| broken(&format!("it has no blob {number}")).into())
    }

    /// Reads to the end of the package, and checks that it ends as it should.
    ///
    /// # Errors
    /// `package-corrupt` if it is cut off, or something else than zeros follows.
    pub fn finish(self) -> anyhow::Result<()> {
        self.source.finish()
    }
}

/// Why a directory is not read as a package: what lies in it.
fn directory(path: &Path) -> Failure {
    let read = |name: &str| {
        let mut bytes = Vec::new();
        let mut file = File::open(path.join(name)).ok()?.take(MAX_DOCUMENT_LEN);
        file.read_to_end(&mut bytes).ok().map(|_| bytes)
    };
    let index = read(INDEX).and_then(|bytes| serde_json::from_slice::<Index>(&bytes).ok());
    let manifest = index.as_ref().and_then(|index| match &index.manifests[..] {
        [one] => serde_json::from_slice::<ArtifactManifest>(&read(&blob_path(&one.digest))?).ok(),
        _ => None,
    });
    match manifest {
        Some(found) if found.artifact_type.as_deref() == Some(ARTIFACT_TYPE) => {
            failure!(Unsupported, "this is a delta package in a directory"; "make a file of it: skopeo copy oci:DIR oci-archive:FILE")
        }
        _ if index.is_some() => not_a_package("this directory"),
        _ => {
            failure!(NotAnImage, "this is a directory, not a delta package"; "packages are written by dd-pack -o FILE")
        }
    }
}

impl BlobInfo {
    fn new(descriptor: &Descriptor) -> Self {
        let kind = BlobKind::parse(&descriptor.media_type);
        Self {
            kind: kind.map(|(kind, _)| kind),
            zstd: kind.is_some_and(|(_, zstd)| zstd),
            digest: descriptor.digest,
            size: descriptor.size,
        }
    }
}

fn parse<'a, T: Deserialize<'a>>(json: &'a [u8], what: &str) -> anyhow::Result<T> {
    Ok(serde_json::from_slice(json).map_err(|e| broken(&format!("its {what} is broken ({e})")))?)
}

fn read_blob(input: impl Read, max_len: u64) -> anyhow::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    input.take(max_len + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > max_len {
        return Err(broken(&format!("a document of it has more than {max_len} bytes")).into());
    }
    Ok(bytes)
}

/// A blob without its own zstd frame.
fn unpacked<'a>(source: &'a mut Source, blob: &BlobInfo) -> anyhow::Result<Box<dyn Read + 'a>> {
    let reader = source.blob(blob.digest, blob.size)?;
    if !blob.zstd {
        return Ok(Box::new(reader));
    }
    let mut decoder = zstd::Decoder::new(reader)?;
    decoder.window_log_max(23)?;
    Ok(Box::new(Unpacked(decoder)))
}

/// Errors of the frame as those of the package.
struct Unpacked<R>(R);

impl<R: Read> Read for Unpacked<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.read(buffer).map_err(|e| match e.get_ref() {
            Some(inner) if inner.is::<crate::failure::Failure>() => e,
            _ if e.raw_os_error().is_some() || e.kind() == io::ErrorKind::Interrupted => e,
            _ => super::members::corrupt(&format!("a zstd frame in it is broken ({e})")),
        })
    }
}

fn keep_documents(source: &mut Source, blob: &BlobInfo, size: u64) -> anyhow::Result<Documents> {
    let wrong = || broken("its documents do not have the size that the recipe says");
    if !blob.zstd {
        if blob.size != size {
            return Err(wrong().into());
        }
        return Ok(Documents(source.keep(blob.digest, blob.size)?));
    }
    let packed = source.keep(blob.digest, blob.size)?;
    let mut decoder = zstd::Decoder::new(packed.reader())?;
    decoder.window_log_max(23)?;
    let mut reader = Unpacked(decoder);
    let kept = source.keeper.keep(&mut reader, size)?;
    if reader.read(&mut [0])? != 0 {
        return Err(wrong().into());
    }
    Ok(Documents(kept))
}

/// Compares every document with the digest that the recipe gives for it.
fn check_documents(recipe: &Recipe, documents: &Documents) -> anyhow::Result<()> {
    let manifests = recipe.targets.iter().flat_map(|target| &target.manifests);
    let of_manifests = manifests.clone().filter_map(|m| Some((m.digest?, m.document?)));
    let of_configs = manifests.filter_map(|m| Some((m.config?.digest, m.config?.document?)));
    let of_layers = recipe.layers.iter().filter_map(|l| Some((l.digest?, l.document?)));
    let mut seen = HashSet::new();
    // Documents do not overlap, so that a few times their size is more than an honest recipe asks for.
    let mut budget = recipe.documents.saturating_mul(4).saturating_add(1 << 20);
    for (digest, range) in of_manifests.chain(of_configs).chain(of_layers) {
        if !seen.insert((digest, range.offset, range.len)) {
            continue;
        }
        budget = budget
            .checked_sub(range.len)
            .ok_or_else(|| broken("its recipe names the same documents again and again"))?;
        let (found, _) = hash_reader(documents.reader(range))?;
        if found != digest {
            return Err(broken(&format!(
                "a document of it has digest {found}, the recipe says {digest}"
            ))
            .into());
        }
    }
    Ok(())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::io::Cursor;

    use super::super::sample::{LAYER, PROGRAM, Sample, tar_of};
    use super::*;
    use crate::failure::{Category, classify};

    fn open(bytes: Vec<u8>) -> anyhow::Result<Reader> {
        Reader::open(Cursor::new(bytes), &Options::default())
    }

    fn read(mut input: impl Read) -> Vec<u8> {
        let mut bytes = Vec::new();
        input.read_to_end(&mut bytes).unwrap();
        bytes
    }

    #[test]
    fn plain_framed_and_sorted_packages_read_alike() {
        let sample = Sample::new();
        let mut sorted = sample.members();
        sorted.sort();
        let sorted = tar_of(sorted);
        let packages =
            [sample.plain(), sample.framed(), zstd::encode_all(&sorted[..], 1).unwrap(), sorted];
        for package in packages {
            let file = tempfile::NamedTempFile::new().unwrap();
            std::fs::write(file.path(), &package).unwrap();
            let on_disk = Reader::open_path(file.path(), &Options::default()).unwrap();
            for mut reader in [open(package).unwrap(), on_disk] {
                assert_eq!(reader.recipe().contents[0].diff_id, crate::digest::DiffId::of(LAYER));
                let config = reader.recipe().targets[0].manifests[0].config.unwrap();
                let bytes = reader.documents().read(config.document.unwrap()).unwrap();
                assert_eq!(Digest::of(&bytes), config.digest);
                assert_eq!(read(reader.blob(2).unwrap()), PROGRAM);
                reader.finish().unwrap();
            }
        }
    }

    #[test]
    fn any_order_of_asking_works() {
        let mut reader = open(Sample::new().framed()).unwrap();
        assert_eq!(read(reader.blob(3).unwrap()), b"{}\n");
        assert_eq!(read(reader.blob(2).unwrap()), PROGRAM);
        let mut reader = open(Sample::new().framed()).unwrap();
        assert_eq!(read(reader.keep(2).unwrap().reader()), PROGRAM);
        assert_eq!(read(reader.keep(2).unwrap().reader()), PROGRAM);
        assert_eq!(read(reader.blob(2).unwrap()), PROGRAM);
        let mut reader = open(Sample::new().framed()).unwrap();
        reader.want_only(&[3]);
        reader.blob(3).unwrap();
        assert!(reader.blob(2).is_err(), "it was passed over");
        assert!(reader.blob(4).is_err());
    }

    #[test]
    fn large_blobs_are_kept_in_scratch_up_to_the_limit() {
        let mut sample = Sample::new();
        sample.blobs[2].1 = vec![7; 5 << 20];
        let mut reader = open(sample.framed()).unwrap();
        reader.blob(3).unwrap();
        assert_eq!(read(reader.blob(2).unwrap()).len(), 5 << 20);
        let options = Options { spool_limit: 1 << 20, ..Options::default() };
        let mut reader = Reader::open(Cursor::new(sample.framed()), &options).unwrap();
        let error = reader.blob(3).map(|_| ()).unwrap_err();
        assert_eq!(classify(&error).category, Category::Limit);
    }

    #[test]
    fn compressed_recipe_and_documents() {
        let mut sample = Sample::new();
        for (media_type, bytes) in &mut sample.blobs[..2] {
            media_type.push_str("+zstd");
            *bytes = zstd::encode_all(&bytes[..], 19).unwrap();
        }
        let reader = open(sample.plain()).unwrap();
        assert_eq!(reader.documents().size(), reader.recipe().documents);
        sample.blobs[1].1 = zstd::encode_all(&[0; 100][..], 19).unwrap();
        let error = open(sample.plain()).unwrap_err();
        assert_eq!(classify(&error).category, Category::PackageCorrupt);
    }

    #[test]
    fn other_files_are_told_apart() {
        let mut image = Sample::new();
        image.artifact_type = "application/vnd.example".to_owned();
        let category = |bytes: Vec<u8>| classify(&open(bytes).unwrap_err()).category;
        assert_eq!(category(image.plain()), Category::NotAnImage);
        assert_eq!(category(Vec::new()), Category::PackageCorrupt);
        // As much may be all that came of a package.
        assert_eq!(category(b"#!/bin/sh\n".to_vec()), Category::PackageCorrupt);
        assert_eq!(category(vec![0; 2048]), Category::NotAnImage);
    }
}
