//! Where the blobs of an image are found: in a tar, a directory, or fetched by a helper program.

use std::path::{Path, PathBuf};

use super::archive::TarIndex;
use super::document::Descriptor;
use crate::digest::Digest;
use crate::range::FileRange;
use crate::record::Location;

/// A blob that was found.
#[derive(Debug, Clone)]
pub enum Blob {
    /// It lies in a file.
    Here(FileRange),
    /// It can be fetched.
    Elsewhere(Location),
}

/// Finds blobs by their descriptors.
pub trait Blobs {
    /// The bytes of a manifest, an index or a configuration; none if it is absent.
    ///
    /// # Errors
    /// What looking fails with.
    fn document(&self, descriptor: &Descriptor) -> anyhow::Result<Option<FileRange>>;

    /// A layer, or another blob that the manifest with this digest names; none if it is absent.
    ///
    /// # Errors
    /// What looking fails with.
    fn blob(&self, _manifest: &Digest, descriptor: &Descriptor) -> anyhow::Result<Option<Blob>> {
        Ok(self.document(descriptor)?.map(Blob::Here))
    }
}

/// The path of a blob in an OCI image layout (OCI image specification, "Image Layout: Blobs").
fn layout_path(digest: &Digest) -> String {
    format!("blobs/sha256/{}", digest.hex())
}

impl Blobs for TarIndex {
    fn document(&self, descriptor: &Descriptor) -> anyhow::Result<Option<FileRange>> {
        self.file(&layout_path(&descriptor.digest))
    }
}

/// An OCI image layout in a directory.
#[derive(Debug, Clone)]
pub struct LayoutDirectory(pub PathBuf);

impl Blobs for LayoutDirectory {
    fn document(&self, descriptor: &Descriptor) -> anyhow::Result<Option<FileRange>> {
        open(&self.0.join(layout_path(&descriptor.digest)))
    }
}

/// A directory as skopeo's `dir:` writes it: blobs named by their hex digits, manifests of an index with
/// `.manifest.json` after them (containers-transports(5), "dir:").
#[derive(Debug, Clone)]
pub struct PlainDirectory(pub PathBuf);

impl Blobs for PlainDirectory {
    fn document(&self, descriptor: &Descriptor) -> anyhow::Result<Option<FileRange>> {
        let hex = descriptor.digest.hex();
        match open(&self.0.join(format!("{hex}.manifest.json")))? {
            Some(found) => Ok(Some(found)),
            None => open(&self.0.join(hex)),
        }
    }
}

/// Opens a regular file; none if there is no such file. Fifos and devices are not opened, since that may wait for ever.
pub fn open(path: &Path) -> anyhow::Result<Option<FileRange>> {
    match std::fs::metadata(path) {
        Ok(metadata) if metadata.is_file() => FileRange::open(path).map(Some),
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => {
            Err(anyhow::Error::from(e).context(format!("reading {}", path.display())))
        }
        _ => Ok(None),
    }
}
