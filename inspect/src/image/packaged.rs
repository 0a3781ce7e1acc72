//! Tells delta packages from images.

use std::io::Read;

use serde::Deserialize;

use super::blobs::Blobs;
use super::document::{Document, Parsed, parse_manifest};
use super::node::Top;
use crate::package::ARTIFACT_TYPE;

/// Uncompressed bytes that are looked at to tell a package: its documents stand first.
pub const PACKAGE_START: u64 = 64 << 10;

/// Whether the one manifest at the top is that of a delta package.
pub fn is_package(tops: &[Top], blobs: &dyn Blobs, what: &str) -> anyhow::Result<bool> {
    let [top] = tops else { return Ok(false) };
    if top.descriptor.artifact_type.as_deref() == Some(ARTIFACT_TYPE) {
        return Ok(true);
    }
    let Some(range) = blobs.document(&top.descriptor)? else { return Ok(false) };
    let document =
        Document::read(range, &format!("{what}: the manifest {}", top.descriptor.digest))?;
    let parsed = parse_manifest(&document.bytes, what);
    Ok(
        matches!(parsed, Ok(Parsed::Manifest(manifest)) if manifest.artifact_type.as_deref() == Some(ARTIFACT_TYPE)),
    )
}

/// Whether the first bytes of a tar are those of a delta package, whose `index.json` stands near the beginning.
pub fn starts_a_package(start: &[u8]) -> bool {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Entry {
        artifact_type: Option<String>,
    }
    #[derive(Deserialize)]
    struct Index {
        manifests: Vec<Entry>,
    }
    let mut archive = tar::Archive::new(start);
    let Ok(members) = archive.entries() else { return false };
    for member in members.take(4).map_while(Result::ok) {
        if &*member.path_bytes() == b"index.json" {
            let mut bytes = Vec::new();
            let read = member.take(PACKAGE_START).read_to_end(&mut bytes);
            let index = read.ok().and_then(|_| serde_json::from_slice::<Index>(&bytes).ok());
            return index.is_some_and(|index| {
                index
                    .manifests
                    .iter()
                    .any(|entry| entry.artifact_type.as_deref() == Some(ARTIFACT_TYPE))
            });
        }
    }
    false
}
