//! The records declared a second time, strictly: a field too many, too few or of another form fails.
//!
//! Written from docs/records.md alone. Nothing here may use the programs' own types.

#![allow(dead_code, reason = "the fields exist to be parsed")]

use serde::{Deserialize, Deserializer, de::Error};

/// `sha256:` and 64 lower-case hex digits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sha(pub String);

impl<'de> Deserialize<'de> for Sha {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let hex = text.strip_prefix("sha256:").unwrap_or_default();
        let digit = |c: char| c.is_ascii_digit() || ('a'..='f').contains(&c);
        if hex.len() == 64 && hex.chars().all(digit) {
            return Ok(Self(text));
        }
        Err(D::Error::custom(format!("{text:?} is no digest")))
    }
}

/// An integer that jq keeps: below 2^53.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Int(pub u64);

impl<'de> Deserialize<'de> for Int {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = u64::deserialize(deserializer)?;
        if value < 1 << 53 {
            Ok(Self(value))
        } else {
            Err(D::Error::custom("an integer of 2^53 or more"))
        }
    }
}

#[derive(Debug, Deserialize)]
#[serde(tag = "type", rename_all = "lowercase", deny_unknown_fields)]
pub enum Record {
    Stream {
        version: Int,
        stage: String,
        tool_version: String,
        stages: Vec<String>,
        store: Option<String>,
    },
    End {
        stage: String,
    },
    Error {
        stage: String,
        exit: Int,
        category: Category,
        message: String,
        hint: Option<String>,
    },
    Archive {
        key: String,
        image: String,
        file_digest: Sha,
        size: Int,
        compression: Compression,
        location: Location,
        tar: Location,
        tar_digest: Sha,
        trailer: Location,
    },
    Member {
        archive: String,
        position: Int,
        path: Option<String>,
        path_base64: Option<String>,
        kind: MemberKind,
        header: Location,
        content: Option<Location>,
        digest: Option<Sha>,
        link: Option<Path>,
    },
    Image {
        key: String,
        role: Role,
        reference: String,
        transport: String,
        names: Vec<String>,
        exact: Exact,
        manifest_digest: Option<Sha>,
        config_digest: Option<Sha>,
        index: Option<Location>,
        docker_manifest: Option<Location>,
    },
    Manifest {
        image: String,
        position: Int,
        digest: Option<Sha>,
        media_type: Option<String>,
        size: Option<Int>,
        platform: Option<String>,
        names: Vec<String>,
        parent: Option<Sha>,
        #[serde(default)]
        manifests: Vec<Sha>,
        config_digest: Option<Sha>,
        #[serde(default)]
        layers: Vec<Sha>,
        #[serde(default)]
        diff_ids: Vec<Sha>,
        location: Option<Location>,
        #[serde(default)]
        gap: bool,
        subject: Option<Sha>,
    },
    Config {
        image: String,
        digest: Sha,
        media_type: Option<String>,
        size: Int,
        platform: Option<String>,
        diff_ids: Vec<Sha>,
        history: Int,
        location: Location,
    },
    Layer {
        image: String,
        manifest: Int,
        position: Int,
        digest: Option<Sha>,
        media_type: Option<String>,
        diff_id: Sha,
        #[serde(default)]
        opaque: bool,
        size: Option<Int>,
        compression: Option<Compression>,
        location: Option<Location>,
        #[serde(default)]
        gap: bool,
        in_base: Option<bool>,
    },
    Blob {
        diff_id: Sha,
        digest: Sha,
        stored_size: Int,
        size: Int,
        location: Location,
        encoding: Option<serde_json::Value>,
        encoding_name: Option<String>,
        corrections: Option<Location>,
        corrections_digest: Option<Sha>,
        encoding_memory: Option<Int>,
        tar: bool,
    },
    Entry {
        layer: Sha,
        path: Option<String>,
        path_base64: Option<String>,
        kind: EntryKind,
        mode: Int,
        uid: Int,
        gid: Int,
        mtime: i64,
        link: Option<String>,
        link_base64: Option<String>,
        size: Int,
        digest: Option<Sha>,
        header_offset: Int,
        content_offset: Int,
    },
    Change {
        layer: Sha,
        path: Option<String>,
        path_base64: Option<String>,
        change: ChangeKind,
        size: Int,
        from_layer: Option<Sha>,
        from_path: Option<String>,
        means: Option<String>,
        cost: Option<Int>,
    },
    Delta {
        layer: Sha,
        means: String,
        location: Option<Location>,
        size: Int,
        shared: Option<Int>,
        digest: Option<Sha>,
        sources: Vec<Sha>,
        memory: Int,
        scratch: Int,
        proven: bool,
        why: Option<String>,
    },
    Package {
        file: Option<String>,
        size: Int,
        file_digest: Sha,
        manifest_digest: Sha,
        targets: Vec<Sha>,
        config_digests: Vec<Sha>,
        names: Vec<String>,
        requires: Vec<Sha>,
        memory: Int,
        scratch: Int,
        target_size: Int,
    },
    Applied {
        package: String,
        output: String,
        exact: Exact,
        file_exact: bool,
        file_digest: Option<Sha>,
        size: Option<Int>,
        images: Vec<Rebuilt>,
        bases: Vec<String>,
        expected: String,
        unchanged: bool,
    },
    Check {
        package: String,
        output: Option<String>,
        file_exact: bool,
        images: Vec<Rebuilt>,
        bases: Vec<String>,
        expected: String,
        output_size: Int,
        output_free: Option<Int>,
        memory: Int,
        memory_available: Option<Int>,
        scratch: Int,
        scratch_free: Option<Int>,
    },
    Progress {
        stage: String,
        task: String,
        done: Int,
        total: Int,
    },
}

/// Every type of record.
pub const TYPES: [&str; 17] = [
    "stream", "end", "error", "archive", "member", "image", "manifest", "config", "layer", "blob",
    "entry", "change", "delta", "package", "applied", "check", "progress",
];

#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub enum Location {
    File(FileRange),
    Path64(FileRange64),
    Elsewhere(Reference),
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FileRange {
    pub file: String,
    pub offset: Int,
    pub size: Int,
    pub file_size: Int,
    pub mtime_ns: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FileRange64 {
    pub file_base64: String,
    pub offset: Int,
    pub size: Int,
    pub file_size: Int,
    pub mtime_ns: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reference {
    pub reference: String,
    pub digest: Sha,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Path {
    pub path: Option<String>,
    pub path_base64: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rebuilt {
    pub manifest_digest: Option<Sha>,
    pub config_digest: Option<Sha>,
    pub names: Vec<String>,
    pub manifest: Option<String>,
}

macro_rules! words {
    ($name:ident: $($word:ident)*) => {
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
        #[serde(rename_all = "kebab-case")]
        pub enum $name { $($word),* }
    };
}

words!(Role: Base Target Image);
words!(Exact: File Manifest Config);
words!(Compression: None Gzip Zstd);
words!(MemberKind: File Directory Symlink Hardlink Other);
words!(EntryKind: File Hardlink Symlink Character Block Directory Fifo Sparse Other);
words!(ChangeKind: Added Removed Modified Renamed Metadata);
words!(Category: Usage NotFound NotAnImage WrongBase BaseForm BaseChanged PackageCorrupt DigestMismatch
    Exists NoSpace MissingProgram HelperFailed Limit Unsupported Upstream Io Unexpected);

/// Reads one line strictly.
pub fn record(line: &str) -> Result<Record, String> {
    serde_json::from_str(line).map_err(|error| format!("{error} in {line}"))
}
