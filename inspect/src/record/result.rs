//! What the last stages say: the package that was written, the images that were rebuilt.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::image::Exact;
use super::stream::RecordPath;
use crate::digest::{DiffId, Digest};

/// `package`: a delta package that was written.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Package {
    /// The absolute path of the file; `-` where it went to no file, nothing in a dry run.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub file: Option<String>,
    /// The path in base64 if it is not UTF-8.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub file_base64: Option<String>,
    /// Bytes in the file.
    pub size: u64,
    /// The digest of the file.
    pub file_digest: Digest,
    /// The digest of the artifact's manifest, which registries and signatures know it by.
    pub manifest_digest: Digest,
    /// The digests of the manifests or indexes that it rebuilds.
    pub targets: Vec<Digest>,
    /// The digests of the configurations that it rebuilds.
    pub config_digests: Vec<Digest>,
    /// Names that it suggests for them.
    pub names: Vec<String>,
    /// The layers that a base must have.
    pub requires: Vec<DiffId>,
    /// Memory that dd-apply needs, in bytes.
    pub memory: u64,
    /// Scratch space that dd-apply needs, in bytes.
    pub scratch: u64,
    /// Bytes that the targets have as files or blobs: what would travel without a delta.
    pub target_size: u64,
}

impl Package {
    /// The file, if it is in one.
    pub fn path(&self) -> Option<PathBuf> {
        let path = RecordPath { path: self.file.clone(), path_base64: self.file_base64.clone() };
        let bytes = path.bytes().filter(|bytes| !matches!(&bytes[..], b"-" | b""))?;
        Some(PathBuf::from(OsString::from_vec(bytes)))
    }
}

/// One image that dd-apply rebuilt.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Rebuilt {
    /// The digest of its manifest or index.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub manifest_digest: Option<Digest>,
    /// The digest of its configuration.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub config_digest: Option<Digest>,
    /// The names that it got.
    pub names: Vec<String>,
    /// `made`: the target had no manifest (an old docker-archive), and the output needs one.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub manifest: Option<String>,
}

/// `applied`: what dd-apply rebuilt and verified.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Applied {
    /// The package, as given.
    pub package: String,
    /// Where the images went: `transport:reference`, a path, or `-`.
    pub output: String,
    /// How exact the result is.
    pub exact: Exact,
    /// The output is the target's own archive file, bit for bit.
    pub file_exact: bool,
    /// The digest of the file written, where one was.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub file_digest: Option<Digest>,
    /// Bytes in the file written.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub size: Option<u64>,
    /// The images.
    pub images: Vec<Rebuilt>,
    /// The references of the bases that were read.
    pub bases: Vec<String>,
    /// `match`, or `none` when nothing was expected (`--expect`).
    pub expected: String,
    /// The output already held the wanted bytes; nothing was written.
    pub unchanged: bool,
}

/// `check`: what `dd-apply --check` found; nothing was written.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Check {
    /// The package, as given.
    pub package: String,
    /// Where the images would go; absent without `--output`.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub output: Option<String>,
    /// The output would be the target's own archive file, bit for bit.
    pub file_exact: bool,
    /// The images that would be rebuilt.
    pub images: Vec<Rebuilt>,
    /// The references of the bases that were looked at.
    pub bases: Vec<String>,
    /// `match`, or `none` when nothing was expected (`--expect`).
    pub expected: String,
    /// Bytes that would be written.
    pub output_size: u64,
    /// Bytes free where the output lies; absent where that is not known.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub output_free: Option<u64>,
    /// Memory that is needed, in bytes.
    pub memory: u64,
    /// Memory that is available, in bytes; absent where that is not known.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub memory_available: Option<u64>,
    /// Scratch space that is needed at most, in bytes.
    pub scratch: u64,
    /// Bytes free where scratch files lie; absent where that is not known.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub scratch_free: Option<u64>,
}
