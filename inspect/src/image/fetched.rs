//! Images that helper programs fetch, read like those on disk.

use super::blobs::{Blob, Blobs};
use super::document::{Descriptor, Document};
use super::open::{read_archive, read_documents};
use super::{ImageRecords, Options, Origin, Reference};
use crate::digest::Digest;
use crate::elsewhere::{Choice, Documents, Fetched, fetch};
use crate::failure::{Category, classify};
use crate::range::FileRange;
use crate::record::{Exact, Role};
use crate::store::Store;
use crate::{fail, failure};

/// Fetches an image's documents, and its layers where they cannot be had one by one.
pub(super) fn read(
    reference: &Reference,
    transport: &'static str,
    role: Role,
    options: &Options,
    store: &Store,
) -> anyhow::Result<ImageRecords> {
    let given = reference.given();
    let choice = match &options.platform {
        Some(platform) => Choice::Only(platform),
        None if options.all_platforms => Choice::All,
        None => Choice::Unsaid,
    };
    let fetched = fetch(&given, choice, &options.registry, store);
    let fetched = match reference.transport() {
        Some(_) => fetched?,
        None => fetched.map_err(|error| both_readings(&given, error))?,
    };
    let origin = Origin { reference: &given, transport, name: None, exact: Exact::Manifest };
    match fetched {
        Fetched::Archive(file) => read_archive(file, &origin, role, options, store),
        Fetched::Documents(documents) => {
            let exact = if documents.exact_manifests { Exact::Manifest } else { Exact::Config };
            let Some(top) = documents.blobs.get(&documents.top.digest) else {
                fail!(NotAnImage, "the manifest of {given} was not fetched");
            };
            let top = Document::read(top.clone(), &format!("the manifest of {given}"))?;
            read_documents(&top, &documents, &Origin { exact, ..origin }, role, options)
        }
    }
}

/// A name without transport was first taken for a file's.
fn both_readings(given: &str, error: anyhow::Error) -> anyhow::Error {
    if classify(&error).category == Category::NotFound {
        return failure!(
            NotFound,
            "there is neither a file {given} nor an image of this name in the Docker daemon"
        )
        .into();
    }
    error.context(format!("there is no file {given}, so it was looked for in the Docker daemon"))
}

impl Blobs for Documents {
    fn document(&self, descriptor: &Descriptor) -> anyhow::Result<Option<FileRange>> {
        Ok(self.blobs.get(&descriptor.digest).cloned())
    }

    fn blob(&self, manifest: &Digest, descriptor: &Descriptor) -> anyhow::Result<Option<Blob>> {
        if let Some(range) = self.blobs.get(&descriptor.digest) {
            return Ok(Some(Blob::Here(range.clone())));
        }
        Ok(self.layer(manifest, &descriptor.digest).map(Blob::Elsewhere))
    }
}
