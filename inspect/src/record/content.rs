//! What dd-extract and dd-diff find: uncompressed layers, their entries, changes and deltas.

use serde::{Deserialize, Serialize};

use super::stream::{Location, RecordPath};
use crate::digest::{DiffId, Digest};

/// `blob`: where a layer's uncompressed bytes lie, and how the stored ones follow from them.
///
/// One for each pair of diff_id and digest.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Blob {
    /// The layer's content.
    pub diff_id: DiffId,
    /// The bytes as stored.
    pub digest: Digest,
    /// Bytes as stored.
    pub stored_size: u64,
    /// Bytes uncompressed.
    pub size: u64,
    /// The uncompressed bytes.
    pub location: Location,
    /// How the stored bytes are made from the uncompressed ones, proven by doing it; absent for layers of
    /// bases, where it is not needed. Its fields are documented in docs/package-format.md.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub encoding: Option<serde_json::Value>,
    /// The same in words.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub encoding_name: Option<String>,
    /// Bytes beside the parameters that the encoding needs: corrections, or the stored bytes themselves.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub corrections: Option<Location>,
    /// The digest of `corrections`.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub corrections_digest: Option<Digest>,
    /// Memory that making the stored bytes needs, in bytes.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub encoding_memory: Option<u64>,
    /// Whether it is a tar whose entries are listed.
    pub tar: bool,
}

/// What a tar entry is (POSIX.1-2017, pax, "ustar Interchange Format": typeflag).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
#[allow(missing_docs, reason = "the names say it")]
pub enum EntryKind {
    File,
    Hardlink,
    Symlink,
    Character,
    Block,
    Directory,
    Fifo,
    /// A GNU or PAX sparse file; its content is what is stored, holes left out.
    Sparse,
    /// A typeflag that is not known.
    Other,
}

/// `entry`: one entry of a layer's tar.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Entry {
    /// The layer.
    pub layer: DiffId,
    /// Its name, as stored (after PAX and GNU extensions).
    #[serde(flatten)]
    pub path: RecordPath,
    /// What it is.
    pub kind: EntryKind,
    /// Permission bits.
    pub mode: u32,
    /// Numeric owner.
    pub uid: u64,
    /// Numeric group.
    pub gid: u64,
    /// Modification time, whole seconds since 1970.
    pub mtime: i64,
    /// Where a link points, as stored; in base64 with `link_base64` if it is not UTF-8.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub link: Option<String>,
    /// The same in base64 if it is not UTF-8.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub link_base64: Option<String>,
    /// Bytes of content in the tar, without padding.
    pub size: u64,
    /// The digest of the content; absent when there is none.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub digest: Option<Digest>,
    /// Where its header blocks begin in the layer, extension headers included.
    pub header_offset: u64,
    /// Where its content begins in the layer.
    pub content_offset: u64,
}

/// How a path differs between base and target.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
#[allow(missing_docs, reason = "the names say it")]
pub enum ChangeKind {
    Added,
    Removed,
    Modified,
    Renamed,
    /// Only the header differs: owner, mode, times.
    Metadata,
}

/// `change`: one path that differs, and what it cost.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Change {
    /// The target layer.
    pub layer: DiffId,
    /// The path in the target (in the base, when it was removed).
    #[serde(flatten)]
    pub path: RecordPath,
    /// How it differs.
    pub change: ChangeKind,
    /// Bytes in the target.
    pub size: u64,
    /// The base's layer that its bytes came from.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub from_layer: Option<DiffId>,
    /// The path there, if it is another one.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub from_path: Option<String>,
    /// By which means: `copy`, `edit`, `literal`, ….
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub means: Option<String>,
    /// Bytes of the delta that it takes: its part of each coded stream.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub cost: Option<u64>,
}

/// `delta`: how one target layer is made.
///
/// Each target layer has exactly one.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Delta {
    /// The target layer.
    pub layer: DiffId,
    /// `base` (a base has this very layer: nothing travels), `delta` or `whole` (a payload without sources).
    pub means: String,
    /// The payload; absent for `base`.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub location: Option<Location>,
    /// Bytes in the payload: 0 for `base`.
    pub size: u64,
    /// Bytes of it that no `change` takes; with the costs of all changes of the layer they are `size`.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub shared: Option<u64>,
    /// The payload's digest.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub digest: Option<Digest>,
    /// The diff_ids of the base layers that it reads; for `base`, the layer itself.
    pub sources: Vec<DiffId>,
    /// Memory that its reader needs, in bytes.
    pub memory: u64,
    /// Scratch space that its reader needs, in bytes.
    pub scratch: u64,
    /// It was decoded by dd-apply's decoder, and the result has this diff_id.
    pub proven: bool,
    /// Why it is `whole`.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub why: Option<String>,
}
