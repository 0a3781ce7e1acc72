//! The file of a package: an OCI image layout with one artifact manifest, in a tar, in a zstd frame.
//!
//! OCI image specification 1.1: "Image Layout", "Guidelines for Artifact Usage" (the empty configuration). Nothing in
//! it tells when or where it was made, and equal blobs give equal bytes.

use std::collections::HashSet;
use std::io::{self, Read, Write};

use anyhow::Context;
use dd_inspect::digest::{Digest, Hasher, VerifyingReader};
use dd_inspect::package::{ARTIFACT_TYPE, BlobInfo, BlobKind};
use dd_inspect::range::FileRange;
use dd_inspect::record::Location;
use serde::Serialize;

const BLOCK: u64 = 512;
const MANIFEST_TYPE: &str = "application/vnd.oci.image.manifest.v1+json";
/// The window of the frame as a power of two, 1 MiB: a reader holds that much memory.
const WINDOW_LOG: u32 = 20;
/// Bytes of a package up to which the frame is coded with more effort. Payloads are coded already: what the frame saves
/// does not grow with them, the time does (level 6: 30 bytes more; level 19: 8 bytes less).
const BEST_LEN: u64 = 4 << 20;

/// Where the bytes of a blob come from.
#[derive(Debug, Clone)]
pub enum Source {
    /// Memory.
    Memory(Vec<u8>),
    /// A file of the store; verified while it is copied.
    Location(Location),
}

/// A blob of the package.
#[derive(Debug, Clone)]
pub struct Blob {
    /// What it is.
    pub kind: BlobKind,
    /// It is one zstd frame around what it is.
    pub zstd: bool,
    /// Its digest.
    pub digest: Digest,
    /// Bytes.
    pub size: u64,
    /// Its bytes.
    pub source: Source,
}

impl Blob {
    /// A blob held in memory.
    pub fn of(kind: BlobKind, bytes: Vec<u8>) -> Self {
        let (digest, size) = (Digest::of(&bytes), bytes.len() as u64);
        Self { kind, zstd: false, digest, size, source: Source::Memory(bytes) }
    }

    /// The blob as a zstd frame of its own, for a package without a frame around it.
    ///
    /// # Errors
    /// What zstd fails with.
    pub fn compressed(self) -> io::Result<Self> {
        let Source::Memory(bytes) = &self.source else { return Ok(self) };
        let packed = zstd::bulk::compress(bytes, 19)?;
        Ok(Self { zstd: true, ..Self::of(self.kind, packed) })
    }

    /// What a reader sees of it.
    pub fn info(&self) -> BlobInfo {
        BlobInfo { kind: Some(self.kind), zstd: self.zstd, digest: self.digest, size: self.size }
    }

    /// Whether its bytes are coded already, and more than what blocks of their own cost.
    fn is_coded(&self) -> bool {
        let coded = self.zstd || matches!(self.kind, BlobKind::Program | BlobKind::Corrections);
        coded && self.size >= 256
    }

    fn media_type(&self) -> String {
        format!("{}{}", self.kind.media_type(), if self.zstd { "+zstd" } else { "" })
    }

    fn open(&self) -> anyhow::Result<Box<dyn Read + '_>> {
        Ok(match &self.source {
            Source::Memory(bytes) => Box::new(&bytes[..]),
            Source::Location(location) => {
                Box::new(VerifyingReader::new(FileRange::at(location)?, self.digest, self.size))
            }
        })
    }
}

/// The manifest of the image that the package rebuilds, as the artifact's `subject`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subject {
    /// Its media type.
    pub media_type: String,
    /// Its digest.
    pub digest: Digest,
    /// Bytes.
    pub size: u64,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Descriptor {
    media_type: String,
    digest: Digest,
    size: u64,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ArtifactManifest {
    schema_version: u8,
    media_type: &'static str,
    artifact_type: &'static str,
    config: Descriptor,
    layers: Vec<Descriptor>,
    #[serde(skip_serializing_if = "Option::is_none")]
    subject: Option<Descriptor>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Index {
    schema_version: u8,
    manifests: [Descriptor; 1],
}

/// What was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Written {
    /// The digest of the file.
    pub file_digest: Digest,
    /// Bytes in the file.
    pub size: u64,
}

/// A package ready to be written.
#[derive(Debug)]
pub struct Container {
    members: Vec<(String, Blob)>,
    manifest_digest: Digest,
}

impl Container {
    /// A package of these blobs; a blob that occurs again is stored once.
    ///
    /// # Errors
    /// The manifest cannot be made.
    pub fn new(blobs: Vec<Blob>, subject: Option<Subject>) -> anyhow::Result<Self> {
        let descriptor = |media_type: &str, digest, size| Descriptor {
            media_type: media_type.to_owned(),
            digest,
            size,
        };
        let of = |media_type: &str, bytes: &[u8]| {
            descriptor(media_type, Digest::of(bytes), bytes.len() as u64)
        };
        let empty = b"{}".to_vec();
        let manifest = serde_json::to_vec(&ArtifactManifest {
            schema_version: 2,
            media_type: MANIFEST_TYPE,
            artifact_type: ARTIFACT_TYPE,
            config: of("application/vnd.oci.empty.v1+json", &empty),
            layers: blobs.iter().map(|b| descriptor(&b.media_type(), b.digest, b.size)).collect(),
            subject: subject.map(|s| descriptor(&s.media_type, s.digest, s.size)),
        })
        .context("making the package's manifest")?;
        let index = serde_json::to_vec(&Index {
            schema_version: 2,
            manifests: [of(MANIFEST_TYPE, &manifest)],
        })
        .context("making the package's index")?;
        let manifest_digest = Digest::of(&manifest);
        let layout = br#"{"imageLayoutVersion":"1.0.0"}"#.to_vec();
        let document = |bytes| Blob::of(BlobKind::Documents, bytes);
        let mut members = vec![
            ("oci-layout".to_owned(), document(layout)),
            ("index.json".to_owned(), document(index)),
        ];
        let mut seen = HashSet::new();
        for blob in [document(manifest), document(empty)].into_iter().chain(blobs) {
            if seen.insert(blob.digest) {
                members.push((format!("blobs/sha256/{}", blob.digest.hex()), blob));
            }
        }
        Ok(Self { members, manifest_digest })
    }

    /// The digest of the artifact's manifest.
    pub fn manifest_digest(&self) -> Digest {
        self.manifest_digest
    }

    /// Bytes of the plain tar.
    fn tar_size(&self) -> u64 {
        let padded = self.members.iter().map(|(_, blob)| blob.size.next_multiple_of(BLOCK) + BLOCK);
        padded.sum::<u64>() + 2 * BLOCK
    }

    /// Writes the file: the plain tar, or the tar inside one zstd frame.
    ///
    /// # Errors
    /// What reading blobs or writing fails with; a blob of the store has changed.
    pub fn write(&self, out: impl Write, plain: bool) -> anyhow::Result<Written> {
        let mut out = Counted { out, hasher: Hasher::new() };
        if plain {
            self.write_tar(&mut out)?;
        } else {
            let size = self.tar_size();
            let level = if size <= BEST_LEN { 12 } else { 6 };
            let mut frame = zstd::Encoder::new(&mut out, level)?;
            frame.set_pledged_src_size(Some(size))?;
            frame.window_log(WINDOW_LOG)?;
            self.write_tar(&mut frame)?;
            frame.finish().context("writing the package")?;
        }
        out.flush().context("writing the package")?;
        let size = out.hasher.len();
        Ok(Written { file_digest: out.hasher.finish(), size })
    }

    fn write_tar(&self, out: &mut impl Write) -> anyhow::Result<()> {
        for (name, blob) in &self.members {
            out.write_all(&header(name, blob.size)?).context("writing the package")?;
            if blob.is_coded() {
                // Blocks of its own, so that it does not spoil the coding of what stands around it.
                out.flush().context("writing the package")?;
            }
            let copied =
                copy(&mut blob.open()?, out).with_context(|| format!("copying {}", blob.digest))?;
            if blob.is_coded() {
                out.flush().context("writing the package")?;
            }
            anyhow::ensure!(copied == blob.size, "a blob of {} bytes has {copied}", blob.size);
            pad(out, copied.next_multiple_of(BLOCK) - copied)?;
        }
        pad(out, 2 * BLOCK)
    }
}

/// Copies; the output's errors are told from the input's.
fn copy(input: &mut impl Read, out: &mut impl Write) -> anyhow::Result<u64> {
    let mut buffer = vec![0; 128 << 10];
    let mut copied = 0;
    loop {
        match input.read(&mut buffer) {
            Ok(0) => return Ok(copied),
            Ok(n) => {
                out.write_all(&buffer[..n]).context("writing the package")?;
                copied += n as u64;
            }
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e).context("reading the store"),
        }
    }
}

fn pad(out: &mut impl Write, len: u64) -> anyhow::Result<()> {
    let zeros = [0; 2 * BLOCK as usize];
    out.write_all(&zeros[..usize::try_from(len)?]).context("writing the package")
}

/// A ustar header (POSIX.1-2017, pax, "ustar Interchange Format") of a regular file, mode 0644, all else zero.
fn header(name: &str, size: u64) -> anyhow::Result<[u8; BLOCK as usize]> {
    let mut block = [0; BLOCK as usize];
    let mut put = |at: usize, text: &[u8]| block[at..at + text.len()].copy_from_slice(text);
    anyhow::ensure!(name.len() <= 100, "the name {name} is too long for a tar");
    put(0, name.as_bytes());
    put(100, b"0000644\0");
    put(108, b"0000000\0");
    put(116, b"0000000\0");
    if size < 1 << 33 {
        put(124, format!("{size:011o}\0").as_bytes());
    } else {
        // GNU's base-256 form, for 8 GiB and more.
        put(124, &[&[0x80, 0, 0, 0][..], &size.to_be_bytes()].concat());
    }
    put(136, b"00000000000\0");
    put(148, b"        ");
    put(156, b"0");
    put(257, b"ustar\x0000");
    let sum: u32 = block.iter().map(|b| u32::from(*b)).sum();
    block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    Ok(block)
}

struct Counted<W> {
    out: W,
    hasher: Hasher,
}

impl<W: Write> Write for Counted<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let n = self.out.write(bytes)?;
        self.hasher.update(&bytes[..n]);
        Ok(n)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn sample() -> Container {
        let blobs = vec![
            Blob::of(BlobKind::Recipe, b"{}".to_vec()),
            Blob::of(BlobKind::Documents, vec![7; 600]),
            Blob::of(BlobKind::Program, vec![7; 600]),
        ];
        Container::new(blobs, None).unwrap()
    }

    #[test]
    fn a_tar_that_tar_reads_with_each_blob_once() {
        let mut tar = Vec::new();
        let written = sample().write(&mut tar, true).unwrap();
        assert_eq!((written.file_digest, written.size), (Digest::of(&tar), tar.len() as u64));
        assert_eq!(sample().tar_size(), written.size);
        let mut archive = tar::Archive::new(&tar[..]);
        let mut names = Vec::new();
        for entry in archive.entries().unwrap() {
            let mut entry = entry.unwrap();
            let name = entry.path().unwrap().to_str().unwrap().to_owned();
            let mut content = Vec::new();
            entry.read_to_end(&mut content).unwrap();
            if let Some(hex) = name.strip_prefix("blobs/sha256/") {
                assert_eq!(Digest::of(&content).hex(), hex);
            }
            names.push(name);
        }
        assert_eq!(names[..2], ["oci-layout", "index.json"]);
        assert_eq!(names[2], format!("blobs/sha256/{}", sample().manifest_digest().hex()));
        assert_eq!(
            names.len(),
            5,
            "recipe and configuration, documents and program are the same bytes"
        );
    }

    #[test]
    fn the_frame_holds_the_same_tar() {
        let (mut plain, mut framed) = (Vec::new(), Vec::new());
        sample().write(&mut plain, true).unwrap();
        sample().write(&mut framed, false).unwrap();
        assert_eq!(zstd::decode_all(&framed[..]).unwrap(), plain);
        assert!(framed.len() < plain.len() / 5);
    }

    #[test]
    fn large_sizes_fit_into_a_header() {
        for size in [0, 511, (1 << 33) - 1, 1 << 33, 1 << 50] {
            let block = header("n", size).unwrap();
            let header = tar::Header::from_byte_slice(&block);
            assert_eq!(header.entry_size().unwrap(), size);
        }
        assert!(header(&"n".repeat(101), 0).is_err());
    }
}
