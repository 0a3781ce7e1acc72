//! The frame of a stream, and the types that several records share.

use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};

use crate::digest::Digest;
use crate::failure::Category;

/// `stream`: begins the records of one stage.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Stream {
    /// The version of the record format ([`super::VERSION`]).
    pub version: u32,
    /// The stage that writes: `dd-inspect`.
    pub stage: String,
    /// The version of the program.
    pub tool_version: String,
    /// The stages that wrote before it, first one first.
    pub stages: Vec<String>,
    /// The absolute path of the store that locations may point into.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub store: Option<String>,
}

/// `end`: the records are complete.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct End {
    /// The stage that ends its stream.
    pub stage: String,
}

/// `error`: a stage failed; nothing follows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct ErrorRecord {
    /// The stage that failed.
    pub stage: String,
    /// Its exit code, which every later stage ends with as well.
    pub exit: u8,
    /// Why.
    pub category: Category,
    /// What went wrong and where, one line.
    pub message: String,
    /// What the user can do.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub hint: Option<String>,
}

/// `progress`: how far a stage is, for the one stage that draws. Never counted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Progress {
    /// The stage that works.
    pub stage: String,
    /// What it does: `hashing layer 3/7`.
    pub task: String,
    /// Bytes done.
    pub done: u64,
    /// Bytes to do in all.
    pub total: u64,
}

/// A path as a record says it: text where it is UTF-8, else base64 (`path_base64`).
///
/// It is flattened into the records that carry it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct RecordPath {
    /// The path, if it is UTF-8.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub path: Option<String>,
    /// The path in base64 (RFC 4648, section 4) if it is not UTF-8.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub path_base64: Option<String>,
}

impl RecordPath {
    /// The record's form of these bytes.
    pub fn new(bytes: &[u8]) -> Self {
        match std::str::from_utf8(bytes) {
            Ok(text) => Self { path: Some(text.to_owned()), path_base64: None },
            Err(_) => Self { path: None, path_base64: Some(STANDARD.encode(bytes)) },
        }
    }

    /// The bytes of the path; none if the record has neither form or the base64 is broken.
    pub fn bytes(&self) -> Option<Vec<u8>> {
        match (&self.path, &self.path_base64) {
            (Some(text), None) => Some(text.clone().into_bytes()),
            (None, Some(coded)) => STANDARD.decode(coded).ok(),
            _ => None,
        }
    }
}

/// Where bytes lie: a range of a regular file of this machine, or content that was not fetched yet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(untagged)]
pub enum Location {
    /// A range of a file.
    File {
        /// The absolute path; base64 of it in `file_base64` if it is not UTF-8.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        file: Option<String>,
        /// The path in base64 if it is not UTF-8.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        file_base64: Option<String>,
        /// Where the range begins.
        offset: u64,
        /// Bytes in the range.
        size: u64,
        /// Bytes in the whole file when it was looked at.
        file_size: u64,
        /// The file's modification time then, in nanoseconds since 1970.
        #[serde(with = "nanoseconds")]
        #[cfg_attr(test, schemars(with = "String"))]
        mtime_ns: i128,
    },
    /// A blob of an image elsewhere.
    Reference {
        /// `transport:reference`.
        reference: String,
        /// The blob's digest.
        digest: Digest,
    },
}

/// Nanoseconds since 1970 pass 2^53, so they are written as text.
mod nanoseconds {
    use serde::{Deserialize, Deserializer, Serializer};

    pub fn serialize<S: Serializer>(value: &i128, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(value)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<i128, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

impl Location {
    /// A range of a file whose size and modification time are known.
    pub fn file(path: &Path, offset: u64, size: u64, file_size: u64, mtime_ns: i128) -> Self {
        let bytes = path.as_os_str().as_bytes();
        let RecordPath { path, path_base64 } = RecordPath::new(bytes);
        Self::File { file: path, file_base64: path_base64, offset, size, file_size, mtime_ns }
    }

    /// The path of the file, if it is one.
    pub fn path(&self) -> Option<PathBuf> {
        let Self::File { file, file_base64, .. } = self else { return None };
        let path = RecordPath { path: file.clone(), path_base64: file_base64.clone() };
        Some(PathBuf::from(std::ffi::OsString::from_vec(path.bytes()?)))
    }

    /// Bytes in the range; none if it is not fetched yet.
    pub fn size(&self) -> Option<u64> {
        match self {
            Self::File { size, .. } => Some(*size),
            Self::Reference { .. } => None,
        }
    }

    /// The part of this range that begins at `offset` and has `size` bytes; none if it is not inside.
    pub fn part(&self, part_offset: u64, part_size: u64) -> Option<Self> {
        let mut part = self.clone();
        let Self::File { offset, size, .. } = &mut part else { return None };
        if part_offset.checked_add(part_size)? > *size {
            return None;
        }
        *offset = offset.checked_add(part_offset)?;
        *size = part_size;
        Some(part)
    }
}
