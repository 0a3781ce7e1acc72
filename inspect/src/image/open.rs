//! Recognises files and directories by their content, and reads them.

use std::path::Path;

use super::archive::is_header;
use super::blobs::{Blob, Blobs, LayoutDirectory, PlainDirectory, open};
use super::compressed::{compression_of, start_of, uncompressed_start, unread_compression_of};
use super::document::{Descriptor, Document, Parsed, own_media_type, parse_index, parse_manifest};
use super::node::Top;
use super::opened::Opened;
use super::packaged::{PACKAGE_START, is_package, starts_a_package};
use super::source::Source;
use super::{ImageRecords, Inspected, Options, Origin};
use crate::digest::Digest;
use crate::fail;
use crate::range::FileRange;
use crate::record::{Compression, Exact, Role};
use crate::store::Store;

/// Reads what lies at a path.
///
/// # Errors
/// `not-an-image` if it is none, or not of the transport that was named.
pub(super) fn look(
    path: &Path,
    transport: Option<&'static str>,
    name: Option<&str>,
    given: &str,
    role: Role,
    options: &Options,
    store: &Store,
) -> anyhow::Result<Inspected> {
    let origin = Origin {
        reference: given,
        transport: transport.unwrap_or_default(),
        name,
        exact: Exact::File,
    };
    if path.is_dir() {
        return look_directory(path, transport, &origin, role, options);
    }
    let file = match open(path)? {
        Some(file) => file,
        None => {
            fail!(NotAnImage, "{given} is neither a file nor a directory"; "save the image into a regular file")
        }
    };
    if let Some(wrong @ ("oci" | "dir")) = transport {
        fail!(NotAnImage, "{given} is a file, and {wrong}: names a directory"; "leave {wrong}: away");
    }
    let start = start_of(&file, 512)?;
    if start.is_empty() {
        fail!(NotAnImage, "{given} is empty");
    }
    let compression = compression_of(&start);
    let inside = match compression {
        Compression::None => start,
        _ => uncompressed_start(&file, compression, PACKAGE_START, given)?,
    };
    if !is_header(inside.get(..512).unwrap_or_default()) {
        fail!(NotAnImage, "{given} is no container image: {}", describe(&inside);
            "an image is a docker-archive, an OCI archive or directory, or a dir: directory");
    }
    if compression != Compression::None && starts_a_package(&inside) {
        return Ok(Inspected::Package(path.to_owned()));
    }
    let archive = Opened::new(file, compression, given, options, store)?;
    if archive.is_package()? {
        return Ok(Inspected::Package(path.to_owned()));
    }
    Ok(Inspected::Image(Box::new(archive.read(&origin, role, options)?)))
}

fn look_directory(
    path: &Path,
    transport: Option<&'static str>,
    origin: &Origin<'_>,
    role: Role,
    options: &Options,
) -> anyhow::Result<Inspected> {
    let given = origin.reference;
    let is_layout = path.join("index.json").is_file();
    let is_plain = path.join("manifest.json").is_file() && !is_layout;
    let found = match (is_layout, is_plain) {
        (true, _) => "oci",
        (_, true) => "dir",
        _ => fail!(
            NotAnImage,
            "the directory {given} holds no image: it has neither index.json nor manifest.json"
        ),
    };
    if let Some(wrong) = transport.filter(|named| *named != found) {
        fail!(NotAnImage, "{given} is not of the transport {wrong} but of {found}"; "leave {wrong}: away");
    }
    if is_layout {
        let tops = tops_of_layout(&layout_index(path, given)?, given)?;
        if is_package(&tops, &LayoutDirectory(path.to_owned()), given)? {
            return Ok(Inspected::Package(path.to_owned()));
        }
    }
    let origin = Origin { transport: found, ..*origin };
    Ok(Inspected::Image(Box::new(read_directory(path, &origin, role, options)?)))
}

/// Reads an archive file that is not compressed or unpacked otherwise: what `docker save` gave, for example.
///
/// # Errors
/// As [`super::inspect`].
pub fn read_archive(
    file: FileRange,
    origin: &Origin<'_>,
    role: Role,
    options: &Options,
    store: &Store,
) -> anyhow::Result<ImageRecords> {
    let compression = compression_of(&start_of(&file, 4)?);
    Opened::new(file, compression, origin.reference, options, store)?.read(origin, role, options)
}

/// Reads an OCI image layout, or a directory as skopeo's `dir:` writes it.
///
/// # Errors
/// As [`super::inspect`].
pub fn read_directory(
    path: &Path,
    origin: &Origin<'_>,
    role: Role,
    options: &Options,
) -> anyhow::Result<ImageRecords> {
    let what = origin.reference;
    if path.join("index.json").is_file() {
        let index = layout_index(path, what)?;
        let tops = tops_of_layout(&index, what)?;
        if tops.is_empty() {
            fail!(NotAnImage, "{what} is no image: its index.json names no manifest");
        }
        let blobs = LayoutDirectory(path.to_owned());
        let source = Source { blobs: &blobs, archive: None, index: Some(index), docker: None };
        let (found, _) = source.find(&tops, &[], origin, options)?;
        return found.records(origin, role, None);
    }
    let Some(range) = open(&path.join("manifest.json"))? else {
        fail!(NotAnImage, "the directory {what} holds no image");
    };
    let document = Document::read(range, &format!("{what}: manifest.json"))?;
    let blobs = PlainDirectory(path.to_owned());
    read_documents(&document, &blobs, origin, role, options)
}

/// Reads an image whose top document is at hand and whose other blobs are found by `blobs`.
///
/// # Errors
/// As [`super::inspect`].
pub fn read_documents(
    top: &Document,
    blobs: &dyn Blobs,
    origin: &Origin<'_>,
    role: Role,
    options: &Options,
) -> anyhow::Result<ImageRecords> {
    let what = format!("{}: its manifest", origin.reference);
    let parsed = parse_manifest(&top.bytes, &what)?;
    if parsed == Parsed::Opaque {
        fail!(NotAnImage, "{what} is neither a manifest nor an index");
    }
    let descriptor = Descriptor {
        media_type: own_media_type(&top.bytes, &parsed),
        digest: top.digest(),
        size: top.bytes.len() as u64,
        platform: None,
        annotations: std::collections::BTreeMap::new(),
        artifact_type: None,
        has_urls: false,
    };
    let blobs = WithTop { top: &top.range, digest: descriptor.digest, blobs };
    let names = crate::elsewhere::stored_name(origin.reference).into_iter().collect();
    let tops = [Top { descriptor, names }];
    let source = Source { blobs: &blobs, archive: None, index: None, docker: None };
    let (found, _) = source.find(&tops, &[], origin, options)?;
    found.records(origin, role, None)
}
/// The blobs of an image and its top document, which is stored elsewhere.
struct WithTop<'a> {
    top: &'a FileRange,
    digest: Digest,
    blobs: &'a dyn Blobs,
}

impl Blobs for WithTop<'_> {
    fn document(&self, descriptor: &Descriptor) -> anyhow::Result<Option<FileRange>> {
        if descriptor.digest == self.digest {
            return Ok(Some(self.top.clone()));
        }
        self.blobs.document(descriptor)
    }

    fn blob(&self, manifest: &Digest, descriptor: &Descriptor) -> anyhow::Result<Option<Blob>> {
        self.blobs.blob(manifest, descriptor)
    }
}

fn layout_index(path: &Path, what: &str) -> anyhow::Result<Document> {
    match open(&path.join("index.json"))? {
        Some(range) => Document::read(range, &format!("{what}: index.json")),
        None => fail!(NotAnImage, "{what} has no index.json"),
    }
}

/// What `index.json` names, each with the name that it has there: containerd's full one, else the reference name.
pub(super) fn tops_of_layout(index: &Document, what: &str) -> anyhow::Result<Vec<Top>> {
    let entries = parse_index(&index.bytes, &format!("{what}: index.json"))?;
    let name = |entry: &Descriptor| {
        let annotations = &entry.annotations;
        annotations
            .get("io.containerd.image.name")
            .or_else(|| annotations.get("org.opencontainers.image.ref.name"))
            .cloned()
    };
    Ok(entries
        .into_iter()
        .map(|entry| Top { names: name(&entry).into_iter().collect(), descriptor: entry })
        .collect())
}
/// What else a file may be, for the error.
fn describe(start: &[u8]) -> String {
    if let Some(name) = unread_compression_of(start) {
        return format!("it is compressed with {name}");
    }
    let known = match start {
        [b'{' | b'[', ..] => "it looks like JSON",
        [0x7f, b'E', b'L', b'F', ..] => "it is a program",
        [b'P', b'K', 3, 4, ..] => "it is a zip archive",
        [b'h', b's', b'q', b's', ..] => "it is a squashfs file system",
        start if start.iter().all(|b| *b == 0) => "it begins with zeros",
        _ => "it does not begin with a tar header",
    };
    known.to_owned()
}
