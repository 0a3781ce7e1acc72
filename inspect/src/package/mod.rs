//! Delta packages: what they hold, and reading and verifying them (docs/package-format.md).
//!
//! A package is an OCI image layout in a tar, usually inside one zstd frame, with one artifact manifest. Its
//! blobs are, in this order: the recipe (JSON), the documents (raw bytes), and payloads (delta programs and
//! the corrections of encodings). A blob's *number* is its place among the manifest's `layers`.

mod check;
mod members;
mod reader;
pub mod recipe;
#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod sample;
mod show;
mod source;
mod verify;
mod view;

pub use reader::{BlobInfo, DocumentReader, Documents, MAX_DOCUMENT_LEN, Options, Reader};
pub use recipe::{
    ConfigRef, Content, FileLayout, Form, Layer, Manifest, Means, Part, Range, Recipe, Target,
};

pub use show::{describe, table};
pub use source::{BlobReader, Kept, KeptReader};
pub use verify::{PROGRAM_START, Report, verify};
pub use view::show_package;

/// The features of this release that a package may require (docs/package-format.md, "Features").
pub fn features() -> Vec<String> {
    let zstd = format!("zstd-{}", zstd::zstd_safe::version_string());
    let others = [
        "program-1",
        "zlib",
        "go-1.16",
        "go-1.27",
        "klauspost-1.15.11",
        "klauspost-1.18.0",
        "klauspost-1.18.1",
        "klauspost-1.10.2",
        "klauspost-1.12.2",
        "klauspost-1.12.3",
        "klauspost-1.14.0",
        "klauspost-1.14.3",
        "klauspost-1.15.0",
        "klauspost-1.15.10",
        "pigz",
        "gnu-gzip",
        "amended-1",
        "klauspost-zstd-1.14.2",
        "klauspost-zstd-1.16.4",
        "klauspost-zstd-1.17.0",
        "klauspost-zstd-1.17.8",
        "preflate-0.7.6",
        "zstd-frames-1",
    ];
    others.into_iter().map(str::to_owned).chain([zstd]).collect()
}

/// `artifactType` of a package's manifest.
pub const ARTIFACT_TYPE: &str = "application/vnd.docker-delta.package.v1";

/// What a blob of a package is, by its media type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BlobKind {
    /// The recipe.
    Recipe,
    /// The raw documents and file skeletons.
    Documents,
    /// A delta program: how one layer's content is made.
    Program,
    /// What an encoding needs beside its parameters.
    Corrections,
    /// Records `change`, for people; no reader needs them.
    Changes,
}

impl BlobKind {
    const ALL: [(Self, &str); 5] = [
        (Self::Recipe, "application/vnd.docker-delta.recipe.v1+json"),
        (Self::Documents, "application/vnd.docker-delta.documents.v1"),
        (Self::Program, "application/vnd.docker-delta.program.v1"),
        (Self::Corrections, "application/vnd.docker-delta.corrections.v1"),
        (Self::Changes, "application/vnd.docker-delta.changes.v1+ndjson"),
    ];

    /// The media type; one that is compressed by itself has `+zstd` after it.
    pub fn media_type(self) -> &'static str {
        Self::ALL.iter().find(|(kind, _)| *kind == self).map_or("", |(_, name)| name)
    }

    /// The kind of a media type, and whether the blob is one zstd frame; none for a type that is not known.
    pub fn parse(media_type: &str) -> Option<(Self, bool)> {
        let (name, zstd) = match media_type.strip_suffix("+zstd") {
            Some(name) => (name, true),
            None => (media_type, false),
        };
        Self::ALL.iter().find(|(_, known)| *known == name).map(|(kind, _)| (*kind, zstd))
    }
}
