//! The JSON documents of images: OCI image specification ("Image Index", "Image Manifest", "Image Configuration")
//! and Docker's schema 2, which has the same fields; `manifest.json` of docker-archives.
//!
//! What a document is follows from its content; the media type of a descriptor only names it.

use std::cell::Cell;
use std::collections::BTreeMap;

use serde::Deserialize;
use serde::de::{DeserializeOwned, IgnoredAny};

use super::platform::Platform;
use crate::digest::{DiffId, Digest};
use crate::range::{FileRange, ReadAt};
use crate::{fail, failure};

/// Bytes that a document may have (registries have the same limit for manifests).
pub const MAX_DOCUMENT_LEN: u64 = 4 << 20;

/// Bytes that the documents of one image may have in all, those read again counted again.
const MAX_DOCUMENTS_LEN: u64 = 64 << 20;

/// What may still be read of an image's documents, so that memory and time stay bounded whatever they say.
#[derive(Debug)]
pub struct Budget(Cell<u64>);

impl Default for Budget {
    fn default() -> Self {
        Self(Cell::new(MAX_DOCUMENTS_LEN))
    }
}

impl Budget {
    /// Takes so many bytes.
    ///
    /// # Errors
    /// `limit` if there are not as many left.
    pub fn take(&self, size: u64, what: &str) -> anyhow::Result<()> {
        let Some(left) = self.0.get().checked_sub(size) else {
            fail!(
                Limit,
                "{what}: the documents of this image have more than {} MiB",
                MAX_DOCUMENTS_LEN >> 20
            );
        };
        self.0.set(left);
        Ok(())
    }
}

/// A reference to a blob (OCI image specification, "Content Descriptors").
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Descriptor {
    /// What the blob is said to be.
    pub media_type: String,
    /// The digest of its bytes.
    pub digest: Digest,
    /// Bytes in it.
    pub size: u64,
    /// The platform, where the descriptor says one.
    pub platform: Option<Platform>,
    /// Annotations.
    pub annotations: BTreeMap<String, String>,
    /// What kind of artifact a manifest is.
    pub artifact_type: Option<String>,
    /// Whether it says where else the blob can be had: such blobs are often left out.
    pub has_urls: bool,
}

impl Descriptor {
    /// The digest of the manifest that an attestation of BuildKit is about.
    pub fn attests(&self) -> Option<Digest> {
        self.annotations.get("vnd.docker.reference.digest")?.parse().ok()
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawDescriptor {
    #[serde(default)]
    media_type: String,
    digest: String,
    size: u64,
    platform: Option<Platform>,
    annotations: Option<BTreeMap<String, String>>,
    artifact_type: Option<String>,
    urls: Option<Vec<IgnoredAny>>,
}

impl RawDescriptor {
    fn check(self, what: &str) -> anyhow::Result<Descriptor> {
        let Ok(digest) = self.digest.parse() else {
            if self.digest.starts_with("sha512:") || self.digest.starts_with("blake3:") {
                fail!(
                    Unsupported,
                    "{what} names a blob by {:.100?}, and only sha256 is supported",
                    self.digest
                );
            }
            fail!(NotAnImage, "{what} names a blob by {:.100?}, which is no digest", self.digest);
        };
        if self.size >= 1 << 53 {
            fail!(NotAnImage, "{what} says that {digest} has {} bytes", self.size);
        }
        Ok(Descriptor {
            media_type: self.media_type,
            digest,
            size: self.size,
            platform: self.platform.filter(|platform| !platform.os.is_empty()),
            annotations: self.annotations.unwrap_or_default(),
            artifact_type: self.artifact_type,
            has_urls: self.urls.is_some_and(|urls| !urls.is_empty()),
        })
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawDocument {
    schema_version: Option<u64>,
    media_type: Option<String>,
    artifact_type: Option<String>,
    manifests: Option<Vec<RawDescriptor>>,
    config: Option<RawDescriptor>,
    layers: Option<Vec<RawDescriptor>>,
    blobs: Option<Vec<RawDescriptor>>,
    subject: Option<RawDescriptor>,
    fs_layers: Option<IgnoredAny>,
}

/// What a manifest or an index says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Parsed {
    /// An index: the manifests it names.
    Index(Vec<Descriptor>),
    /// A manifest of an image or an artifact.
    Manifest(Box<ManifestDocument>),
    /// Something else, carried as it is.
    Opaque,
}

/// An image manifest, or an artifact's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ManifestDocument {
    /// What kind of artifact it is.
    pub artifact_type: Option<String>,
    /// The configuration.
    pub config: Option<Descriptor>,
    /// The layers, bottom first.
    pub layers: Vec<Descriptor>,
    /// The manifest that this one is about.
    pub subject: Option<Digest>,
}

/// A document and what it says.
#[derive(Debug, Clone)]
pub struct Document {
    /// Where its bytes lie.
    pub range: FileRange,
    /// Its bytes.
    pub bytes: Vec<u8>,
}

impl Document {
    /// Reads a document.
    ///
    /// # Errors
    /// It has more than [`MAX_DOCUMENT_LEN`] bytes (`limit`), or what reading fails with.
    pub fn read(range: FileRange, what: &str) -> anyhow::Result<Self> {
        let size = range.size();
        if size > MAX_DOCUMENT_LEN {
            fail!(
                Limit,
                "{what} has {size} bytes, and documents may have {} MiB",
                MAX_DOCUMENT_LEN >> 20
            );
        }
        let mut bytes = vec![0; usize::try_from(size)?];
        range.read_exact_at(&mut bytes, 0)?;
        Ok(Self { range, bytes })
    }

    /// Reads a document and checks that it is the one that a descriptor means.
    ///
    /// # Errors
    /// As [`Document::read`]; `not-an-image` if the size, `digest-mismatch` if the digest differs.
    pub fn read_verified(
        range: FileRange,
        wanted: &Descriptor,
        what: &str,
    ) -> anyhow::Result<Self> {
        if range.size() != wanted.size {
            fail!(
                NotAnImage,
                "{what} has {} bytes, and its descriptor says {}",
                range.size(),
                wanted.size
            );
        }
        let document = Self::read(range, what)?;
        let found = document.digest();
        if found != wanted.digest {
            fail!(DigestMismatch, "{what} has digest {found}"; "the image is damaged; get it again");
        }
        Ok(document)
    }

    /// The digest of its bytes.
    pub fn digest(&self) -> Digest {
        Digest::of(&self.bytes)
    }
}

/// Reads JSON; `what` names it in the error.
fn json<T: DeserializeOwned>(bytes: &[u8], what: &str) -> anyhow::Result<T> {
    Ok(serde_json::from_slice(bytes)
        .map_err(|e| failure!(NotAnImage, "{what} is not as it should be: {e}"))?)
}

/// Reads a manifest or index, telling them apart by what they hold.
///
/// # Errors
/// `not-an-image` if it is JSON but neither well-formed; `unsupported` for Docker's schema 1.
pub fn parse_manifest(bytes: &[u8], what: &str) -> anyhow::Result<Parsed> {
    let raw: RawDocument = json(bytes, what)?;
    let check = |list: Vec<RawDescriptor>| {
        list.into_iter().map(|d| d.check(what)).collect::<anyhow::Result<Vec<_>>>()
    };
    if raw.schema_version == Some(1) || raw.fs_layers.is_some() {
        fail!(Unsupported, "{what} is of Docker's schema 1"; "convert it: skopeo copy --format v2s2");
    }
    if raw.manifests.is_some() && (raw.layers.is_some() || raw.config.is_some()) {
        fail!(NotAnImage, "{what} is an index and a manifest at once");
    }
    if let Some(manifests) = raw.manifests {
        return Ok(Parsed::Index(check(manifests)?));
    }
    let Some(layers) = raw.layers.or(raw.blobs) else {
        if raw.media_type.as_deref().is_some_and(is_manifest_type) {
            fail!(NotAnImage, "{what} names no layers");
        }
        return Ok(Parsed::Opaque);
    };
    Ok(Parsed::Manifest(Box::new(ManifestDocument {
        artifact_type: raw.artifact_type,
        config: raw.config.map(|d| d.check(what)).transpose()?,
        layers: check(layers)?,
        subject: raw.subject.map(|d| d.check(what)).transpose()?.map(|d| d.digest),
    })))
}

/// Whether a media type is a manifest's or an index's.
pub fn is_manifest_type(media_type: &str) -> bool {
    is_index_type(media_type)
        || matches!(
            media_type,
            "application/vnd.oci.image.manifest.v1+json"
                | "application/vnd.docker.distribution.manifest.v2+json"
                | "application/vnd.oci.artifact.manifest.v1+json"
                | "application/vnd.docker.distribution.manifest.v1+json"
                | "application/vnd.docker.distribution.manifest.v1+prettyjws"
        )
}

fn is_index_type(media_type: &str) -> bool {
    matches!(
        media_type,
        "application/vnd.oci.image.index.v1+json"
            | "application/vnd.docker.distribution.manifest.list.v2+json"
    )
}

/// The media type that a document without descriptor has: its own `mediaType`, else by its shape.
pub fn own_media_type(bytes: &[u8], parsed: &Parsed) -> String {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Own {
        media_type: Option<String>,
    }
    let own = serde_json::from_slice::<Own>(bytes).ok().and_then(|own| own.media_type);
    own.unwrap_or_else(|| {
        match parsed {
            Parsed::Index(_) => "application/vnd.oci.image.index.v1+json",
            _ => "application/vnd.oci.image.manifest.v1+json",
        }
        .to_owned()
    })
}

/// Reads a layout's `index.json`.
///
/// # Errors
/// `not-an-image`.
pub fn parse_index(bytes: &[u8], what: &str) -> anyhow::Result<Vec<Descriptor>> {
    #[derive(Deserialize)]
    struct Index {
        manifests: Option<Vec<RawDescriptor>>,
    }
    let index: Index = json(bytes, what)?;
    index.manifests.unwrap_or_default().into_iter().map(|d| d.check(what)).collect()
}

/// What an image configuration says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ConfigDocument {
    /// The platform.
    pub platform: Option<Platform>,
    /// The diff_ids of the layers, bottom first; none if it is no image's configuration.
    pub diff_ids: Option<Vec<DiffId>>,
    /// How many history entries it has.
    pub history: u64,
}

#[derive(Deserialize)]
struct RawConfig {
    os: Option<String>,
    architecture: Option<String>,
    variant: Option<String>,
    rootfs: Option<RawRootfs>,
    history: Option<Vec<IgnoredAny>>,
}

#[derive(Deserialize)]
struct RawRootfs {
    diff_ids: Option<Vec<DiffId>>,
}

/// Reads an image's configuration.
///
/// # Errors
/// `not-an-image` if it is not JSON, or its fields have other types than they should.
pub fn parse_config(bytes: &[u8], what: &str) -> anyhow::Result<ConfigDocument> {
    let raw: RawConfig = json(bytes, what)?;
    let platform = match (raw.os, raw.architecture) {
        (Some(os), Some(architecture)) if !os.is_empty() => {
            Some(Platform { os, architecture, variant: raw.variant.unwrap_or_default() })
        }
        _ => None,
    };
    Ok(ConfigDocument {
        platform,
        diff_ids: raw.rootfs.map(|rootfs| rootfs.diff_ids.unwrap_or_default()),
        history: raw.history.map_or(0, |history| history.len() as u64),
    })
}

/// One image of a docker-archive's `manifest.json`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct DockerEntry {
    /// The member with the configuration.
    pub config: String,
    /// Repository and tag of each name.
    pub repo_tags: Option<Vec<String>>,
    /// The members with the layers, bottom first.
    pub layers: Option<Vec<String>>,
}

/// Reads a docker-archive's `manifest.json`; `null` names no image.
///
/// # Errors
/// `not-an-image`.
pub fn parse_docker(bytes: &[u8], what: &str) -> anyhow::Result<Vec<DockerEntry>> {
    Ok(json::<Option<Vec<DockerEntry>>>(bytes, what)?.unwrap_or_default())
}

/// Whether a media type is that of a layer: a tar, perhaps compressed (OCI image specification, "Image Layer
/// Filesystem Changeset"; Docker's "Image Manifest Version 2, Schema 2").
pub fn is_layer_type(media_type: &str) -> bool {
    let name = media_type.strip_suffix("+gzip").or_else(|| media_type.strip_suffix("+zstd"));
    let name = name
        .or_else(|| media_type.strip_suffix(".gzip"))
        .or_else(|| media_type.strip_suffix(".zstd"));
    matches!(
        name.unwrap_or(media_type),
        "application/vnd.oci.image.layer.v1.tar"
            | "application/vnd.oci.image.layer.nondistributable.v1.tar"
            | "application/vnd.docker.image.rootfs.diff.tar"
            | "application/vnd.docker.image.rootfs.foreign.diff.tar"
    )
}

/// Whether a media type is that of a layer that may not be distributed, and is often left out.
pub fn is_foreign_type(media_type: &str) -> bool {
    is_layer_type(media_type)
        && (media_type.contains(".nondistributable.") || media_type.contains(".foreign."))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::failure::{Category, classify};

    const DIGEST: &str = "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

    fn category(json: &str) -> Category {
        classify(&parse_manifest(json.as_bytes(), "it").unwrap_err()).category
    }

    #[test]
    fn the_shape_tells_what_it_is() {
        let descriptor = format!(r#"{{"mediaType":"t","digest":"{DIGEST}","size":3}}"#);
        let index = format!(r#"{{"manifests":[{descriptor}]}}"#);
        assert!(
            matches!(parse_manifest(index.as_bytes(), "it").unwrap(), Parsed::Index(list) if list.len() == 1)
        );
        let manifest = format!(r#"{{"config":{descriptor},"layers":[{descriptor},{descriptor}]}}"#);
        let Parsed::Manifest(manifest) = parse_manifest(manifest.as_bytes(), "it").unwrap() else {
            panic!()
        };
        assert_eq!(manifest.layers.len(), 2);
        assert_eq!(parse_manifest(br#"{"x":1}"#, "it").unwrap(), Parsed::Opaque);
    }

    #[test]
    fn refuses_what_it_cannot_carry() {
        assert_eq!(category("[]"), Category::NotAnImage);
        assert_eq!(category(r#"{"schemaVersion":1,"fsLayers":[]}"#), Category::Unsupported);
        assert_eq!(category(r#"{"manifests":[],"layers":[]}"#), Category::NotAnImage);
        assert_eq!(
            category(r#"{"layers":[{"digest":"sha512:00","size":1}]}"#),
            Category::Unsupported
        );
        assert_eq!(
            category(r#"{"layers":[{"digest":"../../etc","size":1}]}"#),
            Category::NotAnImage
        );
        assert_eq!(category(r#"{"layers":[{"digest":"x","size":-1}]}"#), Category::NotAnImage);
        let huge = format!(r#"{{"layers":[{{"digest":"{DIGEST}","size":9007199254740992}}]}}"#);
        assert_eq!(category(&huge), Category::NotAnImage);
        assert_eq!(category(&"[".repeat(100_000)), Category::NotAnImage);
    }

    #[test]
    fn null_lists_are_empty() {
        assert!(parse_docker(b"null", "it").unwrap().is_empty());
        assert!(parse_index(br#"{"manifests":null}"#, "it").unwrap().is_empty());
        let config = parse_config(br#"{"rootfs":{"diff_ids":null},"history":null}"#, "it").unwrap();
        assert_eq!(config.diff_ids, Some(Vec::new()));
    }

    #[test]
    fn layer_types() {
        for name in [
            "application/vnd.oci.image.layer.v1.tar",
            "application/vnd.oci.image.layer.v1.tar+zstd",
            "application/vnd.docker.image.rootfs.diff.tar.gzip",
            "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip",
        ] {
            assert!(is_layer_type(name), "{name}");
        }
        assert!(!is_layer_type("application/vnd.in-toto+json"));
        assert!(is_foreign_type("application/vnd.oci.image.layer.nondistributable.v1.tar+gzip"));
        assert!(!is_foreign_type("application/vnd.oci.image.layer.v1.tar"));
    }
}
