//! Images in registries: documents by `skopeo inspect`, layers by `skopeo copy`.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::path::Path;

use anyhow::Context;

use super::manifest::{Choice, Descriptor, Document, choose};
use super::{Documents, explain};
use crate::child::{RegistryOptions, Side, Skopeo};
use crate::digest::Digest;
use crate::fail;
use crate::range::FileRange;
use crate::store::Store;

/// How deep indexes may name indexes.
const MAX_DEPTH: usize = 4;
/// Documents of one image, at most.
const MAX_DOCUMENTS: usize = 2_000;

/// Fetches the documents of an image, and no layer.
pub(super) fn documents(
    reference: &str,
    choice: Choice<'_>,
    skopeo: Skopeo<'_>,
) -> anyhow::Result<Documents> {
    let repository = repository(reference).to_owned();
    let raw = raw(reference, skopeo)?;
    let found = Digest::of(&raw);
    if pinned(reference).is_some_and(|pinned| pinned != found) {
        fail!(
            DigestMismatch,
            "the registry answered {reference} with a manifest of digest {found}"
        );
    }
    let document = Document::parse(&raw, reference)?;
    let top = Descriptor::of(&raw, Some(document.media_type()));
    let mut reader = Reader { repository: &repository, skopeo, blobs: BTreeMap::new() };
    reader.document(raw, choice, 0, reference)?;
    let blobs = reader.blobs;
    Ok(Documents { top, blobs, repository: Some(repository), exact_manifests: true })
}

struct Reader<'a> {
    repository: &'a str,
    skopeo: Skopeo<'a>,
    blobs: BTreeMap<Digest, FileRange>,
}

impl Reader<'_> {
    /// Takes in a manifest or index, and the documents it names.
    fn document(
        &mut self,
        raw: Vec<u8>,
        choice: Choice<'_>,
        depth: usize,
        what: &str,
    ) -> anyhow::Result<()> {
        let document = Document::parse(&raw, what)?;
        let (digest, range) = self.skopeo.store.put(&raw)?;
        if self.blobs.insert(digest, range).is_some() {
            return Ok(());
        }
        if self.blobs.len() > MAX_DOCUMENTS || depth > MAX_DEPTH {
            fail!(
                Limit,
                "{what} names more than {MAX_DOCUMENTS} documents, or deeper than {MAX_DEPTH}"
            );
        }
        if let Some(manifests) = &document.manifests {
            for manifest in choose(manifests, choice, what)? {
                let name = format!("{}@{}", self.repository, manifest.digest);
                let raw = self.fetched(manifest, &name, raw_of)?;
                // Within a chosen platform nothing is left to choose.
                let inner = if manifest.platform().is_some() { Choice::All } else { choice };
                self.document(raw, inner, depth + 1, &name)?;
            }
        } else if let Some(config) = &document.config {
            let name = format!("{}@{digest}", self.repository);
            let raw = self.fetched(config, &name, config_of)?;
            let (digest, range) = self.skopeo.store.put(&raw)?;
            self.blobs.insert(digest, range);
        }
        Ok(())
    }

    /// A document from the store, or fetched and checked.
    fn fetched(
        &self,
        wanted: &Descriptor,
        name: &str,
        fetch: fn(&str, Skopeo<'_>) -> anyhow::Result<Vec<u8>>,
    ) -> anyhow::Result<Vec<u8>> {
        if wanted.size > crate::child::MAX_ANSWER {
            fail!(Limit, "a document of {name} has {} bytes", wanted.size);
        }
        if let Some(bytes) = stored(&wanted.digest, self.skopeo.store)? {
            return Ok(bytes);
        }
        let bytes = fetch(name, self.skopeo)?;
        let found = Digest::of(&bytes);
        if found != wanted.digest {
            fail!(
                DigestMismatch,
                "a document of {name} has digest {found}, {} was declared",
                wanted.digest
            );
        }
        Ok(bytes)
    }
}

fn stored(digest: &Digest, store: &Store) -> anyhow::Result<Option<Vec<u8>>> {
    use std::io::Read;
    let Some(range) = store.object(digest) else { return Ok(None) };
    let mut bytes = Vec::new();
    range.take(crate::child::MAX_ANSWER).read_to_end(&mut bytes).context("reading the store")?;
    Ok(Some(bytes))
}

fn raw_of(reference: &str, skopeo: Skopeo<'_>) -> anyhow::Result<Vec<u8>> {
    raw(reference, skopeo)
}

fn config_of(reference: &str, skopeo: Skopeo<'_>) -> anyhow::Result<Vec<u8>> {
    let helper = skopeo.command("inspect", Side::Inspected)?;
    let result = helper.args(["--config", "--raw", "--", reference]).output();
    result.map_err(|e| explain(e, &format!("reading the configuration of {reference}")))
}

/// The manifest or index that a reference names, as it is stored.
pub(super) fn raw(reference: &str, skopeo: Skopeo<'_>) -> anyhow::Result<Vec<u8>> {
    let helper = skopeo.command("inspect", Side::Inspected)?;
    let result = helper.args(["--raw", "--", reference]).output();
    result.map_err(|e| explain(e, &format!("reading {reference}")))
}

/// `docker://host/name` without tag and digest.
fn repository(reference: &str) -> &str {
    let reference = reference.split_once('@').map_or(reference, |(before, _)| before);
    let name = reference.rfind('/').map_or(0, |slash| slash + 1);
    match reference.get(name..).and_then(|name| name.find(':')) {
        Some(colon) => &reference[..name + colon],
        None => reference,
    }
}

/// The digest that a reference names.
fn pinned(reference: &str) -> Option<Digest> {
    reference.split_once('@')?.1.parse().ok()
}

/// Makes layers of an image in a registry objects of the store. Layers that are there already, and layers of the
/// image that are not wanted, are not transferred.
///
/// The reference is that of a [`Location::Reference`](crate::record::Location::Reference): it names one manifest.
///
/// # Errors
/// `not-found` if the image has no such layer; `missing-program`, `helper-failed`, `digest-mismatch`.
pub fn fetch_layers(
    reference: &str,
    wanted: &[Digest],
    options: &RegistryOptions,
    store: &Store,
) -> anyhow::Result<BTreeMap<Digest, FileRange>> {
    let mut layers = BTreeMap::new();
    let mut missing = BTreeSet::new();
    for digest in wanted {
        match store.object(digest) {
            Some(range) => drop(layers.insert(*digest, range)),
            None => drop(missing.insert(*digest)),
        }
    }
    if missing.is_empty() {
        return Ok(layers);
    }
    let skopeo = Skopeo { options, store, purpose: super::READ_REGISTRY };
    let known = pinned(reference).map(|digest| stored(&digest, store)).transpose()?.flatten();
    let manifest = match known {
        Some(bytes) => bytes,
        None => raw(reference, skopeo)?,
    };
    let manifest = Document::parse(&manifest, reference)?;
    if let Some(absent) = missing.iter().find(|m| !manifest.layers.iter().any(|l| l.digest == **m))
    {
        fail!(NotFound, "{reference} has no layer {absent}"; "run the whole pipeline again");
    }
    let directory = store.temporary_directory()?;
    let blobs = directory.path().join("blobs");
    stand_in(&manifest.layers, &missing, &blobs.join("sha256"))?;
    copy_blobs(reference, &manifest, &blobs, &directory.path().join("layout"), skopeo)?;
    for digest in missing {
        let path = blobs.join("sha256").join(digest.hex());
        if !path.exists() {
            fail!(NotFound, "skopeo does not fetch layer {digest} of {reference}"; "is it a foreign layer, which the image only links to?");
        }
        layers.insert(digest, store.adopt(&path, digest)?);
    }
    Ok(layers)
}

/// Empty files of the right size in place of the layers that are not to be transferred: skopeo takes a blob that its
/// destination has as done.
fn stand_in(
    layers: &[Descriptor],
    missing: &BTreeSet<Digest>,
    directory: &Path,
) -> anyhow::Result<()> {
    fs::create_dir_all(directory).context("making a directory in the store")?;
    for layer in layers.iter().filter(|layer| !missing.contains(&layer.digest)) {
        let file = File::create(directory.join(layer.digest.hex()));
        file.and_then(|file| file.set_len(layer.size)).context("writing into the store")?;
    }
    Ok(())
}

/// Only the blobs are of interest. A manifest of Docker's becomes an OCI manifest in the layout, which changes no layer.
fn copy_blobs(
    reference: &str,
    manifest: &Document,
    blobs: &Path,
    layout: &Path,
    skopeo: Skopeo<'_>,
) -> anyhow::Result<()> {
    let mut helper = skopeo.command("copy", Side::Source)?;
    helper = helper.args(["--quiet", "--dest-oci-accept-uncompressed-layers"]);
    if manifest.is_oci() {
        helper = helper.arg("--preserve-digests");
    }
    helper = helper.arg("--dest-shared-blob-dir").arg(blobs).args(["--", reference]);
    let mut destination = std::ffi::OsString::from("oci:");
    destination.push(layout);
    let result = helper.arg(destination).output();
    result.map(drop).map_err(|e| explain(e, &format!("fetching layers of {reference}")))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn tags_and_digests_are_cut_off() {
        for (reference, wanted) in [
            ("docker://host:5000/a/b:1", "docker://host:5000/a/b"),
            ("docker://host:5000/a", "docker://host:5000/a"),
            ("docker://busybox:1", "docker://busybox"),
            ("docker://busybox", "docker://busybox"),
        ] {
            assert_eq!(repository(reference), wanted);
        }
        let digest = Digest::of(b"x");
        let reference = format!("docker://h/a@{digest}");
        assert_eq!(repository(&reference), "docker://h/a");
        assert_eq!(pinned(&reference), Some(digest));
        assert_eq!(pinned("docker://h/a:1"), None);
    }

    #[test]
    fn stored_layers_need_no_registry_and_no_skopeo() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(Some(dir.path())).unwrap();
        let (digest, _) = store.put(b"layer").unwrap();
        let options = RegistryOptions::default();
        let layers =
            fetch_layers("docker://nowhere.invalid/a", &[digest, digest], &options, &store);
        assert_eq!(layers.unwrap().into_keys().collect::<Vec<_>>(), [digest]);
    }

    #[test]
    fn a_layer_that_the_manifest_lacks_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(Some(dir.path())).unwrap();
        let manifest = serde_json::json!({"schemaVersion": 2, "layers": [],
            "config": {"digest": Digest::of(b"c"), "size": 1}});
        let (digest, _) = store.put(manifest.to_string().as_bytes()).unwrap();
        let (reference, options) = (format!("docker://h/a@{digest}"), RegistryOptions::default());
        let error = fetch_layers(&reference, &[Digest::of(b"x")], &options, &store).unwrap_err();
        assert!(error.to_string().contains(&format!("has no layer {}", Digest::of(b"x"))));
    }
}
