//! What dd-inspect finds: archives and their members, images, manifests, configurations, layers.

use serde::{Deserialize, Serialize};

use super::stream::{Location, RecordPath};
use crate::digest::{DiffId, Digest};

/// What an image is to the pipeline.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// What the receiver holds.
    Base,
    /// What is to be rebuilt.
    Target,
    /// Only looked at (`dd-inspect IMAGE`).
    Image,
}

/// How much of an image as given can be rebuilt exactly.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum Exact {
    /// The archive file itself, and so everything in it.
    File,
    /// Manifests and compressed layers.
    Manifest,
    /// The configuration and the layers' content.
    Config,
}

/// Compression of a whole archive file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum Compression {
    /// The file is the tar.
    None,
    /// gzip (RFC 1952).
    Gzip,
    /// Zstandard (RFC 8878).
    Zstd,
}

/// `archive`: an image file as a file. Its `member` records follow it, in the file's order.
///
/// Written for targets only: it is what rebuilding the very file needs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Archive {
    /// Names the archive in this stream: `archive:` and 16 hex digits.
    pub key: String,
    /// The `key` of the image that it holds.
    pub image: String,
    /// The digest of the file.
    pub file_digest: Digest,
    /// Bytes in the file.
    pub size: u64,
    /// How the whole file is compressed.
    pub compression: Compression,
    /// The whole file.
    pub location: Location,
    /// The uncompressed tar: the file itself, or an object of the store.
    pub tar: Location,
    /// The digest of the uncompressed tar.
    pub tar_digest: Digest,
    /// What follows the last member in the tar: end-of-archive blocks and padding.
    pub trailer: Location,
}

/// `member`: one member of an archive.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Member {
    /// The `key` of the archive.
    pub archive: String,
    /// Its number, from 0; members appear in this order and may have the same name.
    pub position: u64,
    /// Its name, as stored.
    #[serde(flatten)]
    pub path: RecordPath,
    /// `file`, `directory`, `symlink`, `hardlink` or `other`.
    pub kind: String,
    /// Its header blocks: extension headers (PAX, GNU) included.
    pub header: Location,
    /// Its content without padding; absent when it has none.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub content: Option<Location>,
    /// The digest of the content; absent when it has none.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub digest: Option<Digest>,
    /// Where a link points, as stored.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub link: Option<RecordPath>,
}

/// `image`: one image as it was given: a file, a directory, or an image elsewhere.
///
/// A file with several manifests (platforms, tags) is one `image` with several `manifest` records.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Image {
    /// Names the image in this stream: its role, `:`, and 16 hex digits that follow from its content
    /// and reference.
    pub key: String,
    /// What it is to the pipeline.
    pub role: Role,
    /// The reference, as given.
    pub reference: String,
    /// The transport that it was read by: `docker-archive`, `oci-archive`, `oci`, `dir`, `docker-daemon`, `docker`,
    /// `containers-storage`, ….
    pub transport: String,
    /// The names stored with it, in order: repository and tag, or an index's reference names.
    pub names: Vec<String>,
    /// What can be rebuilt exactly.
    pub exact: Exact,
    /// The digest of the top document: of the registry's manifest or index, or of the one manifest or index that a layout's
    /// `index.json` names. Absent for old docker-archives and layouts that name several.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub manifest_digest: Option<Digest>,
    /// The digest of the configuration when the image has exactly one.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub config_digest: Option<Digest>,
    /// The layout's `index.json`, raw; absent where there is none.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub index: Option<Location>,
    /// What docker-archive's `manifest.json` says, raw; absent where there is none.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub docker_manifest: Option<Location>,
}

/// `manifest`: an image manifest or an index (OCI image specification; Docker schema 2).
///
/// Old docker-archives have none: there each entry of `manifest.json` gives a record without `digest`, `media_type`,
/// `size` and `location`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Manifest {
    /// The `key` of the image.
    pub image: String,
    /// Its number within the image, from 0.
    pub position: u64,
    /// The digest of the document.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub digest: Option<Digest>,
    /// Its media type, as its descriptor says.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub media_type: Option<String>,
    /// Bytes in the document.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub size: Option<u64>,
    /// `OS/ARCH[/VARIANT]`, of the descriptor or the configuration.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub platform: Option<String>,
    /// Names of this manifest: repository tags or reference names.
    pub names: Vec<String>,
    /// The index that names it; absent at the top.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub parent: Option<Digest>,
    /// For an index: the digests of the manifests it names.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub manifests: Vec<Digest>,
    /// The digest of the configuration.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub config_digest: Option<Digest>,
    /// The digests of the layers as stored, bottom first.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub layers: Vec<Digest>,
    /// The diff_ids of the layers, bottom first, where the configuration lists them.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub diff_ids: Vec<DiffId>,
    /// The raw document.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub location: Option<Location>,
    /// The document is absent on purpose: a platform that was not pulled or was left out by `--platform`.
    #[serde(skip_serializing_if = "std::ops::Not::not", default)]
    pub gap: bool,
    /// The digest of the manifest that this one is about (OCI `subject`, or BuildKit's attestation reference).
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub subject: Option<Digest>,
}

/// `config`: an image configuration.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Config {
    /// The `key` of the image.
    pub image: String,
    /// The digest of the document.
    pub digest: Digest,
    /// Its media type; absent in old docker-archives.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub media_type: Option<String>,
    /// Bytes in the document.
    pub size: u64,
    /// `OS/ARCH[/VARIANT]`.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub platform: Option<String>,
    /// The diff_ids that it lists, bottom first.
    pub diff_ids: Vec<DiffId>,
    /// How many history entries it has.
    pub history: u64,
    /// The raw document.
    pub location: Location,
}

/// `layer`: a layer (or another blob that a manifest lists as one) of a manifest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Layer {
    /// The `key` of the image.
    pub image: String,
    /// The `position` of the manifest within the image.
    pub manifest: u64,
    /// Its number within the manifest, from 0 at the bottom.
    pub position: u64,
    /// The digest of the bytes as stored; absent where nothing declares it (old docker-archives, until dd-extract has
    /// read them).
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub digest: Option<Digest>,
    /// The media type of its descriptor.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub media_type: Option<String>,
    /// The digest of its uncompressed bytes, as the configuration lists it. For a blob of a media type that is no layer, and
    /// in an artifact without diff_ids: the blob's own digest.
    pub diff_id: DiffId,
    /// The blob is to be carried as it is: never unpacked, never read as a tar.
    #[serde(skip_serializing_if = "std::ops::Not::not", default)]
    pub opaque: bool,
    /// Bytes as stored.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub size: Option<u64>,
    /// How the stored bytes are compressed, by their first bytes; absent while they are not fetched.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub compression: Option<Compression>,
    /// The bytes as stored; absent for a gap.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub location: Option<Location>,
    /// The blob is absent on purpose (a foreign layer, a platform that was not pulled).
    #[serde(skip_serializing_if = "std::ops::Not::not", default)]
    pub gap: bool,
    /// For a target's layer: a base of this stream has a layer with this diff_id.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub in_base: Option<bool>,
}
